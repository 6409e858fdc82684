"""Mapping of verified pairs to a `Recovery`: on one thread, the same every time."""

import logging
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from recon.cameras import Cameras
from recon.clip import PictureSet
from recon.colmap.database import image_ids
from recon.colmap.mappers import MapperSettings, adjust, map_pairs
from recon.colmap.mappers import calibrate as calibrate_lenses
from recon.colmap.model import Camera, SparseModel
from recon.errors import RecoveryStatus
from recon.lens import Lens
from recon.pictures.canvas import Box, find_boxes
from recon.points import PointCloud
from recon.recovery import Recovery
from recon.sfm.recipes import Recipe

log = logging.getLogger(__name__)

FIRST_FOCAL_IN_LONG_SIDES = 1.2
"""COLMAP's guess for an unknown lens: a field of view of 45 degrees along the long side, which the mapper refines."""
MIN_REGISTERED_SHARE = 0.9
"""Share of the pictures that the global mapper must hold for 'either' not to try the incremental one: the share that
`eval` asks of a recovered clip, so that no clip is given up that the slower mapper may save."""


def map_by_recipe(
    recipe: Recipe,
    database: Path,
    clip: PictureSet,
    folder: Path,
    *,
    fixed: bool,
    keypoints: Sequence[Float[Tensor, "_ 2"]] | None = None,
    refine: bool = False,
) -> Recovery:
    """Map verified pairs with the mapper, settings and seed of a recipe; see `map_database`."""
    if recipe.mapper == "either":
        return recover_by_either(
            recipe,
            lambda one: map_by_recipe(
                one,
                database,
                clip,
                folder,
                fixed=fixed,
                keypoints=keypoints,
                refine=refine,
            ),
        )
    return map_database(
        database,
        clip,
        folder,
        keypoints=keypoints,
        mapper=recipe.mapper,
        settings=recipe.mapping,
        fixed=fixed,
        calibrate=recipe.calibrate,
        refine=refine,
        seed=recipe.seed,
    )


def recover_by_either(recipe: Recipe, recover: Callable[[Recipe], Recovery]) -> Recovery:
    """Recover by the global mapper, and where it holds too few pictures by the incremental one too.

    Args:
        recover: recovers by a recipe with one of the two mappers.

    Returns:
        The recovery with more registered pictures; of equals that with more points, then the global one.
    """
    found = recover(replace(recipe, mapper="global"))
    if found.registered.double().mean() >= MIN_REGISTERED_SHARE:
        return found
    other = recover(replace(recipe, mapper="incremental"))
    return max(found, other, key=lambda r: (int(r.registered.sum()), len(r.points)))


