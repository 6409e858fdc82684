"""Pictures of a moving scene, each at its own time."""

import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras
from recon.errors import BridgeError
from recon.sequence import MovingScene
from recon.splats.engines.screen import Rendering
from recon.splats.render import Engine, draw_views


def draw_at_times(
    scene: MovingScene,
    cameras: Cameras,
    times_s: Float[Tensor, "n"],
    *,
    engine: Engine = "auto",
    background: Float[Tensor, "3"] | None = None,
) -> Rendering:
    """What each camera sees at its time, without derivatives.

    Args:
        times_s: seconds on the clock of the scene, one for each camera; it is drawn there whether it was seen then or not.
        engine, background: as of `draw_views`.

    Raises:
        BridgeError: not one time for each camera.
    """
    if len(times_s) != len(cameras):
        raise BridgeError(f"expected a time for each of {len(cameras)} cameras, got {len(times_s)}")
    drawn = [
        draw_views(scene.at(time_s), cameras[i : i + 1], engine=engine, background=background)
        for i, time_s in enumerate(times_s.tolist())
    ]
    parts = zip(*((one.images, one.depth, one.alpha) for one in drawn), strict=True)
    return Rendering(*(torch.cat(part) for part in parts))
