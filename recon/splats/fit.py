"""Training of a scene of Gaussians on posed images (3DGS, Kerbl et al. 2023)."""

import contextlib
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from recon.clip import Clip
from recon.compute.progress import progress
from recon.errors import BridgeError, CaptureError, ReconstructionError
from recon.gaussians import Gaussians, concatenate, from_points, sh_bases
from recon.points import PointCloud
from recon.splats.density import Density, DensityControl
from recon.splats.kernels.threads import kernels_alone
from recon.splats.mcmc import Mcmc, McmcControl
from recon.splats.parameters import LearningRates
from recon.splats.pyramid import Pyramid
from recon.splats.render import best_device, resolve
from recon.splats.select import importance
from recon.splats.sh import MAX_DEGREE
from recon.splats.start import Backdrop, backdrop_points, backdrop_sphere, camera_spread, random_points
from recon.splats.trainer import Exposure, Moment, TorchTrainer, Trainer

logger = logging.getLogger(__name__)

BACKDROP_OPACITY = 0.7
"""Opacity that Gaussians of the backdrop begin with: high enough to hide the background, below 1 to keep a gradient."""

Watch = Callable[[int, float, Gaussians], None]
"""Called with the iterations done, the CPU-seconds spent and the scene as it is."""


@dataclass(frozen=True)
class FitOptions:
    """How to train. The defaults suit a few photos on a laptop; times are fractions of the training."""

    iterations: int = 1000
    cpu_seconds: float | None = None
    """Train for so much CPU time of this process, all threads together, instead of `iterations`. What comes out then
    depends on the machine, and is no longer the same bits for the same seed."""
    sh_degree: int = 2
    cap: int = 40_000
    """The most Gaussians there will ever be, and the bound on memory: about 1 kB each at degree 3."""
    lambda_dssim: float = 0.2
    rates: LearningRates = field(default_factory=LearningRates)
    density: Density | Mcmc = field(default_factory=Density)
    sh_degree_every: float = 0.2
    """The degree of colour rises by one after each such part of the training."""
    doublings: tuple[float, ...] = (0.1, 0.3)
    """When the pictures double in size; the training starts on pictures halved as often as there are entries."""
    antialiased: bool = False
    """Train for antialiased rendering (Mip-Splatting); render the scene so as well."""
    exposure_compensation: bool = False
    """Learn an affine colour map per image, so that the scene need not explain exposure."""
    background: tuple[float, float, float] = (0.0, 0.0, 0.0)
    start_points: int = 5_000
    """Random points to start from where there are fewer than `few_points` given."""
    few_points: int = 50
    backdrop: int = 500
    """Gaussians on a sphere far behind the scene, for what has no points: sky, plain walls; 0 for none."""
    device: str | None = None
    """cpu or cuda; None: the GPU where gsplat works, else the CPU."""


@dataclass(frozen=True)
class FitResult:
    """A trained scene and how it came about."""

    gaussians: Gaussians
    """Detached, on the CPU wherever it was trained."""
    losses: tuple[float, ...]
    """Mean loss of about every hundredth part of the training; while pictures still double, each of its own size."""
    seconds: float
    cpu_seconds: float
    iterations: int
    peak_count: int
    """The most Gaussians there were."""
    exposure: Float[Tensor, "n 3 4"] | None
    """Per image: pictured = exposure[:, :3] @ rendered + exposure[:, 3]; None without compensation."""
    backdrop: Backdrop | None = None
    """Where its background shell began; None where there is none."""


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
    """Trains Gaussians that start at `points`, or are `points` already, on all images of a posed clip.

    A scene to start from keeps its own background and all its colour from the first step; of more than `cap`
    Gaussians the most important stay.
    `clip.confidence` weighs the loss per pixel; `frequency` says how often an image is trained on, relative to
    the others (None: all alike); its p rows, if it has rows, are for equal parts of the training one after another.
    `watch` is shown the scene after each of `watch_at` CPU-seconds, which do not run while it looks. The same seed gives the same scene, bit for bit, on a CPU with any number of threads.
    Progress is reported through `recon.compute.progress`; Ctrl-C ends it within an iteration.

    Raises:
        CaptureError: the clip has no cameras, its images are not of three colours, or its confidence is not one
            number a pixel.
        CameraError: a camera is none.
        EngineUnavailable: `options.device` is cuda, and gsplat does not work there.
        BridgeError: options or frequencies out of range, a device that is neither, or `Density.prune_screen` where the compiled engine trains.
        ReconstructionError: no images, nothing to start from, or the training diverged (NaN in the images).
    """
    device = best_device(options.device)
    _check(clip, options, device)
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
        _check_frequency(often, len(clip))
        grown = isinstance(points, Gaussians)
        trained = _train(clip, start, often, options, extent, generator, watch, watch_at, all_colour=grown)
    return replace(trained, backdrop=sphere)