def map_database(
    database: Path,
    clip: PictureSet,
    folder: Path,
    *,
    keypoints: Sequence[Float[Tensor, "_ 2"]] | None = None,
    mapper: Literal["incremental", "global"],
    settings: MapperSettings,
    fixed: bool,
    calibrate: bool = False,
    refine: bool = False,
    seed: int,
) -> Recovery:
    """Map verified pairs to the largest model, or a status that says why there is none.

    Args:
        database: its images are the pictures of `clip`, in order, in pixels of their boxes.
        folder: for scratch; replaced.
        keypoints: of every picture, in pixels of `clip`, from which points get their colours; None: points are black.
        fixed: intrinsics that are exact by the database are kept.
        calibrate: estimate focal lengths from the fundamental matrices first (in a copy) and start from them.
        refine: see `recon.colmap.mappers.map_pairs`.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if calibrate and not fixed:
        copy = folder / "calibrated.db"
        shutil.copy(database, copy)
        database = copy
        if failed := calibrate_lenses(database, seed=seed):
            log.info("no focal length from the view graph: %s", failed)
    mapped = map_pairs(
        database,
        folder / "sparse",
        mapper=mapper,
        settings=settings,
        images=len(clip),
        fixed_lens=fixed,
        refine=refine,
        seed=seed,
    )
    if mapped.failed:
        log.info("the %s mapper failed: %s", mapper, mapped.failed)
        return empty_recovery(clip, RecoveryStatus.FAILED)
    if mapped.largest is None:
        return empty_recovery(
            clip, RecoveryStatus.NO_MODEL if mapped.found else RecoveryStatus.NO_INITIAL_PAIR
        )
    return _recovery(clip, mapped.largest, mapped.sizes, image_ids(database), keypoints)


def map_given(
    recipe: Recipe,
    database: Path,
    clip: PictureSet,
    folder: Path,
    *,
    cameras: Sequence[Camera],
    cam_from_world: Float[Tensor, "n 4 4"],
    keypoints: Sequence[Float[Tensor, "_ 2"]] | None = None,
) -> Recovery:
    """Adjust poses that are roughly known to verified pairs, and their lenses with them.

    Args:
        database: as of `map_database`.
        cameras: a first lens for each picture, for its box.
        cam_from_world: NaN for pictures without a pose.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    ids = image_ids(database)
    posed = cam_from_world.isfinite().flatten(1).all(1).nonzero()[:, 0].tolist()
    if len(posed) < recipe.mapping.min_images:
        return empty_recovery(clip, RecoveryStatus.NO_MODEL)
    model = adjust(
        database,
        folder / "sparse",
        [ids[i] for i in posed],
        [cameras[i] for i in posed],
        cam_from_world[posed, :3].double().numpy(),
        recipe.mapping,
        seed=recipe.seed,
    )
    if model is None:
        return empty_recovery(clip, RecoveryStatus.FAILED)
    return _recovery(clip, model, (len(posed),), ids, keypoints)


def empty_recovery(clip: PictureSet, status: RecoveryStatus) -> Recovery:
    """A recovery without any registered picture."""
    n = len(clip)
    return Recovery(
        status=status,
        names=clip.names,
        registered=torch.zeros(n, dtype=torch.bool),
        cameras=None,
        points=PointCloud.empty(),
        reprojection_error_px=torch.full((n,), torch.nan, dtype=torch.float64),
        inliers=torch.zeros(n, dtype=torch.long),
        num_models=0,
    )


def spread_recovery(recovery: Recovery, rows: Sequence[int], names: tuple[str, ...]) -> Recovery:
    """The same recovery, of a larger clip: its pictures have the numbers `rows`, the others are not registered."""
    at = torch.tensor(list(rows), dtype=torch.long)
    registered = torch.zeros(len(names), dtype=torch.bool)
    inliers = torch.zeros(len(names), dtype=torch.long)
    error = torch.full((len(names),), torch.nan, dtype=torch.float64)
    registered[at], inliers[at], error[at] = (
        recovery.registered,
        recovery.inliers,
        recovery.reprojection_error_px,
    )
    status = RecoveryStatus.OK if bool(registered.all()) else RecoveryStatus.PARTIAL
    return replace(
        recovery,
        status=status,
        names=names,
        registered=registered,
        inliers=inliers,
        reprojection_error_px=error,
    )


def select_registered(recovery: Recovery, kept: Bool[Tensor, "r"]) -> Recovery:
    """The same recovery without some of its r registered pictures; the points stay."""
    assert recovery.cameras is not None
    rows = recovery.registered.nonzero()[kept, 0]
    one = replace(
        recovery,
        registered=torch.ones(len(rows), dtype=torch.bool),
        cameras=recovery.cameras[kept],
        lenses=tuple(lens for lens, keep in zip(recovery.lenses, kept.tolist(), strict=True) if keep),
        inliers=recovery.inliers[rows],
        reprojection_error_px=recovery.reprojection_error_px[rows],
    )
    return spread_recovery(one, rows.tolist(), recovery.names)


