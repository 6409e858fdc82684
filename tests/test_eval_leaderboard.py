"""What a leaderboard counts, of clips whose figures are known."""

import json
from dataclasses import replace
from typing import Any

import pytest
import torch

from eval.judging.leaderboard import compare_with_control, rank_models
from eval.results.measure import (
    STILL,
    TRIMMED,
    UNMASKED,
    ClipResult,
    ErrorValue,
    MetricInfo,
    RuleInfo,
    StillPart,
    Value,
    Verdict,
)
from eval.results.reading import to_json
from eval.trajectories import ERRORS

RULES = {name: RuleInfo(title=name, definition="", source="", choices=[]) for name in ("share@90", "auc@5")}
CONSISTENCY = {
    "good": MetricInfo(title="", unit="", digits=1, higher_is_better=True, definition="", source=""),
    "bad": MetricInfo(title="", unit="px", digits=1, higher_is_better=False, definition="", source=""),
}


def clip(
    name: str,
    model: str,
    *,
    group: str = "",
    met: float | None = 1.0,
    auc: float | None = 0.5,
    error: float | None = 2.0,
    worst: float | None = 180.0,
    good: float | None = 0.8,
    registered: int = 16,
    failed: str | None = None,
    **more: Any,
) -> ClipResult:
    """One with the same error in every convention."""
    if failed is not None:  # as a clip that could not be measured
        registered = 0
    whole: dict[str, Any] = {
        "name": name,
        "model": model,
        "group": group,
        "prompt": "",
        "path": "",
        "frames": 0 if failed else 16,
        "width": 0 if failed else 384,
        "height": 0 if failed else 256,
        "has_request": not failed and worst is not None,
        "registered": registered,
        "model_sizes": [],
        "recovered": error is not None,
        "status": "",
        "verdicts": {}
        if failed
        else {
            rule: Verdict(success=None, share=share, because="no requested cameras" if share is None else "")
            for rule, share in (("share@90", met), ("auc@5", auc))
        },
        "errors": {}
        if failed
        else {
            key: ErrorValue(
                value=error, worst=worst, undefined_because="" if error is not None else "poses not recovered"
            )
            for key in ERRORS
        },
        "consistency": {}
        if failed
        else {
            key: Value(value=good, undefined_because="" if good is not None else "static", count=1)
            for key in CONSISTENCY
        },
        "motion": "" if failed else "general",
        "motion_because": "",
        "causes": [],
        "notes": [],
        "strip": None,
        "trajectory": None,
        "failed": failed,
        "seconds": {},
    }
    return ClipResult(**(whole | more))


def board(clips: list[ClipResult], control: str | None = None, *, rules: Any = RULES) -> dict[str, Any]:
    return dict(
        rank_models(
            clips,
            rules=rules,
            consistency=CONSISTENCY,
            control=control,
            generator=torch.Generator().manual_seed(0),
        )
    )


def against(clips: list[ClipResult], control: str | None = "real") -> Any:
    return compare_with_control(
        clips,
        rules=RULES,
        consistency=CONSISTENCY,
        control=control,
        note="n",
        generator=torch.Generator().manual_seed(0),
    )


def test_counts_of_a_model() -> None:
    clips = [
        clip("a", "m", error=1.0),
        clip("b", "m", error=3.0, motion="plane"),
        clip("c", "m", met=0.0, error=None, good=None, registered=4, causes=["plane", "no initial pair"]),
        clip("d", "m", met=None, auc=None, error=None, worst=None, causes=["plane"]),
        clip("e", "m", failed="cannot be read"),
        clip("f", "other", error=100.0),
    ]
    model = board(clips)["m"]
    assert (model.n, model.failed, model.requested, model.control) == (4, 1, 3, False)
    assert model.rules["share@90"].n == 3
    assert model.rules["share@90"].rate == pytest.approx(2 / 3)
    assert model.rules["share@90"].undefined == {"no requested cameras": 1}
    assert model.registered_share.mean == pytest.approx((1 + 1 + 0.25 + 1) / 4)
    assert model.registered_share.n == 4
    assert model.causes == {"no initial pair": 1, "plane": 2}
    assert model.motion == {"general": 3, "plane": 1}


