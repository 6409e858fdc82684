"""Are the parameters of a point process found again, do its intervals hold the truth, and does time rescaling tell the wrong model?

    python -m benchmarks.point_process [--windows 60] [--durations-s 30 120]

Windows of 320x240 px are drawn from a *hawkes* process (a constant background and self-excitation) and from a *poisson* process whose rate
waves over time and picture; *cells* are windows of the former as masks show them: an onset is known by its frame (8 a second) and its cell of
16 px, two in one are one, and `spread_events` puts them anywhere in it. Both models are fitted to each window, the Hawkes process with a constant background, the Poisson
process with the basis of the truth. *Coverage* is the share of windows whose 95% interval holds the truth, with Wilson's interval, over
those that have one. *Gain* is the log-likelihood (nats per event) of a second window of the same process beyond that of a constant Poisson
process fitted to the first: mean over windows with its bootstrap interval.
"""

import math
import statistics
from collections import Counter, defaultdict
from dataclasses import dataclass

import torch

from benchmarks.output import Table, command, number
from eval.events.background import Background, Basis
from eval.events.fit import Estimate, Fitted, fit_hawkes, fit_poisson
from eval.events.intensity import Excitation, Intensity
from eval.events.onsets import spread_events
from eval.events.residuals import check_times
from eval.events.simulate import simulate
from eval.events.window import Events, Window
from eval.stats.intervals import bootstrap_mean95, wilson95
from recon.compute.seeds import make_generator

WIDTH, HEIGHT = 320, 240
BASIS = Basis(time=1, space=1)
WAVES = (0.5, 0.6, -0.7, 0.4)
"""Logarithm of events per second; of the cosines over time, x and y."""
PER_S, ALPHA, BETA_PER_S, SIGMA_PX = 1.0, 0.5, 2.0, 15.0
"""About as many events as the waved background gives, in families of two."""
REJECTED = 0.05
CELL_PX, FRAMES_PER_S = 16, 8
DRAW, JUDGE, RESAMPLE = 0, 1, 2
"""Numbers of the streams of random numbers."""


@dataclass(frozen=True)
class Arguments:
    windows: int = 60
    """Of each process and duration."""
    durations_s: tuple[float, ...] = (30.0, 120.0)
    seed: int = 0


@dataclass(frozen=True)
class Outcome:
    """What one model says of one window."""

    p_value: float | None
    gain: float | None
    """Nats per event of another window beyond a constant rate; None where there is no fit."""


class Study:
    """Windows of one process and duration, with what was fitted to them."""

    def __init__(self, name: str, truth: Intensity) -> None:
        self.name, self.truth = name, truth
        self.counts: list[int] = []
        self.estimates: dict[str, list[Estimate]] = defaultdict(list)
        self.outcomes: dict[str, list[Outcome]] = defaultdict(list)
        self.undefined: Counter[str] = Counter()

    def add(self, events: Events, judge: Events) -> None:
        """Fits both models to a window, and has a second one judge them."""
        self.counts.append(len(events))
        constant = fit_poisson(events, basis=Basis())
        poisson, hawkes = fit_poisson(events, basis=BASIS), fit_hawkes(events)
        own = hawkes if self.truth.excitation is not None else poisson
        for key, estimate in named(own).items():
            self.estimates[key].append(estimate)
        models = {
            "truth": self.truth,
            "hawkes": hawkes.intensity,
            "poisson": poisson.intensity,
            "constant": constant.intensity,
        }
        for model, intensity in models.items():
            gain = None
            if intensity is not None and constant.intensity is not None:
                beyond = intensity.log_likelihood(judge) - constant.intensity.log_likelihood(judge)
                gain = beyond.item() / len(judge)
            self.outcomes[model].append(Outcome(check_times(intensity, events).p_value, gain))
            self.undefined[model] += intensity is None

    def true_values(self) -> dict[str, float]:
        """Of the parameters of the truth, as `named` names them."""
        background, excitation = self.truth.background, self.truth.excitation
        found = {"background_per_s": background.per_s().item()}
        found |= {f"cosine {i}": c for i, c in enumerate(background.coefficients.tolist()) if i}
        if excitation is not None:
            found |= {"alpha": ALPHA, "beta_per_s": BETA_PER_S, "sigma_px": SIGMA_PX}
        return found


