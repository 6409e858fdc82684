"""Draws a scene for one picture after the other; a scene that moves, at the moment of each."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from bridge4d.rendering.options import RenderOptions
from bridge4d.scenes import Scene
from recon.cameras import Cameras
from recon.gaussians import Gaussians
from recon.splats.engines.screen import Rendering
from recon.splats.render import best_device, render

CPU = torch.device("cpu")


class Painter:
    """Holds a scene on the device that draws it: the GPU where gsplat works.

    With `depth` it draws on the CPU, which has the median depth, unless the options name the GPU's engine.
    """

    def __init__(
        self, scene: Scene, options: RenderOptions, times_s: Sequence[float | None], *, depth: bool
    ) -> None:
        self._scene, self._options, self._times_s = scene, options, times_s
        self._median = depth and options.engine != "gsplat"
        on_gpu = options.engine == "gsplat" or (options.engine == "auto" and not self._median)
        self._device = best_device(None if options.engine == "auto" else "cuda") if on_gpu else CPU
        self._ready: tuple[int | None, Gaussians] | None = None

    def moment(self, number: int) -> int | None:
        """Which frame of a moving scene a picture shows."""
        time_s = self._times_s[number]
        return None if self._scene.moving is None or time_s is None else self._scene.moving.index_at(time_s)

    def draw(self, number: int, camera: Cameras) -> Rendering:
        """What one camera sees at the moment of a picture."""
        moment = self.moment(number)
        if self._ready is None or self._ready[0] != moment:
            moving = self._scene.moving
            now = self._scene.gaussians if moving is None or moment is None else moving.frames[moment]
            self._ready = moment, now.to(self._device)
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


def at_the_pace_of(scene: Scene, options: RenderOptions) -> RenderOptions:
    """With the frame rate of a moving scene where none follows from the options."""
    free = options.fps is None and (options.frames is None or options.seconds is None)
    if scene.moving is None or scene.moving.fps is None or not free:
        return options
    return replace(options, fps=min(max(scene.moving.fps, 1.0), 120.0))


def duration_s(scene: Scene, options: RenderOptions) -> float | None:
    """Seconds that a moving scene takes, the last frame included; None for one that stands still."""
    if scene.moving is None or scene.moving.fps is None or options.at is not None:
        return None
    return len(scene.moving) / scene.moving.fps


def moments(scene: Scene, options: RenderOptions, count: int) -> list[float | None]:
    """Which second of a moving scene each picture shows.

    Raises:
        BridgeError: a second that the scene has not.
    """
    scene.check_moment(options.at)
    if scene.moving is None or options.at is not None:
        return [options.at] * count
    first = float(scene.moving.times_s[0])
    length = duration_s(scene, options) or 1.0
    return [first + (i / options.frame_rate()) % length for i in range(count)]
