"""A flat clip that no plane explains on the requested path is told; one that a plane explains is not."""

from dataclasses import replace

import pytest
import torch
from clips_of_points import judge_clip, matched, path, recovered, scene

from eval.geometry.motion import Motion, MotionKind, classify_motion
from eval.judging.rules import RULES
from eval.paths.fault import PathFault
from eval.paths.flat_scene import fit_plane
from recon.cameras import Cameras, look_at


def looking_ahead(eye: torch.Tensor) -> Cameras:
    """Cameras at these places that look along z."""
    n = len(eye)
    up = torch.tensor([[0.0, -1, 0]] * n, dtype=torch.float64)
    ahead = torch.tensor([0.0, 0, 6], dtype=torch.float64)
    return replace(path("static", n=n), cam_from_world=look_at(eye, eye + ahead, up))


def along(x: float, y: float, z: float, n: int = 16) -> Cameras:
    t = torch.linspace(0, 1, n, dtype=torch.float64)[:, None]
    return looking_ahead(t * torch.tensor([[x, y, z]], dtype=torch.float64))


def zooming(to: float) -> Cameras:
    """A camera that stands and zooms."""
    cameras = path("static")
    K = cameras.K.clone()
    K[:, [0, 1], [0, 1]] *= torch.linspace(1, to, len(K), dtype=torch.float64)[:, None]
    return replace(cameras, K=K)


def seen(cameras: Cameras, *, outliers: float = 0.2) -> Motion:
    """What a wall looks like from there."""
    wall = scene("plane", points=500)
    motion = classify_motion(
        matched(cameras, wall, outliers=outliers), generator=torch.Generator().manual_seed(0)
    )
    assert motion.kind is MotionKind.PLANE
    assert motion.planar
    return motion


@pytest.mark.parametrize("asked", [along(1.2, -0.2, 0), along(0, 0, 2), along(0.4, 0.3, 1.5), path()])
@pytest.mark.parametrize("scale", [0.1, 1.0, 50.0])
def test_a_plane_seen_on_the_requested_path_is_explained(asked: Cameras, scale: float) -> None:
    elsewhere = asked.place_at(scale * asked.centers)  # the same path in another unit
    fit = fit_plane(seen(asked).planar, elsewhere)
    assert fit is not None
    assert fit.explains, fit
    assert fit.off_px < 1.5


@pytest.mark.parametrize(
    ("done", "asked"),
    [
        (zooming(0.6), along(0, 0, 2)),
        (along(0, 0, -2), along(0, 0, 2)),
        (along(0, 1.2, 0), along(0, 0, 2)),
        (along(0, 1.2, 0), along(1.2, 0, 0)),
        (along(-1.2, 0, 0), along(1.2, 0, 0)),
    ],
    ids=["zoom out", "back", "slide", "down", "left"],
)
def test_what_no_plane_makes_of_the_request_is_not(done: Cameras, asked: Cameras) -> None:
    fit = fit_plane(seen(done).planar, asked)
    assert fit is not None
    assert not fit.explains, fit


def test_a_shake_is_not(generator: torch.Generator) -> None:
    place = 0.5 * torch.randn(16, 3, generator=generator, dtype=torch.float64)
    fit = fit_plane(seen(looking_ahead(place)).planar, along(0, 0, 2))
    assert fit is not None
    assert not fit.explains, fit


def test_a_zoom_in_may_be_the_move_that_was_asked_for() -> None:
    wall = scene("plane", points=500)
    wall[:, 2] = 6
    matches = matched(zooming(1.4), wall)
    motion = classify_motion(matches, generator=torch.Generator().manual_seed(0))
    fit = fit_plane(motion.planar, along(0, 0, 2))
    assert fit is not None
    assert fit.explains, fit


def test_nothing_is_said_without_pairs() -> None:
    assert fit_plane((), along(0, 0, 2)) is None


def test_rules_fail_a_flat_clip_that_moves_otherwise() -> None:
    asked, done = along(0, 0, 2), along(0, 1.2, 0)
    found = recovered(done, kind="wall")
    for rule in ("follows@15", "cosmos"):
        verdict = judge_clip(RULES[rule], [found], asked, seen(done))
        assert verdict.success is False
        assert PathFault.OTHERWISE.value in verdict.because
    assert judge_clip(RULES["auc@30"], [found], asked, seen(done)).share == 0
    zoomed = recovered(along(0, 0, 1e-3), kind="wall")
    assert judge_clip(RULES["follows@15"], [zoomed], asked, seen(zooming(1.4))).success is None
