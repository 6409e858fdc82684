"""Training of a scene of Gaussians on posed images (3DGS, Kerbl et al. 2023)."""

import contextlib
import logging
import math
import time
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from recon.clip import Clip
from recon.errors import BridgeError, ReconstructionError
from recon.gaussians import Gaussians, from_points
from recon.points import PointCloud
from recon.progress import progress
from recon.splats.density import Density, DensityControl
from recon.splats.kernels.threads import kernels_alone
from recon.splats.loss import photometric_loss
from recon.splats.parameters import LearningRates, Parameters
from recon.splats.render import render_with_screen
from recon.splats.sh import MAX_DEGREE
from recon.splats.start import backdrop, random_points, scene_extent

logger = logging.getLogger(__name__)

BACKDROP_OPACITY = 0.7


@dataclass(frozen=True)
class FitOptions:
    """How to train. The defaults suit a few photos on a laptop; times are fractions of `iterations`."""

    iterations: int = 1000
    sh_degree: int = 2
    cap: int = 40_000
    """The most Gaussians there will ever be, and the bound on memory."""
    lambda_dssim: float = 0.2
    rates: LearningRates = field(default_factory=LearningRates)
    density: Density = field(default_factory=Density)
    sh_degree_every: float = 0.2
    """The degree of colour rises by one after each such part of the training."""
    exposure_compensation: bool = False
    """Learn an affine colour map per image, so that the scene need not explain exposure."""
    background: tuple[float, float, float] = (0.0, 0.0, 0.0)
    start_points: int = 5_000
    """Random points to start from where there are fewer than `few_points` given."""
    few_points: int = 50
    backdrop: int = 500
    """Gaussians on a sphere far behind the scene, for what has no points: sky, plain walls; 0 for none."""
    device: str | None = None
    """None: CUDA where there is one, else the CPU."""


@dataclass(frozen=True)
class FitResult:
    """A trained scene and how it came about."""

    gaussians: Gaussians
    """Detached, on the device it was trained on."""
    losses: tuple[float, ...]
    """Mean loss of every `loss_every` iterations."""
    loss_every: int
    seconds: float
    iterations: int
    peak_count: int
    """The most Gaussians there were."""
    exposure: Float[Tensor, "n 3 4"] | None
    """Per image: pictured = exposure[:, :3] @ rendered + exposure[:, 3]; None without compensation."""


