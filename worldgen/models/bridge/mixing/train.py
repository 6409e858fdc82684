"""Learn how to mix: `python -m worldgen.models.bridge.mixing.train --out FOLDER`.

Makes places where they are not there yet (15 CPU-seconds each), and fits the weights in about two minutes.
"""

import logging
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d, binary_cross_entropy_with_logits

from recon.compute.progress import track
from recon.compute.seeds import make_generator
from recon.errors import BridgeError
from worldgen.models.bridge.mixing.evidence import FEATURES, Evidence, Source
from worldgen.models.bridge.mixing.mixer import ROWS, Mixer, save_mixer
from worldgen.models.bridge.mixing.samples import load_place, make_place, save_place

log = logging.getLogger(__name__)

AROUND = 7
"""Pixels: side of the window over which errors are compared, because noise decides between single pixels."""
EVERY = 5
"""Pixels between those that are learned from, in both directions: their neighbours say the same."""
FOLDS = 4
"""Parts of the places, each of which judges weights that were fitted without it."""
STEPS, BATCH, RATE, DECAY = 2000, 8192, 3e-3, 0.3
"""Of AdamW. Other decays, a hidden layer of 16, and a U-Net of 0.5 million weights (8 CPU minutes) judged alike or worse."""
FLOOR = 1e-4
"""Least squared error of a view by which its pixels are weighted, a PSNR of 40 dB."""


@dataclass(frozen=True)
class TrainOptions:
    out: Path = Path("runs/mixing")
    """Folder of places, and of `mixing.json`."""
    places: int = 96
    """Places that are made where they are not there yet."""
    seed: int = 11


def train(options: TrainOptions) -> dict[str, Any]:
    """Make places, judge weights on places that they were not fitted on, and write those of all places.

    Raises:
        BridgeError: fewer places than there are folds.
    """
    if options.places < FOLDS:
        raise BridgeError(f"expected at least {FOLDS} places, got {options.places}; make more with --places")
    files = make_places(options)
    found = {"places": len(files), **judge(files, options.seed)}
    log.info("%s", found)
    story = {
        **found,
        "seed": options.seed,
        "data": "procedural places of this package",
        "licence": "Apache-2.0",
    }
    save_mixer(fit_mixer(list(map(load_place, files)), options.seed, story), options.out / "mixing.json")
    return found


def make_places(options: TrainOptions) -> list[Path]:
    """Files of all places; those that are not there yet are made."""
    files = [options.out / "places" / f"{index:05d}.safetensors" for index in range(options.places)]
    for index, file in track(list(enumerate(files)), "making places"):
        if not file.exists():
            began = time.perf_counter()
            save_place(*make_place(index, options.seed), file)
            log.info("place %d of %d: %.0f s", index + 1, len(files), time.perf_counter() - began)
    return files


def judge(files: Sequence[Path], seed: int) -> dict[str, float]:
    """PSNR of views of places that the weights were not fitted on, dB; and how right they are about what is better."""
    figures: dict[str, list[float]] = {}
    for fold in range(FOLDS):
        rest = [load_place(file) for i, file in enumerate(files) if i % FOLDS != fold]
        mixer = fit_mixer(rest, seed, {})
        for file in files[fold::FOLDS]:
            for name, values in score(mixer, *load_place(file)).items():
                figures.setdefault(name, []).extend(values)
    return {name: round(sum(values) / len(values), 4) for name, values in figures.items()}


def score(mixer: Mixer, evidence: Evidence, truth: Float[Tensor, "n 3 h w"]) -> dict[str, list[float]]:
    """Of every view: PSNR of the sources, their mean, frame and draws half and half, and the mixture; Brier score, share that is
    better, share of it where the mixer is right."""
    mixed = mixer.mix(evidence)
    image = mixed.image.permute(0, 3, 1, 2)
    pictures = {source.name.lower(): evidence.pictures[:, source] for source in Source}
    pictures["mean"] = evidence.pictures.mean(1)
    pictures["half"] = evidence.pictures[:, [Source.FRAME, Source.DRAWS]].mean(1)
    pictures["mixture"] = image
    better = find_better(image, evidence, truth)
    squares = {name: (x - truth).square().mean((1, 2, 3)).clamp_min(1e-10) for name, x in pictures.items()}
    return {name: (-10 * x.log10()).tolist() for name, x in squares.items()} | {
        "brier": (mixed.better - better).square().mean((1, 2)).tolist(),
        "is better": better.mean((1, 2)).tolist(),
        "right about it": ((mixed.better > 0.5) == (better > 0.5)).float().mean((1, 2)).tolist(),
    }


def find_better(
    image: Float[Tensor, "n 3 h w"], evidence: Evidence, truth: Float[Tensor, "n 3 h w"]
) -> Float[Tensor, "n h w"]:
    """1 where the image is nearer to the truth around a pixel than the rendering, else 0."""
    own, other = (
        avg_pool2d((x - truth).abs().mean(1, keepdim=True), AROUND, 1, AROUND // 2, count_include_pad=False)[
            :, 0
        ]
        for x in (image, evidence.pictures[:, Source.RENDERING])
    )
    return (own < other).float()


