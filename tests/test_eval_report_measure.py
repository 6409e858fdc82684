"""The report of measured clips says what was measured, stays whole when things are missing, and is safe to open."""

import copy
import csv
import json
import math
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import binom

from eval.report.measure import page as measure
from eval.report.measure.complete import complete_measure
from eval.report.measure.data import paths
from eval.report.measure.headline import clip_words, headline, meaning
from eval.report.measure.page import summary_text, write_clips_csv, write_measure_report, write_table_tex
from eval.report.measure.pictures import embed_strips, link_to, order_clips
from eval.report.measure.plot import Axis, axis_about_zero, metric_axis
from eval.report.measure.sentences import bracket, percent_words, warnings
from eval.report.measure.tex import escape
from eval.results.measure import MEASURE, Comparison, Figure, MeasureReport
from eval.results.reading import to_json
from eval.stats.comparisons import compare_samples as compare_values
from eval.stats.comparisons import correct_for_many_tests
from eval.stats.intervals import wilson95
from eval.stats.samples import ClipValue
from recon.errors import BridgeError

RULES = {
    "share@90": "At least 90% of the frames are registered in one model.",
    "any": "The mapper made a model of at least two frames.",
    "trials@5": "Share of five trials in which all frames are registered.",
    "pose@5": "Every frame is within 5° of its requested rotation.",
}
ERRORS = {
    "rotation_deg": ("Rotation", "°", 2, 180.0),
    "position_share": ("Position", "of extent", 3, 1.0),
    "camera_mc": ("CamMC", "", 2, 12.0),
}
CONSISTENCY = {
    "sampson_fitted_px": ("Sampson, fitted", "px", 2, False),
    "met3r": ("MEt3R", "", 3, False),
    "psnr_warp_db": ("Warped PSNR", "dB", 1, True),
}
CAUSES = ["no initial pair", "images do not overlap", "path too short"]
HOSTILE = "</script><img src=x onerror=alert(1)>"
VOID = {"meta", "link", "img", "input", "br", "hr", "line", "rect", "circle"}


def figure(values: list[float | None], reasons: list[str]) -> dict[str, Any]:
    known = sorted(v for v in values if v is not None)
    spread = np.std(known) / max(1, len(known)) ** 0.5 if known else 0.0
    mean = math.fsum(known) / len(known) if known else None
    return {
        "mean": mean,
        "median": float(np.median(known)) if known else None,
        "interval95": [mean - 1.96 * spread, mean + 1.96 * spread]
        if mean is not None and len(known) > 1
        else None,
        "n": len(known),
        "undefined": {reason: reasons.count(reason) for reason in dict.fromkeys(reasons)},
    }


def make_clip(rng: random.Random, model: str, index: int, skill: float) -> dict[str, Any]:
    """A clip that a model of such skill in [0, 1] might make."""
    frames = 16
    good = rng.random() < skill
    registered = frames if good else rng.choice([0, 2, 7, 11])
    requested = index % 9 != 8
    because = "" if requested else "no requested cameras"
    turn = rng.uniform(-0.12, 0.12)
    path = [[math.sin(turn * i) * 2, 0.05 * math.sin(i / 2), 0.3 * i] for i in range(frames)]
    noise = 0.02 + 0.5 * (1 - skill)
    found = [
        [v + rng.gauss(0, noise) * (i / frames) for v in p] if i < registered else None
        for i, p in enumerate(path)
    ]
    error = rng.lognormvariate(math.log(0.3 + 6 * (1 - skill)), 0.6)
    values = {"rotation_deg": error, "position_share": error / 40, "camera_mc": error / 3}
    return {
        "name": f"{model}_{index:03d}",
        "model": model,
        "group": f"scene-{index % 5}",
        "prompt": "" if skill > 0.95 else "a kitchen with wooden cabinets, the camera moves forward",
        "path": f"clips/{model}/{index:03d}.mp4",
        "frames": frames,
        "width": 384,
        "height": 256,
        "has_request": requested,
        "registered": registered,
        "model_sizes": [registered] if registered else [],
        "recovered": good,
        "status": "ok" if good else "no initial pair",
        "verdicts": {
            "share@90": {
                "success": good,
                "share": float(good),
                "because": f"{registered} of {frames} frames",
            },
            "any": {
                "success": registered >= 2,
                "share": float(registered >= 2),
                "because": f"{registered} frames",
            },
            "trials@5": {"success": good, "share": 0.8 if good else 0.2, "because": "over 5 trials"},
            "pose@5": {
                "success": (good and error < 5) if requested else None,
                "share": float(good and error < 5) if requested else None,
                "because": because or f"largest error {error:.1f}°",
            },
        },
        "errors": {
            key: {
                "value": values[key] if good and requested else None,
                "worst": worst if requested else None,
                "undefined_because": because or ("" if good else "poses not recovered"),
            }
            for key, (_, _, _, worst) in ERRORS.items()
        },
        "consistency": {
            "sampson_fitted_px": {"value": 0.3 + error / 9, "undefined_because": "", "count": 120},
            "met3r": {
                "value": None if index % 7 == 3 else 0.05 + error / 50,
                "undefined_because": "static" if index % 7 == 3 else "",
                "count": 15,
            },
            "psnr_warp_db": {"value": 27 - error / 2, "undefined_because": "", "count": 15},
        },
        "motion": "static" if index % 7 == 3 else "general",
        "motion_because": "median flow 0.2 px" if index % 7 == 3 else "",
        "causes": [] if good else [rng.choice(CAUSES)],
        "notes": ["the rules disagree"] if 2 <= registered < frames else [],
        "strip": f"strips/{model}_{index:03d}.jpg",
        "trajectory": {
            "requested": path if requested else None,
            "requested_forward": [[0.0, 0.0, 1.0]] * frames if requested else None,
            "recovered": found,
            "recovered_forward": [p and [0.0, 0.05, 0.9987] for p in found],
            "aligned": requested,
        },
        "failed": None,
        "seconds": {"recovery": 3.2},
    }


