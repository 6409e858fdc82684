"""What arrives in other programs: every writer, read by readers that share no code with it.

    python -m benchmarks.format_matrix

The scene has strong anisotropy, spherical harmonics of degree 3, outliers at 100 units and odd values (opacities of
exactly 0 and 1, quaternions that are not of unit length, a NaN). A column is the largest error over all Gaussians; in
brackets stands what the format cannot avoid (`inherent`): half a step of its rounding, from its definition or the ranges in
the file; of SOG, whose steps are its writer's choice, what splat-transform's file of the same scene errs by. *view* is the
largest change of the view-dependent colour in 64 directions. splat-transform needs BRIDGE4D_SPLAT_TRANSFORM
(benchmarks/peers/splat_transform.py); readers that are not installed are left out and named.
"""

import importlib.util
import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.odd_scenes import odd_scene
from benchmarks.output import Table, command
from benchmarks.peers import playcanvas, splat_transform
from recon.compute.open3d_library import load_open3d
from recon.gaussians import Gaussians
from recon.scenefiles import Axes, WriteOptions, read_scene, write_scene
from recon.scenefiles.axes import axes_from_rdf
from recon.scenefiles.clean import clean
from recon.scenefiles.compare import attribute_errors, match_nearest
from recon.splats.similarity import turn_gaussians

NAMES = ("position_units", "angle_deg", "log_scale", "opacity", "color", "view_color")
Read = Callable[[Path], Gaussians]


@dataclass(frozen=True)
class Reader:
    name: str
    suffixes: tuple[str, ...]
    read: Read
    """In the axes of the file."""
    package: str = ""


def the_scene(count: int = 2000) -> Gaussians:
    """Outliers, anisotropy, and values at the edge of what files hold."""
    scene = odd_scene(count)
    scene.opacity_logits[10:20] = torch.inf
    scene.opacity_logits[20:30] = -torch.inf
    scene.quats_wxyz[30:60] *= 7.5
    scene.means[60, 0] = torch.nan
    return scene


def by_us(path: Path) -> Gaussians:
    return read_scene(path, axes=Axes.RDF).gaussians  # as it is: no turn


def by_splat_transform(path: Path) -> Gaussians:
    table = path.with_suffix(".csv")
    splat_transform.convert(path, table)
    return splat_transform.read_csv(table)


def by_gsply(path: Path) -> Gaussians:
    import gsply

    data = gsply.read_spz(str(path)) if path.suffix == ".spz" else gsply.plyread(str(path))
    sh = torch.from_numpy(np.asarray(data.sh0).reshape(-1, 1, 3).copy())
    if data.shN is not None and np.size(data.shN):
        sh = torch.cat([sh, torch.from_numpy(np.asarray(data.shN).reshape(len(sh), -1, 3).copy())], 1)

    def tensor(values) -> Tensor:
        return torch.from_numpy(np.asarray(values, dtype=np.float32).copy())

    opacities = tensor(data.opacities).reshape(-1)
    return Gaussians(tensor(data.means), tensor(data.quats), tensor(data.scales), opacities, sh)


def by_open3d(path: Path) -> Gaussians:
    o3d = load_open3d()

    cloud = o3d.t.io.read_point_cloud(str(path))  # type: ignore[arg-type]
    part = {name: torch.from_numpy(cloud.point[name].numpy().copy()) for name in cloud.point}
    k = part["f_rest"].shape[1] if "f_rest" in part else 0
    rest = (
        part["f_rest"].reshape(len(part["positions"]), k, -1)
        if k
        else torch.zeros(len(part["positions"]), 0, 3)
    )
    return Gaussians(
        part["positions"].float(),
        part["rot"].float(),
        part["scale"].float().log(),  # it hands out standard deviations, not their logarithms
        part["opacity"].float().reshape(-1),
        torch.cat([part["f_dc"].float().reshape(-1, 1, 3), rest.float()], 1),
    )


