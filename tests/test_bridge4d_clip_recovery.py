"""A clip with a logo before it and black frames is measured for what it shows, beside what it would count as."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.metric_curves import path
from bridge4d.measuring.clip_judgement import judge_path
from bridge4d.measuring.clip_recovery import NOTHING_TO_TRIANGULATE, recover_sifted
from bridge4d.measuring.measure_options import MeasureOptions
from eval.geometry.motion import MotionKind
from eval.paths.check import NO_PARALLAX
from eval.pictures.odd_frames import find_odd_frames
from eval.results.measure import TRIMMED, UNMASKED
from recon.cameras import Cameras
from recon.clip import Clip
from recon.clips.read import ReadClip
from worldgen.models.synthetic import SyntheticRoom

FRAMES, WIDTH, HEIGHT = 10, 288, 192
OPTIONS = MeasureOptions(rules=("share@90", "follows@15"))


@pytest.fixture(scope="module")
def walk() -> Clip:
    room = SyntheticRoom(3)
    cameras = path("sway", room, FRAMES, width=WIDTH, height=HEIGHT)
    return Clip(room.render(cameras)[0].clamp(0, 1), cameras)


def sifted(images: torch.Tensor, walk: Clip, folder: Path):
    read = ReadClip(Clip(images, walk.cameras), True, tuple(range(len(walk))), ())
    return recover_sifted(read, OPTIONS, folder, generator=torch.Generator().manual_seed(0), seconds={})


def with_panel(images: torch.Tensor) -> torch.Tensor:
    """Pictures behind a panel with many features, 40 pixels high."""
    panel = torch.rand(1, 3, 10, 36, generator=torch.Generator().manual_seed(5))
    panel = torch.nn.functional.interpolate(panel, size=(40, WIDTH), mode="bicubic")[0].permute(1, 2, 0)
    return torch.cat([images[:, :-40], panel.clamp(0, 1).expand(len(images), -1, -1, -1)], 1)


def test_a_clean_clip_has_one_set_of_verdicts(walk: Clip, tmp_path: Path) -> None:
    found = sifted(walk.images, walk, tmp_path)
    assert found.overlay is None
    assert found.variants == {}
    assert found.counted.verdicts["follows@15"].success


def test_a_panel_and_black_frames(walk: Clip, tmp_path: Path) -> None:
    images = with_panel(walk.images)
    images[:2] = 0.01
    found = sifted(images, walk, tmp_path)
    assert found.overlay is not None
    assert found.overlay[-30:].double().mean() > 0.8
    assert found.overlay[:-60].double().mean() < 0.05
    assert found.odd.blank == (0, 1)
    assert set(found.variants) == {UNMASKED, TRIMMED}
    assert not found.counted.verdicts["share@90"].success, "black frames count"
    assert found.variants[TRIMMED]["share@90"].success
    assert found.variants[TRIMMED]["follows@15"].success
    assert not found.variants[UNMASKED]["follows@15"].success


def measured(images: torch.Tensor, cameras: Cameras, folder: Path):
    read = ReadClip(Clip(images, cameras), True, tuple(range(len(cameras))), ())
    generator = torch.Generator().manual_seed(0)
    found = recover_sifted(read, OPTIONS, folder, generator=generator, seconds={})
    return found, judge_path(found, cameras, generator=generator)


def test_a_clip_that_stands_as_asked_is_not_blamed_for_showing_nothing_to_triangulate(
    walk: Clip, tmp_path: Path
) -> None:
    noise = 0.01 * torch.randn(FRAMES, HEIGHT, WIDTH, 3, generator=torch.Generator().manual_seed(1))
    images = (walk.images[:1].expand(FRAMES, -1, -1, -1) + noise).clamp(0, 1)
    asked = walk.require_cameras()[[0] * FRAMES]
    found, judged = measured(images, asked, tmp_path)
    assert found.counted.motion.kind is MotionKind.STATIC
    assert judged.causes == []
    assert found.counted.verdicts["follows@15"].success
    assert found.counted.verdicts["share@90"].success is None
    assert found.counted.verdicts["share@90"].because == NOTHING_TO_TRIANGULATE


def test_a_zoom_that_was_asked_for_is_counted_apart(walk: Clip, tmp_path: Path) -> None:
    room = SyntheticRoom(3)
    cameras = walk.require_cameras()[[0] * FRAMES]
    K = cameras.K.clone()
    K[:, [0, 1], [0, 1]] *= torch.linspace(1, 1.3, FRAMES, dtype=K.dtype)[:, None]
    asked = replace(cameras, K=K)
    found, judged = measured(room.render(asked)[0].clamp(0, 1), asked, tmp_path)
    assert {verdict.success for verdict in found.counted.verdicts.values()} == {None}
    assert judged.check.untold == NO_PARALLAX


def test_a_cut_behind_a_panel_is_found(walk: Clip, tmp_path: Path) -> None:
    """The panel goes on across it, and both places are as bright."""
    room = SyntheticRoom(5)
    half = FRAMES // 2
    other = room.render(path("sway", room, half, width=WIDTH, height=HEIGHT))[0].clamp(0, 1)
    other = (other - other.mean((0, 1, 2)) + walk.images.mean((0, 1, 2))).clamp(0, 1)
    images = with_panel(torch.cat([walk.images[:half], other]))
    assert find_odd_frames(images).cuts == ()
    assert sifted(images, walk, tmp_path).odd.cuts == (half,)
