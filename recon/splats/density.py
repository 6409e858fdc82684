"""Adaptive density control of 3DGS (Kerbl et al. 2023, section 5): clone, split, prune."""

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from recon.errors import BridgeError
from recon.gaussians import Gaussians, morton_order
from recon.splats.engines.reference import rotation_matrices

SPLIT_SHRINK = 1.6
"""Factor by which the halves of a split Gaussian are smaller than it, from 3DGS. Doubled, the halves no longer cover what
the whole one did, and holes have to be learnt anew."""


@runtime_checkable
class ParameterStore(Protocol):
    """The scene in training, as strategies see it, whichever engine keeps it."""

    def gaussians(self) -> Gaussians:
        """The scene as it is."""
        ...

    def replace(
        self, source: Int[Tensor, "m"], fresh: Bool[Tensor, "m"], edits: dict[str, Float[Tensor, "m ..."]]
    ) -> None:
        """New Gaussian i is a copy of `source[i]`; a fresh one starts without momentum; `edits` overrule values."""
        ...

    def cap_opacity(self, most: float) -> None:
        """Cap opacity at `most`, and reset its momentum."""
        ...


@dataclass(frozen=True)
class Times:
    """Times at which Gaussians are added and removed, in fractions of the training."""

    start: float
    stop: float
    every: float
    """Interval between two changes."""
    apart: int
    """At least so many iterations lie between two times: what is new has to find its place first."""

    def due(self, was: float, now: float) -> bool:
        """Whether the schedule is due between `was` and `now`; the caller keeps `apart`."""
        return self.start <= now <= self.stop and passes_multiple(self.every, was, now)


def passes_multiple(every: float, was: float, now: float) -> bool:
    """Whether a multiple of `every` lies in (was, now], up to rounding."""
    return math.floor(now / every + 1e-9) > math.floor(was / every + 1e-9)


@dataclass(frozen=True)
class Density(Times):
    """When and where Gaussians are added and removed. Times are fractions of the training."""

    start: float = 0.05
    stop: float = 0.6
    every: float = 0.01
    apart: int = 20
    gradient: float = 2e-4
    """Mean gradient of the loss by a centre on the screen, in units of half a picture, above which it is densified."""
    growth: float = 0.1
    """At most this part of the Gaussians is densified at a time, the worst first: a short training, whose early
    gradients are all large, would else fill the cap with copies of what is not in place yet. May be infinite."""
    split_above: float = 0.01
    """Size, in extents of the scene, above which a Gaussian is split rather than cloned."""
    prune_opacity: float = 0.005
    """Opacity below which a Gaussian is removed, as in 3DGS."""
    prune_above: float | None = None
    """Size, in extents of the scene, from which a Gaussian is removed, unless it has just been split into halves
    below it; None: never. With opacity resets not before the first of them, as in 3DGS."""
    prune_screen: float | None = None
    """Radius on the screen, in longer sides of the picture, above which a Gaussian is removed, judged by the
    largest since the last time; None: never. Starts as `prune_above` does. Asks for radii to be observed, which
    the compiled CPU engine does not report: a training by it refuses anything but None."""
    share_opacity: bool = True
    """A Gaussian and its clone have the opacity 1 - √(1 - o) each, with which the two look as one did (Bulò et al.
    2024); else o each, as in 3DGS, and the picture is too opaque until it has been learnt anew."""
    opacity_reset: float | None = None
    """Fraction of the training at whose multiples (until `stop`) opacity is brought down; None: never."""

    @staticmethod
    def from_paper() -> "Density":
        """The schedule of Kerbl et al. 2023 for 30 000 iterations: every 100 of them from 600 to 14 900, opacity
        reset every 3000, size from a tenth of the extent pruned thereafter, growth bounded by the cap alone.

        `prune_screen` stays off: the published code means to prune radii above 20 px, but clears them before.
        """
        return Density(
            start=600 / 30_000,
            stop=14_900 / 30_000,
            every=100 / 30_000,
            growth=math.inf,
            share_opacity=False,
            prune_above=0.1,
            opacity_reset=3000 / 30_000,
        )


