"""Where the dots go in the plot of the gain per held-out view; the template draws them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from eval.report.numbers import plain

WIDTH = 760
LEFT, RIGHT, TOP, BOTTOM = 170, 70, 30, 44


@dataclass(frozen=True)
class Dot:
    name: str
    gain: float | None
    x: float
    y: float


@dataclass(frozen=True)
class GainPlot:
    """Coordinates in an SVG of `WIDTH` x `height`."""

    dots: tuple[Dot, ...]
    """From the largest gain to the smallest, unmeasured views last."""
    ticks: tuple[tuple[str, float], ...]
    """(label, x)."""
    zero_x: float
    mean_x: float | None
    band: tuple[float, float] | None
    """x from and to of the 95% interval of the mean."""
    row: float
    height: float
    width: float = WIDTH
    left: float = LEFT
    right: float = WIDTH - RIGHT
    top: float = TOP
    bottom: float = BOTTOM


def gain_plot(
    names: Sequence[str],
    gains: Sequence[float | None],
    *,
    mean: float | None,
    interval95: Sequence[float] | None,
) -> GainPlot | None:
    """None where no view has a gain."""
    shown = [
        0.0,
        *(g for g in gains if g is not None),
        *(interval95 or ()),
        *([] if mean is None else [mean]),
    ]
    if all(g is None for g in gains):
        return None
    step = _nice_step((max(shown) - min(shown)) or 1.0)
    low, high = math.floor(min(shown) / step) * step, math.ceil(max(shown) / step) * step
    high = high if high > low else low + step

    def x(gain: float) -> float:
        return round(LEFT + (gain - low) / (high - low) * (WIDTH - LEFT - RIGHT), 2)

    marks = [low + i * step for i in range(round((high - low) / step) + 1)]
    digits = max(0, -math.floor(math.log10(step)))
    row = 24.0 if len(names) <= 24 else max(9.0, 600 / len(names))
    order = sorted(
        zip(names, gains, strict=True), key=lambda pair: (pair[1] is None, -(pair[1] or 0.0), pair[0])
    )
    return GainPlot(
        dots=tuple(
            Dot(name, gain, x(0.0 if gain is None else gain), TOP + (i + 0.5) * row)
            for i, (name, gain) in enumerate(order)
        ),
        ticks=tuple((plain(gain, digits, sign=True), x(gain)) for gain in marks),
        zero_x=x(0.0),
        mean_x=None if mean is None else x(mean),
        band=None if not interval95 else (x(interval95[0]), x(interval95[1])),
        row=row,
        height=TOP + len(names) * row + BOTTOM,
    )


def _nice_step(span: float) -> float:
    """1, 2 or 5 times a power of ten, for about five steps."""
    power = 10 ** math.floor(math.log10(span / 5))
    return next(m * power for m in (1, 2, 5, 10) if span / (m * power) <= 6)
