"""PLY in the layout of the 3DGS authors (Kerbl et al. 2023), which every viewer reads.

Written: x y z, normals of 0, f_dc_0..2, f_rest_* (all of red, then green, then blue), opacity (logit), scale_0..2
(log), rot_0..3 (wxyz); binary, float32; exact. Read: any order, number type, ascii and big endian, extra properties
and elements, no normals, scale_2 missing (2D Gaussians), spherical harmonics of degree 4 (cut to 3).
"""

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from recon.errors import SceneFileError
from recon.files import written_whole
from recon.gaussians import Gaussians, sh_bases
from recon.scenefiles.axes import Axes
from recon.scenefiles.bounded import read_file, take
from recon.scenefiles.scene_file import RenderMode, SceneFile, WriteOptions, Written
from recon.splats.sh import MAX_DEGREE

NUMBER_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
    "double": "f8", "float64": "f8",
}  # fmt: skip
BYTE_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": ""}
LONGEST_HEADER = 1 << 16
"""Bytes; 59 properties and a comment or two take 1.5 kB."""
FLAT_LOG_SCALE = math.log(1e-6)
"""The third axis of a 2D Gaussian, which its file does not have."""
COLUMNS = ("x", "y", "z", "opacity", "scale_0", "scale_1", "rot_0", "rot_1", "rot_2", "rot_3")
COLORS = ("f_dc_0", "f_dc_1", "f_dc_2")
MODE_COMMENT = "SplatRenderMode:"


def write(scene: Gaussians, path: Path, options: WriteOptions) -> Written:
    """Write a scene exactly; a render mode other than the default becomes a comment that Brush and others read."""
    rest = scene.sh[:, 1:].mT.flatten(1)
    names = ["x", "y", "z", "nx", "ny", "nz", *COLORS, *(f"f_rest_{i}" for i in range(rest.shape[1]))]
    names += ["opacity", *(f"scale_{i}" for i in range(3)), *(f"rot_{i}" for i in range(4))]
    header = ["ply", "format binary_little_endian 1.0"]
    if options.render_mode != "default":
        header.append(f"comment {MODE_COMMENT} {options.render_mode}")
    header += [
        f"element vertex {len(scene)}",
        *(f"property float {name}" for name in names),
        "end_header",
        "",
    ]
    table = torch.cat(
        [
            scene.means,
            torch.zeros_like(scene.means),
            scene.sh[:, 0],
            rest,
            scene.opacity_logits[:, None],
            scene.log_scales,
            scene.quats_wxyz,
        ],
        1,
    )
    with written_whole(path) as beside, open(beside, "wb") as file:
        file.write("\n".join(header).encode("ascii"))
        file.write(table.detach().cpu().numpy().astype("<f4", copy=False).data)
    return Written()


def read(path: Path) -> SceneFile:
    """A scene of 3D or 2D Gaussians.

    Raises:
        SceneFileError: no such file, no PLY, a point cloud or mesh, cut short.
    """
    data = read_file(path)
    header = read_header(data, path)
    columns = read_columns(data, header, path)
    notes = []
    missing = [name for name in (*COLUMNS, *COLORS) if name not in columns]
    if missing:
        if "red" in columns and "x" in columns:
            what = "a point cloud or mesh with plain colours, not a scene of Gaussians; a capture of photos can be"
            raise SceneFileError(f"{path} is {what} trained from it with bridge4d augment")
        raise SceneFileError(f"{path} holds no 3D Gaussians: it lacks the properties {', '.join(missing)}")

    def stacked(*names: str) -> Tensor:
        return torch.from_numpy(np.stack([columns[name] for name in names], -1).astype(np.float32))

    flat = "scale_2" not in columns
    scales = stacked("scale_0", "scale_1") if flat else stacked("scale_0", "scale_1", "scale_2")
    if flat:
        scales = torch.cat([scales, torch.full_like(scales[:, :1], FLAT_LOG_SCALE)], 1)
        notes.append("its Gaussians are flat (2DGS); the missing third axis was set to a millionth of a unit")
    return SceneFile(
        Gaussians(
            means=stacked("x", "y", "z"),
            quats_wxyz=stacked(*(f"rot_{i}" for i in range(4))),
            log_scales=scales,
            opacity_logits=stacked("opacity")[:, 0],
            sh=_spherical_harmonics(columns, stacked, path, notes),
        ),
        Axes.RDF,
        render_mode="2dgs" if flat else _render_mode(header.comments),
        notes=(*notes, *_vertical_axis(header.comments)),
    )


def _spherical_harmonics(columns: dict[str, np.ndarray], stacked, path: Path, notes: list[str]) -> Tensor:
    dc = stacked(*COLORS)[:, None]
    names = [f"f_rest_{i}" for i in range(sum(name.startswith("f_rest_") for name in columns))]
    degree = next((d for d in range(MAX_DEGREE + 2) if 3 * (sh_bases(d) - 1) == len(names)), None)
    if degree is None or any(name not in columns for name in names):
        raise SceneFileError(f"{path} has {len(names)} f_rest properties, expected 0, 9, 24, 45 or 72")
    if degree == 0:
        return dc
    rest = stacked(*names).view(len(dc), 3, len(names) // 3).mT
    if degree > MAX_DEGREE:
        notes.append("its colours have spherical harmonics of degree 4; those beyond 3 were left out")
    return torch.cat([dc, rest[:, : sh_bases(MAX_DEGREE) - 1]], 1).contiguous()


def _render_mode(comments: list[str]) -> RenderMode:
    for comment in comments:
        if comment.startswith(MODE_COMMENT) and comment.split()[-1] in ("mip", "2dgs"):
            return "mip" if comment.split()[-1] == "mip" else "2dgs"
        if comment.split() == ["antialiased", "1"]:  # Postshot
            return "mip"
    return "default"


def _vertical_axis(comments: list[str]) -> tuple[str, ...]:
    if any(comment.lower().replace(" ", "") == "verticalaxis:z" for comment in comments):  # nerfstudio
        return ("it says that its vertical axis is z; give --axes z-up if it should be turned upright",)
    return ()


@dataclass(frozen=True)
class Element:
    name: str
    count: int
    properties: list[tuple[str, str]] = field(default_factory=list)
    """Name and number type (`NUMBER_TYPES`), '' for a list."""

    def dtype(self, order: str) -> np.dtype:
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
    """What a PLY says of itself.

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
        for line in data[:end].decode("latin-1").splitlines()[1:]:
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
    """The properties of one element, by name; elements before it are passed over.

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
    lines = data[header.size :].split(b"\n", first_line + part.count)[first_line : first_line + part.count]
    if len(lines) < part.count:
        raise SceneFileError(f"{path} is cut short: it has {len(lines)} of {part.count} lines of Gaussians")
    if part.count == 0:
        return {name: np.zeros(0) for name, _ in part.properties}
    try:
        rows = np.array([line.split() for line in lines], dtype=np.float64)
    except ValueError as error:
        raise SceneFileError(
            f"{path} has a line that is not {len(part.properties)} numbers ({error})"
        ) from error
    if rows.shape[1] < len(part.properties):
        raise SceneFileError(f"{path} has {rows.shape[1]} numbers in a line, expected {len(part.properties)}")
    return {name: rows[:, i] for i, (name, _) in enumerate(part.properties)}
