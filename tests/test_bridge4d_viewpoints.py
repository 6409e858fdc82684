"""Where a person starts to look at a scene."""

import math
from dataclasses import replace
from pathlib import Path

import torch

from bridge4d.scenes import PHOTO, LoadedScene, SceneView
from bridge4d.viewpoints import level_up, start_view, up_of, viewpoint_of
from recon.cameras import Cameras, intrinsics, look_at, project
from recon.gaussians import Gaussians, from_points
from recon.points import PointCloud
from recon.splats.similarity import even_directions

UP = torch.tensor([0.0, -1.0, 0.0], dtype=torch.float64)


def poster(generator: torch.Generator, *, z: float = 5.0, shell: int = 0) -> Gaussians:
    """A square of 4 units in many colours that stands at z, and a grey shell of large Gaussians far around it."""
    xy = torch.rand(2000, 2, generator=generator) * 4 - 2
    flat = from_points(
        torch.cat([xy, torch.full((2000, 1), z)], 1),
        torch.rand(2000, 3, generator=generator),
        sh_degree=0,
        opacity=0.9,
    )
    if shell == 0:
        return flat
    far = from_points(
        60 * even_directions(shell).float(), torch.full((shell, 3), 0.5), sh_degree=0, opacity=0.9
    )
    both = {name: torch.cat([value, far.tensors()[name]]) for name, value in flat.tensors().items()}
    return Gaussians(**both)


def cameras(*eyes: tuple[float, float, float], target: tuple[float, float, float] = (0, 0, 5)) -> Cameras:
    eye = torch.tensor(eyes, dtype=torch.float64)
    pose = look_at(eye, torch.tensor(target, dtype=torch.float64).expand(len(eye), 3), UP.expand(len(eye), 3))
    return Cameras(pose, intrinsics(focal_px=100, width=120, height=90, n=len(eye)), 120, 90)


def run_scene(gaussians: Gaussians, photos: Cameras, points: PointCloud | None = None) -> LoadedScene:
    views = tuple(SceneView(f"{i}.png", PHOTO, photos[i], Path(f"{i}.png")) for i in range(len(photos)))
    return LoadedScene(Path("run"), Path("run/exports/scene.ply"), gaussians, views=views, points=points)


def file_scene(gaussians: Gaussians) -> LoadedScene:
    return LoadedScene(Path("scene.ply"), Path("scene.ply"), gaussians)


def test_a_run_opens_at_the_photo_that_sees_most(generator: torch.Generator) -> None:
    photos = cameras((0, 0, 4.0), (0, 0, -1.0), (0, 0, 3.0))
    opened = start_view(run_scene(poster(generator), photos))
    assert torch.equal(opened.cam_from_world, photos[1].cam_from_world)
    aside = torch.tensor([[1.7, 0, 5.0]]).expand(50, 3) + 0.1 * torch.rand(50, 3, generator=generator)
    points = PointCloud(aside, torch.rand(50, 3), torch.zeros(50))
    sees_posters_left = cameras((-1.8, 0, 2.0), target=(-1.8, 0, 5))
    sees_points = cameras((1.8, 0, 4.0), target=(1.8, 0, 5))
    both = Cameras.concatenate([sees_posters_left, sees_points])
    assert torch.equal(start_view(run_scene(poster(generator), both, points)).centers, both.centers[1:])


def test_a_bare_file_opens_before_its_densest_part_and_not_outside_the_far_shell(
    generator: torch.Generator,
) -> None:
    gaussians = poster(generator, shell=40)
    opened = start_view(file_scene(gaussians))
    pixels, depths = project(gaussians.means[:2000].double(), opened)
    size = torch.tensor([opened.width, opened.height])
    inside = ((pixels >= 0) & (pixels < size)).all(-1) & (depths > 0)
    assert inside.double().mean() > 0.5
    width_px = pixels[0, :, 0].quantile(0.95) - pixels[0, :, 0].quantile(0.05)
    assert width_px > opened.width / 4
    assert float((opened.centers[0] - torch.tensor([0, 0, 5.0])).norm()) < 15


def test_scenes_of_no_and_of_one_gaussian_open_too(generator: torch.Generator) -> None:
    gaussians = poster(generator)
    assert len(start_view(file_scene(gaussians[:0]))) == 1
    opened = start_view(file_scene(gaussians[:1]))
    pixels, depths = project(gaussians.means[:1].double(), opened.validate())
    assert depths[0, 0] > 0
    assert 0 <= pixels[0, 0, 0] < opened.width
    assert 0 <= pixels[0, 0, 1] < opened.height


def test_the_target_of_a_viewpoint_lies_on_what_is_seen(generator: torch.Generator) -> None:
    camera = cameras((0.3, 0.2, 1.0))
    seen = viewpoint_of(camera, run_scene(poster(generator), camera))
    assert math.isclose(seen.target[2], 5, abs_tol=0.1)
    assert seen.position == tuple(camera.centers[0].tolist())
    assert math.isclose(seen.fov_y_deg, 2 * math.degrees(math.atan(0.45)), rel_tol=1e-9)
    away = cameras((0, 0, 4.0), (0, 1, 4.0), target=(0, 0, -3))  # nothing ahead: where the photos look
    blank = viewpoint_of(away[0], run_scene(poster(generator), away))
    assert math.isclose(blank.target[2], -3, abs_tol=1e-2)


def test_up_is_that_of_the_photos_and_does_not_roll_a_picture(generator: torch.Generator) -> None:
    assert torch.equal(up_of(file_scene(poster(generator))), UP)
    tilted = cameras((0, -3.0, 0.0), (1, -3.0, 0.0), (4, -3.0, 3))  # looking down, held level
    scene = run_scene(poster(generator), tilted)
    assert torch.allclose(up_of(scene), UP, atol=1e-6)
    rolled = replace(tilted, cam_from_world=tilted.cam_from_world.clone())
    turn = math.radians(20)
    roll = torch.tensor(
        [[math.cos(turn), -math.sin(turn), 0], [math.sin(turn), math.cos(turn), 0], [0, 0, 1]]
    ).double()
    rolled.cam_from_world[:, :3] = roll @ rolled.cam_from_world[:, :3]
    up = level_up(rolled[0], UP)
    again = look_at(rolled.centers[:1], rolled.centers[:1] + rolled.forward[:1], up[None])
    assert torch.allclose(again, rolled.cam_from_world[:1], atol=1e-6)
    down = cameras((0, -3, 5), target=(0, 2, 5))
    assert torch.allclose(level_up(down, UP), -down.cam_from_world[0, 1, :3], atol=1e-6)
