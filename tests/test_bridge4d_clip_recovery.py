"""A clip with a logo before it and black frames is measured for what it shows, beside what it would count as."""

from pathlib import Path

import pytest
import torch

from benchmarks.metric_curves import path
from bridge4d.measuring.clip_recovery import recover_sifted
from bridge4d.measuring.measure_options import MeasureOptions
from eval.results.measure import TRIMMED, UNMASKED
from recon.clip import Clip
from recon.clips.read import ReadClip
from worldgen.models.synthetic import SyntheticRoom

FRAMES, WIDTH, HEIGHT = 14, 288, 192
OPTIONS = MeasureOptions(rules=("share@90", "follows@15"))


@pytest.fixture(scope="module")
def walk() -> Clip:
    room = SyntheticRoom(3)
    cameras = path("sway", room, FRAMES, width=WIDTH, height=HEIGHT)
    return Clip(room.render(cameras)[0].clamp(0, 1), cameras)


def sifted(images: torch.Tensor, walk: Clip, folder: Path):
    read = ReadClip(Clip(images, walk.cameras), True, tuple(range(len(walk))), ())
    return recover_sifted(read, OPTIONS, folder, generator=torch.Generator().manual_seed(0), seconds={})


def test_a_clean_clip_has_one_set_of_verdicts(walk: Clip, tmp_path: Path) -> None:
    found = sifted(walk.images, walk, tmp_path)
    assert found.overlay is None
    assert found.variants == {}
    assert found.counted.verdicts["follows@15"].success


def test_a_panel_and_black_frames(walk: Clip, tmp_path: Path) -> None:
    images = walk.images.clone()
    g = torch.Generator().manual_seed(5)
    panel = torch.rand(1, 3, 10, 36, generator=g)
    panel = torch.nn.functional.interpolate(panel, size=(40, WIDTH), mode="bicubic")[0].permute(1, 2, 0)
    images[:, -40:] = panel.clamp(0, 1)
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
