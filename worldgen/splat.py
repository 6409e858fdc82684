"""A splat scene as a world model."""

import torch

from recon.clip import Clip
from recon.gaussians import Gaussians
from recon.splats.render import Engine, draw_views
from worldgen.model import ModelSpec, Request


class SplatModel:
    """Renders Gaussians (``splat``); an oracle where the scene is the truth.

    Confidence is the rendered opacity: 0 where the scene has nothing, and the background is mid grey there.
    """

    def __init__(self, gaussians: Gaussians, *, engine: Engine = "auto") -> None:
        self.gaussians = gaussians
        self.engine: Engine = engine

    @property
    def spec(self) -> ModelSpec:
        return ModelSpec(
            name="splat", conditions_on=("cameras",), gives_confidence=True, needs="a splat scene"
        )

    def generate(self, request: Request, *, generator: torch.Generator) -> Clip:
        """One picture per target; context and generator do not matter."""
        seen = draw_views(
            self.gaussians, request.targets, engine=self.engine, background=torch.full((3,), 0.5)
        )
        return Clip(
            images=seen.images.clamp(0, 1),
            cameras=request.targets,
            times_s=request.times_s,
            confidence=seen.alpha.clamp(0, 1),
        )
