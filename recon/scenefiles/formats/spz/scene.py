"""SPZ (Niantic, Adobe): 20 to 65 bytes a Gaussian, compressed once more.

By its specification a file holds RUB axes. SuperSplat, splat-transform and gsply write and read RDF in it; only an
extension, which few write, says which. Positions are 24-bit fixed point, log scales steps of 1/16, rotations lack their
largest component (versions 1 and 2: the real one), spherical harmonics come coefficient by coefficient.
"""

from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor

from recon.errors import SceneFileError
from recon.gaussians import Gaussians, sh_bases
from recon.scenefiles.axes import Axes
from recon.scenefiles.formats.spz.container import Packed, read_packed, write_packed
from recon.scenefiles.quantize import (
    drop_largest,
    opacity_bytes,
    opacity_logits,
    restore_largest,
    to_levels,
)
from recon.scenefiles.scene_file import SceneFile, WriteOptions, Written
from recon.splats.sh import MAX_DEGREE
from recon.splats.similarity import turn_gaussians

FRACTIONAL_BITS = 12
"""The reference library's: steps of 1/4096, ±2048."""
FEWEST_FRACTIONAL_BITS = 1
"""Steps of 1/2, ±4 million; other readers refuse 0."""
COLOR_SCALE = 0.15
"""A byte of colour is 255 · (0.15 · coefficient + 0.5), so that colours from −0.44 to 1.44 fit."""
SH_BITS = (5, 4)
"""The reference library's, in the first band and beyond."""
KNOWN_AXES = {"RUB": Axes.RUB, "RDF": Axes.RDF, "LUF": Axes.LUF, "RFU": Axes.Z_UP}
"""Axes that a file may state and that scenes are kept in; other stated axes are turned to RUB."""
UNSTATED = (
    "it does not say which way its axes point: RUB by the specification, but RDF where SuperSplat, splat-transform or "
    "gsply wrote it"
)


def write(scene: Gaussians, path: Path, options: WriteOptions) -> Written:
    """Write version 3 or 4, whatever axes the scene has; version 4 says which.

    Raises:
        SceneFileError: `sh_bits` not from 1 to 8.
    """
    version, axes = options.spz_version, cast(Axes, options.axes)
    fractional_bits, notes = _fractional_bits(scene.means)
    streams, clamped = _pack(scene, fractional_bits, options.sh_bits)
    if options.render_mode == "2dgs":
        notes.append("SPZ cannot say that a scene is made of flat Gaussians (2DGS); viewers show ellipsoids")
    if version == 3 and axes is not Axes.RUB:
        notes.append(
            f"version 3 of SPZ cannot say that it holds {axes.value.upper()}, as version 4 does; programs that follow "
            "the specification show it turned"
        )
    name = next(name for name, known in KNOWN_AXES.items() if known is axes)
    mip = options.render_mode == "mip"
    write_packed(Packed(version, len(scene), scene.sh_degree, fractional_bits, mip, name, streams), path)
    return Written(clamped={name: n for name, n in clamped.items() if n}, notes=tuple(notes))


def _fractional_bits(means: Float[Tensor, "g 3"]) -> tuple[int, list[str]]:
    """The most bits, up to `FRACTIONAL_BITS`, with which every position fits; and what fewer mean."""
    largest = float(means.abs().max()) if len(means) else 0.0
    fitting = (
        bits
        for bits in range(FRACTIONAL_BITS, FEWEST_FRACTIONAL_BITS, -1)
        if round(largest * 2**bits) < 1 << 23
    )
    bits = next(fitting, FEWEST_FRACTIONAL_BITS)
    if bits == FRACTIONAL_BITS:
        return bits, []
    beyond = int((means.abs() >= 1 << (23 - FRACTIONAL_BITS)).any(1).sum())
    return bits, [
        f"{beyond:,} of the Gaussians lie beyond ±{1 << (23 - FRACTIONAL_BITS)}, so all positions have steps of "
        f"{2.0**-bits:g} units; leave them out or move the scene to the origin for steps of {2.0**-FRACTIONAL_BITS:g}"
    ]


def _pack(scene: Gaussians, fractional_bits: int, sh_bits: int | None) -> tuple[list[bytes], dict[str, int]]:
    """The streams in their order; and how many values of each attribute lay outside."""
    positions = np.rint(scene.means.numpy() * np.float32(2**fractional_bits))
    limit = (1 << 23) - 1
    fixed = np.clip(positions, -limit - 1, limit).astype("<i4")
    colors, color = to_levels(scene.sh[:, 0].numpy(), 255 * COLOR_SCALE, 127.5)
    scales, scale = to_levels(scene.log_scales.numpy(), 16, 160)
    sh, outside = _pack_sh(scene.sh[:, 1:], sh_bits)
    streams = [
        fixed.view(np.uint8).reshape(-1, 4)[:, :3],
        opacity_bytes(scene.opacity_logits.numpy()),
        colors,
        scales,
        _pack_rotations(scene.quats_wxyz.numpy()),
        *([sh] if sh.shape[1] else []),
    ]
    position = int((positions != fixed).sum())
    clamped = {"position": position, "color": color, "scale": scale, "sh": outside}
    return [stream.tobytes() for stream in streams], clamped


