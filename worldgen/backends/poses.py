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
