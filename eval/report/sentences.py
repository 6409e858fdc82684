"""What a report says in words; the page and the terminal say the same."""

from collections.abc import Mapping
from typing import Any

from eval.report.numbers import plain
from eval.report.schema import complete

KEPT = {"augmented": "augmented scene", "photos_only": "photos-only scene"}


def headline(report: Mapping[str, Any]) -> str:
    """What came of it, in one sentence."""
    r = complete(report)
    if r["status"] == "no-reconstruction":
        return "Nothing was reconstructed from these photos."
    psnr, views = r["heldout"]["psnr"], r["heldout"]["views"]
    kept = KEPT.get(r["kept"], "scene")
    if psnr["gain"] is None:
        return f"The {kept} is kept; its gain could not be measured."
    amount = plain(abs(psnr["gain"]))
    change = f"raised PSNR by {amount} dB" if psnr["gain"] > 0 else f"lowered PSNR by {amount} dB"
    if float(amount) == 0:
        change = "left PSNR as it was"
    said = f"The {kept} is kept: generated views {change}"
    if psnr["gain_interval95"]:
        low, high = psnr["gain_interval95"]
        said += f" (95% interval {plain(low, sign=True)} to {plain(high, sign=True)} dB)"
    return f"{said} on {count(views, 'held-out photo')}."


def certainty(report: Mapping[str, Any]) -> str:
    """What must be said beside the headline; empty where nothing must."""
    heldout = complete(report)["heldout"]
    said = []
    interval = heldout["psnr"]["gain_interval95"]
    if interval and interval[0] <= 0 <= interval[1]:
        said.append("The interval includes zero: these photos do not settle whether there is a gain.")
    if heldout["psnr"]["gain"] is not None and not interval:
        said.append("Too few held-out photos for an interval.")
    if heldout["views"] is not None and (heldout["expected"] or 0) > heldout["views"]:
        said.append(
            f"{heldout['views']} of {count(heldout['expected'], 'held-out photo')} could be measured."
        )
    return " ".join(said)


def count(n: int | None, noun: str) -> str:
    """'3 photos', '1 photo', '– photos'."""
    return f"{'–' if n is None else n} {noun}{'' if n == 1 else 's'}"
