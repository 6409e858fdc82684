"""How close is the depth of posed photos to the truth, and what does it cost?

    python -m benchmarks.depth [--captures ../shared/captures] [--only lund_door buddha] [--views]

Cameras and points are those of the own structure from motion (its points have no known error below its own
reprojection error). Depth is estimated at a long side of 400 px from all photos and from a sparse subset, and compared
with the z of every point in the photos that observe it: `all` points below 1 px of error, `long` those that
four photos or more observe. *raw* is the depth before completion, *completed* what `multiview_depth` hands out,
*sure* the completed depth where its confidence is above 0.5. Two cautions: points lie on texture, where depth is
easy, and the same points bound the range that is searched. The room with true depth has neither fault; there all
pixels count, and AUSE is the area between the error left when pixels are dropped by confidence and when they
are dropped by the error itself (Ilg et al. 2018), as a share of the mean error; 0 is ideal.
With --passes 2 the search is repeated with what the neighbours found. With --views photos held out judge what `Warp` makes of 6 contexts.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import tyro
from jaxtyping import Bool, Float, Int
from torch import Tensor

from benchmarks.machine import describe_machine
from recon.cameras import project
from recon.capture.colmap_model import point_cloud
from recon.capture.read import read_capture
from recon.clip import Clip
from recon.depth import DepthMaps, multiview_depth
from recon.depth.search import DepthSearch, Engine
from recon.points import PointCloud
from recon.sfm import build_anchor, reconstruct

SFM_SIDE, SIDE = 1000, 400
"""Long sides in pixels of the photos that structure from motion gets, and of those whose depth is measured."""
MAX_ERROR_PX = 1.0
LONG_TRACK = 4
CONTEXTS = 6
"""Photos that `Warp` gets."""


@dataclass(frozen=True)
class Arguments:
    captures: Path = Path("../shared/captures")
    only: tuple[str, ...] = ("lund_door", "buddha", "maryrose", "brighton", "banana", "pi3_room")
    """Names of captures."""
    sfm: Path = Path("runs/depth")
    """Keeps the structure from motion, which takes longer than everything else."""
    sparse_only: bool = False
    passes: tuple[Literal[1, 2], ...] = (1, 2)
    """Of the search; each is measured."""
    engine: Engine = "auto"
    views: bool = False
    """Also score views of `Warp`."""


@dataclass(frozen=True)
class Scene:
    """Photos with cameras, the points of these cameras, and which photo observes which point."""

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
    for name in arguments.only:
        scene = read_scene(arguments, name)
        small = replace(scene, clip=scene.clip.limited(SIDE))
        subsets = [sparse(len(small.clip))]
        if not arguments.sparse_only:
            subsets.insert(0, list(range(len(small.clip))))
        truth = true_depth(arguments.captures / name, small.clip)
        for passes in arguments.passes:
            for picks in subsets:
                report(name, small[picks], None if truth is None else truth[picks], passes, arguments.engine)
            if arguments.views and name in ("lund_door", "buddha"):
                view_psnr(name, small, passes, arguments.engine)


def read_scene(arguments: Arguments, name: str) -> Scene:
    """Of a capture with true cameras these with what they triangulate, of others structure from motion."""
    kept = arguments.sfm / name / "scene.pt"
    if not kept.exists():
        folder = arguments.captures / name
        if read_capture(folder).pose_kind == "ground-truth":
            clip, points, observed = triangulated(read_capture(folder, max_side=SFM_SIDE).clip, kept.parent)
        else:
            clip, points, observed = recovered(folder, kept.parent)
        torch.save(Scene(clip, points, observed, observed.sum(0)), kept)
    return torch.load(kept, weights_only=False)


def triangulated(clip: Clip, out: Path) -> tuple[Clip, PointCloud, Bool[Tensor, "n p"]]:
    anchor = build_anchor(clip, out)
    observed = torch.zeros(len(clip), len(anchor.points), dtype=torch.bool)
    for i, rows in enumerate(anchor.point_of_feature):
        observed[i, rows[rows >= 0]] = True
    return clip, anchor.points, observed


def recovered(folder: Path, out: Path) -> tuple[Clip, PointCloud, Bool[Tensor, "n p"]]:
    """The tracks come from the model on disk: a last adjustment moves its points, but keeps them."""
    import pycolmap

    capture = read_capture(folder, max_side=SFM_SIDE, with_cameras=False)
    focals = [focal for focal in capture.focals_px if focal is not None]
    focal_px = float(np.median(focals)) if focals else None
    ordered = len(capture.clip) > 60  # a turntable: names follow one another as views do
    result = reconstruct(capture.clip, out, focal_prior_px=focal_px, ordered=ordered)
    if result.clip is None:
        raise SystemExit(f"{folder.name}: {result.recovery.status.value}")
    models = [pycolmap.Reconstruction(p) for p in sorted((out / "sparse").iterdir()) if p.is_dir()]
    model = max(models, key=lambda m: (m.num_reg_images(), m.num_points3D()))
    row_of = point_cloud(model)[1]
    slot_of = {i: slot for slot, i in enumerate(result.recovery.registered.nonzero()[:, 0].tolist())}
    observed = torch.zeros(len(result.clip), len(row_of), dtype=torch.bool)
    for image_id in model.reg_image_ids():
        image = model.image(image_id)
        slot = slot_of[int(image.name.split("-")[1])]  # pictures are called photo-00007-name
        observed[slot, [row_of[f.point3D_id] for f in image.points2D if f.has_point3D()]] = True
    if observed.shape[1] != len(result.recovery.points):
        raise SystemExit(f"{folder.name}: the model on disk has other points than the reconstruction")
    return result.clip, result.recovery.points, observed


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
    raw, completed = search.raw(), search.completed()
    return raw, completed, (time.process_time() - started) / len(scene.clip)


def warm_up(engine: Engine) -> None:
    """Compiles the kernels, which is not what is timed."""
    from worldgen.synthetic import SyntheticRoom

    room = SyntheticRoom()
    cameras = room.cameras(9, width=120, height=80)[[3, 4, 5]]
    DepthSearch(Clip(room.render(cameras)[0], cameras), planes=16, passes=2, engine=engine).completed()


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
    print(f"{name:10} {passes} AUSE of confidence {ause(error, completed.confidence[known]):.3f}", flush=True)


def point_errors(
    depth: Float[Tensor, "n h w"], mask: Bool[Tensor, "n h w"], scene: Scene
) -> tuple[Float[Tensor, "q"], Int[Tensor, "q"]]:
    """Relative error at every observation of a point in a masked pixel, and how many photos observe the point."""
    px, z = project(scene.points.xyz, scene.clip.posed())
    h, w = depth.shape[1:]
    column, row = px[..., 0].floor().long(), px[..., 1].floor().long()
    good = scene.observed & (scene.points.error_px < MAX_ERROR_PX) & (z > 0)
    good &= (column >= 0) & (column < w) & (row >= 0) & (row < h)
    photo, point = good.nonzero().T
    at = photo, row[photo, point], column[photo, point]
    seen = mask[at]
    error = (depth[at].double() - z[photo, point]).abs() / z[photo, point]
    return error[seen].float(), scene.tracks[point][seen]


def ause(error: Float[Tensor, "q"], confidence: Float[Tensor, "q"]) -> float:
    """Ties of confidence are broken at random, so that equal confidence says nothing."""
    shuffled = torch.randperm(len(error), generator=torch.Generator().manual_seed(0))
    error, confidence = error.clamp(max=1)[shuffled].double(), confidence[shuffled]

    def remaining(order: Tensor) -> Tensor:
        return error[order].cumsum(0) / torch.arange(1, len(error) + 1)

    by_confidence = remaining(confidence.argsort(descending=True, stable=True))
    return float((by_confidence - remaining(error.argsort())).mean() / error.mean())


def view_psnr(name: str, scene: Scene, passes: Literal[1, 2], engine: Engine) -> None:
    """Of photos held out, drawn from the others as `Warp` draws them."""
    from worldgen.warp import WarpOptions, nearest_photos, see_from

    picks = [round(i * (len(scene.clip) - 1) / (CONTEXTS - 1)) for i in range(CONTEXTS)]
    context, options = scene.clip[picks], WarpOptions()
    maps = multiview_depth(context, points=scene.points, passes=passes, engine=engine)
    scores = []
    for i in (i for i in range(len(scene.clip)) if i not in picks):
        photo, target = scene.clip.images[i], scene.clip.posed()[i]
        near = nearest_photos(context.posed(), maps, target, options.photos)
        made = see_from(context, maps, target, near, options).filled(context.images[near].mean((0, 1, 2)))
        scores.append(float(-10 * (made - photo).square().mean().log10()))
    print(
        f"{name:10} {passes} {CONTEXTS} views, {len(scores)} held out: PSNR of Warp {np.mean(scores):.2f} dB",
        flush=True,
    )


if __name__ == "__main__":
    main(tyro.cli(Arguments))