def by_trimesh(path: Path) -> Gaussians:
    """Raw accessors through trimesh's own glTF parser; it knows the fallback, so only positions and colours count."""
    import trimesh

    cloud = next(iter(trimesh.load(path, process=False).geometry.values()))
    means = torch.from_numpy(np.asarray(cloud.vertices, dtype=np.float32))
    return Gaussians(means, *_unknown(len(means)))


def by_pxr(path: Path) -> Gaussians:
    from pxr import Usd, UsdVol

    stage = Usd.Stage.Open(str(path))
    prim = next(p for p in stage.Traverse() if p.IsA(UsdVol.ParticleField3DGaussianSplat))

    def values(name: str) -> Tensor:
        return torch.from_numpy(np.array(prim.GetAttribute(name).Get(), dtype=np.float32))

    quats = prim.GetAttribute("orientations").Get()
    wxyz = torch.tensor([[q.GetReal(), *q.GetImaginary()] for q in quats], dtype=torch.float32)
    means = values("positions")
    return Gaussians(
        means,
        wxyz,
        values("scales").log(),
        torch.logit(values("opacities").double()).float(),
        values("radiance:sphericalHarmonicsCoefficients").reshape(len(means), -1, 3),
    )


def by_fourdgs(path: Path) -> Gaussians:
    import fourdgs

    scene: Any = fourdgs.read(str(path))
    state = scene.state_at(0.0)
    order = np.argsort(scene.gaussians.source_index[state["indices"]])
    rows = state["indices"][order]
    data = scene.gaussians

    def tensor(array) -> Tensor:
        return torch.from_numpy(np.asarray(array, dtype=np.float32).copy())

    rest = tensor(data.sh[rows]) / 255 * 8 - 4
    sh = torch.cat(
        [
            (tensor(data.colors[rows, :3])[:, None] - 0.5) / 0.28209479177387814,
            rest.view(len(rows), 3, -1).mT,
        ],
        1,
    )
    return Gaussians(
        tensor(state["centers"][order]),
        tensor(data.rotations[rows])[:, [3, 0, 1, 2]],
        tensor(data.scales[rows]).log(),
        torch.logit(
            torch.from_numpy(state["opacity"][order].astype(np.float64)).clamp(1e-6, 1 - 1e-6)
        ).float(),
        sh,
    )