def test_survivors_and_failures_as_worst_are_two_figures() -> None:
    """One failure of three: the survivors' mean does not know of it, the other counts it as 180°."""
    clips = [clip("a", "m", error=1.0), clip("b", "m", error=3.0), clip("c", "m", error=None)]
    clips.append(clip("d", "m", error=None, worst=None))  # of which nothing was requested
    model = board(clips)["m"]
    averaged = [model.errors[key] for key in ERRORS if key != "ate"]
    for found in (model.rotation_deg, model.position_share, *averaged):
        assert (found.survivors.mean, found.survivors.n) == (2, 2)
        assert found.failures_as_worst.mean == pytest.approx(184 / 3)
        assert found.failures_as_worst.n == 3
        assert sum(found.failures_as_worst.undefined.values()) == 1
    assert set(model.errors) == set(ERRORS)


def test_errors_in_units_of_each_request_are_not_averaged() -> None:
    clips = [clip("a", "m", error=1.0), clip("b", "m", error=None)]
    found = board(clips)["m"].errors["ate"]
    for part in (found.survivors, found.failures_as_worst):
        assert (part.mean, part.median, part.n) == (None, None, 0)
        assert part.undefined == {"units differ from clip to clip": 2}
    assert clips[0].errors["ate"].value == 1


def test_causes_of_recovered_clips_are_remarks() -> None:
    clips = [
        clip("a", "m", causes=["drift", "low parallax"]),
        clip("b", "m", causes=["drift"]),
        clip("c", "m", error=None, causes=["drift", "no initial pair"]),
        clip("d", "m", failed="cut off", causes=["drift"]),
    ]
    model = board(clips)["m"]
    assert model.causes == {"drift": 1, "no initial pair": 1}
    assert model.remarks == {"drift": 2, "low parallax": 1}


def test_a_variant_replaces_the_verdicts_of_the_clips_that_have_it() -> None:
    met, lost = (
        {rule: Verdict(success=None, share=share, because="") for rule in RULES} for share in (1.0, 0.0)
    )
    clips = [
        clip("a", "m", met=1.0),
        clip("b", "m", met=0.0, variants={TRIMMED: met}),
        clip("c", "m", met=1.0, variants={UNMASKED: lost}),
        clip("d", "m", met=0.0, variants={TRIMMED: met}),
    ]
    model = board(clips)["m"]
    assert model.rules["share@90"].rate == 0.5
    assert {name: variant.clips for name, variant in model.variants.items()} == {UNMASKED: 1, TRIMMED: 2}
    assert model.variants[TRIMMED].rules["share@90"].rate == 1.0
    assert model.variants[UNMASKED].rules["share@90"].rate == 0.25
    assert board(clips[:1])["m"].variants == {}


def test_without_what_moves_clips_in_which_nothing_does_keep_their_figures() -> None:
    met = {rule: Verdict(success=None, share=1.0, because="") for rule in RULES}
    part = StillPart(
        moving_share=0.4,
        registered=16,
        recovered=True,
        errors=dict.fromkeys(ERRORS, ErrorValue(value=1.0, worst=180.0)),
        consistency={"good": Value(value=0.6, count=1), "bad": Value(value=1.0, count=1)},
    )
    clips = [
        clip("a", "m", error=2.0, still=StillPart(moving_share=0.0)),
        clip("b", "m", error=8.0, still=part, variants={STILL: met}),
        clip("c", "m", error=2.0, still=StillPart(undefined_because="fewer than 3 frames")),
    ]
    model = board(clips)["m"]
    assert (model.rotation_deg.survivors.mean, model.still.errors["rotation_deg"].survivors.mean) == (
        4.0,
        5 / 3,
    )
    assert model.still.clips == 1
    assert model.still.moving_share.mean == 0.2
    assert model.still.moving_share.undefined == {"fewer than 3 frames": 1}
    assert model.still.consistency["good"].mean == pytest.approx((0.8 + 0.6 + 0.8) / 3)
    assert model.variants[STILL].clips == 1
    assert board(clips[:1])["m"].still.errors == {}


