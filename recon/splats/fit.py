"""Training of a scene of Gaussians on posed images (3DGS, Kerbl et al. 2023)."""

import contextlib
import logging
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from recon.clip import Clip
from recon.compute.progress import progress
from recon.errors import ReconstructionError
from recon.gaussians import Gaussians, concatenate, from_points, sh_bases
from recon.points import PointCloud
from recon.splats.density import DensityControl
from recon.splats.fitting.checks import check_fit, check_frequency, check_loss, trains_compiled
from recon.splats.fitting.dropout import draw_dropout
from recon.splats.fitting.options import FitOptions, FitResult, Watch
from recon.splats.fitting.schedule import draw_visits
from recon.splats.kernels.threads import kernels_alone
from recon.splats.mcmc import Mcmc, McmcControl
from recon.splats.pyramid import Pyramid
from recon.splats.render import best_device
from recon.splats.select import importance
from recon.splats.start import Backdrop, backdrop_points, backdrop_sphere, camera_spread, random_points
from recon.splats.trainer import Exposure, Moment, TorchTrainer, Trainer

__all__ = ["FitOptions", "FitResult", "Watch", "fit_gaussians"]

logger = logging.getLogger(__name__)

BACKDROP_OPACITY = 0.7
"""Opacity that Gaussians of the backdrop begin with: high enough to hide the background, below 1 to keep a gradient."""


def fit_gaussians(
    clip: Clip,
    points: PointCloud | Gaussians,
    *,
    options: FitOptions,
    generator: torch.Generator,
    frequency: Float[Tensor, "n"] | Float[Tensor, "p n"] | None = None,
    watch: Watch | None = None,
    watch_at: Sequence[float] = (),
) -> FitResult:
    """Train Gaussians from `points`, or from a scene, on all images of a posed clip.

    The same seed gives the same scene, bit for bit, on a CPU with any number of threads. Progress is reported through
    `recon.compute.progress`; Ctrl-C ends the training within an iteration.

    Args:
        clip: its `confidence` weighs the loss per pixel.
        points: a cloud, or a scene to start from, which keeps its own background and all its colour from the first step;
            of more than `cap` Gaussians the most important stay.
        frequency: how often each image is trained on, relative to the others (None: all alike); p rows are for equal
            parts of the training one after another.
        watch: called with the scene after each of `watch_at` CPU-seconds, which do not run meanwhile.

    Raises:
        CaptureError: the clip has no cameras, its images are not of three colours, or its confidence is not one
            number a pixel.
        CameraError: an invalid camera.
        EngineUnavailable: `options.device` is cuda, and gsplat does not work there.
        BridgeError: options or frequencies out of range, another device than cpu and cuda, or `Density.prune_screen` where
            the compiled engine trains.
        ReconstructionError: no images, nothing to start from, or the training diverged (NaN in the images).
    """
    device = best_device(options.device)
    check_fit(clip, options, device)
    cameras = clip.require_cameras().validate(clip.names)
    extent = camera_spread(cameras)
    if isinstance(points, Gaussians):
        start, sphere = _start_from_scene(points, options), None
    else:
        start, sphere = _start(clip, points, options, generator)
    start = start.to(device)
    if len(start) == 0:
        raise ReconstructionError(
            "expected points to start from, got none, and random ones and the backdrop are switched off; "
            "raise few_points or backdrop"
        )
    with _exact_convolutions() if device.type == "cuda" else kernels_alone():
        often = torch.ones(len(clip), dtype=torch.float32) if frequency is None else frequency
        check_frequency(often, len(clip))
        grown = isinstance(points, Gaussians)
        trained = _train(clip, start, often, options, extent, generator, watch, watch_at, all_colour=grown)
    return replace(trained, backdrop=sphere)


@contextlib.contextmanager
def _exact_convolutions() -> Iterator[None]:
    """Make cuDNN convolve in float32, backward too, instead of TF32, whose ten bits drown SSIM's variances."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def _start_from_scene(scene: Gaussians, options: FitOptions) -> Gaussians:
    """Reduce or extend a scene to the training's colour degree and cap."""
    scene = scene.detach().to("cpu", torch.float32)
    if len(scene) > options.cap:
        kept = torch.argsort(importance(scene), descending=True, stable=True)[: options.cap]
        scene = scene[kept.sort().values]
    k = sh_bases(options.sh_degree)
    sh = torch.zeros(len(scene), k, 3)
    sh[:, : min(k, scene.sh.shape[1])] = scene.sh[:, :k]
    return replace(scene, sh=sh)