def _recovery(
    clip: PictureSet,
    model: SparseModel,
    sizes: tuple[int, ...],
    ids: list[int],
    keypoints: Sequence[Float[Tensor, "_ 2"]] | None,
) -> Recovery:
    row_of = {image_id: row for row, image_id in enumerate(model.image_ids)}
    registered = torch.tensor([i in row_of for i in ids])
    rows = [row_of[i] for i in ids if i in row_of]
    n = len(clip)
    error, inliers = torch.full((n,), torch.nan, dtype=torch.float64), torch.zeros(n, dtype=torch.long)
    error[registered] = torch.from_numpy(model.reprojection_error_px[rows])
    inliers[registered] = torch.from_numpy(model.inliers[rows])
    lenses = [Lens(*model.cameras[row]) for row in rows]
    pinholes = {lens: lens.K for lens in set(lenses)}
    kept = registered.nonzero()[:, 0].tolist()
    boxes = find_boxes(clip)
    K = torch.stack([boxes[i].place(pinholes[lens]) for i, lens in zip(kept, lenses, strict=True)])
    cameras = Cameras(torch.from_numpy(model.cam_from_world[rows]), K, clip.width, clip.height)
    points = PointCloud.from_arrays(model.xyz, model.rgb, model.error_px)
    if keypoints is not None:
        seen = [torch.from_numpy(model.features[row]) for row in rows]
        points = color_points(points, clip.images[kept], [keypoints[i] for i in kept], seen)
    return Recovery(
        status=RecoveryStatus.OK if bool(registered.all()) else RecoveryStatus.PARTIAL,
        names=clip.names,
        registered=registered,
        cameras=cameras,
        points=points,
        reprojection_error_px=error,
        inliers=inliers,
        num_models=len(sizes),
        model_sizes=sizes,
        track_length=model.track_length,
        lenses=tuple(lenses),
    )


def color_points(
    points: PointCloud,
    images: Iterable[Float[Tensor, "h w 3"]],
    keypoints: Sequence[Float[Tensor, "_ 2"]],
    point_of_feature: Sequence[Int[Tensor, "_"]],
) -> PointCloud:
    """Give points the mean colour of the pictures that see them (bilinear); others keep theirs.

    Args:
        images: sRGB in [0, 1], all of one size.
        keypoints: of each picture, in its pixels.
        point_of_feature: for every one of them the row of its point, or -1.
    """
    total = torch.zeros(len(points), 3)
    count = torch.zeros(len(points))
    for image, xy, rows in zip(images, keypoints, point_of_feature, strict=True):
        seen = rows >= 0
        size = torch.tensor([image.shape[1], image.shape[0]], dtype=torch.float64)
        # without align_corners, grid_sample has the first pixel's centre at (0.5, 0.5) as we do
        grid = (2 * xy[seen] / size - 1).float()[None, None]
        colors = torch.nn.functional.grid_sample(
            image.permute(2, 0, 1)[None], grid, padding_mode="border", align_corners=False
        )
        total.index_add_(0, rows[seen], colors[0, :, 0].T)
        count.index_add_(0, rows[seen], torch.ones(int(seen.sum())))
    found = count > 0
    rgb = points.rgb.clone()
    rgb[found] = (total[found] / count[found, None]).to(rgb.dtype)
    return PointCloud(points.xyz, rgb, points.error_px)


def guess_cameras(
    clip: PictureSet, K: Float[Tensor, "n 3 3"] | None, focals_px: Sequence[float | None] | None = None
) -> list[Camera]:
    """First camera of each picture: the known pinhole, or a focal length and one coefficient of distortion.

    Two free focal lengths would fit squeezed videos better, and run away from each other in all that are hard. Without one of
    `focals_px` the focal length is COLMAP's guess. The pinhole is one of the whole canvas, an unknown lens one of the picture's box.
    """
    if K is not None:
        return [Lens.pinhole(each, width=clip.width, height=clip.height).plain() for each in K]
    return [
        _guess_camera(box, focal_px)
        for box, focal_px in zip(find_boxes(clip), focals_px or [None] * len(clip), strict=True)
    ]


def _guess_camera(box: Box, focal_px: float | None) -> Camera:
    if focal_px is None:
        focal_px = FIRST_FOCAL_IN_LONG_SIDES * max(box.width, box.height)
    params = (float(focal_px), box.width / 2, box.height / 2, 0.0)
    return Camera("SIMPLE_RADIAL", params, box.width, box.height)
