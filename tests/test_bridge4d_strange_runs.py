"""Runs whose JSON is sound and says other things than the run wrote: one clear sentence, whatever it is."""

import copy
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dataset_runs import make_photos, make_run

from bridge4d.dataset import write_dataset
from bridge4d.dataset.originals import find_originals
from bridge4d.dataset.views import read_tracks, read_views
from bridge4d.exporting.frame import choose_frame
from bridge4d.exporting.options import ExportOptions
from bridge4d.runs.run_json import ReportSaid, RunSaid
from bridge4d.runs.stored_json import DamagedFileError, write_json
from bridge4d.runs.typed_json import misfit, read_typed
from bridge4d.scenes import load_scene
from recon.errors import BridgeError

GONE = object()
VALUES = (
    GONE, None, "text", "video", "../../../etc/hostname", "x" * 300, "a\0b", "", 7, -1, 2.5, 1e308, 10**30, True, [], {}, [[]],
    ["a"], {"a": 1},
)  # fmt: skip
"""What takes the place of each value, where it is not that already."""
WRITE_EVERY = 40
"""Whole datasets are written of so many changed runs; all are read."""
Place = tuple[str | int, ...]


def make(folder: Path, *, known_poses: bool) -> Path:
    """A finished run that says all that runs say."""
    photos = folder / "photos"
    run = make_run(folder / "run", photos, make_photos(photos, 5), known_poses=known_poses, accepted=2)
    file = run / "capture" / "capture.json"
    about = json.loads(file.read_text())
    names = [*about["training"], *about["heldout"]]
    about |= {
        "protocol": "known-poses" if known_poses else "from-scratch",
        "levels": [0.0, 0.5],
        "originals": {name: {"name": name, "file": name} for name in names},
        "capture_from_scene": {
            "scale": 2.0,
            "rotation": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
            "translation": [100.0, 0.0, 0.0],
        },
    }
    write_json(file, about)
    (run / "splats" / "round-1").mkdir(parents=True)
    write_json(
        run / "splats" / "round-1" / "fit.json", {"backdrop": {"center": [0.0, 0.0, 0.0], "radius": 30.0}}
    )
    return run


def places(value: Any, place: Place = ()) -> Iterator[Place]:
    """Where values lie in a JSON; of lists the first and the last."""
    yield place
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*place, key))
    elif isinstance(value, list):
        for i in sorted({0, len(value) - 1} & set(range(len(value)))):
            yield from places(value[i], (*place, i))


def changes(said: Any) -> Iterator[tuple[Place, Any, Any]]:
    """Every place with every other value: (place, value, the whole with it)."""
    for place in places(said):
        for value in VALUES:
            if not place:
                if value is not GONE:
                    yield place, value, value
                continue
            whole = changed(said, place, value)
            if whole != said:
                yield place, value, whole


def changed(said: Any, place: Place, value: Any) -> Any:
    """A copy with another value at one place, or without it where the value is `GONE`."""
    whole = copy.deepcopy(said)
    inside = whole
    for key in place[:-1]:
        inside = inside[key]
    if value is GONE:
        del inside[place[-1]]
    else:
        inside[place[-1]] = value
    return whole


def read(run: Path) -> None:
    """What export, the viewer and datasets read of a run, without writing any."""
    views = read_views(run, generated=True)
    read_tracks(views, [])
    find_originals(run)
    choose_frame(load_scene(run), ExportOptions())


