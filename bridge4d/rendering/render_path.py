"""Videos and pictures of a scene along a camera path."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from bridge4d.rendering.depth_pictures import DepthScale
from bridge4d.rendering.options import RenderOptions
from bridge4d.rendering.painter import Painter, at_the_pace_of, duration_s, moments
from bridge4d.rendering.paths import CameraPath, camera_path, with_size
from bridge4d.rendering.picture_files import (
    AddPicture,
    Numbered,
    is_one_file,
    is_ours,
    is_picture,
    is_video,
    written_any,
)
from bridge4d.scenes import Scene, load_scene
from recon.cameras import Cameras
from recon.clips.read import spread_indices
from recon.compute.progress import track
from recon.errors import BridgeError
from recon.pictures.eight_bit import to_eight_bit
from recon.splats.engines.screen import Rendering
from recon.videos.write import check_rate

PEEKS = 9
"""Small renderings along the path that tell the range of depths beforehand."""
PEEK_SIDE = 64
"""Their long side in pixels."""
MOST_KEPT_BYTES = 300_000_000
"""Pictures that are kept for cameras that come again; the way back of an orbit of 6 seconds at 1280 pixels fits."""

Develop = Callable[[Rendering], np.ndarray]
"""Makes the picture that is written out of what was drawn."""


@dataclass(frozen=True)
class RenderedPath:
    """What was written."""

    files: tuple[Path, ...]
    """Videos, and folders of pictures."""
    cameras: Cameras = field(repr=False)
    """One a picture."""
    fps: float
    about: str
    """Which path, for people."""
    loops: bool
    """Whether the last picture is followed by the first without a jump."""
    seconds: float
    """How long rendering took."""
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.cameras)

    def to_json(self) -> dict:
        """Plain values, as `bridge4d render --json` prints them."""
        return {
            "files": [str(file) for file in self.files],
            "bytes": [bytes_of(file) for file in self.files],
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
    scene: Scene | Path | str,
    to: Path | str | Sequence[Path | str],
    options: RenderOptions | None = None,
    *,
    cameras: Cameras | None = None,
    depth: Path | str | None = None,
    alpha: Path | str | None = None,
) -> RenderedPath:
    """Pictures of a scene along a path, as a video or one by one.

    Args:
        scene: a run folder, a splat file of any format, or what `load_scene` made of one.
        to: one or more of: a video (mp4, m4v, mov, mkv, gif, webp), one picture (png, jpg), a folder, a name such as
            frames/####.png. Beside numbered pictures lies a ``transforms.json`` with their cameras.
        cameras: one a picture, in the scene's frame, instead of the path that the options name.
        depth: a video coloured by depth; or a folder or name for 16-bit PNG, with a JSON that states the unit and a
            coloured ``preview.mp4``. It is the depth at which half of a pixel's light is blocked; from gsplat, which
            has none, the mean.
        alpha: how much of a pixel the scene covers, as a grey video or 8-bit pictures.

    Raises:
        BridgeError: what was asked for cannot be, or the scene or camera file cannot be read.

    Example:
        >>> render_path("runs/kitchen", "orbit.mp4", RenderOptions(seconds=4))
    """
    options = options or RenderOptions()
    targets = [Path(to)] if isinstance(to, str | Path) else [Path(one) for one in to]
    depth, alpha = (None if one is None else Path(one) for one in (depth, alpha))
    _check_targets(targets, depth, alpha)
    scene = scene if isinstance(scene, Scene) else load_scene(scene)
    single = next((one for one in (*targets, alpha) if one is not None and is_picture(one)), None)
    if single is not None:
        options = options.for_one_picture()
    options = at_the_pace_of(scene, options)
    if cameras is None:
        path = camera_path(scene, options, seconds=duration_s(scene, options))
    else:
        path = CameraPath(cameras.validate(), f"{len(cameras)} cameras", False)
    if single is not None and len(path.cameras) != 1:
        numbered = single.with_name(f"{single.stem}_####{single.suffix}")
        raise BridgeError(
            f"expected one camera for one picture, {single.name}, and {path.about} has {len(path.cameras)}; ask for "
            f"--path still or --frames 1, or for numbered pictures with {numbered.name}"
        )
    videos = depth is not None or any(is_video(one) for one in (*targets, alpha) if one is not None)
    cameras = _sized(path.cameras, options, even=videos)
    painter = Painter(scene, options, moments(scene, options, len(cameras)), depth=depth is not None)
    fps = options.frame_rate()
    for one in (*targets, depth, alpha):
        if one is not None and is_video(one):
            check_rate(one, fps)
    began = time.perf_counter()
    with contextlib.ExitStack() as stack:
        shared = {"scene": str(scene.source), "path": path.about, "fps": fps}

        def open_one(one: Path, shows: str, **about: Any) -> AddPicture:
            return stack.enter_context(
                written_any(one, cameras, shows=shows, about=shared | about, fps=fps, crf=options.crf)
            )

        outlets: list[tuple[AddPicture, Develop]] = [(open_one(one, "colour"), _colours) for one in targets]
        if alpha is not None:
            outlets.append((open_one(alpha, "alpha"), partial(_coverage, video=is_video(alpha))))
        if depth is not None:
            scale = _depth_scale(painter, cameras)
            if not is_video(depth):
                outlets.append((open_one(depth, "depth", **scale.about()), scale.values))
            outlets.append((open_one(_coloured_depth(depth), "depth"), scale.colours))
        for pictures in _develop(painter, cameras, [develop for _, develop in outlets]):
            for (add, _), picture in zip(outlets, pictures, strict=True):
                add(picture)
    return RenderedPath(
        files=(*targets, *(one for one in (depth, alpha) if one is not None)),
        cameras=cameras,
        fps=fps,
        about=path.about,
        loops=path.loops,
        seconds=time.perf_counter() - began,
        notes=(*scene.notes, *path.notes, *_notes(scene)),
    )


def _develop(
    painter: Painter, cameras: Cameras, develops: Sequence[Develop]
) -> Iterator[tuple[np.ndarray, ...]]:
    """The pictures of each camera in turn; one that comes again, as on the way back of an orbit, is not drawn again."""
    kept: dict[tuple[bytes, bytes, int | None], tuple[np.ndarray, ...]] = {}
    rounded, lenses = (
        values.double().round(decimals=9).cpu().numpy() for values in (cameras.cam_from_world, cameras.K)
    )
    used = 0
    for i in track(range(len(cameras)), "rendering"):
        key = rounded[i].tobytes(), lenses[i].tobytes(), painter.moment(i)
        if key not in kept:
            drawn = painter.draw(i, cameras[i])
            kept[key] = tuple(develop(drawn) for develop in develops)
            used += sum(picture.nbytes for picture in kept[key])
        yield kept[key]
        while used > MOST_KEPT_BYTES:  # the oldest goes: on the way back, the latest come first
            used -= sum(picture.nbytes for picture in kept.pop(next(iter(kept))))


def _check_targets(targets: Sequence[Path], depth: Path | None, alpha: Path | None) -> None:
    """Refuses names that cannot be written before the long work."""
    if not targets:
        raise BridgeError("expected at least one video, folder or name of pictures to render to, got none")
    taken: set[tuple[Path, str]] = set()
    for one, shows in [
        *((target, "colour") for target in targets),
        *([] if depth is None else [(depth, "depth")]),
        *([] if alpha is None else [(alpha, "alpha")]),
    ]:
        written = _names_written(one, shows)
        if taken & written:
            raise BridgeError(
                f"expected names of its own for each rendering, and {one} would write over another one's files"
            )
        taken |= written
    preview = None if depth is None or is_video(depth) else _coloured_depth(depth)
    if depth is not None and preview is not None and preview.exists():
        names = Numbered.parse(depth)
        if not is_ours(names.folder / names.side_file("depth")):
            raise BridgeError(f"{preview} was made by no rendering of depth; choose another folder or name")
    if depth is not None and not is_video(depth) and not Numbered.parse(depth).lossless:
        raise BridgeError(f"expected .png for pictures of depth, which need 16 bits, got {depth.name}")


def _names_written(one: Path, shows: str) -> set[tuple[Path, str]]:
    """(folder, name) of what a target becomes; numbers stand as #."""
    if is_one_file(one):
        return {(one.resolve().parent, one.name)}
    names = Numbered.parse(one)
    written = {f"{names.before}#{names.after}", names.side_file(shows)}
    if shows == "depth":
        written.add(_coloured_depth(one).name)
    return {(names.folder.resolve(), name) for name in written}


