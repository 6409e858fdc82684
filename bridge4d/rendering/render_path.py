"""Render videos and pictures of a scene along a camera path."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from bridge4d.rendering.depth_pictures import DepthScale
from bridge4d.rendering.options import RenderOptions
from bridge4d.rendering.painter import Painter, adopt_frame_rate, duration_s, picture_times_s
from bridge4d.rendering.paths import CameraPath, camera_path, with_size
from bridge4d.rendering.picture_files import AddPicture, is_picture, is_video, target_writer
from bridge4d.rendering.targets import check_targets, coloured_depth_file, count_bytes
from bridge4d.scenes import LoadedScene, load_scene
from recon.cameras import Cameras
from recon.clips.pairing import spread_indices
from recon.compute.progress import track
from recon.errors import BridgeError
from recon.pictures.eight_bit import to_eight_bit
from recon.splats.engines.screen import Rendering
from recon.videos.write import check_rate

PEEKS = 9
"""Small renderings, spread along the path, that tell the range of depths beforehand."""
PEEK_SIDE_PX = 64
"""Their long side: the range needs no detail, and nine of this size cost less than one picture."""
MOST_KEPT_BYTES = 300_000_000
"""Memory for pictures of cameras that come again: the way back of an orbit of 6 seconds at 1280 pixels fits."""

Develop = Callable[[Rendering], np.ndarray]
"""Makes the pixels of a file from a rendering."""


@dataclass(frozen=True)
class RenderedPath:
    """Files of a rendering, and its path."""

    files: tuple[Path, ...]
    """Videos, and folders of pictures."""
    cameras: Cameras = field(repr=False)
    """One a picture."""
    fps: float
    """Pictures a second."""
    about: str
    """The path in words."""
    loops: bool
    """Whether the last picture is followed by the first without a jump."""
    seconds: float
    """Seconds that rendering took."""
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.cameras)

    def to_json(self) -> dict:
        """Plain values, as `bridge4d render --json` prints them."""
        return {
            "files": [str(file) for file in self.files],
            "bytes": [count_bytes(file) for file in self.files],
            "path": self.about,
            "loops": self.loops,
            "frames": len(self),
            "fps": round(self.fps, 4),
            "seconds": round(len(self) / self.fps, 4),
            "width": self.cameras.width,
            "height": self.cameras.height,
            "render_seconds": round(self.seconds, 2),
            "notes": list(self.notes),
        }


def render_path(
    scene: LoadedScene | Path | str,
    to: Path | str | Sequence[Path | str],
    options: RenderOptions | None = None,
    *,
    cameras: Cameras | None = None,
    depth: Path | str | None = None,
    alpha: Path | str | None = None,
) -> RenderedPath:
    """Render a scene along a camera path, as a video or picture by picture.

    Args:
        scene: a run folder, a splat file of any format, or what `load_scene` made of one.
        to: one or more of: a video (mp4, m4v, mov, mkv, gif, webp), one picture (png, jpg), a folder, a name such as
            frames/####.png. Beside numbered pictures lies a ``transforms.json`` with their cameras.
        options: path, size, rate; see `RenderOptions`.
        cameras: one a picture, in the scene's frame, instead of the path that the options name.
        depth: a video coloured by depth; or a folder or name for 16-bit PNG, beside a JSON with the unit and a coloured
            ``preview.mp4``. It is where half of a pixel's light is blocked; from gsplat, which has none, the mean.
        alpha: how much of a pixel the scene covers, as a grey video or 8-bit pictures.

    Raises:
        BridgeError: options that contradict each other or the scene, or an unreadable scene or camera file.

    Example:
        >>> render_path("runs/kitchen", "orbit.mp4", RenderOptions(seconds=4))
    """
    options = options or RenderOptions()
    targets = [Path(to)] if isinstance(to, str | Path) else [Path(one) for one in to]
    depth, alpha = (None if one is None else Path(one) for one in (depth, alpha))
    check_targets(targets, depth, alpha)
    written = [*targets, *(one for one in (depth, alpha) if one is not None)]
    scene = scene if isinstance(scene, LoadedScene) else load_scene(scene)
    single = next((one for one in written if one != depth and is_picture(one)), None)
    path, options = _choose_path(scene, options, cameras, single)
    even = depth is not None or any(map(is_video, written))
    path = replace(path, cameras=_resize_cameras(path.cameras, options, even=even))
    for one in filter(is_video, written):
        check_rate(one, options.frame_rate())
    began = time.perf_counter()
    _render_targets(scene, path, options, targets, depth, alpha)
    return RenderedPath(
        files=tuple(written),
        cameras=path.cameras,
        fps=options.frame_rate(),
        about=path.about,
        loops=path.loops,
        seconds=time.perf_counter() - began,
        notes=(*scene.notes, *path.notes, *_explain_mode(scene)),
    )


def _choose_path(
    scene: LoadedScene, options: RenderOptions, cameras: Cameras | None, single: Path | None
) -> tuple[CameraPath, RenderOptions]:
    """The cameras to render from, and the options with what they left open.

    Args:
        scene: what is rendered.
        options: as given.
        cameras: one a picture, instead of a path.
        single: the target that is one picture, where there is such.
    """
    if single is not None:
        options = options.for_one_picture()
    options = adopt_frame_rate(scene, options)
    if cameras is None:
        path = camera_path(scene, options, seconds=duration_s(scene, options))
    else:
        path = CameraPath(cameras.validate(), f"{len(cameras)} cameras", False)
    if single is not None:
        _check_single(single, path)
    return path, options


def _render_targets(
    scene: LoadedScene,
    path: CameraPath,
    options: RenderOptions,
    targets: Sequence[Path],
    depth: Path | None,
    alpha: Path | None,
) -> None:
    """Draw each camera once and write its pictures to all targets."""
    cameras, fps = path.cameras, options.frame_rate()
    painter = Painter(scene, options, picture_times_s(scene, options, len(cameras)), depth=depth is not None)
    with contextlib.ExitStack() as stack:
        shared = {"scene": str(scene.source), "path": path.about, "fps": fps}

        def open_target(one: Path, shows: str, **about: Any) -> AddPicture:
            """Open the writer of a target until the stack closes."""
            return stack.enter_context(
                target_writer(one, cameras, shows=shows, about=shared | about, fps=fps, crf=options.crf)
            )

        outlets = _open_outlets(open_target, targets, depth, alpha, painter, cameras)
        for pictures in _draw_pictures(painter, cameras, [develop for _, develop in outlets]):
            for (add, _), picture in zip(outlets, pictures, strict=True):
                add(picture)


def _check_single(picture: Path, path: CameraPath) -> None:
    """Refuse one picture of a path of several cameras."""
    if len(path.cameras) != 1:
        numbered = picture.with_name(f"{picture.stem}_####{picture.suffix}")
        raise BridgeError(
            f"expected one camera for one picture, {picture.name}, and {path.about} has {len(path.cameras)}; ask for "
            f"--path still or --frames 1, or for numbered pictures with {numbered.name}"
        )


def _open_outlets(
    open_target: Callable[..., AddPicture],
    targets: Sequence[Path],
    depth: Path | None,
    alpha: Path | None,
    painter: Painter,
    cameras: Cameras,
) -> list[tuple[AddPicture, Develop]]:
    """A writer for each target, with what makes its pictures of a rendering."""
    outlets: list[tuple[AddPicture, Develop]] = [(open_target(one, "colour"), _to_colours) for one in targets]
    if alpha is not None:
        outlets.append((open_target(alpha, "alpha"), partial(_to_coverage, video=is_video(alpha))))
    if depth is not None:
        scale = _depth_scale(painter, cameras)
        if not is_video(depth):
            outlets.append((open_target(depth, "depth", **scale.describe()), scale.to_values))
        outlets.append((open_target(coloured_depth_file(depth), "depth"), scale.to_colours))
    return outlets


def _draw_pictures(
    painter: Painter, cameras: Cameras, develops: Sequence[Develop]
) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield the pictures of each camera; one that comes again, as on the way back of an orbit, is drawn once."""
    kept: dict[tuple[bytes, bytes, int | None], tuple[np.ndarray, ...]] = {}
    rounded, lenses = (
        values.double().round(decimals=9).cpu().numpy() for values in (cameras.cam_from_world, cameras.K)
    )
    used = 0
    for i in track(range(len(cameras)), "rendering"):
        key = rounded[i].tobytes(), lenses[i].tobytes(), painter.frame_index(i)
        if key not in kept:
            drawn = painter.draw(i, cameras[i])
            kept[key] = tuple(develop(drawn) for develop in develops)
            used += sum(picture.nbytes for picture in kept[key])
        yield kept[key]
        while used > MOST_KEPT_BYTES:  # the oldest goes: on the way back, the latest come first
            used -= sum(picture.nbytes for picture in kept.pop(next(iter(kept))))


