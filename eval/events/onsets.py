"""Where and when something begins to move, from masks of what moves."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from eval.events.window import Events, EventsError, Window

SHARE = 0.1
"""Share of a cell's pixels above which the cell moves: of a cell of 16 px, more than a row and a half of it, which strays of single
pixels do not fill. A choice, not a measurement: masks of another grain may want another."""


def find_onsets(
    masks: Bool[Tensor, "t h w"], times_s: Float[Tensor, "t"], cell_px: int, *, share: float = SHARE
) -> Events:
    """An event for every cell that moves and was still in the frame before, at the cell's centre and the frame's time.

    The window ends with the last frame. The first frame begins nothing, for nothing is known of the one before. Events of a frame
    share its time and lie on a grid: `spread_events` before a fit.

    Args:
        masks: True where a pixel moves.
        times_s: of the frames, rising, the first 0.
        cell_px: side of the square cells, from the top-left corner on; the last ones of a row or a column are cut to the picture.
        share: of a cell's pixels, in [0, 1); a cell with more moving ones moves.

    Raises:
        EventsError: fewer than two frames, as many times as frames are not there, or they do not rise from 0.
    """
    t, h, w = masks.shape
    if len(times_s) != t or t < 2:
        raise EventsError(f"expected a time for each of at least two masks, got {len(times_s)} for {t}")
    if bool((times_s.diff() <= 0).any()) or times_s[0] != 0:
        raise EventsError(
            f"expected times of masks that rise from 0, got {times_s[0].item():g} to {times_s[-1].item():g} s; "
            "subtract the first, and sort frames by time"
        )
    if cell_px < 1 or not 0 <= share < 1:
        raise EventsError(
            f"expected cells of at least 1 px and a share in [0, 1), got {cell_px} and {share:g}"
        )
    rows, columns = _edges(h, cell_px), _edges(w, cell_px)
    sums = torch.nn.functional.pad(masks.double().cumsum(1).cumsum(2), (1, 0, 1, 0))
    sums = sums[:, rows][:, :, columns].diff(dim=1).diff(dim=2)
    moves = sums > share * (rows.diff()[:, None] * columns.diff())
    frame, row, column = (moves[1:] & ~moves[:-1]).nonzero(as_tuple=True)
    centers = [(edges[1:] + edges[:-1]).double() / 2 for edges in (columns, rows)]
    times = times_s.double()
    window = Window(times[-1].item(), width=w, height=h)
    return Events(times[1:][frame], torch.stack([centers[0][column], centers[1][row]], 1), window)


def spread_events(
    events: Events, times_s: Float[Tensor, "t"], cell_px: int, *, generator: torch.Generator
) -> Events:
    """Onsets of `find_onsets` at a random time since the frame before, and at a random place in their cell.

    The models take time and place as continuous. Left on the grid, events that share a cell let the likelihood of a Hawkes process
    grow without end as its kernel shrinks, and events of one frame have no time between them, which time rescaling refuses
    (Haslinger, Pipa & Brown, Neural Computation 22, 2010). The price: fitted to what is spread, sigma² is too large by about
    cell_px²/3, for both events of a pair are off by up to a cell.

    Args:
        times_s: of the frames, as `find_onsets` had them.
    """
    window = events.window
    frame = torch.searchsorted(times_s.double(), events.times_s.double()).clamp_min(1)
    before, own = times_s.double()[frame - 1], times_s.double()[frame]
    share = torch.rand(len(events), 3, generator=generator, dtype=torch.float64)
    times = before + (own - before) * share[:, 0]
    places = []
    for axis, length in enumerate((window.width, window.height)):
        edges = _edges(length, cell_px).double()
        cell = (events.xy[:, axis].double() / cell_px).long().clamp(0, len(edges) - 2)
        places.append(edges[cell] + edges.diff()[cell] * share[:, 1 + axis])
    order = times.argsort(stable=True)
    return Events(times[order], torch.stack(places, 1)[order], window)


def _edges(length: int, cell_px: int) -> Tensor:
    """Where cells begin and end along a side of the picture."""
    return torch.tensor([*range(0, length, cell_px), length])
