"""A splat scene as a world model."""

import torch

from recon.clip import Clip
from recon.errors import BridgeError
from recon.gaussians import Gaussians
from recon.sequence import MovingScene, check_times
from recon.splats.engines.screen import Rendering
from recon.splats.moving.draw import draw_at_times
from recon.splats.render import Engine, draw_views
from worldgen.model import ModelSpec, Request, Views

GREY = 0.5
"""Behind the scene."""


class SplatModel:
    """Renders Gaussians (``splat``), of a scene that moves at the times of the request; an oracle where the scene is the truth.

    Confidence is the rendered opacity: 0 where the scene has nothing, and the background is mid grey there.
    """

    def __init__(self, scene: Gaussians | MovingScene | None = None, *, engine: Engine = "auto") -> None:
        """Of this scene, or of each request's own where none is given."""
        self.gaussians = scene if isinstance(scene, Gaussians) else None
        self.moving = None if isinstance(scene, Gaussians) else scene
        self.engine: Engine = engine

    @property
    def spec(self) -> ModelSpec:
        """What the model states of itself: it takes times unless it was made of a scene at rest."""
        takes = ("cameras",) if self.gaussians is not None else ("cameras", "time")
        return ModelSpec(name="splat", conditions_on=takes, gives_confidence=True, needs="a splat scene")

    def generate(self, request: Request, *, generator: torch.Generator) -> Views:
        """One picture per target; context and generator do not matter. Without times a moving scene shows its first moment.

        Raises:
            BridgeError: neither the model nor the request has Gaussians, or a time at which a moving scene was not seen.
        """
        seen = self._draw(request)
        return Views(
            Clip(
                images=seen.images.clamp(0, 1),
                cameras=request.targets,
                times_s=request.times_s,
                confidence=seen.alpha.clamp(0, 1),
            )
        )

    def _draw(self, request: Request) -> Rendering:
        known, grey = request.scene, torch.full((3,), GREY)
        moving = self.moving if self.moving is not None or self.gaussians is not None else known.moving
        if moving is not None:
            times = request.times_s
            times = moving.times_s[:1].expand(len(request.targets)) if times is None else times.double()
            check_times(moving, times)
            return draw_at_times(moving, request.targets, times, engine=self.engine, background=grey)
        gaussians = known.gaussians if self.gaussians is None else self.gaussians
        if gaussians is None:
            raise BridgeError("the world model 'splat' cannot run without a splat scene to render")
        return draw_views(gaussians, request.targets, engine=self.engine, background=grey)
