"""Camera paths that show a scene: around what its photos look at, through the photos, or out of a file."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from bridge4d.rendering.bare_orbit import orbit_without_photos, swing_to_and_fro
from bridge4d.rendering.options import RenderOptions
from bridge4d.rendering.photo_arc import middle_photo, photo_arc, view_distances
from bridge4d.scenes import LoadedScene
from bridge4d.viewpoints import start_view, viewpoint_of
from recon.camera_files import read_path
from recon.camera_files.detect import CONVENTION_OF
from recon.cameras import Cameras
from recon.errors import BridgeError
from worldgen import trajectories

PathKind = Literal["orbit", "spiral", "dolly", "interpolate", "still"]
PATH_KINDS: tuple[str, ...] = get_args(PathKind)
DEFAULT_SECONDS = 6.0
"""Seconds of a path of any length: in these, a swing of 70° is slow enough to look at things."""
PHOTO_SECONDS, LONGEST_SECONDS = 0.5, 30.0
"""Seconds a photo of a path through photos, and of the whole path at most, unless asked for."""
DEGREES_PER_SECOND = 40.0
"""Mean pace of an orbit that takes longer than `DEFAULT_SECONDS`: a full circle in 9 s."""
FULL_CIRCLE_GAP_DEG = 90.0
"""Least gap in azimuth between photos at which an orbit swings to and fro: nothing was seen from inside the gap."""
BEYOND_SHARE = 0.05
"""Swing past the outermost photo on either side, as a share of the photographed arc: enough to see what lies behind
edges, too little for the fog where no photo looked."""
LEAST_BEYOND_DEG, MOST_BEYOND_DEG = 3.0, 8.0
"""Bounds of that swing: photos from nearly one place still give a movement, wide arcs no view of the fog."""
SPIRAL_SHARE = 0.4
"""Radius of the spiral as a share of the photos' median distance from the one in the middle, across its view; people
move less up and down than sideways."""
SPIRAL_LEAST, SPIRAL_MOST = 0.02, 0.1
"""Bounds of that radius, as shares of the distance to what is looked at."""
SPIRAL_SWAY = 0.3
"""Movement forth and back, as a share of the radius; more steps back so far that it shows what no photo saw."""
DOLLY_SHARE = 0.3
"""Length as a share of the distance to what is looked at: things grow by half, nearer they run out of detail."""
ORDER_SLACK = 1.3
"""Largest ratio of the route in the photos' own order to that from neighbour to neighbour, for theirs to be kept."""
ROUTE_STARTS = 50
"""Photos that are tried as the first of a route: a route costs n² steps, and one of 50 is near a good end."""

Frames = Callable[[float], int]
"""Gives the number of cameras of a path, from the seconds that it takes unless the options say otherwise."""


@dataclass(frozen=True)
class CameraPath:
    """Cameras in the order in which they are shown."""

    cameras: Cameras
    about: str
    """The path in words: 'orbit: to and fro along 71° …'."""
    loops: bool
    """Whether the last camera is followed by the first without a jump."""
    notes: tuple[str, ...] = ()
    """Remarks on a file of cameras."""
    convention: str = ""
    """How the poses of a file were read; '' where there was none."""
    states_convention: bool = True
    """Whether its format says how, so that no option changes it."""


def camera_path(scene: LoadedScene, options: RenderOptions, *, seconds: float | None = None) -> CameraPath:
    """The camera path that the options name, at the picture size of the scene's photos or of the file of cameras.

    Args:
        scene: what the path shows.
        options: path, frames, seconds, rate.
        seconds: length of a path of any length, where the options state none.

    Raises:
        BridgeError: a path through photos of a scene without any, or too many frames.
        CaptureError, CameraError: no readable file of cameras.
    """
    name = options.path or "orbit"
    make = {
        "orbit": orbit_path,
        "spiral": spiral_path,
        "dolly": dolly_path,
        "interpolate": interpolate_path,
        "still": still_path,
    }.get(name)
    if make is not None:
        return make(scene, lambda default_s: options.frame_count(seconds or default_s))
    file = camera_file(name)
    assert file is not None
    return path_from_file(scene, file, options, seconds=seconds)


