"""PLY in the layout of the 3DGS authors (Kerbl et al. 2023), which every viewer reads.

Written: x y z, normals of 0, f_dc_0..2, f_rest_* (all of red, then green, then blue), opacity (logit), scale_0..2
(log), rot_0..3 (wxyz); binary, float32; exact. Read: any order, number type, ascii and big endian, extra properties
and elements, no normals, scale_2 missing (2D Gaussians), spherical harmonics of degree 4 (cut to 3).
"""

import math
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recon.compute.files import atomic_write
from recon.errors import SceneFileError
from recon.gaussians import Gaussians, sh_bases
from recon.scenefiles.axes import Axes
from recon.scenefiles.bounded import read_file
from recon.scenefiles.formats.compressed_ply import is_compressed, read_compressed
from recon.scenefiles.formats.spacetime import is_spacetime, read_spacetime
from recon.scenefiles.ply_table import read_columns, read_header, render_mode_comments, stated_render_mode
from recon.scenefiles.quantize import BLOCK_ROWS
from recon.scenefiles.scene_file import SceneFile, WriteOptions, Written
from recon.splats.sh import MAX_DEGREE

FLAT_LOG_SCALE = math.log(1e-6)
"""The third axis of a 2D Gaussian, which its file does not have."""
COLUMNS = ("x", "y", "z", "opacity", "scale_0", "scale_1", "rot_0", "rot_1", "rot_2", "rot_3")
"""Columns that every 3DGS scene has, beside colours."""
COLORS = ("f_dc_0", "f_dc_1", "f_dc_2")
"""Columns of the constant coefficient of each colour."""


def write(scene: Gaussians, path: Path, options: WriteOptions) -> Written:
    """Write a scene exactly; a render mode other than the default becomes a comment that Brush and others read."""
    coefficients = 3 * (scene.sh.shape[1] - 1)
    names = ["x", "y", "z", "nx", "ny", "nz", *COLORS, *(f"f_rest_{i}" for i in range(coefficients))]
    names += ["opacity", *(f"scale_{i}" for i in range(3)), *(f"rot_{i}" for i in range(4))]
    header = [
        "ply",
        "format binary_little_endian 1.0",
        *render_mode_comments(options.render_mode),
        f"element vertex {len(scene)}",
        *(f"property float {name}" for name in names),
        "end_header",
        "",
    ]
    with atomic_write(path) as beside, open(beside, "wb") as file:
        file.write("\n".join(header).encode("ascii"))
        for start in range(0, len(scene), BLOCK_ROWS):
            file.write(_rows(scene[start : start + BLOCK_ROWS]).data)
    return Written()


def _rows(scene: Gaussians) -> Float[np.ndarray, "g columns"]:
    means, dc_and_rest = scene.means.numpy(), scene.sh.numpy()
    columns = [
        means,
        np.zeros_like(means),
        dc_and_rest[:, 0],
        dc_and_rest[:, 1:].transpose(0, 2, 1).reshape(len(scene), 3 * (scene.sh.shape[1] - 1)),
        scene.opacity_logits.numpy()[:, None],
        scene.log_scales.numpy(),
        scene.quats_wxyz.numpy(),
    ]
    return np.concatenate(columns, 1).astype("<f4", copy=False)


def read(path: Path) -> SceneFile:
    """A scene of 3D or 2D Gaussians.

    Raises:
        SceneFileError: no such file, no PLY, a point cloud or mesh, cut short.
    """
    data = read_file(path)
    header = read_header(data, path)
    if is_compressed(header):
        return read_compressed(data, header, path)
    columns = read_columns(data, header, path)
    if is_spacetime(columns):
        return read_spacetime(columns, path, header.comments)
    notes = []
    missing = [name for name in (*COLUMNS, *COLORS) if name not in columns]
    if missing:
        if "red" in columns and "x" in columns:
            raise SceneFileError(
                f"{path} is a point cloud or mesh with plain colours, not a scene of Gaussians; bridge4d augment makes one "
                "from photos"
            )
        raise SceneFileError(f"{path} holds no 3D Gaussians: it lacks the properties {', '.join(missing)}")

    def stack(*names: str) -> Tensor:
        """Stack columns of the table: [g, names]."""
        return torch.from_numpy(
            np.stack([columns[name] for name in names], -1).astype(np.float32, copy=False)
        )

    flat = "scale_2" not in columns
    scales = stack("scale_0", "scale_1") if flat else stack("scale_0", "scale_1", "scale_2")
    if flat:
        scales = torch.cat([scales, torch.full_like(scales[:, :1], FLAT_LOG_SCALE)], 1)
        notes.append("its Gaussians are flat (2DGS); the missing third axis was set to a millionth of a unit")
    return SceneFile(
        Gaussians(
            means=stack("x", "y", "z"),
            quats_wxyz=stack(*(f"rot_{i}" for i in range(4))),
            log_scales=scales,
            opacity_logits=stack("opacity")[:, 0],
            sh=_spherical_harmonics(columns, stack, path, notes),
        ),
        Axes.RDF,
        render_mode="2dgs" if flat else stated_render_mode(header.comments),
        notes=(*notes, *_vertical_axis(header.comments)),
    )


def _spherical_harmonics(columns: dict[str, np.ndarray], stack, path: Path, notes: list[str]) -> Tensor:
    dc = stack(*COLORS)[:, None]
    names = [f"f_rest_{i}" for i in range(sum(name.startswith("f_rest_") for name in columns))]
    degree = next((d for d in range(MAX_DEGREE + 2) if 3 * (sh_bases(d) - 1) == len(names)), None)
    if degree is None or any(name not in columns for name in names):
        raise SceneFileError(f"{path} has {len(names)} f_rest properties, expected 0, 9, 24, 45 or 72")
    if degree == 0:
        return dc
    rest = stack(*names).view(len(dc), 3, len(names) // 3).mT
    if degree > MAX_DEGREE:
        notes.append("its colours have spherical harmonics of degree 4; those beyond 3 were left out")
    return torch.cat([dc, rest[:, : sh_bases(MAX_DEGREE) - 1]], 1).contiguous()


def _vertical_axis(comments: list[str]) -> tuple[str, ...]:
    if any(comment.lower().replace(" ", "") == "verticalaxis:z" for comment in comments):  # nerfstudio
        return ("it says that its vertical axis is z; read it with z-up axes if it should be turned upright",)
    return ()
