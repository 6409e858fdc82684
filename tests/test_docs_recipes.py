"""Recipes for research models: what they write says the same cameras, in the words of each model."""

import importlib
import json
import re
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from known_views import ROOM, ask, elsewhere
from scipy.spatial.transform import Rotation

from recon.cameras import Cameras, backproject, project
from recon.clip import Clip
from worldgen.model import Request, Views
from worldgen.outside.options import OutsideOptions
from worldgen.outside.write_request import write_request
from worldgen.rollout import rollout

PAGE = Path(__file__).resolve().parents[1] / "docs" / "recipes.md"
FILE = re.compile(r"```python\n# (\w+)\.py\n(.*?)```", re.DOTALL)
RECIPES = {name for name, _ in FILE.findall(PAGE.read_text())} - {"conversions"}


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the recipes' files and answer.py beside them, as a user has it."""
    folder = tmp_path_factory.mktemp("theirs")
    for name, text in FILE.findall(PAGE.read_text()):
        (folder / f"{name}.py").write_text(text)
    example = files("worldgen.outside").joinpath("examples", "answer.py.txt").read_text()
    (folder / "answer.py").write_text(example)
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
    for name in (*RECIPES, "conversions", "answer"):
        sys.modules.pop(name, None)


class Writer:
    """Keeps the first request as a folder."""

    def __init__(self, options: OutsideOptions, folder: Path) -> None:
        self.options, self.folder = options, folder
        self.spec = options.model_spec()

    def generate(self, request: Request, *, generator: torch.Generator) -> Views:
        if not self.folder.exists():
            write_request(self.folder, request, seed=0, options=self.options)
        t = request.targets
        return Views(Clip(torch.zeros(len(t), t.height, t.width, 3)))


def asked(
    folder: Path, count: int = 3, scale: float = 2.0, **options: Any
) -> tuple[list, dict, Path, Cameras]:
    """Photos and cameras of a request in another world, as a recipe gets them, and the same cameras in the room's own."""
    request = ask(count, width=80, height=48)
    writer = Writer(OutsideOptions(**options), folder)
    rollout(writer, elsewhere(request, scale), generator=torch.Generator().manual_seed(0))
    from PIL import Image

    photos = [np.asarray(Image.open(file)) for file in sorted((folder / "images").glob("*.png"))]
    with np.load(folder / "cameras.npz") as stored:
        cameras = dict(stored)
    return photos, cameras, folder, request.targets


def steps(world_from_cam: np.ndarray) -> np.ndarray:
    """Poses in the frame of the first."""
    return np.linalg.inv(world_from_cam[0]) @ world_from_cam


def truth(cameras: dict[str, np.ndarray]) -> np.ndarray:
    return steps(np.linalg.inv(cameras["target_cam_from_world"]))


def load(name: str) -> ModuleType:
    return importlib.import_module(name)


FIRST = {"first_frame_is_context": True, "turn_deg": 90.0}


def test_there_is_a_recipe_of_every_model_of_the_table() -> None:
    assert {"seva", "gen3c", "lingbot", "lyra", "worldplay", "flashworld", "wanfun"} == RECIPES


def test_lingbot(theirs: Path, tmp_path: Path) -> None:
    photos, cameras, _, _ = asked(tmp_path / "request", frames="4k+1", size="832x480", **FIRST)
    load("lingbot").write(tmp_path, photos, cameras)
    poses, lens = np.load(tmp_path / "poses.npy"), np.load(tmp_path / "intrinsics.npy")
    assert len(poses) == len(lens) == 5
    assert np.abs(poses - truth(cameras)).max() < 1e-5
    assert np.abs(lens[0] - cameras["context_K"][0][[0, 1, 0, 1], [0, 1, 2, 2]]).max() < 1e-2, "of the photo"


def test_lyra(theirs: Path, tmp_path: Path) -> None:
    photos, cameras, _, _ = asked(tmp_path / "request", frames="80k+1", size="832x480", unit="metre", **FIRST)
    load("lyra").write(tmp_path, photos, cameras)
    path = np.load(tmp_path / "path.npz")
    assert path["w2c"].shape == (81, 4, 4)
    assert np.abs(np.linalg.inv(path["w2c"]) - truth(cameras)).max() < 1e-9
    assert (int(path["image_width"]), int(path["image_height"])) == (832, 480)
    assert np.abs(path["intrinsics"] - cameras["target_K"]).max() == 0


def test_worldplay(theirs: Path, tmp_path: Path) -> None:
    photos, cameras, _, _ = asked(
        tmp_path / "request", frames="16k+13", size="832x480", unit="metre", **FIRST
    )
    load("worldplay").write(tmp_path, photos, cameras)
    said = json.loads((tmp_path / "path.json").read_text())
    assert list(said) == ["0", "1", "2", "3"], "a pose for every fourth of 13 frames"
    poses = np.array([one["extrinsic"] for one in said.values()])
    assert np.abs(poses - truth(cameras)[::4]).max() < 1e-9
    assert said["1"]["K"][0][2] == 416