def make_model(clips: list[dict[str, Any]], control: bool) -> dict[str, Any]:
    def rate(rule: str) -> dict[str, Any]:
        shares = [c["verdicts"][rule]["share"] for c in clips if c["verdicts"][rule]["share"] is not None]
        mean = math.fsum(shares) / len(shares) if shares else None
        interval = wilson95(round(math.fsum(shares)), len(shares))
        missing = len(clips) - len(shares)
        return {
            "rate": mean,
            "interval95": list(interval) if interval else None,
            "n": len(shares),
            "undefined": {"no requested cameras": missing} if missing else {},
        }

    def error(key: str) -> dict[str, Any]:
        values = [c["errors"][key] for c in clips]
        worst = [e["worst"] if e["value"] is None else e["value"] for e in values]
        return {
            "survivors": figure(
                [e["value"] for e in values], [e["undefined_because"] for e in values if e["value"] is None]
            ),
            "failures_as_worst": figure(
                worst, [e["undefined_because"] for e, w in zip(values, worst, strict=True) if w is None]
            ),
            "worst": f"{ERRORS[key][3]:g} {ERRORS[key][1]}",
        }

    causes = [cause for c in clips for cause in c["causes"]]
    motion = [c["motion"] for c in clips]
    errors = {key: error(key) for key in ERRORS}
    return {
        "n": len(clips),
        "failed": 0,
        "control": control,
        "requested": sum(c["has_request"] for c in clips),
        "registered_share": figure([c["registered"] / c["frames"] for c in clips], []),
        "rules": {rule: rate(rule) for rule in RULES},
        "rotation_deg": errors["rotation_deg"],
        "position_share": errors["position_share"],
        "errors": errors,
        "consistency": {
            key: figure(
                [c["consistency"][key]["value"] for c in clips],
                [v["undefined_because"] for c in clips if (v := c["consistency"][key])["value"] is None],
            )
            for key in CONSISTENCY
        },
        "causes": {cause: causes.count(cause) for cause in dict.fromkeys(causes)},
        "remarks": {"drift": 1} if control else {},
        "motion": {kind: motion.count(kind) for kind in dict.fromkeys(motion)},
    }


def compare(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    """A comparison of two figures or rates."""
    one, other = (f.get("mean", f.get("rate")) for f in (a, b))
    if one is None or other is None:
        return {"undefined_because": "no clip has a value", "better": "undecided"}
    reach = 0.1 + abs(one - other) / 2 if a["n"] > 10 else 0.2 + abs(one - other) * 1.3
    low, high = one - other - reach, one - other + reach
    return {
        "test": "unpaired permutation",
        "paired": False,
        "n": a["n"],
        "n_control": b["n"],
        "mean": one,
        "mean_control": other,
        "difference": one - other,
        "interval95": [low, high],
        "effect_size": -0.43,
        "effect_size_name": "Cliff's delta",
        "p_value": 0.0312 if low > 0 or high < 0 else 0.4,
        "p_holm": 0.0468 if low > 0 or high < 0 else 1.0,
        "better": "undecided" if low <= 0 <= high else "control",
        "undefined_because": "",
    }


def make_report(seed: int = 0, sizes: dict[str, tuple[int, float]] | None = None) -> dict[str, Any]:
    """Models with (clips, skill); one that is named 'real' is the control."""
    rng = random.Random(seed)
    sizes = (
        sizes
        if sizes is not None
        else {"real": (12, 0.97), "cameractrl": (16, 0.75), "motionctrl": (12, 0.4)}
    )
    clips = {m: [make_clip(rng, m, i, skill) for i in range(n)] for m, (n, skill) in sizes.items()}
    models = {m: make_model(own, m == "real") for m, own in clips.items()}
    real = models.get("real")
    comparisons = {}
    for name, model in models.items() if real else ():
        if real is None or name == "real":
            continue
        comparisons[name] = {
            **{f"rule:{k}": compare(model["rules"][k], real["rules"][k]) for k in RULES},
            **{
                f"error:{k}": compare(model["errors"][k]["survivors"], real["errors"][k]["survivors"])
                for k in ERRORS
            },
            **{
                f"consistency:{k}": compare(model["consistency"][k], real["consistency"][k])
                for k in CONSISTENCY
            },
        }
    infos = {
        "errors": {k: (*v[:3], False) for k, v in ERRORS.items()},
        "consistency": CONSISTENCY,
    }
    return {
        "schema": MEASURE,
        "command": "bridge4d measure clips --control real --out run",
        "seed": seed,
        "settings": {"trials": 5, "matcher": "exhaustive", "camera": None},
        "versions": {"pycolmap": "4.2.1", "torch": "2.13.0"},
        "rules": {
            rule: {
                "title": rule.replace("@", " at "),
                "definition": definition,
                "source": "A. Author et al., A Paper, 2025, section 4.1",
                "choices": ["The paper does not say which matcher; exhaustive was chosen."],
            }
            for rule, definition in RULES.items()
        },
        **{
            part: {
                key: {
                    "title": title,
                    "unit": unit,
                    "digits": digits,
                    "higher_is_better": higher,
                    "definition": f"How {title} is defined.",
                    "source": "A paper",
                }
                for key, (title, unit, digits, higher) in infos[part].items()
            }
            for part in infos
        },
        "models": models,
        "clips": [clip for own in clips.values() for clip in own],
        "control": {"model": "real" if real else None, "note": "", "comparisons": comparisons},
        "skipped": [{"file": "readme.txt", "reason": "is no video"}],
        "published": [
            {
                "who": "CameraCtrl",
                "what": "RotErr",
                "value": "0.87 rad",
                "source": "Table 1",
                "note": "other clips",
            }
        ],
        "seconds": {"recovery": 61.5},
    }


@pytest.fixture
def report() -> dict[str, Any]:
    return make_report()


def write_strips(report: dict[str, Any], run: Path, *, width: int = 640) -> None:
    rng = np.random.default_rng(0)
    for clip in report["clips"]:
        path = run / clip["strip"]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (48, width, 3), dtype=np.uint8)).save(path)


