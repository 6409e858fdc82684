"""Views of a capture along a path: where they are seen from, and what is written."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bridge4d.generating.generate import generate
from bridge4d.generating.options import GenerateOptions
from bridge4d.scenes import load_scene
from eval.pictures.images import psnr
from recon.camera_files.formats.transforms_write import write_transforms
from recon.cameras import Cameras
from recon.clip import Clip
from recon.clips.clipset import find_clips
from recon.clips.read import read_clip
from recon.compute.progress import Silent, use_reporter
from recon.errors import BridgeError, RunFolderError
from worldgen.models.synthetic import SyntheticRoom

SMALL = GenerateOptions(model="warp", max_side=160, frames=4)


@pytest.fixture(scope="module")
def walk() -> Cameras:
    return SyntheticRoom().cameras(21, width=160, height=112)


@pytest.fixture(scope="module")
def capture(walk: Cameras, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("capture")
    cameras = walk[::2]
    images, _ = SyntheticRoom().render(cameras)
    names = tuple(f"{i:02d}.png" for i in range(len(images)))
    write_transforms(folder / "transforms.json", Clip(images, cameras, names=names))
    return folder


def test_views_at_the_cameras_of_a_file_show_what_is_there(
    capture: Path, walk: Cameras, tmp_path: Path
) -> None:
    asked = walk[[7, 9, 11]]
    truth, _ = SyntheticRoom().render(asked)
    write_transforms(tmp_path / "asked" / "transforms.json", Clip(truth, asked, names=("a", "b", "c")))
    options = replace(SMALL, path=str(tmp_path / "asked" / "transforms.json"), frames=None)
    done = generate(capture, tmp_path / "run", options)
    found = read_clip(find_clips(done.frames).sources[0]).clip
    assert done.count == len(found) == 3
    assert psnr(found.images, truth).min() > 20, "a warp of the room scores 24 dB here"
    assert found.cameras is not None
    torch.testing.assert_close(found.cameras.cam_from_world.double(), asked.cam_from_world, rtol=0, atol=1e-5)
    assert done.video.stat().st_size > 1000
    about = json.loads((done.run / "generate.json").read_text())
    assert about["count"] == 3
    assert about["world_model"]["name"] == "warp"
    first = (done.frames / "00000.png").read_bytes()
    again = generate(capture, tmp_path / "run", options)
    assert (again.frames / "00000.png").read_bytes() == first


class Noted(Silent):
    """Keeps what is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


def test_a_path_that_looks_past_the_scene_names_the_convention(
    capture: Path, walk: Cameras, tmp_path: Path
) -> None:
    """Bare matrices do not say how they are meant, and generate registers nothing that could tell later."""
    asked = walk[[7, 9]]
    file = tmp_path / "poses.npz"
    np.savez(file, poses=asked.world_from_cam.numpy(), intrinsics=asked.K.numpy())
    options = replace(SMALL, path=str(file), frames=None)
    for convention, warned in (("world_from_cam/opengl", True), ("world_from_cam/opencv", False)):
        noted = Noted()
        with use_reporter(noted):
            generate(capture, tmp_path / "run", replace(options, convention=convention))
        said = " ".join(noted.said)
        assert ("give --convention world_from_cam/opencv" in said) == warned, said
        assert ("of the scene's points in view" in said) == warned


def test_a_transforms_file_in_axes_of_opencv_is_told(capture: Path, walk: Cameras, tmp_path: Path) -> None:
    """Its format says OpenGL, so that no option mends it."""
    folder = tmp_path / "asked"
    asked = walk[[7, 9]]
    write_transforms(folder / "transforms.json", Clip(SyntheticRoom().render(asked)[0], asked))
    said = json.loads((folder / "transforms.json").read_text())
    for frame in said["frames"]:
        frame["transform_matrix"] = [[x, -y, -z, t] for x, y, z, t in frame["transform_matrix"][:3]] + [
            [0, 0, 0, 1]
        ]
    (folder / "transforms.json").write_text(json.dumps(said))
    noted = Noted()
    with use_reporter(noted):
        generate(capture, tmp_path / "run", replace(SMALL, path=str(folder / "transforms.json"), frames=None))
    told = " ".join(noted.said)
    assert "read as world_from_cam/opengl, have" in told
    assert "read as world_from_cam/opencv they would" in told
    assert "correct the file" in told


def test_a_dolly_goes_towards_what_the_middle_photo_sees(capture: Path, tmp_path: Path) -> None:
    done = generate(capture, tmp_path / "run", replace(SMALL, path="dolly"))
    cameras = read_clip(find_clips(done.frames).sources[0]).clip.require_cameras()
    steps = cameras.centers.diff(dim=0)
    along = torch.nn.functional.cosine_similarity(steps, cameras.forward[:1].expand_as(steps))
    assert len(cameras) == 4
    assert along.min() > 0.999
    assert float(steps.norm(dim=1).std() / steps.norm(dim=1).mean()) < 1e-3


def test_what_cannot_be_made_is_refused_before_the_long_work(capture: Path, tmp_path: Path) -> None:
    with pytest.raises(BridgeError, match="did you mean warp"):
        generate(capture, tmp_path / "run", replace(SMALL, model="wrap"))
    assert not (tmp_path / "run").exists()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / ".lock").write_text("augment\n")
    (tmp_path / "other" / "capture").mkdir()
    with pytest.raises(RunFolderError, match="a run of bridge4d augment"):
        generate(capture, tmp_path / "other", SMALL)
    with pytest.raises(BridgeError, match="--fps above 0"):
        GenerateOptions(fps=0.0)


def test_a_file_of_cameras_needs_their_frame(capture: Path, walk: Cameras, tmp_path: Path) -> None:
    """COLMAP makes a frame of its own from scratch, in which the file's cameras stand anywhere."""
    write_transforms(tmp_path / "asked.json", Clip(torch.zeros(2, 112, 160, 3), walk[:2], names=("a", "b")))
    options = replace(SMALL, path=str(tmp_path / "asked.json"), frames=None, protocol="from-scratch")
    with pytest.raises(BridgeError, match=r"asked\.json lies in a frame of its own.*known-poses"):
        generate(capture, tmp_path / "run", options)
    with pytest.raises(BridgeError, match=r"a file of cameras, but there is no .*nowhere\.json"):
        generate(capture, tmp_path / "other", replace(options, path=str(tmp_path / "nowhere.json")))
    assert not (tmp_path / "other").exists()


def test_a_run_of_views_is_no_scene(capture: Path, tmp_path: Path) -> None:
    done = generate(capture, tmp_path / "run", replace(SMALL, path="still", frames=2))
    assert done.count == 2
    with pytest.raises(BridgeError, match="a run of bridge4d generate, which makes views and no scene"):
        load_scene(done.run)
    done.video.write_bytes(b"edited by hand")
    again = generate(capture, tmp_path / "run", replace(SMALL, path="still", frames=2))
    assert again.video.stat().st_size > 1000
    kept = [path for path in (done.run / "set-aside").rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in kept] == [b"edited by hand"]
