"""The check of the loop: where generated frames were really seen from, and which of them may enter."""

from pathlib import Path

from bridge4d.augmenting.options import AugmentOptions
from eval.judging import gate
from recon.cameras import Cameras
from recon.clip import Clip
from recon.sfm.anchor import Anchor
from recon.sfm.register import Registration, register


def register_blind(anchor: Anchor, clip: Clip, *, folder: Path, options: AugmentOptions) -> Registration:
    """Recovers the poses of frames: pixels and intrinsics are told, never the poses that `clip` brings.

    `folder` is for scratch, and is replaced.
    """
    bare = Clip(images=clip.images, names=clip.names)
    return register(anchor, bare, K=clip.require_cameras().K, folder=folder, recipe=options.recipe)


def judge_frames(
    requested: Cameras, found: Registration, anchor: Anchor, extent: float | None, options: AugmentOptions
) -> list[tuple[gate.Evidence, gate.Decision]]:
    """What is known about each frame, and what the gate says of it, in the order of `requested`.

    Args:
        requested: the cameras that were asked for, one per frame.
        found: the frames, registered against `anchor`.
        anchor: the photos' model.
        extent: of the scene, as `eval.poses.scene_extent` defines it.
        options: the limits are `gate`, in pixels of the frames' size; `frame_poses` says under which pose epipolar
            errors are measured.
    """
    limits = options.gate.at_size(width=requested.width, height=requested.height)
    evidence = gate.collect_evidence(
        requested, found, photos=anchor.cameras, extent=extent, at=options.frame_poses
    )
    return [(item, gate.judge(item, limits)) for item in evidence]
