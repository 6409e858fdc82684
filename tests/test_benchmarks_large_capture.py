"""The benchmark of large captures: its photos are what turned cameras see, and memory is that of all processes."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.large_capture import (
    CUT,
    ENLARGED,
    FOCAL_PX,
    MOST,
    TURNS_DEG,
    WIDE,
    cut_out,
    place_cameras,
    run_watched,
)


def test_a_turned_photo_shows_a_dot_where_its_camera_would() -> None:
    wide = np.zeros((WIDE[1], WIDE[0], 3), np.uint8)
    x, y = 700, 380
    wide[y - 2 : y + 3, x - 2 : x + 3] = 255
    ray = np.array([(x + 0.5 - WIDE[0] / 2) / FOCAL_PX, (y + 0.5 - WIDE[1] / 2) / FOCAL_PX, 1.0])
    scale = ENLARGED[0] / CUT[0]
    for yaw_deg, pitch_deg in TURNS_DEG:
        yaw, pitch = math.radians(yaw_deg), math.radians(pitch_deg)
        # a camera that turns right and up: first about its y axis, then about its own x axis
        right = np.array([math.cos(yaw), 0, -math.sin(yaw)])
        ahead = np.array([math.sin(yaw) * math.cos(pitch), -math.sin(pitch), math.cos(yaw) * math.cos(pitch)])
        seen = np.array([right @ ray, np.cross(ahead, right) @ ray, ahead @ ray])
        expected = FOCAL_PX * scale * seen[:2] / seen[2] + np.array(ENLARGED) / 2
        rows, columns = np.nonzero(cut_out(wide, yaw_deg, pitch_deg)[..., 0] > 127)
        found = np.array([columns.mean() + 0.5, rows.mean() + 0.5])
        assert np.abs(found - expected).max() < 0.5, (yaw_deg, pitch_deg)


def test_turned_photos_lie_within_what_is_rendered() -> None:
    white = np.full((WIDE[1], WIDE[0], 3), 255, np.uint8)
    white[0], white[-1], white[:, 0], white[:, -1] = 0, 0, 0, 0
    for turn in TURNS_DEG:
        assert cut_out(white, *turn).min() == 255, turn


def test_there_is_a_place_for_every_photo() -> None:
    assert len(place_cameras()) * len(TURNS_DEG) == MOST


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_of_children_is_told(tmp_path: Path) -> None:
    child = "import time; x = bytearray(300_000_000); time.sleep(1)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    peak = run_watched([sys.executable, "-c", parent], tmp_path)
    assert 300 <= peak.largest_mb < 400
    assert peak.sum_mb > peak.largest_mb
