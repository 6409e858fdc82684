"""`bridge4d mesh`: runs and files become meshes in the frame and the files that were asked for."""

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

import bridge4d as b4
from bridge4d import cli
from bridge4d.scenes import LoadedScene, SceneView
from recon.cameras import Cameras, intrinsics, look_at
from recon.errors import BridgeError, SceneFileError
from recon.gaussians import Gaussians, concatenate, from_points
from recon.scenefiles import write_scene
from recon.sequence import GaussianFrames
from recon.sim3 import Sim3
from recon.splats.render import render
from recon.splats.similarity import even_directions, transform_gaussians

UP = torch.tensor([0.0, -1.0, 0.0], dtype=torch.float64)
COARSE = b4.SurfaceOptions(voxel=0.08, max_side=96, depth="scene")


def ball(count: int = 1500) -> Gaussians:
    """On the ground: its middle at y = 0, where y points down."""
    directions = even_directions(count)
    scene = from_points(directions, (directions * 0.5 + 0.5).float(), sh_degree=0, opacity=0.95)
    return replace(scene, log_scales=scene.log_scales - 0.5)


@pytest.fixture
def tilted(tmp_path: Path) -> tuple[LoadedScene, Sim3]:
    """A run of level photos around a ball, all of it turned and moved, with a shell far behind."""
    angle = torch.linspace(0, 5.5, 12).double()
    eye = torch.stack([3 * angle.sin(), torch.full_like(angle, -0.6), -3 * angle.cos()], -1)
    pose = look_at(eye, torch.zeros(12, 3).double(), UP.expand(12, 3))
    level = Cameras(pose, intrinsics(focal_px=100, width=96, height=80, n=12), 96, 80)
    turn = torch.linalg.matrix_exp(torch.tensor([[0, -0.4, 0.2], [0.4, 0, -0.3], [-0.2, 0.3, 0]]).double())
    moved = Sim3(torch.tensor(1.0).double(), turn, torch.tensor([3.0, 1.0, -2.0]).double())
    cameras = moved.cameras(level)
    scene = transform_gaussians(ball(), moved)
    shell = from_points(30 * even_directions(100), torch.zeros(100, 3), sh_degree=0, opacity=0.9)
    images = render(scene, cameras).images.clamp(0, 1)
    views = []
    for i in range(12):
        Image.fromarray((images[i] * 255).byte().numpy()).save(tmp_path / f"{i}.png")
        views.append(SceneView(f"{i}.jpg", "photo", cameras[i], tmp_path / f"{i}.png"))
    both = concatenate([scene, shell])
    rows = torch.arange(len(both)) >= len(scene)
    run = LoadedScene(Path("run"), Path("run/scene.ply"), both, views=tuple(views), in_backdrop=rows)
    return run, moved


def test_a_run_becomes_an_upright_mesh(tilted: tuple[LoadedScene, Sim3], tmp_path: Path) -> None:
    run, moved = tilted
    out = [tmp_path / "new" / "m.ply", tmp_path / "new" / "m.stl"]
    done = b4.mesh(run, out, b4.MeshOptions(surface=COARSE, scale=2.0))
    assert done.files == tuple(out)
    assert "the cameras" in done.frame.up
    found = trimesh.load(out[0], process=False)
    # gravity decides which way is up, and nothing moves what lies where
    middle = 2 * done.frame.out_from_scene.rotation @ moved.translation
    off = np.linalg.norm(found.vertices - middle.numpy(), axis=1)
    assert abs(np.median(off) - 2) < 0.1
    green = np.asarray(found.visual.vertex_colors)[:, 1]  # grows along y in the level frame, as y points down
    lower = found.vertices[:, 1] > middle[1].item()
    assert green[lower].mean() > 160
    assert green[~lower].mean() < 95
    assert done.textured is None
    assert len(trimesh.load(out[1]).faces) == len(found.faces) == len(done.mesh)