def camera_file(path: str) -> Path | None:
    """The file of cameras that `RenderOptions.path` means; None for the name of a path.

    Raises:
        BridgeError: neither a name nor a file.
    """
    if path in PATH_KINDS:
        return None
    if not Path(path).exists():
        raise BridgeError(
            f"expected --path {', '.join(PATH_KINDS)} or a file of cameras, but there is no {path}"
        )
    return Path(path)


def orbit_path(scene: LoadedScene, frames: Frames) -> CameraPath:
    """Orbit what the photos look at, near where they were taken; ends where it began.

    Where photos stand all around, it is a full circle, else a swing to and fro along the photographed arc and a
    little beyond. Distance and height follow the photos nearby. Without photos it circles the middle of the scene.
    """

    def count(degrees: float) -> int:
        """Number of cameras along an arc, at `DEGREES_PER_SECOND` where it is long."""
        return frames(max(DEFAULT_SECONDS, degrees / DEGREES_PER_SECOND))

    photos = scene.cameras()
    if photos is None:
        path, about = orbit_without_photos(scene, count)
        return CameraPath(path, f"orbit: {about}", True)
    arc = photo_arc(scene, photos)
    span = math.degrees(arc.arc_rad)
    if arc.gap_rad < math.radians(FULL_CIRCLE_GAP_DEG):
        n = count(360.0)
        azimuths = 2 * math.pi * torch.arange(n, dtype=torch.float64) / n
        about = "a full circle among the photos"
    else:
        swing = span / 2 + min(max(BEYOND_SHARE * span, LEAST_BEYOND_DEG), MOST_BEYOND_DEG)
        azimuths = arc.middle_rad + swing_to_and_fro(math.radians(swing), count(4 * swing))
        looking = len(arc.azimuths_rad)
        who = (
            "the photos"
            if looking == len(photos)
            else f"the {looking} of {len(photos)} photos that look there"
        )
        about = f"to and fro along {2 * swing:.0f}°, of which {who} span {span:.0f}°"
    path = trajectories.ring(
        arc.lens,
        target=arc.target,
        up=arc.up,
        north=arc.north,
        azimuths_rad=azimuths,
        radii=arc.average_nearby(arc.radii, azimuths),
        heights=arc.average_nearby(arc.heights, azimuths),
    )
    return CameraPath(path, f"orbit: {about}", True)


def spiral_path(scene: LoadedScene, frames: Frames, *, turns: int = 2) -> CameraPath:
    """Circle around the middle photo, swaying forth and back; ends where it began."""
    photos = scene.cameras()
    start = start_view(scene) if photos is None else photos[middle_photo(photos)]
    start = start.to(dtype=torch.float64)
    target = torch.tensor(viewpoint_of(start, scene).target, dtype=torch.float64)
    distance = float((target - start.centers[0]).norm())
    if photos is None:
        radius, about = SPIRAL_MOST * distance, "around the start view"
    else:
        across = (photos.centers.double() - start.centers) @ start.cam_from_world[0, :2, :3].T
        spread = SPIRAL_SHARE * float(across.norm(dim=-1).median())
        radius = min(max(spread, SPIRAL_LEAST * distance), SPIRAL_MOST * distance)
        about = "around the photo in the middle"
    # one more and the last left out: where the circles end is where they begin
    count = frames(DEFAULT_SECONDS) + 1
    path = trajectories.spiral(
        start, target=target, count=count, radius=radius, turns=turns, sway=SPIRAL_SWAY * radius
    )
    return CameraPath(path[:-1], f"spiral: {turns} circles {about}", True)


def dolly_path(scene: LoadedScene, frames: Frames) -> CameraPath:
    """Move from the photo in the middle straight towards what it looks at, at an even pace."""
    photos = scene.cameras()
    start = start_view(scene) if photos is None else photos[middle_photo(photos)]
    start = start.to(dtype=torch.float64)
    target = torch.tensor(viewpoint_of(start, scene).target, dtype=torch.float64)
    distance = DOLLY_SHARE * float((target - start.centers[0]).norm())
    path = trajectories.dolly(start, distance=distance, count=frames(DEFAULT_SECONDS))
    where = "the start view" if photos is None else "the photo in the middle"
    return CameraPath(path, f"dolly: from {where} {DOLLY_SHARE:.0%} of the way to what it looks at", False)


