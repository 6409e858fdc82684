"""Videos and pictures of a scene along a camera path."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from bridge4d.paths import camera_path, with_size
from bridge4d.picture_files import AddPicture, Numbered, is_video, written_any
from bridge4d.render_options import RenderOptions
from bridge4d.scenes import Scene, load_scene
from recon.cameras import Cameras
from recon.capture.frames import spread
from recon.errors import BridgeError
from recon.gaussians import Gaussians
from recon.progress import track
from recon.splats.render import render
from recon.splats.screen import Rendering

PEEKS = 9
"""Small renderings along the path that tell the range of depths beforehand."""
PEEK_SIDE = 64
FAR_MARGIN = 2.0
"""Depth pictures reach so many times as far as those show: small things far away may hide between their pixels."""
NOTHING, BEYOND = 0, 65535
"""Values of a depth picture with a meaning of their own."""
COVERED = 0.5
"""Coverage from which on a pixel has a depth: a mean over what barely covers it says nothing."""


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
            "bytes": [_size(file) for file in self.files],
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
    depth: Path | str | None = None,
    alpha: Path | str | None = None,
) -> RenderedPath:
    """Pictures of a scene along a path, as a video or one by one.

    Args:
        scene: a run folder, a splat file of any format, or what `load_scene` made of one.
        to: one or more of: a video (mp4, m4v, mov, mkv, gif, webp), a folder, a name such as frames/####.png. Beside
            pictures lies a ``transforms.json`` with their cameras.
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
    options = _at_the_pace_of(scene, options)
    path = camera_path(scene, options, seconds=_duration(scene, options))
    videos = depth is not None or any(is_video(one) for one in (*targets, alpha) if one is not None)
    cameras = _sized(path.cameras, options, even=videos)
    fps = options.frame_rate()
    times_s = _moments(scene, options, len(cameras))
    began = time.perf_counter()
    with contextlib.ExitStack() as stack:
        shared = {"scene": str(scene.source), "path": path.about, "fps": fps}

        def open_one(one: Path, shows: str, about: dict[str, Any]) -> AddPicture:
            return stack.enter_context(
                written_any(one, cameras, shows=shows, about=shared | about, fps=fps, crf=options.crf)
            )

        colours = [open_one(one, "colour", {}) for one in targets]
        coverage = None if alpha is None else open_one(alpha, "alpha", {})
        depths = None
        if depth is not None:
            depths = _DepthPictures(depth, _depth_range(scene, cameras, options, times_s), open_one)
        pictures = draw(scene, cameras, options, times_s, depth=depth is not None)
        for drawn in track(pictures, "rendering", total=len(cameras)):
            for add in colours:
                add(_bytes(drawn.images[0]))
            if coverage is not None:
                coverage(_grey(drawn.alpha[0], video=is_video(cast(Path, alpha))))
            if depths is not None:
                depths.add(drawn)
    return RenderedPath(
        files=(*targets, *(one for one in (depth, alpha) if one is not None)),
        cameras=cameras,
        fps=fps,
        about=path.about,
        loops=path.loops,
        seconds=time.perf_counter() - began,
        notes=(*scene.notes, *path.notes, *_notes(scene), *(() if depths is None else depths.notes())),
    )


def draw(
    scene: Scene,
    cameras: Cameras,
    options: RenderOptions,
    times_s: Sequence[float | None],
    *,
    depth: bool = False,
) -> Iterator[Rendering]:
    """Each camera's picture in turn, of a moving scene at its moment; on the GPU where there is one.

    With `depth` it is drawn on the CPU, which has the median depth, unless the options name the GPU's engine.
    """
    median = depth and options.engine != "gsplat"
    on_gpu = options.engine == "gsplat" or (options.engine == "auto" and not median)
    on_gpu = on_gpu and torch.cuda.is_available()
    device = torch.device("cuda" if on_gpu else "cpu")
    background = options.background_colour().to(device)
    gaussians: Gaussians | None = None
    shown: int | None = None
    for i, time_s in enumerate(times_s):
        index = None if scene.moving is None or time_s is None else scene.moving.index_at(time_s)
        if gaussians is None or index != shown:
            now = scene.gaussians if scene.moving is None or index is None else scene.moving.frames[index]
            gaussians, shown = now.to(device), index
        with torch.no_grad():
            yield render(
                gaussians,
                cameras[i],
                engine=options.engine,
                background=background,
                sh_degree=options.sh_degree,
                antialiased=scene.render_mode == "mip",
                median_depth=median,
            )


def _check_targets(targets: Sequence[Path], depth: Path | None, alpha: Path | None) -> None:
    """Refuses names that cannot be written before the long work."""
    every = [*targets, *(one for one in (depth, alpha) if one is not None)]
    if not targets:
        raise BridgeError("expected at least one video, folder or name of pictures to render to, got none")
    twice = [one for i, one in enumerate(every) if one.absolute() in [o.absolute() for o in every[:i]]]
    if twice:
        raise BridgeError(f"expected a name of its own for each rendering, got {twice[0]} twice")
    for one in every:
        if not is_video(one):
            Numbered.parse(one)
    if depth is not None and not is_video(depth) and not Numbered.parse(depth).lossless:
        raise BridgeError(f"expected .png for pictures of depth, which need 16 bits, got {depth.name}")