@contextlib.contextmanager
def _exact_convolutions() -> Iterator[None]:
    """Inside, cuDNN convolves in float32, backward too, instead of TF32, whose ten bits drown SSIM's variances."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def _start_from_scene(scene: Gaussians, options: FitOptions) -> Gaussians:
    """Fits a given scene to the training's colour degree and cap."""
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
        """Stops the clock in the block; yields the CPU-seconds spent so far."""
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
    visits = [_visits(row, options, generator) for row in often.reshape(-1, len(clip))]
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
            loss = trainer.step(image, pyramid.view(image, level), moment, degree, penalties)
            _check_loss(loss, iteration)
            total, since = total + loss, since + 1
            if strength := strategy.explore_strength(options.rates.of_means(moment.now) * extent):
                trainer.explore(strength, generator)
            # rebuild only once the Gaussians added last have found their place
            if strategy.due(moment.was, moment.now) and iteration - rebuilt >= strategy.apart:
                rebuilt = iteration
                sums = trainer.take_sums()
                strategy.observe_sums(sums.gradient, sums.visits, sums.radii)
                strategy.apply(trainer.parameters, generator)
                peak = max(peak, len(trainer))
            if strategy.reset_due(moment.was, moment.now):
                strategy.reset(trainer.parameters)
            # a mean loss for every hundredth of the training, in which single pictures no longer show
            if int(100 * moment.now) > int(100 * moment.was) or moment.now == 1:
                losses.append(total / since)
                total, since = 0.0, 0
                update(round(parts * moment.now), f"loss {losses[-1]:.4f}, {len(trainer):,} Gaussians")
            while watch and looks and clock.spent >= looks[0]:
                looks.pop(0)
                with clock.pause() as spent:
                    watch(iteration, spent, trainer.parameters.gaussians().detach().to("cpu"))
    return FitResult(
        gaussians=trainer.parameters.gaussians().detach().to("cpu"),
        losses=tuple(losses),
        seconds=time.perf_counter() - started,
        cpu_seconds=clock.spent,
        iterations=iteration,
        peak_count=peak,
        exposure=None if exposure is None else exposure.matrices.detach().cpu(),
    )


def _trainer(start: Gaussians, options: FitOptions, extent: float, exposure: Exposure | None) -> Trainer:
    """The compiled trainer where its engine is available, else the one by autograd."""
    if _is_compiled(start.means.device):
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


def _is_compiled(device: torch.device) -> bool:
    """Whether the compiled engine trains on this device."""
    return resolve("auto", device) == "cpu"


def _strategy(start: Gaussians, options: FitOptions, extent: float) -> DensityControl | McmcControl:
    if isinstance(options.density, Mcmc):
        return McmcControl(options.density, cap=options.cap, extent=extent)
    return DensityControl(
        options.density, cap=options.cap, extent=extent, g=len(start), device=start.means.device
    )


def _visits(often: Float[Tensor, "n"], options: FitOptions, generator: torch.Generator) -> Iterator[int]:
    """Which image each iteration looks at."""
    if options.cpu_seconds is None:
        yield from _schedule(often, options.iterations, generator)
    while True:
        yield from _schedule(often, 100 * len(often), generator)


def _check_frequency(often: Tensor, n: int) -> None:
    fits = often.ndim in (1, 2) and often.shape[-1] == n and often.numel() > 0
    if not fits or not bool(((often >= 0) & often.isfinite()).all() & (often.sum(-1) > 0).all()):
        got = f"from {often.min():g} to {often.max():g}" if fits else f"of shape {tuple(often.shape)}"
        raise BridgeError(
            f"expected how often to train on each of {n} images, none below 0 or infinite, at least one above 0 at "
            f"any time, got frequencies {got}"
        )


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


def _check(clip: Clip, options: FitOptions, device: torch.device) -> None:
    _check_pictures(clip)
    _check_ranges(options)
    _check_times(options)
    density = options.density
    if isinstance(density, Density) and density.prune_screen is not None and _is_compiled(device):
        raise BridgeError(
            f"expected prune_screen to be None, got {density.prune_screen}: training by the compiled engine does not "
            "report radii on the screen; prune by prune_above instead"
        )


def _check_pictures(clip: Clip) -> None:
    if len(clip) == 0:
        raise ReconstructionError("expected at least one image to train on, got none")
    shape = tuple(clip.images.shape)
    if shape[3] != 3:
        raise CaptureError(
            f"expected images of n x h x w x 3, red, green and blue, got {_sides(shape)}; convert them to sRGB"
        )
    if clip.confidence is not None and tuple(clip.confidence.shape) != shape[:3]:
        raise CaptureError(
            f"expected a confidence for each pixel, {_sides(shape[:3])}, got {_sides(clip.confidence.shape)}"
        )


def _sides(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _check_ranges(options: FitOptions) -> None:
    if options.iterations < 1 or options.cap < 1:
        raise BridgeError(
            f"expected at least one iteration and room for one Gaussian, got {options.iterations} and {options.cap}"
        )
    if options.cpu_seconds is not None and not options.cpu_seconds > 0:
        raise BridgeError(f"expected some CPU-seconds to train for, got {options.cpu_seconds}")
    if not 0 <= options.sh_degree <= MAX_DEGREE:
        raise BridgeError(f"expected sh_degree from 0 to {MAX_DEGREE}, got {options.sh_degree}")
    if not 0 <= options.lambda_dssim <= 1:
        raise BridgeError(f"expected lambda_dssim from 0 to 1, got {options.lambda_dssim}")
    if len(options.background) != 3:
        raise BridgeError(f"expected a background of three numbers, got {options.background}")


def _check_times(options: FitOptions) -> None:
    """Fractions of the training; comparisons are such that NaN fails."""
    intervals = {
        "sh_degree_every": options.sh_degree_every,
        f"{type(options.density).__name__}.every": options.density.every,
    }
    if isinstance(options.density, Density) and options.density.opacity_reset is not None:
        intervals["Density.opacity_reset"] = options.density.opacity_reset
    for name, interval in intervals.items():
        if not interval > 0:
            raise BridgeError(f"expected {name} to be a part of the training above 0, got {interval}")
    if not all(earlier < later for earlier, later in pairwise((0, *options.doublings, 1))):
        raise BridgeError(f"expected doublings that increase between 0 and 1, got {options.doublings}")


def _check_loss(loss: float, iteration: int) -> None:
    if math.isnan(loss):
        raise ReconstructionError(
            f"the training diverged (loss is not a number after {iteration} iterations); "
            "look for NaN in the images or lower the learning rates"
        )
