"""How a page may rely on a measure report: every key is there, and text can be printed.

A run that was cut short leaves holes; names and messages come from other people's files. `complete_measure`
fills the holes with None and empty lists and makes text safe to encode, so that what shows a report asks
only whether a value is there.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from eval.report.measure_schema import MEASURE
from recon.errors import BridgeError

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters (a terminal obeys them), overrides of the writing direction (they disguise names) and
lone surrogates (file names that are not UTF-8; no page can be encoded with them)."""

_FIGURE: dict[str, Any] = {
    "mean": None,
    "median": None,
    "interval95": None,
    "interval_note": "",
    "n": 0,
    "undefined": {},
}
_RATE: dict[str, Any] = {"rate": None, "interval95": None, "n": 0, "undefined": {}}
_ERROR: dict[str, Any] = {"survivors": _FIGURE, "failures_as_worst": _FIGURE, "worst": ""}
_MODEL: dict[str, Any] = {
    "n": 0,
    "failed": 0,
    "control": False,
    "requested": 0,
    "registered_share": _FIGURE,
    "rules": {},
    "rotation_deg": _ERROR,
    "position_share": _ERROR,
    "errors": {},
    "consistency": {},
    "causes": {},
    "remarks": {},
    "motion": {},
}
_CLIP: dict[str, Any] = {
    "name": "",
    "model": "",
    "group": "",
    "prompt": "",
    "path": "",
    "frames": None,
    "width": None,
    "height": None,
    "has_request": False,
    "registered": None,
    "model_sizes": [],
    "recovered": None,
    "status": "",
    "verdicts": {},
    "errors": {},
    "consistency": {},
    "motion": "",
    "motion_because": "",
    "causes": [],
    "notes": [],
    "strip": None,
    "trajectory": None,
    "failed": None,
    "seconds": {},
}
_VERDICT: dict[str, Any] = {"success": None, "share": None, "because": ""}
_VALUE: dict[str, Any] = {"value": None, "undefined_because": "", "count": 0}
_ERROR_VALUE: dict[str, Any] = {"value": None, "worst": None, "undefined_because": ""}
_TRAJECTORY: dict[str, Any] = {
    "requested": None,
    "requested_forward": None,
    "recovered": None,  # a list with holes where a frame was not registered, which must stay
    "recovered_forward": None,
    "aligned": False,
}
_COMPARISON: dict[str, Any] = {
    "test": "",
    "paired": False,
    "why_unpaired": "",
    "n": 0,
    "n_control": 0,
    "unit": "",
    "unit_control": "",
    "clips": 0,
    "clips_control": 0,
    "mean": None,
    "mean_control": None,
    "mean_of_clips": None,
    "mean_of_clips_control": None,
    "left_out": 0,
    "left_out_control": 0,
    "left_out_names": [],
    "left_out_names_control": [],
    "difference": None,
    "interval95": None,
    "interval_note": "",
    "effect_size": None,
    "effect_size_name": "",
    "p_value": None,
    "p_holm": None,
    "p_smallest": None,
    "tests": 0,
    "better": "undecided",
    "why_undecided": "",
    "undefined_because": "",
}
_RULE: dict[str, Any] = {"title": "", "definition": "", "source": "", "choices": []}
_METRIC: dict[str, Any] = {
    "title": "",
    "unit": "",
    "digits": 3,
    "higher_is_better": False,
    "definition": "",
    "source": "",
}
_PUBLISHED: dict[str, Any] = {"who": "", "what": "", "value": "", "source": "", "note": ""}
_REPORT: dict[str, Any] = {
    "schema": MEASURE,
    "command": "",
    "seed": None,
    "settings": {},
    "versions": {},
    "rules": {},
    "errors": {},
    "consistency": {},
    "models": {},
    "clips": [],
    "control": {"model": None, "note": "", "comparisons": {}},
    "skipped": [],
    "grouping": [],
    "published": [],
    "seconds": {},
}


