"""A finished clip as a world model: it is asked for its own cameras, brought into the capture's world by what both know."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bridge4d.augmenting.loop import augment
from bridge4d.augmenting.options import AugmentOptions
from bridge4d.command_line.model_arguments import split_model_arguments
from bridge4d.generating.generate import generate
from bridge4d.generating.options import GenerateOptions
from eval.pictures.images import psnr
from recon.camera_files.formats.transforms_write import build_transforms, write_transforms
from recon.cameras import Cameras
from recon.clip import Clip
from recon.clips.clipset import find_clips
from recon.clips.read import read_clip
from recon.errors import BridgeError, ReconstructionError
from recon.pictures.eight_bit import to_eight_bit
from recon.scene import Scene
from recon.sim3 import Sim3
from recon.videos.write import write_video
from worldgen.finished.model import Finished, fit_canvas
from worldgen.model import ChoosesCameras, Request
from worldgen.models.synthetic import SyntheticRoom
from worldgen.registry import check_model, load_model, model_files
from worldgen.rollout import rollout
from worldgen.trajectories import interpolate

FRAMES = 7
PHOTOS = tuple(f"IMG_{i:02d}" for i in range(8))
CANVAS = (160, 112)
"""Of the photos; the clip is 16:9."""
TURN = Sim3(
    torch.tensor(2.5, dtype=torch.float64),
    torch.linalg.matrix_exp(
        torch.tensor([[0, -0.4, 0.3], [0.4, 0, -0.9], [-0.3, 0.9, 0]], dtype=torch.float64)
    ),
    torch.tensor([3.0, -1, 7], dtype=torch.float64),
)
"""From the room to another world."""


@dataclass(frozen=True)
class Filmed:
    """A clip in the room, and photos of it."""

    folder: Path
    cameras: Cameras
    photos: Clip

    @property
    def video(self) -> Path:
        return self.folder / "clip.mp4"

    def scene(self, **known: object) -> Scene:
        """What the loop knows: photos 0 to 5 are registered."""
        posed = PHOTOS[:6], self.photos.require_cameras()[:6]
        return replace(Scene(posed_photos=posed), **known)

    def file(self, world: Sim3, name: str, photos: Sequence[int] = (), frames: int = FRAMES) -> Path:
        """A transforms.json in a world of its own, of the clip's frames and of these photos."""
        both = [(f"clip/{i:05d}.png", self.cameras[i]) for i in range(frames)] + [
            (f"photos/{PHOTOS[i]}.jpg", self.photos.require_cameras()[i]) for i in photos
        ]
        rows = [build_transforms(world.cameras(camera), [path])["frames"][0] for path, camera in both]
        file = self.folder / name
        file.write_text(json.dumps({"camera_model": "OPENCV", "frames": rows}))
        return file

    def model(self, file: Path, **options: object) -> Finished:
        model = load_model(f"finished:{self.video}", {"cameras": file, **options})
        assert isinstance(model, Finished)
        return model


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Filmed:
    room, folder = SyntheticRoom(), tmp_path_factory.mktemp("finished")
    at = room.cameras(8, width=CANVAS[0], height=CANVAS[1])
    photos = Clip(room.render(at, samples=1)[0], at, names=PHOTOS)
    wide = interpolate(room.cameras(5, width=192, height=108)[1:4], count=FRAMES)
    with write_video(folder / "clip.mp4", width=192, height=108, fps=8, crf=4) as add:
        for picture in to_eight_bit(room.render(wide)[0]).numpy():
            add(picture)
    return Filmed(folder, wide, photos)


def assert_same_poses(found: Cameras, expected: Cameras, within: float = 1e-6) -> None:
    torch.testing.assert_close(found.cam_from_world.double(), expected.cam_from_world, rtol=0, atol=within)


def test_cameras_in_the_captures_world_are_brought_into_the_scenes(filmed: Filmed) -> None:
    """The loop may work in a frame of its own, moved from the one that came with the photos."""
    file = filmed.file(Sim3.identity(), "same.json")
    model = filmed.model(file)
    assert isinstance(model, ChoosesCameras)
    chosen = model.choose_targets(filmed.photos, filmed.scene(given_from_scene=TURN.inverse()), count=None)
    assert_same_poses(chosen, TURN.cameras(filmed.cameras))
    assert (chosen.width, chosen.height) == CANVAS


