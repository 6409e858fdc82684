"""Metrics against truth, at a small size: each gets worse with the fault that it is for, and with no other.

What must and must not respond is the table of `benchmarks.metric_curves`, which does the same at full size.
"""

import copy
import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmarks.metric_curves import (
    CLEAN,
    EPIPOLAR,
    MONOTONE,
    Arguments,
    Case,
    curves,
    figures,
    measured,
    wrongly_defined,
)
from eval.results.measure import ClipResult, Value

pytestmark = pytest.mark.slow  # a minute on two free cores, several on busy ones

SMALL = Arguments(
    frames=12,
    width=192,
    height=128,
    paths=("arc",),
    seeds=(0,),
    strengths=2,
    faults=("rotation drift", "translation drift", "scale drift", "thin-plate bend", "flicker"),
    workers=2,
)


@pytest.fixture(scope="module")
def room(tmp_path_factory) -> Iterator[tuple[list[ClipResult], list[Case]]]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield measured(Path(tmp_path_factory.mktemp("curves")), SMALL)
    torch.set_num_threads(threads)


def harm(room, metric: str, fault: str) -> list[float]:
    curve = next(c for c in curves(*room) if (c.metric, c.fault) == (metric, fault))
    assert curve.defined[0] == 1, f"{metric} of the clean clip is undefined"
    assert curve.defined[-1] == 1, f"{metric} is undefined at the strongest {fault}"
    return [-v if curve.higher_is_better else v for v in curve.values if v is not None]


@pytest.mark.parametrize(
    ("fault", "metric", "least"),
    [
        ("rotation drift", "rotation_deg", 1.0),
        ("rotation drift", "auc@5", 0.1),
        ("scale drift", "position_share", 0.004),
        ("translation drift", "sampson_requested_px", 0.5),
        ("translation drift", "sed_requested_px", 0.3),
        ("translation drift", "auc@5", 0.3),
        ("thin-plate bend", "sampson_fitted_px", 0.3),
        ("thin-plate bend", "sampson_requested_px", 0.5),
        ("thin-plate bend", "sed_requested_px", 0.5),
        ("thin-plate bend", "tsed@1", 0.2),
    ],
)  # fmt: skip
def test_gets_worse_with_the_fault_that_it_is_for_and_better_at_no_step(room, fault, metric, least):
    curve = harm(room, metric, fault)
    assert curve[-1] - curve[0] > least
    assert all(b >= a - MONOTONE * (curve[-1] - curve[0]) for a, b in itertools.pairwise(curve))


@pytest.mark.parametrize(
    ("fault", "metric", "most"),
    [
        ("rotation drift", "position_share", 0.002),
        ("rotation drift", "sampson_fitted_px", 0.03),
        ("translation drift", "rotation_deg", 0.1),
        ("translation drift", "sampson_fitted_px", 0.03),
        ("flicker", "rotation_deg", 0.1),
        ("flicker", "position_share", 0.002),
        ("flicker", "sampson_fitted_px", 0.03),
        ("flicker", "sampson_requested_px", 0.05),
        ("flicker", "sampson_recovered_px", 0.05),
    ],
)
def test_stays_where_the_fault_does_not_concern_it(room, fault, metric, most):
    curve = harm(room, metric, fault)
    assert max(abs(value - curve[0]) for value in curve) < most


def test_neighbours_in_the_picture_err_alike_where_it_is_bent(room):
    clean, *damaged = harm(room, "morans_i", "thin-plate bend")
    assert min(damaged) > clean + 0.2


def test_a_clean_clip_is_near_perfect(room):
    found = {
        name: -1.0 if value is None else value
        for name, value in figures(next(c for c in room[0] if c["model"] == CLEAN)).items()
    }
    assert found["registered"] == 1
    assert 0 <= found["rotation_deg"] < 0.3
    assert 0 <= found["position_share"] < 0.005
    assert 0 <= found["sampson_fitted_px"] < 0.15
    assert found["tsed@1"] == 1


def test_epipolar_metrics_are_undefined_where_the_camera_stands_or_only_turns(room):
    still = [clip for clip in room[0] if clip["model"].startswith(("static", "rotation only"))]
    assert len(still) == 4
    assert wrongly_defined(room[0]) == []
    for clip in still:
        values = [clip["consistency"][metric] for metric in EPIPOLAR if metric in clip["consistency"]]
        assert len(values) == 8
        assert all(value["undefined_because"] for value in values)


def test_a_defined_epipolar_metric_of_a_static_clip_would_be_found(room):
    still = next(clip for clip in room[0] if clip["model"].startswith("static"))
    value = Value(value=1.0, undefined_because="", count=11)
    wrong = copy.deepcopy(still)
    wrong["consistency"]["tsed@1"] = value
    assert len(wrongly_defined([wrong])) == 1


@pytest.mark.slow
def test_swapped_frames_and_noise(tmp_path):
    faults = ("swapped frames", "noise")
    room = measured(tmp_path, dataclasses.replace(SMALL, faults=faults, strengths=3))
    for metric in ("rotation_deg", "sampson_requested_px", "sed_requested_px", "auc@30"):
        curve = harm(room, metric, "swapped frames")
        assert curve[-1] > curve[0]
        assert min(curve[1:]) > curve[0]
    for metric in ("sampson_fitted_px", "reprojection_px", "track_length"):
        curve = harm(room, metric, "noise")
        assert all(b > a for a, b in itertools.pairwise(curve))
