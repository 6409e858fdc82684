"""Stages appear whole or not at all, are kept while what they depend on stays, and redone when it changes."""

import errno
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from notes import Notes

from bridge4d.runs import store, stored_arrays
from bridge4d.runs.fingerprints import fingerprint, fingerprint_files
from bridge4d.runs.run import open_run
from bridge4d.runs.stored_json import DamagedFileError, read_json, write_json
from recon.cameras import Cameras, intrinsics
from recon.clip import Clip
from recon.compute.progress import use_reporter
from recon.errors import RunFolderError
from recon.points import PointCloud


def test_a_finished_stage_is_not_repeated(tmp_path: Path) -> None:
    calls = []

    def work(folder: Path) -> None:
        calls.append(1)
        (folder / "out.txt").write_text(str(len(calls)))

    for _ in range(2):
        with open_run(tmp_path / "run") as run:
            record = run.stage("a/b", work, depends_on=["x", 1])
    assert len(calls) == 1
    assert (record.folder / "out.txt").read_text() == "1"
    with open_run(tmp_path / "run") as run:
        run.stage("a/b", work, depends_on=["x", 2])
    assert (record.folder / "out.txt").read_text() == "2"


MADE = {
    "version": 1, "depends_on": {"views": 9, "seed": 0}, "earlier": {"sfm": "a"}, "files": "b", "libraries": {"torch": "1"}
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, ""),
        ({"version": 2}, "the program's version of this stage changed (1, now 2)"),
        ({"depends_on": {"views": 6, "seed": 1}}, "its options changed (seed, views)"),
        ({"depends_on": {"views": 9, "max_side": 5}}, "its options changed (max side, seed)"),
        ({"earlier": {"sfm": "c"}}, "an earlier stage changed (sfm)"),
        ({"files": "c"}, "the files that it reads changed"),
        ({"libraries": {"torch": "2"}}, "libraries changed (torch 1, now 2)"),
        (
            {"files": "c", "depends_on": {"views": 6, "seed": 0}},
            "the files that it reads changed and its options changed (views)",
        ),
    ],
)
def test_a_stage_is_made_again_where_what_it_is_made_of_changed_and_says_what(
    change: dict, why: str, tmp_path: Path
) -> None:
    done, notes = [], Notes()
    for asked in (MADE, MADE | change):
        made: dict[str, Any] = {key: value for key, value in asked.items() if key != "files"}
        made["reads"] = lambda asked=asked: asked["files"]
        with open_run(tmp_path / "run") as run, use_reporter(notes):
            run.stage("one", lambda folder: done.append(folder), **made)
    assert notes.said == [f"one: {why}, redoing" if why else "one: done before, kept"]
    assert len(done) == (2 if why else 1)


def test_a_stage_of_which_nobody_wrote_down_what_it_is_made_of_is_made_again(tmp_path: Path) -> None:
    notes, file = Notes(), tmp_path / "run" / "one" / "stage.json"
    for changed in ({"made_of": None, "fingerprint": "0"}, {"fingerprint": "0"}):
        with open_run(tmp_path / "run") as run:
            run.stage("one", lambda folder: None)
        said = json.loads(file.read_text()) | changed
        write_json(file, {key: value for key, value in said.items() if value is not None})
        with open_run(tmp_path / "run") as run, use_reporter(notes):
            run.stage("one", lambda folder: None)
    assert notes.said == [
        "one: it was made by an earlier version of bridge4d, redoing",
        "one: its fingerprint changed, redoing",
    ]


def test_a_file_of_a_run_that_is_larger_than_any_is_not_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge4d.runs.stored_json.LARGEST_TEXT", 2 << 20)
    write_json(tmp_path / "a.json", "x" * (2 << 20))
    with pytest.raises(DamagedFileError, match=r"a\.json is damaged \(it has more than 2 MiB\)"):
        read_json(tmp_path / "a.json")
    write_json(tmp_path / "a.json", "x" * ((2 << 20) - 3))
    assert len(read_json(tmp_path / "a.json")) == (2 << 20) - 3