def _resize_cameras(cameras: Cameras, options: RenderOptions, *, even: bool) -> Cameras:
    """Cameras at the size that the options name; even sides for a video, where they leave a side open."""
    step = 2 if even else 1
    if options.width is not None or options.height is not None:
        aspect = cameras.width / cameras.height
        width = options.width or step * max(1, round((options.height or 1) * aspect / step))
        height = options.height or step * max(1, round(width / aspect / step))
        return with_size(cameras, width=width, height=height)
    scale = min(1.0, options.max_side / max(cameras.width, cameras.height))
    width, height = (step * max(1, round(side * scale / step)) for side in (cameras.width, cameras.height))
    return with_size(cameras, width=width, height=height)


def _explain_mode(scene: LoadedScene) -> list[str]:
    """A remark where a scene is drawn otherwise than it was trained."""
    if scene.render_mode == "2dgs":
        return ["the scene was trained as flat discs (2DGS) and is drawn as thin ellipsoids"]
    return []


def _depth_scale(painter: Painter, cameras: Cameras) -> DepthScale:
    """A depth scale from a few small renderings along the path."""
    shrink = min(1.0, PEEK_SIDE_PX / max(cameras.width, cameras.height))
    small = cameras.resize(
        width=max(4, round(cameras.width * shrink)), height=max(4, round(cameras.height * shrink))
    )
    return DepthScale.from_renderings(
        painter.draw(i, small[i]) for i in spread_indices(len(cameras), min(PEEKS, len(cameras)))
    )


def _to_colours(drawn: Rendering) -> UInt8[np.ndarray, "h w 3"]:
    """8-bit sRGB of the first camera."""
    return to_eight_bit(drawn.images[0]).numpy()


def _to_coverage(drawn: Rendering, *, video: bool) -> UInt8[np.ndarray, "h w *c"]:
    """8-bit alpha of the first camera: one channel, or for a video three equal ones."""
    grey = to_eight_bit(drawn.alpha[0]).numpy()
    return np.repeat(grey[..., None], 3, axis=2) if video else grey
