"""The stages of a reconstruction of what moves: paths in, paths out."""

import math
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from bridge4d.moving.options import MovingOptions
from bridge4d.runs import store, stored_arrays
from bridge4d.runs.plain_names import plain_names
from bridge4d.runs.stored_json import write_json
from bridge4d.runs.typed_json import read_typed
from recon.bounded import read_arrays
from recon.capture.moving import MovingCapture, read_moving_capture
from recon.clip import Clip
from recon.compute.progress import track
from recon.compute.seeds import make_generator
from recon.errors import CaptureError, ReconstructionError, RunFolderError
from recon.lens import undistort_clip
from recon.moving import find_movers
from recon.moving.common_times import share_times
from recon.moving.masks import MIN_FRAMES
from recon.moving.offsets import apply_offsets, find_offsets
from recon.points import PointCloud
from recon.scenefiles import write_scene
from recon.scenefiles.formats.motion_tensors import save_sequence
from recon.sfm import PHOTOS, reconstruct
from recon.splats.fit import fit_gaussians
from recon.splats.moving.fit import fit_sequence
from recon.splats.moving.options import SequenceFit
from recon.splats.moving.start import TimedPoints, find_points
from recon.words import count_noun

VERSION = 3
"""Raised whenever one of these stages writes other results of the same."""
LEAST_CAMERAS = 3
"""Two that train, from which depth is found, and one that judges."""
SCENE, STATIC = "scene.safetensors", "static.ply"
SURFACES, MOVING, STILL = range(3)
"""Streams of random numbers."""
MOST_BYTES = 4 << 30
"""Of masks and timed points in memory."""


class OffsetsSaid(TypedDict):
    """``offsets.json`` of the cameras."""

    offset_s: list[float | None]
    """By how much the clock of each camera is behind that of the first; None where it is undefined."""
    deviation_s: list[float | None]
    applied_s: list[float]
    """What was added to the times of each camera."""
    frame_s: float
    because: list[str]
    """Why an offset is undefined."""


class CapturedSaid(TypedDict):
    """``moving.json`` of the capture."""

    cameras: list[str]
    camera_of: list[int]
    heldout: int
    """Number of the camera that judges."""
    posed: bool
    notes: list[str]


def read_cameras(photos: Path, out: Path, options: MovingOptions) -> None:
    """Read a moving capture; the camera nearest to the middle of their order judges.

    Raises:
        CaptureError: unreadable, or fewer than three cameras.
    """
    found = read_moving_capture(
        photos,
        fps=options.fps,
        max_side=options.max_side,
        max_frames=options.max_frames,
        allow_outside=options.allow_outside,
    )
    if found.heldout is not None:
        raise CaptureError(
            f"{photos} holds {len(found.heldout)} frames of one camera that moves, of which {sum(found.heldout)} judge: they can be read "
            f"(recon.capture.moving), but one moving camera cannot be reconstructed yet; expected {LEAST_CAMERAS} cameras or more that "
            "stand still"
        )
    if len(found.camera_names) < LEAST_CAMERAS:
        raise CaptureError(
            f"expected in {photos} what at least {LEAST_CAMERAS} still cameras filmed at the same times (a folder or a video for each; two "
            f"train, one judges), got {count_noun(len(found.camera_names), 'camera')}; one moving camera cannot be reconstructed yet, and what "
            "stands still is reconstructed without --moving"
        )
    _check_rig(found, photos)
    out.mkdir(parents=True, exist_ok=True)
    names = plain_names(found.clip.names)
    clip = replace(found.clip, names=tuple(names[name] for name in found.clip.names))
    store.save_clip(clip, out / "frames")
    said: CapturedSaid = {
        "cameras": list(found.camera_names),
        "camera_of": list(found.camera_of),
        "heldout": len(found.camera_names) // 2,
        "posed": found.clip.cameras is not None,
        "notes": list(found.notes),
    }
    write_json(out / "moving.json", said)


