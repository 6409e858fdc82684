"""The shape of ``report.json``, and how a page may rely on it.

A run that failed half-way leaves a report with holes. `complete` fills them with None and empty lists, so
that a page asks only whether a value is there, never whether its key is.

A gain is positive where the augmented scene is better, whichever way the metric points.
"""

import math
from collections.abc import Mapping
from typing import Any

from recon.errors import BridgeError

AUGMENT = "bridge4d/augment/1"

_SERIES: dict[str, Any] = {
    "photos_only": None,
    "augmented": None,
    "gain": None,
    "gain_interval95": None,
    "worst_view_gain": None,
    "per_view": {"photos_only": [], "augmented": []},
}

_AUGMENT: dict[str, Any] = {
    "schema": AUGMENT,
    "task": "augment",
    "status": "ok",
    "protocol": None,
    "capture": {"path": None, "kind": None, "pose_kind": None},
    "photos": {
        "given": None,
        "usable": None,
        "training": None,
        "registered": None,
        "skipped": [],
        "training_names": [],
    },
    "heldout": {
        "views": None,
        "expected": None,
        "names": [],
        "psnr": _SERIES,
        "ssim": _SERIES,
        "perceptual": None,
        "perceptual_note": "",
    },
    "generated": {
        "requested": None,
        "recovered": None,
        "accepted": None,
        "rotation_deg_median": None,
        "position_share_median": None,
        "frames": [],
    },
    "orbit": {
        "kept": None,
        "photos_only": None,
        "path": "",
        "frames": None,
        "fps": None,
        "seconds": None,
        "width": None,
        "height": None,
    },
    "rounds": [],
    "kept": None,
    "kept_because": "",
    "stages": [],
    "command": "",
    "seed": None,
    "versions": {},
    "world_model": {"name": None, "license": None, "note": None},
    "cameras": {"training": [], "heldout": [], "generated": []},
    "exports": {},
    "warnings": [],
}


def complete(report: Mapping[str, Any]) -> dict[str, Any]:
    """The report with every key of its schema; null, NaN and infinity become None or the empty default.

    Raises:
        BridgeError: a report of another schema.
    """
    if report.get("schema") != AUGMENT:
        raise BridgeError(
            f"expected a report of schema {AUGMENT}, got {report.get('schema')!r}; "
            "write it again with this version of bridge4d"
        )
    filled = _merge_defaults(_finite(report), _AUGMENT)
    if filled["heldout"]["perceptual"] is not None:
        filled["heldout"]["perceptual"] = _merge_defaults(filled["heldout"]["perceptual"], _SERIES)
    return filled


def _merge_defaults(value: Any, default: Any) -> Any:
    if isinstance(default, dict):
        given = value if isinstance(value, dict) else {}
        return {**given, **{key: _merge_defaults(given.get(key), part) for key, part in default.items()}}
    return default if value is None else value


def _finite(value: Any) -> Any:
    """JSON knows neither NaN nor infinity; nor does a reader."""
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
