"""glTF 2.0 as a container: JSON, buffers, accessors and the tree of nodes; `formats.glb` interprets them."""

import base64
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from jaxtyping import Float32, Float64

from recon.bounded import decode_json
from recon.errors import SceneFileError
from recon.scenefiles.bounded import plain_member, read_file, take

MAGIC = b"glTF"
"""First bytes of a GLB."""
HEADER, CHUNK = struct.Struct("<4sII"), struct.Struct("<II")
"""Magic, version, bytes of the file; and before each chunk its bytes and type."""
JSON_CHUNK, BINARY_CHUNK = 0x4E4F534A, 0x004E4942
"""Types of a GLB's chunks: 'JSON' and 'BIN' as little-endian numbers."""
MOST_VALUES = 1_000_000
"""Values in a JSON; a scene of Gaussians has 400. A value takes up to 100 bytes of memory once it is parsed."""
LISTS = ("scenes", "nodes", "meshes", "accessors", "bufferViews", "buffers")
"""Keys of the JSON that must hold lists."""
COMPONENTS = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
"""numpy's type for each componentType of glTF."""
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
"""Numbers of an element, by its type."""


@dataclass
class Gltf:
    """A glTF file whose JSON is parsed; numbers are read on demand."""

    path: Path
    json: dict[str, Any]
    binary: memoryview | None
    """The binary chunk of a GLB."""
    bytes_read: int
    """Bytes read of this file and of those beside it."""
    _buffers: dict[int, memoryview] = field(default_factory=dict)
    _beside: dict[Path, memoryview] = field(default_factory=dict)

    def items(self, name: str) -> list[dict[str, Any]]:
        """One of the `LISTS`."""
        return self.json.get(name, [])

    def accessor(self, index: int, width: int) -> Float32[np.ndarray, "n w"]:
        """Numbers as floats; normalised integers within [−1, 1] or [0, 1].

        Raises:
            SceneFileError: cut short, compressed, sparse, or not `width` numbers each.
        """
        accessor = _item(self.items("accessors"), index)
        if "sparse" in accessor or "bufferView" not in accessor:
            what = (
                "sparse accessors"
                if "sparse" in accessor
                else "accessors without a buffer, as compression leaves"
            )
            raise SceneFileError(f"{self.path} has {what}, which are not read; export it without compression")
        found = WIDTHS[accessor["type"]]
        if found != width:
            raise SceneFileError(
                f"{self.path} has {found} numbers for each Gaussian where {width} are expected"
            )
        dtype = np.dtype(COMPONENTS[accessor["componentType"]])
        view, stride = self._view(accessor["bufferView"])
        count, size = _whole(accessor["count"]), dtype.itemsize * width
        stride = stride or size
        if stride < size:
            raise ValueError(f"a byteStride of {stride} for {size} bytes")
        offset = _whole(accessor.get("byteOffset", 0))
        data = take(view, "u1", (count - 1) * stride + size if count else 0, offset, self.path)
        rows = np.ndarray((count, width), dtype, data.data, 0, (stride, dtype.itemsize))
        if dtype.kind == "f" or not accessor.get("normalized", False):
            return np.ascontiguousarray(rows, np.float32)
        return np.maximum(rows / np.float32(np.iinfo(dtype).max), np.float32(-1))

    def _view(self, index: int) -> tuple[memoryview, int]:
        """The bytes of a buffer view, and the bytes from one element to the next (0: no gap)."""
        view = _item(self.items("bufferViews"), index)
        compressed = [name for name in view.get("extensions", {}) if "compression" in name]
        if compressed:
            raise SceneFileError(
                f"{self.path} is compressed with {compressed[0]}, which is not read; export it without compression"
            )
        start, size = _whole(view.get("byteOffset", 0)), _whole(view["byteLength"])
        content = take(self._buffer(_whole(view["buffer"])), "u1", size, start, self.path)
        return content.data, _whole(view.get("byteStride", 0))

    def _buffer(self, index: int) -> memoryview:
        if index not in self._buffers:
            buffer = _item(self.items("buffers"), index)
            uri = buffer.get("uri")
            if uri is None:
                if index > 0 or self.binary is None:
                    raise SceneFileError(f"{self.path} is cut short: its binary chunk is missing")
                content = self.binary
            elif uri.startswith("data:"):
                head, _, encoded = uri.partition(",")
                if not head.endswith(";base64"):
                    raise ValueError("a buffer that is text but not base64")
                content = memoryview(base64.b64decode(encoded, validate=True))
            else:
                content = self._side_file(uri)
            self._buffers[index] = take(content, "u1", _whole(buffer["byteLength"]), 0, self.path).data
        return self._buffers[index]

    def _side_file(self, uri: str) -> memoryview:
        """A file that lies in the folder of this one, links followed; read once."""
        folder = self.path.resolve().parent
        path = (folder / plain_member(unquote(uri), self.path)).resolve()
        if not path.is_relative_to(folder):
            raise SceneFileError(
                f"{self.path} names {uri!r}, which leads out of its folder; it is not opened"
            )
        if path not in self._beside:
            self._beside[path] = memoryview(read_file(path))
            self.bytes_read += len(self._beside[path])
        return self._beside[path]

    def placements(self) -> Iterator[tuple[dict[str, Any], Float64[np.ndarray, "4 4"]]]:
        """Each mesh of the scene with the matrix of the node that shows it, world from mesh."""
        nodes, meshes = self.items("nodes"), self.items("meshes")
        waiting = [(root, np.eye(4)) for root in self._roots(nodes)]
        seen: set[int] = set()
        while waiting:
            index, world_from_parent = waiting.pop()
            node = _item(nodes, index)
            if index in seen:
                raise SceneFileError(f"{self.path} is damaged: node {index} hangs in its tree more than once")
            seen.add(index)
            world_from_node = world_from_parent @ _node_matrix(node)
            if "mesh" in node:
                yield _item(meshes, node["mesh"]), world_from_node
            waiting += [(child, world_from_node) for child in reversed(node.get("children", []))]

    def _roots(self, nodes: list[dict[str, Any]]) -> list[int]:
        """Root nodes of the default scene; in a file without scenes the nodes without a parent."""
        scenes = self.items("scenes")
        if scenes:
            return list(reversed(_item(scenes, self.json.get("scene", 0)).get("nodes", [])))
        children = {child for node in nodes for child in node.get("children", [])}
        return [index for index in reversed(range(len(nodes))) if index not in children]


