"""`export.json`: what was written, how far it lies from the scene, and where it belongs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from jaxtyping import Bool
from torch import Tensor

from bridge4d import __version__
from bridge4d.exporting.frame import ExportFrame
from bridge4d.run import read_json, write_json
from bridge4d.scenes import Scene
from recon.gaussians import Gaussians
from recon.scenefiles import Axes, Written
from recon.scenefiles.registry import Format

SCHEMA = "bridge4d/export/1"
SIDECAR = "export.json"
AXES_IN_WORDS = {
    Axes.RDF: "x right, y down, z front",
    Axes.RUB: "x right, y up, z back",
    Axes.LUF: "x left, y up, z front",
    Axes.Z_UP: "x right, y front, z up",
}


@dataclass(frozen=True)
class FileReport:
    """One file of an export."""

    path: Path
    format: Format
    axes: Axes
    gaussians: int
    frames: int
    written: Written
    bytes: int
    write_seconds: float
    notes: tuple[str, ...] = ()
    errors: dict[str, float] | None = None
    """Largest error of each attribute (`attribute_errors`); None where the file was not read back."""
    check_seconds: float | None = None

    def as_json(self) -> dict:
        return {
            "format": self.format.name,
            "axes": self.axes.value,
            "axes_in_words": AXES_IN_WORDS[self.axes],
            "gaussians": self.gaussians,
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


def note_exports(
    reports: Sequence[FileReport],
    source: Scene,
    frame: ExportFrame,
    left_out: dict[str, int],
    scene: Gaussians,
    backdrop: Bool[Tensor, "g"],
) -> None:
    """Add the files to the `export.json` of their folders; entries of other files stay."""
    about = {
        "written_by": f"bridge4d {__version__}",
        "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "source": str(source.source),
        "left_out": left_out,
        "frame": frame.as_json(),
        "georeference": None if frame.georeference is None else frame.georeference.as_json(),
        "backdrop": {
            "gaussians": int(backdrop.sum()),
            "meaning": "a shell far behind the scene, for sky and plain walls; --no-backdrop leaves it out",
        },
        "bounds_without_backdrop": _bounds(scene, backdrop),
    }
    for folder in dict.fromkeys(folder_of(report.path) for report in reports):
        known = _known(folder / SIDECAR)
        for report in reports:
            if folder_of(report.path) == folder:
                known[report.path.name] = report.as_json() | about
        write_json(folder / SIDECAR, {"schema": SCHEMA, "files": known})


def folder_of(path: Path) -> Path:
    """Where the sidecar of an exported file or folder lies."""
    return path.absolute().parent


def _bounds(scene: Gaussians, backdrop: Bool[Tensor, "g"]) -> dict[str, list[float]] | None:
    """In the project's axes, of the centres."""
    near = scene.means[~backdrop]
    if len(near) == 0:
        return None
    corners = {"low": near.min(0).values, "high": near.max(0).values}
    return {name: [round(v, 6) for v in corner.tolist()] for name, corner in corners.items()}


def _known(file: Path) -> dict:
    """Entries of an earlier export; a file that is not ours is replaced."""
    try:
        said = read_json(file)
        return said["files"] if said["schema"] == SCHEMA else {}
    except (OSError, ValueError, KeyError, TypeError, json.JSONDecodeError):
        return {}