class Page(HTMLParser):
    """What the tests look at, and whether every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.figures: list[tuple[float, str]] = []
        self.links: list[str] = []
        self.handlers: list[str] = []
        self.text = ""
        self.data: dict[str, Any] = {}
        self._open: list[str] = []
        self._value: float | None = None
        self._json = False
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in VOID:
            self._open.append(tag)
        if tag == "data":
            self._value = float(given["value"] or "nan")
        self._json = given.get("id") == "measure-data"
        self.links += [given[key] or "" for key in ("href", "src") if given.get(key)]
        self.handlers += [key for key in given if key.startswith("on")]

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag
        if tag == "data":
            self._value = None

    def handle_data(self, data: str) -> None:
        if self._json:
            self.data, self._json = json.loads(data), False
        if self._value is not None:
            self.figures.append((self._value, data))
        if not {"script", "style"} & set(self._open):
            self.text += data


def page_of(report: MeasureReport | dict[str, Any], run: Path) -> Page:
    write_measure_report(report, run, run / "report.html")
    return Page((run / "report.html").read_text(encoding="utf-8"))


def numbers_in(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        for part in value.values():
            yield from numbers_in(part)
    elif isinstance(value, list):
        for part in value:
            yield from numbers_in(part)
    elif isinstance(value, int | float):
        yield float(value)


def test_every_figure_on_the_page_is_in_the_report(report: dict[str, Any], tmp_path: Path) -> None:
    page = page_of(report, tmp_path)
    known = set(numbers_in(report))
    known |= {100 * value for value in numbers_in(report["control"])}  # differences of rates are in points
    assert len(page.figures) > 200
    for value, text in page.figures:
        assert value in known, f"{text} ({value}) was never measured"
        if " min" in text or " s" in text:
            continue
        shown = text.replace("−", "-")
        exact = 100 * value if shown.endswith("%") else value
        digits = len(shown.rstrip("%").partition(".")[2])
        assert float(shown.rstrip("%")) == pytest.approx(exact, abs=0.5001 * 10**-digits)


def test_figures_without_what_moves_stand_below_those_of_whole_clips(
    report: dict[str, Any], tmp_path: Path
) -> None:
    assert "Without what moves" not in page_of(report, tmp_path).text
    name, model = next(iter(report["models"].items()))
    errors = {
        key: {**error, "survivors": {**error["survivors"], "mean": 0.0625}}
        for key, error in model["errors"].items()
    }
    metric = next(iter(CONSISTENCY))
    consistency = {metric: {**model["consistency"][metric], "mean": 0.03125}}
    moving = {**model["registered_share"], "mean": 0.25}
    model["still"] = {"clips": 2, "moving_share": moving, "errors": errors, "consistency": consistency}
    page = page_of(report, tmp_path)
    known = set(numbers_in(report))
    assert "Without what moves" in page.text
    assert (
        {0.0625, 0.03125}
        <= {value for value, _ in page.figures}
        <= known | {100 * value for value in numbers_in(report["control"])}
    )
    assert f"In {name}, 25% of the picture moves" in page.text


def test_every_figure_of_a_model_is_on_the_page(report: dict[str, Any], tmp_path: Path) -> None:
    page = page_of(report, tmp_path)
    shown = {value for value, _ in page.figures}
    for model in report["models"].values():
        for rate in model["rules"].values():
            assert rate["rate"] in shown
            assert bracket(rate["interval95"]) in page.text
        for error in model["errors"].values():
            for part in ("survivors", "failures_as_worst"):
                assert {error[part]["mean"], error[part]["median"], *error[part]["interval95"]} <= shown
        for value in model["consistency"].values():
            assert {value["mean"], value["median"], *value["interval95"]} <= shown


def test_the_scripts_get_every_clip(report: dict[str, Any], tmp_path: Path) -> None:
    write_strips(report, tmp_path)
    data = page_of(report, tmp_path).data
    assert [data["texts"][row[0]] for row in data["clips"]] == [clip["name"] for clip in report["clips"]]
    assert len(data["strips"]) == len(report["clips"])
    assert all(uri.startswith("data:image/webp;base64,") for uri in data["strips"].values())
    for row, clip in zip(data["clips"], report["clips"], strict=True):
        for shown, error in zip(row[-2], clip["errors"].values(), strict=True):
            exact = error["value"]
            assert shown[0] == (exact if exact is None else pytest.approx(exact, rel=1e-4))
        assert [v[0] for v in row[-3]] == [v["success"] for v in clip["verdicts"].values()]


def test_the_page_needs_nothing_but_itself(report: dict[str, Any], tmp_path: Path) -> None:
    write_strips(report, tmp_path)
    page = page_of(report, tmp_path)
    assert page.links == []
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"""(url\(|@import|fetch\(|src=["']?http)""", text)
    assert not list(tmp_path.glob("*.part"))


def hostile(value: Any) -> Any:
    """The report with every text from outside replaced, keys included."""
    if isinstance(value, str):
        return HOSTILE + value
    if isinstance(value, list):
        return [hostile(part) for part in value]
    return {key: hostile(part) for key, part in value.items()} if isinstance(value, dict) else value


def test_text_from_outside_is_escaped(report: dict[str, Any], tmp_path: Path) -> None:
    harmless = len(page_of(report, tmp_path).data["clips"])
    report = hostile(report)
    report["schema"] = MEASURE
    for part in ("models", "rules", "errors", "consistency", "settings", "versions"):
        report[part] = {HOSTILE + key: value for key, value in report[part].items()}
    report["control"]["model"] = HOSTILE + "real"
    for clip in report["clips"]:
        for part in ("verdicts", "errors", "consistency"):
            clip[part] = {HOSTILE + key: value for key, value in clip[part].items()}
    page = page_of(report, tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert HOSTILE not in text
    assert "<img src=x" not in text
    assert page.handlers == []
    assert len(page.data["clips"]) == harmless
    assert HOSTILE in page.data["texts"][page.data["clips"][0][0]]
    assert HOSTILE in page.text


def test_text_that_cannot_be_encoded_is_shown_as_such(report: dict[str, Any], tmp_path: Path) -> None:
    report["clips"][0]["name"] = "a\udcff\x1b[31m\u202eb"
    data = page_of(report, tmp_path).data
    assert data["texts"][data["clips"][0][0]] == "a\ufffd\ufffd[31m\ufffdb"
    report["models"] = {"a\x1b[31m": report["models"]["real"]}
    assert "\x1b" not in summary_text(report)


def badly_encoded(value: Any) -> Any:
    """Every text of the report, keys of its own included, as a file name that is not UTF-8."""
    if isinstance(value, str):
        return f"caf\udce9 {value}"
    if isinstance(value, list):
        return [badly_encoded(part) for part in value]
    if not isinstance(value, dict):
        return value
    named = set(RULES) | set(ERRORS) | set(CONSISTENCY) | set(CAUSES) | {"real", "cameractrl", "motionctrl"}
    return {badly_encoded(k) if k in named else k: badly_encoded(part) for k, part in value.items()}


def test_badly_encoded_file_names_stop_no_writer(report: dict[str, Any], tmp_path: Path) -> None:
    report["skipped"] *= 2
    bad = {**badly_encoded(report), "schema": MEASURE}
    run = tmp_path / "run\udcff"
    write_strips(report, run)
    for clip, good in zip(bad["clips"], report["clips"], strict=True):
        clip["strip"] = good["strip"]
    write_all(bad, run)
    summary_text(bad).encode()
    data = page_of(bad, run).data
    assert data["texts"][data["clips"][0][0]].startswith("caf\ufffd real_000")
    assert len(data["strips"]) == len(report["clips"])
    row = next(csv.DictReader((run / "clips.csv").open(encoding="utf-8")))
    assert (row["name"], row["model"]) == ("caf\ufffd real_000", "caf\ufffd real")
    strip = report["clips"][0]["strip"]
    assert link_to(strip, run, tmp_path / "report.html") == f"run%FF/{strip}"


def paths_in(value: Any, prefix: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    parts = (
        value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    )
    for key, part in parts:
        yield (*prefix, key)
        yield from paths_in(part, (*prefix, key))


def write_all(report: dict[str, Any], run: Path) -> None:
    page_of(report, run)
    write_clips_csv(report, run / "clips.csv")
    write_table_tex(report, run / "table.tex")
    check_tex((run / "table.tex").read_text(encoding="utf-8"))
    assert summary_text(report)


def test_any_value_may_be_null(tmp_path: Path) -> None:
    report = make_report(1, {"real": (2, 1.0), "model": (2, 0.5)})
    for part, name in (
        ("rules", "any"),
        ("rules", "trials@5"),
        ("consistency", "met3r"),
    ):  # the same holes once
        for holder in (report, *report["models"].values()):
            holder[part].pop(name)
    names = {*report["models"], *RULES, *ERRORS, *CONSISTENCY, *CAUSES}
    found = {  # one of each kind
        tuple("*" if isinstance(key, int) or key in names else key for key in path): path
        for path in paths_in(report)
        if path != ("schema",)
    }
    assert len(found) > 100
    shallow = [[path] for path in found.values() if len(path) < 3]
    deep = [path for path in found.values() if len(path) >= 3]
    for holes in shallow + [deep[start::20] for start in range(20)]:  # far apart: none hides another
        holed = copy.deepcopy(report)
        for path in holes:
            steps = list(path)
            inner, key = holed, steps.pop()
            for step in steps:
                inner = inner[step] if inner is not None else None
            if inner is not None:
                inner[key] = None
        write_measure_report(holed, tmp_path, tmp_path / "report.html")
        write_clips_csv(holed, tmp_path / "clips.csv")
        write_table_tex(holed, tmp_path / "table.tex")
        assert summary_text(holed)


@pytest.mark.parametrize(
    "sizes",
    [{}, {"real": (3, 1.0)}, {"model": (1, 1.0)}, {"model": (4, 0.0)}, {"real": (4, 0.0), "model": (0, 0.5)}],
    ids=["no model", "control alone", "one clip", "all failed", "a model without clips"],
)
def test_few_clips(sizes: dict[str, tuple[int, float]], tmp_path: Path) -> None:
    write_all(make_report(2, sizes), tmp_path)


def test_a_bare_report(tmp_path: Path) -> None:
    write_all({"schema": MEASURE}, tmp_path)
    assert headline(complete_measure({"schema": MEASURE})) == "No clip was measured."
    with pytest.raises(BridgeError, match="expected a report of schema bridge4d/measure/1, got 'x'"):
        write_measure_report({"schema": "x"}, tmp_path, tmp_path / "report.html")


def test_a_clip_that_could_not_be_measured_is_no_failure(report: dict[str, Any], tmp_path: Path) -> None:
    report["clips"].append({"name": "broken.mp4", "model": "cameractrl", "failed": "moov atom not found"})
    report["models"]["cameractrl"]["failed"] = 1
    write_all(report, tmp_path)
    row = list(csv.DictReader((tmp_path / "clips.csv").open(encoding="utf-8")))[-1]
    assert (row["failed"], row["recovered"], row["registered"]) == ("moov atom not found", "", "")
    assert any("cameractrl (1)" in w for w in warnings(complete_measure(report)))


def test_a_clip_that_was_given_up_before_its_frames_were_read(report: dict[str, Any], tmp_path: Path) -> None:
    given_up = {
        "name": "long.mp4",
        "model": "cameractrl",
        "frames": 0,
        "registered": 0,
        "recovered": False,
        "status": "given up: took more than 600 s",
        "verdicts": {rule: {"success": False, "share": 0.0, "because": "given up"} for rule in RULES},
        "causes": ["given up"],
    }
    report["clips"].append(given_up)
    write_all(report, tmp_path)
    assert "given up: took more than 600 s" in page_of(report, tmp_path).text
    row = list(csv.DictReader((tmp_path / "clips.csv").open(encoding="utf-8")))[-1]
    assert (row["frames"], row["registered"], row["recovered"]) == ("0", "0", "0")


def small_report(models: dict[str, tuple[int, int]], *, control: str | None = None) -> dict[str, Any]:
    """Models with (recovered, clips); as JSON with holes."""
    return {
        "schema": MEASURE,
        "rules": {"share@90": {}},
        "models": {
            name: {
                "n": n,
                "control": name == control,
                "rules": {"share@90": {"rate": k / n, "interval95": list(wilson95(k, n) or ()), "n": n}},
            }
            for name, (k, n) in models.items()
        },
        "control": {"model": control, "comparisons": {}},
    }


def small(models: dict[str, tuple[int, int]], *, control: str | None = None, note: str = "") -> MeasureReport:
    report = small_report(models, control=control)
    report["control"]["note"] = note
    return complete_measure(report)


def test_headline_for_each_outcome() -> None:
    assert headline(small({"real": (10, 10), "cameractrl": (4, 5)}, control="real")) == (
        "Cameras were registered (share@90) in 4 of 5 clips of cameractrl (80% [38, 96]); in 10 of 10 clips of real, the control "
        "(100% [72, 100])."
    )
    assert headline(small({"a": (1, 1)})) == (
        "Cameras were registered (share@90) in 1 of 1 clip of a (100% [21, 100])."
    )
    assert headline(small({"b": (1, 4), "a": (3, 4)})).startswith(
        "Cameras were registered (share@90) in 3 of 4 clips of a"
    )
    many = {name: (k, 4) for k, name in enumerate("abcde")}
    assert re.search(
        r"in 4 of 4 clips of e \(.*\), at best; in 0 of 4 clips of a \(.*\), at worst, among 5 models\.",
        headline(small(many)),
    )
    assert "no generated clip could be judged" in headline(small({"real": (2, 2)}, control="real"))
    other = small_report({"a": (1, 2)})
    other["models"]["a"]["rules"] = {"auc@5": other["models"]["a"]["rules"]["share@90"]}
    other["rules"] = {"auc@5": {}}
    assert headline(complete_measure(other)).startswith("auc@5 was met by 1 of 2 clips of a")


def judged(
    models: Mapping[str, Sequence[tuple[bool, bool | None]]], *, control: str | None = None
) -> MeasureReport:
    """Models with (registered, follows its request or None where nothing was requested) of each clip; AUC@5 of 2%."""
    r = small_report(
        {name: (sum(met for met, _ in own), len(own)) for name, own in models.items()}, control=control
    )
    r["rules"] |= {
        "follows@15": {"definition": "Nine of ten pairs are as requested. More."},
        "auc@5": {"definition": ""},
    }
    for model in r["models"].values():
        model["rules"]["auc@5"] = {"rate": 0.02, "interval95": None, "n": model["n"], "undefined": {}}
    r["clips"] = [
        {
            "name": f"{name}{i}",
            "model": name,
            "recovered": met,
            "has_request": follows is not None,
            "status": "ok",
            "verdicts": {"share@90": {"success": met}, "follows@15": {"success": follows}},
        }
        for name, own in models.items()
        for i, (met, follows) in enumerate(own)
    ]
    return complete_measure(r)


def test_registered_clips_that_do_not_follow_their_request_are_not_told_as_successes(tmp_path: Path) -> None:
    """As of CameraCtrl: four of five are registered, none of them as requested."""
    r = judged({"real": [(True, True)] * 10, "ours": [(True, False)] * 4 + [(False, False)]}, control="real")
    said = headline(r)
    assert said == (
        "Cameras were registered (share@90) in 4 of 5 clips of ours (80% [38, 96]), of which none follows the requested path; in 10 "
        "of 10 clips of real, the control (100% [72, 100]), of which 10 follow the requested path."
    )
    rules, auc = meaning(r)
    assert rules == (
        "share@90 asks how many frames COLMAP registers, not whether their poses are right; follows@15 asks that: Nine of "
        "ten pairs are as requested."
    )
    assert auc == "Pose accuracy, 100% being exact: real: auc@5 2%. ours: auc@5 2%."
    text, page = summary_text(r), page_of(r, tmp_path)
    for sentence in (said, rules, auc):
        assert sentence in text
        assert sentence in page.text
    assert "recovered" not in said
    assert page.text.count("registered, but does not follow the request") >= 4
    rows = list(csv.DictReader(_csv(r, tmp_path)))
    assert [row["in_words"] for row in rows[10:]] == ["registered, but does not follow the request"] * 4 + [
        "not registered"
    ]


def _csv(r: MeasureReport, folder: Path) -> list[str]:
    write_clips_csv(r, folder / "clips.csv")
    return (folder / "clips.csv").read_text(encoding="utf-8").splitlines()


def test_what_was_not_requested_or_not_asked_is_not_said_to_follow() -> None:
    some = judged({"a": [(True, True), (True, None), (True, False), (False, None)]})
    assert ", of the 2 with requested cameras 1 follows the requested path" in headline(some)
    none = judged({"a": [(True, None)] * 2})
    assert "requested path" not in headline(none)
    assert clip_words(none.clips[0]) == "registered; no request"
    report = to_json(judged({"a": [(True, True)]}))
    for holder in (report["rules"], report["clips"][0]["verdicts"]):
        del holder["follows@15"]
    report["models"]["a"]["requested"] = 1
    unasked = complete_measure(report)
    assert meaning(unasked)[0].endswith("not whether their poses are right; follows@15 in --rules asks that.")
    assert clip_words(unasked.clips[0]) == "registered; whether it follows the request was not asked"
    assert (
        clip_words(replace(unasked.clips[0], causes=["does not follow the request"]))
        == "registered, but does not follow the request"
    )


def test_an_interval_that_leaves_zero_out_is_not_printed_as_if_it_did_not(
    report: dict[str, Any], tmp_path: Path
) -> None:
    comparison = report["control"]["comparisons"]["cameractrl"]["rule:share@90"]
    comparison.update(difference=-0.4, interval95=[-0.77, -0.003])
    assert "95% interval −77.0 to −0.3" in summary_text(report)
    assert "[−77.0, −0.3]" in page_of(report, tmp_path).text
    comparison.update(interval95=[-0.77, 0.0])
    assert "95% interval −77 to 0;" in summary_text(report)


def test_certainty_is_no_stronger_than_the_interval(report: dict[str, Any]) -> None:
    comparison = report["control"]["comparisons"]["cameractrl"]["rule:share@90"]
    comparison.update(difference=-0.2, interval95=[-0.62, 0.1], better="undecided", p_value=0.37, p_holm=1.0)
    comparison.update(mean=0.8, mean_control=1.0, tests=9, why_undecided="the interval holds zero")
    comparison.update(n=5, n_control=10, unit="clips", unit_control="clips", clips=5, clips_control=10)
    assert (
        "cameractrl minus real, share@90: −20 points, 80% against 100% (over 5 clips against 10 clips; 95% interval "
        "−62 to +10; unpaired permutation, p = 0.37, corrected for 9 comparisons p = 1.00). Undecided: the interval "
        "holds zero.\n" in summary_text(report)
    )
    comparison.update(interval95=[-0.35, -0.05], better="control", p_value=0.0004, p_holm=0.01)
    comparison.update(why_undecided="")
    assert (
        "p < 0.001, corrected for 9 comparisons p = 0.010). cameractrl meets share@90 less often than real."
        in summary_text(report)
    )
    comparison.update(difference=None, interval95=None, undefined_because="no clip in common")
    assert "cameractrl and real could not be compared under share@90: no clip in common." in summary_text(
        report
    )


def test_a_comparison_names_its_two_rates_and_why_they_are_not_the_tables(
    report: dict[str, Any], tmp_path: Path
) -> None:
    """In pairs, two clips of the control have no partner, and two clips of the model are one sample."""
    shares = [("a", 1.0), ("a", 0.0), ("b", 1.0), ("c", 1.0), ("d", 0.0)]
    ours = [ClipValue(group, share, f"m{i}") for i, (group, share) in enumerate(shares)]
    theirs = [ClipValue(group, float(group != "x"), f"r{group}") for group in "abcdxy"]
    found = compare_values(
        ours, theirs, binary=True, higher_is_better=True, generator=torch.Generator().manual_seed(0)
    )
    report["control"]["comparisons"]["cameractrl"]["rule:share@90"] = to_json(
        correct_for_many_tests({"one": found})["one"]
    )
    said = (
        "cameractrl minus real, share@90: −38 points, 62% against 100% (over 4 pairs of groups, 5 clips against 4; 95% "
        "interval −75 to 0, too narrow: bootstrapped from 4 values; paired permutation, exact, p = 0.50). Undecided: "
        "too few to tell from chance, however far apart they lie: the test cannot give less than p = 0.12.",
        "The table has 60% for cameractrl, over 5 clips; here it is 62%, because clips of one group count once, as their "
        "mean.",
        "The table has 83% for real, over 6 clips; here it is 100%, because 2 of them are left out, whose groups are not "
        "among cameractrl's (rx, ry).",
    )
    assert " ".join(said) + "\n" in summary_text(report)
    page = page_of(report, tmp_path).text
    assert " ".join(said) in page  # at the top
    for sentence in said[1:]:
        assert page.count(sentence) == 2  # and in its row
    assert "4 groups of 5 clips" in page
    assert "too few to tell from chance" in page.partition("Against the control")[2]


def test_undecided_says_what_difference_would_have_been_seen(tmp_path: Path) -> None:
    def against(met: int, n: int, *, tests: int) -> Comparison:
        clips = [ClipValue("", float(i < met)) for i in range(n)]
        control = [ClipValue("", 1.0)] * n
        c = compare_values(
            clips, control, binary=True, higher_is_better=True, generator=torch.Generator().manual_seed(0)
        )
        return correct_for_many_tests(dict.fromkeys(map(str, range(tests)), c))["0"]

    def said(c: Comparison) -> str:
        r = small({"real": (9, 10), "a": (8, 10)}, control="real")
        r = replace(r, control=replace(r.control, comparisons={"a": {"rule:share@90": c}}))
        write_measure_report(r, tmp_path, tmp_path / "r.html")
        (sentence,) = [line for line in summary_text(r).splitlines() if line.startswith("a minus real")]
        page = (tmp_path / "r.html").read_text()
        assert (">could show" in page) == bool(c.detectable), "the page says it beside every verdict"
        return sentence

    # 15 of 20 against 20 is the first that 5% rejects (p = 0.047), and 12 of 20 that 5%/9 does; binomial sums give the rates
    # at which four models in five have no more
    assert binom.cdf(15, 20, 1 - 0.3133) == pytest.approx(0.8, abs=0.005)
    assert binom.cdf(12, 20, 1 - 0.4692) == pytest.approx(0.8, abs=0.005)
    assert "Undecided: the interval" in said(against(18, 20, tests=1))
    assert said(against(18, 20, tests=1)).endswith(
        "; the smallest difference these clips could show is 31 points (80% power)."
    )
    assert "is 31 points (80% power; 47 points corrected for 9 comparisons)." in said(
        against(18, 20, tests=9)
    )
    assert "80% power" not in said(against(1, 3, tests=1)), "three clips settle nothing, which is said"
    assert "80% power" not in said(against(0, 20, tests=1)), "what is settled needs no such words"


def test_without_a_control_it_is_said_once_how_exact_a_rate_is(tmp_path: Path) -> None:
    r = small({"a": (8, 10), "b": (5, 10)})
    low, high = r.models["a"].rules["share@90"].interval95  # type: ignore[misc]
    text = summary_text(r)
    assert text.count("half of Wilson's interval") == 1
    assert f"a ±{50 * (high - low):.0f} points" in text
    write_measure_report(r, tmp_path, tmp_path / "r.html")
    assert "half of Wilson&#39;s interval" in (tmp_path / "r.html").read_text()
    assert "Wilson's interval)" not in summary_text(small({"a": (8, 10), "b": (5, 10)}, control="b"))


def test_a_missing_or_failing_control_is_warned_of() -> None:
    alone = small({"a": (10, 10)})
    assert "no control" in warnings(alone)[0]
    alone = small({"a": (10, 10)}, note="The control could not be read.")
    assert warnings(alone)[0].endswith("The control could not be read.")
    assert (
        "meets share@90 at a rate of only 50%"
        in warnings(small({"real": (5, 10), "a": (10, 10)}, control="real"))[0]
    )
    both = small({"real": (10, 10), "a": (9, 10)}, control="real")
    assert warnings(both) == []
    both = small(
        {"real": (10, 10), "a": (9, 10)},
        control="real",
        note="The lens was known for some of the clips only.",
    )
    assert warnings(both) == ["The lens was known for some of the clips only."]


def test_a_rate_is_never_rounded_to_certainty() -> None:
    assert percent_words(0.8, 5) == "80%"
    assert percent_words(1.0, 5000) == "100.0%"
    assert percent_words(4999 / 5000, 5000) == "99.98%"
    assert percent_words(1 / 5000, 5000) == "0.02%"
    assert percent_words(0.0, 3) == "0%"
    assert percent_words(0.999, 3) == "99.9%"


def test_summary_is_an_aligned_table(report: dict[str, Any]) -> None:
    lines = summary_text(report).split("\n")
    table = [line for line in lines if line.startswith("  ")][:4]
    assert len({len(line) for line in table}) == 1
    assert "real (control)" in table[1]
    rate = report["models"]["real"]["rules"]["share@90"]
    assert percent_words(rate["rate"]) + " " + bracket(rate["interval95"]) in table[1]
    assert len(lines) < 20


def test_summary_says_what_was_passed_over_and_what_was_registered_nevertheless(
    report: dict[str, Any], tmp_path: Path
) -> None:
    report["models"]["real"]["causes"] = {}
    text = summary_text(report)
    assert "1 passed over: readme.txt (report.html says why)" in text
    assert "real registered, but: drift (1)" in text
    assert "real not registered, because" not in text
    board = page_of(report, tmp_path).text.partition("Leaderboard")[2].partition("Success rules")[0]
    assert "What went wrong" in board
    assert "drift (1)" in " ".join(board.split())
    for model in report["models"].values():
        for cause, n in model["causes"].items():
            assert f"{cause} ({n})" in " ".join(board.split())
    report["skipped"] = [{"file": f"{i}.txt", "reason": "is no video"} for i in range(9)]
    assert "9 passed over: 0.txt, 1.txt, 2.txt, 3.txt and 5 more (report.html" in summary_text(report)
    report["skipped"] = []
    assert "passed over" not in summary_text(report)


def test_long_titles_are_shortened_at_a_comma(report: dict[str, Any]) -> None:
    report["consistency"]["sampson_fitted_px"]["title"] = "Sampson error, fitted geometry"
    head = next(line for line in summary_text(report).split("\n") if line.startswith("  model"))
    assert head.endswith("  Sampson error px")
    assert "…" not in head


def test_csv_has_one_row_a_clip_and_no_formula(report: dict[str, Any], tmp_path: Path) -> None:
    report["clips"][0]["name"] = '=HYPERLINK("http://x";"y")'
    report["clips"][1]["group"] = " \n@SUM(A1)"
    report["clips"][2]["consistency"]["psnr_warp_db"]["value"] = -3.5
    write_clips_csv(report, tmp_path / "clips.csv")
    found = list(csv.DictReader((tmp_path / "clips.csv").open(encoding="utf-8", newline="")))
    assert len(found) == len(report["clips"])
    assert found[0]["name"] == '\'=HYPERLINK("http://x";"y")'
    assert found[1]["group"] == "' \n@SUM(A1)"
    assert found[2]["consistency:psnr_warp_db"] == "-3.5"
    for row, clip in list(zip(found, report["clips"], strict=True))[2:]:
        assert row["name"] == clip["name"]
        assert row["recovered"] == str(int(clip["recovered"]))
        assert row["causes"] == "; ".join(clip["causes"])
        for key, error in clip["errors"].items():
            assert row[f"error:{key}"] == ("" if error["value"] is None else repr(error["value"]))
            counted = error["worst"] if error["value"] is None else error["value"]
            assert row[f"failures_as_worst:{key}"] == ("" if counted is None else repr(counted))
        for rule, verdict in clip["verdicts"].items():
            assert row[f"rule:{rule}"] == ("" if verdict["share"] is None else repr(verdict["share"]))


def check_tex(text: str) -> list[list[str]]:
    """The table's rows; balanced braces and environments, as many cells in a row as columns, only ASCII and
    Latin letters, nothing that is special left bare."""
    body = "\n".join(line for line in text.split("\n") if not line.startswith("%"))
    bare = re.sub(r"\\[\\{}&%$#_]", "", body)
    assert bare.count("{") == bare.count("}")
    depth = 0
    for letter in bare:
        depth += (letter == "{") - (letter == "}")
        assert depth >= 0
    assert not re.search(r"[%#_~]|[^\x20-\x7eÀ-ſ\n]", bare.replace("tab:pose-recovery", ""))
    assert bare.count("$") % 2 == 0
    opened: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\{([^}]*)\}", body):
        if kind == "begin":
            opened.append(name)
        else:
            assert opened.pop() == name
    assert opened == []
    columns = re.search(r"\\begin\{tabular\}\{(l[lr]*)\}", body)
    assert columns is not None
    inside = body[body.index(r"\toprule") : body.index(r"\bottomrule")]
    lines = [line.strip() for line in inside.split("\n") if line.rstrip().endswith(r"\\")]
    found = [[cell.strip() for cell in re.split(r"(?<!\\)&", line[:-2])] for line in lines]
    assert all(len(row) == len(columns[1]) for row in found if not row[0].startswith(r"\multicolumn"))
    return found


def test_tex_table(report: dict[str, Any], tmp_path: Path) -> None:
    write_table_tex(report, tmp_path / "table.tex")
    text = (tmp_path / "table.tex").read_text(encoding="utf-8")
    head, *found = check_tex(text)
    assert head[:3] == ["Model", "$n$", r"share@90 (\%)"]
    assert [row[0] for row in found] == ["real (control)", "cameractrl", "motionctrl"]
    rate = report["models"]["cameractrl"]["rules"]["share@90"]
    assert found[1][2].startswith(f"{100 * rate['rate']:.0f} ")
    assert "real is the control" in text
    caption = re.sub(r"\s+", " ", text)
    assert (
        "Rotation is after the one turn of the world that suits all cameras best (chordal mean), " in caption
    )
    assert "position after aligning the recovered path to the requested one by a similarity." in caption


def test_tex_escapes_what_latex_would_run(tmp_path: Path) -> None:
    name = "a&b_50%$#{}~^\\input{/etc/passwd}<模型>\n[x]"
    report = make_report(3, {name: (2, 1.0), "real": (2, 1.0)})
    write_table_tex(report, tmp_path / "table.tex")
    _, first, _ = check_tex((tmp_path / "table.tex").read_text(encoding="utf-8"))
    assert r"\textbackslash{}input\{/etc/passwd\}" in first[0]
    assert r"\texttt{U+6A21}" in first[0]
    assert escape("0.1 ° – −2") == r"0.1 $^{\circ}$ -- $-$2"


@pytest.mark.parametrize(
    ("count", "share"),
    [(500, 10), pytest.param(5000, 1, marks=pytest.mark.slow)],
    ids=["a tenth of it", "all"],
)
def test_thousands_of_clips_stay_one_page(
    count: int, share: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for budget in ("STRIP_BYTES", "ROW_BYTES", "PATH_BYTES"):
        monkeypatch.setattr(f"eval.report.measure.page.{budget}", getattr(measure, budget) // share)
    report = make_report(4, {"real": (20, 0.97), "a": (10, 0.6), "b": (10, 0.5)})
    seeds = report["clips"]
    report["clips"] = [
        {**seeds[i % len(seeds)], "name": f"clip-{i:05d}", "prompt": f"{i} " + "word " * 60}
        for i in range(count)
    ]
    write_strips({"clips": seeds}, tmp_path, width=1400)
    page = page_of(report, tmp_path)
    assert (tmp_path / "report.html").stat().st_size < 12_000_000 / share + 200_000
    data = page.data
    assert len(data["clips"]) + data["left_out"] == count
    assert 0.6 * count < len(data["clips"])
    assert 100 / share < len(data["strips"]) < count
    assert len(data["strips"]) + len(data["links"]) == len(data["clips"])
    assert page.text.count("clip-0") == 200  # readers without scripts
    first = (tmp_path / "report.html").read_bytes()
    page_of(report, tmp_path)
    assert (tmp_path / "report.html").read_bytes() == first


def test_clips_that_tell_most_come_first() -> None:
    report = complete_measure(make_report(5, {"real": (30, 0.9), "a": (30, 0.5), "b": (30, 1.0)}))
    order = order_clips(report)
    assert sorted(order) == list(range(90))
    clips = [report.clips[i] for i in order]
    assert {clip.model for clip in clips[:3]} == {"real", "a", "b"}
    assert not clips[0].recovered
    last_failed = max(i for i, clip in enumerate(clips) if not clip.recovered)
    first_plain = min(i for i, clip in enumerate(clips[18:], 18) if clip.recovered and clip.model == "b")
    assert last_failed < len(clips) - 1
    assert first_plain > 18


def test_strips_outside_the_run_or_broken_are_left_out(report: dict[str, Any], tmp_path: Path) -> None:
    run = tmp_path / "run"
    write_strips(report, run)
    (tmp_path / "secret.jpg").write_bytes((run / report["clips"][0]["strip"]).read_bytes())
    (run / report["clips"][1]["strip"]).write_bytes(b"no picture")
    (run / report["clips"][2]["strip"]).unlink()
    report["clips"][0]["strip"] = "../secret.jpg"
    r = complete_measure(report)
    strips = embed_strips(r, list(range(len(r.clips))), run, max_bytes=10_000_000)
    assert sorted(strips) == list(range(3, len(r.clips)))
    few = embed_strips(r, list(range(len(r.clips))), run, max_bytes=100_000)
    assert 0 < len(few) < len(strips)
    assert sum(map(len, few.values())) <= 100_000 + 30 * len(few)


def test_paths_keep_their_shape() -> None:
    report = make_report(6, {"a": (1, 1.0)})
    far = [[1e6 + v for v in p] for p in report["clips"][0]["trajectory"]["requested"]]
    near = report["clips"][0]["trajectory"]["requested"]
    report["clips"][0]["trajectory"].update(requested=far, recovered=[far[0], None, *far[2:]])
    requested, recovered, *_ = paths(complete_measure(report), [0], max_bytes=10**6)[0]
    assert recovered[1] is None
    assert recovered[2] == requested[2]
    assert max(math.hypot(*p) for p in requested) == pytest.approx(1.0, abs=1e-3)
    shown = math.dist(requested[0], requested[8]) / math.dist(requested[0], requested[15])
    assert shown == pytest.approx(math.dist(near[0], near[8]) / math.dist(near[0], near[15]), abs=1e-3)
    assert paths(complete_measure(report), [0], max_bytes=10) == {}


def test_positions_on_an_axis() -> None:
    axis = Axis(0.0, 2.0)
    assert axis.x(1.0) == 50.0
    assert axis.x(0.0) == axis.x(-5.0) < axis.x(0.5) < axis.x(2.0) == axis.x(9.0)
    assert Axis(1.0, 1.0).x(1.0) == 50.0
    about = axis_about_zero(Comparison(difference=-0.2, interval95=(-0.6, 0.1)))
    assert about.x(0.0) == 50.0
    assert about.low < -0.6
    assert metric_axis([Figure(mean=0.2, interval95=(0.1, 0.4))]).low == 0.0
    assert metric_axis([Figure()]) == Axis(0.0, 1.0)
    far = metric_axis([Figure(mean=26.0), Figure(mean=27.0, interval95=(26.5, 27.5))])
    assert 25 < far.low < 26
    assert 27.5 < far.high < 28
