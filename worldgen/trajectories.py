"""Camera paths. Every path returns `Cameras` with the lens and picture size of the cameras it starts from."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras, look_at
from recon.errors import CameraError


def _at(poses_world_from_cam: Float[Tensor, "n 4 4"], lens: Cameras) -> Cameras:
    """Cameras at these poses with the lens of the first of `lens`."""
    n = len(poses_world_from_cam)
    inverse = Cameras(
        poses_world_from_cam, lens.K[:1].repeat(n, 1, 1), lens.width, lens.height
    ).world_from_cam
    return Cameras(inverse, lens.K[:1].repeat(n, 1, 1), lens.width, lens.height)


def _check_count(count: int) -> int:
    if count < 1:
        raise CameraError(f"expected at least one camera on a path, got {count}")
    return count


def orbit(
    start: Cameras,
    *,
    target: Float[Tensor, "3"],
    count: int,
    arc_deg: float = 360.0,
    up: Float[Tensor, "3"] | None = None,
) -> Cameras:
    """The first camera carried around an axis through `target`, rigidly: distance and framing stay.

    Starts at the camera itself and turns by `arc_deg` in all (counter-clockwise seen from the tip of `up`);
    a full circle does not come back to the first camera a second time.

    Args:
        start: one camera, or several of which the first counts.
        target: a point on the axis, world units.
        count: how many cameras.
        arc_deg: how far to turn, degrees.
        up: direction of the axis; the camera's own up (its -y axis) if not given.
    """
    whole = abs(abs(arc_deg) - 360) < 1e-9
    pose = start.world_from_cam[0].double()
    axis = -pose[:3, 1] if up is None else up.double()
    steps = count if whole else max(_check_count(count) - 1, 1)
    turns = np.radians(arc_deg) * np.arange(_check_count(count)) / steps
    from scipy.spatial.transform import Rotation

    R = torch.from_numpy(Rotation.from_rotvec(turns[:, None] * (axis / axis.norm()).numpy()).as_matrix())
    poses = pose.repeat(count, 1, 1)
    poses[:, :3, :3] = R @ pose[:3, :3]
    poses[:, :3, 3] = target.double() + (R @ (pose[:3, 3] - target.double())[:, None])[..., 0]
    return _at(poses, start)


def ring(
    lens: Cameras,
    *,
    target: Float[Tensor, "3"],
    up: Float[Tensor, "3"],
    north: Float[Tensor, "3"],
    azimuths_rad: Float[Tensor, "n"],
    radii: Float[Tensor, "n"],
    heights: Float[Tensor, "n"],
) -> Cameras:
    """Cameras around an axis through `target` that all look at it, in cylinder coordinates.

    Args:
        lens: the first camera gives lens and picture size.
        target: what every camera looks at, world units.
        up: unit vector of the axis.
        north: unit vector at right angles to `up`, where azimuth 0 is.
        azimuths_rad: counter-clockwise seen from the tip of `up`.
        radii: distances from the axis, world units.
        heights: above the target along `up`, world units.
    """
    east = torch.linalg.cross(up.double(), north.double())
    around = azimuths_rad.cos()[:, None] * north + azimuths_rad.sin()[:, None] * east
    eyes = target + radii[:, None] * around + heights[:, None] * up
    return look_along(eyes, target=target, up=up, lens=lens)


def spiral(
    start: Cameras,
    *,
    target: Float[Tensor, "3"],
    count: int,
    radius: float,
    turns: float = 2.0,
    advance: float = 0.0,
    sway: float = 0.0,
) -> Cameras:
    """Circles in the first camera's picture plane, always looking at `target`.

    Args:
        start: the camera in the middle of the circles.
        target: what every camera looks at, world units.
        count: how many cameras; the last one ends the last turn.
        radius: of the circles, world units.
        turns: how many circles.
        advance: travel along the viewing direction from the first to the last camera, world units.
        sway: once forth and back along the viewing direction on the whole way, by so much; world units.
    """
    pose = start.world_from_cam[0].double()
    share = torch.linspace(0, 1, _check_count(count), dtype=torch.float64)
    angle = 2 * torch.pi * turns * share
    along = advance * (share - 0.5) + sway * (2 * torch.pi * share).sin()
    local = torch.stack([radius * angle.cos(), radius * angle.sin(), along], dim=1)
    return look_along(pose[:3, 3] + local @ pose[:3, :3].T, target=target, up=-pose[:3, 1], lens=start)


def dolly(start: Cameras, *, distance: float, count: int) -> Cameras:
    """The first camera moved along its viewing direction by `distance` world units (backwards if negative)."""
    pose = start.world_from_cam[0].double()
    share = torch.linspace(0, 1, _check_count(count), dtype=torch.float64)
    poses = pose.repeat(count, 1, 1)
    poses[:, :3, 3] += distance * share[:, None] * pose[:3, 2]
    return _at(poses, start)


def look_along(
    eyes: Float[Tensor, "n 3"], *, target: Float[Tensor, "3"], up: Float[Tensor, "3"], lens: Cameras
) -> Cameras:
    """Cameras at `eyes` that all look at `target`, upright along `up`; lens and size of the first of `lens`."""
    n = len(eyes)
    eyes = eyes.double()
    poses = look_at(eyes, target.double().expand(n, 3), up.double().expand(n, 3))
    return Cameras(poses, lens.K[:1].repeat(n, 1, 1), lens.width, lens.height)


def interpolate(
    keys: Cameras,
    *,
    count: int,
    smooth: bool = False,
    knots: Float[Tensor, "k"] | None = None,
) -> Cameras:
    """A path through all key cameras in their order: rotations by slerp, positions along lines.

    `count` cameras, evenly spaced in time, run from the first key to the last. With `smooth`, positions follow a
    natural cubic spline through the keys. Intrinsics are interpolated linearly.

    Args:
        knots: rising times of the keys, one each; evenly spaced if not given.

    Raises:
        CameraError: fewer than two keys, knots that do not rise.
    """
    from scipy.interpolate import CubicSpline, make_interp_spline
    from scipy.spatial.transform import Rotation, Slerp

    if len(keys) < 2:
        raise CameraError(f"expected at least two key cameras to interpolate, got {len(keys)}")
    at = np.arange(len(keys), dtype=np.float64) if knots is None else knots.double().numpy()
    if len(at) != len(keys) or (np.diff(at) <= 0).any():
        raise CameraError(f"expected {len(keys)} rising times for as many key cameras, got {at.tolist()}")
    times = np.linspace(at[0], at[-1], _check_count(count))
    poses = keys.world_from_cam.double().numpy()
    line = make_interp_spline(at, poses[:, :3, 3], k=1)
    curve = CubicSpline(at, poses[:, :3, 3], bc_type="natural") if smooth else line
    out = np.tile(np.eye(4), (count, 1, 1))
    out[:, :3, :3] = Slerp(at, Rotation.from_matrix(poses[:, :3, :3]))(times).as_matrix()
    out[:, :3, 3] = curve(times)
    K = make_interp_spline(at, keys.K.double().numpy().reshape(-1, 9), k=1)(times).reshape(-1, 3, 3)
    return replace(_at(torch.from_numpy(out), keys), K=torch.from_numpy(K))