def _pack_rotations(quats: Float[np.ndarray, "g 4"]) -> np.ndarray:
    """Words of 2 bits for the dropped component of x y z w and 10 for each other: a sign and 9 bits up to 1/√2."""
    largest, kept = drop_largest(np.roll(quats, -1, 1))
    sizes = np.floor(np.abs(kept) * (511 * 2**0.5) + 0.5).clip(0, 511).astype(np.uint32)
    fields = sizes | (kept < 0).astype(np.uint32) << 9
    word = largest.astype(np.uint32) << 30 | fields[:, 0] << 20 | fields[:, 1] << 10 | fields[:, 2]
    return word.astype("<u4")


def _pack_sh(rest: Float[Tensor, "g k 3"], bits: int | None) -> tuple[UInt8[np.ndarray, "g k 3"], int]:
    """Bytes of the coefficients above the first, in fewer steps so that they compress; and how many lay outside ±1."""
    if bits is not None and not 1 <= bits <= 8:
        raise SceneFileError(
            f"expected 1 to 8 bits for a coefficient of spherical harmonics in SPZ, got {bits}"
        )
    first, beyond = SH_BITS if bits is None else (max(bits, SH_BITS[0]), bits)
    levels, outside = to_levels(rest.numpy(), 128, 128)
    coarse = levels.tobytes().translate(_step_middles(beyond))
    sh = np.frombuffer(bytearray(coarse), np.uint8).reshape(rest.shape)
    in_first_band = levels[:, :3].tobytes().translate(_step_middles(first))
    sh[:, :3] = np.frombuffer(in_first_band, np.uint8).reshape(sh[:, :3].shape)
    return sh, outside


def _step_middles(bits: int) -> bytes:
    """For each byte the middle of the step of 2^(8−bits) that it lies in; 128, which is 0, is one of them."""
    width = 1 << (8 - bits)
    middles = (np.arange(256) + width // 2) // width * width
    return middles.clip(0, 255).astype(np.uint8).tobytes()


def read(path: Path) -> SceneFile:
    """A scene of any version, in the axes it states, else said to have RUB.

    Raises:
        SceneFileError: no such file, no SPZ, of another version, damaged or cut short.
    """
    packed = read_packed(path)
    scene, name, notes = _unpack(packed), packed.axes, []
    if packed.degree > MAX_DEGREE:
        notes.append("its colours have spherical harmonics of degree 4; those beyond 3 were left out")
    if name and name not in KNOWN_AXES:
        scene = turn_gaussians(scene, rub_from_axes(name))
        notes.append(f"its axes are {name}, which it says itself; it was turned to RUB")
    return SceneFile(
        scene,
        KNOWN_AXES.get(name, Axes.RUB),
        axes_stated=name != "",
        render_mode="mip" if packed.antialiased else "default",
        axes_note="" if name else UNSTATED,
        notes=tuple(notes),
    )


def rub_from_axes(name: str) -> Float64[Tensor, "3 3"]:
    """The orthogonal matrix that leads from axes such as RUF, which need not be right-handed, to RUB."""
    x, y, z = torch.eye(3, dtype=torch.float64)
    directions = {"R": x, "L": -x, "U": y, "D": -y, "B": z, "F": -z}
    return torch.stack([directions[letter] for letter in name], 1)


def _unpack(packed: Packed) -> Gaussians:
    streams = [np.frombuffer(stream, np.uint8) for stream in packed.streams]
    positions, alphas, colors, scales, rotations = streams[:5]
    steps = np.arange(256)
    color_values = ((steps / 255 - 0.5) / COLOR_SCALE).astype(np.float32)
    scale_values = (steps / 16 - 10).astype(np.float32)
    scene = Gaussians(
        means=torch.from_numpy(_unpack_positions(positions, packed).reshape(-1, 3)),
        quats_wxyz=torch.from_numpy(_unpack_rotations(rotations, packed.version)),
        log_scales=torch.from_numpy(scale_values[scales].reshape(-1, 3)),
        opacity_logits=torch.from_numpy(opacity_logits(alphas)),
        sh=torch.from_numpy(color_values[colors].reshape(-1, 1, 3)),
    )
    if packed.degree == 0:
        return scene
    kept = sh_bases(min(packed.degree, MAX_DEGREE)) - 1
    sh_values = ((steps - 128) / 128).astype(np.float32)
    rest = sh_values[streams[5].reshape(packed.g, sh_bases(packed.degree) - 1, 3)[:, :kept]]
    return replace(scene, sh=torch.cat([scene.sh, torch.from_numpy(rest)], 1))


def _unpack_positions(stream: UInt8[np.ndarray, "n"], packed: Packed) -> Float[np.ndarray, "m"]:
    if packed.version == 1:
        return np.frombuffer(stream, "<f2").astype(np.float32)
    wide = np.zeros((len(stream) // 3, 4), np.uint8)
    wide[:, 1:] = stream.reshape(-1, 3)
    # the sign of 24 bits spreads as the lowest byte is shifted out
    fixed = wide.view("<i4")[:, 0] >> 8
    return fixed.astype(np.float32) * np.float32(2.0**-packed.fractional_bits)


def _unpack_rotations(stream: UInt8[np.ndarray, "n"], version: int) -> Float[np.ndarray, "g 4"]:
    if version < 3:
        xyz = stream.reshape(-1, 3) / 127.5 - 1
        w = np.sqrt(np.maximum(0, 1 - (xyz * xyz).sum(1, keepdims=True)))
        return np.concatenate([w, xyz], 1).astype(np.float32)
    word = np.frombuffer(stream, "<u4")
    fields = np.stack([word >> 20, word >> 10, word], 1)
    kept = (fields & 511) * np.where(fields >> 9 & 1, -1, 1) / (511 * 2**0.5)
    return np.roll(restore_largest((word >> 30).astype(np.int64), kept), 1, 1)