def test_a_stage_that_dies_leaves_nothing_and_keeps_what_was(tmp_path: Path) -> None:
    def good(folder: Path) -> None:
        (folder / "out.txt").write_text("good")

    def bad(folder: Path) -> None:
        (folder / "half.txt").write_text("half")
        raise KeyboardInterrupt

    with open_run(tmp_path / "run") as run:
        run.stage("s", good, depends_on=1)
        with pytest.raises(KeyboardInterrupt):
            run.stage("s", bad, depends_on=2)
    assert (tmp_path / "run" / "s" / "out.txt").read_text() == "good"
    assert not list((tmp_path / "run").rglob("half.txt"))


def test_a_kill_between_the_renames_is_survived(tmp_path: Path) -> None:
    """The only moment at which the old folder is away and the new one is not there yet."""

    def work(folder: Path) -> None:
        (folder / "out.txt").write_text("new")

    with open_run(tmp_path / "run") as run:
        record = run.stage("s", work, depends_on=1)
    record.folder.rename(record.folder.with_name(".s.old"))
    with open_run(tmp_path / "run") as run:
        assert (run.stage("s", work, depends_on=1).folder / "out.txt").read_text() == "new"
    assert not (tmp_path / "run" / ".s.old").exists()


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(RunFolderError, match=r"thesis\.tex"), open_run(tmp_path):
        pass
    assert (tmp_path / "thesis.tex").read_text() == "precious"


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(RunFolderError, match="there is a file"), open_run(tmp_path / "run"):
        pass


def test_two_processes_cannot_work_in_one_run(tmp_path: Path) -> None:
    with (
        open_run(tmp_path / "run"),
        pytest.raises(RunFolderError, match="another process"),
        open_run(tmp_path / "run"),
    ):
        pass


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    from recon.errors import explain_os_error

    sentence = str(explain_os_error(OSError(errno.ENOSPC, "No space left on device"), tmp_path))
    assert "no space left" in sentence
    assert "finished stages are kept" in sentence


def test_json_refuses_nan_and_leaves_the_old_file(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"x": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": 1}


def test_fingerprints_tell_content_apart(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    before = fingerprint_files(tmp_path)
    assert fingerprint_files(tmp_path) == before
    (tmp_path / "a").write_text("2")
    assert fingerprint_files(tmp_path) != before
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})


def test_fingerprints_follow_linked_folders_and_end_where_these_run_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "a").write_text("1")
    (tmp_path / "scene").mkdir()
    (tmp_path / "scene" / "frames").symlink_to(tmp_path / "store")
    (tmp_path / "store" / "up").symlink_to(tmp_path / "scene")
    before = fingerprint_files(tmp_path / "scene")
    (tmp_path / "store" / "a").write_text("2")
    assert fingerprint_files(tmp_path / "scene") != before


def test_a_stored_clip_comes_back_exactly(tmp_path: Path, generator: torch.Generator) -> None:
    n, h, w = 3, 9, 13
    images = torch.randint(0, 256, (n, h, w, 3), generator=generator).float() / 255
    pose = torch.linalg.qr(torch.randn(n, 4, 4, generator=generator, dtype=torch.float64))[0]
    K = intrinsics(focal_px=11.3, width=w, height=h, n=n)
    clip = Clip(
        images,
        Cameras(pose, K, w, h),
        names=("a.jpg", "b.jpg", "c.png"),
        confidence=torch.rand(n, h, w, generator=generator),
        times_s=torch.arange(n, dtype=torch.float64) / 3,
    )
    store.save_clip(clip, tmp_path / "clip")
    back = store.load_clip(tmp_path / "clip")
    assert torch.equal(back.images, images)
    assert torch.equal(back.require_cameras().cam_from_world, pose)
    assert torch.equal(back.require_cameras().K, K)
    assert back.names == clip.names
    assert back.times_s is not None
    assert torch.equal(back.times_s, clip.times_s)  # type: ignore[arg-type]
    assert back.confidence is not None
    assert (back.confidence - clip.confidence).abs().max() <= 0.5 / 65535 + 1e-6  # type: ignore[operator]
    store.save_clip(back, tmp_path / "again")
    assert store.clip_fingerprint(store.load_clip(tmp_path / "again")) == store.clip_fingerprint(back)


