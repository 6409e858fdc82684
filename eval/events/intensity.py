"""The conditional intensity: a background, and events that set off others near them soon after.

λ(t, x, y) = μ(t, x, y) + Σ_{tᵢ < t} α β exp(−β (t − tᵢ)) N((x, y) − (xᵢ, yᵢ); σ² I)

after Hawkes, Spectra of some self-exciting and mutually exciting point processes, Biometrika 58, 1971, and in space Ogata,
Space-time point-process models for earthquake occurrences, Annals of the Institute of Statistical Mathematics 50, 1998.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from eval.events.background import Background, Basis
from eval.events.window import Events, EventsError, Window


@dataclass(frozen=True)
class Excitation:
    """What an event sets off; differentiable in the logarithms."""

    logs: Float[Tensor, "3"]
    """Of alpha, beta and sigma."""

    @staticmethod
    def of(alpha: float, *, beta_per_s: float, sigma_px: float) -> "Excitation":
        """From positive numbers."""
        if not all(0 < x < math.inf for x in (alpha, beta_per_s, sigma_px)):
            raise EventsError(
                f"expected positive alpha, beta and sigma, got {alpha:g}, {beta_per_s:g} and {sigma_px:g}; "
                "without self-excitation leave it out"
            )
        return Excitation(torch.tensor([alpha, beta_per_s, sigma_px], dtype=torch.float64).log())

    @property
    def alpha(self) -> Float[Tensor, ""]:
        """Events that one sets off directly, on average, were time and picture endless."""
        return self.logs[0].exp()

    @property
    def beta_per_s(self) -> Float[Tensor, ""]:
        """Decay; 1/beta is the mean time until an event that is set off."""
        return self.logs[1].exp()

    @property
    def sigma_px(self) -> Float[Tensor, ""]:
        """Standard deviation along x and along y of how far off it is."""
        return self.logs[2].exp()

    def density(self, dt_s: Float[Tensor, "m"], squared_px: Float[Tensor, "m"]) -> Float[Tensor, "m"]:
        """Events per second and square pixel so long after an event and so far from it."""
        log_alpha, log_beta, log_sigma = self.logs
        level = log_alpha + log_beta - 2 * log_sigma - math.log(2 * math.pi)
        return torch.exp(level - self.beta_per_s * dt_s - squared_px / (2 * self.sigma_px**2))

    def inside(self, xy: Float[Tensor, "n 2"], window: Window) -> Float[Tensor, "n"]:
        """Share of the kernel of each event that lies in the picture, exact by the error function."""
        return (self._along(xy[:, 0], window.width, 1) * self._along(xy[:, 1], window.height, 1))[:, 0]

    def in_cells(
        self, past: Events, at_time_s: float, rows: int, columns: int
    ) -> Float[Tensor, "rows columns"]:
        """Events per second that past ones set off in each of equal cells of the picture at a time."""
        beta, window = self.beta_per_s, past.window
        level = self.alpha * beta * torch.exp(-beta * (at_time_s - past.times_s.double()))
        x = self._along(past.xy[:, 0], window.width, columns)
        y = self._along(past.xy[:, 1], window.height, rows)
        return (level[:, None] * y).T @ x

    def _along(self, at_px: Float[Tensor, "n"], length: int, cells: int) -> Float[Tensor, "n cells"]:
        edges = torch.linspace(0, length, cells + 1, dtype=torch.float64)
        return 0.5 * torch.erf((edges - at_px.double()[:, None]) / (self.sigma_px * math.sqrt(2))).diff(dim=1)


@dataclass(frozen=True)
class Pairs:
    """Pairs of an event and one strictly before it."""

    later: Int[Tensor, "m"]
    dt_s: Float[Tensor, "m"]
    squared_px: Float[Tensor, "m"]

    @staticmethod
    def of(events: Events) -> "Pairs":
        """All of them; those of events that share a time are no pairs."""
        earlier, later = torch.triu_indices(len(events), len(events), 1)
        times, xy = events.times_s.double(), events.xy.double()
        dt = times[later] - times[earlier]
        kept = dt > 0
        earlier, later = earlier[kept], later[kept]
        return Pairs(later, dt[kept], (xy[later] - xy[earlier]).square().sum(1))


@dataclass(frozen=True)
class Intensity:
    """A Poisson process where there is no excitation, else a Hawkes process."""

    background: Background
    excitation: Excitation | None = None

    @staticmethod
    def constant(window: Window, per_s: float, excitation: Excitation | None = None) -> "Intensity":
        """With a background of so many events per second of the whole picture, the same everywhere and always."""
        if not 0 < per_s < math.inf:
            raise EventsError(f"expected a positive number of events per second, got {per_s:g}")
        level = torch.tensor([math.log(per_s)], dtype=torch.float64)
        return Intensity(Background(window, Basis(), level), excitation)

    @property
    def window(self) -> Window:
        return self.background.window

    def rates(self, events: Events, pairs: Pairs | None = None) -> Float[Tensor, "n"]:
        """Events per second and square pixel at each event, given those before it."""
        found = self.background.log_rate(events.times_s, events.xy).exp()
        if self.excitation is None:
            return found
        pairs = pairs or Pairs.of(events)
        return found.index_add(0, pairs.later, self.excitation.density(pairs.dt_s, pairs.squared_px))

    def integral(self, events: Events) -> Float[Tensor, ""]:
        """Events expected in the window, given those that happened; what kernels put outside of it does not count."""
        window = self.window
        found = self.background.per_s() * window.duration_s
        if self.excitation is None:
            return found
        left = window.duration_s - events.times_s.double()
        share = -torch.expm1(-self.excitation.beta_per_s * left)
        return found + self.excitation.alpha * (share * self.excitation.inside(events.xy, window)).sum()

    def log_likelihood(self, events: Events, pairs: Pairs | None = None) -> Float[Tensor, ""]:
        """In nats; densities are per second and square pixel, so that only fits of one window compare."""
        return self.rates(events, pairs).log().sum() - self.integral(events)

    def in_cells(
        self, events: Events, at_time_s: float, rows: int, columns: int
    ) -> Float[Tensor, "rows columns"]:
        """Events per second in each of equal cells of the picture at a time, given the events strictly before it.

        Raises:
            EventsError: events of a picture of another size, a negative time, or no cells.
        """
        ours, theirs = self.window, events.window
        if (ours.width, ours.height) != (theirs.width, theirs.height):
            raise EventsError(
                f"expected events of a picture of {ours.width}x{ours.height} px as in the fit, got "
                f"{theirs.width}x{theirs.height}; scale their places"
            )
        if not 0 <= at_time_s < math.inf or min(rows, columns) < 1:
            raise EventsError(
                f"expected a time from 0 on and at least one cell, got {at_time_s:g} s and {rows}x{columns}"
            )
        found = self.background.at(at_time_s, rows, columns)
        if self.excitation is None:
            return found
        return found + self.excitation.in_cells(events.before(at_time_s), at_time_s, rows, columns)