def test_frames_are_what_its_cameras_see_on_the_photos_canvas(filmed: Filmed) -> None:
    model = filmed.model(filmed.file(Sim3.identity(), "same.json"))
    scene = filmed.scene(given_from_scene=Sim3.identity())
    targets = model.choose_targets(filmed.photos, scene, count=3)
    views = rollout(model, Request(filmed.photos, targets, scene=scene), generator=torch.Generator())
    truth = SyntheticRoom().render(targets)[0]
    sure = views.clip.confidence
    assert sure is not None
    inside = sure > 0.5
    assert 0.75 < float(inside.double().mean()) < 0.85, "16:9 in 10:7"
    error = float((views.clip.images - truth).abs()[inside].mean())
    other = float((views.clip.images - truth.roll(1, 2)).abs()[inside].mean())
    assert error < 0.03, "video and scaling"
    assert other > 1.3 * error, "a pixel aside"
    assert not sure[:, 0].any()
    assert_same_poses(views.clip.require_cameras(), filmed.cameras[[0, 3, 6]])


@pytest.mark.parametrize("shared", [(0, 2, 3, 5), (1, 4)])
def test_photos_that_the_file_names_bring_worlds_together(filmed: Filmed, shared: tuple[int, ...]) -> None:
    """Photos 6 and 7 are named, too, and were not registered: they are no frames of the clip."""
    model = filmed.model(filmed.file(TURN, "named.json", [*shared, 6, 7]))
    chosen = model.choose_targets(filmed.photos[[0, 1]], filmed.scene(), count=None)
    assert_same_poses(chosen, filmed.cameras)


def test_one_shared_photo_leaves_the_scale_to_metres(filmed: Filmed) -> None:
    file = filmed.file(TURN, "one.json", [3])
    in_metres = filmed.scene(metres_per_unit=1.0)  # of the room; a unit of the file is 0.4 m
    chosen = filmed.model(file, metres_per_unit=0.4).choose_targets(filmed.photos, in_metres, count=None)
    assert_same_poses(chosen, filmed.cameras)
    for options, scene, lacks in (
        ({}, in_metres, "give --model.metres-per-unit"),
        ({"metres_per_unit": 0.4}, filmed.scene(), "give --metres-per-unit"),
        ({"metres_per_unit": 0.4}, replace(in_metres, metres_assumed=True), "give --metres-per-unit"),
    ):
        with pytest.raises(BridgeError, match=f"share one photo with the capture.*{lacks}"):
            filmed.model(file, **options).choose_targets(filmed.photos, scene, count=None)


def test_a_clip_without_cameras_shows_what_colmap_registers_against_the_photos(tmp_path: Path) -> None:
    """Lens and cameras are recovered; a frame of nothing is left out, and nothing is guessed for it."""
    room = SyntheticRoom()
    at = room.cameras(6, width=400, height=300)
    photos = Clip(room.render(at, samples=1)[0], at, names=PHOTOS[:6])
    truth = interpolate(room.cameras(5, width=384, height=216)[1:4], count=4)
    frames = [*to_eight_bit(room.render(truth, samples=1)[0]).numpy(), np.full((216, 384, 3), 128, np.uint8)]
    with write_video(tmp_path / "clip.mp4", width=384, height=216, fps=8, crf=4) as add:
        for picture in frames:
            add(picture)
    name, scene = f"finished:{tmp_path / 'clip.mp4'}", Scene(posed_photos=(photos.names, at))
    model = load_model(name, {})
    assert isinstance(model, ChoosesCameras)
    chosen = model.choose_targets(photos, scene, count=None)
    assert len(chosen) == len(truth), "the last frame shows nothing"
    on_canvas = 400 / 384  # the wider clip fills the width of the photos
    assert float(chosen.K[0, 0, 0]) == pytest.approx(float(truth.K[0, 0, 0]) * on_canvas, rel=0.01)
    assert_same_poses(chosen, truth, within=0.02)
    views = rollout(model, Request(photos, chosen, scene=scene), generator=torch.Generator())
    inside = views.clip.confidence > 0.5
    assert float(psnr(views.clip.images, room.render(chosen, samples=1)[0], inside).min()) > 25
    given = load_model(name, {"focal_px": float(truth.K[0, 0, 0])})
    assert isinstance(given, ChoosesCameras)
    assert_same_poses(given.choose_targets(photos, scene, count=None), truth, within=0.01)
    blank = replace(photos, images=torch.full_like(photos.images, 0.5))
    with pytest.raises(BridgeError, match="to tell its focal length; give it"):
        load_model(name, {}).choose_targets(blank, scene, count=None)
    with pytest.raises(BridgeError, match=r"none of the 5 frames .* expected a clip of the same place"):
        load_model(name, {"focal_px": 300.0}).choose_targets(blank, scene, count=None)
    with pytest.raises(BridgeError, match="expected two posed photos or more"):
        load_model(name, {}).choose_targets(photos[:1], scene, count=None)
    with pytest.raises(BridgeError, match=r"expected --model.focal-px without --model.cameras"):
        load_model(name, {"focal_px": 300.0, "cameras": tmp_path / "any.json"})