def _check_rig(found: MovingCapture, photos: Path) -> None:
    """Refuse cameras of which one has more frames than another, or two at one time; each may have a clock of its own. One that moves
    counts as many cameras, each there once.

    Raises:
        CaptureError: names the first, or says that there are too few times.
    """
    assert found.clip.times_s is not None
    times = max(len(found.frames_of(k)) for k in range(len(found.camera_names)))
    for k, name in enumerate(found.camera_names):
        if (count := len(found.frames_of(k))) != times:
            raise CaptureError(
                f"expected cameras that stand still in {photos}, each with as many frames, got {len(found.camera_names)} places, one "
                f"with {times} and {name} with {count}; cameras that move cannot be reconstructed yet"
            )
        if bool((found.clip.times_s[found.frames_of(k)].diff() <= 0).any()):
            raise CaptureError(
                f"expected a time of its own for each frame of {name} in {photos}, got two at one time"
            )
    if times < MIN_FRAMES:
        raise CaptureError(f"expected at least {MIN_FRAMES} frames of every camera in {photos}, got {times}")


def load_capture(folder: Path) -> tuple[MovingCapture, CapturedSaid]:
    """What `read_cameras` wrote."""
    said = read_typed(folder / "moving.json", CapturedSaid)
    clip = store.load_clip(folder / "frames")
    return MovingCapture(clip, tuple(said["camera_of"]), tuple(said["cameras"])), said


def find_rig(captured: Path, out: Path, options: MovingOptions) -> None:
    """Give every frame its camera: that which came along, or the one that COLMAP finds for its still camera; and its time on one clock.

    Raises:
        ReconstructionError: COLMAP could not place all cameras.
    """
    capture, said = load_capture(captured)
    clip = capture.clip
    if not said["posed"]:
        clip = replace(clip, cameras=None)
        count = len(capture.camera_names)
        backgrounds = torch.stack([clip.images[capture.frames_of(k)].median(0).values for k in range(count)])
        rig = Clip(backgrounds, names=capture.camera_names)
        # six photos do not tell six lenses apart from their poses
        found = reconstruct(rig, out / ".sfm", recipe=replace(PHOTOS, seed=options.seed))
        if found.clip is None or len(found.clip) < count:
            placed = () if found.clip is None else found.clip.names
            lost = [name for name in capture.camera_names if name not in placed]
            raise ReconstructionError(
                f"COLMAP placed {len(placed)} of {count} cameras by what stands still in their frames, not {', '.join(lost)}; give their "
                "cameras in a transforms.json, or leave these out"
            )
        clip = undistort_clip(clip, [found.lenses[0]] * len(clip))
        clip = replace(clip, cameras=found.clip.require_cameras()[torch.tensor(capture.camera_of)])
    shutil.rmtree(out / ".sfm", ignore_errors=True)
    if options.sync == "auto":
        clip = _share_clock(clip, capture.camera_of, out)
    store.save_clip(clip, out / "frames")


def _share_clock(clip: Clip, camera_of: Sequence[int], out: Path) -> Clip:
    """The clip with the times of one clock, where the offsets between cameras are sure; ``offsets.json`` has all."""
    found = find_offsets(clip, camera_of)
    said: OffsetsSaid = {
        "offset_s": _finite(found.offset_s),
        "deviation_s": _finite(found.deviation_s),
        "applied_s": found.sure_s.tolist(),
        "frame_s": found.frame_s,
        "because": list(found.because),
    }
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "offsets.json", said)
    return apply_offsets(clip, camera_of, found.sure_s) if bool(found.sure_s.any()) else clip


def _finite(values: Tensor) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values.tolist()]


def load_offsets(cameras: Path) -> OffsetsSaid | None:
    """By how much the clocks of the cameras differ; None where that was not looked for."""
    file = cameras / "offsets.json"
    return read_typed(file, OffsetsSaid) if file.is_file() else None


def load_frames(cameras: Path) -> Clip:
    """All frames with their cameras and times."""
    return store.load_clip(cameras / "frames")


def load_moments(captured: Path, cameras: Path) -> Clip:
    """As `load_frames`, with the times of moments that all cameras share: of cameras with clocks of their own, up to half a frame off."""
    clip = load_frames(cameras)
    assert clip.times_s is not None
    shared = share_times(clip.times_s, _load_camera_of(captured))
    return replace(clip, times_s=shared)


def load_times(captured: Path, cameras: Path) -> Float[Tensor, "t"]:
    """Times of the first camera, which are those of the scene's frames."""
    times = store.open_clip(cameras / "frames").times_s
    assert times is not None
    return times[[i for i, camera in enumerate(_load_camera_of(captured)) if camera == 0]]


def _load_camera_of(captured: Path) -> list[int]:
    """Number of the camera that took each frame."""
    return read_typed(captured / "moving.json", CapturedSaid)["camera_of"]


