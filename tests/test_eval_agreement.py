"""How far two recoveries lie apart, whatever world they are in."""

from dataclasses import replace

import pytest
import torch
from clips_of_points import path

from eval.judging.agreement import chessboard, compare_recoveries, focal_ratio
from recon.cameras import Cameras
from recon.errors import RecoveryStatus
from recon.points import PointCloud
from recon.recovery import Recovery
from recon.sim3 import Sim3


def recovered(cameras: Cameras, missing: tuple[int, ...] = ()) -> Recovery:
    registered = torch.ones(len(cameras), dtype=torch.bool)
    registered[list(missing)] = False
    nothing = PointCloud(torch.zeros(0, 3), torch.zeros(0, 3), torch.zeros(0))
    n = len(cameras)
    return Recovery(
        RecoveryStatus.OK, tuple(map(str, range(n))), registered, cameras[registered], nothing,
        torch.zeros(n), torch.full((n,), 50),
    )  # fmt: skip


def test_one_path_in_two_worlds(generator: torch.Generator) -> None:
    turn = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))[0]
    turn = turn * torch.linalg.det(turn)
    moved = Sim3(torch.tensor(3.0, dtype=torch.float64), turn, torch.ones(3, dtype=torch.float64)).cameras(
        path()
    )
    a, b = recovered(path(), (1,)), recovered(moved, (5, 6))
    rotation, position = compare_recoveries(a, b)
    assert rotation.value == pytest.approx(0, abs=1e-5)
    assert position.value == pytest.approx(0, abs=1e-6)
    assert rotation.count == 13


def test_opposite_paths_are_as_far_apart_as_can_be() -> None:
    a, b = recovered(path()), recovered(path()[list(range(15, -1, -1))])
    rotation, position = compare_recoveries(a, b)
    assert (rotation.value, position.value) == (180.0, 1.0)


def test_a_path_that_stands_is_no_opposite_one() -> None:
    moving, still = recovered(path()), recovered(path("rotation only"))
    for pair in ((moving, still), (still, moving)):
        assert {m.undefined_because for m in compare_recoveries(*pair)} == {"a recovered path does not move"}


def test_few_frames_in_common_are_undefined() -> None:
    a, b = recovered(path(), tuple(range(8))), recovered(path(), tuple(range(6, 16)))
    assert compare_recoveries(a, b)[0].undefined_because == "too few frames in common"


def test_the_focal_length_is_compared_with_the_request() -> None:
    longer = path().K.clone()
    longer[:, 0, 0] *= 1.4
    assert focal_ratio(recovered(replace(path(), K=longer)), path()).value == pytest.approx(1.4)


def test_a_chessboard_halves_the_picture() -> None:
    black = chessboard(64, 48)
    assert black.double().mean() == 0.5
    assert black[0, 0]
    assert not black[0, 8]
