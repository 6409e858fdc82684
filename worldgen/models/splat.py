"""A splat scene as a world model."""

import torch

from recon.clip import Clip
from recon.errors import BridgeError
from recon.gaussians import Gaussians
from recon.splats.render import Engine, draw_views
from worldgen.model import ModelSpec, Request, Views


class SplatModel:
    """Renders Gaussians (``splat``); an oracle where the scene is the truth.

    Confidence is the rendered opacity: 0 where the scene has nothing, and the background is mid grey there.
    """

    def __init__(self, gaussians: Gaussians | None = None, *, engine: Engine = "auto") -> None:
        """Of this scene, or of each request's own where none is given."""
        self.gaussians = gaussians
        self.engine: Engine = engine

    @property
    def spec(self) -> ModelSpec:
        """What the model states of itself."""
        return ModelSpec(
            name="splat", conditions_on=("cameras",), gives_confidence=True, needs="a splat scene"
        )

    def generate(self, request: Request, *, generator: torch.Generator) -> Views:
        """One picture per target; context and generator do not matter.

        Raises:
            BridgeError: neither the model nor the request has Gaussians.
        """
        gaussians = request.scene.gaussians if self.gaussians is None else self.gaussians
        if gaussians is None:
            raise BridgeError("the world model 'splat' cannot run without a splat scene to render")
        seen = draw_views(gaussians, request.targets, engine=self.engine, background=torch.full((3,), 0.5))
        return Views(
            Clip(
                images=seen.images.clamp(0, 1),
                cameras=request.targets,
                times_s=request.times_s,
                confidence=seen.alpha.clamp(0, 1),
            )
        )
