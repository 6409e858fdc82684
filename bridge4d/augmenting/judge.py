"""What held-out photos say of the scenes that were made: for the report, and for nothing else."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from bridge4d.augmenting.options import AugmentOptions
from bridge4d.augmenting.own_renderings import fit_own_renderings
from bridge4d.augmenting.prepare import PreparedPhotos, prepare_heldout
from bridge4d.augmenting.rounds import PlayedRounds, RoundResult
from bridge4d.augmenting.training import fit_baseline
from bridge4d.runs import store
from bridge4d.runs.run import Run
from bridge4d.runs.stages import StageRecord
from bridge4d.stages.scores import VERSION as SCORE_VERSION
from bridge4d.stages.scores import Score, load_score, score_scene
from eval.pictures import perceptual
from eval.results.augment import AUGMENTED, BASELINE, OWN_RENDERINGS, PHOTOS_ONLY
from recon.clip import Clip
from recon.pictures.canvas import find_boxes

HELDOUT_PICTURES_VERSION = 2
"""Of the stage ``eval/heldout``; raised when what it writes of the same input changes."""


@dataclass(frozen=True)
class Judged:
    """Scores of all scenes on the held-out photos."""

    heldout: Clip
    scores: list[Score]
    """Of the photos alone and of every round; of a round that no frame entered that of the scene before."""
    baseline: Score | None
    """Of the trainer before; None where it was not asked for."""
    own_renderings: Score | None = None
    """With own renderings in the place of generated frames; None where that was not asked for, or no frame entered any scene."""


def judge_scenes(
    run: Run,
    prepared: PreparedPhotos,
    base: StageRecord,
    played: PlayedRounds,
    options: AugmentOptions,
    iterations: int | None,
) -> Judged | None:
    """Score the scene of the photos alone and those of all rounds; None where no held-out photo could be registered.

    `options` have the iterations that were chosen, `iterations` are those that were asked for.
    """
    heldout = prepare_heldout(run, prepared, options)
    if heldout is None:
        return None
    baseline = own_renderings = None
    if options.fits_earlier_trainer:
        baseline = _score(run, BASELINE, fit_baseline(run, prepared, options, iterations), heldout)
    shown = shown_round(played.rounds, played.kept)
    if options.fits_own_renderings and shown is not None:
        fitted = fit_own_renderings(run, prepared, base, played.rounds[:shown], options)
        own_renderings = _score(run, OWN_RENDERINGS, fitted, heldout)
    scores = [_score(run, PHOTOS_ONLY, base, heldout)]
    for one in played.rounds:
        entered = one.accepted is not None
        scores.append(_score(run, f"round-{one.number}", one.scene, heldout) if entered else scores[-1])
    return Judged(heldout, scores, baseline, own_renderings)


def best_round(scores: list[Score]) -> int:
    """The index of the scene that held-out photos show best: 0 is photos only, which also wins ties."""
    means = [score.mean_psnr for score in scores]
    return means.index(max(means))


def shown_round(rounds: list[RoundResult], kept: int) -> int | None:
    """Whose scene the report compares with the photos alone: the kept one, else the first that a round made; None where
    no generated frame entered any."""
    if kept > 0:
        return kept
    return next((played.number for played in rounds if played.accepted is not None), None)


def store_heldout_pictures(run: Run, heldout: Clip, shown: int | None) -> None:
    """Store the held-out photos with what the two compared scenes show of them, as a stage of the run."""
    scenes = {PHOTOS_ONLY: run.records[f"eval/{PHOTOS_ONLY}"]}
    if shown is not None:
        scenes[AUGMENTED] = run.records[f"eval/round-{shown}"]

    def work(folder: Path) -> None:
        boxes = find_boxes(heldout)
        for i, name in enumerate(heldout.names):
            stem = Path(name).stem
            store.save_picture(boxes[i].crop(heldout.images[i]), folder / f"{stem}_truth.png")
            for label, scene in scenes.items():
                shutil.copyfile(scene.folder / f"{stem}.png", folder / f"{stem}_{label}.png")

    run.stage(
        "eval/heldout",
        work,
        version=HELDOUT_PICTURES_VERSION,
        earlier={"heldout": store.clip_fingerprint(heldout)}
        | {scene.name: scene.fingerprint for scene in scenes.values()},
    )


def _score(run: Run, name: str, scene: StageRecord, heldout: Clip) -> Score:
    """Score a scene on the held-out photos, as a stage of the run."""
    done = run.stage(
        f"eval/{name}",
        lambda folder: score_scene(scene.folder, heldout, folder),
        version=SCORE_VERSION,
        depends_on={"perceptual metric": str(perceptual.load())[:40]},
        earlier={f"splats/{name}": scene.fingerprint, "heldout": store.clip_fingerprint(heldout)},
    )
    return load_score(done.folder)
