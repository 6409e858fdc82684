"""A moving scene as safetensors: its static part, its moving Gaussians and their motion, exactly as they are in memory.

Tensors are named `static.means`, `moving.means`, `motion.coefficients` … as the fields of `GaussianSequence`, with `times_s`. Axes are
those of the project (RDF).
"""

from dataclasses import fields
from pathlib import Path

import torch
from torch import Tensor

from recon.bounded import open_safetensors
from recon.compute.files import atomic_write
from recon.errors import SceneFileError
from recon.gaussians import Gaussians
from recon.scenefiles.axes import Axes
from recon.scenefiles.scene_file import SceneFile
from recon.sequence import GaussianSequence, Motion

MOST_BYTES = 4 << 30
"""Largest file that is read: some fifteen million moving Gaussians."""
MOST_FRAMES = 10_000
"""Times that are read at most: five minutes at 30 a second."""
VERSION = "bridge4d/motion/1"
"""What the header says of the file."""
PARTS = {"static": Gaussians, "moving": Gaussians, "motion": Motion}
SHAPES = {
    "means": (3,), "quats_wxyz": (4,), "log_scales": (3,), "opacity_logits": (), "sh": (None, 3),
    "time_center_s": (), "log_duration_s": (), "coefficients": (None, 3), "spin": (4,),
}  # fmt: skip
"""Of each tensor, without the number of Gaussians; None is any number."""


def save_sequence(sequence: GaussianSequence, path: Path) -> None:
    """Write a moving scene; what `load_sequence` reads is equal to the bit."""
    from safetensors.torch import save_file

    tensors = {
        f"{part}.{field.name}": getattr(getattr(sequence, part), field.name).detach().contiguous().cpu()
        for part, kind in PARTS.items()
        for field in fields(kind)
    }
    with atomic_write(path) as beside:
        save_file({**tensors, "times_s": sequence.times_s.contiguous()}, beside, {"format": VERSION})


def load_sequence(path: Path) -> GaussianSequence:
    """The moving scene of a file.

    Raises:
        SceneFileError: no such file, or none that `save_sequence` wrote.
    """
    wanted = [f"{part}.{field.name}" for part, kind in PARTS.items() for field in fields(kind)]
    with open_safetensors(path, most=MOST_BYTES, error=SceneFileError) as file:
        there = set(file.keys())
        if missing := [name for name in (*wanted, "times_s") if name not in there]:
            raise SceneFileError(
                f"expected a moving scene in {path}, it lacks {', '.join(missing[:3])}; it is another kind of file"
            )
        if (said := (file.metadata() or {}).get("format")) != VERSION:
            raise SceneFileError(
                f"expected a moving scene of {VERSION} in {path}, it says {said!r:.60}; make it again"
            )
        tensors = {name: file.get_tensor(name) for name in wanted}
        times = file.get_tensor("times_s")
    for name, value in tensors.items():
        _check(name, value, path)
    if times.ndim != 1 or not 0 < len(times) <= MOST_FRAMES or not bool(times.isfinite().all()):
        raise SceneFileError(
            f"expected 1 to {MOST_FRAMES} times in seconds in {path}, got {tuple(times.shape)} of them"
        )
    if bool((times.diff() <= 0).any()):
        raise SceneFileError(f"expected times that rise in {path}, and they do not")
    _check_counts(tensors, path)
    parts = {
        part: kind(**{field.name: tensors[f"{part}.{field.name}"] for field in fields(kind)})
        for part, kind in PARTS.items()
    }
    return GaussianSequence(**parts, times_s=times.double())


def read(path: Path) -> SceneFile:
    """The scene at the times at which players show it."""
    moving = load_sequence(path).frames()
    return SceneFile(moving.frames[0], Axes.RDF, axes_stated=True, moving=moving)


def _check(name: str, value: Tensor, path: Path) -> None:
    shape = SHAPES[name.partition(".")[2]]
    fits = value.ndim == 1 + len(shape) and all(
        n is None or n == m for n, m in zip(shape, value.shape[1:], strict=True)
    )
    if not fits or value.dtype != torch.float32:
        raise SceneFileError(
            f"expected float32 of shape (Gaussians, {', '.join('any' if n is None else str(n) for n in shape)}) as {name} in "
            f"{path}, got {value.dtype} of {tuple(value.shape)}"
        )
    if not bool(value.isfinite().all()):
        raise SceneFileError(
            f"expected finite numbers as {name} in {path}, got NaN or infinity; make it again"
        )


def _check_counts(tensors: dict[str, Tensor], path: Path) -> None:
    for part in ("static", "mo"):  # moving and its motion are one table
        counts = {len(value) for name, value in tensors.items() if name.startswith(part)}
        if len(counts) > 1:
            raise SceneFileError(f"expected tensors of one length in {path}, got {sorted(counts)} rows")
    for part in ("static", "moving"):
        bases = tensors[f"{part}.sh"].shape[1]
        if round(bases**0.5) ** 2 != bases or not 1 <= bases <= 16:
            raise SceneFileError(f"expected 1, 4, 9 or 16 coefficients of colour in {path}, got {bases}")
