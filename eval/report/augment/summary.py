"""A report in a few lines of plain text, for a terminal."""

from collections.abc import Mapping
from typing import Any

from eval.report.augment.metrics import measured_metrics
from eval.report.augment.sentences import (
    baseline_words,
    because,
    certainty,
    delivery_words,
    has_no_augmented_scene,
    headline,
    is_reconstruction,
    latent_words,
    null_words,
    own_words,
    photos_words,
)
from eval.report.numbers import plain
from eval.results.augment import AugmentReport
from eval.results.reading import read_report


def summary(report: AugmentReport | Mapping[str, Any]) -> str:
    """The headline of a report and its main figures, in a few lines.

    Raises:
        BridgeError: a report of another schema.
    """
    r = read_report(AugmentReport, report)
    lines = [headline(r), *filter(None, [null_words(r), because(r), certainty(r), delivery_words(r)])]
    if r.status != "no-reconstruction":
        lines += ["", *_figures(r)]
    lines += [f"warning: {warning}" for warning in r.warnings]
    return "\n".join(lines)


def _figures(r: AugmentReport) -> list[str]:
    generated = r.generated
    rows = [("photos", photos_words(r))]
    if r.protocol:
        rows.append(("protocol", r.protocol))
    for metric in measured_metrics(r.heldout):
        part, digits, unit = metric.series, metric.digits, metric.unit
        if has_no_augmented_scene(r):
            what = "on the held-out photos" if is_reconstruction(r) else "of the photos alone"
            rows.append((metric.name, f"{plain(part.photos_only, digits, unit=unit)} {what}"))
            continue
        before, after = plain(part.photos_only, digits), plain(part.augmented, digits, unit=unit)
        gain = plain(part.gain, digits, sign=True, unit=unit)
        worst = plain(part.worst_view_gain, digits, sign=True, unit=unit)
        rows.append((metric.name, f"{before} → {after}  (gain {gain}, worst view {worst})"))
    if said := baseline_words(r.heldout):
        rows.append(("baseline", said))
    if said := own_words(r.heldout):
        rows.append(("renderings", said))
    if generated.requested is not None and not is_reconstruction(r):
        rows.append(
            (
                "generated",
                f"{generated.requested} requested, {plain(generated.recovered, 0)} recovered by COLMAP, "
                f"{plain(generated.accepted, 0)} accepted",
            )
        )
    if generated.rotation_deg_median is not None:
        share = generated.position_share_median
        position = "" if share is None else f", {plain(100 * share, 2)}% of the extent"
        rows.append(("pose error", f"median {plain(generated.rotation_deg_median)}°{position}"))
    if said := latent_words(r):
        rows.append(("features", said))
    return [f"  {name:<11}{text}" for name, text in rows]
