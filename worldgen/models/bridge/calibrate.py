"""Whether the stated error means what it says: fitted, chosen and judged on different shots, none of them learned from.

    python -m worldgen.models.bridge.calibrate [--weights FILE] [--shots 24] [--seed 1]

makes shots of another seed than the training's, and says what the weights' own calibration and a refitted one are worth.
"""

import json
import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recon.errors import BridgeError
from worldgen.models.bridge.motion import previous_frame
from worldgen.models.bridge.net import STRIDE, BridgeNet
from worldgen.models.bridge.texture import TextureNet, sample_detail
from worldgen.models.bridge.training.batches import TrainOptions
from worldgen.models.bridge.training.samples import load_crop, sample_files
from worldgen.models.bridge.weights import WITHIN, Calibration, confidence, load_weights, remoteness

log = logging.getLogger(__name__)

EVERY = 13
"""Of the pixels, one in so many is looked at."""
LEAST_SHOTS = 4
"""One to learn from, one to fit the calibration on, one to choose it on, one to judge on."""
JUDGING_PART, CALIBRATING_PART = 20, 40
"""One in so many shots judges; one in so many is fitted on, and as many choose. Of the 240 shots of the small
configuration these are 12, 6 and 6: fewer say too little, more are missing where the networks learn."""


class Shots(NamedTuple):
    """Files of shots by what they are for. Each shot is a scene of its own, so that no scene is in two parts."""

    learning: list[Path]
    """The networks learn from these."""
    fitting: list[Path]
    """The calibration is fitted on these."""
    choosing: list[Path]
    """These decide whether it is used."""
    judging: list[Path]
    """Figures are of these; nothing is decided on them."""


