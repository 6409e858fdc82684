"""Register held-out photos, for judging and nothing else."""

import shutil
from dataclasses import replace
from pathlib import Path

import torch

from bridge4d.runs import store, stored_arrays
from bridge4d.runs.stored_json import write_json
from bridge4d.stages import capture, sfm
from recon.lens import undistort_clip
from recon.pictures.canvas import find_boxes
from recon.recovery import Recovery
from recon.sfm.recipes import Recipe
from recon.sfm.register import register

VERSION = 3


def register_heldout(captured: Path, cameras: Path, out: Path, recipe: Recipe) -> None:
    """Recover the poses of held-out photos against the frozen model of the training photos.

    A photo through a lens that no registered training photo has is not judged, and ``heldout.json`` names it.

    Args:
        captured: what `capture.read_photos` wrote; its held-out photos have no cameras.
        cameras: what `sfm.recover_cameras` wrote.
        out: an empty folder, made where it is absent; gets ``photos`` where at least one could be registered.
    """
    out.mkdir(parents=True, exist_ok=True)
    clip = store.open_clip(captured / "heldout")
    numbers = capture.group_photos(capture.load_record(captured), clip.names)
    found_lenses = sfm.load_lenses(cameras)
    lens_of = {
        name: lens for name, n in zip(clip.names, numbers, strict=True) if (lens := found_lenses.get(n))
    }
    unknown = [name for name in clip.names if name not in lens_of]
    clip = clip[[i for i, name in enumerate(clip.names) if name in lens_of]]
    lenses = [lens_of[name] for name in clip.names]
    clip = undistort_clip(clip, lenses)
    boxes = find_boxes(clip)
    K = [box.place(lens.K) for box, lens in zip(boxes, lenses, strict=True)]
    registration = register(
        sfm.load_anchor(cameras),
        clip,
        K=torch.stack(K) if K else torch.zeros(0, 3, 3, dtype=torch.float64),
        folder=out / ".register",
        recipe=sfm.load_recipe(cameras, recipe),
    )
    found = registration.recovery
    shutil.rmtree(out / ".register", ignore_errors=True)
    stored_arrays.save_tracks(registration.tracks, out / "tracks.npz")
    if found.cameras is not None:
        store.save_clip(replace(clip[found.registered], cameras=found.cameras), out / "photos")
    write_json(out / "heldout.json", _summarise(found, unknown))


def _summarise(recovery: Recovery, unknown: list[str]) -> dict:
    return {
        "unknown_lens": unknown,
        "status": recovery.status.value,
        "names": list(recovery.names),
        "registered": recovery.registered.tolist(),
        "inliers": recovery.inliers.tolist(),
        "reprojection_error_px": [
            None if torch.isnan(e) else round(float(e), 4) for e in recovery.reprojection_error_px
        ],
    }
