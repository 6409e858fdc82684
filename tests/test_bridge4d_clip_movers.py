"""What moves before a room is found, and the clip is measured without it, too."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from benchmarks.metric_curves import path
from bridge4d.measuring.clip_judgement import judge_path
from bridge4d.measuring.clip_movers import (
    ALL_MOVES,
    NO_TIME,
    TOO_FEW,
    TOO_SMALL,
    WithoutMovers,
    judge_without_movers,
)
from bridge4d.measuring.clip_recovery import recover_sifted
from bridge4d.measuring.measure_options import MeasureOptions
from eval.results.measure import StillPart
from recon.clip import Clip
from recon.clips.read import ReadClip
from worldgen.models.synthetic import SyntheticRoom

FRAMES, WIDTH, HEIGHT = 10, 288, 192
SIDE, STEP_PX = 60, 6
"""Of a square with a pattern that goes to the right, against the room's way across the picture."""
OPTIONS = MeasureOptions(rules=("share@90", "follows@15"))


@pytest.fixture(scope="module")
def walk() -> Clip:
    room = SyntheticRoom(3)
    cameras = path("sway", room, FRAMES, width=WIDTH, height=HEIGHT)
    return Clip(room.render(cameras)[0].clamp(0, 1), cameras)


def add_square(images: Float[Tensor, "n h w 3"]) -> tuple[Float[Tensor, "n h w 3"], Bool[Tensor, "n h w"]]:
    pattern = torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(5))
    pattern = torch.nn.functional.interpolate(pattern, size=(SIDE, SIDE), mode="bicubic")[0].permute(1, 2, 0)
    images, moving = images.clone(), torch.zeros(images.shape[:3], dtype=torch.bool)
    for i in range(len(images)):
        part = i, slice(60, 60 + SIDE), slice(40 + STEP_PX * i, 40 + STEP_PX * i + SIDE)
        images[part], moving[part] = pattern.clamp(0, 1), True
    return images, moving


def measure(
    images: Float[Tensor, "n h w 3"],
    walk: Clip,
    folder: Path,
    options: MeasureOptions = OPTIONS,
    seconds: dict[str, float] | None = None,
) -> WithoutMovers:
    read = ReadClip(Clip(images, walk.cameras), True, tuple(range(len(images))), ())
    generator = torch.Generator().manual_seed(0)
    sifted = recover_sifted(read, OPTIONS, folder, generator=generator, seconds={})
    judged = judge_path(sifted, walk.cameras, generator=generator)
    return judge_without_movers(sifted, judged, read, options, generator=generator, seconds=seconds or {})


def test_nothing_moves_in_a_room(walk: Clip, tmp_path: Path) -> None:
    found = measure(walk.images, walk, tmp_path)
    assert found.still.moving_share is not None
    assert found.still.moving_share < 0.01
    assert found.verdicts == {}
    assert not found.misled


def test_a_square_that_moves_is_left_out(walk: Clip, tmp_path: Path) -> None:
    images, moving = add_square(walk.images)
    found = measure(images, walk, tmp_path)
    assert found.masks is not None
    both, either = (found.masks.moving & moving).sum(), (found.masks.moving | moving).sum()
    assert both / either > 0.8
    assert found.still.moving_share == pytest.approx(float(moving.float().mean()), rel=0.2)
    assert found.verdicts["follows@15"].success
    rotation = found.still.errors["rotation_deg"].value
    assert rotation is not None
    assert rotation < 0.1
    assert found.still.registered == FRAMES
    sampson = found.still.consistency["sampson_requested_px"].value
    assert sampson is not None
    assert sampson < 0.2


def test_what_is_nearly_all_moving_is_not_judged_without_it(
    walk: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge4d.measuring.clip_movers.MOST_SHARE", 0.05)
    found = measure(add_square(walk.images)[0], walk, tmp_path)
    assert found.still.undefined_because == ALL_MOVES
    assert found.verdicts == {}
    assert found.still.errors == {}


def test_of_two_frames_nothing_is_told(walk: Clip, tmp_path: Path) -> None:
    found = measure(walk.images[:2], walk[[0, 1]], tmp_path)
    assert found.still.undefined_because == TOO_FEW
    assert found.still.moving_share is None


def test_nothing_that_goes_wrong_with_movers_harms_the_clip(
    walk: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = measure(walk.images, walk, tmp_path, seconds={"mapping": 0.3 * OPTIONS.seconds_limit})
    assert late.still == StillPart(undefined_because=NO_TIME)
    flat = Clip(walk.images[:, :20], None)
    found = measure(flat.images[:, :, :240], replace(walk, cameras=None), tmp_path)
    assert found.still == StillPart(undefined_because=TOO_SMALL)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("out of luck")

    monkeypatch.setattr("bridge4d.measuring.clip_movers.find_movers_recovered", fail)
    monkeypatch.setattr("bridge4d.measuring.clip_movers.find_movers_blind", fail)
    assert "out of luck" in measure(walk.images, walk, tmp_path).still.undefined_because
