"""Where movement is likely next."""

import torch
from jaxtyping import Float
from torch import Tensor

from eval.events.fit import Fitted
from eval.events.window import Events


def predict(
    fitted: Fitted, events: Events, at_time_s: float, cells: tuple[int, int]
) -> Float[Tensor, "rows columns"]:
    """Onsets expected per second in each of equal cells of the picture at a time, given the events strictly before it.

    Times a step that is short beside 1/beta it is the number of onsets to expect in the step. After the window the background stays
    as it was at its end, and events decay on.

    Args:
        fitted: NaN everywhere where it is undefined.
        events: of a picture of the same size, up to now; may be others than those of the fit.
        at_time_s: from 0 on, in the time of the events.
        cells: rows and columns.

    Raises:
        EventsError: events of a picture of another size, a negative time, or no cells.
    """
    rows, columns = cells
    if fitted.intensity is None:
        return torch.full((rows, columns), torch.nan, dtype=torch.float64)
    return fitted.intensity.in_cells(events, at_time_s, rows, columns).detach()
