"""The built-in room as a capture with true cameras, for measuring the gate."""

import dataclasses

import torch

from recon.cameras import Cameras
from recon.clip import Clip
from worldgen.models.synthetic import SyntheticRoom
from worldgen.trajectories import interpolate


def photograph(room: SyntheticRoom, *, width: int, height: int) -> Clip:
    """Nine exact photos with their true cameras, along an arc of 100 degrees."""
    cameras = room.cameras(25, width=width, height=height)[list(range(0, 25, 3))]
    return Clip(room.render(cameras)[0], cameras)


def between(photos: Clip, *, count: int, seed: int) -> Cameras:
    """Cameras along the photos' path, moved off it by up to 10 cm to any side."""
    path = interpolate(photos.require_cameras(), count=count)
    generator = torch.Generator().manual_seed(seed)
    pose = path.cam_from_world.clone()
    pose[:, :3, 3] += 0.2 * (torch.rand(count, 3, generator=generator, dtype=torch.float64) - 0.5)
    return dataclasses.replace(path, cam_from_world=pose)