def _start(
    clip: Clip, points: PointCloud, options: FitOptions, generator: torch.Generator
) -> tuple[Gaussians, Backdrop | None]:
    """Gaussians at the points (or at random where there are few), before a backdrop; at most `cap` in all."""
    far = min(options.backdrop, options.cap // 4)
    if len(points) < options.few_points:
        logger.info("only %d points to start from: adding %d random ones", len(points), options.start_points)
        extra = random_points(clip, options.start_points, generator)
        points = PointCloud.concatenate([points, extra])
    if len(points) > options.cap - far:
        points = points[torch.randperm(len(points), generator=generator)[: options.cap - far]]
    near = from_points(points.xyz, points.rgb, sh_degree=options.sh_degree)
    if not far:
        return near, None
    sphere = backdrop_sphere(clip.require_cameras(), points)
    wall = backdrop_points(clip, sphere, far)
    behind = from_points(wall.xyz, wall.rgb, sh_degree=options.sh_degree, opacity=BACKDROP_OPACITY)
    return concatenate([near, behind]), sphere


class _Clock:
    """CPU time of this process, paused while a `Watch` runs."""

    def __init__(self) -> None:
        self._start = time.process_time()

    @property
    def spent(self) -> float:
        """Processor seconds since the start, pauses left out."""
        return time.process_time() - self._start

    @contextlib.contextmanager
    def pause(self) -> Iterator[float]:
        """Stop the clock in the block; yields the CPU-seconds spent so far."""
        before = self.spent
        yield before
        self._start = time.process_time() - before


def _moments(options: FitOptions, clock: _Clock) -> Iterator[Moment]:
    """The iterations of a training, by number or by CPU time."""
    if options.cpu_seconds is None:
        for i in range(options.iterations):
            yield Moment(i + 1, i / options.iterations, (i + 1) / options.iterations)
        return
    iteration, was = 0, 0.0
    while was < 1:
        iteration, now = iteration + 1, min(1.0, clock.spent / options.cpu_seconds)
        yield Moment(iteration, was, now)
        was = now


def _train(
    clip: Clip,
    start: Gaussians,
    often: Float[Tensor, "n"] | Float[Tensor, "p n"],
    options: FitOptions,
    extent: float,
    generator: torch.Generator,
    watch: Watch | None,
    watch_at: Sequence[float],
    *,
    all_colour: bool,
) -> FitResult:
    started, clock = time.perf_counter(), _Clock()
    device = start.means.device
    exposure = None
    if options.exposure_compensation:
        exposure = Exposure(len(clip), options.rates.exposure, device)
    trainer, strategy = _trainer(start, options, extent, exposure), _strategy(start, options, extent)
    pyramid = Pyramid(clip, 1 + len(options.doublings), device)
    visits = [draw_visits(row, options, generator) for row in often.reshape(-1, len(clip))]
    looks = sorted(watch_at)
    losses, total, since, peak, iteration, rebuilt = [], 0.0, 0, len(start), 0, 0
    parts = options.iterations if options.cpu_seconds is None else math.ceil(options.cpu_seconds)
    with progress("training Gaussians", parts) as update:
        for moment in _moments(options, clock):
            iteration, image = moment.iteration, next(visits[int(moment.was * len(visits))])
            # one halving for each doubling that is still to come
            level = sum(moment.was < end for end in options.doublings)
            grown = options.sh_degree if all_colour else int(moment.now / options.sh_degree_every)
            degree = min(options.sh_degree, grown)
            penalties = strategy.penalty_weights(len(trainer))
            dropout = draw_dropout(options.dropout, moment.now, len(trainer), generator)
            loss = trainer.step(image, pyramid.view(image, level), moment, degree, penalties, dropout)
            check_loss(loss, iteration)
            total, since = total + loss, since + 1
            if strength := strategy.explore_strength(options.rates.of_means(moment.now) * extent):
                trainer.explore(strength, generator)
            if _rebuild(strategy, trainer, moment, iteration - rebuilt, generator):
                rebuilt, peak = iteration, max(peak, len(trainer))
            # a mean loss for every hundredth of the training, in which single pictures no longer show
            if int(100 * moment.now) > int(100 * moment.was) or moment.now == 1:
                losses.append(total / since)
                total, since = 0.0, 0
                update(round(parts * moment.now), f"loss {losses[-1]:.4f}, {len(trainer):,} Gaussians")
            if watch:
                _show(watch, looks, clock, iteration, trainer)
    return FitResult(
        gaussians=trainer.parameters.gaussians().detach().to("cpu"),
        losses=tuple(losses),
        seconds=time.perf_counter() - started,
        cpu_seconds=clock.spent,
        iterations=iteration,
        peak_count=peak,
        exposure=None if exposure is None else exposure.matrices.detach().cpu(),
    )


def _rebuild(
    strategy: DensityControl | McmcControl,
    trainer: Trainer,
    moment: Moment,
    since: int,
    generator: torch.Generator,
) -> bool:
    """Add, remove and reset Gaussians where the strategy is due; returns whether Gaussians were added or removed.

    Args:
        since: iterations since the last change; the Gaussians added then must have found their place.
    """
    changes = strategy.due(moment.was, moment.now) and since >= strategy.apart
    if changes:
        sums = trainer.take_sums()
        strategy.observe_sums(sums.gradient, sums.visits, sums.radii)
        strategy.apply(trainer.parameters, generator)
    if strategy.reset_due(moment.was, moment.now):
        strategy.reset(trainer.parameters)
    return changes


def _show(watch: Watch, looks: list[float], clock: _Clock, iteration: int, trainer: Trainer) -> None:
    """Show the scene to `watch` at each of the CPU-seconds `looks` that has passed, and remove these."""
    while looks and clock.spent >= looks[0]:
        looks.pop(0)
        with clock.pause() as spent:
            watch(iteration, spent, trainer.parameters.gaussians().detach().to("cpu"))


def _trainer(start: Gaussians, options: FitOptions, extent: float, exposure: Exposure | None) -> Trainer:
    """The compiled trainer where its engine is available, else the one by autograd."""
    if trains_compiled(start.means.device):
        from recon.splats.native.trainer import NativeTrainer as Kind
    else:
        Kind = TorchTrainer
    return Kind(
        start,
        options.rates,
        extent,
        background=options.background,
        lambda_dssim=options.lambda_dssim,
        exposure=exposure,
        antialiased=options.antialiased,
    )


def _strategy(start: Gaussians, options: FitOptions, extent: float) -> DensityControl | McmcControl:
    if isinstance(options.density, Mcmc):
        return McmcControl(options.density, cap=options.cap, extent=extent)
    return DensityControl(
        options.density, cap=options.cap, extent=extent, g=len(start), device=start.means.device
    )
