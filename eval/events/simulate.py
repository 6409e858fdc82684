"""Events drawn from an intensity, which is what fits and tests are held against."""

import torch
from jaxtyping import Float
from torch import Tensor

from eval.events.background import Background
from eval.events.intensity import Excitation, Intensity
from eval.events.window import Events, EventsError, Window

MAX_EVENTS = 1_000_000
"""Beyond it a rate was mistyped."""


def simulate(intensity: Intensity, *, generator: torch.Generator) -> Events:
    """Draws the events of one window.

    The background by thinning (Lewis & Shedler, Simulation of nonhomogeneous Poisson processes by thinning, Naval Research
    Logistics Quarterly 26, 1979), what it sets off by branching (Hawkes & Oakes, A cluster process representation of a
    self-exciting process, Journal of Applied Probability 11, 1974). Events outside of the picture or the window are dropped before
    they set off others, so that the intensity given the events that are seen is the one asked for.

    Raises:
        EventsError: alpha of 1 or more, of which every event has endless descendants, or more than a million events.
    """
    window, excitation = intensity.window, intensity.excitation
    if excitation is not None and excitation.alpha >= 1:
        raise EventsError(
            f"expected alpha below 1, got {excitation.alpha.item():g}: every event would set off others without end"
        )
    generation = _draw_background(intensity.background, generator)
    drawn = [generation]
    while excitation is not None and len(generation):
        generation = _draw_children(generation, excitation, window, generator)
        drawn.append(generation)
    found = torch.cat(drawn)
    found = found[found[:, 0].argsort(stable=True)]
    return Events(found[:, 0].contiguous(), found[:, 1:].contiguous(), window)


def _draw_background(background: Background, generator: torch.Generator) -> Float[Tensor, "n 3"]:
    """Time, x and y of each."""
    window, coefficients = background.window, background.coefficients.detach()
    # no cosine is above 1
    log_bound = coefficients[0] + coefficients[1:].abs().sum()
    count = int(_draw_counts((log_bound.exp() * window.duration_s)[None], generator)[0])
    size = torch.tensor([window.duration_s, window.width, window.height], dtype=torch.float64)
    txy = torch.rand(count, 3, generator=generator, dtype=torch.float64) * size
    log_rate = background.log_rate(txy[:, 0], txy[:, 1:]).detach() + torch.log(size[1] * size[2])
    return txy[torch.rand(count, generator=generator, dtype=torch.float64).log() < log_rate - log_bound]


def _draw_children(
    parents: Float[Tensor, "n 3"], excitation: Excitation, window: Window, generator: torch.Generator
) -> Float[Tensor, "m 3"]:
    counts = _draw_counts(excitation.alpha.detach().expand(len(parents)), generator)
    txy = parents.repeat_interleave(counts, dim=0)
    beta, sigma = excitation.beta_per_s.item(), excitation.sigma_px.item()
    after = torch.empty(len(txy), 1, dtype=torch.float64).exponential_(beta, generator=generator)
    aside = torch.randn(len(txy), 2, generator=generator, dtype=torch.float64) * sigma
    txy = txy + torch.cat([after, aside], 1)
    size = torch.tensor([window.duration_s, window.width, window.height], dtype=torch.float64)
    return txy[((txy >= 0) & (txy <= size)).all(1)]


def _draw_counts(means: Float[Tensor, "n"], generator: torch.Generator) -> Tensor:
    if not means.sum() <= MAX_EVENTS:
        raise EventsError(
            f"expected a rate of at most {MAX_EVENTS} events in the window, got {means.sum().item():g}; "
            "shorten the window, or check coefficients and unit"
        )
    return torch.poisson(means.double(), generator=generator).long()
