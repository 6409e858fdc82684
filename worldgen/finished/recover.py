"""Cameras of a finished clip that has no file of them: those that COLMAP recovers beside the photos."""

import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from recon.cameras import intrinsics
from recon.clip import Clip
from recon.clips.pairing import spread_indices
from recon.compute.progress import note
from recon.errors import BridgeError, ReconstructionError
from recon.sfm import build_anchor, register
from recon.sfm.focal import LEAST_FRAMES, estimate_focal

MOST_FRAMES = 120
"""Frames that are registered, spread evenly over a longer clip: each is matched with every photo, and no round asks for as many."""


def recover_frames(clip: Clip, photos: Clip, focal_px: float | None, who: str) -> Clip:
    """The frames that can be registered against posed photos, each with the camera that was recovered; others are left out.

    Of a clip of more than `MOST_FRAMES` so many are tried.

    Args:
        clip: frames of one lens, whose principal point is in the middle.
        photos: with cameras; the frames get theirs in the same frame.
        focal_px: of the frames at their size; None: estimated.
        who: names the clip in errors.

    Raises:
        BridgeError: fewer than two photos.
        ReconstructionError: no frame can be registered, or too few to tell the focal length.
    """
    if len(photos) < 2:
        raise BridgeError(
            f"expected two posed photos or more to recover the cameras of {who} from, got {len(photos)}; give the file of its "
            "cameras (--model.cameras)"
        )
    clip = clip[spread_indices(len(clip), min(MOST_FRAMES, len(clip)))]
    with tempfile.TemporaryDirectory() as scratch:
        anchor = build_anchor(photos, Path(scratch) / "photos")
        focal = focal_px or estimate_focal(anchor, clip, folder=Path(scratch) / "focal")
        if focal is None:
            raise ReconstructionError(
                f"fewer than {LEAST_FRAMES} frames of {who} could be registered against the photos, which is too few to tell its focal length; "
                "give it (--model.focal-px), or a file of its cameras (--model.cameras)"
            )
        K = intrinsics(focal_px=focal, width=clip.width, height=clip.height, n=len(clip))
        found = register(anchor, clip, K=K, folder=Path(scratch) / "frames").recovery
    if found.cameras is None:
        raise ReconstructionError(
            f"none of the {len(clip)} frames of {who} could be registered against the photos: expected a clip of the same place; "
            "give photos that show more of what it shows, or a file of its cameras (--model.cameras)"
        )
    rows = torch.nonzero(found.registered)[:, 0].tolist()
    stated = "estimated" if focal_px is None else "given"
    note(
        f"{who} has no cameras: {len(rows)} of {len(clip)} frames were registered against the photos, with a focal length of "
        f"{focal:.1f} px ({stated}) at {clip.width}x{clip.height}"
    )
    return replace(clip[rows], cameras=found.cameras, times_s=None)
