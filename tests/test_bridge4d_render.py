"""Videos and pictures along camera paths: where the camera goes, and that the files show what it saw."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bridge4d.rendering.options import RenderOptions
from bridge4d.rendering.paths import camera_path, with_size
from bridge4d.rendering.render_path import render_path
from bridge4d.scenes import PHOTO, LoadedScene, SceneView
from recon.camera_files.formats.transforms_write import build_transforms
from recon.cameras import Cameras, intrinsics, look_at, project
from recon.errors import BridgeError, CaptureError
from recon.gaussians import Gaussians, from_points
from recon.scenefiles import write_scene
from recon.sequence import GaussianFrames
from recon.splats.render import render
from recon.videos.read import decode_frames

UP = torch.tensor([0.0, -1.0, 0.0], dtype=torch.float64)
SMALL = RenderOptions(frames=6, fps=10, max_side=64)


def cloud(generator: torch.Generator, *, red: float | None = None) -> Gaussians:
    """A ball of radius 1 about the origin in many colours, or in one."""
    xyz = torch.nn.functional.normalize(torch.randn(800, 3, generator=generator), dim=-1)
    rgb = torch.rand(800, 3, generator=generator)
    if red is not None:
        rgb = torch.tensor([red, 0.2, 0.2]).expand(800, 3)
    return from_points(xyz, rgb, sh_degree=0, opacity=0.95)


def looking(eyes: torch.Tensor, targets: torch.Tensor, *, width: int = 96, height: int = 64) -> Cameras:
    eyes, targets = eyes.double(), targets.double().expand(len(eyes), 3)
    K = intrinsics(focal_px=90, width=width, height=height, n=len(eyes))
    return Cameras(look_at(eyes, targets, UP.expand(len(eyes), 3)), K, width, height)


def around(degrees: list[float], *, radii: float | list[float] = 4.0, height: float = 0.5) -> Cameras:
    """Photos of the origin, at angles about the vertical."""
    angle = torch.tensor(degrees).double().deg2rad()
    radius = torch.tensor(radii).double().expand(len(degrees))
    eyes = torch.stack([radius * angle.sin(), torch.full_like(angle, -height), -radius * angle.cos()], -1)
    return looking(eyes, torch.zeros(3))


def run_scene(gaussians: Gaussians, photos: Cameras) -> LoadedScene:
    views = tuple(SceneView(f"{i}.png", PHOTO, photos[i], Path(f"{i}.png")) for i in range(len(photos)))
    return LoadedScene(Path("run"), Path("run/exports/scene.ply"), gaussians, views=views)


def degrees_of(path: Cameras) -> torch.Tensor:
    x, _, z = path.centers.unbind(-1)
    return torch.rad2deg(torch.atan2(x, -z))


def angle_deg(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.rad2deg(torch.acos((a * b).sum(-1).clamp(-1, 1)))


@pytest.fixture
def scene(generator: torch.Generator) -> LoadedScene:
    return run_scene(cloud(generator), around([-30, -12, 0, 15, 30]))


def test_an_orbit_swings_along_the_photographed_arc_and_closes(generator: torch.Generator) -> None:
    photos = around([-30, -12, 0, 15, 30], radii=[3.0, 3.5, 4.0, 3.5, 3.0])
    path = camera_path(run_scene(cloud(generator), photos), RenderOptions(frames=100))
    cameras = path.cameras.validate()
    turned = degrees_of(cameras)
    assert path.loops
    assert 30 < turned.max() < 34
    assert -34 < turned.min() < -30
    radii = cameras.centers[:, [0, 2]].norm(dim=-1)
    assert 3.0 <= radii.min() < 3.2
    assert 3.7 < radii.max() <= 4.0, "the distance follows the photos nearby"
    assert torch.allclose(cameras.centers[:, 1], torch.tensor(-0.5).double(), atol=0.05)
    towards = torch.nn.functional.normalize(-cameras.centers, dim=-1)
    assert angle_deg(towards, cameras.forward).max() < 1
    closing = (cameras.centers[0] - cameras.centers[-1]).norm()
    assert closing < 1.05 * cameras.centers.diff(dim=0).norm(dim=-1).max()
    assert "to and fro along 66°, of which the photos span 60°" in path.about


def test_an_orbit_among_photos_all_around_is_a_circle(generator: torch.Generator) -> None:
    photos = around([40.0 * i for i in range(9)])
    path = camera_path(run_scene(cloud(generator), photos), RenderOptions(frames=36))
    steps = angle_deg(path.cameras.forward, path.cameras.forward.roll(-1, 0))
    assert "a full circle" in path.about
    assert steps.min() > 8
    assert steps.max() < 11


def test_an_orbit_of_photos_that_all_look_one_way_stays_before_what_they_see(
    generator: torch.Generator,
) -> None:
    eyes = torch.tensor([[x, y, -4.0] for x in (-0.4, -0.2, 0, 0.2, 0.4) for y in (-0.1, 0.1)])
    photos = looking(eyes, eyes + torch.tensor([0, 0, 1.0]))
    cameras = camera_path(run_scene(cloud(generator), photos), RenderOptions(frames=30)).cameras
    assert cameras.centers[:, 0].abs().max() < 0.8
    assert (cameras.centers[:, 2] + 4).abs().max() < 0.2
    seen, depth = project(torch.tensor([[0.0, 0, -1]]).double(), cameras)
    assert (depth > 0).all()
    assert ((seen > 0) & (seen < torch.tensor([96, 64]))).all(), "the ball stays in the picture"


def test_photos_from_above_are_orbited_about_an_axis_that_means_something(generator: torch.Generator) -> None:
    eyes = torch.tensor([[x, -5.0, z] for x in (-1.0, 0, 1) for z in (-0.5, 0.5)])
    photos = looking(eyes, eyes + torch.tensor([0, 5.0, 0.01]))
    cameras = camera_path(run_scene(cloud(generator), photos), RenderOptions(frames=20)).cameras.validate()
    assert cameras.centers[:, 1].max() < -3, "no camera dives into the ground"
    assert cameras.forward[:, 1].min() > 0.8


def test_a_spiral_closes_and_looks_at_the_scene(scene: LoadedScene) -> None:
    path = camera_path(scene, RenderOptions(path="spiral", frames=60))
    moved = path.cameras.centers - path.cameras.centers.mean(0)
    assert path.loops
    assert 0.05 < moved.norm(dim=-1).max() < 0.8
    closing = (path.cameras.centers[0] - path.cameras.centers[-1]).norm()
    assert closing < 1.2 * path.cameras.centers.diff(dim=0).norm(dim=-1).max()


def test_interpolation_meets_every_photo_at_an_even_pace_whatever_their_order(
    generator: torch.Generator,
) -> None:
    photos = around([20, -30, 5, 30, -12, -20])
    path = camera_path(
        run_scene(cloud(generator), photos), RenderOptions(path="interpolate", frames=301)
    ).cameras
    nearest = torch.cdist(photos.centers, path.centers).min(1).values
    assert nearest.max() < 0.02
    steps = path.centers.diff(dim=0).norm(dim=-1)
    assert steps.max() < 1.5 * steps.median(), "it neither runs nor jumps back"
    assert abs(float(degrees_of(path)[[0, -1]].abs().min()) - 30) < 0.5


def test_a_scene_without_photos_is_circled_and_cannot_be_interpolated(
    generator: torch.Generator,
) -> None:
    bare = LoadedScene(Path("a.ply"), Path("a.ply"), cloud(generator))
    for kind in ("orbit", "spiral", "still"):
        cameras = camera_path(bare, RenderOptions(path=kind, frames=8)).cameras.validate()
        seen, depth = project(torch.zeros(1, 3).double(), cameras)
        assert (depth > 1).all()
        assert ((seen - torch.tensor([cameras.width, cameras.height]) / 2).abs() < 40).all()
    with pytest.raises(BridgeError, match=r"at least two photos for --path interpolate, a\.ply has 0"):
        camera_path(bare, RenderOptions(path="interpolate"))


def test_a_scene_without_photos_is_framed_from_every_side_whatever_floats_around_it(
    generator: torch.Generator,
) -> None:
    pole = cloud(generator)
    pole = replace(pole, means=pole.means * torch.tensor([0.3, 2.0, 0.3]) + torch.tensor([5.0, 0, 1]))
    far = replace(pole[:4], means=torch.tensor([[90.0, 0, 0], [0, 90, 0], [0, 0, 90], [-90, 0, 0]]))
    both = Gaussians(**{k: torch.cat([v, far.tensors()[k]]) for k, v in pole.tensors().items()})
    path = camera_path(LoadedScene(Path("a.ply"), Path("a.ply"), both), RenderOptions(frames=8)).cameras
    seen, depth = project(pole.means.double(), path)
    inside = (seen > 0) & (seen < torch.tensor([path.width, path.height])) & (depth[..., None] > 0)
    assert inside.all(-1).double().mean(1).min() > 0.97
    tall = seen[..., 1].quantile(0.99, dim=1) - seen[..., 1].quantile(0.01, dim=1)
    assert tall.min() > path.height / 2, "and it fills the picture"


def test_a_scene_that_is_looked_at_from_within_is_not_circled(
    generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    walls = replace(cloud(generator), means=cloud(generator).means * 5)
    inside = looking(torch.zeros(1, 3), torch.tensor([0, 0, 1.0]))
    monkeypatch.setattr("bridge4d.rendering.bare_orbit.start_view", lambda scene: inside)
    path = camera_path(LoadedScene(Path("a.ply"), Path("a.ply"), walls), RenderOptions(frames=40))
    assert "to and fro along 30° within the scene" in path.about
    assert path.cameras.centers.norm(dim=-1).max() < 3, "no camera leaves through a wall"


def test_long_ways_take_longer(generator: torch.Generator) -> None:
    for photos, seconds in ((around([-30, 0, 30]), 6), (around([0, 72, 144, 216, 288]), 9)):
        assert len(camera_path(run_scene(cloud(generator), photos), RenderOptions(fps=10)).cameras) == (
            10 * seconds
        )


def test_a_file_of_cameras_is_followed_one_by_one_or_smoothly(scene: LoadedScene, tmp_path: Path) -> None:
    keys = with_size(around([-10, 0, 10, 30]), width=192, height=108)
    file = tmp_path / "path.json"
    file.write_text(json.dumps(build_transforms(keys, [f"{i}.png" for i in range(4)])))
    exact = camera_path(scene, RenderOptions(path=str(file)))
    assert torch.allclose(exact.cameras.cam_from_world, keys.cam_from_world, atol=1e-12)
    assert torch.allclose(exact.cameras.K, keys.K)
    assert (exact.cameras.width, exact.cameras.height) == (192, 108)
    smooth = camera_path(scene, RenderOptions(path=str(file), frames=31)).cameras
    assert torch.allclose(smooth.cam_from_world[::10], keys.cam_from_world, atol=1e-9)
    tum = tmp_path / "tum.txt"
    tum.write_text("0 0 0 -4 0 0 0 1\n1 1 0 -4 0 0 0 1\n")
    unknown = camera_path(scene, RenderOptions(path=str(tum)))
    assert torch.allclose(unknown.cameras.K, scene.views[0].camera.K), "the photos' lens"
    assert any("intrinsics" in note for note in unknown.notes)


def test_other_shapes_keep_the_vertical_field_of_view() -> None:
    wide = with_size(around([0]), width=200, height=32)
    assert torch.allclose(wide.K[0, 1, 1] / 32, torch.tensor(90 / 64).double())
    assert torch.equal(wide.K[0, 0, 0], wide.K[0, 1, 1])
    assert wide.K[0, :2, 2].tolist() == [100, 16]


def test_a_video_shows_what_the_renderer_draws(scene: LoadedScene, tmp_path: Path) -> None:
    done = render_path(scene, tmp_path / "a.mp4", replace(SMALL, background="#204060"))
    found = decode_frames(tmp_path / "a.mp4", range(9))
    assert found.total == len(done) == 6
    assert found.times_s[5] == pytest.approx(0.5)
    assert (done.cameras.width, done.cameras.height) == (64, 42)
    blue = torch.tensor([0x20, 0x40, 0x60]) / 255
    for i in (0, 3):
        drawn = render(scene.gaussians, done.cameras[i], background=blue).images[0].clamp(0, 1) * 255
        error = np.abs(found.pixels[i].astype(float) - drawn.numpy())
        # 4:2:0 halves the resolution of colours; a wrong colour matrix would shift all of them
        assert np.median(error) < 2.5
        assert abs(error.mean(axis=(0, 1))).max() < 8
    again = render_path(scene, tmp_path / "b.mp4", replace(SMALL, background="#204060"))
    assert again.files[0].read_bytes() == done.files[0].read_bytes()


@pytest.mark.parametrize("suffix", [".mov", ".mkv", ".m4v"])
def test_other_videos(scene: LoadedScene, tmp_path: Path, suffix: str) -> None:
    render_path(scene, tmp_path / f"a{suffix}", SMALL)
    assert decode_frames(tmp_path / f"a{suffix}", []).total == 6


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_animations_run_for_ever(scene: LoadedScene, tmp_path: Path, suffix: str) -> None:
    done = render_path(scene, tmp_path / f"a{suffix}", replace(SMALL, frames=5))
    with Image.open(tmp_path / f"a{suffix}") as animation:
        assert animation.n_frames == 5  # type: ignore[attr-defined]
        assert animation.info["loop"] == 0
        animation.seek(3)
        shown = np.asarray(animation.convert("RGB"), dtype=float)
    drawn = render(scene.gaussians, done.cameras[3]).images[0].clamp(0, 1).numpy() * 255
    assert np.abs(shown - drawn).mean() < 12


def test_numbered_pictures_are_exact_and_come_with_their_cameras(scene: LoadedScene, tmp_path: Path) -> None:
    done = render_path(scene, [tmp_path / "frames", tmp_path / "jpg" / "shot_###.jpg"], SMALL)
    drawn = (render(scene.gaussians, done.cameras[4]).images[0].clamp(0, 1) * 255).round().byte()
    assert np.array_equal(np.asarray(Image.open(tmp_path / "frames" / "00004.png")), drawn.numpy())
    assert sorted(p.name for p in (tmp_path / "jpg").iterdir()) == [
        "shot.json", *(f"shot_{i:03d}.jpg" for i in range(6)),
    ]  # fmt: skip
    assert done.to_json()["bytes"][1] == sum(
        p.stat().st_size for p in (tmp_path / "jpg").iterdir() if p.suffix == ".jpg"
    )
    back = camera_path(scene, RenderOptions(path=str(tmp_path / "frames" / "transforms.json")))
    assert torch.allclose(back.cameras.cam_from_world, done.cameras.cam_from_world, atol=1e-9)
    assert torch.allclose(back.cameras.K, done.cameras.K)


def test_a_shorter_rendering_replaces_a_longer_one_and_nothing_else(
    scene: LoadedScene, tmp_path: Path
) -> None:
    folder = tmp_path / "frames"
    render_path(scene, folder, SMALL)
    (folder / "notes.txt").write_text("mine")
    render_path(scene, folder, replace(SMALL, frames=2))
    assert sorted(p.name for p in folder.iterdir()) == [
        "00000.png", "00001.png", "notes.txt", "transforms.json",
    ]  # fmt: skip
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGB", (4, 4)).save(photos / "00000.png")
    before = (photos / "00000.png").read_bytes()
    with pytest.raises(BridgeError, match=r"files that no rendering made \(00000\.png\)"):
        render_path(scene, photos, SMALL)
    assert (photos / "00000.png").read_bytes() == before
    assert [p.name for p in photos.iterdir()] == ["00000.png"]


def test_one_picture_is_where_a_viewer_opens_and_needs_one_camera(scene: LoadedScene, tmp_path: Path) -> None:
    small = replace(SMALL, path=None, frames=None)
    done = render_path(scene, tmp_path / "new" / "view.png", small, alpha=tmp_path / "alpha.jpg")
    render_path(scene, tmp_path / "still", replace(small, path="still", frames=1))
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["view.png"]
    one, numbered = (np.asarray(Image.open(p)) for p in (done.files[0], tmp_path / "still" / "00000.png"))
    assert np.array_equal(one, numbered)
    assert Image.open(tmp_path / "alpha.jpg").mode == "L"
    assert done.to_json()["bytes"][0] == done.files[0].stat().st_size
    with pytest.raises(BridgeError, match=r"one camera for one picture, o\.png.*o_####\.png"):
        render_path(scene, tmp_path / "o.png", replace(SMALL, path="orbit"))
    with pytest.raises(BridgeError, match=r"a folder, or numbered pictures such as depth_####\.png"):
        render_path(scene, tmp_path / "c.png", small, depth=tmp_path / "depth.png")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["alpha.jpg", "new", "still"]


def test_depth_pictures_hold_distances_and_alpha_coverage(tmp_path: Path, generator: torch.Generator) -> None:
    xy = torch.rand(3000, 2, generator=generator) * 2 - 1
    wall = from_points(torch.cat([xy, torch.full((3000, 1), 3.0)], 1), torch.rand(3000, 3), opacity=0.99)
    scene = run_scene(wall, looking(torch.zeros(1, 3), torch.tensor([0, 0, 1.0])))
    still = RenderOptions(path="still", frames=2)
    render_path(scene, tmp_path / "c.mp4", still, depth=tmp_path / "depth", alpha=tmp_path / "a_#.png")
    about = json.loads((tmp_path / "depth" / "depth.json").read_text())
    values = np.asarray(Image.open(tmp_path / "depth" / "00001.png"))
    alpha = np.asarray(Image.open(tmp_path / "a_1.png"))
    assert values.dtype == np.uint16
    middle = (slice(22, 42), slice(38, 58))
    assert np.allclose(values[middle] * about["units_per_value"], 3.0, atol=0.01)
    assert alpha[middle].min() > 240
    assert values[2, 2] == about["nothing_there"] == 0
    assert alpha[2, 2] == 0
    preview = decode_frames(tmp_path / "depth" / "preview.mp4", [0])
    assert preview.total == 2
    assert preview.pixels[0][2, 2].max() < 20
    render_path(scene, tmp_path / "d.mp4", still, depth=tmp_path / "e.mp4", alpha=tmp_path / "f.mp4")
    assert decode_frames(tmp_path / "e.mp4", []).total == decode_frames(tmp_path / "f.mp4", []).total == 2


def moving(generator: torch.Generator) -> LoadedScene:
    """Four moments at half-second steps, from dark to red."""
    frames = [cloud(generator, red=red) for red in (0.1, 0.4, 0.7, 1.0)]
    times_s = torch.tensor([2.0, 2.5, 3.0, 3.5], dtype=torch.float64)
    path = Path("moving.4dgs")
    return LoadedScene(path, path, frames[0], GaussianFrames(times_s, frames))


def redness(folder: Path) -> list[float]:
    return [
        float(np.asarray(Image.open(p), dtype=float)[..., 0].max()) / 255
        for p in sorted(folder.glob("*.png"))
    ]


def test_time_runs_along_in_a_moving_scene(generator: torch.Generator, tmp_path: Path) -> None:
    scene = moving(generator)
    still = RenderOptions(path="still", max_side=48)
    done = render_path(scene, tmp_path / "own", still)
    assert (len(done), done.fps) == (4, 2), "as long as it moves, at its own rate"
    assert redness(tmp_path / "own") == pytest.approx([0.1, 0.4, 0.7, 1.0], abs=0.05)
    render_path(scene, tmp_path / "long", replace(still, fps=4, seconds=3))
    expected = [0.1, 0.1, 0.4, 0.4, 0.7, 0.7, 1.0, 1.0, 0.1, 0.1, 0.4, 0.4]
    assert redness(tmp_path / "long") == pytest.approx(expected, abs=0.05), "and it begins anew"
    render_path(scene, tmp_path / "one", replace(still, frames=2, at=3.1))
    assert redness(tmp_path / "one") == pytest.approx([0.7, 0.7], abs=0.05)
    with pytest.raises(BridgeError, match=r"--at from 2 to .* seconds, got 9"):
        render_path(scene, tmp_path / "x.mp4", replace(still, at=9.0))


def test_a_scene_trained_antialiased_is_drawn_so(scene: LoadedScene, tmp_path: Path) -> None:
    options = RenderOptions(path="still", frames=1, max_side=32)
    for name in ("default", "mip"):
        done = render_path(replace(scene, render_mode=name), tmp_path / name, options)
        drawn = render(scene.gaussians, done.cameras, antialiased=name == "mip").images[0].clamp(0, 1) * 255
        seen = np.asarray(Image.open(tmp_path / name / "00000.png"))
        assert np.array_equal(seen, drawn.round().byte().numpy())


def test_a_rendering_that_fails_leaves_nothing(generator: torch.Generator, tmp_path: Path) -> None:
    first = cloud(generator)
    broken = replace(first, means=first.means * torch.nan)
    frames = GaussianFrames(torch.tensor([0.0, 1.0], dtype=torch.float64), [first, broken])
    scene = LoadedScene(Path("m.4dgs"), Path("m.4dgs"), first, frames)
    targets = [tmp_path / "a.mp4", tmp_path / "b.gif", tmp_path / "frames"]
    with pytest.raises(BridgeError, match="NaN"):
        render_path(scene, targets, RenderOptions(path="still", max_side=32), alpha=tmp_path / "alpha")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("to", "options", "said"),
    [
        ("a.avi", {}, r"a video \(\.mp4.*a folder, or numbered pictures such as a_####\.png, got a\.avi"),
        ("a_##.tif", {}, r"an ending of \.png"),
        ("##_##.png", {}, "one run of #"),
        ("a.mp4", {"width": 33, "height": 32}, r"even sizes for \.mp4 videos, got 33x32"),
        ("a.mp4", {"path": "orbitt"}, "--path orbit, spiral, dolly, interpolate, still or a file of cameras"),
        ("a.mp4", {"at": 1.0}, "for scenes that move"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(
    scene: LoadedScene, tmp_path: Path, to: str, options: dict, said: str
) -> None:
    with pytest.raises(BridgeError, match=said):
        render_path(scene, tmp_path / to, RenderOptions(frames=2, **options))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"frames": 0}, "--frames from 1"),
        ({"frames": 9, "seconds": 1.0, "fps": 9.0}, "two of --frames, --seconds and --fps"),
        ({"width": 5}, "--width from 16"),
        ({"max_side": 10**6}, "--max-side from 16 to 8192"),
        ({"fps": float("nan")}, "--fps above 0"),
        ({"background": "blueish"}, "a colour as --background"),
        ({"crf": 99}, "--crf from 0 to 51"),
        ({"sh_degree": 9}, "--sh-degree from 0 to 3"),
    ],
)
def test_options_out_of_range_are_refused(options: dict, said: str) -> None:
    with pytest.raises(BridgeError, match=said):
        RenderOptions(**options)
    with pytest.raises(BridgeError, match="at most 100000 frames"):
        RenderOptions(seconds=86400).frame_count(6)


def test_names_twice_and_lossy_depth_are_refused(scene: LoadedScene, tmp_path: Path) -> None:
    with pytest.raises(BridgeError, match=r"a\.mp4 would write over"):
        render_path(scene, tmp_path / "a.mp4", SMALL, alpha=tmp_path / "a.mp4")
    with pytest.raises(BridgeError, match=r"expected \.png for pictures of depth"):
        render_path(scene, tmp_path / "a.mp4", SMALL, depth=tmp_path / "d_###.jpg")
    for to, alpha in (("col", "col/#####.png"), ("col", "col/######.png")):
        with pytest.raises(BridgeError, match="would write over"):
            render_path(scene, tmp_path / to, SMALL, alpha=tmp_path / alpha)
    with pytest.raises(BridgeError, match="would write over"):
        render_path(scene, tmp_path / "dep" / "preview.mp4", SMALL, depth=tmp_path / "dep")
    for name in ("transforms.json", "preview.mp4"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text('{"mine": 1}')
        with pytest.raises(BridgeError, match="no rendering"):
            render_path(
                scene, tmp_path / "x.mp4", SMALL, depth=tmp_path / name
            ) if name == "preview.mp4" else (render_path(scene, tmp_path / name, SMALL))
        assert (tmp_path / name / name).read_text() == '{"mine": 1}'
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(CaptureError, match="is not JSON"):
        render_path(scene, tmp_path / "a.mp4", RenderOptions(path=str(tmp_path / "bad.json")))


def test_a_zoom_on_the_spot_is_drawn_picture_by_picture(scene: LoadedScene, tmp_path: Path) -> None:
    camera = around([0.0])
    zooming = [replace(camera, K=intrinsics(focal_px=f, width=96, height=64, n=1)) for f in (40, 80, 160)]
    render_path(scene, tmp_path / "z", SMALL, cameras=Cameras.concatenate(zooming))
    pictures = [np.asarray(Image.open(file)) for file in sorted((tmp_path / "z").glob("*.png"))]
    assert len(pictures) == 3
    assert not np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[1], pictures[2])


def test_rates_that_a_file_cannot_hold_are_refused(scene: LoadedScene, tmp_path: Path) -> None:
    with pytest.raises(BridgeError, match=r"0\.1 to 50 frames a second for z\.gif, got 60"):
        render_path(scene, tmp_path / "z.gif", replace(SMALL, fps=60))
    with pytest.raises(BridgeError, match=r"0\.1 to 1000 frames a second for z\.mp4"):
        render_path(scene, tmp_path / "z.mp4", RenderOptions(max_side=48, frames=2, seconds=86400))
    render_path(scene, tmp_path / "z.gif", replace(SMALL, frames=12, fps=30))
    with Image.open(tmp_path / "z.gif") as film:
        lasts = [film.seek(i) or film.info["duration"] for i in range(film.n_frames)]
    assert sum(lasts) == 400


def test_frames_seconds_and_rate_follow_from_each_other() -> None:
    assert RenderOptions().frame_count(6) == 180
    assert RenderOptions(seconds=2, fps=24).frame_count(6) == 48
    assert RenderOptions(frames=50, seconds=2).frame_rate() == 25
    assert RenderOptions(frames=50).frame_count(6) == 50


def test_the_command(generator: torch.Generator, tmp_path: Path) -> None:
    write_scene(cloud(generator), tmp_path / "scene.ply")
    command = [sys.executable, "-m", "bridge4d", "render", str(tmp_path / "scene.ply"), "--frames", "4"]
    to = ["--to", str(tmp_path / "a.mp4"), "--max-side", "64", "--json"]
    done = subprocess.run([*command, *to], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["frames"] == 4
    assert said["bytes"] == [(tmp_path / "a.mp4").stat().st_size]
    bad = subprocess.run([*command, "--to", "a.avi"], capture_output=True, text=True, check=False)
    assert bad.returncode == 2
    assert "Traceback" not in bad.stderr
    assert math.isclose(said["seconds"], 4 / 30, abs_tol=1e-3)


def test_the_way_back_of_an_orbit_is_not_drawn_again(
    scene: LoadedScene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bridge4d.rendering import painter

    drawn = []
    monkeypatch.setattr(painter, "render", lambda *a, **k: drawn.append(1) or render(*a, **k))
    render_path(scene, tmp_path / "frames", replace(SMALL, frames=60))
    assert len(drawn) <= 32
    assert len(list((tmp_path / "frames").glob("*.png"))) == 60
