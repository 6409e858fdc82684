import math
from dataclasses import replace

import pytest
import torch

from recon.cameras import backproject
from recon.clip import Clip
from recon.depth import multiview_depth
from recon.errors import BridgeError
from recon.points import PointCloud
from recon.scene import Scene as KnownScene
from worldgen.geometry import context_depth
from worldgen.geometry.fill import push_pull
from worldgen.model import Request, WorldModel
from worldgen.models.synthetic import SyntheticRoom
from worldgen.models.warp import Warp, nearest_photos


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    return -10 * math.log10(float((a - b).pow(2).mean()))


@pytest.fixture(scope="module")
def scene() -> tuple[Clip, Clip, PointCloud]:
    """Five photos of the room, two true pictures between them, and a sparse cloud."""
    room = SyntheticRoom()
    cameras = room.cameras(17, width=240, height=160)
    images, depth = room.render(cameras)
    context, between = [4, 6, 8, 10, 12], [7, 9]
    xyz = backproject(depth.double(), cameras)[context].reshape(-1, 3)[::171]
    cloud = PointCloud(xyz, torch.zeros(len(xyz), 3), torch.zeros(len(xyz), dtype=torch.float64))
    whole = Clip(images, cameras)
    return whole[context], whole[between], cloud


def ask(request: Request, points: PointCloud | None = None, model: Warp | None = None) -> Clip:
    known = replace(request, scene=KnownScene(points=points))
    return (model or Warp()).generate(known, generator=torch.Generator()).clip


@pytest.fixture(scope="module")
def generated(scene: tuple[Clip, Clip, PointCloud]) -> Clip:
    context, truth, cloud = scene
    request = Request(context, truth.require_cameras())
    return ask(request, cloud)


def test_views_between_photos_are_nearly_right(scene, generated: Clip) -> None:
    truth = scene[1]
    assert psnr(generated.images, truth.images) > 24
    assert generated.cameras is truth.cameras
    sure = generated.confidence > 0.7
    assert sure.float().mean() > 0.5
    assert psnr(generated.images[sure], truth.images[sure]) > 29


def test_confidence_falls_where_the_error_rises(scene, generated: Clip) -> None:
    error = (generated.images - scene[1].images).pow(2).mean(-1).sqrt()
    correlation = torch.corrcoef(torch.stack([1 - generated.confidence.flatten(), error.flatten()]))[0, 1]
    assert correlation > 0.35
    by_confidence = [
        error[(generated.confidence >= low) & (generated.confidence < low + 0.34)].mean()
        for low in (0, 0.33, 0.66)
    ]
    assert by_confidence[0] > by_confidence[1] > by_confidence[2]


def test_a_photo_seen_from_its_own_place_is_itself(scene) -> None:
    context, _, cloud = scene
    clip = ask(Request(context, context.require_cameras()[2]), cloud)
    sure = clip.confidence[0] > 0.7
    assert psnr(clip.images[0][sure], context.images[2][sure]) > 32


def test_what_no_photo_sees_is_filled_and_distrusted(scene) -> None:
    context, _, cloud = scene
    away = context.require_cameras()[2]
    turned = away.cam_from_world.clone()
    turned[:, [0, 2]] *= -1  # looks the other way
    clip = ask(Request(context, type(away)(turned, away.K, away.width, away.height)), cloud)
    assert clip.confidence.max() < 0.3
    assert torch.isfinite(clip.images).all()
    assert (clip.images.mean((0, 1, 2)) - context.images.mean((0, 1, 2))).abs().max() < 0.2


def test_depth_is_estimated_once_a_context(scene, monkeypatch: pytest.MonkeyPatch) -> None:
    context, truth, cloud = scene
    calls = []
    original = context_depth.multiview_depth
    monkeypatch.setattr(
        context_depth, "multiview_depth", lambda clip, **k: calls.append(len(clip)) or original(clip, **k)
    )
    model = Warp()
    for start in (0, 1):
        ask(Request(context[:2], truth.require_cameras()[start]), cloud, model)
    ask(Request(context[1:4], truth.require_cameras()[0]), cloud, model)
    assert calls == [2, 3]
    ask(Request(context[1:4], truth.require_cameras()[0]), None, model)
    assert calls == [2, 3, 3], "other points are another depth"


def test_one_photo_moves_by_the_points_and_says_it_guesses(scene) -> None:
    context, truth, cloud = scene
    request = Request(context[2], truth.require_cameras()[:1])
    with_points = ask(request, cloud)
    without = ask(request)
    assert with_points.confidence.max() < 0.4
    assert without.confidence.max() < with_points.confidence.max()
    assert psnr(with_points.images, truth.images[:1]) > psnr(context.images[2], truth.images[0]) + 1


def test_one_photo_is_moved_as_far_as_these_targets_say_whatever_was_asked_before(scene) -> None:
    """Without points its plane stands where the farthest target puts it."""
    context, truth, _ = scene
    near, far = (
        Request(context[2], truth.require_cameras()[0]),
        Request(context[2], context.require_cameras()[0]),
    )
    used = Warp()
    ask(near, None, used)
    after = ask(far, None, used)
    fresh = ask(far)
    assert torch.equal(after.images, fresh.images)
    assert not torch.equal(used.depth.of(near).depth, used.depth.of(far).depth)


def test_targets_of_another_size_and_lens(scene) -> None:
    context, truth, cloud = scene
    small = truth.resize(width=120, height=80)
    clip = ask(Request(context, small.require_cameras()[:1]), cloud)
    assert clip.images.shape == (1, 80, 120, 3)
    assert psnr(clip.images, small.images[:1]) > 23


def test_no_context_is_refused(scene) -> None:
    assert isinstance(Warp(), WorldModel)
    with pytest.raises(BridgeError, match="at least one posed photo"):
        Warp().generate(Request(scene[0][:0], scene[1].require_cameras()), generator=torch.Generator())


def test_nearest_photos_are_those_on_either_side(scene) -> None:
    context, truth, _ = scene
    maps = multiview_depth(context, points=scene[2], planes=32)
    assert set(nearest_photos(context.require_cameras(), maps, truth.require_cameras()[0], 2)) == {1, 2}


def test_push_pull_keeps_what_is_known_and_fills_between() -> None:
    image = torch.zeros(9, 13, 3)
    image[:, 8:] = 1
    weight = torch.zeros(9, 13)
    weight[:, :3] = weight[:, 10:] = 1
    grey = torch.full((3,), 0.5)
    filled = push_pull(image * weight[..., None], weight, grey)
    assert torch.allclose(filled[:, :3], image[:, :3])
    assert torch.allclose(filled[:, 10:], image[:, 10:])
    assert 0.1 < filled[4, 6, 0] < 0.9
    assert torch.allclose(push_pull(image, torch.zeros(9, 13), grey), grey)