def _sized(cameras: Cameras, options: RenderOptions, *, even: bool) -> Cameras:
    """For the picture size that is asked for; whole pairs of pixels where a video chooses its size itself."""
    step = 2 if even else 1
    if options.width is not None or options.height is not None:
        aspect = cameras.width / cameras.height
        width = options.width or step * max(1, round((options.height or 1) * aspect / step))
        height = options.height or step * max(1, round(width / aspect / step))
        return with_size(cameras, width=width, height=height)
    scale = min(1.0, options.max_side / max(cameras.width, cameras.height))
    width, height = (step * max(1, round(side * scale / step)) for side in (cameras.width, cameras.height))
    return with_size(cameras, width=width, height=height)


def _notes(scene: Scene) -> list[str]:
    if scene.render_mode == "2dgs":
        return ["the scene was trained as flat discs (2DGS) and is drawn as thin ellipsoids"]
    return []


def _coloured_depth(to: Path) -> Path:
    """The video that shows depth in colours."""
    if is_video(to):
        return to
    names = Numbered.parse(to)
    return names.folder / f"{names.before}preview.mp4"


def _depth_scale(painter: Painter, cameras: Cameras) -> DepthScale:
    """Fit for a few small renderings along the path."""
    shrink = min(1.0, PEEK_SIDE / max(cameras.width, cameras.height))
    small = cameras.resize(
        width=max(4, round(cameras.width * shrink)), height=max(4, round(cameras.height * shrink))
    )
    return DepthScale.of(
        painter.draw(i, small[i]) for i in spread_indices(len(cameras), min(PEEKS, len(cameras)))
    )


def _colours(drawn: Rendering) -> UInt8[np.ndarray, "h w 3"]:
    return to_eight_bit(drawn.images[0]).numpy()


def _coverage(drawn: Rendering, *, video: bool) -> UInt8[np.ndarray, "h w *c"]:
    """In 8 bits: one channel, or for a video three alike."""
    grey = to_eight_bit(drawn.alpha[0]).numpy()
    return np.repeat(grey[..., None], 3, axis=2) if video else grey


def bytes_of(target: Path) -> int:
    """Of a video, or of the pictures that a rendering wrote."""
    pictures = [target] if is_one_file(target) else Numbered.parse(target).there()
    return sum(file.stat().st_size for file in pictures)
