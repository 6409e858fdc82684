"""`bridge4d measure` says so where the requested cameras were read by the wrong convention, and which is right."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.kill_and_resume import write_frames
from bridge4d.measuring.checking.check_report import check_report
from bridge4d.measuring.measure_clips import measure_clips
from bridge4d.measuring.measure_options import MeasureOptions
from eval.report.measure.complete import complete_measure
from eval.report.measure.page import summary_text
from eval.results.conventions import AS_STATED, CANNOT_TELL, OTHERWISE, ReadingCheck
from eval.results.measure import ClipResult, MeasureReport, Model
from eval.results.reading import from_json, to_json
from recon.cameras import Cameras
from worldgen.models.synthetic import SyntheticRoom

FRAMES, WIDTH, HEIGHT = 8, 192, 128
OPTIONS = MeasureOptions(rules=("share@90",), metrics="none", workers=1, convention="cam_from_world/opencv")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A walk through the room, beside it its poses as world_from_cam and its lens."""
    folder = tmp_path_factory.mktemp("misread")
    room = SyntheticRoom(0)
    walk = room.cameras(4 * FRAMES, width=WIDTH, height=HEIGHT)[: 2 * FRAMES : 2]
    write_frames(folder / "walk", room.render(walk)[0])
    save(folder / "walk.npz", walk)
    return folder


def save(file: Path, cameras: Cameras) -> None:
    size = {"width": np.array(cameras.width), "height": np.array(cameras.height)}
    np.savez(file, poses=cameras.world_from_cam.numpy(), K=cameras.K.numpy(), **size)


def test_a_wrong_convention_is_said_with_the_right_one(clips: Path, tmp_path: Path) -> None:
    wrong = measure_clips(clips, tmp_path / "wrong", OPTIONS)
    found = wrong.report.clips[0].readings
    assert (found.fit, found.named) == (OTHERWISE, ["world_from_cam/opencv"])
    assert (found.convention, found.format) == ("cam_from_world/opencv", "matrices")
    assert any("read as world_from_cam/opencv" in note for note in wrong.report.clips[0].notes)
    summary = summary_text(wrong.report)
    assert "were probably read wrongly: 1 of 1 clip that can tell fits clearly better" in summary
    assert "give --convention world_from_cam/opencv." in summary
    assert "probably read wrongly" in wrong.report_html.read_text()
    assert check_report(wrong.run).agrees

    right = measure_clips(
        clips, tmp_path / "right", MeasureOptions(**{**vars(OPTIONS), "convention": "world_from_cam/opencv"})
    )
    found = right.report.clips[0].readings
    assert (found.fit, found.named) == (AS_STATED, [])
    assert found.stated_px is not None
    assert found.stated_px < 0.5
    assert "read wrongly" not in summary_text(right.report)
    assert next(iter(right.report.models.values())).readings == {AS_STATED: 1}
    verdicts = [report.report.clips[0].verdicts for report in (wrong, right)]
    assert verdicts[0] == verdicts[1], "the rule that counts frames does not look at the path"


def test_a_stored_check_comes_back_whole() -> None:
    check = ReadingCheck(OTHERWISE, "why", ["mirrored"], [], 11.2, 0.4, 0.3, 30, {"mirrored": 0.4}, "x", "y")
    clip = ClipResult(name="a", readings=check)
    assert from_json(ClipResult, to_json(clip)) == clip
    assert from_json(ClipResult, {"name": "a"}).readings == ReadingCheck()


def report_of(*checks: ReadingCheck) -> str:
    clips = [ClipResult(name=f"{i}", model="ours", readings=check) for i, check in enumerate(checks)]
    return summary_text(complete_measure(MeasureReport(models={"ours": Model(n=len(clips))}, clips=clips)))


def test_a_model_is_told_by_what_most_of_its_clips_name() -> None:
    inverse = ReadingCheck(
        OTHERWISE, named=["world_from_cam/opencv"], stated_px=9.0, best_px=0.4, format="tum"
    )
    either = ReadingCheck(OTHERWISE, named=["world_from_cam/opencv", "reversed"], stated_px=7, best_px=0.2)
    right, untold = ReadingCheck(AS_STATED), ReadingCheck(CANNOT_TELL)
    said = report_of(inverse, either, untold)
    assert (
        "2 of 2 clips that can tell fit clearly better if they are read as world_from_cam/opencv (0.3 px"
        in said
    )
    assert "the format tum is" in said
    assert "if they are read as world_from_cam/opencv or they are taken from the last" in report_of(either)
    assert "1 of 3 clips of ours fits the requested cameras clearly better" in report_of(
        inverse, right, right
    )
    assert "cameras" not in report_of(right, untold).split("warning: There is no control")[0]
