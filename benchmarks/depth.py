"""How close is the depth of posed photos to the truth, and what does it cost?

    python -m benchmarks.depth [--captures ../shared/captures] [--only lund_door buddha]

Cameras and points are those of the own structure from motion; where true cameras come along, these cameras and the
points triangulated with them. No error of the points is known beside their own reprojection error. Depth is estimated
at a long side of 400 px from all photos and from a sparse subset, and compared with the z of every point in the photos
that observe it: `all` points below 1 px of error, `long` those that four photos or more observe. *raw* is the depth
before completion, *completed* what `multiview_depth` hands out, *sure* the completed depth where its confidence is
above 0.5. Two cautions: points lie on texture, where depth is easy, and the same points bound the range that is
searched. The room with true depth has neither fault; there all pixels count, and AUSE says how well confidence ranks
the relative errors, those above 1 counted as 1 (Ilg et al. 2018 with RMSE, see `eval.stats.calibration.ause`); 0 is ideal.
With --passes 2 the search is repeated with what the neighbours found. Structure from motion is kept; started again it
is only read.
"""

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from benchmarks.machine import describe_machine
from benchmarks.output import command, number
from benchmarks.source_hash import sources
from bridge4d.runs.fingerprints import fingerprint_files
from bridge4d.runs.run import Run, open_run
from bridge4d.runs.stored_arrays import load_points, save_points
from eval.stats.calibration import ause
from recon.cameras import Cameras, project
from recon.capture.read import read_capture
from recon.clip import Clip
from recon.depth import DepthMaps
from recon.depth.search import DepthSearch, Engine
from recon.errors import BridgeError
from recon.points import PointCloud
from recon.sfm import build_anchor, reconstruct

SFM_SIDE, SIDE = 1000, 400
"""Long sides in pixels of the photos that structure from motion gets, and of those whose depth is measured."""
MAX_ERROR_PX = 1.0
LONG_TRACK = 4


@dataclass(frozen=True)
class Arguments:
    captures: Path = Path("../shared/captures")
    only: tuple[str, ...] = ("lund_door", "buddha", "maryrose", "brighton", "banana", "pi3_room")
    """Names of captures."""
    sfm: Path = Path("runs/depth_sfm")
    """Keeps the structure from motion, which takes longer than everything else."""
    sparse_only: bool = False
    passes: tuple[Literal[1, 2], ...] = (1, 2)
    """Of the search; each is measured."""
    engine: Engine = "auto"


@dataclass(frozen=True)
class Scene:
    """Photos with cameras at `SIDE`, the points of these cameras, and which photo observes which point."""

    clip: Clip
    points: PointCloud
    observed: Bool[Tensor, "n p"]
    tracks: Int[Tensor, "p"]
    """How many photos of the whole capture observe a point."""

    def __getitem__(self, picks: list[int]) -> "Scene":
        return replace(self, clip=self.clip[picks], observed=self.observed[picks])


def main(arguments: Arguments) -> None:
    print(describe_machine(torch.get_num_threads()))
    warm_up(arguments.engine)
    print(
        "capture photos pixels passes what | median % | within 2% (all, long) | share of pixels | CPU-s a photo"
    )
    with open_run(arguments.sfm) as run:
        for name in arguments.only:
            scene = read_scene(run, arguments.captures / name)
            subsets = [sparse(len(scene.clip))]
            if not arguments.sparse_only:
                subsets.insert(0, list(range(len(scene.clip))))
            truth = true_depth(arguments.captures / name, scene.clip)
            for passes in arguments.passes:
                for picks in subsets:
                    part = None if truth is None else truth[picks]
                    report(name, scene[picks], part, passes, arguments.engine)


def read_scene(run: Run, folder: Path) -> Scene:
    """Of a capture with true cameras these with what they triangulate, of others structure from motion; kept.

    Raises:
        BridgeError: no such capture, or COLMAP makes no scene of it.
    """

    def work(out: Path) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            if read_capture(folder).pose_kind == "ground-truth":
                whole = read_capture(folder, max_side=SFM_SIDE).clip
                clip, points, observed = triangulated(whole, Path(scratch))
            else:
                clip, points, observed = recovered(folder, Path(scratch))
        small = clip.limit_size(SIDE)
        cameras = small.require_cameras()
        np.savez(
            out / "scene.npz", images=small.images.numpy(), names=np.array(small.names), observed=observed.numpy(),
            cam_from_world=cameras.cam_from_world.numpy(), K=cameras.K.numpy(),
        )  # fmt: skip
        save_points(points, out / "points.npz")

    code = sources("recon.sfm", "recon.capture", "bridge4d.runs.store")
    depends = [fingerprint_files(folder), SFM_SIDE, SIDE, code]
    kept = run.stage(f"scene/{folder.name}", work, depends_on=depends).folder
    with np.load(kept / "scene.npz") as scene:
        images, poses, K, observed = (
            torch.from_numpy(scene[key]) for key in ("images", "cam_from_world", "K", "observed")
        )
        names = tuple(scene["names"].tolist())
    cameras = Cameras(poses, K, images.shape[2], images.shape[1])
    return Scene(
        Clip(images, cameras, names=names), load_points(kept / "points.npz"), observed, observed.sum(0)
    )


def triangulated(clip: Clip, out: Path) -> tuple[Clip, PointCloud, Bool[Tensor, "n p"]]:
    anchor = build_anchor(clip, out)
    observed = torch.zeros(len(clip), len(anchor.points), dtype=torch.bool)
    for i, rows in enumerate(anchor.point_of_feature):
        observed[i, rows[rows >= 0]] = True
    return clip, anchor.points, observed