def test_a_clip_that_was_given_up_counts_as_a_failure() -> None:
    lost = clip(
        "b",
        "m",
        met=0.0,
        error=None,
        worst=None,
        frames=0,
        registered=0,
        consistency={},
        status="given up: took too long",
        causes=["given up"],
    )
    clips = [clip("a", "m"), lost]
    model = board(clips)["m"]
    assert (model.n, model.failed) == (2, 0)
    assert (model.registered_share.mean, model.registered_share.n) == (0.5, 2)
    assert model.rules["share@90"].rate == 0.5
    assert model.consistency["good"].undefined == {"given up": 1}
    assert model.causes == {"given up": 1}
    found = against([*clips, clip("x", "real"), clip("y", "real")]).comparisons["m"]
    assert found["rule:share@90"].n == 2
    assert found["consistency:good"].n == 1


def test_what_is_undefined_is_never_averaged_in() -> None:
    clips = [clip("a", "m", good=0.25), clip("b", "m", good=0.75), clip("c", "m", good=None)]
    found = board(clips)["m"].consistency["good"]
    assert (found.mean, found.n, found.undefined) == (0.5, 2, {"static": 1})
    nothing = board([clip("c", "m", good=None, error=None, worst=None, met=None)])["m"]
    assert nothing.consistency["good"].mean is None
    assert nothing.rotation_deg.survivors.mean is None
    assert nothing.rotation_deg.failures_as_worst.mean is None
    assert nothing.rules["share@90"].rate is None


def test_a_model_of_unreadable_clips_has_no_figures() -> None:
    found = board([clip("a", "m", failed="cut off"), clip("b", "m", failed="cut off")])["m"]
    assert (found.n, found.failed) == (0, 2)
    assert found.rules["share@90"].rate is None
    assert found.registered_share.mean is None
    assert found.causes == found.motion == {}


def test_the_control_comes_first_then_the_best_then_the_alphabet() -> None:
    rates = {"real": 0.0, "b": 1.0, "a": 1.0, "middle": 0.5, "zero": 0.0, "never asked": None}
    clips = [clip(f"{m}{i}", m, met=rate) for m, rate in rates.items() for i in range(2)]
    assert list(board(clips, "real")) == ["real", "a", "b", "middle", "zero", "never asked"]
    assert list(board(clips)) == ["a", "b", "middle", "real", "zero", "never asked"]
    assert [m.control for m in board(clips, "real").values()] == [True] + [False] * 5
    assert list(board(clips, rules={})) == sorted(rates)
    assert board([]) == {}


def many(generator: torch.Generator) -> list[ClipResult]:
    """Two models and a control on the same 5 prompts, some of them failures."""
    out = []
    for model, level in (("real", 1.0), ("fine", 1.3), ("poor", 4.0)):
        for i in range(5):
            lost = bool(torch.rand((), generator=generator) < 0.2)
            x = torch.rand((), generator=generator).item()
            out.append(
                clip(
                    f"{model}/{i}",
                    model,
                    group=f"prompt{i}",
                    met=float(not lost),
                    auc=0.0 if lost else x / level,
                    error=None if lost else level + x,
                    good=None if lost else 1 / level + 0.1 * x,
                )
            )
    return out


@pytest.mark.parametrize("grouped", [True, False])
def test_the_order_of_clips_does_not_matter(grouped: bool, generator: torch.Generator) -> None:
    clips = many(generator)
    if not grouped:
        clips = [replace(c, group="") for c in clips]
    expected = json.dumps(to_json([board(clips, "real"), against(clips)]))
    for order in (range(len(clips) - 1, -1, -1), torch.randperm(len(clips), generator=generator).tolist()):
        shuffled = [clips[i] for i in order]
        assert json.dumps(to_json([board(shuffled, "real"), against(shuffled)])) == expected