def find_masks(captured: Path, cameras: Path, out: Path) -> None:
    """Mask what moves in every frame, for cameras that stand still."""
    save_masks(mask_movers(load_frames(cameras), _load_camera_of(captured)), out)


def save_masks(masks: Bool[Tensor, "n h w"], out: Path) -> None:
    """Store masks, a bit a pixel."""
    out.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        out / "masks.npz", moving=np.packbits(masks.numpy(), axis=2), width=np.array([masks.shape[2]])
    )


def mask_movers(clip: Clip, camera_of: Sequence[int]) -> Bool[Tensor, "n h w"]:
    """Where frames show what moves, each camera by itself.

    Args:
        camera_of: number of the camera that took each frame.
    """
    masks = torch.zeros(clip.images.shape[:3], dtype=torch.bool)
    for k in track(sorted(set(camera_of)), "masks of what moves"):
        rows = [i for i, one in enumerate(camera_of) if one == k]
        masks[rows] = find_movers(clip[rows]).moving
    return masks


def load_masks(folder: Path) -> Bool[Tensor, "n h w"]:
    """What `save_masks` wrote."""
    found = _arrays(folder / "masks.npz")
    bits = np.unpackbits(found["moving"], axis=2)[:, :, : int(found["width"][0])]
    return torch.from_numpy(bits.astype(bool))


def find_surfaces(captured: Path, cameras: Path, masks: Path, out: Path, options: MovingOptions) -> None:
    """Points that training starts from, by the cameras that train."""
    rows, _ = split_rows(captured)
    generator = make_generator(options.seed, SURFACES)
    still, timed = find_points(
        load_moments(captured, cameras)[rows],
        load_masks(masks)[rows],
        count=max(options.static.cap // 2, options.moving_gaussians),
        generator=generator,
    )
    out.mkdir(parents=True, exist_ok=True)
    stored_arrays.save_points(still, out / "still.npz")
    stored_arrays.save_points(timed.cloud, out / "timed.npz")
    np.savez_compressed(out / "motion.npz", time_s=timed.time_s.numpy(), velocity=timed.velocity.numpy())


def fit_scene(
    captured: Path, cameras: Path, masks: Path, surfaces: Path, out: Path, options: MovingOptions
) -> None:
    """Train the moving scene, and beside it one that stands still, of the same frames and points."""
    rows, _ = split_rows(captured)
    clip, moving = load_frames(cameras)[rows], load_masks(masks)[rows]
    still, timed = load_points(surfaces)
    fitted = fit_sequence(
        clip,
        moving,
        still,
        timed,
        times_s=load_times(captured, cameras),
        options=options.sequence,
        generator=make_generator(options.seed, MOVING),
    )
    write_fit(fitted, out)
    static = fit_gaussians(
        clip,
        PointCloud.concatenate([still, timed.cloud]),
        options=options.still,
        generator=make_generator(options.seed, STILL),
    )
    write_scene(static.gaussians, out / STATIC)


def write_fit(fitted: SequenceFit, out: Path) -> None:
    """The scene, and how its training went."""
    out.mkdir(parents=True, exist_ok=True)
    save_sequence(fitted.sequence, out / SCENE)
    about = {
        "static": len(fitted.sequence.static),
        "moving": len(fitted.sequence.moving),
        "seconds": round(fitted.seconds, 3),
        "losses": list(fitted.losses),
    }
    write_json(out / "fit.json", about)


def split_rows(captured: Path) -> tuple[list[int], list[int]]:
    """Rows of the frames that train, and of those that judge."""
    said = read_typed(captured / "moving.json", CapturedSaid)
    judge = said["heldout"]
    train = [i for i, camera in enumerate(said["camera_of"]) if camera != judge]
    return train, [i for i, camera in enumerate(said["camera_of"]) if camera == judge]


def load_points(folder: Path) -> tuple[PointCloud, TimedPoints]:
    """What `find_surfaces` wrote."""
    found = _arrays(folder / "motion.npz")
    still, cloud = (stored_arrays.load_points(folder / name) for name in ("still.npz", "timed.npz"))
    return still, TimedPoints(cloud, torch.from_numpy(found["time_s"]), torch.from_numpy(found["velocity"]))


def _arrays(path: Path) -> dict[str, np.ndarray]:
    found = read_arrays(path, most_bytes=MOST_BYTES, largest_file=MOST_BYTES, error=RunFolderError)
    assert isinstance(found, dict)
    return found
