"""What stands before a moving picture is found and masked, and what only seems to stand is not."""

from dataclasses import replace

import pytest
import torch
from clips_of_points import FRAMES, HEIGHT, WIDTH, matched, path, scene

from eval.pictures.overlays import find_overlay
from recon.cameras import Cameras, look_at
from recon.sfm.matches import Matches

LOGO = torch.tensor([[300.0, 20.0]]) + torch.rand(30, 2, generator=torch.Generator().manual_seed(8)) * 40
"""Pixels of features in the upper right corner."""


def handheld() -> Cameras:
    """A way sideways, while the camera turns the same way and sways."""
    cameras = path()
    t = torch.linspace(0, 1, FRAMES, dtype=torch.float64)
    eye = torch.stack([1.2 * t, -0.2 * t, 0 * t], dim=1)
    target = eye + torch.stack([-1.5 * t, 1.2 * (4 * t).sin(), 0 * t + 6], dim=1)
    up = torch.tensor([[0.0, -1, 0]] * FRAMES, dtype=torch.float64)
    return replace(cameras, cam_from_world=look_at(eye, target, up))


def with_standing(matches: Matches, xy: torch.Tensor, frames: range = range(FRAMES)) -> Matches:
    """Features that stand at `xy` in some of the frames, and match each other there."""
    g = torch.Generator().manual_seed(1)
    count = len(matches.keypoints[0])
    noise = 0.2 * torch.randn(FRAMES, len(xy), 2, generator=g, dtype=torch.float64)
    keypoints = tuple(torch.cat([old, xy.double() + noise[i]]) for i, old in enumerate(matches.keypoints))
    own = torch.arange(count, count + len(xy))
    same = torch.stack([own, own], 1)
    indices = tuple(
        torch.cat([rows, same]) if a in frames and b in frames else rows for (a, b), rows in matches.by_pair()
    )
    return replace(matches, keypoints=keypoints, indices=indices)


@pytest.mark.parametrize("frames", [range(FRAMES), range(8)])
def test_a_logo_is_masked_also_where_it_goes(frames: range, generator: torch.Generator) -> None:
    mask = find_overlay(with_standing(matched(handheld(), scene()), LOGO, frames), generator=generator)
    assert mask is not None
    assert mask.shape == (HEIGHT, WIDTH)
    x, y = LOGO.long().unbind(1)
    assert mask[y, x].all()
    assert mask.double().mean() < 0.06, "no more than the logo and its rim"


def test_a_dashboard_that_has_most_of_the_features_is_masked(generator: torch.Generator) -> None:
    g = torch.Generator().manual_seed(2)
    board = torch.rand(500, 2, generator=g) * torch.tensor([WIDTH, 0.35 * HEIGHT])
    board[:, 1] += 0.65 * HEIGHT
    mask = find_overlay(with_standing(matched(handheld(), scene()), board), generator=generator)
    assert mask is not None
    assert 0.3 < mask.double().mean() < 0.45


@pytest.mark.parametrize("kind", ["general", "rotation only", "static"])
@pytest.mark.parametrize("outliers", [0.0, 0.4])
def test_clean_clips_have_no_overlay(kind: str, outliers: float, generator: torch.Generator) -> None:
    assert find_overlay(matched(path(kind), scene(), outliers=outliers), generator=generator) is None


def test_points_at_all_distances_of_a_camera_that_does_not_turn_are_no_overlay(
    generator: torch.Generator,
) -> None:
    cameras = path()
    pose = cameras.cam_from_world.clone()
    pose[:, :3, :3] = pose[0, :3, :3]
    pose[:, :3, 3] = -(pose[:, :3, :3] @ cameras.centers[..., None])[..., 0]
    xyz = scene(points=600)
    xyz *= 10 ** (3 * torch.rand(600, 1, generator=generator, dtype=torch.float64))
    far = matched(replace(cameras, cam_from_world=pose), xyz, outliers=0.1)
    standing = sum(
        int(((a - b).norm(dim=-1) < 1).sum() >= 8) for a, b in map(far.points, range(len(far.pairs)))
    )
    assert standing > 20, "else nothing is tested"
    assert find_overlay(far, generator=generator) is None


def test_the_wall_behind_people_who_walk_is_no_overlay(generator: torch.Generator) -> None:
    still = matched(path("static"), scene(points=600), outliers=0.0)
    g = torch.Generator().manual_seed(4)
    walk = 3 * torch.randn(600, 2, generator=g, dtype=torch.float64)
    walkers = torch.arange(600) % 3 == 0
    walked = tuple(xy + walkers[:, None] * walk * i for i, xy in enumerate(still.keypoints))
    assert find_overlay(replace(still, keypoints=walked), generator=generator) is None


def test_masked_features_lose_their_matches() -> None:
    matches = with_standing(matched(path(), scene(), outliers=0.0), LOGO)
    mask = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    mask[:70, 290:] = True
    kept = matches.drop_masked(mask)
    assert all(torch.equal(a, b) for a, b in zip(kept.keypoints, matches.keypoints, strict=True))
    for i in range(len(kept.pairs)):
        for xy in kept.points(i):
            inside = (xy >= 0).all(1) & (xy[:, 0] < WIDTH) & (xy[:, 1] < HEIGHT)
            assert not mask[xy[inside][:, 1].long(), xy[inside][:, 0].long()].any()
    assert sum(map(len, kept.indices)) < sum(map(len, matches.indices))
