"""Training of a moving scene: a static part, and Gaussians with polynomial motion."""

import time
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from recon.clip import Clip
from recon.compute.progress import progress
from recon.errors import ReconstructionError
from recon.gaussians import Gaussians
from recon.points import PointCloud
from recon.sequence import GaussianSequence, Motion
from recon.splats.fit import fit_gaussians
from recon.splats.fitting.schedule import schedule
from recon.splats.kernels.threads import kernels_alone
from recon.splats.loss import photometric_loss
from recon.splats.moving.options import SequenceFit, SequenceOptions
from recon.splats.moving.penalties import Neighbours
from recon.splats.moving.start import TimedPoints, begin_moving, frames_by_time
from recon.splats.parameters import BETAS, EPSILON, LearningRates
from recon.splats.render import render_with_screen
from recon.splats.start import camera_spread

SEEN = 3.0
"""Durations from its centre of time after which a Gaussian is not drawn any more: its opacity is a ten-thousandth."""


def fit_sequence(
    clip: Clip,
    moving: Bool[Tensor, "n h w"],
    still: PointCloud,
    timed: TimedPoints,
    *,
    times_s: Float[Tensor, "t"] | None = None,
    options: SequenceOptions,
    generator: torch.Generator,
    frequency: Float[Tensor, "n"] | None = None,
) -> SequenceFit:
    """Train a moving scene on posed pictures with times.

    First what stands still on the pixels that do not move; then Gaussians on the moving surfaces of each time, which learn where they
    are, how long, and how they go on, together with the static part.

    Args:
        clip: with cameras and times; `confidence` weighs the loss per pixel.
        moving: where its pictures show what moves.
        still: points of what stands still (see `find_points`).
        timed: points of what moves; of more than `SequenceOptions.moving_cap` some are drawn at random.
        frequency: how often each picture is trained on, relative to the others (None: all alike).
        times_s: frames of the sequence, ascending; None: all times of the pictures. Give them where cameras are not synchronous, so that
            pictures have times between them.

    Raises:
        ReconstructionError: no times, or fewer than two different ones; masks of another size.
        BridgeError: frequencies out of range.
    """
    _check(clip, moving)
    assert clip.times_s is not None
    started = time.perf_counter()
    if len(timed) > options.moving_cap:
        timed = timed[torch.randperm(len(timed), generator=generator)[: options.moving_cap].sort().values]
    weight = torch.ones(moving.shape) if clip.confidence is None else clip.confidence
    often = torch.ones(len(clip)) if frequency is None else frequency
    static = fit_gaussians(
        replace(clip, confidence=weight * ~moving),
        still,
        options=options.static,
        generator=generator,
        frequency=often,
    )
    times = (clip.times_s if times_s is None else times_s).double().unique()
    duration_s = options.duration_frames * float(times.diff().median())
    begun = begin_moving(timed, sh_degree=options.sh_degree, degree=options.degree, duration_s=duration_s)
    begin = GaussianSequence(static.gaussians, *begun, times)
    sequence, losses = _train(clip, begin, often, options, generator)
    return SequenceFit(sequence, static.losses, losses, time.perf_counter() - started)


def _check(clip: Clip, moving: Tensor) -> None:
    clip.require_cameras().validate(clip.names)
    if clip.times_s is None or len(frames_by_time(clip)) < 2:
        raise ReconstructionError(
            "expected pictures of at least two times for a moving scene, got "
            + ("none with times" if clip.times_s is None else "one time")
            + "; leave out --moving for a scene that stands still"
        )
    if moving.shape != clip.images.shape[:3]:
        raise ReconstructionError(
            f"expected a mask for each of {len(clip)} pictures of {clip.width}x{clip.height}, got {tuple(moving.shape)}"
        )