def _unknown(count: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    nan = torch.nan
    return (
        torch.full((count, 4), nan),
        torch.full((count, 3), nan),
        torch.full((count,), nan),
        torch.full((count, 1, 3), nan),
    )


READERS = (
    Reader("bridge4d", (".ply", ".splat", ".spz", ".sog", ".glb", ".usdc", ".usdz", ".4dgs"), by_us),
    Reader("splat-transform", (".ply", ".splat", ".spz", ".sog"), by_splat_transform),
    Reader("PlayCanvas", (".glb",), playcanvas.read_glb),
    Reader("gsply", (".ply", ".spz"), by_gsply, "gsply"),
    Reader("Open3D", ("exact.ply", ".splat"), by_open3d, "open3d"),
    Reader("trimesh", (".glb",), by_trimesh, "trimesh"),
    Reader("pxr", (".usdc", ".usdz"), by_pxr, "pxr"),
    Reader("fourdgs", (".4dgs",), by_fourdgs, "fourdgs"),
)


@dataclass(frozen=True)
class Writer:
    file: str
    axes: Axes
    options: dict
    inherent: Callable[[Gaussians, Path], dict[str, float]]
    """Of a scene and the file that holds it: the largest error that the format's rounding can make."""


def half(step: float, values: int = 1) -> float:
    """The largest rounding error of a vector whose numbers have this step."""
    return step / 2 * math.sqrt(values)


def smallest_three_deg(bits: int, *, signed: bool = False) -> float:
    """The largest angle by which three rounded components of at most 1/√2 turn a rotation.

    Each is off by half a step; the fourth follows and is at least 1/2, which at worst (all four 1/2) makes it off by the
    sum of the three.
    """
    levels = 2 ** (bits - 1) - 1 if signed else (2**bits - 1) / 2
    return _turned_deg(1 / math.sqrt(2) / levels / 2)


def _turned_deg(off: float) -> float:
    return math.degrees(4 * math.asin(math.sqrt(3 * off**2 + (3 * off) ** 2) / 2))


def exact(scene: Gaussians, path: Path) -> dict[str, float]:
    return dict.fromkeys(NAMES, 1e-5) | {"angle_deg": 1e-4, "position_units": 1e-5, "opacity": 1e-6}


def spz(scene: Gaussians, path: Path) -> dict[str, float]:
    basis = _largest_basis()
    return {
        "position_units": half(2**-12, 3),
        "angle_deg": smallest_three_deg(10, signed=True),
        "log_scale": half(1 / 16),
        "opacity": half(1 / 255),
        "color": half(1 / 255 / 0.15) * 0.28209479177387814,
        # 5 bits in the first band, 4 beyond: buckets of 8 and 16 of 128, rounded to their middles
        "view_color": half(8 / 128) * basis[0] + half(16 / 128) * basis[1],
    }


def spz_fine(scene: Gaussians, path: Path) -> dict[str, float]:
    return spz(scene, path) | {"view_color": half(1 / 128) * sum(_largest_basis())}


def dot_splat(scene: Gaussians, path: Path) -> dict[str, float]:
    rest = scene.sh.clone()
    rest[:, 0] = 0
    nothing = replace(scene, sh=torch.zeros_like(rest))
    lost = attribute_errors(replace(scene, sh=rest), nothing)["view_color"]
    # bytes of four components, made unit afterwards
    angle = math.degrees(4 * math.asin(math.sqrt(4) * (1 / 128) / 2 / 2))
    return {
        "position_units": 1e-5, "angle_deg": angle, "log_scale": 1e-5, "opacity": half(1 / 255),
        "color": half(1 / 255), "view_color": lost,
    }  # fmt: skip


def compressed_ply(scene: Gaussians, path: Path) -> dict[str, float]:
    """The steps of the coarsest chunk, from the ranges that stand in the file."""
    data = path.read_bytes()
    chunks = -(-len(scene) // 256)
    start = data.index(b"end_header\n") + len(b"end_header\n")
    ranges = np.frombuffer(data, "<f4", chunks * 18, start).reshape(chunks, 3, 2, 3).astype(np.float64)
    extent = ranges[:, :, 1] - ranges[:, :, 0]
    shape, color = extent[:, :2] / (2 ** np.array([11, 10, 11]) - 1), extent[:, 2] / 255
    return {
        "position_units": float(np.linalg.norm(shape[:, 0], axis=1).max() / 2),
        "angle_deg": smallest_three_deg(10),
        "log_scale": float(shape[:, 1].max() / 2),
        "opacity": half(1 / 255),
        "color": float(color.max() / 2),
        "view_color": half(8 / 256) * sum(_largest_basis()),
    }


def as_splat_transform_writes(scene: Gaussians, path: Path) -> dict[str, float]:
    """Of formats whose steps are the writer's choice: what the other program's file of the same scene errs by."""
    if splat_transform.missing():
        return {}
    source, target = path.with_name("source.ply"), path.with_name(f"its-{path.name}")
    write_scene(scene, source)
    splat_transform.convert(source, target)
    its = by_us(target)
    return attribute_errors(scene, its, order=match_nearest(scene, its))


def fourdgs_fine(scene: Gaussians, path: Path) -> dict[str, float]:
    """What the format's library promises of the profile that is written, per number."""
    from fourdgs.quantization import Bounds

    from recon.scenefiles.formats.fourdgs import PROFILE

    bounds = Bounds.for_profile(PROFILE, median_scale=float(np.median(scene.log_scales.double().exp())))
    return {
        "position_units": math.sqrt(3) * bounds.pos,
        "angle_deg": _turned_deg(bounds.rot),
        "log_scale": -math.log1p(-bounds.scale_rel),
        "opacity": bounds.alpha,
        "color": bounds.rgb,
        "view_color": half(8 / 255) * sum(_largest_basis()),
    }


def _largest_basis() -> tuple[float, float]:
    """Largest Σ|Y| over 64 directions, of the first band and of those beyond: how errors of all coefficients add up."""
    from recon.splats.sh import sh_basis
    from recon.splats.similarity import even_directions

    basis = sh_basis(even_directions(64), 3).abs()
    return float(basis[:, 1:4].sum(1).max()), float(basis[:, 4:].sum(1).max())


WRITERS = (
    Writer("exact.ply", Axes.RDF, {}, exact),
    Writer("chunks.compressed.ply", Axes.RDF, {}, compressed_ply),
    Writer("bytes.splat", Axes.RDF, {}, dot_splat),
    Writer("v3.spz", Axes.RUB, {}, spz),
    Writer("v4.spz", Axes.RUB, {"spz_version": 4}, spz),
    Writer("v3_8bit.spz", Axes.RUB, {"sh_bits": 8}, spz_fine),
    Writer("palette.sog", Axes.RDF, {}, as_splat_transform_writes),
    Writer("khr.glb", Axes.LUF, {}, exact),
    Writer("field.usdc", Axes.RUB, {}, exact),
    Writer("field.usdz", Axes.RUB, {}, exact),
    Writer("one.4dgs", Axes.RUB, {}, fourdgs_fine),
)


@dataclass(frozen=True)
class Arguments:
    count: int = 2000
    """Gaussians."""


def errors_of(found: Gaussians, wanted: Gaussians, order: Tensor | None) -> dict[str, float]:
    """Row by row where the reader keeps the file's order, else the nearest."""
    rows = attribute_errors(wanted, found, order=order)
    # a reader that sorts on its own shows up as errors of the size of the scene
    return (
        rows
        if rows["position_units"] < 1
        else attribute_errors(wanted, found, order=match_nearest(wanted, found))
    )


def main(arguments: Arguments) -> None:
    scene = the_scene(arguments.count)
    wanted = clean(scene)[0]
    table = Table(("file", "reader", *NAMES))
    if reason := splat_transform.missing():
        print(f"splat-transform is left out: {reason}")
    with tempfile.TemporaryDirectory() as folder:
        for writer in WRITERS:
            path = Path(folder) / writer.file
            written = write_scene(scene, path, WriteOptions(**writer.options))
            inherent = writer.inherent(wanted, path)
            in_file = turn_gaussians(wanted, axes_from_rdf(writer.axes))
            for reader in READERS:
                if not path.name.endswith(reader.suffixes) or (
                    reader.name in ("splat-transform", "PlayCanvas") and reason
                ):
                    continue
                if reader.package and importlib.util.find_spec(reader.package) is None:
                    print(f"{reader.name} is left out: not installed")
                    continue
                try:
                    order = None if isinstance(written.order, tuple) else written.order
                    errors = errors_of(reader.read(path), in_file, order)
                except Exception as error:  # what another program cannot read is a finding, not a failure
                    table.add(writer.file, reader.name, f"cannot read: {str(error)[:60]}", *[""] * 5)
                    continue
                if math.isnan(errors["color"]):
                    errors["view_color"] = math.nan
                table.add(
                    writer.file, reader.name, *(_cell(errors[name], inherent.get(name)) for name in NAMES)
                )
    print(table)


def _cell(error: float, inherent: float | None) -> str:
    if math.isnan(error):
        return "–"
    worse = " !" if inherent is not None and error > inherent * 1.001 + 1e-6 else ""
    return f"{error:.2g}" + ("" if inherent is None else f" ({inherent:.2g}){worse}")


if __name__ == "__main__":
    command(main, Arguments, __doc__)