def test_what_cannot_be_placed_or_paired_is_refused(filmed: Filmed, tmp_path: Path) -> None:
    with pytest.raises(BridgeError, match="there is nothing at"):
        check_model(f"finished:{tmp_path}/none.mp4", {"cameras": filmed.file(TURN, "own.json")})
    own = filmed.model(filmed.file(TURN, "own.json"))
    with pytest.raises(BridgeError, match="lie in a world of their own"):
        own.choose_targets(filmed.photos, filmed.scene(), count=None)
    known = filmed.scene(given_from_scene=Sim3.identity())
    few = filmed.file(Sim3.identity(), "few.json", frames=5)
    with pytest.raises(BridgeError, match=r"7 frames and 5 cameras.*`--model.count-rule first`"):
        filmed.model(few).choose_targets(filmed.photos, known, count=None)
    cut = filmed.model(few, count_rule="first").choose_targets(filmed.photos, known, count=None)
    assert_same_poses(cut, filmed.cameras[:5])
    exchanged = json.loads(filmed.file(TURN, "named.json", (0, 2, 3, 5)).read_text())
    rows = exchanged["frames"]
    rows[-1]["file_path"], rows[-3]["file_path"] = rows[-3]["file_path"], rows[-1]["file_path"]
    (filmed.folder / "exchanged.json").write_text(json.dumps(exchanged))
    with pytest.raises(BridgeError, match="are elsewhere in the capture, by"):
        filmed.model(filmed.folder / "exchanged.json").choose_targets(filmed.photos, known, count=None)
    flipped = json.loads(filmed.file(TURN, "named.json", (0, 2, 3, 5)).read_text())
    for row in flipped["frames"]:  # OpenCV axes in a file of OpenGL's, of which places say nothing
        row["transform_matrix"] = [[x, -y, -z, t] for x, y, z, t in row["transform_matrix"][:3]] + [
            [0, 0, 0, 1]
        ]
    (filmed.folder / "flipped.json").write_text(json.dumps(flipped))
    with pytest.raises(BridgeError, match=r"by 0% of their extent and 180°; check the convention"):
        filmed.model(filmed.folder / "flipped.json").choose_targets(filmed.photos, known, count=None)
    bare = {"poses": filmed.cameras.cam_from_world.tolist()}
    (filmed.folder / "bare.json").write_text(json.dumps(bare))
    lensless = filmed.model(filmed.folder / "bare.json", convention="cam_from_world/opencv")
    with pytest.raises(BridgeError, match="expected the lens of"):
        lensless.choose_targets(filmed.photos, known, count=None)
    elsewhere = Request(filmed.photos, filmed.photos.require_cameras()[:1], scene=known)
    same = filmed.model(filmed.file(Sim3.identity(), "same.json"))
    with pytest.raises(BridgeError, match="its own cameras alone"):
        same.generate(elsewhere, generator=torch.Generator())


def test_each_round_takes_other_frames_until_none_are_left(filmed: Filmed) -> None:
    model = filmed.model(filmed.file(Sim3.identity(), "same.json"))
    known = filmed.scene(given_from_scene=Sim3.identity())
    parts = [model.choose_targets(filmed.photos, known, count=3, part=part) for part in (1, 2, 3)]
    assert [len(part) for part in parts] == [3, 2, 2]
    every = Cameras.concatenate(parts).centers
    assert len(torch.unique((1e6 * every).round(), dim=0)) == FRAMES
    with pytest.raises(ReconstructionError, match="earlier rounds took all 7 frames"):
        model.choose_targets(filmed.photos, known, count=3, part=4)


def test_options_are_spelt_as_those_of_other_models_and_files_decide_the_answer(filmed: Filmed) -> None:
    name, file = f"finished:{filmed.video}", filmed.file(TURN, "own.json")
    given = ["photos", "--model", name, "--model.cameras", str(file), "--model.count-rule", "spread"]
    rest, options = split_model_arguments(given, "bridge")
    assert rest == ["photos", "--model", name]
    assert options == {"cameras": file, "count_rule": "spread"}
    assert set(model_files(name, options)) == {filmed.video, file}


