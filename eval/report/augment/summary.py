"""A report in a few lines of plain text, for a terminal."""

from collections.abc import Mapping
from typing import Any

from eval.report.augment.schema import complete
from eval.report.augment.sentences import (
    because,
    certainty,
    has_no_augmented_scene,
    headline,
    is_reconstruction,
    photos_words,
)
from eval.report.numbers import plain


def summary(report: Mapping[str, Any]) -> str:
    """The headline of a report and its main figures, in a few lines."""
    r = complete(report)
    # the reason repeats the headline where a gain was measured
    reason = because(r) if r["heldout"]["psnr"]["gain"] is None or not r["generated"]["accepted"] else ""
    lines = [headline(r), *filter(None, [reason, certainty(r)])]
    if r["status"] != "no-reconstruction":
        lines += ["", *_figures(r)]
    lines += [f"warning: {warning}" for warning in r["warnings"]]
    return "\n".join(lines)


def _figures(r: Mapping[str, Any]) -> list[str]:
    heldout, generated = r["heldout"], r["generated"]
    rows = [("photos", photos_words(r))]
    if r["protocol"]:
        rows.append(("protocol", r["protocol"]))
    series = [("PSNR", heldout["psnr"], 2, " dB"), ("SSIM", heldout["ssim"], 4, "")]
    if heldout["perceptual"]:
        series.append(("LPIPS", heldout["perceptual"], 4, ""))
    for name, part, digits, unit in series:
        if part["photos_only"] is None and part["augmented"] is None:
            continue
        if has_no_augmented_scene(r):
            what = "on the held-out photos" if is_reconstruction(r) else "of the photos alone"
            rows.append((name, f"{plain(part['photos_only'], digits, unit=unit)} {what}"))
            continue
        before, after = plain(part["photos_only"], digits), plain(part["augmented"], digits, unit=unit)
        gain = plain(part["gain"], digits, sign=True, unit=unit)
        worst = plain(part["worst_view_gain"], digits, sign=True, unit=unit)
        rows.append((name, f"{before} → {after}  (gain {gain}, worst view {worst})"))
    if generated["requested"] is not None and not is_reconstruction(r):
        rows.append(
            (
                "generated",
                f"{generated['requested']} requested, {_count_or_dash(generated['recovered'])} recovered by COLMAP, "
                f"{_count_or_dash(generated['accepted'])} accepted",
            )
        )
    if generated["rotation_deg_median"] is not None:
        share = generated["position_share_median"]
        position = "" if share is None else f", {plain(100 * share, 2)}% of the extent"
        rows.append(("pose error", f"median {plain(generated['rotation_deg_median'])}°{position}"))
    return [f"  {name:<11}{text}" for name, text in rows]


def _count_or_dash(n: int | None) -> str:
    return "–" if n is None else str(n)
