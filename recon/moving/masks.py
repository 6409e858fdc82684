"""What moves in a clip."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from recon.clip import Clip
from recon.compute.progress import track
from recon.errors import CaptureError
from recon.moving.decide import LEAST_ODDS, classify, weigh_evidence, widen_evidence
from recon.moving.flows import FlowsFrom, FlowTable
from recon.moving.plate import MapsFrom, compare, is_unsure
from recon.moving.static_fit import ViewMaps, fit_static
from recon.pictures.lazy import resize_pictures

MIN_FRAMES = 3
"""Two flows must be compared at a pixel to tell motion from depth."""
CALM_PX = 0.7
"""Standard deviation of the blur by which noise is taken off pictures whose colours are compared."""
PARALLAX_PX = 0.5
"""Parallax between frames up to which cameras stand in one place: more than recovered cameras are off by."""


@dataclass(frozen=True)
class MovingMasks:
    """Where the frames of a clip show something that moves."""

    moving: Bool[Tensor, "n h w"]
    """A mover's shadow counts as still."""
    confidence: Float[Tensor, "n h w"]
    """Probability in [0, 1] that a pixel shows something that moves."""

    @property
    def share(self) -> Float[Tensor, "n"]:
        """Share of each frame that moves."""
        return self.moving.float().mean((1, 2))

    def resize(self, *, width: int, height: int) -> "MovingMasks":
        """The same for pictures of another size; a pixel moves where most of it does."""
        layers = torch.stack([self.moving.float(), self.confidence], -1)
        moving, confidence = resize_pictures(layers, width=width, height=height).unbind(-1)
        return MovingMasks(moving > 0.5, confidence)


def find_movers(clip: Clip) -> MovingMasks:
    """Masks of what moves in a clip, from flows and colours that a scene at rest cannot have between its cameras.

    Four steps: flows to frames before and after, with the depth at which they are most nearly those of a scene at rest; colours of
    other frames at that depth; a probability for each pixel from both; the same once more from the probabilities about it, along
    the flow and up to edges. What moves in step with the camera, so that a still thing at another depth would look the same,
    is not found.

    Args:
        clip: posed frames in the order in which they were taken, 3 or more.

    Raises:
        CaptureError: no cameras, or too few frames.
    """
    cameras = clip.require_cameras()
    require_frames(clip)
    return find_by_maps(clip, lambda i, others: ViewMaps.between(cameras, i, others))


def require_frames(clip: Clip) -> None:
    """Refuse clips in which motion and depth cannot be told apart.

    Raises:
        CaptureError: fewer than `MIN_FRAMES` frames.
    """
    if len(clip) < MIN_FRAMES:
        raise CaptureError(
            f"expected {MIN_FRAMES} frames or more to see what moves, got {len(clip)}; take more frames of the clip"
        )


def find_by_maps(clip: Clip, maps_from: MapsFrom) -> MovingMasks:
    """`find_movers` with cameras or homographies as maps between frames."""
    # cameras that are wrong send pixels to infinity, which counts as seen nowhere
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return _find_by_maps(clip, maps_from)


def _find_by_maps(clip: Clip, maps_from: MapsFrom) -> MovingMasks:
    table = FlowTable(clip.images)
    flows = [table.of_frame(i) for i in track(range(len(clip)), "flows between frames")]
    fits = [
        fit_static(one, maps_from(one.of, one.others)) for one in track(flows, "depth of a scene at rest")
    ]
    pictures = calm_pictures(clip)
    unsure = [is_unsure(fit) for fit in fits]
    parallax = max(fit.parallax_px for fit in fits) > PARALLAX_PX
    plates = [
        compare(i, fits, pictures, unsure, maps_from, parallax=parallax)
        for i in track(range(len(clip)), "colours of a scene at rest")
    ]
    evidence = [weigh_evidence(*each) for each in zip(fits, plates, pictures, strict=True)]
    return decide(pictures, flows, evidence, [plate.contradicted for plate in plates])


def calm_pictures(clip: Clip) -> list[Float[np.ndarray, "h w 3"]]:
    """Pictures with less noise."""
    import cv2

    return [cv2.GaussianBlur(one.numpy(), (0, 0), CALM_PX) for one in clip.images]


def decide(
    pictures: Sequence[Float[np.ndarray, "h w 3"]],
    flows: Sequence[FlowsFrom],
    evidence: Sequence[Float[np.ndarray, "h w"]],
    contradicted: Sequence[Bool[np.ndarray, "h w"] | None],
) -> MovingMasks:
    """Masks from the log odds of each pixel by itself; see `classify`."""
    moving, confidence = [], []
    for i in range(len(pictures)):
        odds = widen_evidence(i, evidence, flows[i].nearest(), pictures[i])
        mask = classify(odds, contradicted[i])
        moving.append(torch.from_numpy(mask))
        likely = torch.from_numpy(np.where(mask, odds, np.minimum(odds, LEAST_ODDS)))
        confidence.append(likely.float().sigmoid())
    return MovingMasks(torch.stack(moving), torch.stack(confidence))