def interpolate_path(scene: LoadedScene, frames: Frames) -> CameraPath:
    """Move smoothly from photo to photo at an even pace, from the first to the last.

    Photos are taken in the order of their names, unless that runs to and fro: then each is followed by its
    nearest neighbour.

    Raises:
        BridgeError: fewer than two photos.
    """
    photos = scene.cameras()
    if photos is None or len(photos) < 2:
        raise BridgeError(
            f"expected a scene with at least two photos for --path interpolate, {scene.source} has "
            f"{0 if photos is None else len(photos)}; use --path orbit, or give a camera file"
        )
    middle = photos[middle_photo(photos)].to(dtype=torch.float64)
    seen = torch.tensor(viewpoint_of(middle, scene).target, dtype=torch.float64)
    steps = view_distances(photos, float((seen - middle.centers[0]).norm()))
    order = _order_photos(steps)
    knots = [0.0]
    for a, b in itertools.pairwise(order):
        knots.append(knots[-1] + max(float(steps[a, b]), 1e-6))
    seconds = min(max(DEFAULT_SECONDS, PHOTO_SECONDS * len(photos)), LONGEST_SECONDS)
    path = trajectories.interpolate(
        photos[order], count=frames(seconds), smooth=True, knots=torch.tensor(knots, dtype=torch.float64)
    )
    return CameraPath(path, f"interpolate: through {len(photos)} photos", False)


def still_path(scene: LoadedScene, frames: Frames) -> CameraPath:
    """Stay where a viewer would open the scene: for moving scenes, and for single pictures."""
    return CameraPath(start_view(scene)[[0] * frames(DEFAULT_SECONDS)], "still: the start view", True)


def path_from_file(
    scene: LoadedScene, file: Path, options: RenderOptions, *, seconds: float | None = None
) -> CameraPath:
    """Follow the cameras of a file, in the scene's frame: one by one, or smoothly through them.

    A lens that the file does not state is that of the scene's photos. A single camera stays where it is.

    Raises:
        CaptureError, CameraError: see `recon.camera_files.read_path`.
    """
    lens = scene_lens(scene)
    found = read_path(
        file,
        width=lens.width,
        height=lens.height,
        convention=options.convention,
        format=options.camera_format,
    )
    cameras = found.cameras
    if not found.intrinsics_known:
        lens = with_size(lens, width=cameras.width, height=cameras.height)
        cameras = replace(cameras, K=lens.K.to(cameras.K).expand(len(cameras), 3, 3))
    about = f"{len(cameras)} camera{'s' * (len(cameras) > 1)} of {file.name}"
    asked = options.frames is not None or options.seconds is not None
    if len(cameras) == 1 and (asked or seconds is not None):
        cameras = cameras[[0] * options.frame_count(seconds or DEFAULT_SECONDS)]
    elif asked and (count := options.frame_count(DEFAULT_SECONDS)) != len(cameras):
        cameras, about = trajectories.interpolate(cameras, count=count, smooth=True), f"through {about}"
    return CameraPath(cameras, about, False, found.notes, found.convention, found.format in CONVENTION_OF)


def scene_lens(scene: LoadedScene) -> Cameras:
    """One camera with the default lens and picture size: of the first photo, or of the start view."""
    photos = scene.cameras()
    return start_view(scene) if photos is None else photos[0]


def with_size(cameras: Cameras, *, width: int, height: int) -> Cameras:
    """Cameras for pictures of another size: same vertical field of view and shape of pixels."""
    scale = height / cameras.height
    K = cameras.K.clone()
    K[:, :2] *= scale
    K[:, 0, 2] += (width - cameras.width * scale) / 2
    return replace(cameras, K=K, width=width, height=height)


def _order_photos(steps: Float[Tensor, "n n"]) -> list[int]:
    """The given order of photos, unless a route from neighbour to neighbour is much shorter.

    Args:
        steps: distances between views.
    """
    n = len(steps)

    def length(route: list[int]) -> float:
        """Sum of the steps along a route."""
        return float(steps[route[:-1], route[1:]].sum())

    routes = []
    for start in range(min(n, ROUTE_STARTS)):
        free = torch.ones(n, dtype=torch.bool)
        route = [start]
        for _ in range(n - 1):
            free[route[-1]] = False
            route.append(int(torch.where(free, steps[route[-1]], torch.inf).argmin()))
        routes.append(route)
    best = min(routes, key=length)
    given = list(range(n))
    return given if length(given) < ORDER_SLACK * length(best) else best
