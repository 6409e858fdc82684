"""Which poses to hand to splatting: figures decide, and what cannot be told is said."""

import pytest

from eval.judging.pose_choice import choose_poses
from eval.results.measure import Value


def figures(**values: float | None) -> dict[str, Value]:
    return {
        key: Value(value, "" if value is not None else "poses not recovered") for key, value in values.items()
    }


@pytest.mark.parametrize(
    ("requested", "recovered", "expected"),
    [(25.5, 23.0, "requested"), (23.0, 25.5, "recovered"), (24.2, 23.0, "either")],
)
def test_held_out_frames_decide_where_splats_were_fitted(
    requested: float, recovered: float, expected: str
) -> None:
    given = figures(
        splat_psnr_requested=requested,
        splat_psnr=recovered,
        sampson_requested_px=0.3,
        sampson_recovered_px=0.2,
    )
    choice = choose_poses(given)
    assert choice.poses == expected
    assert f"{requested:.1f} dB by the requested" in choice.because


@pytest.mark.parametrize(
    ("requested", "recovered", "expected"),
    [(3.0, 0.4, "recovered"), (0.5, 0.4, "either"), (0.4, 3.0, "either"), (9.0, 8.5, "either")],
)
def test_epipolar_lines_alone_never_prefer_the_requested(
    requested: float, recovered: float, expected: str
) -> None:
    given = figures(splat_psnr=25.0, sampson_requested_px=requested, sampson_recovered_px=recovered)
    assert choose_poses(given).poses == expected


def test_epipolar_lines_decide_where_splats_do_not_tell() -> None:
    given = figures(
        splat_psnr_requested=24.5, splat_psnr=24.0, sampson_requested_px=3.0, sampson_recovered_px=0.4
    )
    choice = choose_poses(given)
    assert choice.poses == "recovered"
    assert "24.5 dB by the requested" in choice.because
    assert "3.00 px from the requested" in choice.because


def test_epipolar_lines_do_not_overrule_held_out_frames() -> None:
    """The recovered cameras were fitted to the matches, so that lines favour them whatever is right."""
    given = figures(
        splat_psnr_requested=25.1, splat_psnr=23.0, sampson_requested_px=0.8, sampson_recovered_px=0.5
    )
    assert choose_poses(given).poses == "either"


def test_nothing_is_chosen_where_nothing_was_recovered() -> None:
    choice = choose_poses(figures(sampson_requested_px=1.0, sampson_recovered_px=None))
    assert (choice.poses, choice.because) == ("", "poses not recovered")
    assert choose_poses({}).because == "nothing was compared"
