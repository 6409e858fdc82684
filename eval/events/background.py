"""A rate that varies smoothly over time and picture: log-linear in a few cosines."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from eval.events.window import EventsError, Window

MAX_ORDER = 4
"""Half-waves along a side. Of that many, with coefficients up to 3, the integral over the window is right to 4e-10, that of 8x8 cells to 9e-9
(worst of five draws, against four times the nodes)."""
NODES = 48
"""Points of Gauss–Legendre quadrature along a side."""
NODES_PER_CELL = 8
"""The least along the side of a cell."""


@dataclass(frozen=True)
class Basis:
    """Cosines of the window, without slope at its borders and zero on average: cos(πk t/T) for k up to `time`, and
    cos(πi x/W) cos(πj y/H) for 0 < i + j up to `space`. Time and space multiply in the rate. Neither is a constant rate."""

    time: int = 0
    space: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.time <= MAX_ORDER and 0 <= self.space <= MAX_ORDER):
            raise EventsError(
                f"expected a basis of 0 to {MAX_ORDER} half-waves, got {self.time} in time and {self.space} in space"
            )

    @property
    def size(self) -> int:
        """Number of coefficients, the constant first, then those of time, then those of space."""
        return 1 + self.time + len(self._waves)

    @property
    def _waves(self) -> list[tuple[int, int]]:
        return [(n - j, j) for n in range(1, self.space + 1) for j in range(n + 1)]

    def over_time(self, share: Float[Tensor, "n"]) -> Float[Tensor, "n time"]:
        """The cosines at shares of the duration."""
        return torch.cos(torch.pi * share[:, None] * torch.arange(1, self.time + 1))

    def over_space(self, share: Float[Tensor, "n 2"]) -> Float[Tensor, "n space"]:
        """The cosines at shares of width and height."""
        wave = torch.tensor(self._waves, dtype=torch.float64).reshape(-1, 2)
        return torch.cos(torch.pi * share[:, None] * wave).prod(-1)


@dataclass(frozen=True)
class Background:
    """λ(t, x, y) = exp(c₀ + Σ c cos …) / (W·H), in events per second and square pixel; differentiable in the coefficients."""

    window: Window
    basis: Basis
    coefficients: Float[Tensor, "k"]
    """c₀ is the logarithm of events per second in the whole picture where the others are 0."""

    def __post_init__(self) -> None:
        if len(self.coefficients) != self.basis.size:
            raise EventsError(
                f"expected {self.basis.size} coefficients for {self.basis}, got {len(self.coefficients)}"
            )

    def log_rate(self, times_s: Float[Tensor, "n"], xy: Float[Tensor, "n 2"]) -> Float[Tensor, "n"]:
        """Logarithm of events per second and square pixel; after the window, that of its end."""
        level = self.coefficients[0] - np.log(self.window.area_px)
        return level + self._log_over_time(times_s) + self._log_over_space(xy)

    def between(self, start_s: Float[Tensor, "n"], end_s: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
        """Events expected in the whole picture between two times of the window."""
        place, weight = gauss_legendre(NODES)
        times = start_s[:, None] + (end_s - start_s)[:, None] * place
        over_time = (self._log_over_time(times.flatten()).exp().reshape(times.shape) * weight).sum(1)
        mean = self.in_cells(1, 1)[0, 0]
        return self.coefficients[0].exp() * mean * (end_s - start_s) * over_time

    def per_s(self) -> Float[Tensor, ""]:
        """Mean events per second of the whole picture over the window."""
        ends = torch.tensor([0.0, self.window.duration_s], dtype=torch.float64)
        return self.between(ends[:1], ends[1:])[0] / self.window.duration_s

    def at(self, time_s: float, rows: int, columns: int) -> Float[Tensor, "rows columns"]:
        """Events per second in each of equal cells of the picture at a time."""
        over_time = self._log_over_time(torch.tensor([time_s], dtype=torch.float64))
        return (self.coefficients[0] + over_time).exp() * self.in_cells(rows, columns)

    def in_cells(self, rows: int, columns: int) -> Float[Tensor, "rows columns"]:
        """Integral of the part over space, in each of equal cells of a picture of area 1."""
        if not self.basis.space:
            return torch.full((rows, columns), 1 / (rows * columns), dtype=torch.float64)
        y, y_weight = _cell_nodes(rows)
        x, x_weight = _cell_nodes(columns)
        share = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(-1, 2)
        value = (self.basis.over_space(share) @ self._over_space).exp().reshape(len(y), len(x))
        value = value * y_weight[:, None] * x_weight
        return value.reshape(rows, len(y) // rows, columns, len(x) // columns).sum((1, 3))

    @property
    def _over_space(self) -> Float[Tensor, "space"]:
        return self.coefficients[1 + self.basis.time :]

    def _log_over_time(self, times_s: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
        share = (times_s.double() / self.window.duration_s).clamp(0, 1)
        return self.basis.over_time(share) @ self.coefficients[1 : 1 + self.basis.time]

    def _log_over_space(self, xy: Float[Tensor, "n 2"]) -> Float[Tensor, "n"]:
        side = torch.tensor([self.window.width, self.window.height], dtype=torch.float64)
        return self.basis.over_space(xy.double() / side) @ self._over_space


@lru_cache
def gauss_legendre(count: int) -> tuple[Float[Tensor, "count"], Float[Tensor, "count"]]:
    """Nodes and weights of the quadrature over [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return torch.from_numpy((nodes + 1) / 2), torch.from_numpy(weights / 2)


def _cell_nodes(cells: int) -> tuple[Float[Tensor, "q"], Float[Tensor, "q"]]:
    """Nodes and weights over [0, 1], as many in each of equal cells, `NODES` in all or more."""
    place, weight = gauss_legendre(max(NODES_PER_CELL, -(-NODES // cells)))
    start = torch.arange(cells, dtype=torch.float64)[:, None]
    return ((start + place) / cells).flatten(), (weight / cells).repeat(cells)
