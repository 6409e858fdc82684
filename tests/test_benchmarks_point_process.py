"""The table of point processes: a line for every parameter and every model, and onsets that are seen in cells."""

import torch

from benchmarks.point_process import CELL_PX, FRAMES_PER_S, Arguments, main, see_in_cells
from eval.events.window import Events, Window


def test_every_parameter_and_model_has_a_line(capsys) -> None:
    main(Arguments(windows=2, durations_s=(30.0,)))
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("| hawkes | 30 |") for line in lines) == 4 + 4
    assert sum(line.startswith("| poisson | 30 |") for line in lines) == 4 + 4
    # a constant rate gains nothing over itself
    assert sum("| constant |" in line and line.endswith("| +0.000 [+0.000, +0.000] |") for line in lines) == 3


def test_two_events_of_one_frame_and_cell_are_seen_as_one(generator) -> None:
    times = torch.tensor([0.01, 0.02, 0.03, 1.0], dtype=torch.float64)
    xy = torch.tensor([[1.0, 1.0], [15.0, 15.0], [17.0, 1.0], [1.0, 1.0]], dtype=torch.float64)
    seen = see_in_cells(Events(times, xy, Window(2.0, width=320, height=240)), generator)
    assert (seen.times_s * FRAMES_PER_S).ceil().tolist() == [1, 1, 8]
    assert sorted((seen.xy / CELL_PX).long().tolist()) == [[0, 0], [0, 0], [1, 0]]
