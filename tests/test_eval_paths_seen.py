"""Cameras that look past the scene are told from cameras that would see it under another convention."""

import numpy as np
import pytest
import torch

from eval.paths.readings import STATED, reread
from eval.paths.seen import find_seeing_convention, share_in_view
from recon.camera_files.convention import CONVENTIONS
from recon.cameras import Cameras, intrinsics, look_at
from recon.points import PointCloud
from recon.sim3 import Sim3


def cloud(xyz: np.ndarray) -> PointCloud:
    return PointCloud.from_arrays(xyz, np.zeros((len(xyz), 3), np.uint8), np.zeros(len(xyz)))


POINTS = cloud(np.random.default_rng(0).random((400, 3)) - 0.5 + [0.0, 0.0, 6.0])
"""Of something six units away."""
UP = torch.tensor([[0.0, -1.0, 0.0]], dtype=torch.float64)
MOVED = Sim3(
    torch.tensor(2.0, dtype=torch.float64),
    torch.linalg.matrix_exp(
        torch.tensor([[0, -0.3, 0.2], [0.3, 0, -0.5], [-0.2, 0.5, 0]], dtype=torch.float64)
    ),
    torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64),
)
"""From the frame of the file to that of the scene."""


def walk() -> Cameras:
    """Five cameras in the frame of the scene that look at it from aside."""
    eyes = torch.tensor([[x, 0.5, 0.3 * x] for x in (-3.0, -1.5, 0.0, 1.5, 3.0)], dtype=torch.float64)
    target = torch.tensor([0.0, 0.0, 6.0], dtype=torch.float64).expand(5, 3)
    K = intrinsics(focal_px=200, width=200, height=160, n=5)
    return Cameras(look_at(eyes, target, UP.expand(5, 3)), K, 200, 160)


def test_cameras_that_see_the_scene_are_left_alone() -> None:
    assert share_in_view(walk(), POINTS) == 1
    in_file = MOVED.inverse().cameras(walk())
    assert find_seeing_convention(in_file, POINTS, MOVED) is None


@pytest.mark.parametrize("meant", [str(one) for one in CONVENTIONS if one != STATED])
def test_the_convention_that_was_meant_is_named(meant: str) -> None:
    in_file = MOVED.inverse().cameras(walk())
    (convention,) = (one for one in CONVENTIONS if str(one) == meant)
    misread = reread(in_file, convention, STATED)  # the file holds matrices of `convention`, read as stated
    found = find_seeing_convention(misread, POINTS, MOVED)
    assert found is not None
    assert (str(found[0]), found[2]) == (meant, 1)
    assert found[1] < 0.05


def test_cameras_that_look_away_on_purpose_are_left_alone() -> None:
    """High above, looking up: under no convention the scene is seen."""
    eyes = torch.tensor([[x, -50.0, 0.0] for x in (0.0, 1.0, 2.0)], dtype=torch.float64)
    up = Cameras(
        look_at(eyes, eyes + torch.tensor([0.1, -1.0, 0.3], dtype=torch.float64), UP.expand(3, 3)),
        walk().K[:3],
        200,
        160,
    )
    assert find_seeing_convention(up, POINTS, Sim3.identity()) is None
    assert find_seeing_convention(walk(), cloud(np.zeros((0, 3))), MOVED) is None
