"""GLB with KHR_gaussian_splatting, the ratified glTF extension: float32 throughout, LUF axes, metres.

Each Gaussian is a point of a mesh with a position, a rotation (xyzw), linear scales, a linear opacity and one
attribute for each coefficient of its spherical harmonics. Viewers that do not know the extension show coloured points.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from recon.compute.files import atomic_write
from recon.errors import SceneFileError
from recon.gaussians import SH_C0, Gaussians, concatenate, sh_bases
from recon.scenefiles.axes import Axes
from recon.scenefiles.gltf import BINARY_CHUNK, CHUNK, HEADER, JSON_CHUNK, MAGIC, Gltf, read_gltf, understood
from recon.scenefiles.linear import LinearGaussians, from_linear, to_linear
from recon.scenefiles.placing import place_gaussians
from recon.scenefiles.ply_table import MODE_COMMENT, stated_render_mode
from recon.scenefiles.scene_file import RenderMode, SceneFile, WriteOptions, Written
from recon.splats.sh import MAX_DEGREE

EXTENSION = "KHR_gaussian_splatting"
RENDER_MODE = MODE_COMMENT.rstrip(":")
"""Under `extras`, for the extension has no word for it."""
POINTS, VERTICES, FLOAT, BYTE = 0, 34962, 5126, 5121
"""What glTF calls them."""
LONGEST = 2**32 - 1
"""Bytes; the header of a GLB counts in 32 bits. 17 million Gaussians at degree 3."""
FEWEST_BYTES = 8
"""For each Gaussian; honest files take 32 and more, those that show one mesh in several places less."""


def write(scene: Gaussians, path: Path, options: WriteOptions) -> Written:
    """Write a scene exactly, but for the rounding of scales and opacities.

    Raises:
        SceneFileError: no Gaussians, more than 4 GiB of them, or a name that ends in .gltf.
    """
    if path.suffix.lower() == ".gltf":
        raise SceneFileError(
            f"scenes of Gaussians are written as .glb, not as .gltf; call it {path.stem}.glb"
        )
    if len(scene) == 0:
        raise SceneFileError("a GLB cannot hold an empty scene; choose another format")
    notes = []
    if options.metres_per_unit not in (None, 1):
        notes.append(f"glTF means metres, and a unit of the scene is {options.metres_per_unit:g} m")
    if options.render_mode != "default":
        notes.append(
            f"GLB has no word for {options.render_mode}; it stands under extras, which few programs read"
        )
    linear, clamped = to_linear(scene)
    attributes = _attributes(linear)
    head, size = _describe(attributes, options)
    whole = HEADER.size + 2 * CHUNK.size + len(head) + size
    if whole > LONGEST:
        raise SceneFileError(
            f"{len(scene):,} Gaussians take {whole / 2**30:.1f} GiB as GLB, which holds up to 4"
        )
    with atomic_write(path) as beside, open(beside, "wb") as file:
        file.write(HEADER.pack(MAGIC, 2, whole))
        file.write(CHUNK.pack(len(head), JSON_CHUNK) + head)
        file.write(CHUNK.pack(size, BINARY_CHUNK))
        for values in attributes.values():
            file.write(np.ascontiguousarray(values).data)
    return Written(clamped=clamped, notes=tuple(notes))


def _attributes(linear: LinearGaussians) -> dict[str, np.ndarray]:
    """Rows of each attribute in the order of the file; each row a multiple of 4 bytes."""
    attributes = {
        "POSITION": linear.means.numpy(),
        "COLOR_0": _fallback_colors(linear),
        f"{EXTENSION}:ROTATION": np.roll(linear.quats_wxyz.numpy(), -1, 1),
        f"{EXTENSION}:SCALE": linear.scales.numpy(),
        f"{EXTENSION}:OPACITY": linear.opacities.numpy()[:, None],
    }
    sh = linear.sh.numpy()
    for band in range(round(sh.shape[1] ** 0.5)):
        for order, name in enumerate(_sh_names(band)):
            attributes[name] = sh[:, band * band + order]
    return attributes


def _fallback_colors(linear: LinearGaussians) -> UInt8[np.ndarray, "g 4"]:
    """Linear colours and opacity for viewers that show points."""
    display = (0.5 + SH_C0 * linear.sh[:, 0]).clamp(0, 1)
    return (
        (torch.cat([_linear_from_display(display), linear.opacities[:, None]], 1) * 255)
        .round()
        .byte()
        .numpy()
    )


def _describe(attributes: dict[str, np.ndarray], options: WriteOptions) -> tuple[bytes, int]:
    """The JSON, padded to 4 bytes; and the bytes of all attributes."""
    views, accessors, size = [], [], 0
    for values in attributes.values():
        views.append({"buffer": 0, "byteOffset": size, "byteLength": values.nbytes, "target": VERTICES})
        size += values.nbytes
        kind = "SCALAR" if values.shape[1] == 1 else f"VEC{values.shape[1]}"
        accessor: dict[str, Any] = {"bufferView": len(accessors), "count": len(values), "type": kind}
        accessors.append(accessor | _component(values.dtype))
    position = attributes["POSITION"]
    accessors[0] |= {"min": position.min(0).tolist(), "max": position.max(0).tolist()}
    says: dict[str, Any] = {
        "kernel": "ellipse",
        "colorSpace": "srgb_rec709_display",
        "projection": "perspective",
        "sortingMethod": "cameraDistance",
    }
    primitive: dict[str, Any] = {
        "mode": POINTS,
        "attributes": {name: index for index, name in enumerate(attributes)},
        "extensions": {EXTENSION: says},
    }
    if options.render_mode != "default":
        primitive["extras"] = {RENDER_MODE: options.render_mode}
    content = {
        "asset": {"version": "2.0", "generator": "bridge4d"},
        "extensionsUsed": [EXTENSION],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": options.title}],
        "meshes": [{"primitives": [primitive], "name": options.title}],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": size}],
    }
    raw = json.dumps(content, separators=(",", ":"), allow_nan=False).encode("ascii")
    return raw + b" " * (-len(raw) % 4), size


def _component(dtype: np.dtype) -> dict[str, Any]:
    return {"componentType": BYTE, "normalized": True} if dtype == np.uint8 else {"componentType": FLOAT}


def _sh_names(band: int) -> list[str]:
    return [f"{EXTENSION}:SH_DEGREE_{band}_COEF_{order}" for order in range(2 * band + 1)]


def read(path: Path) -> SceneFile:
    """All Gaussians of the scene that a .glb or .gltf shows, where its nodes put them.

    Raises:
        SceneFileError: no such file, no glTF, meshes only, compressed, damaged or cut short.
    """
    with understood(path):
        gltf = read_gltf(path)
        notes: Counter[str] = Counter()
        parts, modes, others, total = [], [], 0, 0
        known: dict[int, Gaussians] = {}
        for mesh, matrix in gltf.placements():
            for primitive in mesh["primitives"]:
                if not _is_splats(primitive, path):
                    others += 1
                    continue
                if id(primitive) not in known:
                    known[id(primitive)] = _read_primitive(gltf, primitive, notes)
                    modes.append(_render_mode(primitive))
                total += len(known[id(primitive)])
                if total * FEWEST_BYTES > gltf.bytes_read:
                    raise SceneFileError(f"{path} shows {total:,} Gaussians, more than its bytes can hold")
                parts.append(place_gaussians(known[id(primitive)], torch.from_numpy(matrix), path))
    if not parts:
        what = "a mesh" if others else "nothing that is shown"
        raise SceneFileError(
            f"{path} holds {what} and no Gaussians ({EXTENSION}); scenes are made from photos with bridge4d augment"
        )
    if others:
        notes["it holds meshes or points beside its Gaussians, which were left out"] += 1
    mode = modes[0] if len(set(modes)) == 1 else "default"
    scene = concatenate(parts) if len(parts) > 1 else parts[0]
    return SceneFile(scene, Axes.LUF, axes_stated=True, render_mode=mode, notes=tuple(notes))


def _is_splats(primitive: dict[str, Any], path: Path) -> bool:
    extensions = primitive.get("extensions", {})
    inside = extensions.get(EXTENSION, {}).get("extensions", {})
    packed = [name for name in (*extensions, *inside) if "spz" in name or "compression" in name]
    if packed and (EXTENSION in extensions or "spz" in packed[0]):
        raise SceneFileError(
            f"{path} holds its Gaussians compressed ({packed[0]}), which is not read; gsbox turns it into .ply or .spz"
        )
    return EXTENSION in extensions


def _render_mode(primitive: dict[str, Any]) -> RenderMode:
    extras = primitive.get("extras")
    if not isinstance(extras, dict):
        return "default"
    return stated_render_mode([f"{MODE_COMMENT} {extras.get(RENDER_MODE)}"])


def _read_primitive(gltf: Gltf, primitive: dict[str, Any], notes: Counter[str]) -> Gaussians:
    attributes, says = primitive["attributes"], primitive["extensions"][EXTENSION]
    named = ["POSITION", *(f"{EXTENSION}:{name}" for name in ("ROTATION", "SCALE", "OPACITY")), *_sh_names(0)]
    missing = [name for name in named if name not in attributes]
    if missing:
        raise SceneFileError(f"{gltf.path} holds Gaussians that lack {', '.join(missing)}")
    names = [name for band in range(_degree(attributes, gltf.path) + 1) for name in _sh_names(band)]
    count = len(gltf.accessor(attributes["POSITION"], 3))

    def values(name: str, width: int) -> Float32[np.ndarray, "g w"]:
        """Read an attribute of every Gaussian."""
        found = gltf.accessor(attributes[name], width)
        if len(found) != count:
            raise SceneFileError(
                f"{gltf.path} is damaged: it has {count:,} positions and {len(found):,} of {name}"
            )
        return found

    # copies, for what lies in the file cannot be changed
    means, quats, scales, opacities = (
        torch.from_numpy(values(name, width).copy()) for name, width in zip(named, (3, 4, 3, 1), strict=False)
    )
    sh = np.empty((count, len(names), 3), np.float32)
    for index, name in enumerate(names):
        sh[:, index] = values(name, 3)
    if len(scales) and float(scales.median()) < 0:
        notes["its scales are logarithms, as in drafts of the extension before it was ratified"] += 1
        scales = scales.exp()
    if says.get("kernel", "ellipse") != "ellipse":
        notes[f"its kernel is {says['kernel']!r:.40}; it is shown as Gaussians"] += 1
    linear = LinearGaussians(
        means, quats.roll(1, 1), scales, opacities[:, 0], _display_sh(torch.from_numpy(sh), says, notes)
    )
    scene, found = from_linear(linear)
    notes.update(found)
    return scene


def _degree(attributes: dict[str, Any], path: Path) -> int:
    """The largest band of spherical harmonics; none may lack a coefficient, nor a band below."""
    there = [[name in attributes for name in _sh_names(band)] for band in range(MAX_DEGREE + 1)]
    degree = max(band for band, names in enumerate(there) if any(names))
    if not all(all(names) for names in there[: degree + 1]):
        raise SceneFileError(
            f"{path} lacks some of the {sh_bases(degree)} coefficients of spherical harmonics of degree {degree}"
        )
    return degree


def _display_sh(
    sh: Float32[Tensor, "g k 3"], says: dict[str, Any], notes: Counter[str]
) -> Float32[Tensor, "g k 3"]:
    """Coefficients of display sRGB colours, whatever the colours of the file are."""
    space = says.get("colorSpace", "srgb_rec709_display")
    if space == "srgb_rec709_display":
        return sh
    if space != "lin_rec709_display":
        notes[f"its colours are in {space!r:.40}, which is not known; they were taken for sRGB"] += 1
        return sh
    notes[
        "its colours are linear; they were turned into sRGB, what depends on the view only to first order, and "
        "what blends in linear light there blends in sRGB here"
    ] += 1
    color = 0.5 + SH_C0 * sh[:, :1]
    display, slope = _display_from_linear(color)
    return torch.cat([(display - 0.5) / SH_C0, sh[:, 1:] * slope], 1)


def _display_from_linear(color: Float32[Tensor, "*s"]) -> tuple[Float32[Tensor, "*s"], Float32[Tensor, "*s"]]:
    """sRGB from linear light (IEC 61966-2-1), and its derivative; straight on below 0."""
    bright = color.clamp_min(0.0031308)
    dark = color <= 0.0031308
    value = torch.where(dark, 12.92 * color, 1.055 * bright ** (1 / 2.4) - 0.055)
    return value, torch.where(dark, torch.full_like(color, 12.92), 1.055 / 2.4 * bright ** (1 / 2.4 - 1))


def _linear_from_display(color: Float32[Tensor, "*s"]) -> Float32[Tensor, "*s"]:
    """Linear light from sRGB in [0, 1] (IEC 61966-2-1)."""
    return torch.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)