@pytest.mark.parametrize(
    ("known_poses", "every"),
    [
        (False, 23),
        (True, 31),
        pytest.param(False, 1, marks=pytest.mark.slow),
        pytest.param(True, 1, marks=pytest.mark.slow),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_only_sentences_come_out_of_a_run_whose_json_was_changed(
    known_poses: bool, every: int, tmp_path: Path
) -> None:
    """One in so many changes is tried: of 19 values for each place, a number that has no factor in common with it."""
    run = make(tmp_path, known_poses=known_poses)
    read(run)
    write_dataset(run, tmp_path / "dataset")
    files = [file for file in sorted(run.rglob("*.json")) if file.name != "stage.json"]
    assert len(files) == (10 if known_poses else 11)
    seen, refused, sentences = 0, dict.fromkeys(files, 0), list[str]()
    for file in files:
        text = file.read_text()
        for place, value, whole in changes(json.loads(text)):
            seen += 1
            if seen % every:
                continue
            file.write_text(json.dumps(whole))
            try:
                read(run)
                if seen // every % WRITE_EVERY == 0:
                    write_dataset(run, tmp_path / "dataset")
            except BridgeError as error:
                refused[file] += 1
                sentences.append(str(error))
            except Exception as error:
                shown = "gone" if value is GONE else repr(value)
                raise AssertionError(f"{file.relative_to(run)}, {place} {shown}: {error!r}") from error
        file.write_text(text)
    assert seen > 3000
    assert sum(refused.values()) > seen / every / 2
    assert every > 1 or min(refused.values()) > 0, "of every file"
    assert all(said and "\n" not in said for said in sentences)
    read(run)


@pytest.mark.parametrize(
    ("file", "place", "value", "said"),
    [
        ("run.json", ("asked", "options", "frame_poses"), "other", "none of recovered, requested"),
        ("run.json", ("asked", "options"), [], "options is no object"),
        ("run.json", ("stages",), GONE, "stages is missing"),
        ("run.json", ("asked", "options", "generated_weight"), -1, "not above 0"),
        ("report.json", ("kept_round",), "1", "kept_round is no int"),
        ("capture/capture.json", ("path",), 3, "path is no str"),
        ("capture/capture.json", ("levels",), [1.0, 0.5], "levels are not black and white"),
        ("capture/capture.json", ("capture_from_scene", "scale"), 0, "no similarity"),
        ("sfm/photos/clip.json", ("files", 0), "../../run.json", "not the name of a file beside it"),
        ("sfm/photos/clip.json", ("files", 0), "none.png", "its picture none.png is not there"),
        ("sfm/photos/clip.json", ("files", 0), "x" * 300, "is not there"),
        ("sfm/photos/clip.json", ("names",), [], "as many names as files"),
        ("sfm/photos/clip.json", ("cameras", "K", 0, 0), [0.0, 0.0, 0.0], "its cameras are none"),
        ("sfm/photos/clip.json", ("cameras", "width"), 10**12, "its cameras are none"),
        ("recovery/round-1/frames.json", (0, "accepted"), 1, "accepted is no bool"),
        ("recovery/round-1/cameras.json", ("cameras",), None, "a camera of each frame that was accepted"),
        ("splats/round-1/fit.json", ("backdrop", "center"), [0.0], "center is no point"),
    ],
)
def test_the_sentence_names_the_file_and_what_is_wrong_with_it(
    file: str, place: Place, value: Any, said: str, tmp_path: Path
) -> None:
    run = make(tmp_path, known_poses=False)
    said_before = json.loads((run / file).read_text())
    (run / file).write_text(json.dumps(changed(said_before, place, value)))
    with pytest.raises(DamagedFileError, match=said) as caught:
        read(run)
    assert str(run / file) in str(caught.value)
    assert "start the command that made it again" in str(caught.value)


@pytest.mark.parametrize("path", ["x" * 300, "a\0b"])
def test_photos_at_a_path_that_no_file_system_holds_are_gone(path: str, tmp_path: Path) -> None:
    run = make(tmp_path, known_poses=False)
    file = run / "capture" / "capture.json"
    file.write_text(json.dumps(changed(json.loads(file.read_text()), ("path",), path)))
    with pytest.raises(BridgeError, match=r"no longer at|cannot be the name of a file"):
        find_originals(run)


def test_points_that_are_gone_are_one_sentence(tmp_path: Path) -> None:
    run = make(tmp_path, known_poses=False)
    (run / "sfm" / "points.npz").unlink()
    with pytest.raises(BridgeError, match=r"has lost its points \(sfm/points\.npz is not there\)"):
        write_dataset(run, tmp_path / "dataset")


def test_types_with_keys_that_may_be_left_out(tmp_path: Path) -> None:
    for fine in ({}, {"kept_round": None}, {"kept_round": 2, "more": []}):
        assert misfit(fine, ReportSaid) == ""
    for strange in (True, 2.0, "2", [2]):
        assert misfit({"kept_round": strange}, ReportSaid) == "kept_round is no int"
    assert misfit(math.inf, float) == "it is no finite number"
    write_json(tmp_path / "run.json", [])
    with pytest.raises(DamagedFileError, match=r"run\.json is damaged \(it is no object\)"):
        read_typed(tmp_path / "run.json", RunSaid)
