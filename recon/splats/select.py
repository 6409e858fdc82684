"""Parts of a scene: inside a box or sphere, opaque enough, near others, the most important ones."""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from recon.cameras import Cameras
from recon.errors import BridgeError
from recon.gaussians import SH_C0, Gaussians, sh_bases

NEIGHBOURS = 8
"""Gaussians whose distance says whether one stands alone; fewer see pairs of floaters as company."""
ALONE_SIGMAS = 4.0
"""A Gaussian stands alone where its neighbours are farther than so many of its own standard deviations: at 3 it has
faded to 1%, so that nothing it touches is near."""
ALONE_DEVIATIONS = 3.0
"""A Gaussian stands alone where its neighbours are also this many robust deviations (of the log distance) farther away
than is typical of the scene."""
COUNTED_OPACITY = 0.1
"""Least opacity of a Gaussian that counts as a neighbour: floaters come in clouds of faint ones."""


@dataclass(frozen=True)
class Selection:
    """Selection of Gaussians, in the scene's own frame and units; by default all."""

    box: tuple[float, float, float, float, float, float] | None = None
    """Low corner x y z, then high corner x y z, as `bridge4d import SCENE` prints its bounds."""
    sphere: tuple[float, float, float, float] | None = None
    """Middle x y z and radius."""
    min_opacity: float | None = None
    """Leave out what is fainter, 0 to 1."""
    drop_floaters: bool = False
    """Leave out Gaussians that stand alone in space."""
    max_gaussians: int | None = None
    """Keep so many: those that add most to the pictures."""
    sh_degree: int | None = None
    """Cut view-dependent colour to this degree, 0 to 3."""

    def __post_init__(self) -> None:
        if self.box is not None and not all(
            low < high for low, high in zip(self.box[:3], self.box[3:], strict=True)
        ):
            raise BridgeError(
                f"expected --box LOW_X LOW_Y LOW_Z HIGH_X HIGH_Y HIGH_Z, got {' '.join(map(str, self.box))}"
            )
        if self.sphere is not None and not (all(map(math.isfinite, self.sphere)) and self.sphere[3] > 0):
            raise BridgeError(
                f"expected --sphere X Y Z RADIUS with a positive radius, got {' '.join(map(str, self.sphere))}"
            )
        if self.min_opacity is not None and not 0 <= self.min_opacity < 1:
            raise BridgeError(f"expected --min-opacity from 0 to below 1, got {self.min_opacity}")
        if self.max_gaussians is not None and self.max_gaussians < 1:
            raise BridgeError(f"expected --max-gaussians of at least 1, got {self.max_gaussians}")
        if self.sh_degree is not None and not 0 <= self.sh_degree <= 3:
            raise BridgeError(f"expected --sh-degree from 0 to 3, got {self.sh_degree}")