def test_raw_keeps_the_frame_of_the_scene(tilted: tuple[LoadedScene, Sim3], tmp_path: Path) -> None:
    run, moved = tilted
    done = b4.mesh(run, tmp_path / "m.ply", b4.MeshOptions(surface=COARSE, axes="raw"))
    found = trimesh.load(tmp_path / "m.ply", process=False)
    off = np.linalg.norm(found.vertices - moved.translation.numpy(), axis=1)
    assert abs(np.median(off) - 1) < 0.05
    assert torch.equal(done.frame.out_from_scene.rotation, torch.eye(3).double())


def test_photos_are_used_where_there_are_any(tilted: tuple[LoadedScene, Sim3]) -> None:
    run, _ = tilted
    done = b4.mesh(run, options=b4.MeshOptions(surface=replace(COARSE, depth="auto")))
    assert 0 < done.from_photos <= 1
    assert done.views == 12
    assert done.files == ()


def test_files_with_textures_get_a_simpler_mesh(
    tilted: tuple[LoadedScene, Sim3], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = tilted
    with_texture = b4.MeshOptions(surface=replace(COARSE, texture=256, faces=1000))
    targets = [tmp_path / "m.glb", tmp_path / "m.obj", tmp_path / "m.ply"]
    if importlib.util.find_spec("xatlas") is not None:
        done = b4.mesh(run, targets, with_texture)
        assert done.textured is not None
        assert [f.name for f in done.files] == ["m.glb", "m.obj", "m.mtl", "m.jpg", "m.ply"]
    monkeypatch.setitem(sys.modules, "xatlas", None)
    with pytest.raises(BridgeError, match=r"pip install 'bridge4d\[texture\]'"):
        b4.mesh(run, targets, with_texture)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    plain = b4.mesh(run, tmp_path / "plain.glb", b4.MeshOptions(surface=COARSE))
    assert plain.textured is None
    assert any("colours are at the vertices" in note for note in plain.notes)


def test_a_moving_scene_is_meshed_at_a_moment(tmp_path: Path) -> None:
    small = ball()
    frames = [small, replace(small, means=2 * small.means, log_scales=small.log_scales + 0.7)]
    moving = GaussianFrames(torch.tensor([0.0, 1.0]).double(), frames)
    scene = LoadedScene(tmp_path / "s.4dgs", tmp_path / "s.4dgs", small, moving=moving)
    options = b4.MeshOptions(surface=replace(COARSE, voxel=0.15, max_side=64), at=1.0)
    done = b4.mesh(scene, options=options)
    assert abs(float(done.mesh.vertices.norm(dim=-1).median()) - 2) < 0.15
    assert any("at 1 s" in note for note in done.notes)


def test_the_command_says_what_it_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    write_scene(ball(), tmp_path / "ball.ply")
    base = [
        "bridge4d",
        "mesh",
        str(tmp_path / "ball.ply"),
        "--voxel",
        "0.12",
        "--max-side",
        "64",
        "--texture",
        "0",
    ]

    def run(*more: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [*base, *more])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    glb, stl = str(tmp_path / "m.glb"), str(tmp_path / "m.stl")
    status, out, _ = run("--to", glb, stl)
    assert status == 0
    assert "placed on a sphere around it" in out
    assert "m.glb" in out
    status, out, _ = run("--json", "--to", glb)
    said = json.loads(out)
    assert status == 0
    assert said["files"][glb] == Path(glb).stat().st_size
    assert said["triangles"] > 500
    for wrong, sentence in (
        (["--to", str(tmp_path / "m.gltf2")], "is no kind of mesh file"),
        (["--to", str(tmp_path / "ball.ply")], "lies where the scene"),
        (["--to", glb, glb], "one name comes twice"),
        (["--to"], "expected a file to write"),
        (["--to", glb, "--at", "1"], "--at is for scenes that move"),
        (["--to", glb, "--depth", "photos"], "needs a run folder with photos"),
    ):
        status, _, err = run(*wrong)
        assert status == 2
        assert sentence in " ".join(err.split())


def test_what_is_no_scene_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.ply").write_bytes(b"nothing")
    with pytest.raises(SceneFileError):
        b4.mesh(tmp_path / "x.ply", tmp_path / "m.glb")
    with pytest.raises(BridgeError, match="expected a --scale from"):
        b4.MeshOptions(scale=0)
