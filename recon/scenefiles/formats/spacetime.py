"""SpacetimeGaussians PLY (Li et al. 2024), lite and full: polynomial motion, an opacity that comes and goes. Read only.

With δ = t − trbf_center, t from 0 to 1 over the clip: centre = x + m₀δ + m₁δ² + m₂δ³, rotation = rot + ω·δ, opacity =
σ(o)·exp(−(δ/exp(trbf_scale))²). `f_dc` are plain colours in [0, 1]; the features of the full variant (f_t) need its own
decoder and are left out.
"""

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from recon.errors import SceneFileError
from recon.gaussians import SH_C0, Gaussians
from recon.scenefiles.axes import Axes
from recon.scenefiles.scene_file import SceneFile
from recon.sequence import GaussianSequence, Motion

FRAMES, SECONDS = 50, 50 / 30
"""The clips of its authors: 50 frames at 30 a second. A file does not say how long it is."""
COLUMNS = (
    "x", "y", "z", "trbf_center", "trbf_scale", *(f"motion_{i}" for i in range(9)), "f_dc_0", "f_dc_1", "f_dc_2",
    "opacity", *(f"scale_{i}" for i in range(3)), *(f"rot_{i}" for i in range(4)), *(f"omega_{i}" for i in range(4)),
)  # fmt: skip


def is_spacetime(columns: dict[str, np.ndarray]) -> bool:
    """Whether the properties of a PLY are those of SpacetimeGaussians."""
    return "trbf_center" in columns


def read_spacetime(columns: dict[str, np.ndarray], path: Path) -> SceneFile:
    """The scene sampled at the frames of its authors' clips.

    Raises:
        SceneFileError: properties are missing.
    """
    missing = [name for name in COLUMNS if name not in columns]
    if missing:
        raise SceneFileError(
            f"{path} has some properties of SpacetimeGaussians, but lacks {', '.join(missing)}"
        )
    sequence = _sequence({name: torch.from_numpy(columns[name].astype(np.float32)) for name in COLUMNS})
    moving = sequence.frames()
    notes = [f"SpacetimeGaussians do not say how long they last: read as {FRAMES} frames in {SECONDS:.2f} s"]
    if "f_t_0" in columns:
        notes.append("its colours that change with time need the decoder of its training and were left out")
    return SceneFile(moving.frames[0], Axes.RDF, notes=tuple(notes), moving=moving)


def _sequence(values: dict[str, Tensor]) -> GaussianSequence:
    def stack(name: str, indices: range) -> Tensor:
        """Stack numbered columns: [g, indices]."""
        return torch.stack([values[f"{name}_{i}"] for i in indices], -1)

    moving = Gaussians(
        torch.stack([values["x"], values["y"], values["z"]], -1),
        stack("rot", range(4)),
        stack("scale", range(3)),
        values["opacity"],
        ((stack("f_dc", range(3)) - 0.5) / SH_C0)[:, None],
    )
    # a file counts its time from 0 to 1 over the clip
    motion = Motion(
        values["trbf_center"] * SECONDS,
        values["trbf_scale"] + math.log(SECONDS),
        torch.stack([stack("motion", range(3 * k, 3 * k + 3)) / SECONDS ** (k + 1) for k in range(3)], dim=1),
        stack("omega", range(4)) / SECONDS,
    )
    times = torch.arange(FRAMES, dtype=torch.float64) * SECONDS / FRAMES
    return GaussianSequence(moving[:0], moving, motion, times)
