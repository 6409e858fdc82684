"""The loop with back ends of random weights, read as users' weights are: they draw noise, the gate refuses it, the report says so."""

import json
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from known_views import ROOM

from bridge4d.augmenting.loop import augment
from bridge4d.augmenting.options import AugmentOptions
from eval.results.augment import PHOTOS_ONLY
from recon.camera_files.formats.transforms_write import write_transforms
from recon.clip import Clip

BACKENDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "wan-vace": (tiny_models.wan_vace, {"area": 160 * 112, "guidance": 1.0}),
    "sana-wm": (tiny_models.sana_wm, {"size": "160x96", "guidance": 1.0}),
    "wan-first-last": (
        lambda: tiny_models.wan_image_to_video(image_encoder=True),
        {"area": 160 * 112, "guidance": 1.0, "max_frames": 9},
    ),
    "cosmos3": (tiny_models.cosmos3, {"size": "320x192"}),
}


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("capture")
    cameras = ROOM.cameras(9, width=160, height=112)
    write_transforms(folder / "transforms.json", Clip(ROOM.render(cameras)[0], cameras))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", BACKENDS)
def test_noise_is_refused_and_the_report_says_so(name: str, capture: Path, tmp_path: Path) -> None:
    build, given = BACKENDS[name]
    weights = tiny_models.saved(build(), tmp_path / "weights")
    options = AugmentOptions(
        model=name,
        model_options={"weights": str(weights), "steps": 1, "turn_deg": 20.0, **given},
        rounds=1,
        novel=3,
        max_side=160,
        iterations=30,
    )
    done = augment(capture, tmp_path / "run", options)
    report = done.report
    assert [frame.accepted for frame in report.generated.frames] == [False] * 3
    assert all(frame.reason for frame in report.generated.frames)
    assert report.kept == PHOTOS_ONLY
    assert done.scene is not None
    assert done.scene.is_file()
    assert report.world_model is not None
    assert report.world_model.name == name
    assert report.world_model.license
    assert "Nobody has run it" in (report.world_model.note or "")
    said = json.loads((tmp_path / "run" / "report.json").read_text())["world_model"]
    assert said["license"] == report.world_model.license
    page = (tmp_path / "run" / "report.html").read_text()
    assert report.world_model.license.split(";")[0] in page
