"""How close are meshes to the truth, and is the default way of making them the best?

    python -m benchmarks.mesh [--only room room-5 pi3_room] [--captures ../shared/captures]

*room* is the built-in room in 16 photos with true cameras, *room-5* every fourth of them and the last, *pi3_room* a
capture of 8 photos with true cameras and depth, most of them of different corners. From the photos a scene is trained as
the loop does it (1200 steps, points from the photos' depth); *from truth* means that the points it started from lie on the
true surface, so that what is measured is the making of the mesh rather than the training. Ways to a mesh:

- null, photos: depth from the photos, all of it, or where at least two photos agree;
- null, expected: the mean depth of the scene along each ray, without any filter;
- median: the depth at which half of a ray's light is blocked, without any filter;
- scene, auto, ring 24: what `bridge4d mesh` does with --depth scene, by default, and with --ring 24;
- 60,000: the default with --faces 60000.

Every way is fused with the same grid and loses the same islands. 200,000 points of the mesh, even by area, are compared
with the truth: the exact depth of the photos, a point for each centimetre. In the room what no photo shows is not asked
for, but is right where it lies (60 exact views from all over the room say where). Distances in millimetres, median and
mean; F-score with precision and recall at 1, 2 and 5 cm. CPU-seconds are of all threads, for the depth, the fusion and the
cleaning; of nulls from photos without their depth, which all but the scene's ways share and which is told apart.

The second table is about colours: the mesh of the room from three places between the photos, against the exact pictures,
where the ray hits the mesh.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.depth import triangulated, true_depth
from benchmarks.machine import describe_machine
from benchmarks.output import Table, command
from benchmarks.source_hash import sources
from bridge4d.runs.run import Run, open_run
from bridge4d.runs.stored_arrays import load_points, save_points
from eval.geometry.surfaces import SurfaceScore, compare_surfaces, sample_surface, thin_points
from recon.cameras import Cameras, backproject, intrinsics, look_at
from recon.capture.read import read_capture
from recon.clip import Clip
from recon.compute.open3d_library import load_open3d
from recon.depth import DepthMaps, multiview_depth, surface_points
from recon.gaussians import Gaussians
from recon.mesh import Mesh, Meshed, SurfaceOptions, mesh_gaussians, mesh_with_texture
from recon.mesh.fuse import fuse
from recon.mesh.tidy import drop_islands
from recon.mesh.views import DepthViews, render_views
from recon.points import PointCloud
from recon.scenefiles import read_scene, write_scene
from recon.splats.fit import FitOptions, fit_gaussians
from recon.splats.render import render
from recon.splats.similarity import even_directions
from recon.splats.start import backdrop_sphere

THRESHOLDS = (0.01, 0.02, 0.05)
"""Metres."""
SPACING = 0.01
SAMPLES = 200_000
START_POINTS = 20_000
ISLAND = SurfaceOptions().min_island


@dataclass(frozen=True)
class Arguments:
    only: tuple[str, ...] = ("room", "room-5", "pi3_room")
    captures: Path = Path("../shared/captures")
    work: Path = Path("runs/mesh-benchmark")
    """Keeps the trained scenes."""
    iterations: int = 1200
    seed: int = 0


@dataclass(frozen=True)
class Truth:
    photos: Clip
    depth: Float[Tensor, "n h w"]
    """Exact, metres."""
    points: PointCloud | None
    """From structure from motion with the true cameras; None: the cameras bound the search for depth."""
    hidden: Float[Tensor, "p 3"] | None
    """True surface beside what the photos show."""

    @property
    def surface(self) -> Float[Tensor, "q 3"]:
        return thin_points(
            backproject(self.depth.double(), self.photos.require_cameras())[self.depth > 0], SPACING
        )


def main(arguments: Arguments) -> None:
    print(describe_machine(torch.get_num_threads()))
    table = Table(
        ["capture", "scene", "way", "accuracy mm", "completeness mm"]
        + [f"F at {100 * t:.0f} cm (precision, recall)" for t in THRESHOLDS]
        + ["triangles", "CPU-s"]
    )
    with open_run(arguments.work) as run:
        for name in arguments.only:
            truth = read_truth(run, name, arguments)
            began = time.process_time()
            maps = multiview_depth(truth.photos, points=truth.points, passes=2)
            print(f"{name}: depth of the photos {time.process_time() - began:.0f} CPU-s")
            for start in ("photos", "truth"):
                scene = trained(run, name, truth, maps, start, arguments)
                for way, make in ways(scene, truth, maps).items():
                    if start == "truth" and "photos" in way:
                        continue  # the scene plays no part
                    began = time.process_time()
                    mesh = make()
                    add_row(table, name, start, way, mesh, truth, time.process_time() - began)
            if name == "room":
                print(colors(trained(run, name, truth, maps, "photos", arguments), truth))
    print(table)


def read_truth(run: Run, name: str, arguments: Arguments) -> Truth:
    if not name.startswith("room"):
        folder = arguments.captures / name
        photos = read_capture(folder).clip
        depth = true_depth(folder, photos)
        assert depth is not None
        done = run.stage(
            f"points/{name}",
            lambda out: save_points(triangulated(photos, out / "sfm")[1], out / "points.npz"),
            depends_on=[sources("recon.sfm", "recon.capture")],
        )
        return Truth(photos, depth, load_points(done.folder / "points.npz"), None)
    from worldgen.models.synthetic import SyntheticRoom

    room = SyntheticRoom()
    cameras = room.cameras(16, width=480, height=320)
    if name == "room-5":
        cameras = cameras[[0, 4, 8, 12, 15]]
    images, depth = room.render(cameras)
    everywhere = cameras_in_the_room()
    all_over = backproject(room.render(everywhere)[1].double(), everywhere).reshape(-1, 3)
    return Truth(Clip(images, cameras), depth, None, thin_points(all_over, SPACING))


def cameras_in_the_room(count: int = 60) -> Cameras:
    """At random places of the room, looking in all directions."""
    generator = torch.Generator().manual_seed(1)
    place = 2 * torch.rand(count, 3, generator=generator, dtype=torch.float64) - 1
    eye = place * torch.tensor([2.8, 2.3, 1.2]) + torch.tensor([0.0, 0.0, 1.35])
    up = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).expand(count, 3)
    K = intrinsics(focal_px=200, width=400, height=400, n=count)
    return Cameras(look_at(eye, eye + even_directions(count), up), K, 400, 400)


def trained(
    run: Run, name: str, truth: Truth, maps: DepthMaps, start: str, arguments: Arguments
) -> Gaussians:
    """A scene of the photos, started on the depth that they gave or on the true surface; kept."""

    def work(out: Path) -> None:
        generator = torch.Generator().manual_seed(arguments.seed)
        known = maps
        if start == "truth":
            known = DepthMaps(truth.depth, (truth.depth > 0).float())
        points = surface_points(truth.photos, known, count=START_POINTS, generator=generator)
        options = FitOptions(iterations=arguments.iterations, cap=50_000)
        found = fit_gaussians(truth.photos, points, options=options, generator=generator)
        write_scene(found.gaussians, out / "scene.ply")

    code = sources("recon.splats", "recon.depth", "worldgen.models.synthetic")
    depends = [arguments.iterations, arguments.seed, code]
    return read_scene(
        run.stage(f"scene/{name}-{start}", work, depends_on=depends).folder / "scene.ply"
    ).gaussians


def ways(scene: Gaussians, truth: Truth, maps: DepthMaps) -> dict[str, Callable[[], Mesh]]:
    photos, cameras = truth.photos, truth.photos.require_cameras()
    shell = backdrop_sphere(cameras, truth.points or PointCloud.empty())
    near = scene[~shell.rows(scene)]

    def fused(depth: Float[Tensor, "n h w"]) -> Mesh:
        return drop_islands(fuse(DepthViews(cameras, photos.images, depth))[0], ISLAND)[0]

    def expected() -> Mesh:
        drawn = render(near, cameras)
        return fused(torch.where(drawn.alpha > 0.5, drawn.depth, 0.0))

    def ours(**options) -> Mesh:
        return meshed(scene, truth, SurfaceOptions(**options)).mesh

    return {
        "null, photos, all": lambda: fused(maps.depth),
        "null, photos, agreed": lambda: fused(torch.where(maps.confidence > 0.5, maps.depth, 0.0)),
        "null, expected": expected,
        "median": lambda: fused(render_views(near, cameras).depth),
        "scene": lambda: ours(depth="scene"),
        "auto": ours,
        "ring 24": lambda: ours(ring=24),
        "60,000": lambda: ours(faces=60_000),
    }


def meshed(scene: Gaussians, truth: Truth, options: SurfaceOptions) -> Meshed:
    return mesh_gaussians(scene, photos=truth.photos, points=truth.points, options=options)


def add_row(table: Table, name: str, start: str, way: str, mesh: Mesh, truth: Truth, seconds: float) -> None:
    points = sample_surface(mesh.vertices, mesh.faces, SAMPLES, torch.Generator().manual_seed(0))
    score = compare_surfaces(points, truth.surface, thresholds=THRESHOLDS, hidden=truth.hidden)
    cells = ["–"] * 5 if score is None else figures(score)
    which = "–" if "photos" in way else f"from {start}"
    table.add(name, which, way, *cells, f"{len(mesh):,}", f"{seconds:.0f}")
    print(" | ".join(table.rows[-1]), flush=True)


def figures(score: SurfaceScore) -> list[str]:
    shares = zip(score.f_score, score.precision, score.recall, strict=True)
    return [
        f"{1000 * score.accuracy_median:.1f}, {1000 * score.accuracy_mean:.1f}",
        f"{1000 * score.completeness_median:.1f}, {1000 * score.completeness_mean:.1f}",
        *(f"{f:.3f} ({p:.3f}, {r:.3f})" for f, p, r in shares),
    ]


def colors(scene: Gaussians, truth: Truth) -> Table:
    """PSNR of pictures of the mesh from places between the photos."""
    from worldgen.models.synthetic import SyntheticRoom

    room = SyntheticRoom()
    cameras = room.cameras(31, width=480, height=320)[[7, 15, 23]]
    expected = room.render(cameras)[0]
    whole = meshed(scene, truth, SurfaceOptions())
    table = Table(["colours", "triangles", "PSNR dB", "CPU-s"])
    small = replace(whole, mesh=meshed(scene, truth, SurfaceOptions(faces=60_000)).mesh)
    table.add("at vertices", f"{len(whole.mesh):,}", psnr(whole.mesh, cameras, expected), "–")
    table.add("at vertices", f"{len(small.mesh):,}", psnr(small.mesh, cameras, expected), "–")
    for side in (1024, 2048, 4096):
        began = time.process_time()
        baked = mesh_with_texture(small, side=side)
        table.add(
            f"texture {side}",
            f"{len(baked):,}",
            psnr(baked, cameras, expected),
            f"{time.process_time() - began:.0f}",
        )
    return table


def psnr(mesh: Mesh, cameras: Cameras, expected: Float[Tensor, "n h w 3"]) -> str:
    errors = []
    for i in range(len(cameras)):
        picture, hit = cast(mesh, cameras[i])
        errors.append((picture - expected[i].numpy())[hit] ** 2)
    return f"{-10 * np.log10(np.concatenate(errors).mean()):.2f}"


def cast(mesh: Mesh, camera: Cameras) -> tuple[np.ndarray, np.ndarray]:
    """A picture of a mesh, [h, w, 3], and where it is hit, [h, w]; nearest texel, or colours between vertices."""
    o3d = load_open3d()

    scene = o3d.t.geometry.RaycastingScene()
    faces = mesh.faces.numpy().astype(np.uint32)
    scene.add_triangles(
        o3d.core.Tensor.from_numpy(mesh.vertices.float().numpy()), o3d.core.Tensor.from_numpy(faces)
    )
    ahead = backproject(torch.ones(1, camera.height, camera.width, dtype=torch.float64), camera)[0]
    origin = camera.centers.double().expand_as(ahead)
    rays = torch.cat([origin, ahead - origin], -1).float().numpy()
    found = scene.cast_rays(o3d.core.Tensor.from_numpy(rays))
    hit = np.isfinite(found["t_hit"].numpy())
    corners = faces[np.where(hit, found["primitive_ids"].numpy(), 0)].astype(np.int64)
    uv = found["primitive_uvs"].numpy()
    share = np.stack([1 - uv.sum(-1), uv[..., 0], uv[..., 1]], -1)[..., None]
    if mesh.texture is None or mesh.uv is None:
        return (mesh.colors.numpy()[corners] * share).sum(-2), hit
    place = (mesh.uv.numpy()[corners] * share).sum(-2)
    h, w, _ = mesh.texture.shape
    row = np.clip(((1 - place[..., 1]) * h).astype(int), 0, h - 1)
    return mesh.texture.numpy()[row, np.clip((place[..., 0] * w).astype(int), 0, w - 1)], hit


if __name__ == "__main__":
    command(main, Arguments, __doc__)
