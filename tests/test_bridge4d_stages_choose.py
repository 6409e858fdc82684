"""The stage that chooses how to train, where there are too few photos to leave one out."""

from pathlib import Path

import pytest
import torch

from bridge4d.stages import choose, sfm
from recon.clip import Clip
from recon.splats.fit import FitOptions


@pytest.mark.parametrize(("longest", "taken"), [(800, 100), (60, 60)])
def test_two_photos_are_trained_on_for_a_stated_length(
    longest: int, taken: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sfm, "open_photos", lambda *_: Clip(torch.rand(2, 8, 8, 3)))
    choose.choose_training(
        tmp_path / "sfm",
        tmp_path / "depth",
        tmp_path / "choose",
        options=FitOptions(iterations=longest, dropout=0.3),
        max_side=480,
        max_points=100,
        try_without_dropout=True,
        generator=torch.Generator(),
    )
    record = choose.load_record(tmp_path / "choose")
    assert (record["iterations"], record["dropout"], record["lengths"]) == (taken, 0.3, [])
    assert record["why"] == "of 2 photos none can be left out to choose by"
