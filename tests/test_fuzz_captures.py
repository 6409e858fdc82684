"""Damaged cameras, models, pictures, videos and manifests are read or refused in one sentence."""

import os
import random
from pathlib import Path

import pytest

from benchmarks.fuzz_captures import MEMORY, READERS, seeds
from benchmarks.fuzz_readers import BAD, damage, ending, fuzz

FEW = 40


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    return seeds(tmp_path_factory.mktemp("seeds"))


@pytest.mark.parametrize("name", READERS)
def test_whole_ones_are_read(whole: dict[str, list[Path]], name: str) -> None:
    for seed in whole[name]:
        assert ending(READERS[name], seed) == ("read", "")


@pytest.mark.parametrize("name", READERS)
def test_damaged_ones_are_read_or_refused(
    whole: dict[str, list[Path]], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, empty = tmp_path / "place", tmp_path / "empty"
    place.mkdir()
    empty.mkdir()
    monkeypatch.chdir(empty)
    ends = set()
    for number in range(FEW):
        chance = random.Random(f"{name}/{number}")
        kind, words = ending(READERS[name], damage(chance.choice(whole[name]), place, chance))
        assert kind in ("read", "refused"), f"{name}/{number}: {words}"
        ends.add(kind)
    assert "refused" in ends or name == "pictures"  # of ten, where a damaged one is left out
    assert not os.listdir(empty)


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_thousands_of_damaged_ones(whole: dict[str, list[Path]], name: str, tmp_path: Path) -> None:
    row = fuzz(name, whole[name], 2000, tmp_path / "kept", reader=READERS[name], memory=MEMORY)
    assert not {kind: row[kind] for kind in BAD if kind in row}
    assert row["read"] + row["refused"] == 2000