def test_a_folder_of_frames_is_paired_by_name(filmed: Filmed, tmp_path: Path) -> None:
    """Frames before the first camera and after the last are left out."""
    inner = filmed.cameras[1:5]
    images = SyntheticRoom().render(filmed.cameras, samples=1)[0]
    names = tuple(f"{i:05d}.png" for i in range(FRAMES))
    write_transforms(tmp_path / "all.json", Clip(images, filmed.cameras, names=names))
    write_transforms(tmp_path / "inner.json", Clip(images[1:5], inner, names=names[1:5]), write_images=False)
    model = load_model(f"finished:{tmp_path / 'images'}", {"cameras": tmp_path / "inner.json"})
    assert isinstance(model, Finished)
    scene = filmed.scene(given_from_scene=Sim3.identity())
    chosen = model.choose_targets(filmed.photos, scene, count=None)
    assert_same_poses(chosen, inner)
    views = model.generate(Request(filmed.photos, chosen, scene=scene), generator=torch.Generator())
    expected = fit_canvas(Clip(images[1:5], inner), width=CANVAS[0], height=CANVAS[1])
    assert float((views.clip.images - expected.images).abs().mean()) < 0.02


def test_a_clip_whose_camera_rests_shows_each_of_its_frames(filmed: Filmed, tmp_path: Path) -> None:
    """Frames 2, 3 and 4 share a pose, and each frame has a grey of its own."""
    resting = filmed.cameras[[0, 1, 2, 2, 2, 3]]
    greys = torch.arange(1, 7) / 8
    images = greys[:, None, None, None].expand(6, resting.height, resting.width, 3).contiguous()
    write_transforms(tmp_path / "all.json", Clip(images, resting))
    model = load_model(f"finished:{tmp_path / 'images'}", {"cameras": tmp_path / "all.json"})
    assert isinstance(model, Finished)
    scene = filmed.scene(given_from_scene=Sim3.identity())

    def shown(targets: Cameras) -> list[int]:
        asked = Request(filmed.photos, targets, scene=scene)
        views = model.generate(asked, generator=torch.Generator())
        return (8 * views.clip.images.mean((1, 2, 3)) - 1).round().int().tolist()

    def chosen(count: int | None, part: int = 1) -> Cameras:
        return model.choose_targets(filmed.photos, scene, count=count, part=part)

    assert shown(chosen(None)) == [0, 1, 2, 3, 4, 5]
    assert shown(chosen(3)) == [0, 2, 4]
    assert shown(chosen(3, part=2)) == [1, 3, 5]
    assert shown(chosen(None)[[4, 1, 3, 1]]) == [2, 1, 3, 1], "in any order, and the same one twice"


def test_a_run_of_views_shows_the_clip_where_it_was_filmed(filmed: Filmed, tmp_path: Path) -> None:
    write_transforms(tmp_path / "capture" / "transforms.json", filmed.photos)
    file = filmed.file(Sim3.identity(), "same.json")
    options = GenerateOptions(
        model=f"finished:{filmed.video}", model_options={"cameras": file}, max_side=CANVAS[0]
    )
    done = generate(tmp_path / "capture", tmp_path / "run", options)
    assert done.count == FRAMES
    assert done.path.startswith("the cameras of finished:")
    found = read_clip(find_clips(done.frames).sources[0]).clip
    assert_same_poses(found.require_cameras(), filmed.cameras, within=1e-4)
    truth = SyntheticRoom().render(found.require_cameras())[0][:, 15:-15]
    assert psnr(found.images[:, 15:-15], truth).min() > 28


@pytest.mark.slow
def test_the_loop_asks_a_clip_for_its_own_frames_and_checks_them(tmp_path: Path) -> None:
    """Two rounds, each of other frames; those whose cameras are right pass the gate."""
    room = SyntheticRoom()
    at = room.cameras(9, width=320, height=224)
    photos = Clip(room.render(at)[0], at, names=tuple(f"IMG_{i}" for i in range(9)))
    write_transforms(tmp_path / "capture" / "transforms.json", photos)
    wide = interpolate(at, count=6)
    wide = replace(wide, K=wide.K, height=180, width=320)
    wide.K[:, 1, 2] -= 22
    write_transforms(tmp_path / "clip" / "transforms.json", Clip(room.render(wide)[0], wide))
    options = AugmentOptions(
        model=f"finished:{tmp_path / 'clip' / 'images'}",
        model_options={"cameras": tmp_path / "clip" / "transforms.json"},
        max_side=320, iterations=40, novel=3, rounds=2, keep="augmented", max_gaussians=4000,
    )  # fmt: skip
    done = augment(tmp_path / "capture", tmp_path / "run", options)
    assert done.report.generated.requested == 6
    assert done.report.generated.accepted >= 5
