"""An export in words, for the terminal."""

from bridge4d.console import bytes_in_words
from bridge4d.exporting.pipeline import ExportResult
from bridge4d.exporting.sidecar import AXES_IN_WORDS, FileReport, sidecar_folder
from bridge4d.exporting.targets import SIDECAR

SHOWN_ERRORS = {
    "position_units": ("position", "units"),
    "angle_deg": ("rotation", "°"),
    "log_scale": ("log scale", ""),
    "opacity": ("opacity", ""),
    "color": ("colour", ""),
    "view_color": ("view-dependent colour", ""),
}
"""Keys of `attribute_errors` → name and unit in the terminal."""
EXACT = 1e-5
"""Errors of float32 rounding, which nobody needs to read."""


def describe(done: ExportResult) -> str:
    """Counts, frame, and a paragraph for each file."""
    lines = [f"note: {note}" for note in done.notes]
    left = [f"{count:,} {reason}" for reason, count in done.left_out.items() if count]
    if any(report.gaussians for report in done.files):
        lines.append("left out: " + ", ".join(left) if left else "every Gaussian is written")
    lines.append(f"up:     {done.frame.up}")
    lines.append(f"scale:  {_scale(done)}")
    if done.frame.georeference is not None:
        lines += _on_the_map(done)
    lines += [line for report in done.files for line in _file(report)]
    folders = dict.fromkeys(sidecar_folder(report.path) for report in done.files)
    return "\n".join([*lines, *(f"details: {folder / SIDECAR}" for folder in folders)])


def _scale(done: ExportResult) -> str:
    unit = done.frame.metres_per_unit
    return f"{unit:g} m a unit, from {done.frame.scale_from}" if unit is not None else done.frame.scale_from


def _on_the_map(done: ExportResult) -> list[str]:
    found = done.frame.georeference
    assert found is not None
    used = found.residuals_m[found.used]
    out = [name for name, kept in zip(found.names, found.used.tolist(), strict=True) if not kept]
    left = f"; left out as wrong: {', '.join(out)}" if out else ""
    return [
        f"origin: {found.origin.latitude_deg:.6f}° {found.origin.longitude_deg:.6f}° {found.origin.height_m:.1f} m",
        f"        residuals {float(used.median()):.2f} m in the median, {float(used.max()):.2f} m at most{left}",
        f"        distances between photos off by {found.distances_m[0]:.2f} m in the median, {found.distances_m[1]:.2f} m at most",
    ]


def _file(report: FileReport) -> list[str]:
    frames = f" in {report.frames} frames" if report.frames > 1 else ""
    gaussians = f"{report.gaussians:,} Gaussians{frames}, " if report.gaussians else ""
    points = "" if report.written.points is None else f"{report.written.points:,} points, "
    size = bytes_in_words(report.bytes)
    lines = [f"{report.path}: {report.format.title}, {gaussians}{points}{size}, {AXES_IN_WORDS[report.axes]}"]
    if report.errors is not None:
        lines.append(f"  read back: {_errors(report.errors)}")
    if report.written.dropped:
        lines.append(f"  {report.written.dropped:,} Gaussians are not numbers and were left out")
    if report.written.clamped:
        held = ", ".join(f"{count:,} {name}" for name, count in report.written.clamped.items() if count)
        lines += [f"  beyond what it can hold, so moved to its limits: {held}"] if held else []
    if report.format.loses:
        lines.append(f"  rounded or lost: {report.format.loses}")
    return lines + [f"  note: {note}" for note in report.notes]


def _errors(errors: dict[str, float]) -> str:
    shown = [
        f"{name} {errors[key]:.2g}{'' if unit in ('', '°') else ' '}{unit}"
        for key, (name, unit) in SHOWN_ERRORS.items()
        if errors.get(key, 0.0) > EXACT
    ]
    return "largest errors: " + ", ".join(shown) if shown else "exact"
