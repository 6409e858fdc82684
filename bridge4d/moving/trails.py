"""Paths of what moves, drawn into a picture."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras, project
from recon.pictures.eight_bit import to_eight_bit
from recon.sequence import GaussianSequence

MOST_TRAILS = 400
"""More would cover the picture."""
LEAST_OPACITY = 0.3
"""Of a Gaussian at that time: fainter ones show nothing that a person sees."""
LEAST_PX = 2.0
"""Length from which a path is drawn; shorter ones are dots."""
STEPS = 9
"""Places on each path."""
DIM = 0.45
"""Of the picture under the paths."""
PAST, FUTURE = (70, 130, 255), (255, 200, 40)
"""Colours, RGB, of where Gaussians come from and where they go."""


def draw_trails(
    sequence: GaussianSequence, camera: Cameras, picture: Float[Tensor, "h w 3"], time_s: float
) -> Float[Tensor, "h w 3"]:
    """The picture, darker, with the paths of the moving Gaussians that are there at a time, each over its own duration.

    Args:
        camera: the one that saw the picture.
        picture: sRGB in [0, 1].
    """
    import cv2

    canvas = to_eight_bit(DIM * picture).numpy().copy()
    paths = find_trails(sequence, camera, time_s)
    middle = STEPS // 2
    for path in paths.round().int().numpy():
        for part, color in ((path[: middle + 1], PAST), (path[middle:], FUTURE)):
            cv2.polylines(canvas, [part.reshape(-1, 1, 2)], isClosed=False, color=color, lineType=cv2.LINE_AA)
    return torch.from_numpy(canvas.astype(np.float32) / 255)


def find_trails(sequence: GaussianSequence, camera: Cameras, time_s: float) -> Float[Tensor, "t s 2"]:
    """Pixels (integer centres) of the paths of up to `MOST_TRAILS` Gaussians, the most opaque, from before to after a time.

    Gaussians behind the camera, and those that go less than `LEAST_PX`, have none.
    """
    still, motion = len(sequence.static), sequence.motion
    if not len(sequence.moving):
        return torch.zeros(0, STEPS, 2)
    opacity = sequence.at(time_s).opacity_logits[still:].sigmoid()
    there = (opacity > LEAST_OPACITY).nonzero()[:, 0]
    there = there[opacity[there].argsort(descending=True, stable=True)]
    first, last = float(sequence.times_s[0]), float(sequence.times_s[-1])
    reach = motion.log_duration_s[there].exp()
    powers = torch.arange(1, motion.coefficients.shape[1] + 1)
    pixels, ahead = [], torch.ones(len(there), dtype=torch.bool)
    for step in torch.linspace(-1, 1, STEPS).tolist():
        delta = (time_s + step * reach).clamp(first, last) - motion.time_center_s[there]
        way = (motion.coefficients[there] * (delta[:, None] ** powers)[..., None]).sum(1)
        px, z = project((sequence.moving.means[there] + way).double(), camera)
        ahead &= z[0] > 0
        pixels.append(px[0] - 0.5)
    paths = torch.stack(pixels, 1)[ahead].float()
    long = (paths.diff(dim=1).norm(dim=2).sum(1) >= LEAST_PX) & paths.isfinite().flatten(1).all(1)
    # far outside of the picture, whole numbers of pixels would overflow
    return paths[long][:MOST_TRAILS].clamp(-1e4, 1e4)