def complete_measure(report: Mapping[str, Any]) -> dict[str, Any]:
    """The report with every key of its schema, at every depth; NaN and infinity become None.

    Characters that cannot be printed or encoded become U+FFFD. A rule or metric that a model or a clip
    knows but the report does not describe is described by its own name.

    Raises:
        BridgeError: a report of another schema.
    """
    if report.get("schema") != MEASURE:
        raise BridgeError(
            f"expected a report of schema {MEASURE}, got {report.get('schema')!r}; "
            "write it again with this version of bridge4d"
        )
    r = _filled(_clean(report), _REPORT)
    r["models"] = {name: _model(model) for name, model in r["models"].items()}
    r["clips"] = [_clip(clip) for clip in r["clips"] if isinstance(clip, dict)]
    for part, inside, default in (
        ("rules", "verdicts", _RULE),
        ("errors", "errors", _METRIC),
        ("consistency", "consistency", _METRIC),
    ):
        known = [r[part], *(m[part] for m in r["models"].values()), *(c[inside] for c in r["clips"])]
        names = dict.fromkeys(name for some in known for name in some)
        r[part] = {name: _titled(name, _filled(r[part].get(name), default)) for name in names}
    comparisons = r["control"]["comparisons"]
    r["control"]["comparisons"] = {name: _each(some, _COMPARISON) for name, some in comparisons.items()}
    r["published"] = [_filled(figure, _PUBLISHED) for figure in r["published"]]
    r["skipped"] = [_filled(file, {"file": "", "reason": ""}) for file in r["skipped"]]
    return r


def _model(value: Any) -> dict[str, Any]:
    model = _filled(value, _MODEL)
    errors = _each(model["errors"], _ERROR)
    return {
        **model,
        "rules": _each(model["rules"], _RATE),
        "errors": {key: model[key] for key in ("rotation_deg", "position_share")} | errors,
        "consistency": _each(model["consistency"], _FIGURE),
    }


def _clip(value: Any) -> dict[str, Any]:
    clip = _filled(value, _CLIP)
    path = clip["trajectory"]
    return {
        **clip,
        "verdicts": _each(clip["verdicts"], _VERDICT),
        "errors": _each(clip["errors"], _ERROR_VALUE),
        "consistency": _each(clip["consistency"], _VALUE),
        "trajectory": None if path is None else _filled(path, _TRAJECTORY),
    }


def _each(values: Any, default: dict[str, Any]) -> dict[str, Any]:
    return {name: _filled(value, default) for name, value in (values or {}).items()}


def _titled(name: str, info: dict[str, Any]) -> dict[str, Any]:
    return {**info, "title": info["title"] or name}


def _filled(value: Any, default: Any) -> Any:
    """Keys that are missing or null get their default; what has no default stays."""
    if isinstance(default, dict):
        given = value if isinstance(value, dict) else {}
        filled = {key: _filled(given.get(key), part) for key, part in default.items()}
        if "interval95" in filled:
            filled["interval95"] = _pair(filled["interval95"])
        return {**filled, **{key: part for key, part in given.items() if key not in default}}
    if isinstance(default, list):
        return [part for part in value if part is not None] if isinstance(value, list) else []
    return default if value is None else value


def _pair(interval: Any) -> list[float] | None:
    """An interval with one open end is none."""
    whole = isinstance(interval, list) and len(interval) == 2 and None not in interval
    return interval if whole else None


def _clean(value: Any) -> Any:
    """Text that can be printed, numbers that are numbers; what JSON would not hold becomes text."""
    if value is None or type(value) in (int, bool):
        return value
    if isinstance(value, float):  # most of a report; asked before what is rarer
        return float(value) if math.isfinite(value) else None
    if isinstance(value, str):
        return _UNPRINTABLE.sub("\ufffd", value)
    if isinstance(value, Mapping):
        return {_clean(str(key)): _clean(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(part) for part in value]
    return _clean(str(value))
