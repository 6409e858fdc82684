"""The .ksplat files of mkkellogg's GaussianSplats3D: sections of Gaussians, whole (level 0) or in halves (1, 2).

A header of 4096 bytes, one of 1024 for each section, then each section's buckets and records. At levels 1 and 2 a
position is relative to the centre of its bucket: whole buckets come first, then some that hold fewer. Read only:
its author has given it up.
"""

import itertools
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recon.errors import SceneFileError
from recon.gaussians import Gaussians, concatenate, sh_bases
from recon.scenefiles.axes import Axes
from recon.scenefiles.bounded import read_file, take
from recon.scenefiles.quantize import color_coefficients, opacity_logits
from recon.scenefiles.scene_file import SceneFile

HEADER_BYTES, SECTION_BYTES = 4096, 1024
"""Bytes of the header of a file, and of each section's header after it."""
MAX_DEGREE = 2
"""What the one program that writes these files stores."""
CENTRE_BYTES = 12
"""Three floats for each bucket."""
DEFAULT_SH_RANGE = 1.5
"""Level 2 stores coefficients as bytes between two ends, ±1.5 where the header has zeros."""
DEFAULT_STEPS = {0: 1, 1: 32767, 2: 32767}
"""Steps from the centre of a bucket to its side where a section's header has 0."""


@dataclass(frozen=True)
class Section:
    """What the header of a section says."""

    count: int
    """Gaussians."""
    room: int
    """Records, of which the first `count` are used."""
    bucket_size: int
    buckets: int
    block_units: float
    """Side of a bucket."""
    centre_bytes: int
    steps: int
    full_buckets: int
    partial_buckets: int
    degree: int


def read(path: Path) -> SceneFile:
    """A scene of all sections.

    Raises:
        SceneFileError: no such file, no .ksplat, of another version, damaged or cut short.
    """
    data = read_file(path)
    major, minor = take(data, "u1", 2, 0, path).tolist()
    sections = int(take(data, "<u4", 1, 4, path)[0])
    level = int(take(data, "<u2", 1, 20, path)[0])
    low, high = take(data, "<f4", 2, 36, path).tolist()
    if (major, minor) != (0, 1) or level not in DEFAULT_STEPS:
        raise SceneFileError(
            f"{path} is no .ksplat file of version 0.1 and level 0, 1 or 2: it says {major}.{minor} and {level}"
        )
    sh_range = (low or -DEFAULT_SH_RANGE, high or DEFAULT_SH_RANGE)
    take(data, "u1", sections * SECTION_BYTES, HEADER_BYTES, path)  # all headers are there
    offset = HEADER_BYTES + sections * SECTION_BYTES
    parts = []
    for index in range(sections):
        section = _section(data, HEADER_BYTES + index * SECTION_BYTES, level, path)
        record = _record(level, section.degree)
        start = offset + 4 * section.partial_buckets + section.centre_bytes * section.buckets
        records = take(data, record, section.room, start, path)[: section.count]
        if section.count:
            centres = None if level == 0 else _bucket_centres(data, section, offset, path)
            parts.append(_unpack(records, section, centres, sh_range))
        offset = start + section.room * record.itemsize
    if not parts:
        raise SceneFileError(f"{path} holds no Gaussians")
    return SceneFile(concatenate(parts), Axes.RDF)


def _section(data: bytes, offset: int, level: int, path: Path) -> Section:
    count, room, bucket_size, buckets, block, centre_bytes, steps, full, partial, degree = struct.unpack_from(
        "<4IfH2xI4x2IH", data, offset
    )
    if degree > MAX_DEGREE or count > room:
        raise SceneFileError(
            f"{path} is damaged: a section with {count:,} Gaussians in {room:,} records, spherical harmonics of degree {degree}"
        )
    return Section(
        count, room, bucket_size, buckets, block, centre_bytes, steps or DEFAULT_STEPS[level], full, partial, degree
    )  # fmt: skip


def _record(level: int, degree: int) -> np.dtype:
    """One Gaussian: floats (level 0), or positions in 16 bits and halves; coefficients in bytes at level 2."""
    position, number = ("<f4", "<f4") if level == 0 else ("<u2", "<f2")
    harmonic = ("<f4", "<f2", "u1")[level]
    return np.dtype(
        [
            ("position", position, 3),
            ("scale", number, 3),
            ("rotation", number, 4),
            ("color", "u1", 3),
            ("opacity", "u1"),
            ("sh", harmonic, 3 * (sh_bases(degree) - 1)),
        ]
    )


def _bucket_centres(data: bytes, section: Section, offset: int, path: Path) -> Float[np.ndarray, "g 3"]:
    """For each Gaussian of a section the centre of its bucket."""
    if section.buckets == 0 or section.centre_bytes != CENTRE_BYTES:
        raise SceneFileError(
            f"{path} is damaged: a section without buckets, or whose buckets are not 12 bytes"
        )
    partial = take(data, "<u4", section.partial_buckets, offset, path).astype(np.int64)
    at = offset + 4 * section.partial_buckets
    centres = take(data, "<f4", 3 * section.buckets, at, path).reshape(-1, 3)
    row = np.arange(section.count)
    whole = section.full_buckets * section.bucket_size
    bucket = np.where(
        row < whole,
        row // max(1, section.bucket_size),
        section.full_buckets + np.searchsorted(partial.cumsum(), row - whole, side="right"),
    )
    if bucket.max() >= min(section.buckets, section.full_buckets + section.partial_buckets):
        raise SceneFileError(f"{path} is damaged: its buckets hold fewer Gaussians than it says")
    return centres[bucket]


def _unpack(
    records: np.ndarray,
    section: Section,
    centres: Float[np.ndarray, "g 3"] | None,
    sh_range: tuple[float, float],
) -> Gaussians:
    with np.errstate(all="ignore"):  # what is no number is dropped by the filter behind every reader
        means = records["position"].astype(np.float64)
        if centres is not None:
            means = (means - section.steps) * (section.block_units / 2 / section.steps) + centres
        log_scales = np.log(records["scale"].astype(np.float32))
        means = means.astype(np.float32)
    color = torch.from_numpy(color_coefficients(records["color"]))[:, None]
    return Gaussians(
        means=torch.from_numpy(means),
        quats_wxyz=torch.from_numpy(records["rotation"].astype(np.float32)),
        log_scales=torch.from_numpy(log_scales),
        opacity_logits=torch.from_numpy(opacity_logits(records["opacity"])),
        sh=torch.cat([color, *_bands(records["sh"], section.degree, sh_range)], 1),
    )


def _bands(stored: np.ndarray, degree: int, sh_range: tuple[float, float]) -> list[Float[Tensor, "g m 3"]]:
    """The coefficients of each band, which are stored band by band, each all of red first."""
    low, high = sh_range
    values = stored.astype(np.float32)
    if stored.dtype == np.uint8:
        with np.errstate(all="ignore"):
            values = (low + stored / 255 * (high - low)).astype(np.float32)
    ends = [3 * (sh_bases(band) - 1) for band in range(degree + 1)]
    return [
        torch.from_numpy(values[:, start:end]).view(len(values), 3, -1).mT
        for start, end in itertools.pairwise(ends)
    ]
