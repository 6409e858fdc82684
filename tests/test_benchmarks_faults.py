"""The benchmark of faults: its clips are what they are called, and its verdicts what its head says."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.fault_harmless import HARMLESS
from benchmarks.fault_kinds import FAULTS, Row
from benchmarks.fault_recoveries import KeptRecoverer
from benchmarks.fault_scenes import FRAMES, Scene
from benchmarks.fault_verdicts import judge
from benchmarks.measure_faults import choose_rows, clip_name, realestate10k, table
from eval.results.measure import ASTRAY, ClipResult, ErrorValue, Verdict
from recon.camera_files.formats import realestate10k as reader
from recon.clip import Clip
from recon.errors import BridgeError
from recon.sfm.recipes import FRAMES as FRAMES_RECIPE
from recon.sfm.recoverer import Recoverer

ROWS = {row.name: row for row in (*FAULTS, *HARMLESS)}


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene("room-0", 32, 24, tmp_path)


def clip(
    follows: bool | None, *, auc: float = 0.0, causes: list[str] | None = None, notes: list[str] | None = None,
    cosmos: bool = False, recovered: bool = True, because: str = "",
) -> ClipResult:  # fmt: skip
    verdicts = {"follows@15": Verdict(success=follows, because=because), "auc@5": Verdict(share=auc)}
    verdicts["cosmos"] = Verdict(success=cosmos)
    return ClipResult(
        verdicts=verdicts, causes=causes or [], notes=notes or [], recovered=recovered, frames=20
    )


@pytest.mark.parametrize(
    ("row", "found", "verdict"),
    [
        ("backwards", clip(True), "praised"),
        ("backwards", clip(False, cosmos=True, causes=["opposite direction"]), "praised"),
        ("backwards", clip(False, causes=["opposite direction"]), "told"),
        ("backwards", clip(False, causes=[ASTRAY]), "unspecific"),
        ("backwards", clip(False, causes=["jump"]), "misnamed"),
        ("backwards", clip(False), "unexplained"),
        ("jump", clip(None, auc=0.95), "praised"),
        ("jump", clip(None, because="no parallax"), "undefined"),
        ("jump", clip(None), "unexplained"),
        ("jump", clip(False, recovered=False, causes=["split into 2 models"]), "lost"),
        ("jump", clip(False, recovered=False), "unexplained"),
        ("frozen tail", clip(True, notes=["2 frames equal to the one before (18–19)"]), "noted"),
        ("rotation drift", clip(False, causes=["scale drift"]), "misnamed"),
        ("clean", clip(True), "right"),
        ("clean", clip(False, because="registered, but: jump"), "blamed"),
        ("clean", clip(True, causes=["jump"]), "blamed"),
        ("clean", clip(True, notes=["1 cut (before 3)"]), "blamed"),
        ("clean", clip(None, because="no parallax"), "undefined"),
        ("pause, as asked", clip(True, notes=["4 frames equal to the one before (8–11)"]), "right"),
    ],
)
def test_a_clip_is_judged_by_what_was_said_of_it(row: str, found: ClipResult, verdict: str) -> None:
    assert judge(ROWS[row], "1", "room-0", found).verdict == verdict


def test_a_right_clip_is_blamed_by_large_errors() -> None:
    found = replace(clip(True), errors={"rotation_deg": ErrorValue(value=9.0)})
    assert judge(ROWS["clean"], "orbit", "clutter-0", found).verdict == "blamed"
    said = replace(found, notes=["one frame is 0.5 of the extent out of place, which may be COLMAP's error"])
    assert judge(ROWS["clean"], "orbit", "clutter-0", said).verdict == "excused"


def test_every_row_has_three_strengths_and_a_name_of_its_own() -> None:
    names = {clip_name("room-0", row, strength) for row in ROWS.values() for strength in row.strengths}
    assert len(names) == 3 * len(FAULTS) + 3 * len(HARMLESS)


def test_rows_are_chosen_by_how_their_names_begin() -> None:
    assert [row.name for row in choose_rows(("jump", "pan"))] == [
        "jump",
        "pan, as asked",
        "pan far from the origin",
    ]
    with pytest.raises(BridgeError, match="expected rows out of backwards"):
        choose_rows(("jmp",))


def test_the_table_counts_verdicts_and_keeps_the_largest_error() -> None:
    cells = [judge(ROWS["clean"], "curve", f"room-{i}", clip(True)) for i in range(2)]
    cells[1] = replace(cells[1], rotation_deg=0.5)
    text = str(table(cells, [ROWS["clean"]]))
    assert "curve: right 2" in text
    assert "0.50" in text


def test_a_request_is_written_as_it_is_read(scene: Scene, tmp_path: Path) -> None:
    cameras = scene.path("curve")
    file = tmp_path / "request.txt"
    file.write_text(realestate10k(cameras, 9))
    assert torch.allclose(reader.read(file).cam_from_world, cameras.cam_from_world, atol=1e-8)


def test_paths_do_what_they_are_called(scene: Scene) -> None:
    pan, dolly = scene.path("pan"), scene.path("dolly")
    assert pan.centers.std(0).max() < 1e-9
    assert (dolly.centers[-1] - dolly.centers[0]) @ dolly.forward[0].double() == pytest.approx(
        0.35 * scene.distance
    )
    right = scene.path("truck").centers.diff(dim=0)[0] @ scene.middle.world_from_cam[0, :3, 0]
    assert right > 0


def make(name: str, scene: Scene, strength: float | str):
    row: Row = ROWS[name]
    return row.make(scene, strength, torch.Generator().manual_seed(0))


def test_frames_are_played_frozen_and_blacked_as_said(scene: Scene) -> None:
    clean = make("clean", scene, "curve").pictures
    assert (make("backwards", scene, "curve").pictures == clean.flip(0)).all()
    assert (make("mirrored pictures", scene, "curve").pictures == clean.flip(2)).all()
    frozen = make("frozen tail", scene, 0.25).pictures
    assert (frozen[-6:] == frozen[-1]).all()
    assert (frozen[: FRAMES - 5] == clean[: FRAMES - 5]).all()
    assert make("black lead-in", scene, 0.15).pictures[:3].max() == 0


def test_a_jump_is_as_long_as_said(scene: Scene) -> None:
    """The pictures after it are those of the moved cameras, and the request does not know of it."""
    made, clean = make("jump", scene, 0.5), make("clean", scene, "curve")
    half = FRAMES // 2
    assert (made.pictures[:half] == clean.pictures[:half]).all()
    assert (made.pictures[half:] != clean.pictures[half:]).any()
    assert torch.equal(made.asked.centers, clean.asked.centers)


def test_pictures_come_from_the_disk_the_second_time(scene: Scene) -> None:
    first = scene.draw(scene.path("truck", 2))
    files = list(scene.cache.rglob("*.png"))
    assert len(files) == 2
    assert (scene.draw(scene.path("truck", 2)) == first).all()
    assert list(scene.cache.rglob("*.png")) == files


def test_recoveries_are_kept_for_equal_pictures_alone(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = scene.draw(scene.path("truck", 3)).float() / 255

    def find(pictures: torch.Tensor):
        recoverer = KeptRecoverer(Clip(pictures), tmp_path / "work", store=tmp_path / "store")
        return recoverer.matches(), recoverer.recover(FRAMES_RECIPE)

    matches, recovery = find(images)

    def refuse(self: Recoverer, recipe: object = None) -> None:
        raise AssertionError("asked again")

    monkeypatch.setattr(Recoverer, "matches", refuse)
    monkeypatch.setattr(Recoverer, "recover", refuse)
    again, same = find(images)
    assert again.pairs == matches.pairs
    assert same.status == recovery.status
    with pytest.raises(AssertionError, match="asked again"):
        find(images.flip(0))
