"""Splat scenes as PLY, in the layout of the 3DGS authors that viewers read."""

from pathlib import Path

import numpy as np
import torch

from recon.errors import CaptureError
from recon.files import written_whole
from recon.gaussians import Gaussians, sh_bases
from recon.splats.sh import MAX_DEGREE

REQUIRED = ("x", "y", "z", "opacity", *(f"scale_{i}" for i in range(3)), *(f"rot_{i}" for i in range(4)))


def write_ply(gaussians: Gaussians, path: Path | str) -> None:
    """Writes x y z, normals of 0, f_dc_*, f_rest_* (channel-major), opacity (logit), scale_* (log), rot_* (wxyz).

    Binary, float32. A half-written file cannot exist.
    """
    path = Path(path)
    scene = gaussians.detach().to("cpu", torch.float32)
    rest = scene.sh[:, 1:].mT.flatten(1)
    names = [*"xyz", "nx", "ny", "nz", *(f"f_dc_{i}" for i in range(3))]
    names += [*(f"f_rest_{i}" for i in range(rest.shape[1])), *REQUIRED[3:]]
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(scene)}"]
    header += [*(f"property float {name}" for name in names), "end_header", ""]
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
    with written_whole(path) as beside:
        beside.write_bytes("\n".join(header).encode("ascii") + table.numpy().astype("<f4").tobytes())


def read_ply(path: Path | str) -> Gaussians:
    """A scene in the layout of `write_ply` (float32, spherical harmonics up to degree 3, normals and more ignored).

    Raises:
        CaptureError: no such file, not a PLY of Gaussians, truncated, or NaN in it.
    """
    columns = _vertex_columns(Path(path))
    missing = [name for name in (*REQUIRED, "f_dc_0", "f_dc_1", "f_dc_2") if name not in columns]
    if missing:
        raise CaptureError(
            f"{path} holds no 3D Gaussians: expected properties {', '.join(missing)}; "
            "only the uncompressed layout of 3DGS is read"
        )
    rest = sum(name.startswith("f_rest_") for name in columns)
    degree = next((d for d in range(MAX_DEGREE + 1) if 3 * (sh_bases(d) - 1) == rest), None)
    if degree is None:
        raise CaptureError(f"{path} has {rest} f_rest properties, expected 0, 9, 24 or 45")

    def stacked(*names: str) -> torch.Tensor:
        return torch.from_numpy(np.stack([columns[name] for name in names], -1).astype(np.float32))

    dc = stacked("f_dc_0", "f_dc_1", "f_dc_2")[:, None]
    colors = stacked(*(f"f_rest_{i}" for i in range(rest))) if rest else torch.zeros(len(dc), 0)
    gaussians = Gaussians(
        means=stacked("x", "y", "z"),
        quats_wxyz=stacked(*(f"rot_{i}" for i in range(4))),
        log_scales=stacked(*(f"scale_{i}" for i in range(3))),
        opacity_logits=stacked("opacity")[:, 0],
        sh=torch.cat([dc, colors.view(len(dc), 3, rest // 3).mT], 1).contiguous(),
    )
    if any(value.isnan().any() for value in gaussians.tensors().values()):
        raise CaptureError(f"{path} has NaN in it; write the scene again")
    return gaussians


def _vertex_columns(path: Path) -> dict[str, np.ndarray]:
    """The properties of the vertices, by name."""
    import trimesh

    if not path.is_file():
        raise CaptureError(f"expected a PLY file of Gaussians at {path}, found none")
    try:
        cloud = trimesh.load(path, file_type="ply", process=False)
        element = cloud.metadata["_ply_raw"]["vertex"]  # type: ignore[union-attr]
        data = element["data"]
    except Exception as error:  # trimesh raises whatever its parsing trips over
        raise CaptureError(f"{path} is not a readable PLY file or is cut short ({error})") from error
    return {name: np.asarray(data[name]).reshape(-1) for name in element["properties"]}