def test_flashworld(theirs: Path, tmp_path: Path) -> None:
    photos, cameras, _, _ = asked(tmp_path / "request", frames="k+24", max_frames=24, size="704x480", **FIRST)
    load("flashworld").write(tmp_path, photos, cameras)
    said = json.loads((tmp_path / "asked" / "view.json").read_text())
    assert said["resolution"] == [24, 480, 704]
    poses = np.tile(np.eye(4), (24, 1, 1))
    for pose, one in zip(poses, said["cameras"], strict=True):
        w, x, y, z = one["quaternion"]
        pose[:3, :3] = Rotation.from_quat([x, y, z, w]).as_matrix() @ np.diag([1.0, -1, -1])  # OpenGL
        pose[:3, 3] = one["position"]
    assert np.abs(steps(poses) - truth(cameras)).max() < 1e-9


def test_wanfun(theirs: Path, tmp_path: Path) -> None:
    _, cameras, _, _ = asked(tmp_path / "request", frames="4k+1", size="832x480", **FIRST)
    rows = np.array(load("wanfun").rows(cameras, 0.5))
    assert rows.shape == (5, 19)
    poses = np.tile(np.eye(4), (5, 1, 1))
    poses[:, :3] = rows[:, 7:].reshape(-1, 3, 4)
    wanted = truth(cameras)
    wanted[:, :3, 3] *= 0.5
    assert np.abs(np.linalg.inv(poses) - wanted).max() < 1e-9
    K = cameras["target_K"]
    assert np.allclose(
        rows[:, 1:5], np.stack([K[:, 0, 0] / 832, K[:, 1, 1] / 480, K[:, 0, 2] / 832, K[:, 1, 2] / 480], 1)
    )


def test_seva(theirs: Path, tmp_path: Path) -> None:
    photos, cameras, _, _ = asked(tmp_path / "request", size="96x96")
    load("seva").write(tmp_path, photos, cameras)
    said = json.loads((tmp_path / "transforms.json").read_text())["frames"]
    split = json.loads((tmp_path / "train_test_split_3.json").read_text())
    assert split == {"train_ids": [0, 1, 2], "test_ids": [3, 4, 5]}
    poses = np.array([frame["transform_matrix"] for frame in said]) @ np.diag([1.0, -1, -1, 1])
    wanted = np.concatenate([cameras["context_cam_from_world"], cameras["target_cam_from_world"]])
    assert np.abs(np.linalg.inv(poses) - wanted).max() < 1e-9
    assert said[4]["fl_x"] == cameras["target_K"][1, 0, 0]
    assert all((tmp_path / frame["file_path"]).is_file() for frame in said)


def test_gen3c(theirs: Path, tmp_path: Path) -> None:
    """A pixel of a photo, with its depth, lands in each target where it does in the room; whole numbers are pixel centres."""
    photos, cameras, folder, _ = asked(
        tmp_path / "request", frames="120k+1", size="160x88", depth=True, **FIRST
    )
    with np.load(folder / "depth.npz") as stored:
        load("gen3c").write(tmp_path / "gen3c.npz", photos, cameras, dict(stored))
    given = {
        name: torch.from_numpy(value).double() for name, value in np.load(tmp_path / "gen3c.npz").items()
    }
    assert given["w2cs_all"].shape == (121, 4, 4)
    assert given["images_key_frames"].shape == (2, 3, 88, 160)
    depth, seen = given["depth_key_frames"][:, 0], given["mask_key_frames"][:, 0] > 0
    assert float(depth[seen].median()) == pytest.approx(1.0, abs=1e-3)

    def ours(K: torch.Tensor) -> torch.Tensor:
        half = torch.tensor([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]]).double()
        return K + half

    theirs_cameras = Cameras(given["w2cs_key_frames"], ours(given["K_key_frames"]), 160, 88)
    points = backproject(depth, theirs_cameras)[0][seen[0]]
    landed, _ = project(points, Cameras(given["w2cs_all"][1:2], ours(given["Ks_all"][1:2]), 160, 88))
    lens = torch.from_numpy(cameras["context_K"][:1]), torch.from_numpy(cameras["target_K"][1:2])
    photo = Cameras(torch.from_numpy(cameras["context_cam_from_world"][:1]), lens[0], 160, 88)
    known = ROOM.render(_at_home(photo))[1].double() * 2.0
    wanted, _ = project(
        backproject(known, photo)[0][seen[0]],
        Cameras(torch.from_numpy(cameras["target_cam_from_world"][1:2]), lens[1], 160, 88),
    )
    assert (landed - wanted)[0].norm(dim=1).median() < 0.1
    assert seen.float().mean() > 0.9


def _at_home(camera: Cameras) -> Cameras:
    """The camera of the other world, in the room."""
    from known_views import similarity

    return similarity(2.0).inverse().cameras(camera)
