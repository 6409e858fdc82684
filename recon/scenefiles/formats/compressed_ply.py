"""Compressed PLY (PlayCanvas): chunks of 256 Gaussians, each with its own ranges, 16 bytes a Gaussian and SH bytes.

Elements: `chunk` (low and high of position, log scale and colour), `vertex` (four packed words), `sh` (a byte for
each coefficient: all of red, then green, then blue). Files from before 2024 have no colour ranges.
"""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, UInt32
from torch import Tensor

from recon.compute.files import atomic_write
from recon.errors import SceneFileError
from recon.gaussians import SH_C0, Gaussians, morton_order, sh_bases
from recon.scenefiles.axes import Axes
from recon.scenefiles.bounded import read_file
from recon.scenefiles.ply_table import (
    Header,
    read_columns,
    read_header,
    render_mode_comments,
    stated_render_mode,
)
from recon.scenefiles.quantize import (
    drop_largest,
    opacity_bytes,
    opacity_logits,
    restore_largest,
    to_levels,
)
from recon.scenefiles.scene_file import SceneFile, WriteOptions, Written
from recon.splats.sh import MAX_DEGREE

CHUNK = 256
"""Gaussians that share their ranges; fixed by the format."""
SHAPE_BITS = (11, 10, 11)
"""Bits of x, y and z, in positions and scales."""
COLOR_BITS = (8, 8, 8)
"""Bits of each colour; opacity has eight as well."""
LARGEST_LOG_SCALE = 20.0
"""Ranges of scales end here on both sides, as those of other writers do."""
SMALLEST_RANGE = 1e-5
"""Narrower ranges are one value: every reader then takes the low end."""
SH_RANGE = 8.0
"""From the first to the last of the 256 values of a coefficient, −4 to 4."""
RANGES = {
    "position": ("x", "y", "z"),
    "scale": ("scale_x", "scale_y", "scale_z"),
    "color": ("r", "g", "b"),
}
WORDS = ("packed_position", "packed_rotation", "packed_scale", "packed_color")
"""Columns of packed 32-bit words, one of each a Gaussian."""
ROOM = (0.005, 0.5)
"""What is far away: further than half the extent beyond the box without the outermost 0.5% on each side of each axis."""


def is_compressed(header: Header) -> bool:
    """Whether a PLY holds packed words, whatever its name."""
    return any(part.name == "chunk" for part in header.elements)


def write(scene: Gaussians, path: Path, options: WriteOptions) -> Written:
    """Write chunks of neighbours; what lies far away is kept together at the end (`chunk_order`)."""
    order = chunk_order(scene)
    sorted_scene = scene[order]
    scales = sorted_scene.log_scales.numpy()
    ranges: list[Float[np.ndarray, "chunks 6"]] = []
    words: dict[str, UInt32[np.ndarray, "g"]] = {}
    for name, values, bits in (
        ("position", sorted_scene.means.numpy(), SHAPE_BITS),
        ("scale", scales.clip(-LARGEST_LOG_SCALE, LARGEST_LOG_SCALE), SHAPE_BITS),
        ("color", sorted_scene.sh[:, 0].numpy() * np.float32(SH_C0) + np.float32(0.5), COLOR_BITS),
    ):
        low_high, words[name] = _pack_ranged(values, bits)
        ranges.append(low_high)
    words["color"] = words["color"] << 8 | opacity_bytes(sorted_scene.opacity_logits.numpy())
    words["rotation"] = _pack_rotations(sorted_scene.quats_wxyz.numpy())
    table = np.stack([words[name.removeprefix("packed_")] for name in WORDS], 1)
    # half a step less than rounded: a byte stands for the middle of its step
    levels, outside = to_levels(sorted_scene.sh[:, 1:].numpy(), 256 / SH_RANGE, 127.5)
    sh = levels.transpose(0, 2, 1).reshape(len(scene), 3 * levels.shape[1])
    with atomic_write(path) as beside, open(beside, "wb") as file:
        file.write(_header(len(scene), sh.shape[1], options).encode("ascii"))
        for block in (np.concatenate(ranges, 1).astype("<f4"), table.astype("<u4"), sh):
            file.write(np.ascontiguousarray(block).data)
    clamped = {"sh": outside, "scale": int((np.abs(scales) > LARGEST_LOG_SCALE).sum())}
    return Written(clamped={name: count for name, count in clamped.items() if count}, order=order)


