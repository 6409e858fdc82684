"""SpacetimeGaussians PLY (Li et al. 2024), lite and full: polynomial motion, an opacity that comes and goes. Read only.

With δ = t − trbf_center, t from 0 to 1 over the clip: centre = x + m₀δ + m₁δ² + m₂δ³, rotation = rot + ω·δ, opacity =
σ(o)·exp(−(δ/exp(trbf_scale))²). `f_dc` are plain colours in [0, 1]; the features of the full variant (f_t) need its own
decoder and are left out.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from recon.errors import SceneFileError
from recon.gaussians import SH_C0, Gaussians
from recon.scenefiles.axes import Axes
from recon.scenefiles.scene_file import SceneFile
from recon.sequence import GaussianFrames, LazyFrames

FRAMES, SECONDS = 50, 50 / 30
"""The clips of its authors: 50 frames at 30 a second. A file does not say how long it is."""
FAINTEST = 1e-6
"""Opacity of a Gaussian whose time has not come; it stays in the frame so that rows stay the same Gaussians."""
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
    values = {name: torch.from_numpy(columns[name].astype(np.float32)) for name in COLUMNS}
    times = torch.arange(FRAMES, dtype=torch.float64) * SECONDS / FRAMES
    frames = LazyFrames(lambda i: _moment(values, i / FRAMES), range(FRAMES))
    moving = GaussianFrames(times, frames, identity=True)
    notes = [f"SpacetimeGaussians do not say how long they last: read as {FRAMES} frames in {SECONDS:.2f} s"]
    if "f_t_0" in columns:
        notes.append("its colours that change with time need the decoder of its training and were left out")
    return SceneFile(frames[0], Axes.RDF, notes=tuple(notes), moving=moving)


def _moment(values: dict[str, Tensor], t: float) -> Gaussians:
    def stack(name: str, indices: range) -> Tensor:
        return torch.stack([values[f"{name}_{i}"] for i in indices], -1)

    delta = (t - values["trbf_center"])[:, None]
    means = torch.stack([values["x"], values["y"], values["z"]], -1)
    means = means + sum(stack("motion", range(3 * k, 3 * k + 3)) * delta ** (k + 1) for k in range(3))
    presence = torch.exp(-((delta[:, 0] / values["trbf_scale"].exp()) ** 2))
    opacity = (values["opacity"].sigmoid() * presence).clamp(FAINTEST, 1 - FAINTEST)
    return Gaussians(
        means,
        stack("rot", range(4)) + stack("omega", range(4)) * delta,
        stack("scale", range(3)),
        torch.logit(opacity.double()).float(),
        ((stack("f_dc", range(3)) - 0.5) / SH_C0)[:, None],
    )