def _train(
    clip: Clip,
    start: GaussianSequence,
    often: Float[Tensor, "n"],
    options: SequenceOptions,
    generator: torch.Generator,
) -> tuple[GaussianSequence, tuple[float, ...]]:
    assert clip.times_s is not None
    cameras, times = clip.require_cameras(), clip.times_s.double().tolist()
    extent = camera_spread(cameras)
    span = float(start.times_s[-1] - start.times_s[0])
    learner = _Learner(start, options, extent, span)
    neighbours = Neighbours(start.moving.means, start.motion.time_center_s, extent=extent, span_s=span)
    order = schedule(often, options.iterations, generator)
    losses, total, since = [], 0.0, 0
    with progress("training what moves", options.iterations) as update, kernels_alone():
        for i, row in enumerate(order):
            scene, rows, motion = learner.scene(times[row])
            drawn, _ = render_with_screen(scene, cameras[row : row + 1])
            weight = None if clip.confidence is None else clip.confidence[row]
            loss = photometric_loss(drawn.images[0], clip.images[row], weight)
            if len(rows):
                penalty = neighbours.penalise(motion, rows)
                loss = loss + options.rigidity * penalty.rigidity + options.sparsity * penalty.speed
            loss.backward()
            learner.step(i / options.iterations)
            total, since = total + float(loss.detach()), since + 1
            if (100 * (i + 1)) // options.iterations > (100 * i) // options.iterations:
                losses.append(total / since)
                total, since = 0.0, 0
                update(i + 1, f"loss {losses[-1]:.4f}")
    return learner.sequence(), tuple(losses)


class _Learner:
    """Trained tensors of both parts and their Adam."""

    def __init__(
        self, start: GaussianSequence, options: SequenceOptions, extent: float, span_s: float
    ) -> None:
        self._start, self._options, self._extent = start, options, extent
        self._static = _leaves(start.static.tensors())
        self._moving = _leaves(start.moving.tensors())
        # of time in durations of the clip, so that one rate does for all degrees
        degrees = torch.arange(1, start.motion.coefficients.shape[1] + 1)
        self._durations = (span_s**degrees)[:, None]
        scaled = start.motion.coefficients * self._durations
        self._motion = _leaves({**vars(start.motion), "coefficients": scaled})
        rates, motion = options.rates, options.motion_rates
        own = {
            "coefficients": motion.coefficients * extent,
            "spin": motion.spin / span_s,
            "time_center_s": motion.time_center_s * span_s,
            "log_duration_s": motion.log_duration_s,
        }
        groups = [
            {"name": name, "params": [value], "lr": _rate(rates, name, extent)}
            for part in (self._static, self._moving)
            for name, value in part.items()
        ]
        groups += [{"name": name, "params": [value], "lr": own[name]} for name, value in self._motion.items()]
        self._adam = torch.optim.Adam(groups, betas=BETAS, eps=EPSILON)
        self._begin = [group["lr"] for group in self._adam.param_groups]

    def scene(self, time_s: float) -> tuple[Gaussians, Tensor, Motion]:
        """The scene at a time, the rows of the moving Gaussians in it, and their motion."""
        motion = self._motion
        with torch.no_grad():
            apart = (time_s - motion["time_center_s"]).abs()
            rows = (apart < SEEN * motion["log_duration_s"].exp()).nonzero()[:, 0]
        here = self._plain({name: value[rows] for name, value in motion.items()})
        moving = Gaussians(**{name: value[rows] for name, value in self._moving.items()})
        sequence = replace(self._start, static=Gaussians(**self._static), moving=moving, motion=here)
        return sequence.at(time_s), rows, here

    def _plain(self, motion: dict[str, Tensor]) -> Motion:
        """Motion in seconds of what is learnt in durations of the clip."""
        return Motion(**{**motion, "coefficients": motion["coefficients"] / self._durations})

    def step(self, fraction: float) -> None:
        """One step of Adam at a fraction of the training; rates fall like those of the means."""
        for group, first in zip(self._adam.param_groups, self._begin, strict=True):
            group["lr"] = first * self._options.rates.means_end**fraction
        self._adam.step()
        self._adam.zero_grad(set_to_none=True)

    def sequence(self) -> GaussianSequence:
        """The scene as it is, without gradients."""
        parts = [
            {n: v.detach() for n, v in part.items()} for part in (self._static, self._moving, self._motion)
        ]
        return replace(
            self._start,
            static=Gaussians(**parts[0]),
            moving=Gaussians(**parts[1]),
            motion=self._plain(parts[2]),
        )


def _leaves(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().clone().contiguous().requires_grad_() for name, value in tensors.items()}


def _rate(rates: LearningRates, name: str, extent: float) -> float:
    if name == "means":
        return rates.means * extent
    return rates.sh0 if name == "sh" else getattr(rates, name)