def _header(g: int, coefficients: int, options: WriteOptions) -> str:
    lines = ["ply", "format binary_little_endian 1.0", *render_mode_comments(options.render_mode)]
    lines.append(f"element chunk {-(-g // CHUNK)}")
    for axes in RANGES.values():
        lines += [f"property float {end}_{axis}" for end in ("min", "max") for axis in axes]
    lines += [f"element vertex {g}", *(f"property uint {name}" for name in WORDS)]
    if coefficients:
        lines += [f"element sh {g}", *(f"property uchar f_rest_{i}" for i in range(coefficients))]
    return "\n".join([*lines, "end_header", ""])


def chunk_order(scene: Gaussians) -> Int[Tensor, "g"]:
    """Rows in Morton order, of which those far from the rest come last.

    The step of a chunk is its extent / 2047, so that one Gaussian far away takes the digits of 255 others. Those far
    away therefore share the last chunks, and what remains to be filled in them goes to the largest of the others,
    which suffer least.
    """
    means = scene.means
    if len(means) <= CHUNK:
        return morton_order(means)
    outermost, margin = ROOM
    low, high = torch.from_numpy(np.quantile(means.numpy(), [outermost, 1 - outermost], axis=0)).float()
    room = (high - low) * margin
    far = ((means < low - room) | (means > high + room)).any(1)
    near = torch.nonzero(~far)[:, 0]
    if far.any():
        # what comes before the first chunk of far ones is a whole number of chunks
        sizes = scene.log_scales[near].amax(1)
        far[near[sizes.topk(len(near) % CHUNK).indices]] = True
    parts = [torch.nonzero(rows)[:, 0] for rows in (~far, far)]
    return torch.cat([rows[morton_order(means[rows])] for rows in parts if len(rows)])


