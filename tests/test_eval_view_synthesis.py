"""Held-out frames: a clip of a real room shows them, one that bends, flickers or has wrong cameras does not."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from eval.geometry.measured import Measured
from eval.geometry.view_synthesis import VIEW_SYNTHESIS, view_synthesis
from eval.pictures.perceptual import PerceptualDistance, Unavailable
from recon.cameras import Cameras, backproject
from recon.clip import Clip
from recon.errors import CameraError
from recon.points import PointCloud
from recon.splats.native.loading import unavailable
from worldgen.models.corrupt import bend_pictures, thin_plate_displacement
from worldgen.models.synthetic import SyntheticRoom

N = 16
NO_WEIGHTS = Unavailable("none here")
needs_engine = pytest.mark.skipif(unavailable() is not None, reason="needs the compiled splatting engine")


@pytest.fixture(scope="module")
def room() -> tuple[Clip, PointCloud]:
    """Sixteen frames of a walk of 33 degrees, and 600 surface points, as structure from motion would give."""
    cameras = SyntheticRoom().cameras(48, width=192, height=128)[16 : 16 + N]
    images, depth = SyntheticRoom().render(cameras)
    xyz = backproject(depth, cameras).reshape(-1, 3)
    some = torch.randperm(len(xyz), generator=torch.Generator().manual_seed(0))[:600]
    points = PointCloud(
        xyz[some].double(), images.reshape(-1, 3)[some], torch.zeros(600, dtype=torch.float64)
    )
    return Clip(images, cameras), points


def measure(clip: Clip | None, points: PointCloud, **options: object) -> dict[str, Measured]:
    """Small and short: one takes about a second."""
    settings = {"iterations": 300, "max_side": 96, "network": NO_WEIGHTS, **options}
    return view_synthesis(clip, points, generator=torch.Generator().manual_seed(0), **settings)  # type: ignore[arg-type]


def bend(clip: Clip, px: float) -> Clip:
    field = thin_plate_displacement(N, 192, 128, px, generator=torch.Generator().manual_seed(1))
    return replace(clip, images=bend_pictures(clip.images, field).clamp(0, 1))


def flicker(clip: Clip, strength: float) -> Clip:
    gains = 1 + strength * torch.randn(N, 1, 1, 3, generator=torch.Generator().manual_seed(1))
    return replace(clip, images=(clip.images * gains).clamp(0, 1))


def turn_cameras(clip: Clip, deg: float) -> Clip:
    """Each recovered camera looks a little beside."""
    angles = math.radians(deg) * torch.randn(N, 3, generator=torch.Generator().manual_seed(1)).double()
    skew = torch.linalg.cross(
        torch.eye(3, dtype=torch.float64).expand(N, 3, 3), -angles[:, None].expand(N, 3, 3)
    )
    poses = clip.require_cameras().cam_from_world.clone()
    poses[:, :3] = torch.matrix_exp(skew) @ poses[:, :3]
    return replace(clip, cameras=replace(clip.require_cameras(), cam_from_world=poses))


@pytest.fixture(scope="module")
def truth(room: tuple[Clip, PointCloud]) -> dict[str, Measured]:
    return measure(*room)


@needs_engine
@pytest.mark.parametrize(
    ("damage", "strengths"),
    [(bend, (0.5, 1.0, 2.0)), (flicker, (0.03, 0.06, 0.12)), (turn_cameras, (0.1, 0.3, 0.8))],
)
def test_falls_with_what_no_rigid_scene_explains(
    room: tuple[Clip, PointCloud],
    truth: dict[str, Measured],
    damage: Callable[[Clip, float], Clip],
    strengths: tuple[float, ...],
) -> None:
    clip, points = room
    figures = [truth, *(measure(damage(clip, strength), points) for strength in strengths)]
    values = [figure["splat_psnr"].value or 0.0 for figure in figures]
    assert values == sorted(values, reverse=True), values
    assert values[0] > values[-1] + 3
    assert {figure["splat_psnr"].count for figure in figures} == {2}
    if damage is not flicker:  # SSIM is all but blind to gains
        values = [figure["splat_ssim"].value or 0.0 for figure in figures]
        assert values == sorted(values, reverse=True), values


@needs_engine
def test_the_same_seed_gives_the_same_figures_with_any_number_of_threads(
    room: tuple[Clip, PointCloud], truth: dict[str, Measured]
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1 if before > 1 else 2)
    try:
        assert measure(*room) == truth
    finally:
        torch.set_num_threads(before)
    clip, points = room
    assert view_synthesis(
        clip,
        points,
        generator=torch.Generator().manual_seed(1),
        iterations=300,
        max_side=96,
        network=NO_WEIGHTS,
    ) != measure(clip, points)


@needs_engine
def test_held_out_frames_are_never_seen(room: tuple[Clip, PointCloud], truth: dict[str, Measured]) -> None:
    """Noise in their stead cannot be guessed; were they trained on, it would show in the scene."""
    clip, points = room
    images = clip.images.clone()
    images[[4, 12]] = torch.rand(2, 128, 192, 3, generator=torch.Generator().manual_seed(2))
    assert (measure(replace(clip, images=images), points)["splat_psnr"].value or 0.0) < 15
    images = clip.images.clone()
    images[[3, 5, 11, 13]] = torch.rand(4, 128, 192, 3, generator=torch.Generator().manual_seed(2))
    disturbed = measure(replace(clip, images=images), points)["splat_psnr"].value or 0.0
    assert disturbed < (truth["splat_psnr"].value or 0.0) - 3


@needs_engine
def test_a_clips_own_confidence_has_no_say(room: tuple[Clip, PointCloud], truth: dict[str, Measured]) -> None:
    clip, points = room
    assert measure(replace(clip, confidence=torch.zeros(N, 128, 192)), points) == truth


@needs_engine
def test_goes_without_points(room: tuple[Clip, PointCloud]) -> None:
    assert (measure(room[0], PointCloud.empty())["splat_psnr"].value or 0.0) > 20


@needs_engine
def test_lpips_is_measured_where_there_are_weights(
    room: tuple[Clip, PointCloud], truth: dict[str, Measured]
) -> None:
    assert truth["splat_lpips"] == Measured.no_value("LPIPS weights not installed")
    clip, points = room
    network = PerceptualDistance(*random_weights())
    good = measure(clip, points, network=network)["splat_lpips"]
    bad = measure(bend(clip, 2.0), points, network=network)["splat_lpips"]
    assert good.count == 2
    assert 0 < (good.value or 0.0) < (bad.value or 0.0)


def random_weights() -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    trunk, heads = {}, {}
    shapes = [(64, 3, 11), (192, 64, 5), (384, 192, 3), (256, 384, 3), (256, 256, 3)]
    for i, (layer, (out, into, k)) in enumerate(zip([0, 3, 6, 8, 10], shapes, strict=True)):
        weight = torch.randn(out, into, k, k, generator=generator)
        trunk[f"features.{layer}.weight"] = weight * (2 / (into * k * k)) ** 0.5
        trunk[f"features.{layer}.bias"] = torch.zeros(out)
        heads[f"lin{i}.model.1.weight"] = torch.rand(1, out, 1, 1, generator=generator)
    return trunk, heads


def undefined(clip: Clip | None, points: PointCloud, **options: object) -> str:
    figures = measure(clip, points, **options)
    assert set(figures) == set(VIEW_SYNTHESIS)
    assert {figure.value for figure in figures.values()} == {None}
    (because,) = {figure.undefined_because for figure in figures.values()}
    return because


def test_undefined_where_it_says_nothing(room: tuple[Clip, PointCloud]) -> None:
    clip, points = room
    assert undefined(clip, points, undefined_because="static") == "static"
    assert undefined(None, points) == "no recovered poses"
    assert undefined(replace(clip, cameras=None), points) == "no recovered poses"
    assert undefined(clip[:0], points) == "no recovered poses"
    assert undefined(clip[:12], points) == "too few frames"
    assert undefined(clip, points, max_side=12) == "pictures too small"


def test_undefined_without_the_compiled_engine(
    room: tuple[Clip, PointCloud], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recon.splats.native.loading.unavailable", lambda: "not compiled")
    assert undefined(*room) == "splatting engine not compiled"


@needs_engine
def test_cameras_that_are_none_are_bad_input(room: tuple[Clip, PointCloud]) -> None:
    clip, points = room
    broken = Cameras(
        clip.require_cameras().cam_from_world * torch.nan, clip.require_cameras().K, width=192, height=128
    )
    with pytest.raises(CameraError):
        measure(replace(clip, cameras=broken), points)