def test_names_that_differ_in_their_ending_only_do_not_collide(tmp_path: Path) -> None:
    clip = Clip(torch.stack([torch.zeros(4, 4, 3), torch.ones(4, 4, 3)]), names=("a.jpg", "a.png"))
    store.save_clip(clip, tmp_path)
    assert torch.equal(store.load_clip(tmp_path).images, clip.images)


def test_stored_points_come_back(tmp_path: Path, generator: torch.Generator) -> None:
    points = PointCloud(
        torch.randn(5, 3, generator=generator, dtype=torch.float64),
        torch.rand(5, 3, generator=generator),
        torch.rand(5, generator=generator, dtype=torch.float64),
    )
    stored_arrays.save_points(points, tmp_path / "p.npz")
    assert torch.equal(stored_arrays.load_points(tmp_path / "p.npz").xyz, points.xyz)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b"[" * 100_000, b"\xff", b'{"names": 1}', b"null", b"NaN"]
)
def test_a_damaged_clip_is_one_sentence(content: bytes, tmp_path: Path) -> None:
    clip = Clip(torch.zeros(2, 4, 4, 3), names=("a.png", "b.png"))
    store.save_clip(clip, tmp_path)
    (tmp_path / "clip.json").write_bytes(content)
    with pytest.raises(
        RunFolderError, match=r"clip\.json is damaged \(.*start the command that made it again"
    ):
        store.load_clip(tmp_path)


def test_a_damaged_picture_or_camera_of_a_clip_is_one_sentence(tmp_path: Path) -> None:
    eye = torch.eye(4, dtype=torch.float64)[None]
    clip = Clip(torch.zeros(1, 4, 4, 3), Cameras(eye, eye[:, :3, :3], 4, 4), names=("a.png",))
    store.save_clip(clip, tmp_path)
    whole = (tmp_path / "a.png").read_bytes()
    for content in (whole[:40], b"", b"no picture"):
        (tmp_path / "a.png").write_bytes(content)
        with pytest.raises(RunFolderError, match=r"a\.png is damaged"):
            store.load_clip(tmp_path)
    (tmp_path / "a.png").write_bytes(whole)
    about = json.loads((tmp_path / "clip.json").read_text())
    for cameras in ({}, {"K": 1}, about["cameras"] | {"K": [1, 2]}, about["cameras"] | {"width": None}):
        write_json(tmp_path / "clip.json", about | {"cameras": cameras})
        with pytest.raises(RunFolderError, match=r"clip\.json is damaged"):
            store.load_clip(tmp_path)


def test_damaged_points_and_tracks_are_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "points.npz"
    stored_arrays.save_points(PointCloud.empty(), path)
    whole = path.read_bytes()
    for content in (whole[:100], whole[:-1], b"", b"PK", b"no archive"):
        path.write_bytes(content)
        for load in (stored_arrays.load_points, stored_arrays.load_tracks):
            with pytest.raises(RunFolderError, match=r"points\.npz"):
                load(path)
    path.write_bytes(whole)
    with pytest.raises(RunFolderError, match="does not hold image, point, xy"):
        stored_arrays.load_tracks(path)


def test_what_fits_a_type_is_told() -> None:
    from bridge4d.runs.store import StoredClip
    from bridge4d.runs.typed_json import misfit
    from eval.results.measure import ClipResult, Value

    clip = {"names": ["a"], "files": ["a.png"], "cameras": None, "times_s": [0, 0.5], "confidence": False}
    assert misfit(clip | {"more": 1}, StoredClip) == ""
    for change in ({"names": [1]}, {"names": "a"}, {"times_s": [None]}, {"confidence": 0}, {"cameras": []}):
        assert misfit(clip | change, StoredClip).startswith(next(iter(change)))
    assert misfit({"value": None, "undefined_because": "", "count": 1}, Value) == ""
    assert misfit({"value": True, "undefined_because": "", "count": 1}, Value) == "value is no float"
    for foreign in (None, {}, [], "text", 1):
        assert misfit(foreign, ClipResult)
