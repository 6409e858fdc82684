"""What a scene file is, in figures."""

from dataclasses import dataclass
from pathlib import Path

import torch

from bridge4d.scenes import LoadedScene, find_kept_scene, is_run, load_scene, scene_from_file
from recon.gaussians import Gaussians
from recon.scenefiles import Axes, SceneFile, read_scene
from recon.scenefiles.registry import FORMATS, Format

MIDDLE = 0.98
"""Share of the Gaussians that the inner bounds hold: far shells and stray Gaussians make the outer ones useless."""


@dataclass(frozen=True)
class SceneFacts:
    """A scene file and what is in it."""

    path: Path
    """What was given: a file, a folder that is one scene, or a run folder."""
    format: Format
    bytes: int
    found: SceneFile

    def scene(self) -> LoadedScene:
        """As `load_scene` makes it; what was read is not read again, but for runs, which know more than a file."""
        return load_scene(self.path) if is_run(self.path) else scene_from_file(self.path, self.found)

    def as_json(self) -> dict:
        """The facts as plain values."""
        scene, moving = self.found.gaussians, self.found.moving
        return {
            "path": str(self.path),
            "format": self.format.name,
            "bytes": self.bytes,
            "gaussians": len(scene),
            "sh_degree": scene.sh_degree,
            "axes": self.found.axes.value,
            "axes_stated": self.found.axes_stated or is_run(self.path),
            "render_mode": self.found.render_mode,
            "frames": 1 if moving is None else len(moving),
            "seconds": None if moving is None else moving.duration_s,
            "bounds": None if len(scene) == 0 else _bounds(scene, 1.0),
            "bounds_of_98_percent": None if len(scene) == 0 else _bounds(scene, MIDDLE),
            "median_opacity": _median(scene.opacity_logits.sigmoid()),
            "median_size": _median(scene.log_scales.exp().max(1).values),
            "notes": list(self.found.notes),
        }


def inspect_scene(path: Path | str, *, axes: Axes | None = None) -> SceneFacts:
    """Read a scene file and say what it is; bounds are in the project's axes. Of a run folder, the scene that it kept.

    Raises:
        SceneFileError: no scene.
    """
    path = Path(path)
    place = find_kept_scene(path) if is_run(path) else path
    found = read_scene(place, axes=axes)
    files = found.files or (place,)
    return SceneFacts(path, FORMATS[found.format], sum(file.stat().st_size for file in files), found)


def _bounds(scene: Gaussians, share: float) -> dict[str, list[float]]:
    cut = (1 - share) / 2
    means = scene.means.double().sort(0).values
    low, high = means[int(cut * (len(means) - 1))], means[int((1 - cut) * (len(means) - 1))]
    return {"low": [round(v, 6) for v in low.tolist()], "high": [round(v, 6) for v in high.tolist()]}


def _median(values: torch.Tensor) -> float | None:
    return None if len(values) == 0 else float(values.median())
