"""Training by autograd, one iteration at a time, and the protocol of all trainers."""

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from recon.gaussians import Gaussians
from recon.splats.density import ParameterStore
from recon.splats.fitting.dropout import Dropout
from recon.splats.loss import photometric_loss
from recon.splats.mcmc import explore
from recon.splats.parameters import LearningRates, Parameters
from recon.splats.pyramid import View
from recon.splats.render import render_with_screen

NEAR, FAR = 0.01, 1e10
"""z-depths between which training draws, in units of the scene."""


@dataclass(frozen=True)
class Moment:
    """Progress of a training: an iteration takes it from `was` to `now`, parts of the whole in [0, 1]."""

    iteration: int
    """Counted from 1."""
    was: float
    now: float


@dataclass(frozen=True)
class Sums:
    """Sums that densification reads, over the iterations since it last took them."""

    gradient: Float[Tensor, "g"]
    """Σ |derivative of the loss by the centre on the screen|, in half pictures."""
    visits: Float[Tensor, "g"]
    """In how many pictures a Gaussian was seen."""
    radii: Float[Tensor, "g"] | None = None
    """The largest radius on the screen, in longer sides of the picture."""


class Exposure:
    """An affine colour map per image, pictured = A · rendered + b, learnt beside the scene."""

    def __init__(self, n: int, rate: float, device: torch.device | str = "cpu") -> None:
        self.matrices: Float[Tensor, "n 3 4"] = torch.eye(3, 4, dtype=torch.float32, device=device).repeat(
            n, 1, 1
        )
        self._adam = torch.optim.Adam([self.matrices.requires_grad_()], lr=rate)

    def learn(self, image: int, gradient: Float[Tensor, "3 4"]) -> None:
        """One step, by the derivative of one image's map."""
        self.matrices.grad = torch.zeros_like(self.matrices)
        self.matrices.grad[image] = gradient
        self._adam.step()


@runtime_checkable
class Trainer(Protocol):
    """Learns a scene, one picture at a time."""

    @property
    def parameters(self) -> ParameterStore:
        """The scene in training."""
        ...

    def __len__(self) -> int:
        """Number of Gaussians."""
        ...

    def step(
        self,
        image: int,
        view: View,
        moment: Moment,
        degree: int,
        penalties: tuple[float, float],
        dropout: Dropout | None = None,
    ) -> float:
        """One iteration on picture number `image`, with colour up to `degree`; the loss before it.

        `penalties` are what the loss counts the opacity of a Gaussian in the picture for, and its scale along one axis.
        What `dropout` leaves out is not in the picture, and counts in no sum.
        """
        ...

    def take_sums(self) -> Sums:
        """Take the sums gathered since the last time."""
        ...

    def explore(self, strength: float, generator: torch.Generator) -> None:
        """A step of the random walk of MCMC splatting."""
        ...


class TorchTrainer:
    """Training by autograd, through whichever engine draws on the scene's device.

    Its Adam is the ordinary one: Gaussians out of the picture go on by their momentum, where the compiled engine leaves
    them as they are. On pictures that show all of the scene the two learn the same.
    """

    def __init__(
        self,
        start: Gaussians,
        rates: LearningRates,
        extent: float,
        *,
        background: tuple[float, float, float],
        lambda_dssim: float,
        exposure: Exposure | None,
        antialiased: bool = False,
    ) -> None:
        self.parameters = Parameters(start, rates, extent)
        self._background = torch.tensor(background, device=start.means.device)
        self._lambda_dssim, self._exposure, self._antialiased = lambda_dssim, exposure, antialiased
        self._sums: Sums | None = None

    def __len__(self) -> int:
        return len(self.parameters.gaussians(0))

    def step(
        self,
        image: int,
        view: View,
        moment: Moment,
        degree: int,
        penalties: tuple[float, float],
        dropout: Dropout | None = None,
    ) -> float:
        """One iteration of Adam on a picture; returns the loss before it."""
        scene = self.parameters.gaussians(degree)
        if dropout is not None:
            logits = scene.opacity_logits
            scene = replace(scene, opacity_logits=logits + (dropout.change_logits(logits) - logits).detach())
        drawn, screen = render_with_screen(
            scene, view.camera, background=self._background, antialiased=self._antialiased
        )
        picture = drawn.images[0]
        matrix = None
        if self._exposure is not None:
            matrix = self._exposure.matrices[image].detach().requires_grad_()
            picture = picture @ matrix[:, :3].T + matrix[:, 3]
        loss = photometric_loss(picture, view.image, view.weight, lambda_dssim=self._lambda_dssim)
        total = loss
        seen = screen.radii_px[0] > 0
        if dropout is not None:
            seen &= dropout.kept.to(seen.device)
        if any(penalties):
            opacity, scale = scene.opacity_logits[seen].sigmoid().sum(), scene.log_scales[seen].exp().sum()
            total = loss + penalties[0] * opacity + penalties[1] * scale
        total.backward()
        self._observe(screen.means2d.grad, screen.radii_px * seen, view)
        self.parameters.step(moment.now, moment.iteration)
        if self._exposure is not None and matrix is not None and matrix.grad is not None:
            self._exposure.learn(image, matrix.grad)
        return float(loss.detach())

    def _observe(
        self, gradient: Float[Tensor, "1 g 2"] | None, radii_px: Float[Tensor, "1 g"], view: View
    ) -> None:
        if gradient is None:
            return
        half = torch.tensor([view.camera.width / 2, view.camera.height / 2], device=gradient.device)
        seen = (radii_px[0] > 0).float()
        norm = (gradient[0] * half).norm(dim=-1) * seen
        radii = radii_px[0] / max(view.camera.width, view.camera.height)
        before = self._sums
        if before is None or before.radii is None or len(before.visits) != len(seen):
            self._sums = Sums(norm, seen, radii)
        else:
            self._sums = Sums(
                before.gradient + norm, before.visits + seen, torch.maximum(before.radii, radii)
            )

    def take_sums(self) -> Sums:
        """Take the sums gathered since the last time, zeros without any."""
        sums, self._sums = self._sums, None
        if sums is None:
            g = len(self.parameters.gaussians().means)
            return Sums(*torch.zeros(3, g, dtype=torch.float32, device=self._background.device).unbind())
        return sums

    @torch.no_grad()
    def explore(self, strength: float, generator: torch.Generator) -> None:
        """Move the centres by a step of the random walk of MCMC splatting."""
        scene = self.parameters.gaussians()
        scene.means.add_(explore(scene.detach(), strength, generator))
