"""SpacetimeGaussians PLY (Li et al. 2024), lite and full: polynomial motion, an opacity that comes and goes.

With δ = t − trbf_center, t from 0 to 1 over the clip: centre = x + m₀δ + m₁δ² + m₂δ³, rotation = rot + ω·δ, opacity =
σ(o)·exp(−(δ/exp(trbf_scale))²). `f_dc` are plain colours in [0, 1]; the features of the full variant (f_t) need its own
decoder and are left out. Files do not say how long they last; ours do, in a comment of the header. Written is the lite variant, of a scene
whose motion is known: its still Gaussians have none and last for ever.
"""

import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from recon.compute.files import atomic_write
from recon.errors import SceneFileError
from recon.gaussians import SH_C0, Gaussians, concatenate
from recon.scenefiles.axes import Axes
from recon.scenefiles.scene_file import SceneFile, Written
from recon.sequence import GaussianSequence, Motion

FRAMES, SECONDS = 50, 50 / 30
"""The clips of its authors: 50 frames at 30 a second. A file does not say how long it is."""
LASTS = re.compile(r"bridge4d: (\d{1,5}) frames in (\d{1,6}(?:\.\d{1,9})?) s")
"""Our comment."""
MOST_FRAMES = 10_000
"""Frames that are read at most: five minutes at 30 a second."""
FOR_EVER = 1e4
"""Logarithm of a duration is cut to that of so many clips: what does not come and go."""
COLUMNS = (
    "x", "y", "z", "trbf_center", "trbf_scale", *(f"motion_{i}" for i in range(9)), "f_dc_0", "f_dc_1", "f_dc_2",
    "opacity", *(f"scale_{i}" for i in range(3)), *(f"rot_{i}" for i in range(4)), *(f"omega_{i}" for i in range(4)),
)  # fmt: skip


def is_spacetime(columns: dict[str, np.ndarray]) -> bool:
    """Whether the properties of a PLY are those of SpacetimeGaussians."""
    return "trbf_center" in columns


def write_spacetime(sequence: GaussianSequence, path: Path) -> Written:
    """Write a moving scene, its first time as 0; view-dependent colour, and motion beyond the third power of time, are lost.

    Raises:
        SceneFileError: a single time, which has no length, or more than are read.
    """
    n = len(sequence.times_s)
    if not 2 <= n <= MOST_FRAMES:
        raise SceneFileError(
            f"expected a moving scene of 2 to {MOST_FRAMES} times to write {path.name}, got {n}"
        )
    first = float(sequence.times_s[0])
    seconds = float(sequence.times_s[-1] - sequence.times_s[0]) * n / (n - 1)
    scene = concatenate([sequence.static, sequence.moving])
    columns = _columns(sequence, scene, first, seconds)
    header = [
        "ply",
        "format binary_little_endian 1.0",
        f"comment bridge4d: {n} frames in {seconds:.9f} s",
        f"element vertex {len(scene)}",
        *(f"property float {name}" for name in columns),
        "end_header",
        "",
    ]
    table = torch.stack(list(columns.values()), 1).detach().cpu().numpy().astype("<f4")
    with atomic_write(path) as beside, open(beside, "wb") as file:
        file.write("\n".join(header).encode("ascii"))
        file.write(table.tobytes())
    notes = []
    if scene.sh.shape[1] > 1:
        notes.append("SpacetimeGaussians have no view-dependent colour")
    if sequence.motion.coefficients.shape[1] > 3:
        notes.append("motion beyond the third power of time is left out")
    even = torch.linspace(first, float(sequence.times_s[-1]), n, dtype=torch.float64)
    if not torch.allclose(sequence.times_s, even, atol=seconds / n / 100):
        notes.append("its times are not evenly spaced; players show it at even ones")
    return Written(notes=tuple(notes))


def _columns(sequence: GaussianSequence, scene: Gaussians, first: float, seconds: float) -> dict[str, Tensor]:
    """Columns by name, with time from 0 to 1 over the clip."""
    m, still, motion = len(sequence.moving), len(sequence.static), sequence.motion
    powers = torch.zeros(m, 3, 3)
    for k in range(min(3, motion.coefficients.shape[1])):
        powers[:, k] = motion.coefficients[:, k] * seconds ** (k + 1)
    none = torch.zeros(still)
    return {
        **dict(zip("xyz", scene.means.T, strict=True)),
        "trbf_center": torch.cat([none + 0.5, (motion.time_center_s - first) / seconds]),
        "trbf_scale": torch.cat(
            [none + math.log(FOR_EVER), motion.log_duration_s - math.log(seconds)]
        ).clamp_max(math.log(FOR_EVER)),
        **{name: torch.zeros(still + m) for name in ("nx", "ny", "nz")},
        **_number("motion", torch.cat([torch.zeros(still, 9), powers.flatten(1)])),
        **_number("f_dc", 0.5 + SH_C0 * scene.sh[:, 0]),
        "opacity": scene.opacity_logits,
        **_number("scale", scene.log_scales),
        **_number("rot", scene.quats_wxyz),
        **_number("omega", torch.cat([torch.zeros(still, 4), motion.spin * seconds])),
    }


def _number(name: str, values: Tensor) -> dict[str, Tensor]:
    return {f"{name}_{i}": column for i, column in enumerate(values.T)}


def read_spacetime(columns: dict[str, np.ndarray], path: Path, comments: Sequence[str] = ()) -> SceneFile:
    """The scene sampled at its frames: those that a comment of ours states, else as many as its authors' clips have.

    Raises:
        SceneFileError: properties are missing.
    """
    missing = [name for name in COLUMNS if name not in columns]
    if missing:
        raise SceneFileError(
            f"{path} has some properties of SpacetimeGaussians, but lacks {', '.join(missing)}"
        )
    values = {name: torch.from_numpy(columns[name].astype(np.float32)) for name in COLUMNS}
    stated = _stated_length(comments)
    frames, seconds = stated or (FRAMES, SECONDS)
    moving = _sequence(values, frames, seconds).frames()
    notes = []
    if stated is None:
        notes.append(
            f"SpacetimeGaussians do not say how long they last: read as {FRAMES} frames in {SECONDS:.2f} s"
        )
    if "f_t_0" in columns:
        notes.append("its colours that change with time need the decoder of its training and were left out")
    return SceneFile(moving.frames[0], Axes.RDF, notes=tuple(notes), moving=moving)


def _stated_length(comments: Sequence[str]) -> tuple[int, float] | None:
    """Frames and seconds, where a comment of ours states such as can be."""
    for comment in comments:
        if (found := LASTS.search(comment)) is not None:
            frames, seconds = int(found[1]), float(found[2])
            if 2 <= frames <= MOST_FRAMES and seconds > 0:
                return frames, seconds
    return None


def _sequence(values: dict[str, Tensor], frames: int, seconds: float) -> GaussianSequence:
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
        values["trbf_center"] * seconds,
        values["trbf_scale"] + math.log(seconds),
        torch.stack([stack("motion", range(3 * k, 3 * k + 3)) / seconds ** (k + 1) for k in range(3)], dim=1),
        stack("omega", range(4)) / seconds,
    )
    times = torch.arange(frames, dtype=torch.float64) * seconds / frames
    return GaussianSequence(moving[:0], moving, motion, times)
