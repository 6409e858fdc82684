"""Cameras as video models are told them."""

import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras


def relative_poses(cameras: Cameras) -> Float[Tensor, "n 4 4"]:
    """World_from_cam in the frame of the first camera, OpenCV axes, float64.

    Libraries do this again, in float32: far from the origin of the world the steps of a path are lost in that.
    """
    exact = cameras.to(dtype=torch.float64)
    return exact.cam_from_world[:1] @ exact.world_from_cam


def camera_actions(cameras: Cameras, units_per_metre: float) -> Float[Tensor, "m 9"]:
    """Steps from each camera to the next, in the frame of the one before: translation, and the first two columns of the rotation."""
    poses = relative_poses(cameras)
    steps = torch.linalg.inv(poses[:-1]) @ poses[1:]
    return torch.cat([steps[:, :3, 3] * units_per_metre, steps[:, :3, 0], steps[:, :3, 1]], dim=1).float()


def actions_to_poses(actions: Float[Tensor, "m 9"], units_per_metre: float) -> Float[Tensor, "n 4 4"]:
    """World_from_cam of m + 1 cameras, the first the identity, float64; columns that are no rotation are made one (Gram-Schmidt)."""
    steps = torch.eye(4, dtype=torch.float64).repeat(len(actions), 1, 1)
    values = actions.double().cpu()
    x = torch.nn.functional.normalize(values[:, 3:6], dim=1)
    y = torch.nn.functional.normalize(values[:, 6:9] - (values[:, 6:9] * x).sum(1, keepdim=True) * x, dim=1)
    steps[:, :3, :3] = torch.stack([x, y, torch.linalg.cross(x, y)], dim=2)
    steps[:, :3, 3] = values[:, :3] / units_per_metre
    poses = [torch.eye(4, dtype=torch.float64)]
    for step in steps:
        poses.append(poses[-1] @ step)
    return torch.stack(poses)