def fit_gaussians(
    clip: Clip,
    points: PointCloud,
    *,
    options: FitOptions,
    generator: torch.Generator,
    frequency: Float[Tensor, "n"] | None = None,
) -> FitResult:
    """Trains Gaussians that start at `points` on all images of a posed clip.

    `clip.confidence` weighs the loss per pixel; `frequency` says how often an image is trained on, relative to
    the others (None: all alike). The same seed gives the same scene, bit for bit, on a CPU with
    any number of threads. Progress is reported through `recon.progress`; Ctrl-C ends it within an iteration.

    Raises:
        CaptureError: the clip has no cameras.
        CameraError: a camera is none.
        BridgeError: options out of range.
        ReconstructionError: no images, nothing to start from, or the training diverged (NaN in the images).
    """
    _check(clip, options)
    device = torch.device(options.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    cameras = clip.posed().checked(clip.names)
    extent = scene_extent(cameras)
    start = _start(clip, points, options, generator).to(device)
    if len(start) == 0:
        raise ReconstructionError(
            "expected points to start from, got none, and random ones and the backdrop are switched off; "
            "raise few_points or backdrop"
        )
    with contextlib.nullcontext() if device.type == "cuda" else kernels_alone():
        often = torch.ones(len(clip)) if frequency is None else frequency
        return _train(clip, start, often, options, extent, generator)


def _start(clip: Clip, points: PointCloud, options: FitOptions, generator: torch.Generator) -> Gaussians:
    """Gaussians at the points (or at random where there are few), before a backdrop; at most `cap` in all."""
    far = min(options.backdrop, options.cap // 4)
    if len(points) < options.few_points:
        logger.info("only %d points to start from: adding %d random ones", len(points), options.start_points)
        extra = random_points(clip, options.start_points, generator)
        points = PointCloud(
            torch.cat([points.xyz.double(), extra.xyz]),
            torch.cat([points.rgb.float(), extra.rgb]),
            torch.cat([points.error_px.double(), extra.error_px]),
        )
    if len(points) > options.cap - far:
        points = points[torch.randperm(len(points), generator=generator)[: options.cap - far]]
    near = from_points(points.xyz, points.rgb, sh_degree=options.sh_degree)
    if not far:
        return near
    wall = backdrop(clip, points, far)
    behind = from_points(wall.xyz, wall.rgb, sh_degree=options.sh_degree, opacity=BACKDROP_OPACITY)
    return Gaussians(
        **{name: torch.cat([value, behind.tensors()[name]]) for name, value in near.tensors().items()}
    )


def _train(
    clip: Clip,
    start: Gaussians,
    often: Float[Tensor, "n"],
    options: FitOptions,
    extent: float,
    generator: torch.Generator,
) -> FitResult:
    started = time.perf_counter()
    trainer = _Trainer(clip, Parameters(start, options.rates, extent), options, extent, start.means.device)
    losses, total, every = [], 0.0, max(1, options.iterations // 100)
    peak = len(start)
    with progress("training Gaussians", options.iterations) as update:
        for iteration, image in enumerate(_schedule(often, options.iterations, generator), start=1):
            loss = trainer.step(iteration, image, generator)
            total += float(loss)
            peak = max(peak, trainer.count)
            if iteration % every == 0:
                losses.append(total / every)
                total = 0.0
                update(iteration, f"loss {losses[-1]:.4f}, {trainer.count:,} Gaussians")
                _check_loss(losses[-1], iteration)
    scene = trainer.parameters.gaussians().detach()
    exposure = None if trainer.exposure is None else trainer.exposure.detach().cpu()
    return FitResult(
        gaussians=Gaussians(**{name: value.contiguous() for name, value in scene.tensors().items()}),
        losses=tuple(losses),
        loss_every=every,
        seconds=time.perf_counter() - started,
        iterations=options.iterations,
        peak_count=peak,
        exposure=exposure,
    )


class _Trainer:
    """One iteration after the other: render, compare, learn, densify."""

    def __init__(
        self, clip: Clip, parameters: Parameters, options: FitOptions, extent: float, device: torch.device
    ) -> None:
        self.parameters, self._options, self._extent = parameters, options, extent
        self._images, self._cameras = clip.images.to(device), clip.posed()
        self._weights = None if clip.confidence is None else clip.confidence.to(device)
        self._background = torch.tensor(options.background, device=device)
        self.exposure: Tensor | None = None
        if options.exposure_compensation:
            identity = torch.eye(3, 4, device=device).repeat(len(clip), 1, 1)
            self.exposure = identity.requires_grad_()
            self._exposure_adam = torch.optim.Adam([self.exposure], lr=options.rates.exposure)
        self._density = DensityControl(
            options.density,
            iterations=options.iterations,
            cap=options.cap,
            extent=extent,
            g=self.count,
            device=device,
        )

    @property
    def count(self) -> int:
        return len(self.parameters.gaussians(0))

    def step(self, iteration: int, image: int, generator: torch.Generator) -> Float[Tensor, ""]:
        options = self._options
        fraction = iteration / options.iterations
        degree = min(options.sh_degree, int(fraction / options.sh_degree_every))
        scene = self.parameters.gaussians(degree)
        drawn, screen = render_with_screen(scene, self._cameras[image], background=self._background)
        picture = drawn.images[0]
        if self.exposure is not None:
            picture = picture @ self.exposure[image, :, :3].T + self.exposure[image, :, 3]
        weight = None if self._weights is None else self._weights[image]
        loss = photometric_loss(picture, self._images[image], weight, lambda_dssim=options.lambda_dssim)
        loss.backward()
        if fraction <= options.density.stop:
            self._density.observe(screen, self._cameras.width, self._cameras.height)
        self.parameters.step(fraction)
        if self.exposure is not None:
            self._exposure_adam.step()
            self._exposure_adam.zero_grad()
        if self._density.due(iteration):
            self._density.apply(self.parameters, generator)
        if self._density.reset_due(iteration):
            self.parameters.cap_opacity(2 * options.density.prune_opacity)
        return loss.detach()


def _schedule(frequency: Float[Tensor, "n"], count: int, generator: torch.Generator) -> list[int]:
    """Indices of images in random order, each about as often as its frequency says.

    Image i comes once in every interval of length 1 / frequency[i], at a random moment of it; with equal
    frequencies that is each image once before any comes again.
    """
    frequency = frequency.double() / frequency.double().sum()
    visits = [math.ceil(count * float(f)) + 1 for f in frequency]
    index = torch.repeat_interleave(torch.arange(len(frequency)), torch.tensor(visits))
    turn = torch.cat([torch.arange(v, dtype=torch.float64) for v in visits])
    moment = (turn + torch.rand(len(turn), generator=generator, dtype=torch.float64)) / frequency[index]
    return index[torch.argsort(moment, stable=True)][:count].tolist()


def _check(clip: Clip, options: FitOptions) -> None:
    if options.iterations < 1 or options.cap < 1:
        raise BridgeError(
            f"expected at least one iteration and room for one Gaussian, got {options.iterations} and {options.cap}"
        )
    if not 0 <= options.sh_degree <= MAX_DEGREE:
        raise BridgeError(f"expected sh_degree from 0 to {MAX_DEGREE}, got {options.sh_degree}")
    if not 0 <= options.lambda_dssim <= 1:
        raise BridgeError(f"expected lambda_dssim from 0 to 1, got {options.lambda_dssim}")
    if len(clip) == 0:
        raise ReconstructionError("expected at least one image to train on, got none")


def _check_loss(loss: float, iteration: int) -> None:
    if math.isnan(loss):
        raise ReconstructionError(
            f"the training diverged (loss is not a number after {iteration} iterations); "
            "look for NaN in the images or lower the learning rates"
        )
