"""How else a request might have been read: backwards, in a mirror, with inverted poses."""

from dataclasses import replace

import torch

from eval.geometry.pairwise import FOLLOWED_DEG, follows, pose_auc
from eval.paths.fault import PathFault
from eval.poses import mean_turn
from recon.cameras import Cameras

OPPOSED = -0.5
"""Correlation of recovered and requested places, turned as suits the rotations, up to which a path runs against its request.
A path at right angles to what was asked has 0, give or take its noise."""
TIE = 0.02
"""AUC within which two readings of a request fit alike; poses that are right to 0.3° differ by less."""


def find_contradiction(recovered: Cameras, requested: Cameras) -> PathFault | None:
    """The reading of the request that the path follows best, where it does not follow the request itself.

    A straight path driven backwards looks like one in a mirror: then the direction is named.
    """
    if follows(recovered, requested):
        return None
    readings = (
        (PathFault.OPPOSITE, _reverse(requested)),
        (PathFault.OPPOSITE, _negate(requested)),
        (PathFault.MIRRORED, _mirror(requested)),
        (PathFault.INVERSE, _invert(requested)),
        (PathFault.INVERSE, _invert_opengl(requested)),
    )
    fits = [(fault, _fit(recovered, reading)) for fault, reading in readings if follows(recovered, reading)]
    if fits:
        best = max(fit for _, fit in fits)
        return next(fault for fault, fit in fits if fit >= best - TIE)
    return PathFault.OPPOSITE if runs_backwards(recovered, requested) else None


def runs_backwards(recovered: Cameras, requested: Cameras) -> bool:
    """Whether the centres, turned as suits the cameras' rotations best, run against the requested ones (`OPPOSED`)."""
    x, y = recovered.centers.double(), requested.centers.double()
    dx, dy = x - x.mean(0), y - y.mean(0)
    spread = (dx.norm() * dy.norm()).clamp_min(1e-300)
    return float((dy * (dx @ mean_turn(recovered, requested).mT)).sum() / spread) <= OPPOSED


def _fit(recovered: Cameras, reading: Cameras) -> float:
    everyone = torch.ones(len(recovered), dtype=torch.bool)
    return pose_auc(recovered, everyone, reading, (FOLLOWED_DEG,))[0] or 0.0


def _reverse(cameras: Cameras) -> Cameras:
    """The path driven from its end to its beginning."""
    return cameras[list(range(len(cameras)))[::-1]]


def _negate(cameras: Cameras) -> Cameras:
    """The same gazes from places on the other side of the first."""
    return cameras.place_at(2 * cameras.centers[:1] - cameras.centers)


def _mirror(cameras: Cameras) -> Cameras:
    """The path that mirrored pictures show: every pose seen in a mirror that swaps left and right."""
    swap = torch.diag(torch.tensor([-1.0, 1, 1, 1], dtype=cameras.cam_from_world.dtype))
    return replace(cameras, cam_from_world=swap @ cameras.cam_from_world @ swap)


def _invert(cameras: Cameras) -> Cameras:
    """World-from-camera matrices taken for camera-from-world ones."""
    return replace(cameras, cam_from_world=cameras.world_from_cam)


def _invert_opengl(cameras: Cameras) -> Cameras:
    """The same taken for each other where y points up and z backwards, and turned to ours thereafter."""
    turn = torch.diag(torch.tensor([1.0, -1, -1, 1], dtype=cameras.cam_from_world.dtype))
    return replace(cameras, cam_from_world=turn @ cameras.world_from_cam @ turn)
