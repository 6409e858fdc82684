"""PLY as a container: the header, and the columns of one element; each format interprets them."""

from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np

from recon.errors import SceneFileError
from recon.scenefiles.bounded import take
from recon.scenefiles.scene_file import RenderMode

NUMBER_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
    "double": "f8", "float64": "f8",
}  # fmt: skip
"""numpy's type for each name of a number in a header."""
BYTE_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": ""}
"""numpy's byte order for each format of a header; '' for text."""
LONGEST_HEADER = 1 << 16
"""Bytes; 59 properties and a comment or two take 1.5 kB."""
MODE_COMMENT = "SplatRenderMode:"
"""What Brush, splat-transform and others write before mip or 2dgs."""


@dataclass(frozen=True)
class Element:
    name: str
    count: int
    properties: list[tuple[str, str]] = field(default_factory=list)
    """Name and number type (`NUMBER_TYPES`), '' for a list."""

    def dtype(self, order: str) -> np.dtype:
        """numpy's structured type of a row, in a byte order."""
        return np.dtype([(name, order + kind) for name, kind in self.properties])


@dataclass(frozen=True)
class Header:
    byte_order: str
    """As in `BYTE_ORDERS`; '' for ascii."""
    elements: list[Element]
    comments: list[str]
    size: int
    """Bytes until the data."""


def read_header(data: bytes, path: Path) -> Header:
    """Read the header of a PLY.

    Raises:
        SceneFileError: not a PLY, or a header that makes no sense.
    """
    if data[:3] != b"ply":
        raise SceneFileError(f"{path} is no PLY file: it does not begin with 'ply'")
    end = data.find(b"end_header", 0, LONGEST_HEADER)
    close = data.find(b"\n", end)
    if end < 0 or close < 0:
        raise SceneFileError(f"{path} is cut short or no PLY file: its header has no end")
    order: str | None = None
    elements: list[Element] = []
    comments: list[str] = []
    try:
        for line in data[:end].decode("latin-1").replace("\r", "").split("\n")[1:]:
            match line.split():
                case ["format", kind, *_]:
                    order = BYTE_ORDERS[kind]
                case ["comment" | "obj_info", *words]:
                    comments.append(" ".join(words))
                case ["element", name, count]:
                    elements.append(Element(name, int(count)))
                case ["property", "list", _, _, name]:
                    elements[-1].properties.append((name, ""))
                case ["property", kind, name]:
                    elements[-1].properties.append((name, NUMBER_TYPES[kind]))
                case []:
                    pass
                case _:
                    raise ValueError(line)
    except (ValueError, KeyError, IndexError) as error:
        raise SceneFileError(f"{path} has a PLY header that cannot be understood ({error})") from error
    if order is None or any(element.count < 0 for element in elements):
        raise SceneFileError(f"{path} has a PLY header without a format, or with negative counts")
    return Header(order, elements, comments, close + 1)


def read_columns(
    data: bytes, header: Header, path: Path, *, element: str = "vertex"
) -> dict[str, np.ndarray]:
    """Read the properties of one element by name; elements before it are skipped.

    Raises:
        SceneFileError: no such element, lists in it or before it, or cut short.
    """
    offset, line = header.size, 0
    for part in header.elements:
        if any(kind == "" for _, kind in part.properties):
            raise SceneFileError(
                f"{path} has a list among its {part.name} properties, which no scene of Gaussians has"
            )
        if len({name for name, _ in part.properties}) != len(part.properties):
            raise SceneFileError(f"{path} names a property of its {part.name} elements twice")
        if part.name == element:
            if not part.properties:
                raise SceneFileError(f"{path} has no properties for its {element} elements")
            if header.byte_order == "":
                return _ascii_columns(data, header, part, line, path)
            table = take(data, part.dtype(header.byte_order), part.count, offset, path)
            return {name: table[name] for name, _ in part.properties}
        offset += part.count * part.dtype(header.byte_order or "<").itemsize
        line += part.count
    raise SceneFileError(f"{path} has no {element} elements, so no Gaussians")


def _ascii_columns(
    data: bytes, header: Header, part: Element, first_line: int, path: Path
) -> dict[str, np.ndarray]:
    shortest = 2 * len(part.properties)  # a digit and a space or line end for each number
    left = len(data) - header.size
    if (first_line + part.count) * 2 > left + 2 or part.count * shortest > left + 1:
        raise SceneFileError(
            f"{path} is cut short: {left:,} bytes cannot hold {part.count:,} lines of Gaussians"
        )
    if part.count == 0:
        return {name: np.zeros(0) for name, _ in part.properties}
    text = BytesIO(data)
    text.seek(header.size)
    for _ in range(first_line):
        text.readline()
    try:
        rows = np.loadtxt(text, dtype=np.float64, comments=None, max_rows=part.count, ndmin=2)
    except ValueError as error:
        raise SceneFileError(
            f"{path} has a line that is not {len(part.properties)} numbers ({str(error)[:200]})"
        ) from error
    if len(rows) < part.count:
        raise SceneFileError(
            f"{path} is cut short: it has {len(rows):,} of {part.count:,} lines of Gaussians"
        )
    if rows.shape[1] < len(part.properties):
        raise SceneFileError(f"{path} has {rows.shape[1]} numbers in a line, expected {len(part.properties)}")
    return {name: rows[:, i] for i, (name, _) in enumerate(part.properties)}


def render_mode_comments(mode: RenderMode) -> list[str]:
    """The line of a header that says how to draw the scene; none for the default."""
    return [] if mode == "default" else [f"comment {MODE_COMMENT} {mode}"]


def stated_render_mode(comments: list[str]) -> RenderMode:
    """Render mode that the comments of a header state."""
    for comment in comments:
        if comment.startswith(MODE_COMMENT) and comment.split()[-1] in ("mip", "2dgs"):
            return "mip" if comment.split()[-1] == "mip" else "2dgs"
        if comment.split() == ["antialiased", "1"]:  # Postshot
            return "mip"
    return "default"
