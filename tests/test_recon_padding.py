"""Photos that fill a part of their canvas: what reads pixels leaves their padding out."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_recon_sfm_scene import PLANES, two_cameras_scene

from bridge4d.runs.store import load_clip, save_clip
from bridge4d.stages.scores import _compare
from eval.pictures.images import psnr
from recon.cameras import backproject
from recon.clip import Clip
from recon.depth import DepthMaps, multiview_depth, surface_points
from recon.pictures.canvas import crop_clip, find_boxes
from worldgen.models.warp import WarpOptions, see_from
from worldgen.plan import _in_boxes


@pytest.fixture(scope="module")
def mixed() -> Clip:
    return two_cameras_scene()[:5]


@pytest.fixture(scope="module")
def maps(mixed: Clip) -> DepthMaps:
    return multiview_depth(mixed, planes=48, neighbours=2)


def mirrored(mixed: Clip) -> Clip:
    """The same photos with something else in their padding."""
    assert mixed.confidence is not None
    return replace(mixed, images=torch.where(mixed.confidence[..., None] > 0, mixed.images, 1 - mixed.images))


def test_depth_is_that_of_the_pictures_whatever_their_padding(mixed: Clip, maps: DepthMaps) -> None:
    other = multiview_depth(mirrored(mixed), planes=48, neighbours=2)
    inside = mixed.confidence > 0
    assert bool((maps.confidence[~inside] == 0).all())
    assert bool((maps.depth > 0).all())
    sure = (maps.confidence >= 0.7) & inside
    assert float(sure.sum() / inside.sum()) > 0.5
    # the farthest plane stands at z = 6, the nearest about 3.8
    points = backproject(maps.depth.double(), mixed.require_cameras())[sure]
    off = torch.stack(
        [(points[:, 2] - 6).abs(), *[plane_distance(points, *plane) for plane in PLANES[1:]]]
    ).amin(0)
    assert float((off < 0.1).double().mean()) > 0.9
    both = sure & (other.confidence >= 0.7)
    assert float(both.sum() / sure.sum()) > 0.98
    agree = (maps.depth / other.depth - 1).abs()[both] < 0.02
    assert float(agree.double().mean()) > 0.98


def plane_distance(points: torch.Tensor, centre, along, down) -> torch.Tensor:
    a, b = torch.tensor(along, dtype=torch.float64), torch.tensor(down, dtype=torch.float64)
    normal = torch.linalg.cross(a, b)
    return ((points - torch.tensor(centre, dtype=torch.float64)) @ (normal / normal.norm())).abs()


def test_surface_points_and_warped_views_ignore_the_padding(mixed: Clip, maps: DepthMaps) -> None:
    """Another padding changes neither, and what a photo does not show is not seen through it."""
    sights = []
    for clip in (mixed, mirrored(mixed)):
        points = surface_points(clip, maps, count=500, generator=torch.Generator().manual_seed(0))
        sights.append((see_from(clip, maps, mixed.require_cameras()[1], [0, 2, 3], WarpOptions()), points))
    (one, points), (other, others) = sights
    assert torch.equal(points.rgb, others.rgb)
    assert torch.equal(one.inverse_depth, other.inverse_depth)
    assert torch.equal(one.confidence > 0, other.confidence > 0)
    sure = one.confidence > 0.5
    # bicubic samples reach two pixels over the edge of a box
    assert float((one.confidence - other.confidence)[sure].abs().mean()) < 0.01
    assert float((one.colour - other.colour)[sure].abs().mean()) < 0.01
    alone = see_from(mixed, maps, mixed.require_cameras()[1], [1], WarpOptions())
    outside = mixed.confidence[1] == 0
    assert float(alone.confidence[outside].max()) == 0
    assert float(alone.confidence[~outside].mean()) > 0.2


def test_scores_are_over_the_pixels_of_the_photos(mixed: Clip, tmp_path: Path) -> None:
    truth = mixed[[0, 1]]
    drawn = (truth.images + 0.1).clamp(0, 1)
    found = _compare(drawn, truth, find_boxes(truth))
    for i in range(2):
        own = crop_clip(truth, i).images
        assert found["psnr"][i] == pytest.approx(float(psnr((own + 0.1).clamp(0, 1), own)))
    padded = torch.where(truth.confidence[..., None] > 0, drawn, torch.rand_like(drawn))
    assert _compare(padded, truth, find_boxes(truth)) == found


def test_planned_cameras_need_points_inside_of_the_pictures(mixed: Clip) -> None:
    xyz = torch.tensor([[0.0, 0.0, 4.0]], dtype=torch.float64)
    narrow = replace(mixed, confidence=torch.zeros_like(mixed.confidence))
    narrow.confidence[:, :20, :20] = 1
    assert bool(_in_boxes(xyz, mixed).all())
    assert not bool(_in_boxes(xyz, narrow).any())


def test_clips_with_boxes_are_stored_without_pictures_of_confidence(mixed: Clip, tmp_path: Path) -> None:
    save_clip(mixed, tmp_path)
    assert not list(tmp_path.glob("*.confidence.png"))
    assert torch.equal(load_clip(tmp_path).confidence, mixed.confidence)
    assert find_boxes(mixed.limit_size(160))[:2] == ((0, 20, 160, 120), (27, 10, 106, 140))