def split_shots(paths: list[Path]) -> Shots:
    """Shots in order: first those that are learned from, last those that judge.

    Args:
        paths: at least `LEAST_SHOTS`.
    """
    judging, part = max(1, len(paths) // JUDGING_PART), max(1, len(paths) // CALIBRATING_PART)
    ends = [len(paths) - judging - 2 * part, len(paths) - judging - part, len(paths) - judging]
    return Shots(paths[: ends[0]], paths[ends[0] : ends[1]], paths[ends[1] : ends[2]], paths[ends[2] :])


def span(paths: list[Path]) -> str:
    """The first and the last of neighbouring shots, for a report."""
    return f"{paths[0].stem} to {paths[-1].stem}"


@dataclass(frozen=True)
class Stated:
    """Pixels of held-out shots: what was said of them, and what was true."""

    log_scale: Float[Tensor, "p"]
    """Logarithm of the expected absolute colour error, as the network stated it."""
    remote: Float[Tensor, "p"]
    """`remoteness`: 0 where a view shows the surface."""
    error: Float[Tensor, "p"]
    """Mean absolute colour error."""


@torch.no_grad()
def held_out_pixels(
    net: BridgeNet, texture: TextureNet, paths: list[Path], *, frames: int, size: int
) -> tuple[Stated, dict[str, float]]:
    """Rolls every shot out as the model does, and compares; also mean PSNR of the filled warp and of the model."""
    generator = torch.Generator().manual_seed(0)
    parts, squares = [], []
    for path in paths:
        sample = load_crop(path, frames=slice(0, frames), top=0, left=0, size=size)
        previous, scale = None, torch.tensor([sample.scale])
        for t in range(frames):
            given, cameras = sample.given[t : t + 1], sample.cameras
            before = None
            if previous is not None:
                before = previous_frame(
                    previous, sample.given[t - 1 : t].inverse_depth, cameras[t - 1],
                    given.inverse_depth, cameras[t], scale,
                )  # fmt: skip
            previous = answer = net(given, before)
            noise = torch.randn(answer.colour.shape, generator=generator)
            colour = (answer.colour + sample_detail(texture, answer, given.seen, noise)).clamp(0, 1)
            truth = sample.truth[t : t + 1]
            error = (colour - truth).abs().mean(1)
            remote = remoteness(given.seen_by_photo[0, 0])
            parts.append([x.flatten()[t::EVERY] for x in (answer.log_scale, remote, error)])
            seen = given.seen > 0
            both = [((x - truth) ** 2).mean(1, keepdim=True) for x in (given.base, colour)]
            squares.append([part for x in both for part in (x.mean(), _mean(x[seen]), _mean(x[~seen]))])
    psnr = (-10 * torch.tensor(squares).log10()).nanmean(0)
    names = [f"{who}_psnr_{where}" for who in ("warp", "bridge") for where in ("all", "seen", "holes")]
    stated = Stated(*(torch.cat(x) for x in zip(*parts, strict=True)))
    return stated, dict(zip(names, [round(x, 3) for x in psnr.tolist()], strict=True))


def _mean(x: Tensor) -> Tensor:
    return x.mean() if len(x) else torch.tensor(torch.nan)


def calibrate_networks(
    net: BridgeNet, texture: TextureNet, shots: Shots, *, frames: int, size: int
) -> tuple[Calibration, str, dict[str, float]]:
    """The calibration that is fitted and chosen on shots of their own, how it came to be, and figures of others."""
    fitting, choosing, (judging, figures) = (
        held_out_pixels(net, texture, paths, frames=frames, size=size)
        for paths in (shots.fitting, shots.choosing, shots.judging)
    )
    calibration, how = choose_calibration(fitting[0], choosing[0])
    return (
        calibration,
        how,
        figures | {"calibration_error": round(calibration_error(judging, calibration), 4)},
    )


def choose_calibration(fitting: Stated, choosing: Stated) -> tuple[Calibration, str]:
    """The calibration fitted on some shots, or none where others show it to be worse; and which of the two, in words."""
    fitted, none = fit_calibration(fitting), Calibration()
    errors = [calibration_error(choosing, calibration) for calibration in (fitted, none)]
    beside = f"{errors[0]:.4f} against {errors[1]:.4f} on the shots that choose"
    if errors[0] > errors[1]:  # few shots to fit on can make it worse: then the likelihood's own scale stands
        return none, f"none: the fitted one was worse, {beside}"
    return fitted, f"fitted on shots of its own: {beside}"


def fit_calibration(stated: Stated) -> Calibration:
    """The calibration under which the confidence has the least Brier score (mean squared probability error)."""
    from scipy.optimize import minimize

    hit = (stated.error < WITHIN).float()

    def brier(x: Float[np.ndarray, "2"]) -> float:
        """Mean squared error of the confidence under a shift and a slope."""
        scale = Calibration(float(x[0]), float(x[1])).scale(stated.log_scale, stated.remote)
        return float(((confidence(scale) - hit) ** 2).mean())

    shift, slope = minimize(brier, np.array([0.0, 1.0]), method="Nelder-Mead").x
    return Calibration(round(float(shift), 4), round(float(slope), 4))


def calibration_error(stated: Stated, calibration: Calibration) -> float:
    """Expected calibration error of the confidence over ten bins (Guo et al. 2017)."""
    sure = confidence(calibration.scale(stated.log_scale, stated.remote))
    hit = (stated.error < WITHIN).float()
    bins = (sure * 10).long().clamp(0, 9)
    total = 0.0
    for k in range(10):
        inside = bins == k
        if inside.any():
            total += float((sure[inside].mean() - hit[inside].mean()).abs() * inside.float().mean())
    return total


@dataclass(frozen=True)
class Arguments:
    weights: Path | None = None
    """The shipped ones if not given."""
    shots: int = 24
    """Half of them fit a calibration, the other half judge it beside the one of the weights."""
    seed: int = 1
    """Of the shots; not that of the training."""
    out: Path = Path("runs/bridge-shots")
    """Shots are kept here."""
    workers: int = 2
    """Processes that make shots."""


def judge_weights(arguments: Arguments) -> dict:
    """What a weights file states of shots that it has never seen, in the sizes of the small configuration.

    Raises:
        BridgeError: no such weights, without detail, fewer than two shots, or the seed that the weights were trained
            with.
    """
    weights, sizes = load_weights(arguments.weights), TrainOptions()
    options = weights.story.get("options")
    trained_with = options.get("seed") if isinstance(options, dict) else None
    if arguments.seed == trained_with:
        raise BridgeError(
            f"expected shots that the weights have not seen, got those of seed {trained_with}, which they were trained "
            "with; choose another seed"
        )
    if arguments.shots < 2:
        raise BridgeError(
            f"expected at least 2 shots, one to fit on and one to judge on, got {arguments.shots}; ask for more"
        )
    if weights.texture is None:
        raise BridgeError(
            "expected weights that sample detail, got a blending network alone; train the whole model"
        )
    paths = sample_files(
        arguments.out / f"seed-{arguments.seed}", arguments.shots, seed=arguments.seed, width=sizes.width,
        height=sizes.height, targets=sizes.targets, photographs=False, workers=arguments.workers,
    )  # fmt: skip
    half, size = arguments.shots // 2, min(sizes.width, sizes.height) // STRIDE * STRIDE
    fitting, (judging, figures) = (
        held_out_pixels(weights.net, weights.texture, part, frames=sizes.targets, size=size)
        for part in (paths[:half], paths[half:])
    )
    fitted = fit_calibration(fitting[0])
    errors = {"own": weights.calibration, "none": Calibration(), "fitted": fitted}
    return {
        "seed": arguments.seed,
        "fitted_on": span(paths[:half]),
        "judged_on": span(paths[half:]),
        "figures": figures,
        "calibration_error": {name: round(calibration_error(judging, c), 4) for name, c in errors.items()},
        "fitted": {"shift": fitted.shift, "slope": fitted.slope},
    }


def main() -> None:
    """Calibrate from the command line, and log the figures as JSON."""
    import tyro

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        said = judge_weights(tyro.cli(Arguments, prog="python -m worldgen.models.bridge.calibrate"))
    except BridgeError as error:
        sys.exit(f"error: {error}")
    log.info(json.dumps(said, indent=1))


if __name__ == "__main__":
    main()
