"""The clips as the page's scripts read them: short rows, each text once, within a budget of bytes."""

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

from eval.report.measure.asked import pose_choice_words
from eval.report.measure.headline import clip_words
from eval.results.measure import ClipResult, MeasureReport, Trajectory

MAX_TEXT_LETTERS = 400
"""Letters of a prompt, note or reason in the page; report.json has all."""


class Texts:
    """Each text once; a row holds its number. Number 0 is the empty text."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {"": 0}
        self.bytes = 0

    def number(self, text: Any) -> int:
        """The number of a text, cut to `MAX_TEXT_LETTERS`; new texts are added."""
        short = str(text or "")
        short = short if len(short) <= MAX_TEXT_LETTERS else short[: MAX_TEXT_LETTERS - 1] + "…"
        if short not in self.numbers:
            self.numbers[short] = len(self.numbers)
            self.bytes += size(short)
        return self.numbers[short]


def size(value: Any) -> int:
    """Bytes in the page: '<', '>', '&' and apostrophes are written as \\u003c and so on."""
    text = json.dumps(value, separators=(",", ":"))
    return len(text) + 1 + 5 * sum(text.count(letter) for letter in "<>&'")


def rows(r: MeasureReport, order: Sequence[int], *, max_bytes: int) -> tuple[dict[int, list[Any]], list[str]]:
    """Rows by the clip's index, of the clips that come first in `order` and fit; and the texts they number.

    The fields of a row are in the order in which ``measure_data.js`` reads them.
    """
    texts = Texts()
    models = {name: i for i, name in enumerate(r.models)}
    done: dict[int, list[Any]] = {}
    used = 0
    for index in order:
        row = _row(r, r.clips[index], models.get(r.clips[index].model, -1), texts.number)
        used += size(row)
        if used + texts.bytes > max_bytes:
            break
        done[index] = row
    return dict(sorted(done.items())), list(texts.numbers)


def paths(r: MeasureReport, order: Sequence[int], *, max_bytes: int) -> dict[int, list[Any]]:
    """Requested and recovered paths by the clip's index, of the clips that come first and fit."""
    done: dict[int, list[Any]] = {}
    for index in order:
        path = _path(r.clips[index].trajectory)
        if path is None:
            continue
        max_bytes -= size(path) + 8
        if max_bytes < 0:
            break
        done[index] = path
    return done


def _row(r: MeasureReport, clip: ClipResult, model: int, number: Callable[[Any], int]) -> list[Any]:
    verdicts, errors, values = clip.verdicts, clip.errors, clip.consistency
    return [
        number(clip.name),
        model,
        number(clip_words(clip)),
        *(
            number(getattr(clip, key))
            for key in ("group", "prompt", "path", "status", "motion", "motion_because", "failed")
        ),
        clip.frames,
        clip.width,
        clip.height,
        clip.registered,
        clip.recovered,
        clip.model_sizes,
        [number(cause) for cause in clip.causes],
        [number(note) for note in (*clip.notes, pose_choice_words(clip)) if note],
        [
            [v.success, _round(v.share), number(v.because)] if (v := verdicts.get(rule)) else None
            for rule in r.rules
        ],
        [
            [_round(e.value), _round(e.worst), number(e.undefined_because)]
            if (e := errors.get(key))
            else None
            for key in r.errors
        ],
        [
            [_round(v.value), number(v.undefined_because)] if (v := values.get(key)) else None
            for key in r.consistency
        ],
    ]


def _round(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")


def _path(trajectory: Trajectory | None) -> list[Any] | None:
    """Requested and recovered positions about the path's middle, in units of its reach; then both directions.

    The gauge of a path is arbitrary, so nothing is lost but digits.
    """
    if trajectory is None:
        return None
    requested, recovered = _points(trajectory.requested), _points(trajectory.recovered)
    frame = [p for p in requested or recovered if p is not None]
    if not frame:
        return None
    middle = [math.fsum(p[axis] for p in frame) / len(frame) for axis in range(3)]
    reach = max(math.dist(p, middle) for p in frame) or 1.0

    def place(points: list[list[float] | None]) -> list[list[float] | None]:
        """Points about the path's middle, in units of its reach."""
        return [p and [round((p[axis] - middle[axis]) / reach, 4) for axis in range(3)] for p in points]

    def round_directions(directions: list[list[float] | None]) -> list[list[float] | None]:
        """Directions with three decimals, a twentieth of a degree."""
        return [d and [round(v, 3) for v in d] for d in directions]

    return [
        place(requested),
        place(recovered),
        round_directions(_points(trajectory.requested_forward)),
        round_directions(_points(trajectory.recovered_forward)),
        bool(trajectory.aligned),
        list(trajectory.marked),
    ]


def _points(points: Any) -> list[list[float] | None]:
    """Those that are three numbers; None in the place of others, since a place is a frame."""
    return [
        p if isinstance(p, list) and len(p) == 3 and all(isinstance(v, int | float) for v in p) else None
        for p in points or []
    ]