def recovered(folder: Path, out: Path) -> tuple[Clip, PointCloud, Bool[Tensor, "n p"]]:
    """Photos with the cameras of the own structure from motion, and what is triangulated with these."""
    capture = read_capture(folder, max_side=SFM_SIDE, with_cameras=False)
    focals = [focal for focal in capture.focals_px if focal is not None]
    focal_px = float(np.median(focals)) if focals else None
    ordered = len(capture.clip) > 60  # a turntable: names follow one another as views do
    result = reconstruct(capture.clip, out / "found", focal_prior_px=focal_px, ordered=ordered)
    if result.clip is None:
        raise BridgeError(f"expected photos of one scene in {folder}, got: {result.recovery.status.value}")
    return triangulated(result.clip.load(), out / "triangulated")


def sparse(n: int) -> list[int]:
    """Every second photo, or so few that at most ten are left."""
    return list(range(0, n, max(2, -(-n // 10))))


def true_depth(folder: Path, clip: Clip) -> Float[Tensor, "n h w"] | None:
    """In metres, read at the nearest pixel; 0 where there is none."""
    from PIL import Image

    files = [folder / "depth" / f"{Path(name).stem}.png" for name in clip.names]
    if not all(file.exists() for file in files):
        return None
    size = (clip.width, clip.height)
    maps = [np.array(Image.open(file).resize(size, Image.Resampling.NEAREST), np.float32) for file in files]
    return torch.from_numpy(np.stack(maps)) / 1000


def estimate(scene: Scene, passes: Literal[1, 2], engine: Engine) -> tuple[DepthMaps, DepthMaps, float]:
    """Raw and completed depth, and CPU-seconds a photo."""
    started = time.process_time()
    search = DepthSearch(scene.clip, points=scene.points, passes=passes, engine=engine)
    raw, completed = search.raw(), search.complete()
    return raw, completed, (time.process_time() - started) / len(scene.clip)


def warm_up(engine: Engine) -> None:
    """Compiles the kernels, which is not what is timed."""
    from worldgen.models.synthetic import SyntheticRoom

    room = SyntheticRoom()
    cameras = room.cameras(9, width=120, height=80)[[3, 4, 5]]
    DepthSearch(Clip(room.render(cameras)[0], cameras), planes=16, passes=2, engine=engine).complete()


def report(
    name: str,
    scene: Scene,
    truth: Float[Tensor, "n h w"] | None,
    passes: Literal[1, 2],
    engine: Engine,
) -> None:
    raw, completed, seconds = estimate(scene, passes, engine)
    h, w = raw.depth.shape[1:]
    sure = completed.confidence > 0.5
    everywhere = torch.ones_like(sure)
    for what, depth, mask in (
        ("raw", raw.depth, everywhere),
        ("completed", completed.depth, everywhere),
        ("sure", completed.depth, sure),
    ):
        error, tracks = point_errors(depth, mask, scene)
        within = (error < 0.02).float()
        print(
            f"{name:10} {len(scene.clip):2} {w}x{h} {passes} {what:9} | {100 * error.median():.3f} | "
            f"{100 * within.mean():.1f} {100 * within[tracks >= LONG_TRACK].mean():.1f} | "
            f"{100 * mask.float().mean():.1f} | {seconds:.2f}",
            flush=True,
        )
    if truth is None:
        return
    known = truth > 0
    for what, depth, mask in (
        ("raw", raw.depth, known), ("completed", completed.depth, known), ("sure", completed.depth, known & sure),
    ):  # fmt: skip
        error = ((depth - truth).abs() / truth)[mask]
        print(
            f"{name:10} {len(scene.clip):2} {passes} {what:9} against true depth: median {100 * error.median():.3f}%, "
            f"within 2% {100 * (error < 0.02).float().mean():.1f}, 5% {100 * (error < 0.05).float().mean():.1f}"
        )
    error = ((completed.depth - truth).abs() / truth)[known]
    ranked = ause(error.clamp(max=1), -completed.confidence[known])
    print(f"{name:10} {passes} AUSE of confidence {number(ranked, '{:.3f}')}", flush=True)


def point_errors(
    depth: Float[Tensor, "n h w"], mask: Bool[Tensor, "n h w"], scene: Scene
) -> tuple[Float[Tensor, "q"], Int[Tensor, "q"]]:
    """Relative error at every observation of a point in a masked pixel, and how many photos observe the point."""
    photo, point, at, z = observations(scene, depth.shape[1], depth.shape[2])
    seen = mask[at]
    error = (depth[at].double() - z[photo, point]).abs() / z[photo, point]
    return error[seen].float(), scene.tracks[point][seen]


def observations(
    scene: Scene, h: int, w: int
) -> tuple[Int[Tensor, "q"], Int[Tensor, "q"], tuple[Tensor, Tensor, Tensor], Float[Tensor, "n p"]]:
    """Photo, point and pixel of every good observation in pictures of this size, and the z of all points in all photos."""
    px, z = project(scene.points.xyz, scene.clip.require_cameras())
    column, row = px[..., 0].floor().long(), px[..., 1].floor().long()
    good = scene.observed & (scene.points.error_px < MAX_ERROR_PX) & (z > 0)
    good &= (column >= 0) & (column < w) & (row >= 0) & (row < h)
    photo, point = good.nonzero().T
    return photo, point, (photo, row[photo, point], column[photo, point]), z


if __name__ == "__main__":
    command(main, Arguments, __doc__)
