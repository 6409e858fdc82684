"""COLMAP models as plain arrays, which may cross from one process to another."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from recon.colmap.counts import check_counts
from recon.colmap.elsewhere import run_in_child
from recon.colmap.limits import limit_resources
from recon.errors import CaptureError

BASE_MEMORY, MEMORY_FOR_EACH_BYTE = 1 << 30, 40
"""Bytes beyond what the process has; a point of 51 bytes takes 300 in COLMAP and as many again on its way to arrays."""
BASE_CPU_S, BYTES_A_SECOND = 30, 1 << 20
"""Limits on CPU seconds: so many, and one more for so many bytes; ten times what a million points take."""


class Camera(NamedTuple):
    """As `recon.lens.Lens` has it, which takes these four."""

    model: str
    params: tuple[float, ...]
    width: int
    height: int

    @staticmethod
    def of(camera) -> "Camera":
        """Copy of pycolmap's camera."""
        return Camera(camera.model_name, tuple(float(p) for p in camera.params), camera.width, camera.height)

    def colmap(self, *, known: bool = False):
        """The camera as pycolmap's; `known` marks its focal length as exact."""
        from recon.colmap.library import pycolmap

        return pycolmap.Camera(
            model=self.model,
            params=list(self.params),
            width=self.width,
            height=self.height,
            has_prior_focal_length=known,
        )


@dataclass(frozen=True)
class SparseModel:
    """n registered images in the order of their ids, and p points in the order of theirs."""

    image_ids: tuple[int, ...]
    names: tuple[str, ...]
    cameras: tuple[Camera, ...]
    """One camera for each image."""
    cam_from_world: Float[np.ndarray, "n 4 4"]
    """Rigid poses, OpenCV axes, float64."""
    reprojection_error_px: Float[np.ndarray, "n"]
    """Mean over the features of an image that see a point; NaN where none does."""
    inliers: Int[np.ndarray, "n"]
    """Features of each image that see a point."""
    features: tuple[Int[np.ndarray, "_"], ...]
    """For every feature of every image the row of its point, or -1."""
    xyz: Float[np.ndarray, "p 3"]
    """Points in the model's arbitrary unit."""
    rgb: UInt8[np.ndarray, "p 3"]
    error_px: Float[np.ndarray, "p"]
    """Negative where a file does not state it."""
    track_length: float
    """Mean number of images that see a point."""


def read_model(folder: Path, named: Path | None = None) -> SparseModel:
    """The registered images and the points of a model, text or binary, without its features; `named` is what an error calls it.

    Raises:
        CaptureError: COLMAP cannot read it, or it would take more memory or time than a file of its size can need.
    """
    check_counts(folder, named)
    try:
        return _read(folder)
    except CaptureError:
        raise
    except Exception as e:  # pycolmap raises nearly anything on broken files
        reason = (str(e).splitlines() or [type(e).__name__])[0][:160]
        raise CaptureError(f"the COLMAP model in {named or folder} cannot be read ({reason})") from e


@run_in_child
def _read(folder: Path) -> SparseModel:
    from recon.colmap.library import pycolmap

    size = sum(path.stat().st_size for path in folder.iterdir() if path.suffix in (".bin", ".txt"))
    with limit_resources(
        memory=BASE_MEMORY + MEMORY_FOR_EACH_BYTE * size, cpu_s=BASE_CPU_S + size / BYTES_A_SECOND
    ):
        return sparse_model(pycolmap.Reconstruction(str(folder)), observations=False)


def sparse_model(model, *, observations: bool = True) -> SparseModel:
    """The same as plain arrays. Without `observations` nothing is said of features, and errors are NaN."""
    ids = sorted(int(i) for i in model.reg_image_ids())
    images = [model.image(i) for i in ids]
    point_ids = sorted(model.points3D)
    points = [model.point3D(i) for i in point_ids]
    row_of = {i: row for row, i in enumerate(point_ids)}
    seen = [_reprojection(model, image) if observations else (float("nan"), 0) for image in images]
    return SparseModel(
        image_ids=tuple(ids),
        names=tuple(image.name for image in images),
        cameras=tuple(Camera.of(image.camera) for image in images),
        cam_from_world=_stack_rows([_square(image.cam_from_world()) for image in images], (4, 4)),
        reprojection_error_px=np.array([error for error, _ in seen], dtype=np.float64),
        inliers=np.array([count for _, count in seen], dtype=np.int64),
        features=tuple(_rows(image, row_of) for image in images) if observations else (),
        xyz=_stack_rows([point.xyz for point in points], (3,)),
        rgb=_stack_rows([point.color for point in points], (3,), np.uint8),
        error_px=np.array([point.error for point in points], dtype=np.float64),
        track_length=float(model.compute_mean_track_length()) if observations else 0.0,
    )


def _square(cam_from_world) -> Float[np.ndarray, "4 4"]:
    return np.vstack([np.array(cam_from_world.matrix(), dtype=np.float64), [0.0, 0.0, 0.0, 1.0]])


def _stack_rows(rows: Sequence[np.ndarray], shape: tuple[int, ...], dtype: type = np.float64) -> np.ndarray:
    return np.array(rows, dtype=dtype) if len(rows) else np.zeros((0, *shape), dtype)


def _rows(image, row_of: dict[int, int]) -> Int[np.ndarray, "_"]:
    return np.array(
        [row_of[f.point3D_id] if f.has_point3D() else -1 for f in image.points2D], dtype=np.int64
    ).reshape(-1)


def _reprojection(model, image) -> tuple[float, int]:
    """Mean reprojection error of an image's triangulated features in pixels, and their number."""
    errors = []
    for feature in image.get_observation_points2D():
        projected = image.project_point(model.point3D(feature.point3D_id).xyz)
        if projected is not None:
            errors.append(float(np.linalg.norm(projected - feature.xy)))
    return (float(np.mean(errors)), len(errors)) if errors else (float("nan"), 0)
