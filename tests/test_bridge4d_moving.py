"""A moving scene from the command line: sample, reconstruct, go on, export, and what is refused."""

import json
from pathlib import Path

import pytest
from test_bridge4d_cli import call

from bridge4d.scenes import load_scene

SHORT = ["--moving", "--iterations", "40", "--max-side", "96", "--max-gaussians", "6000"]


@pytest.fixture(scope="module")
def takes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("moving") / "takes"
    assert call("sample", folder, "--moving", "--photos", "4", "--cameras", "4").returncode == 0
    return folder


@pytest.fixture(scope="module")
def run(takes: Path) -> Path:
    out = takes.parent / "run"
    assert call("reconstruct", takes, "--out", out, *SHORT).returncode == 0
    return out


def test_the_report_has_what_the_held_out_camera_says(run: Path) -> None:
    report = json.loads((run / "report.json").read_text())
    assert report["schema"] == "bridge4d/moving/1"
    assert report["capture"]["heldout_camera"] == "camera 2"
    assert report["capture"]["frames_trained"] == 12
    assert 0.05 < report["moving_share"] < 0.5
    assert len(report["frames"]) == 4
    assert report["psnr"]["moving"]["moving"] > report["psnr"]["static"]["moving"]
    page = (run / "report.html").read_text()
    assert "What moves is shown at" in page
    assert page.count("<img") == 16
    assert "data:video/mp4" in page


def test_a_run_goes_on_and_is_a_scene(run: Path, takes: Path) -> None:
    before = (run / "exports" / "scene.safetensors").stat().st_mtime_ns
    done = call("reconstruct", takes, "--out", run, *SHORT)
    assert done.returncode == 0
    assert (run / "exports" / "scene.safetensors").stat().st_mtime_ns == before
    assert "splats: done before, kept" in done.stderr
    loaded = load_scene(run)
    assert loaded.moving is not None
    assert len(loaded.moving) == 4


def test_bad_input_ends_in_one_sentence(takes: Path, tmp_path: Path) -> None:
    for words, said in (
        ([tmp_path / "no"], "there is nothing"),
        ([takes, "--features", "opencv"], "--moving does not know --features"),
        ([takes, "--fps", "0"], "expected --fps above 0"),
        ([takes / "cam00"], "one moving camera cannot be reconstructed yet"),
    ):
        done = call("reconstruct", *words, "--moving", "--out", tmp_path / "run")
        assert done.returncode != 0
        assert said in done.stderr
    inside = call("reconstruct", takes, "--moving", "--out", takes / "run")
    assert "expected --out outside of the frames" in inside.stderr
    assert (
        "give --moving as well" in call("reconstruct", takes, "--fps", "9", "--out", tmp_path / "run").stderr
    )
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "a.txt").write_text("mine")
    assert "holds other files" in call("sample", tmp_path / "taken", "--moving").stderr
    before = (takes / "cam00" / "frame_0000.jpg").read_bytes()
    assert "holds other files" in call("sample", takes, "--moving", "--photos", "5").stderr
    assert (takes / "cam00" / "frame_0000.jpg").read_bytes() == before


def test_another_picture_is_another_capture(run: Path, takes: Path) -> None:
    picture = takes / "cam00" / "frame_0000.jpg"
    right = picture.read_bytes()
    picture.write_bytes((takes / "cam00" / "frame_0001.jpg").read_bytes())
    try:
        done = call("reconstruct", takes / "transforms.json", "--out", run, *SHORT)
    finally:
        picture.write_bytes(right)
    assert done.returncode == 0
    assert "capture: " in done.stderr
    assert "capture: done before, kept" not in done.stderr