def select(
    gaussians: Gaussians,
    selection: Selection,
    *,
    backdrop: Bool[Tensor, "g"] | None = None,
    cameras: Cameras | None = None,
) -> tuple[Gaussians, Bool[Tensor, "g"], dict[str, int]]:
    """Keep the Gaussians of a selection.

    Args:
        gaussians: the scene.
        selection: what to keep.
        backdrop: rows of the background shell, never treated as floaters.
        cameras: from where the scene is looked at; `max_gaussians` then keeps those that add most to these pictures
            (`contributions`), else the largest and most opaque (`importance`).

    Returns:
        The part, which rows it is made of, and how many each reason left out, in the order in which they apply.
    """
    keep = torch.ones(len(gaussians), dtype=torch.bool)
    counts: dict[str, int] = {}

    def leave(name: str, out: Bool[Tensor, "g"]) -> None:
        """Leave out Gaussians and count them by reason."""
        counts[name] = int((out & keep).sum())
        keep[out] = False

    means = gaussians.means.double()
    if selection.box is not None:
        box = torch.tensor(selection.box, dtype=torch.float64)
        leave("outside the box", ((means < box[:3]) | (means > box[3:])).any(1))
    if selection.sphere is not None:
        middle = torch.tensor(selection.sphere[:3], dtype=torch.float64)
        leave("outside the sphere", (means - middle).norm(dim=-1) > selection.sphere[3])
    if selection.min_opacity is not None:
        leave("too faint", gaussians.opacity_logits.sigmoid() < selection.min_opacity)
    if selection.drop_floaters:
        spared = torch.zeros_like(keep) if backdrop is None else backdrop
        leave("floaters", find_floaters(gaussians, ignore=spared | ~keep))
    if selection.max_gaussians is not None:
        worth = torch.full((len(gaussians),), -1.0, dtype=torch.float64)
        # what was left out already hides nothing
        left = gaussians[keep]
        worth[keep] = importance(left) if cameras is None else contributions(left, cameras)
        kept = torch.zeros_like(keep)
        kept[torch.argsort(worth, descending=True, stable=True)[: selection.max_gaussians]] = True
        leave("beyond the number asked for", ~kept)
    part = gaussians if bool(keep.all()) else gaussians[keep]
    if selection.sh_degree is not None and selection.sh_degree < part.sh_degree:
        part = replace(part, sh=part.sh[:, : sh_bases(selection.sh_degree)].contiguous())
    return part, keep, counts


def contributions(gaussians: Gaussians, cameras: Cameras) -> Float[Tensor, "g"]:
    """Contribution of each Gaussian to the pictures of some cameras: its blending weights, summed over pixels.

    A white scene's pictures are those sums, so that they are the derivatives with respect to its colours.
    """
    from recon.splats.render import best_device, render

    here = gaussians.detach().to(best_device())
    white = replace(here, sh=torch.zeros(len(gaussians), 1, 3, device=here.means.device))
    total = torch.zeros(len(gaussians), dtype=torch.float64)
    for i in range(len(cameras)):
        sh = white.sh.clone().requires_grad_(True)
        (slopes,) = torch.autograd.grad(render(replace(white, sh=sh), cameras[i]).images.sum(), sh)
        total += slopes[:, 0, 0].cpu().double() / SH_C0
    return total


def importance(gaussians: Gaussians) -> Float[Tensor, "g"]:
    """Opacity times the area of the largest cross-section: what a Gaussian can add to pictures from anywhere."""
    largest = gaussians.log_scales.double().topk(2, dim=1).values.sum(1)
    return gaussians.opacity_logits.double().sigmoid() * largest.exp()


def find_floaters(gaussians: Gaussians, *, ignore: Bool[Tensor, "g"] | None = None) -> Bool[Tensor, "g"]:
    """Gaussians whose neighbours are far, both for their own size and for this scene.

    Args:
        gaussians: the scene.
        ignore: rows that are neither floaters nor count as neighbours.
    """
    from scipy.spatial import cKDTree

    considered = torch.ones(len(gaussians), dtype=torch.bool) if ignore is None else ~ignore
    rows = considered.nonzero()[:, 0]
    company = considered & (gaussians.opacity_logits.sigmoid() >= COUNTED_OPACITY)
    floating = torch.zeros(len(gaussians), dtype=torch.bool)
    if int(company.sum()) <= NEIGHBOURS or len(rows) == 0:
        return floating
    means = gaussians.means.double()
    # one more than asked, because an opaque Gaussian finds itself first
    distances, _ = cKDTree(means[company].numpy()).query(means[rows].numpy(), k=NEIGHBOURS + 1, workers=-1)
    far = torch.from_numpy(distances)
    far = torch.where(company[rows], far[:, -1], far[:, -2]).clamp_min(1e-12)
    log_far = far.log()
    median = log_far.median()
    # 1.4826 makes the median absolute deviation a standard deviation
    deviation = 1.4826 * (log_far - median).abs().median()
    own = gaussians.log_scales[rows].double().max(1).values.exp()
    floating[rows] = (far > ALONE_SIGMAS * own) & (log_far > median + ALONE_DEVIATIONS * deviation)
    return floating
