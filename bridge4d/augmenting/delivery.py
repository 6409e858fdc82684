"""The scene that is delivered: trained on all photos, in the way that the held-out ones have judged."""

from collections.abc import Sequence
from dataclasses import replace

from bridge4d.augmenting.options import AugmentOptions
from bridge4d.augmenting.prepare import PreparedPhotos, estimate_depth
from bridge4d.augmenting.rounds import RoundResult, fit_with_frames
from bridge4d.augmenting.training import fit_scene
from bridge4d.runs.fingerprints import fingerprint_files
from bridge4d.runs.run import Run
from bridge4d.runs.stages import StageRecord
from bridge4d.stages import sfm
from eval.judging.protocols import Protocol

NAME = "all_photos"
"""Folder of the stages of delivery, and name of their scene."""


def deliver_scene(
    run: Run,
    prepared: PreparedPhotos,
    kept: Sequence[RoundResult],
    options: AugmentOptions,
) -> tuple[PreparedPhotos, StageRecord]:
    """Train once more on the training photos, the held-out ones and the frames of the kept rounds.

    Length, dropout and frames are those that were decided before; no figure is measured of this scene, for no photo is left that
    could judge it.

    Args:
        prepared: the training photos; the held-out ones have been registered.
        kept: the rounds whose frames are in the kept scene.
        options: with the iterations and dropout that were chosen.

    Returns:
        All photos with their cameras and depth, and the scene.
    """
    recovered = prepared.protocol is Protocol.FROM_SCRATCH
    captured = prepared.captured.folder
    source = run.records["heldout"].folder / "photos" if recovered else captured / "heldout"
    cameras = run.stage(
        f"{NAME}/sfm",
        lambda folder: sfm.join_heldout(
            prepared.cameras.folder, source, folder, options.recipe, judge=recovered
        ),
        version=sfm.VERSION,
        depends_on={"judge": recovered, "seed": options.seed},
        earlier={"sfm": prepared.cameras.fingerprint, "heldout": fingerprint_files(source)},
    )
    surfaces = estimate_depth(run, cameras, options, name=f"{NAME}/depth")
    everything = replace(prepared, cameras=cameras, surfaces=surfaces)
    if kept:
        return everything, fit_with_frames(run, NAME, everything, kept, options)
    return everything, fit_scene(run, NAME, everything, options)