def test_every_rule_error_and_metric_is_compared_with_the_control(generator: torch.Generator) -> None:
    found = against(many(generator))
    assert (found.model, found.note) == ("real", "n")
    assert set(found.comparisons) == {"fine", "poor"}
    expected = {"rule:share@90", "rule:auc@5", "consistency:good", "consistency:bad"}
    expected |= {f"{kind}:{key}" for kind in ("error", "failures_as_worst") for key in ERRORS if key != "ate"}
    for name in ("fine", "poor"):
        assert set(found.comparisons[name]) == expected


def test_without_a_control_nothing_is_compared(generator: torch.Generator) -> None:
    assert against(many(generator), None).comparisons == {}
    alone = [clip("a", "real"), clip("b", "real")]
    assert against(alone).comparisons == {}


def test_clips_pair_by_group_whatever_their_names() -> None:
    """Errors differ by 1° on every prompt and by 100° between prompts: pairs see it, unpaired samples cannot."""
    ours = [clip(f"x{50 - i}", "m", group=f"p{i}", error=100.0 * i + 1) for i in range(12)]
    theirs = [clip(f"y{i}", "real", group=f"p{i}", error=100.0 * i) for i in range(12)]
    found = against(ours + theirs).comparisons["m"]["error:rotation_deg"]
    assert found.paired
    assert (found.n, found.n_control) == (12, 12)
    assert found.difference == pytest.approx(1)
    assert found.interval95 == pytest.approx([1, 1])
    assert found.better == "control"
    apart = [clip(f"x{i}", "m", error=100.0 * i + 1) for i in range(12)]
    found = against(apart + theirs).comparisons["m"]["error:rotation_deg"]
    assert not found.paired
    assert found.better == "undecided"


def test_better_follows_the_direction_of_the_metric() -> None:
    ours = [clip(f"x{i}", "m", group=f"p{i}", good=0.9 + 0.001 * i, auc=0.9) for i in range(12)]
    theirs = [clip(f"y{i}", "real", group=f"p{i}", good=0.1, auc=0.1) for i in range(12)]
    found = against(ours + theirs).comparisons["m"]
    assert found["consistency:good"].better == "model"
    assert found["consistency:bad"].better == "control"
    assert found["rule:auc@5"].better == "model"
    assert found["rule:share@90"].better == "undecided"


def test_failures_show_only_where_they_count_as_worst() -> None:
    """Those that are left are as good as the control; half are lost."""
    ours = [clip(f"x{i}", "m", group=f"p{i}", error=2.0 if i % 2 else None, met=i % 2) for i in range(24)]
    theirs = [clip(f"y{i}", "real", group=f"p{i}", error=2.0) for i in range(24)]
    found = against(ours + theirs).comparisons["m"]
    survivors, all_clips = found["error:rotation_deg"], found["failures_as_worst:rotation_deg"]
    assert (survivors.difference, survivors.better) == (0, "undecided")
    assert survivors.n == 12
    assert all_clips.n == 24
    assert all_clips.difference == pytest.approx((180 - 2) / 2)
    assert all_clips.better == "control"
    assert found["rule:share@90"].better == "control"
    assert found["rule:share@90"].test.startswith("McNemar")
    assert "McNemar" not in found["rule:auc@5"].test


def test_unmeasured_clips_are_compared_with_nothing() -> None:
    ours = [clip(f"x{i}", "m") for i in range(3)] + [clip("x9", "m", failed="cut off")]
    theirs = [clip(f"y{i}", "real") for i in range(3)] + [clip("y9", "real", failed="cut off")]
    found = against(ours + theirs).comparisons["m"]
    assert {(c.n, c.n_control) for c in found.values()} == {(3, 3)}
    lost = [clip("z", "lost", failed="cut off")]
    assert set(against(ours + theirs + lost).comparisons) == {"m"}
    assert set(board(ours + theirs + lost)) == {"m", "real", "lost"}