def _pack_ranged(
    values: Float[np.ndarray, "g 3"], bits: tuple[int, int, int]
) -> tuple[Float[np.ndarray, "chunks 6"], UInt32[np.ndarray, "g"]]:
    """Low and high of every chunk, and the words of its rows: x in the highest bits, z in the lowest."""
    g = len(values)
    chunks = -(-g // CHUNK)
    padded = np.pad(values, ((0, chunks * CHUNK - g), (0, 0)), mode="edge") if g else values
    padded = padded.reshape(chunks, CHUNK, 3)
    low, high = padded.min(1), padded.max(1)
    extent = (high - low).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(extent[:, None] < SMALLEST_RANGE, 0, (padded - low[:, None]) / extent[:, None])
    word = np.zeros((chunks, CHUNK), np.uint32)
    for axis, width in enumerate(bits):
        top = (1 << width) - 1
        word = word << np.uint32(width) | np.floor(shares[..., axis] * top + 0.5).astype(np.uint32)
    return np.concatenate([low, high], 1), word.reshape(-1)[:g]


def _pack_rotations(quats: Float[np.ndarray, "g 4"]) -> UInt32[np.ndarray, "g"]:
    largest, kept = drop_largest(quats)
    levels, _ = to_levels(kept, 1023 / 2**0.5, 1023 / 2, top=1023)
    word = largest.astype(np.uint32)
    for component in range(3):
        word = word << np.uint32(10) | levels[:, component].astype(np.uint32)
    return word


def read(path: Path) -> SceneFile:
    """A scene of packed Gaussians.

    Raises:
        SceneFileError: no such file, no compressed PLY, cut short.
    """
    data = read_file(path)
    header = read_header(data, path)
    if not is_compressed(header):
        raise SceneFileError(
            f"{path} is an ordinary PLY in spite of its name; give it a name without .compressed"
        )
    return read_compressed(data, header, path)


def read_compressed(data: bytes, header: Header, path: Path) -> SceneFile:
    """The scene of a PLY whose header has been read.

    Raises:
        SceneFileError: not these elements and properties, fewer chunks than Gaussians need, cut short.
    """
    words = read_columns(data, header, path)
    chunks = read_columns(data, header, path, element="chunk")
    _require(words, [*WORDS], path)
    _require(chunks, [f"{end}_{axis}" for axis in "xyz" for end in ("min", "max")], path)
    g = len(words[WORDS[0]])
    if len(chunks["min_x"]) * CHUNK < g:
        raise SceneFileError(
            f"{path} has {len(chunks['min_x'])} chunks, expected one for each {CHUNK} of {g}"
        )
    position, rotation, scale, color = (words[name].astype(np.uint32) for name in WORDS)
    kept = np.stack([rotation >> 20, rotation >> 10, rotation], 1) & 1023
    colors = torch.from_numpy(_unpack_ranged(color >> 8, COLOR_BITS, chunks, "color", path))
    sh, notes = _read_sh(data, header, g, path)
    return SceneFile(
        Gaussians(
            means=torch.from_numpy(_unpack_ranged(position, SHAPE_BITS, chunks, "position", path)),
            quats_wxyz=torch.from_numpy(
                restore_largest((rotation >> 30).astype(np.int64), (kept / 1023 - 0.5) * 2**0.5)
            ),
            log_scales=torch.from_numpy(_unpack_ranged(scale, SHAPE_BITS, chunks, "scale", path)),
            opacity_logits=torch.from_numpy(opacity_logits((color & 255).astype(np.uint8))),
            sh=torch.cat([((colors - 0.5) / SH_C0)[:, None], sh], 1),
        ),
        Axes.RDF,
        render_mode=stated_render_mode(header.comments),
        notes=notes,
    )


def _require(columns: dict[str, np.ndarray], names: list[str], path: Path) -> None:
    if missing := [name for name in names if name not in columns]:
        raise SceneFileError(f"{path} is no complete compressed PLY: it lacks {', '.join(missing)}")


def _unpack_ranged(
    word: UInt32[np.ndarray, "g"],
    bits: tuple[int, int, int],
    chunks: dict[str, np.ndarray],
    name: str,
    path: Path,
) -> Float[np.ndarray, "g 3"]:
    """The values of three packed components, between the ends that their chunk states; else between 0 and 1."""
    values = np.empty((len(word), 3), np.float32)
    chunk = np.arange(len(word)) // CHUNK
    shift = sum(bits)
    for column, (axis, width) in enumerate(zip(RANGES[name], bits, strict=True)):
        shift -= width
        top = (1 << width) - 1
        share = (word >> np.uint32(shift) & np.uint32(top)).astype(np.float32) / np.float32(top)
        if name == "color" and "min_r" not in chunks:
            values[:, column] = share
            continue
        _require(chunks, [f"min_{axis}", f"max_{axis}"], path)
        low, high = (chunks[f"{end}_{axis}"].astype(np.float32)[chunk] for end in ("min", "max"))
        with np.errstate(over="ignore", invalid="ignore"):
            values[:, column] = low * (1 - share) + high * share
    return values


def _read_sh(
    data: bytes, header: Header, g: int, path: Path
) -> tuple[Float[Tensor, "g k 3"], tuple[str, ...]]:
    """Coefficients above the first, none where the file has none; and what is to be said about them."""
    if all(part.name != "sh" for part in header.elements):
        return torch.zeros(g, 0, 3), ()
    columns = read_columns(data, header, path, element="sh")
    names = [f"f_rest_{i}" for i in range(len(columns))]
    k = next((sh_bases(d) - 1 for d in range(1, MAX_DEGREE + 2) if 3 * (sh_bases(d) - 1) == len(names)), 0)
    kinds = {column.dtype for column in columns.values()}
    if k == 0 or set(names) != set(columns) or kinds != {np.dtype(np.uint8)}:
        raise SceneFileError(
            f"{path} has {len(columns)} properties of sh elements, expected 9, 24, 45 or 72 bytes f_rest_*"
        )
    if len(columns[names[0]]) != g:
        raise SceneFileError(
            f"{path} has {len(columns[names[0]])} sh elements for {g} Gaussians, expected one for each"
        )
    values = ((np.arange(256) + 0.5) / 256 - 0.5) * SH_RANGE
    values[[0, 255]] = -SH_RANGE / 2, SH_RANGE / 2
    kept = min(k, sh_bases(MAX_DEGREE) - 1)
    levels = np.stack([columns[name] for name in names], 1).reshape(g, 3, k)[..., :kept]
    sh = values.astype(np.float32)[levels].transpose(0, 2, 1)
    beyond = "its colours have spherical harmonics of degree 4; those beyond 3 were left out"
    return torch.from_numpy(sh), (beyond,) if kept < k else ()
