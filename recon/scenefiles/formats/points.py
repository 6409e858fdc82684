"""Point clouds: PLY with colours, LAS and LAZ with a coordinate system. Written only; a scene's opaque centres, or points.

LAS: version 1.4, point format 7, colours to 16 bits (which are colour · 65535), positions to a millimetre.
"""

from pathlib import Path

import numpy as np
import torch

from recon.compute.files import atomic_write
from recon.gaussians import SH_C0, Gaussians
from recon.pictures.eight_bit import to_eight_bit
from recon.points import PointCloud
from recon.scenefiles.scene_file import WriteOptions, Written

LEAST_OPACITY = 0.5
"""Fainter Gaussians are haze, and their centres no surface."""
LAS_STEP = 0.001
"""A millimetre where the unit is a metre; the usual scale of LAS."""
LAS_LARGEST = 2**31 - 1
"""Steps from the offset that a coordinate may be away."""
POINT = np.dtype(
    [(name, "<f4") for name in ("x", "y", "z", "nx", "ny", "nz")]
    + [(name, "u1") for name in ("red", "green", "blue")]
)
"""The 3DGS code wants normals, of which it uses none."""


def write(scene: Gaussians, path: Path, options: WriteOptions) -> Written:
    """Write the centres of Gaussians of at least half opacity, in their colours without view dependence."""
    solid = scene.opacity_logits >= 0
    rgb = (0.5 + SH_C0 * scene.sh[solid, 0]).clamp(0, 1)
    points = PointCloud(scene.means[solid].double(), rgb, torch.zeros(int(solid.sum()), dtype=torch.float64))
    if path.suffix.lower() == ".ply":
        write_points_ply(points, path)
    else:
        write_las(points, path, crs_wkt=options.crs_wkt, origin_height_m=options.origin_height_m)
    faint = len(scene) - len(points)
    notes = (f"{faint:,} Gaussians fainter than {LEAST_OPACITY:g} have no point",) if faint else ()
    return Written(points=len(points), notes=notes)


def write_points_ply(points: PointCloud, path: Path) -> None:
    """Positions as float32 and colours in 8 bits, binary; normals are 0."""
    table = np.zeros(len(points), POINT)
    rgb = to_eight_bit(points.rgb)
    for i in range(3):
        table["xyz"[i]] = points.xyz[:, i].numpy()
        table[("red", "green", "blue")[i]] = rgb[:, i].numpy()
    kinds = {"f": "float", "u": "uchar"}
    properties = [f"property {kinds[POINT[name].kind]} {name}" for name in POINT.names or ()]
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(points)}", *properties]
    with atomic_write(path) as beside, open(beside, "wb") as file:
        file.write("\n".join([*header, "end_header", ""]).encode("ascii"))
        file.write(table.tobytes())


def write_las(
    points: PointCloud, path: Path, *, crs_wkt: str | None = None, origin_height_m: float = 0.0
) -> None:
    """Write LAS, or LAZ where the name ends so.

    Args:
        points: in the axes of the file; east, north, up where there is a coordinate system.
        path: the name.
        crs_wkt: coordinate system of x and y, WKT.
        origin_height_m: added to z, so that heights are those of the place.
    """
    import laspy

    xyz = points.xyz.double().numpy() + np.array([0.0, 0.0, origin_height_m])
    middle = np.floor((xyz.min(0) + xyz.max(0)) / 2) if len(xyz) else np.zeros(3)
    reach = float(np.abs(xyz - middle).max()) if len(xyz) else 0.0
    header = laspy.LasHeader(point_format=7, version="1.4")
    header.offsets = middle
    # far strays would not fit in 32 bits of millimetres; then all steps are larger
    header.scales = np.full(
        3, LAS_STEP * max(1.0, 10.0 ** np.ceil(np.log10(max(reach / LAS_STEP / LAS_LARGEST, 1.0))))
    )
    header.generating_software = "bridge4d"
    if crs_wkt is not None:
        header.vlrs.append(laspy.vlrs.known.WktCoordinateSystemVlr(crs_wkt))
        header.global_encoding.wkt = True
    cloud = laspy.LasData(header)
    cloud.x, cloud.y, cloud.z = xyz.T
    colors = (points.rgb.double() * 65535).round().clamp(0, 65535).numpy().astype(np.uint16)
    cloud.red, cloud.green, cloud.blue = colors.T
    with atomic_write(path) as beside, open(beside, "wb") as file:
        cloud.write(file, do_compress=path.suffix.lower() == ".laz")
