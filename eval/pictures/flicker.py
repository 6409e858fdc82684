"""Does a clip of a static scene stay the same from frame to frame, once the camera's motion is taken out?

Warping error after Lai et al., Learning Blind Video Temporal Consistency, ECCV 2018 (arXiv 1808.00449): the next
frame is warped to this one, and the two are compared where both see the same surface. There the motion comes from
optical flow; here the scene is static and posed, so it comes from cameras and a depth that is not the model's own.

A blurred clip hardly flickers: read the figure beside its sharpness, and between clips of the same cameras and
depth only, for resampling a sharp picture leaves a little of its own.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from recon.cameras import Cameras, backproject, project
from recon.clip import Clip
from recon.errors import CaptureError

SAME_DEPTH = 0.03
"""Relative difference of depths up to which two frames see the same surface."""


@dataclass(frozen=True)
class Flicker:
    """One value for each of the n − 1 pairs of consecutive frames; NaN where no pixel can be compared."""

    mean_abs: Float[Tensor, "pairs"]
    """Mean absolute difference of colours in [0, 1]."""
    mean_square: Float[Tensor, "pairs"]
    """The warping error of Lai et al.: squared differences, averaged over pixels and colours."""
    share: Float[Tensor, "pairs"]
    """Share of the pixels that could be compared."""

    @property
    def mean(self) -> float | None:
        """`mean_abs` over the pairs that have one, as Lai et al. average over frames; None where none has."""
        known = self.mean_abs[~self.mean_abs.isnan()]
        return known.mean().item() if len(known) else None


def flicker(clip: Clip, depth: Float[Tensor, "n h w"]) -> Flicker:
    """Differences between every frame and the next one warped to it, bilinearly, through `depth`.

    Args:
        clip: frames with cameras, in the order of time.
        depth: z-depth of every frame, 0 where it is unknown; the same for all clips that are compared.

    Raises:
        CaptureError: a clip without cameras, or a depth of another size.
    """
    cameras = clip.require_cameras()
    if depth.shape != clip.images.shape[:3]:
        raise CaptureError(
            f"expected depth of the clip's shape {tuple(clip.images.shape[:3])}, got {tuple(depth.shape)}"
        )
    means, squares, shares = [], [], []
    for t in range(len(clip) - 1):
        warped, both = warp_next_frame(clip.images[t + 1], depth[t], depth[t + 1], cameras[t], cameras[t + 1])
        difference = (warped - clip.images[t].double())[both]
        means.append(difference.abs().mean())  # NaN for none
        squares.append(difference.square().mean())
        shares.append(both.double().mean())
    if not means:
        return Flicker(*(torch.zeros(0, dtype=torch.float64) for _ in range(3)))
    return Flicker(torch.stack(means), torch.stack(squares), torch.stack(shares))


def warp_next_frame(
    following: Float[Tensor, "h w 3"],
    depth: Float[Tensor, "h w"],
    following_depth: Float[Tensor, "h w"],
    camera: Cameras,
    following_camera: Cameras,
) -> tuple[Float[Tensor, "h w 3"], Bool[Tensor, "h w"]]:
    """Warps the following frame into this camera, and masks the pixels at which both see the same surface: of known
    depth, inside the frame, and as deep there as they should be (the visibility that Lai et al. get from a
    forward-backward check)."""
    h, w = depth.shape
    points = backproject(depth[None].double(), camera)[0].reshape(-1, 3)
    px, z = project(points, following_camera)
    # grid_sample counts from -1 to 1 between the outer edges of the picture: a pixel centre is at (0.5, 0.5)
    grid = (2 * px[0] / torch.tensor([w, h], dtype=torch.float64) - 1).reshape(1, h, w, 2)

    def sample(x: Float[Tensor, "h w c"], mode: str) -> Float[Tensor, "h w c"]:
        """Look up a picture along the flow."""
        out = torch.nn.functional.grid_sample(
            x.double().permute(2, 0, 1)[None], grid, mode=mode, padding_mode="border", align_corners=False
        )
        return out[0].permute(1, 2, 0)

    z = z[0].reshape(h, w)
    there = sample(following_depth[..., None], "nearest")[..., 0]
    # half a pixel from the border on, bilinear samples would repeat it
    margin = torch.tensor([1 - 1 / w, 1 - 1 / h], dtype=torch.float64)
    inside = (grid[0].abs() <= margin).all(-1) & (z > 0)
    same = (z - there).abs() <= SAME_DEPTH * there
    return sample(following, "bilinear"), inside & same & (depth > 0) & (there > 0)