Place = tuple[Evidence, Float[Tensor, "n 3 h w"]]


def fit_mixer(places: Sequence[Place], seed: int, story: dict[str, Any]) -> Mixer:
    """The weights of least squared error, each view weighted as in PSNR; then those of its error, and of what is better."""
    features, pictures, truth, weight = _gather(places)
    mean, spread = features.mean(0), features.std(0) + 1e-3
    scaled = (features - mean) / spread
    generator = make_generator(seed)
    sources = len(Source)

    def mix(rows: Tensor, stated: Tensor) -> Tensor:
        """Colours of some pixels."""
        return (stated.softmax(1)[..., None] * pictures[rows]).sum(1)

    def squared(rows: Tensor, stated: Tensor) -> Tensor:
        return ((mix(rows, stated) - truth[rows]).square().mean(-1) * weight[rows]).mean()

    shares = _fit_linear(scaled, sources, squared, generator)
    with torch.no_grad():
        stated = scaled @ shares[0].T + shares[1]
        error = (mix(torch.arange(len(scaled)), stated) - truth).abs().mean(-1)

    def likelihood(rows: Tensor, log_scale: Tensor) -> Tensor:
        """Of errors that are distributed exponentially about the stated mean."""
        return (error[rows] / log_scale[:, 0].exp() + log_scale[:, 0]).mean()

    scale = _fit_linear(scaled, 1, likelihood, generator, bias=float(error.mean().log()))
    begun = _unscale([shares, scale], mean, spread, story)
    is_better = torch.cat([_is_better(begun, *place) for place in places])

    def entropy(rows: Tensor, logit: Tensor) -> Tensor:
        return binary_cross_entropy_with_logits(logit[:, 0], is_better[rows])

    chosen = _fit_linear(scaled, 1, entropy, generator)
    return _unscale([shares, scale, chosen], mean, spread, story)


def _gather(places: Sequence[Place]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Features [p, f], pictures [p, 5, 3], truth [p, 3] and weights [p] of every `EVERY`th pixel."""
    parts: list[list[Tensor]] = [[], [], [], []]
    for evidence, truth in places:
        plain = (evidence.pictures.mean(1) - truth).square().mean((1, 2, 3)).clamp_min(FLOOR)
        thin = (..., slice(None, None, EVERY), slice(None, None, EVERY))
        shown = truth[thin]
        parts[0].append(evidence.features()[thin].permute(0, 2, 3, 1).flatten(0, 2))
        parts[1].append(evidence.pictures[thin].permute(0, 3, 4, 1, 2).flatten(0, 2))
        parts[2].append(shown.permute(0, 2, 3, 1).flatten(0, 2))
        parts[3].append((1 / plain)[:, None, None].expand(len(shown), *shown.shape[2:]).flatten())
    features, pictures, truth, weight = (torch.cat(part) for part in parts)
    return features, pictures, truth, weight / weight.mean()


def _is_better(mixer: Mixer, evidence: Evidence, truth: Tensor) -> Float[Tensor, "p"]:
    image = mixer.mix(evidence).image.permute(0, 3, 1, 2)
    return find_better(image, evidence, truth)[:, ::EVERY, ::EVERY].flatten()


def _fit_linear(
    x: Float[Tensor, "p f"],
    outputs: int,
    loss: Callable[[Tensor, Tensor], Tensor],
    generator: torch.Generator,
    bias: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Weights [outputs, f] and bias [outputs] of the least loss, which is called with rows and what is stated of them."""
    weight = torch.zeros(outputs, x.shape[1], requires_grad=True)
    offset = torch.full((outputs,), bias, requires_grad=True)
    optimizer = torch.optim.AdamW(
        [{"params": [weight]}, {"params": [offset], "weight_decay": 0.0}], RATE, weight_decay=DECAY
    )
    for _ in range(STEPS):
        rows = torch.randint(len(x), (BATCH,), generator=generator)
        measured = loss(rows, x[rows] @ weight.T + offset)
        optimizer.zero_grad()
        measured.backward()
        optimizer.step()
    return weight.detach(), offset.detach()


def _unscale(
    parts: list[tuple[Tensor, Tensor]], mean: Tensor, spread: Tensor, story: dict[str, Any]
) -> Mixer:
    """Weights of the features as they are, rather than scaled; rows that are not fitted yet are 0."""
    weight, bias = (torch.cat(one) for one in zip(*parts, strict=True))
    plain = weight / spread
    missing = len(ROWS) - len(plain)
    return Mixer(
        torch.cat([plain, torch.zeros(missing, len(FEATURES))]),
        torch.cat([bias - plain @ mean, torch.zeros(missing)]),
        story,
    )


def main() -> None:
    """Train from the command line."""
    import tyro

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        train(
            tyro.cli(TrainOptions, prog="python -m worldgen.models.bridge.mixing.train", description=__doc__)
        )
    except BridgeError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
