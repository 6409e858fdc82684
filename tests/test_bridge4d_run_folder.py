"""A run folder belongs to one command, holds no links, and loses nothing that the run did not write."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from notes import Notes

from bridge4d.runs.run import Run, open_run
from bridge4d.runs.run_folder import AUGMENT, MEASURE, STAGES, kind_of
from bridge4d.runs.stages import mark_unfinished
from bridge4d.runs.stored_json import write_json
from recon.compute.progress import use_reporter
from recon.errors import CaptureError, RunFolderError


def write_scene(folder: Path) -> None:
    (folder / "colmap").mkdir()
    (folder / "scene.ply").write_bytes(b"ply" * 1000)
    (folder / "colmap" / "points.bin").write_bytes(b"points")


def tree(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def notes() -> Notes:
    return Notes()


def stage(folder: Path, notes: Notes, name: str = "exports") -> list[int]:
    """Asks for one stage; returns one entry for each time that it was worked at."""
    done: list[int] = []

    def work(beside: Path) -> None:
        done.append(1)
        write_scene(beside)

    with open_run(folder) as run, use_reporter(notes):
        run.stage(name, work, depends_on=1)
    return done


def test_the_lock_says_whose_run_it_is_from_the_first_moment(tmp_path: Path) -> None:
    with open_run(tmp_path / "run", kind=MEASURE):
        assert (tmp_path / "run" / ".lock").read_text() == "measure\n"
        assert kind_of(tmp_path / "run") == MEASURE


@pytest.mark.parametrize("first", [AUGMENT, MEASURE, STAGES])
@pytest.mark.parametrize("second", [AUGMENT, MEASURE, STAGES])
def test_a_run_of_another_kind_is_refused(first: str, second: str, tmp_path: Path) -> None:
    with open_run(tmp_path / "run", kind=first) as run:
        run.stage("a", write_scene, depends_on=1)
    before = tree(tmp_path)
    if first == second:
        with open_run(tmp_path / "run", kind=second):
            return
    said = r"holds .* run.*choose an empty or new folder for --out"
    with pytest.raises(RunFolderError, match=said), open_run(tmp_path / "run", kind=second):
        pass
    assert tree(tmp_path) == before


def earlier(folder: Path, files: dict[str, object]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            (folder / name).write_text(content)
        else:
            write_json(folder / name, content)


OLD_STAGE = {"fingerprint": "0123456789abcdef", "seconds": 1.0, "peak_mb": 300}
OLD_MEASURE = {"command": "", "options": {}, "versions": {}}
EARLIER = [
    (
        AUGMENT,
        {".lock": "", "run.json": {"asked": {}, "command": "", "versions": {}, "seed": 0, "stages": {}}},
    ),
    (AUGMENT, {".lock": "", "capture/stage.json": OLD_STAGE | {"name": "capture"}}),
    (AUGMENT, {".lock": "", ".capture.part/training/a.png": ""}),
    (AUGMENT, {"report.json": {"schema": "bridge4d/augment/1"}}),
    (MEASURE, {".lock": "", "run.json": OLD_MEASURE}),
    (MEASURE, {".lock": "", "clips/a/result.json": {}, "clips/.b.part/work/database.db": ""}),
    (MEASURE, {"report.json": {"schema": "bridge4d/measure/1"}}),
    (STAGES, {".lock": "", "frames/room/warp/stage.json": OLD_STAGE | {"name": "frames/room/warp"}}),
    (None, {".lock": ""}),
]


@pytest.mark.parametrize(("kind", "files"), EARLIER, ids=lambda value: str(value)[:40])
def test_the_kind_of_runs_of_earlier_versions_is_told_from_what_lies_there(
    kind: str | None, files: dict[str, object], tmp_path: Path
) -> None:
    earlier(tmp_path, files)
    assert kind_of(tmp_path) == kind
    before = tree(tmp_path)
    for other in {AUGMENT, MEASURE, STAGES} - {kind if kind is not None else AUGMENT}:
        if kind is not None:
            with pytest.raises(RunFolderError, match="run"), open_run(tmp_path, kind=other):
                pass
            assert tree(tmp_path) == before
    with open_run(tmp_path, kind=kind or MEASURE):
        pass


@pytest.mark.parametrize(
    "files",
    [
        {"run.json": "of another program"},
        {"run.json": [1, 2]},
        {".lock": "", "thesis.tex": "precious"},
        {".lock": "of another program\n", "thesis.tex": "precious"},
        {"clips/a.mp4": "precious"},
        {"clips/.a.part": "precious"},
        {"splats/scene.ply": "precious"},
    ],
)
def test_folders_that_are_no_run_are_left_as_they_are(files: dict[str, object], tmp_path: Path) -> None:
    earlier(tmp_path, files)
    before = tree(tmp_path)
    for kind in (AUGMENT, MEASURE, STAGES):
        with (
            pytest.raises(RunFolderError, match="holds files that are no run's"),
            open_run(tmp_path, kind=kind),
        ):
            pass
    assert tree(tmp_path) == before


def cut(file: Path) -> None:
    os.truncate(file, 5)


def change(file: Path) -> None:
    file.write_bytes(bytes(file.stat().st_size))


def make_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize("file", ["scene.ply", "colmap/points.bin", "stage.json"])
@pytest.mark.parametrize("harm", [cut, change, Path.unlink, make_pipe])
def test_a_damaged_stage_is_made_again(
    harm: Callable[[Path], None], file: str, notes: Notes, tmp_path: Path
) -> None:
    assert stage(tmp_path, notes) == [1]
    whole = tree(tmp_path / "exports")
    assert stage(tmp_path, notes) == []
    harm(tmp_path / "exports" / file)
    assert stage(tmp_path, notes) == [1]
    assert notes.said[-1] != "exports: done before, kept"
    found = tree(tmp_path / "exports")
    del whole["stage.json"], found["stage.json"]
    assert found == whole
    assert stage(tmp_path, notes) == []


def test_what_is_wrong_with_a_stage_is_said(notes: Notes, tmp_path: Path) -> None:
    stage(tmp_path, notes)
    cut(tmp_path / "exports" / "scene.ply")
    stage(tmp_path, notes)
    assert notes.said[-1] == "exports: scene.ply has 5 bytes, not 3000, redoing"
    change(tmp_path / "exports" / "scene.ply")
    stage(tmp_path, notes)
    assert notes.said[-1] == "exports: scene.ply is not what was written, redoing"
    (tmp_path / "exports" / "scene.ply").unlink()
    stage(tmp_path, notes)
    assert notes.said[-1] == "exports: scene.ply is missing, redoing"


@pytest.mark.parametrize("listed", [True, False], ids=["in a stage", "in place of a stage"])
def test_files_that_the_run_did_not_write_are_never_deleted(
    listed: bool, notes: Notes, tmp_path: Path
) -> None:
    stage(tmp_path, notes, "splats/photos_only")
    (tmp_path / "splats" / "photos_only" / "thesis.txt").write_text("precious")
    if not listed:
        (tmp_path / "splats" / "photos_only" / "stage.json").unlink()
    cut(tmp_path / "splats" / "photos_only" / "scene.ply")
    assert stage(tmp_path, notes, "splats/photos_only") == [1]
    aside = tmp_path / "set-aside" / "splats_photos_only-1"
    assert (aside / "thesis.txt").read_text() == "precious"
    assert str(aside) in notes.said[-1]
    assert not (tmp_path / "splats" / "photos_only" / "thesis.txt").exists()


def test_a_folder_that_only_looks_like_a_leftover_is_not_deleted(notes: Notes, tmp_path: Path) -> None:
    stage(tmp_path, notes)
    (tmp_path / ".exports.part").mkdir()
    (tmp_path / ".exports.part" / "thesis.txt").write_text("precious")
    (tmp_path / ".thesis.part").write_text("precious")
    stage(tmp_path, notes, "exports")
    cut(tmp_path / "exports" / "scene.ply")
    assert stage(tmp_path, notes) == [1]
    assert [path.read_text() for path in tmp_path.rglob("thesis.txt")] == ["precious"]
    assert (tmp_path / ".thesis.part").read_text() == "precious"


@pytest.mark.parametrize(
    "link", ["splats", "splats/photos_only", "exports/scene.ply", ".lock", "clips", ".work"]
)
def test_links_inside_a_run_folder_are_refused(link: str, notes: Notes, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "photos_only").mkdir(parents=True)
    (outside / "photos_only" / "thesis.txt").write_text("precious")
    stage(tmp_path / "run", notes)
    path = tmp_path / "run" / link
    path.parent.mkdir(exist_ok=True)
    if path.exists():
        path.unlink()
    path.symlink_to(outside if link != ".lock" else tmp_path / "absent")
    before = tree(outside)
    with pytest.raises(RunFolderError, match=f"{path} is a link"):
        stage(tmp_path / "run", notes, "splats/photos_only")
    assert tree(outside) == before
    assert not (tmp_path / "absent").exists()


def test_a_link_made_while_the_run_goes_on_is_refused(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "photos_only").mkdir(parents=True)
    (outside / "photos_only" / "thesis.txt").write_text("precious")
    with open_run(tmp_path / "run") as run:
        (run.folder / "splats").symlink_to(outside)
        with pytest.raises(RunFolderError, match="is a link"):
            run.stage("splats/photos_only", write_scene, depends_on=1)
    assert tree(outside) == {"photos_only": None, "photos_only/thesis.txt": b"precious"}


def test_the_run_folder_itself_may_be_a_link(notes: Notes, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "disk")
    assert stage(tmp_path / "run", notes) == [1]
    assert stage(tmp_path / "run", notes) == []


def test_files_beside_the_stages_that_the_run_did_not_write_are_never_replaced(
    notes: Notes, tmp_path: Path
) -> None:
    """There before the run ended, and changed since it wrote them."""

    def end(text: str) -> None:
        with open_run(tmp_path) as run, use_reporter(notes), run.file("report.html") as file:
            file.write_text(text)

    stage(tmp_path, notes)
    (tmp_path / "report.html").write_text("precious")
    end("first")
    aside = tmp_path / "set-aside"
    assert (aside / "report-1.html").read_text() == "precious"
    assert notes.said[-1] == (
        "report.html: what was there is not what this run left (another version's, or changed since); it is kept in "
        f"{aside / 'report-1.html'}"
    )
    end("second")
    assert (tmp_path / "report.html").read_text() == "second"
    assert [path.name for path in aside.iterdir()] == ["report-1.html"]
    (tmp_path / "report.html").write_text("second, with remarks")
    end("third")
    assert (aside / "report-2.html").read_text() == "second, with remarks"
    (tmp_path / ".written.json").write_text("[")
    end("fourth")
    assert (aside / "report-3.html").read_text() == "third"


def test_a_lock_that_is_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".lock")
    with pytest.raises(RunFolderError, match=r"expected a file at .*\.lock"), open_run(tmp_path):
        pass


def test_files_that_change_while_they_are_read_are_not_believed(tmp_path: Path) -> None:
    source = tmp_path / "photo"
    source.write_text("first")

    def ask(run: Run, work: Callable[[Path], None]) -> None:
        run.stage("capture", work, depends_on=1, reads=source.read_text)

    def overtaken(folder: Path) -> None:
        (folder / "read").write_text(source.read_text())
        source.write_text("second")

    def read(folder: Path) -> None:
        (folder / "read").write_text(source.read_text())

    with open_run(tmp_path / "run") as run:
        with pytest.raises(RunFolderError, match="changed while they were read"):
            ask(run, overtaken)
        source.write_text("first")
        ask(run, read)
        assert (run.folder / "capture" / "read").read_text() == "first"
        source.write_text("third")
        ask(run, read)
        assert (run.folder / "capture" / "read").read_text() == "third"


def test_a_refused_run_leaves_no_empty_folders(tmp_path: Path) -> None:
    def refuse(folder: Path) -> None:
        raise CaptureError("no photos")

    (tmp_path / "kept").mkdir()
    for out in (tmp_path / "runs" / "new" / "run", tmp_path / "kept"):
        with pytest.raises(CaptureError), open_run(out) as run:
            run.stage("splats/photos_only", refuse, depends_on=1)
        assert list(tmp_path.rglob("*")) == [tmp_path / "kept"]


def test_a_run_that_was_refused_later_keeps_what_it_has(tmp_path: Path) -> None:
    def refuse(folder: Path) -> None:
        raise CaptureError("nothing")

    with open_run(tmp_path / "run") as run:
        run.stage("capture", write_scene, depends_on=1)
    with pytest.raises(CaptureError), open_run(tmp_path / "run") as run:
        run.stage("sfm", refuse, depends_on=1)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [".lock", "capture"]


def test_stages_of_earlier_versions_which_list_no_files_are_made_again(notes: Notes, tmp_path: Path) -> None:
    stage(tmp_path, notes)
    file = tmp_path / "exports" / "stage.json"
    said = json.loads(file.read_text())
    del said["files"]
    write_json(file, said)
    assert stage(tmp_path, notes) == [1]
    (aside,) = (tmp_path / "set-aside").iterdir()
    assert (aside / "scene.ply").read_bytes() == b"ply" * 1000
    assert stage(tmp_path, notes) == []


WHOLE = {"name": "exports", "fingerprint": "a", "seconds": 1.0, "peak_mb": 1.0}
ONE = {"bytes": 8, "sha256": "0" * 64}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(WHOLE),
        json.dumps(WHOLE | {"files": 5}),
        json.dumps(WHOLE | {"files": ["thesis.txt"]}),
        json.dumps(WHOLE | {"files": {"thesis.txt": 5}}),
        json.dumps(WHOLE | {"files": {"thesis.txt": ONE}}).replace("1.0", "1e400", 1),
        json.dumps(WHOLE | {"files": {"thesis.txt": ONE}}).replace("8", "8" * 400),
        json.dumps(WHOLE | {"files": {"thesis.txt": ONE, "a\0b": ONE}}),
        json.dumps(WHOLE | {"files": {"thesis.txt": ONE, "\ud800": ONE}}),
        json.dumps(WHOLE | {"files": {"thesis.txt": ONE, "": ONE}}),
        json.dumps(WHOLE | {"files": {"thesis.txt": ONE, "/etc/hostname": ONE}}),
        json.dumps(WHOLE | {"files": {"thesis.txt": ONE, "../exports/thesis.txt": ONE}}),
        json.dumps(WHOLE | {"files": {"thesis.txt": ONE, "a/./b": ONE}}),
        json.dumps(WHOLE | {"files": {"thesis.txt": ONE}, "made_of": {"version": "1"}}),
        json.dumps(WHOLE | {"files": {"thesis.txt": ONE}, "name": "sfm"}),
        json.dumps({"name": "exports", "unfinished": True, "begun_s": 0.0}),
        "[" * 100_000,
        "",
    ],
    ids=lambda text: text[:20] + text[-40:],
)
def test_what_a_strange_record_of_a_stage_lies_beside_is_kept(
    text: str, notes: Notes, tmp_path: Path
) -> None:
    """Also where it says to be unfinished: stages are not put together in the place where they end up."""
    stage(tmp_path, notes, "capture")
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "thesis.txt").write_text("precious")
    (tmp_path / "exports" / "stage.json").write_text(text)
    assert stage(tmp_path, notes) == [1]
    assert [path.read_text() for path in tmp_path.rglob("thesis.txt")] == ["precious"]
    assert "it is kept in" in notes.said[-1]


def test_what_a_killed_stage_left_is_removed_and_what_was_put_there_since_is_not(
    notes: Notes, tmp_path: Path
) -> None:
    """The time of the last beat tells: what was written before the stage began, or long after it, is not of it."""
    stage(tmp_path, notes, "capture")
    beside = tmp_path / ".exports.part"

    def kill(**times_s: float) -> None:
        """Leaves what a killed process leaves, and one file that was written so many seconds after its last beat."""
        beside.mkdir()
        begun = beside.stat().st_mtime
        with mark_unfinished("exports", beside):
            write_scene(beside)
        for name, time_s in times_s.items():
            (beside / name).write_text("precious")
            os.utime(beside / name, (begun + time_s, begun + time_s))

    kill()
    stage(tmp_path, notes, "capture")
    assert not beside.exists()
    kill(soon=3.0)  # a child of its process that ends later
    stage(tmp_path, notes, "capture")
    assert not beside.exists()
    for time_s in (-3600.0, 3600.0):
        kill(thesis=time_s)
        stage(tmp_path, notes, "capture")
        assert (beside / "thesis").exists()
        cut(tmp_path / "exports" / "scene.ply") if (tmp_path / "exports").exists() else None
        assert stage(tmp_path, notes) == [1]
        assert not beside.exists()
    kept = sorted(path.parent.name for path in tmp_path.rglob("thesis"))
    assert kept == ["exports-1", "exports-2"]


def test_what_is_left_of_a_marker_that_was_being_written_is_removed(notes: Notes, tmp_path: Path) -> None:
    stage(tmp_path, notes, "capture")
    (tmp_path / ".exports.part").mkdir()
    (tmp_path / ".exports.part" / ".stage.json.17.part").write_text("{")
    assert stage(tmp_path, notes) == [1]
    assert not (tmp_path / "set-aside").exists()


def test_a_stage_in_work_says_that_it_is_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge4d.runs.stages.BEAT_S", 0.01)
    (tmp_path / ".a.part").mkdir()
    with mark_unfinished("a", tmp_path / ".a.part"):
        marker = tmp_path / ".a.part" / "stage.json"
        os.utime(marker, (0.0, 0.0))
        end = time.monotonic() + 10
        while marker.stat().st_mtime == 0.0 and time.monotonic() < end:
            time.sleep(0.01)
        assert marker.stat().st_mtime > 0


def test_a_reconstruction_does_not_take_the_place_of_an_augmented_scene(tmp_path: Path) -> None:
    from bridge4d.augmenting.loop import reconstruct_scene

    run = tmp_path / "run"
    run.mkdir()
    (run / ".lock").write_text("augment\n")
    report = '{"schema": "bridge4d/augment/1", "rounds": [{"round": 1}]}'
    (run / "report.json").write_text(report)
    (tmp_path / "photos").mkdir()
    with pytest.raises(RunFolderError, match="holds what bridge4d augment made"):
        reconstruct_scene(tmp_path / "photos", run)
    assert (run / "report.json").read_text() == report
