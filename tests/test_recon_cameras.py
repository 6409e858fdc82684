"""Batches of cameras."""

import torch

from recon.cameras import Cameras, intrinsics


def test_a_list_of_booleans_keeps_where_it_is_true() -> None:
    pose = torch.eye(4).double().repeat(2, 1, 1)
    pose[:, 0, 3] = torch.tensor([1.0, 2.0])
    cameras = Cameras(pose, intrinsics(focal_px=50, width=64, height=48, n=2), 64, 48)
    assert len(cameras[[True, False]]) == 1
    assert cameras[[False, True]].cam_from_world[0, 0, 3] == 2
    assert [len(cameras[index]) for index in ([0, 1], [], 1, slice(1))] == [2, 0, 1, 1]
