"""`export.json`: what was written, how far it lies from the scene, and where it belongs."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from jaxtyping import Bool, Float
from torch import Tensor

from bridge4d import __version__
from bridge4d.exporting.frame import ExportFrame
from bridge4d.exporting.targets import SCHEMA, SIDECAR, read_sidecar
from bridge4d.runs.stored_json import write_json
from bridge4d.scenes import LoadedScene
from recon.scenefiles import Axes, Written
from recon.scenefiles.axes import axes_from_rdf
from recon.scenefiles.registry import Format

AXES_IN_WORDS = {
    Axes.RDF: "x right, y down, z front",
    Axes.RUB: "x right, y up, z back",
    Axes.LUF: "x left, y up, z front",
    Axes.Z_UP: "x right, y front, z up",
}
"""Where the axes of a file point, for a viewer in front of the scene."""


@dataclass(frozen=True)
class FileReport:
    """One file of an export."""

    path: Path
    format: Format
    axes: Axes
    gaussians: int
    """0 in files that hold none: point clouds, datasets."""
    frames: int
    """1 for a scene at rest."""
    written: Written
    """What the writer dropped, clamped and reordered."""
    bytes: int
    write_seconds: float
    """Seconds that writing took."""
    notes: tuple[str, ...] = ()
    errors: dict[str, float] | None = None
    """Largest error of each attribute (`attribute_errors`); None where the file was not read back."""
    check_seconds: float | None = None
    """Seconds that reading back took; None where that was left out."""

    def as_json(self) -> dict:
        """The entry of the file in `export.json`."""
        return {
            "format": self.format.name,
            "axes": self.axes.value,
            "axes_in_words": AXES_IN_WORDS[self.axes],
            "gaussians": self.gaussians,
            "points": self.written.points,
            "frames": self.frames,
            "bytes": self.bytes,
            "not_numbers_dropped": self.written.dropped,
            "clamped": self.written.clamped,
            "largest_errors": None
            if self.errors is None
            else {name: float(f"{value:.6g}") for name, value in self.errors.items()},
            "lost": self.format.loses,
            "notes": list(self.notes),
            "seconds": {
                "write": round(self.write_seconds, 3),
                "read_back": None if self.check_seconds is None else round(self.check_seconds, 3),
            },
        }


def record_export(
    report: FileReport,
    source: LoadedScene,
    frame: ExportFrame,
    left_out: dict[str, int],
    near: Float[Tensor, "near 3"],
    backdrop: Bool[Tensor, "g"] | None,
) -> None:
    """Add a file to the `export.json` of its folder; entries of other files stay.

    Args:
        report: the file.
        source: what was exported.
        frame: where it was put.
        left_out: reason → Gaussians.
        near: centres of all but the backdrop, in the project's axes.
        backdrop: rows of the backdrop; None where nobody knows.
    """
    entry = report.as_json() | {
        "written_by": f"bridge4d {__version__}",
        "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "source": str(source.source),
        "merged_from": [str(given) for given, _ in source.parts],
        "source_notes": list(source.notes),
        "left_out": left_out,
        "frame": frame.as_json(report.axes),
        "backdrop": None if backdrop is None else _backdrop(backdrop),
        "bounds_without_backdrop": _bounds(near, report.axes),
    }
    sidecar = sidecar_folder(report.path) / SIDECAR
    write_json(sidecar, {"schema": SCHEMA, "files": read_sidecar(sidecar) | {report.path.name: entry}})


def _backdrop(rows: Bool[Tensor, "g"]) -> dict:
    return {
        "gaussians": int(rows.sum()),
        "meaning": "a shell far behind the scene, for sky and plain walls; --no-backdrop leaves it out",
    }


def sidecar_folder(path: Path) -> Path:
    """Where the sidecar of an exported file or folder lies."""
    return path.absolute().parent


def _bounds(near: Float[Tensor, "g 3"], axes: Axes) -> dict[str, list[float]] | None:
    """Of the centres, in the axes of the file."""
    if len(near) == 0:
        return None
    placed = near.double() @ axes_from_rdf(axes).T
    corners = {"low": placed.min(0).values, "high": placed.max(0).values}
    return {name: [round(v, 6) for v in corner.tolist()] for name, corner in corners.items()}
