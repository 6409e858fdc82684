"""Turning a scene: it must look the same from the turned camera, in every direction."""

import pytest
import torch
from scipy.spatial.transform import Rotation

from recon.cameras import Cameras, intrinsics, look_at
from recon.gaussians import Gaussians
from recon.scenefiles.axes import Axes, axes_from_rdf
from recon.sim3 import Sim3
from recon.splats.render import render
from recon.splats.sh import evaluate_sh
from recon.splats.similarity import (
    even_directions,
    sh_turn_matrix,
    transform_gaussians,
    turn_gaussians,
    turn_sh,
)


def some_scene(generator: torch.Generator, g: int = 60) -> Gaussians:
    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return Gaussians(normal(g, 3), normal(g, 4), normal(g, 3) * 0.7 - 2, normal(g), normal(g, 16, 3) * 0.3)


def any_rotation(seed: int) -> torch.Tensor:
    return torch.from_numpy(Rotation.random(random_state=seed).as_matrix())


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_colours_follow_the_turn_in_64_directions(generator: torch.Generator, degree: int) -> None:
    sh = torch.randn(5, (degree + 1) ** 2, 3, generator=generator, dtype=torch.float64)
    turn, directions = any_rotation(degree), even_directions(64)
    turned = turn_sh(sh, turn)
    for d in directions:
        before = evaluate_sh(sh, d.expand(5, 3), degree)
        after = evaluate_sh(turned, (turn @ d).expand(5, 3), degree)
        assert torch.allclose(before, after, atol=1e-12)


def test_the_turn_of_harmonics_is_orthogonal_and_keeps_bands_apart() -> None:
    matrix = sh_turn_matrix(tuple(map(tuple, any_rotation(3).tolist())))
    assert torch.allclose(matrix @ matrix.T, torch.eye(16, dtype=torch.float64), atol=1e-12)
    assert matrix[1:4, 4:].abs().max() == 0
    assert matrix[0, 1:].abs().max() == 0


@pytest.mark.parametrize(
    ("axes", "signs"),
    [
        (Axes.RUB, "+--+-++-+-+--+-+"),
        (Axes.LUF, "+-+-+-+-+-+-+-+-"),
    ],
)
def test_half_turns_only_change_signs(axes: Axes, signs: str) -> None:
    expected = torch.tensor([1.0 if s == "+" else -1.0 for s in signs], dtype=torch.float64)
    matrix = sh_turn_matrix(tuple(map(tuple, axes_from_rdf(axes).tolist())))
    assert torch.allclose(matrix, torch.diag(expected), atol=1e-14)
    assert (matrix - torch.diag(matrix.diagonal())).abs().max() == 0


def test_a_transformed_scene_looks_the_same_from_the_transformed_camera(generator: torch.Generator) -> None:
    scene = some_scene(generator)
    b_from_a = Sim3(torch.tensor(2.5).double(), any_rotation(1), torch.tensor([3.0, -7.0, 11.0]).double())
    eye = torch.tensor([[0.5, -1.0, -6.0]]).double()
    pose = look_at(eye, torch.zeros(1, 3).double(), torch.tensor([[0.0, -1.0, 0.0]]).double())
    camera = Cameras(pose, intrinsics(focal_px=40, width=48, height=36), 48, 36)
    before = render(scene, camera, engine="reference", near=0.1)
    after = render(
        transform_gaussians(scene, b_from_a), b_from_a.cameras(camera), engine="reference", near=0.25
    )
    assert before.images.std() > 0.05
    assert torch.allclose(before.images, after.images, atol=1e-8)
    assert torch.allclose(before.depth * 2.5, after.depth, atol=1e-6)


def test_a_mirror_carries_a_scene_out_of_left_handed_coordinates(generator: torch.Generator) -> None:
    scene = some_scene(generator)
    mirror = torch.diag(torch.tensor([1.0, -1.0, 1.0])).double()
    twice = turn_gaussians(turn_gaussians(scene, mirror), mirror)
    once = turn_gaussians(scene, mirror)
    assert torch.equal(once.means, scene.means * torch.tensor([1.0, -1.0, 1.0]).double())
    assert torch.allclose(covariances(once), mirror @ covariances(scene) @ mirror, atol=1e-12)
    assert torch.allclose(covariances(twice), covariances(scene), atol=1e-12)
    assert torch.equal(twice.sh, scene.sh)


def covariances(scene: Gaussians) -> torch.Tensor:
    R = torch.from_numpy(Rotation.from_quat(scene.quats_wxyz[:, [1, 2, 3, 0]].numpy()).as_matrix())
    M = R * scene.log_scales.exp()[:, None]
    return M @ M.mT


@pytest.mark.parametrize("axes", list(Axes))
def test_axes_are_right_handed(axes: Axes) -> None:
    turn = axes_from_rdf(axes)
    assert torch.det(turn) == 1
    down = turn @ torch.tensor([0.0, 1.0, 0.0]).double()
    letters = "xyz" if axes is Axes.Z_UP else axes.value
    if axes is Axes.Z_UP:
        assert down.tolist() == [0, 0, -1]
    else:
        assert down.tolist() == [0, {"d": 1, "u": -1}[letters[1]], 0]
