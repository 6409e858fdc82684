"""Results become JSON and come back; what is missing or damaged becomes the default of its field."""

import json
from dataclasses import dataclass, field

from eval.results.measure import ClipResult, Comparison, Figure, MeasureReport, Model, Rate, Trajectory
from eval.results.reading import from_json, to_json


@dataclass(frozen=True)
class Inner:
    value: float | None = None


@dataclass(frozen=True)
class Outer:
    name: str = "none"
    count: int = 7
    share: float = 0.5
    sure: bool = True
    pair: tuple[float, float] | None = None
    inner: Inner = field(default_factory=Inner)
    by_name: dict[str, Inner] = field(default_factory=dict)
    numbers: list[int] = field(default_factory=list)
    places: list[list[float] | None] = field(default_factory=list)


def test_a_report_comes_back_as_it_was() -> None:
    path = Trajectory([[0.0, 1.0, 2.0]], None, [None, [1.0, 2.0, 3.0]], [None, [0.0, 0.0, 1.0]], aligned=True)
    report = MeasureReport(
        seed=3,
        settings={"max_side": None, "rules": ["share@90"]},
        models={"a": Model(n=2, rules={"share@90": Rate(0.5, (0.1, 0.9), 2, {})}, causes={"static": 1})},
        clips=[ClipResult(name="x", model="a", frames=16, recovered=True, trajectory=path)],
    )
    assert from_json(MeasureReport, json.loads(json.dumps(to_json(report)))) == report


def test_holes_and_other_types_become_defaults() -> None:
    for hole in (None, {}, [], "text", 3):
        assert from_json(Outer, hole) == Outer()
    damaged = {
        "name": None, "count": 1.5, "share": "half", "sure": 1, "pair": [0.1], "inner": 4, "unknown": 1,
        "by_name": {"a": {"value": 2}, "b": None}, "numbers": [1, "two", None, 3, True], "places": [[1, 2], None, "x"],
    }  # fmt: skip
    assert from_json(Outer, damaged) == Outer(
        by_name={"a": Inner(2.0), "b": Inner()}, numbers=[1, 3], places=[[1.0, 2.0], None, None]
    )
    assert from_json(Outer, {"pair": [0, 1]}).pair == (0.0, 1.0)


def test_numbers_are_finite_and_text_can_be_printed() -> None:
    assert from_json(Figure, {"mean": float("nan"), "median": float("inf"), "n": 2}) == Figure(n=2)
    assert from_json(Comparison, {"interval95": [float("-inf"), 1.0]}).interval95 is None
    assert from_json(ClipResult, {"name": "a\x1b[31m\u202eb\ud800"}).name == "a\ufffd[31m\ufffdb\ufffd"
