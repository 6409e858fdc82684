"""A mesh as GLB (glTF 2.0): unlit, with a texture or with colours at its vertices."""

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped, UInt16
from torch import Tensor

from recon.errors import SceneFileError
from recon.mesh.types import Mesh
from recon.scenefiles.gltf import BINARY_CHUNK, CHUNK, COMPONENTS, HEADER, JSON_CHUNK, MAGIC

LONGEST = 2**32 - 1
"""Bytes; the header of a GLB counts in 32 bits."""
VERTICES, INDICES = 34962, 34963
"""What a buffer is for, as glTF calls it."""
LINEAR, CLAMP = 9729, 33071
"""Filter and edges of a texture."""
UNLIT = "KHR_materials_unlit"
"""Extension for colours that already contain the light of the place."""


def glb_bytes(mesh: Mesh, texture: bytes | None) -> bytes:
    """The file, of a mesh that has its axes already.

    The photos' light is in the colours, so that the material is unlit. Colours at vertices are linear in glTF, and have
    16 bits, because 8 would band in the dark; a texture is sRGB.

    Args:
        mesh: with `uv` where there is a texture.
        texture: a JPEG.

    Raises:
        SceneFileError: more than 4 GiB.
    """
    buffer = _Buffer()
    xyz = mesh.vertices.float()
    limits = {"min": xyz.amin(0).tolist(), "max": xyz.amax(0).tolist()}
    attributes = {"POSITION": buffer.accessor(xyz.numpy(), "VEC3", VERTICES, **limits)}
    material: dict[str, Any] = {"metallicFactor": 0.0, "roughnessFactor": 1.0}
    more: dict[str, Any] = {}
    if texture is not None and mesh.uv is not None:
        rows_from_top = torch.stack([mesh.uv[:, 0], 1 - mesh.uv[:, 1]], -1).float().numpy()
        attributes["TEXCOORD_0"] = buffer.accessor(rows_from_top, "VEC2", VERTICES)
        material["baseColorTexture"] = {"index": 0}
        more = {
            "images": [{"bufferView": buffer.view(texture), "mimeType": "image/jpeg"}],
            "samplers": [{"magFilter": LINEAR, "wrapS": CLAMP, "wrapT": CLAMP}],
            "textures": [{"source": 0, "sampler": 0}],
        }
    else:
        colors = _linear_colors(mesh.colors)
        attributes["COLOR_0"] = buffer.accessor(colors, "VEC4", VERTICES, normalized=True)
    faces = buffer.accessor(mesh.faces.numpy().astype(np.uint32).reshape(-1, 1), "SCALAR", INDICES)
    return buffer.pack(
        {
            "asset": {"version": "2.0", "generator": "bridge4d"},
            "extensionsUsed": [UNLIT],
            "scene": 0,
            "scenes": [{"nodes": [0]}],
            "nodes": [{"mesh": 0}],
            "meshes": [{"primitives": [{"attributes": attributes, "indices": faces, "material": 0}]}],
            "materials": [{"pbrMetallicRoughness": material, "extensions": {UNLIT: {}}}],
            **more,
        }
    )


def _linear_colors(colors: Float[Tensor, "v 3"]) -> UInt16[np.ndarray, "v 4"]:
    """sRGB decoded (IEC 61966-2-1), opaque."""
    colors = colors.double()
    linear = torch.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    opaque = torch.cat([linear, torch.ones_like(linear[:, :1])], 1)
    return (opaque * 65535).round().clamp(0, 65535).numpy().astype(np.uint16)


@dataclass
class _Buffer:
    """The binary chunk, and what the JSON says of it."""

    chunks: list[bytes] = field(default_factory=list)
    views: list[dict] = field(default_factory=list)
    accessors: list[dict] = field(default_factory=list)
    size: int = 0

    def view(self, content: bytes, target: int | None = None) -> int:
        """Appends bytes; the number of their view."""
        padded = content + b"\0" * (-len(content) % 4)
        self.views.append({"buffer": 0, "byteOffset": self.size, "byteLength": len(content)})
        if target is not None:
            self.views[-1]["target"] = target
        self.chunks.append(padded)
        self.size += len(padded)
        return len(self.views) - 1

    def accessor(self, rows: Shaped[np.ndarray, "n w"], kind: str, target: int, **more: Any) -> int:
        """Appends rows of numbers; the number of their accessor."""
        component = next(code for code, dtype in COMPONENTS.items() if np.dtype(dtype) == rows.dtype)
        view = self.view(np.ascontiguousarray(rows).tobytes(), target)
        self.accessors.append(
            {"bufferView": view, "componentType": component, "count": len(rows), "type": kind, **more}
        )
        return len(self.accessors) - 1

    def pack(self, about: dict[str, Any]) -> bytes:
        """Pack JSON and buffer into the bytes of a GLB."""
        about |= {
            "accessors": self.accessors,
            "bufferViews": self.views,
            "buffers": [{"byteLength": self.size}],
        }
        head = json.dumps(about, separators=(",", ":")).encode()
        head += b" " * (-len(head) % 4)
        whole = HEADER.size + 2 * CHUNK.size + len(head) + self.size
        if whole > LONGEST:
            raise SceneFileError(f"the mesh takes {whole / 2**30:.1f} GiB as GLB, which holds up to 4")
        return b"".join(
            [
                HEADER.pack(MAGIC, 2, whole),
                CHUNK.pack(len(head), JSON_CHUNK),
                head,
                CHUNK.pack(self.size, BINARY_CHUNK),
                *self.chunks,
            ]
        )
