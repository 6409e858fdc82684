"""Register held-out photos, for judging and nothing else."""

import shutil
from pathlib import Path

import torch

from bridge4d.runs import store, stored_arrays
from bridge4d.runs.stored_json import write_json
from bridge4d.stages import sfm
from recon.clip import Clip
from recon.recovery import Recovery
from recon.sfm.recipes import Recipe
from recon.sfm.register import register

VERSION = 1


def register_heldout(heldout: Path, cameras: Path, out: Path, recipe: Recipe) -> None:
    """Recover the poses of held-out photos against the frozen model of the training photos.

    Args:
        heldout: folder of the held-out photos, without cameras.
        cameras: what `sfm.recover_cameras` wrote.
        out: an empty folder, made where it is absent; gets ``photos`` where at least one could be registered.
    """
    out.mkdir(parents=True, exist_ok=True)
    lens = sfm.load_lens(cameras)
    clip = lens.undistort(store.load_clip(heldout))
    registration = register(
        sfm.load_anchor(cameras),
        clip,
        K=lens.K[None].repeat(len(clip), 1, 1),
        folder=out / ".register",
        recipe=recipe,
    )
    found = registration.recovery
    shutil.rmtree(out / ".register", ignore_errors=True)
    stored_arrays.save_tracks(registration.tracks, out / "tracks.npz")
    if found.cameras is not None:
        kept = clip[found.registered]
        store.save_clip(Clip(kept.images, found.cameras, kept.times_s, kept.names), out / "photos")
    write_json(out / "heldout.json", _summarise(found))


def _summarise(recovery: Recovery) -> dict:
    return {
        "status": recovery.status.value,
        "names": list(recovery.names),
        "registered": recovery.registered.tolist(),
        "inliers": recovery.inliers.tolist(),
        "reprojection_error_px": [
            None if torch.isnan(e) else round(float(e), 4) for e in recovery.reprojection_error_px
        ],
    }
