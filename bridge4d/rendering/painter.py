"""Draw a scene picture by picture; a moving one at the time of each picture."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from bridge4d.rendering.options import RenderOptions
from bridge4d.scenes import LoadedScene
from recon.cameras import Cameras
from recon.gaussians import Gaussians
from recon.splats.engines.screen import Rendering
from recon.splats.render import best_device, render

CPU = torch.device("cpu")
MIN_ADOPTED_FPS, MAX_ADOPTED_FPS = 1.0, 120.0
"""Bounds of a frame rate that comes from the scene rather than a person: slower is no video, faster no screen."""


class Painter:
    """A scene on the device that draws it: the GPU where gsplat works.

    With `depth` that is the CPU, whose engines have the median depth, unless the options name gsplat.

    Args:
        scene: what is drawn.
        options: engine, background, colour degree.
        times_s: the time that each picture shows; None: the scene as it is.
        depth: whether the median depth is wanted.
    """

    def __init__(
        self, scene: LoadedScene, options: RenderOptions, times_s: Sequence[float | None], *, depth: bool
    ) -> None:
        self._scene, self._options, self._times_s = scene, options, times_s
        self._median = depth and options.engine != "gsplat"
        on_gpu = options.engine == "gsplat" or (options.engine == "auto" and not self._median)
        self._device = best_device(None if options.engine == "auto" else "cuda") if on_gpu else CPU
        self._ready: tuple[int | None, Gaussians] | None = None

    def frame_index(self, number: int) -> int | None:
        """The frame of a moving scene that a picture shows; None for a scene at rest."""
        time_s = self._times_s[number]
        return None if self._scene.moving is None or time_s is None else self._scene.moving.index_at(time_s)

    def draw(self, number: int, camera: Cameras) -> Rendering:
        """Render one camera at the time of a picture."""
        index = self.frame_index(number)
        if self._ready is None or self._ready[0] != index:
            moving = self._scene.moving
            now = self._scene.gaussians if moving is None or index is None else moving.frames[index]
            self._ready = index, now.to(self._device)
        with torch.no_grad():
            return render(
                self._ready[1],
                camera,
                engine=self._options.engine,
                background=self._options.background_colour().to(self._device),
                sh_degree=self._options.sh_degree,
                antialiased=self._scene.render_mode == "mip",
                median_depth=self._median,
            )


def adopt_frame_rate(scene: LoadedScene, options: RenderOptions) -> RenderOptions:
    """Options with the frame rate of a moving scene, unless they imply one."""
    free = options.fps is None and (options.frames is None or options.seconds is None)
    if scene.moving is None or scene.moving.fps is None or not free:
        return options
    return replace(options, fps=min(max(scene.moving.fps, MIN_ADOPTED_FPS), MAX_ADOPTED_FPS))


def duration_s(scene: LoadedScene, options: RenderOptions) -> float | None:
    """Seconds that a moving scene lasts, with its last frame; None for one at rest."""
    if scene.moving is None or scene.moving.fps is None or options.at is not None:
        return None
    return len(scene.moving) / scene.moving.fps


def picture_times_s(scene: LoadedScene, options: RenderOptions, count: int) -> list[float | None]:
    """The time in seconds of a moving scene that each picture shows, from the start again after its end.

    Raises:
        BridgeError: `--at` outside the scene's time.
    """
    scene.check_moment(options.at)
    if scene.moving is None or options.at is not None:
        return [options.at] * count
    first = float(scene.moving.times_s[0])
    length = duration_s(scene, options) or 1.0
    return [first + (i / options.frame_rate()) % length for i in range(count)]
