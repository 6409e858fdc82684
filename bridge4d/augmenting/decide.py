"""Whether generated frames are kept: asked of training photos that are left out in turn, never of held-out ones.

In a group of a trial the world model is asked anew by the other photos alone, so that no frame knows what it is judged by.
"""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge4d.augmenting.options import AugmentOptions
from bridge4d.augmenting.prepare import PreparedPhotos
from bridge4d.augmenting.training import choose_frame_share, fit_options
from bridge4d.runs.fingerprints import fingerprint_scenes, options_to_json, pick_options
from bridge4d.runs.run import Run
from bridge4d.runs.stages import StageRecord
from bridge4d.stages import decide, frames, trial, views
from bridge4d.stages.decide import DecisionRecord
from recon.clips.pairing import spread_indices
from recon.compute.progress import note
from recon.splats.fitting.choose import LEAST_PHOTOS

if TYPE_CHECKING:
    from worldgen.model import WorldModel

MOST_GROUPS = 3
"""Groups that are left out in turn: each costs a depth, two small fits and the frames of every round, so twice as many take twice
the time."""
LEFT_OUT_SHARE = 6
"""One photo of so many is left out in a group: with more gone, generated views would be worth more than they are to all photos."""
FRAMES_DIVISOR = 2
"""A trial asks for half the frames of a round, those that are planned first: generating takes most of its time, and frames have the
same share of the training however many they are."""


def group_photos(n: int) -> list[list[int]]:
    """Which of n photos are left out together: groups of photos far from each other, and spread over all.

    Of five and more the first and the last stay: along a path nobody else sees what these see, and views of it would be invented.
    """
    groups = min(MOST_GROUPS, n)
    count = groups * max(1, n // LEFT_OUT_SHARE)
    first, among = (1, n - 2) if n - 2 >= count else (0, n)
    left_out = [first + i for i in spread_indices(among, count)]
    return [left_out[i::groups] for i in range(groups)]


@dataclass
class Trials:
    """Trials of the rounds of one run, group by group."""

    run: Run
    prepared: PreparedPhotos
    options: AugmentOptions
    """With the iterations and dropout that were chosen."""
    alone: list[StageRecord] = field(default_factory=list)
    """For every group the scene of the other photos."""
    rounds: list[list[StageRecord]] = field(default_factory=list)
    """For every round and group the scene with the frames accepted so far."""

    def decide(self, number: int) -> DecisionRecord:
        """Whether the scene of round `number` is better than the one before; the rounds before were asked about."""
        if why := self._find_no_judges():
            done = self.run.stage(
                f"decide/round-{number}",
                lambda folder: decide.decide_nothing(why, folder),
                version=decide.VERSION,
                depends_on={"why": why},
                earlier={"sfm": self.prepared.cameras.fingerprint},
            )
            return decide.load_record(done.folder)
        groups = group_photos(self._count_photos())
        if not self.alone:
            note(f"deciding by {sum(map(len, groups))} training photos, left out in {len(groups)} turns")
            self.alone = [self._begin(i, group) for i, group in enumerate(groups, start=1)]
        model = functools.cache(
            lambda: self.options.load_model(self.run.folder)
        )  # once, and only where a trial is not done yet
        self.rounds.append([self._play(i, number, model) for i in range(1, 1 + len(groups))])
        done = self.run.stage(
            f"decide/round-{number}",
            lambda folder: decide.decide(
                [begun.folder for begun in self.alone],
                [[played.folder for played in groups] for groups in self.rounds],
                folder,
            ),
            version=decide.VERSION,
            earlier={
                stage.name: stage.fingerprint for stages in (self.alone, *self.rounds) for stage in stages
            },
        )
        return decide.load_record(done.folder)

    def _count_photos(self) -> int:
        photos = self.prepared.photos
        assert photos is not None
        return len(photos)

    def _find_no_judges(self) -> str:
        """Why no photo can be left out; '' where some can."""
        if (n := self._count_photos()) < LEAST_PHOTOS:
            return (
                f"of {n} registered training photos none can be left out to decide by, and generated views are kept only where they "
                "were seen to help (--keep augmented keeps them)"
            )
        if self.options.start is not None:
            return (
                "the scene to start from may show the photos that would be left out to decide by, and generated views are kept only "
                "where they were seen to help (--keep augmented keeps them)"
            )
        return ""

    def _begin(self, group: int, left_out: Sequence[int]) -> StageRecord:
        cameras, options = self.prepared.cameras, self.options
        training = self._training(group)
        return self.run.stage(
            f"decide/group-{group}",
            lambda folder: trial.begin_trial(cameras.folder, folder, left_out=left_out, training=training),
            version=trial.VERSION,
            depends_on={"left out": left_out}
            | pick_options(options, "max_side", "seed", "max_gaussians")
            | options_to_json(training.options),
            earlier={"sfm": cameras.fingerprint},
        )

    def _play(self, group: int, number: int, model: "Callable[[], WorldModel]") -> StageRecord:
        options = self.options
        count = math.ceil(options.novel / FRAMES_DIVISOR)
        begun, earlier = self.alone[group - 1], [played[group - 1] for played in self.rounds]
        return self.run.stage(
            f"decide/group-{group}-round-{number}",
            lambda folder: trial.play_trial_round(
                self.prepared.cameras.folder,
                begun.folder,
                [stage.folder for stage in earlier],
                folder,
                asked=trial.TrialRound(
                    number=number,
                    model=model(),
                    count=count,
                    support=options.support,
                    recipe=options.recipe,
                    gate=options.gate,
                    frame_poses=options.frame_poses,
                    weight=options.generated_weight,
                    weigh_by_confidence=options.weigh_by_confidence,
                    check_content=options.check_content,
                    scale=self.prepared.scale,
                    given_from_scene=self.prepared.given_from_scene,
                ),
                training=self._training(group),
            ),
            version=trial.ROUND_VERSION if number == 1 else trial.LATER_VERSION,
            depends_on=pick_options(
                options,
                "support",
                "frame_poses",
                "generated_share",
                "generated_weight",
                "generated_from",
                "generated_until",
                "weigh_by_confidence",
                "check_content",
            )
            | {"novel": count, "views": views.VERSION, "frames": frames.VERSION}
            | options_to_json(options.gate)
            | options.model_key,
            earlier={stage.name: stage.fingerprint for stage in (begun, *earlier)}
            | self.prepared.scale_fingerprint,
            reads=lambda: fingerprint_scenes([*options.scene_files, *options.model_files]),
        )

    def _training(self, group: int) -> trial.TrialTraining:
        options = self.options
        return trial.TrialTraining(
            options=fit_options(options),
            max_side=options.max_side,
            max_points=options.max_surface_points,
            frame_share=choose_frame_share(options),
            seed=options.seed,
            group=group,
        )