def _at_the_pace_of(scene: Scene, options: RenderOptions) -> RenderOptions:
    """With the frame rate of a moving scene where none follows from the options."""
    free = options.fps is None and (options.frames is None or options.seconds is None)
    if scene.moving is None or scene.moving.fps is None or not free:
        return options
    return replace(options, fps=min(max(scene.moving.fps, 1.0), 120.0))


def _duration(scene: Scene, options: RenderOptions) -> float | None:
    """Seconds that a moving scene takes, the last frame included; None for one that stands still."""
    if scene.moving is None or scene.moving.fps is None or options.at is not None:
        return None
    return len(scene.moving) / scene.moving.fps


def _moments(scene: Scene, options: RenderOptions, count: int) -> list[float | None]:
    """Which moment of a moving scene each picture shows.

    Raises:
        BridgeError: a moment that the scene has not.
    """
    if scene.moving is None:
        if options.at is not None:
            raise BridgeError(f"--at is for scenes that move, and {scene.source} stands still; leave it out")
        return [None] * count
    first, last = float(scene.moving.times_s[0]), float(scene.moving.times_s[-1])
    if options.at is not None:
        if not first - 1e-6 <= options.at <= last + 1e-6:
            raise BridgeError(f"expected --at from {first:g} to {last:g} s, got {options.at:g}")
        return [options.at] * count
    length = _duration(scene, options) or 1.0
    return [first + (i / options.frame_rate()) % length for i in range(count)]


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


class _DepthPictures:
    """Depth as 16-bit pictures with a preview beside, or as a video in colours."""

    def __init__(
        self,
        to: Path,
        depth_range: tuple[float, float, float],
        open_one: Callable[[Path, str, dict[str, Any]], AddPicture],
    ) -> None:
        self._near, self._shown, self._far = depth_range
        self._unit = self._far / (BEYOND - 1)
        self._beyond = 0
        self._exact: AddPicture | None = None
        preview = to
        if not is_video(to):
            about = {
                "depth": "z-depth (along the optical axis) in units of the scene = value x units_per_value",
                "units_per_value": self._unit,
                "nothing_there": NOTHING,
                "at_or_beyond": BEYOND,
            }
            self._exact = open_one(to, "depth", about)
            names = Numbered.parse(to)
            preview = names.folder / f"{names.before}preview.mp4"
        self._coloured = open_one(preview, "depth", {})

    def add(self, drawn: Rendering) -> None:
        depth, covered = (part[0] for part in _surface(drawn))
        self._coloured(self._colours(depth, covered))
        if self._exact is not None:
            values = (depth / self._unit).round().clamp(1, BEYOND).where(covered, float(NOTHING))
            self._beyond += int((values == BEYOND).sum())
            self._exact(values.numpy().astype(np.uint16))

    def notes(self) -> list[str]:
        if not self._beyond:
            return []
        return [f"{self._beyond:,} pixels of depth lie at {self._far:.4g} units or beyond and hold {BEYOND}"]

    def _colours(
        self, depth: Float[Tensor, "h w"], covered: Bool[Tensor, "h w"]
    ) -> UInt8[np.ndarray, "h w 3"]:
        """Near is red, far is blue, even in 1 / depth; black where nothing is."""
        import cv2

        nearness = (1 / depth.clamp_min(1e-12) - 1 / self._shown) / (1 / self._near - 1 / self._shown)
        grey = (nearness.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
        colours = cv2.cvtColor(cv2.applyColorMap(grey, cv2.COLORMAP_TURBO), cv2.COLOR_BGR2RGB)
        return colours * covered.numpy()[..., None].astype(np.uint8)


def _depth_range(
    scene: Scene, cameras: Cameras, options: RenderOptions, times_s: Sequence[float | None]
) -> tuple[float, float, float]:
    """Nearest and farthest depth worth a colour, and how far depth pictures reach; from a few small renderings."""
    picks = spread(len(cameras), min(PEEKS, len(cameras)))
    shrink = min(1.0, PEEK_SIDE / max(cameras.width, cameras.height))
    small = cameras[picks].resized(
        width=max(4, round(cameras.width * shrink)), height=max(4, round(cameras.height * shrink))
    )
    peeks = draw(scene, small, options, [times_s[i] for i in picks], depth=True)
    depths = torch.cat([depth[covered] for depth, covered in map(_surface, peeks)])
    if len(depths) == 0:
        return 1.0, 2.0, 4.0
    near, shown = np.quantile(depths.numpy(), [0.02, 0.98]).tolist()
    return near, max(shown, near * 1.01), FAR_MARGIN * float(depths.max())


def _surface(drawn: Rendering) -> tuple[Float[Tensor, "n h w"], Bool[Tensor, "n h w"]]:
    """z-depth, median where there is one, and where it means something."""
    depth = drawn.depth if drawn.depth_median is None else drawn.depth_median
    covered = (drawn.alpha >= COVERED) & (depth > 0)
    return depth.double().cpu(), covered.cpu()


def _bytes(image: Float[Tensor, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    return (image.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()


def _grey(share: Float[Tensor, "h w"], *, video: bool) -> UInt8[np.ndarray, "h w *c"]:
    """8 bits, one channel, or for a video three alike."""
    grey = (share.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
    return np.repeat(grey[..., None], 3, axis=2) if video else grey


def _size(file: Path) -> int:
    """Bytes of a file, or of all pictures in a folder."""
    if "#" in file.name:
        return sum(p.stat().st_size for p in Numbered.parse(file).there())
    if file.is_dir():
        return sum(p.stat().st_size for p in file.iterdir() if p.is_file())
    return file.stat().st_size