class DensityControl:
    """Gathers statistics over iterations, and adds and removes Gaussians by them."""

    def __init__(self, density: Density, *, cap: int, extent: float, g: int, device: torch.device) -> None:
        self._options, self._cap, self._extent = density, cap, extent
        self._judges_size = density.opacity_reset is None
        self._forget(g, device)

    def _forget(self, g: int, device: torch.device) -> None:
        self._gradient, self._seen, self._radii = torch.zeros(3, g, dtype=torch.float32, device=device)

    def observe_sums(
        self,
        gradient: Float[Tensor, "g"],
        visits: Float[Tensor, "g"],
        radii: Float[Tensor, "g"] | None = None,
    ) -> None:
        """Add the sums of any number of backward passes.

        Args:
            gradient: Σ |derivative of the loss by the centre on the screen|, in half pictures.
            visits: how many pictures showed the Gaussian.
            radii: the largest radius on the screen, in longer sides of the picture.

        Raises:
            BridgeError: `prune_screen` is asked for and no radii are given.
        """
        if radii is not None:
            self._radii = torch.maximum(self._radii, radii)
        elif self._options.prune_screen is not None:
            raise BridgeError(
                "prune_screen needs each Gaussian's radius on the screen, which this way of training does not "
                "report; set it to None, or prune by prune_above"
            )
        self._gradient += gradient
        self._seen += visits

    @property
    def apart(self) -> int:
        """Fewest iterations between two changes."""
        return self._options.apart

    def due(self, was: float, now: float) -> bool:
        """Whether a change is due between two fractions of the training."""
        return self._options.due(was, now)

    def reset_due(self, was: float, now: float) -> bool:
        """Whether an opacity reset is due between two fractions of the training."""
        reset = self._options.opacity_reset
        return reset is not None and now < self._options.stop and passes_multiple(reset, was, now)

    def explore_strength(self, means_rate: float) -> float:
        """0: this strategy takes no random walk."""
        return 0.0

    def penalty_weights(self, g: int) -> tuple[float, float]:
        """Zeros: this strategy adds no penalty to the loss."""
        return 0.0, 0.0

    def reset(self, parameters: ParameterStore) -> None:
        """Cap all opacity at twice the pruning threshold: needed Gaussians regain it, floaters do not."""
        parameters.cap_opacity(2 * self._options.prune_opacity)
        self._judges_size = True

    @torch.no_grad()
    def apply(self, parameters: ParameterStore, generator: torch.Generator) -> None:
        """Prune, clone and split Gaussians, up to the cap, and sort them along a Morton curve."""
        scene = parameters.gaussians().detach()
        size = scene.log_scales.exp().amax(-1)
        keep = self._find_opaque(scene)
        grow = self._choose_growing(keep)
        # large Gaussians blur what lies under them and are split; small ones leave gaps and are cloned
        split = grow & (size > self._options.split_above * self._extent)
        # size is judged after the split: halves may be small enough to stay where the whole one was not
        keep = self._drop_oversized(keep, torch.where(split, size / SPLIT_SHRINK, size))
        split, clone = split & keep, grow & keep & ~split

        # rows of the new scene: those that stay, the clones, then both halves of each split one
        index = torch.arange(len(scene), device=size.device)
        source = torch.cat([index[keep & ~split], index[clone], index[split], index[split]])
        halves = 2 * int(split.sum())
        fresh = torch.zeros(len(source), dtype=torch.bool, device=size.device)
        fresh[int((keep & ~split).sum()) :] = True  # Adam's momentum belongs to the original only
        means, log_scales = scene.means[source], scene.log_scales[source]
        if halves:  # the halves are the last rows; each moves to a random point of the whole one
            means[-halves:] += _random_offsets(scene[source[-halves:]], generator)
            log_scales[-halves:] -= math.log(SPLIT_SHRINK)
        edits = {"means": means, "log_scales": log_scales}
        if self._options.share_opacity:
            logits = scene.opacity_logits
            # `source` takes the lowered opacity to the clone and its original alike
            edits["opacity_logits"] = torch.where(clone, _share_opacity(logits), logits)[source]
        # neighbours in space become neighbours in memory, which renderers read faster
        order = morton_order(means.cpu()).to(means.device)
        parameters.replace(source[order], fresh[order], {k: v[order] for k, v in edits.items()})
        self._forget(len(order), means.device)

    def _find_opaque(self, scene: Gaussians) -> Bool[Tensor, "g"]:
        """Mask of the Gaussians that are opaque enough to stay; all of them where none is."""
        opaque = scene.opacity_logits.sigmoid() > self._options.prune_opacity
        return opaque if opaque.any() else torch.ones_like(opaque)

    def _drop_oversized(self, keep: Bool[Tensor, "g"], size: Float[Tensor, "g"]) -> Bool[Tensor, "g"]:
        """Remove Gaussians from `keep` that are too large in the world or on the screen; none where all would go."""
        moderate = keep
        if self._judges_size and self._options.prune_above is not None:
            moderate = moderate & (size < self._options.prune_above * self._extent)
        if self._judges_size and self._options.prune_screen is not None:
            moderate = moderate & (self._radii <= self._options.prune_screen)
        return moderate if moderate.any() else keep

    def _choose_growing(self, keep: Bool[Tensor, "g"]) -> Bool[Tensor, "g"]:
        """Mask of the Gaussians to densify: mean gradient above the threshold, the largest first up to the cap."""
        mean = torch.where(keep, self._gradient / self._seen.clamp_min(1), 0)
        grow = mean > self._options.gradient
        count = int(keep.sum())
        room = math.ceil(min(max(0, self._cap - count), self._options.growth * count))
        if int(grow.sum()) > room:
            chosen = torch.sort(mean, descending=True, stable=True).indices[:room]
            grow = torch.zeros_like(grow)
            grow[chosen] = True
        return grow


def _share_opacity(logits: Float[Tensor, "g"]) -> Float[Tensor, "g"]:
    """Logit of the opacity 1 - √(1 - o) that a Gaussian and its clone share, from the logit of o."""
    return (-torch.expm1(-0.5 * torch.nn.functional.softplus(logits.double()))).logit().to(logits)


def _random_offsets(gaussians: Gaussians, generator: torch.Generator) -> Float[Tensor, "g 3"]:
    """Offsets from the centres, drawn from each Gaussian's own distribution, in scene units."""
    noise = torch.randn(len(gaussians), 3, generator=generator, dtype=torch.float32).to(gaussians.means)
    return (rotation_matrices(gaussians.quats_wxyz) @ (noise * gaussians.log_scales.exp())[..., None])[..., 0]