def main(arguments: Arguments) -> None:
    torch.set_num_threads(1)
    parameters = Table(
        [
            "process",
            "s",
            "events",
            "parameter",
            "true",
            "mean",
            "spread",
            "stated error",
            "first window",
            "coverage",
        ]
    )
    tests = Table(["process", "s", "fitted", "no fit", "median p", f"p < {REJECTED:g}", "gain"])
    for at, duration in enumerate(arguments.durations_s):
        hawkes, poisson = hawkes_truth(duration), poisson_truth(duration)
        for kind, study in enumerate(
            (Study("hawkes", hawkes), Study("cells", hawkes), Study("poisson", poisson))
        ):
            for i in range(arguments.windows):
                study.add(
                    *(
                        draw(study, make_generator(arguments.seed, at, kind, i, part))
                        for part in (DRAW, JUDGE)
                    )
                )
            add_parameters(parameters, study)
            add_tests(tests, study, make_generator(arguments.seed, RESAMPLE))
    print(f"{parameters}\n\n{tests}")


def draw(study: Study, generator: torch.Generator) -> Events:
    events = simulate(study.truth, generator=generator)
    return see_in_cells(events, generator) if study.name == "cells" else events


def see_in_cells(events: Events, generator: torch.Generator) -> Events:
    """Of each frame and cell one event at most, anywhere in it."""
    times = torch.arange(math.ceil(events.window.duration_s * FRAMES_PER_S) + 1).double() / FRAMES_PER_S
    frame = torch.searchsorted(times, events.times_s).clamp_min(1)
    cells = (events.xy / CELL_PX).long()
    seen = torch.cat([frame[:, None], cells], 1).unique(dim=0)  # in the order of time
    snapped = Events(times[seen[:, 0]], (seen[:, 1:] + 0.5) * CELL_PX, events.window)
    return spread_events(snapped, times, CELL_PX, generator=generator)


def hawkes_truth(duration_s: float) -> Intensity:
    excitation = Excitation.of(ALPHA, beta_per_s=BETA_PER_S, sigma_px=SIGMA_PX)
    return Intensity.constant(Window(duration_s, width=WIDTH, height=HEIGHT), PER_S, excitation)


def poisson_truth(duration_s: float) -> Intensity:
    window = Window(duration_s, width=WIDTH, height=HEIGHT)
    return Intensity(Background(window, BASIS, torch.tensor(WAVES, dtype=torch.float64)))


def named(fitted: Fitted) -> dict[str, Estimate]:
    """All parameters of a fit but the constant of the background, which its mean says more plainly."""
    return fitted.estimates | {f"cosine {i}": c for i, c in enumerate(fitted.coefficients) if i}


def add_parameters(table: Table, study: Study) -> None:
    events = f"{min(study.counts)}–{max(study.counts)}"
    for key, truth in study.true_values().items():
        estimates = study.estimates[key]
        values = [e.value for e in estimates]
        bounded = [(e, e.low, e.high) for e in estimates if e.low is not None and e.high is not None]
        held = sum(low <= truth <= high for _, low, high in bounded)
        interval = wilson95(held, len(bounded))
        table.add(
            study.name,
            f"{study.truth.window.duration_s:g}",
            events,
            key,
            f"{truth:.2f}",
            number(statistics.fmean(values) if values else None),
            number(statistics.stdev(values) if len(values) > 1 else None),
            number(statistics.median([e.standard_error or 0.0 for e, _, _ in bounded]) if bounded else None),
            "–" if not bounded else "{.value:.2f} [{:.2f}, {:.2f}]".format(*bounded[0]),
            "–" if interval is None else f"{held}/{len(bounded)} [{interval[0]:.0%}, {interval[1]:.0%}]",
        )


def add_tests(table: Table, study: Study, generator: torch.Generator) -> None:
    for model, outcomes in study.outcomes.items():
        p_values = [o.p_value for o in outcomes if o.p_value is not None]
        gains = [o.gain for o in outcomes if o.gain is not None]
        interval = bootstrap_mean95(gains, generator=generator)
        rejected = sum(p < REJECTED for p in p_values)
        table.add(
            study.name,
            f"{study.truth.window.duration_s:g}",
            model,
            study.undefined[model],
            number(statistics.median(p_values) if p_values else None, "{:.3f}"),
            f"{rejected}/{len(p_values)}",
            "–"
            if interval is None
            else f"{statistics.fmean(gains):+.3f} [{interval[0]:+.3f}, {interval[1]:+.3f}]",
        )


if __name__ == "__main__":
    command(main, Arguments, __doc__)