def read_gltf(path: Path) -> Gltf:
    """A .glb, or a .gltf with its buffers inside or beside it; call within `understood`.

    Raises:
        SceneFileError: no such file, no glTF, of another version, cut short.
    """
    data = memoryview(read_file(path))
    if data[:4] != MAGIC:
        if data[:1].tobytes() not in (b"{", b"\xef", b" ", b"\n", b"\r", b"\t"):
            raise SceneFileError(f"{path} is no glTF file: it begins neither with 'glTF' nor as JSON")
        return Gltf(path, _parse(data.tobytes(), path), None, len(data))
    _, version, _ = HEADER.unpack(take(data, "u1", HEADER.size, 0, path).tobytes())
    if version != 2:
        raise SceneFileError(f"{path} is of version {version} of glTF, expected 2")
    chunks: dict[int, memoryview] = {}
    offset = HEADER.size
    for _ in range(2):  # later ones belong to extensions
        if offset + CHUNK.size <= len(data):
            size, kind = CHUNK.unpack(data[offset : offset + CHUNK.size])
            chunks.setdefault(kind, take(data, "u1", size, offset + CHUNK.size, path).data)
            offset += CHUNK.size + size
    if JSON_CHUNK not in chunks:
        raise SceneFileError(f"{path} is cut short or damaged: it has no JSON chunk")
    return Gltf(path, _parse(chunks[JSON_CHUNK].tobytes(), path), chunks.get(BINARY_CHUNK), len(data))


@contextmanager
def understood(path: Path) -> Iterator[None]:
    """Turn the exceptions that a wrong JSON raises into one sentence."""
    try:
        yield
    except (
        KeyError,
        TypeError,
        IndexError,
        ValueError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise SceneFileError(f"{path} is damaged: its JSON is not that of a glTF ({what:.200})") from error


def _parse(raw: bytes, path: Path) -> dict[str, Any]:
    values = raw.count(b",") + raw.count(b"[") + raw.count(b"{")
    if values > MOST_VALUES:
        raise SceneFileError(f"{path} has {values:,} values in its JSON; up to {MOST_VALUES:,} are read")
    parsed = decode_json(raw, nan=True)
    if not isinstance(parsed, dict):
        raise ValueError("no object at its top")
    for name in LISTS:
        items = parsed.get(name, [])
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise ValueError(f"{name} is no list of objects")
    return parsed


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{value!r:.40} where a count or an offset belongs")
    return value


def _item(items: list[dict[str, Any]], index: object) -> dict[str, Any]:
    return items[_whole(index)]


def _node_matrix(node: dict[str, Any]) -> Float64[np.ndarray, "4 4"]:
    """Parent from node, by its matrix (column by column) or its translation, rotation (xyzw) and scale."""
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    from scipy.spatial.transform import Rotation

    matrix = np.eye(4)
    turn = Rotation.from_quat(np.array(node.get("rotation", (0, 0, 0, 1)), np.float64)).as_matrix()
    matrix[:3, :3] = turn * np.array(node.get("scale", (1, 1, 1)), np.float64)
    matrix[:3, 3] = node.get("translation", (0, 0, 0))
    return matrix
