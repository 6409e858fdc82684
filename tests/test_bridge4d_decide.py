"""Whether generated frames are kept: training photos that are left out in turn decide, and nothing knows them."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bridge4d.augmenting.decide import Trials, group_photos
from bridge4d.augmenting.loop import AugmentResult, augment
from bridge4d.augmenting.options import AugmentOptions
from bridge4d.augmenting.prepare import PreparedPhotos
from bridge4d.runs import store
from bridge4d.runs.run import open_run
from bridge4d.runs.stages import StageRecord
from bridge4d.stages import decide, sfm, trial
from bridge4d.stages.options import ModelChoice
from bridge4d.stages.splats import FrameShare
from eval.judging.gate import GateOptions
from eval.report.augment.sentences import hindsight
from eval.results.augment import AugmentReport, Decision, HeldOut
from recon.clip import Clip
from recon.sfm.recipes import PHOTOS
from recon.splats.fit import FitOptions
from worldgen.model import Request, Views, WorldModel
from worldgen.registry import load_model

SMALL = AugmentOptions(
    model="warp", views=5, max_side=128, sfm_side=360, iterations=30, novel=2, rounds=1, max_gaussians=4000,
    baselines="none",
)  # fmt: skip
MADE = ("capture", "sfm", "depth", "splats", "generated", "recovery")
"""Stages that a decision is made after."""


@pytest.fixture(scope="module")
def run(room_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> AugmentResult:
    return augment(room_photos, tmp_path_factory.mktemp("decide") / "run", SMALL)


def begin_as(run: AugmentResult, folder: Path, stages: tuple[str, ...]) -> Path:
    """Give a new run folder these stages of another run, so that they are not made again."""
    for stage in stages:
        shutil.copytree(run.run / stage, folder / stage)
    shutil.copy(run.run / ".lock", folder)
    return folder


class Recording:
    """A world model that notes what it is told."""

    def __init__(self, model: WorldModel) -> None:
        self.model, self.spec, self.told = model, model.spec, list[Request]()

    def generate(self, request: Request, *, generator: torch.Generator) -> Views:
        self.told.append(request)
        return self.model.generate(request, generator=generator)


@pytest.mark.parametrize(
    ("n", "groups"),
    [
        (3, [[0], [1], [2]]),
        (4, [[0], [2], [3]]),
        (5, [[1], [2], [3]]),
        (11, [[1], [5], [9]]),
        (12, [[1, 6], [3, 8], [5, 10]]),
    ],
)
def test_photos_left_out_together_lie_far_apart(n: int, groups: list[list[int]]) -> None:
    assert group_photos(n) == groups


def test_in_larger_captures_a_sixth_is_left_out_of_each_group_and_none_twice() -> None:
    for n in range(3, 60):
        groups = group_photos(n)
        left_out = [photo for group in groups for photo in group]
        assert len(groups) == 3
        assert len(set(left_out)) == len(left_out)
        assert {len(group) for group in groups} == {max(1, n // 6)}
        assert all(0 <= photo < n for photo in left_out)


def write_trial(folder: Path, psnr: list[float], accepted: int) -> Path:
    folder.mkdir(parents=True)
    left_out = [f"{folder.parent.name}{i}.jpg" for i in range(len(psnr))]
    record = trial.TrialRecord(left_out=left_out, psnr=psnr, requested=4, accepted=accepted)
    (folder / "trial.json").write_text(json.dumps(record))
    return folder


@pytest.mark.parametrize(
    ("rounds", "keep", "why"),
    [
        ([[(20.0, 22.0), (24.5,)]], True, "generated views raised PSNR from 22.00 to 22.17 dB on 3 training"),
        (
            [[(20.0, 22.0), (23.5,)]],
            False,
            "generated views lowered PSNR from 22.00 to 21.83 dB on 3 training",
        ),
        (
            [[(20.0, 22.0), (24.0,)]],
            False,
            "generated views left PSNR as it was on 3 training photos left out",
        ),
        ([[(20.0, 22.0), (26.0,)], [(20.0, 22.0), (25.0,)]], False, "the views of round 2 lowered PSNR from"),
        ([[(20.0, 22.0), (24.3,)], [(20.0, 22.3), (24.3,)]], True, "the views of round 2 raised PSNR from"),
    ],
)
def test_a_round_is_kept_where_it_is_better_than_what_stood_before(
    rounds: list[list[tuple[float, ...]]], keep: bool, why: str, tmp_path: Path
) -> None:
    """The mean is over photos: a group of two counts twice as much as one of one. Round 2 of the fourth case is better than the
    photos alone, and worse than round 1."""
    alone = [write_trial(tmp_path / f"g{i}" / "0", list(p), 0) for i, p in enumerate([(20.0, 22.0), (24.0,)])]
    played = [
        [write_trial(tmp_path / f"g{i}" / str(number), list(p), 1) for i, p in enumerate(one)]
        for number, one in enumerate(rounds, start=1)
    ]
    decide.decide(alone, played, tmp_path / "decide")
    record = decide.load_record(tmp_path / "decide")
    assert record["keep"] is keep
    assert record["why"].startswith(why)
    assert record["left_out"] == ["g00.jpg", "g01.jpg", "g10.jpg"]
    assert record["groups"] == [1, 1, 2]
    assert record["photos_only"] == [20.0, 22.0, 24.0]
    assert record["augmented"] == [value for psnr in rounds[-1] for value in psnr]
    assert (record["requested"], record["accepted"]) == ([4, 4], [1, 1])


def test_where_no_frame_passes_in_any_group_the_photos_alone_are_kept(tmp_path: Path) -> None:
    alone = [write_trial(tmp_path / "g" / "0", [20.0], 0)]
    decide.decide(alone, [[write_trial(tmp_path / "g" / "1", [20.0], 0)]], tmp_path / "decide")
    record = decide.load_record(tmp_path / "decide")
    assert not record["keep"]
    assert (
        record["why"] == "made without 1 training photo left out in turn, no generated frame passed the gate"
    )


def test_the_run_keeps_what_left_out_photos_say_and_reports_it(run: AugmentResult) -> None:
    record = decide.load_record(run.run / "decide" / "round-1")
    assert len(record["left_out"]) == 3
    assert record["before"] == record["photos_only"]
    assert sum(record["accepted"]) > 0, "else this run decides nothing"
    better = sum(record["augmented"]) > sum(record["photos_only"])
    assert record["keep"] is better
    report = run.report
    assert (report.kept, report.kept_round) == (("augmented", 1) if better else ("photos_only", 0))
    assert report.kept_because == record["why"]
    (said,) = report.decisions
    assert (said.round, said.keep, said.left_out) == (1, record["keep"], record["left_out"])
    assert said.gain == pytest.approx((sum(record["augmented"]) - sum(record["before"])) / 3, abs=1e-4)
    page = run.report_html.read_text()
    assert all(f">{name}<" in page for name in record["left_out"])


def test_the_world_model_is_never_told_of_the_photos_that_judge_it(
    run: AugmentResult, room_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Recording(load_model("warp", {}))
    monkeypatch.setattr(ModelChoice, "load_model", lambda self, run=None: model)
    again = augment(room_photos, begin_as(run, tmp_path / "run", MADE), SMALL)
    assert again.report.decisions == run.report.decisions
    left_out = run.report.decisions[0].left_out
    assert len(model.told) == len(left_out) == 3
    every = set(sfm.load_photos(run.run / "sfm").names)
    for name, request in zip(left_out, model.told, strict=True):
        assert set(request.context.names) == every - {name}
        assert request.scene is not None
        assert request.scene.depth is not None
        assert set(request.scene.depth[0].names) == every - {name}


def test_what_a_left_out_photo_shows_changes_nothing_but_how_it_is_shown(
    run: AugmentResult, tmp_path: Path
) -> None:
    """Photo 2 becomes noise: the scenes, frames and verdicts of the trial without it stay to the bit."""
    cameras, other = run.run / "sfm", tmp_path / "sfm"
    shutil.copytree(cameras, other)
    photos = sfm.load_photos(cameras)
    noise = torch.rand(photos.images.shape[1:], generator=torch.Generator().manual_seed(0))
    store.save_picture(noise, other / "photos" / f"{Path(photos.names[2]).stem}.png")
    assert not torch.equal(sfm.load_photos(other).images[2], photos.images[2])
    training = trial.TrialTraining(
        FitOptions(iterations=20, cap=4000, dropout=0.3), 128, 2000, FrameShare(0.2, 20, range(20)), 0, 1
    )
    asked = trial.TrialRound(
        1,
        load_model("warp", {}),
        2,
        0.6,
        PHOTOS,
        GateOptions(),
        "recovered",
        0.5,
        weigh_by_confidence=True,
        check_content=False,
        scale={"metres_per_unit": None, "scale_from": "unknown"},
    )
    for name, photos_at in (("clean", cameras), ("poisoned", other)):
        begun = tmp_path / name / "begun"
        trial.begin_trial(photos_at, begun, left_out=[2], training=training)
        trial.play_trial_round(
            photos_at, begun, [], tmp_path / name / "round", asked=asked, training=training
        )
    files = ["begun/scene/scene.ply", "round/generated/r1-000.png", "round/recovery/frames.json"]
    accepted = trial.load_record(tmp_path / "clean" / "round")["accepted"]
    files += ["round/scene/scene.ply"] if accepted else []
    assert accepted, "else half of this test is empty"
    for file in files:
        clean, poisoned = ((tmp_path / name / file).read_bytes() for name in ("clean", "poisoned"))
        assert clean == poisoned, file
    for part in ("begun", "round"):
        clean, poisoned = (trial.load_record(tmp_path / name / part) for name in ("clean", "poisoned"))
        assert poisoned["psnr"][0] < clean["psnr"][0] - 3


def test_photos_without_any_judge_are_decided_about_too(
    run: AugmentResult, room_photos: Path, tmp_path: Path
) -> None:
    """Held-out photos become noise, which cannot be registered: nothing is made anew, and the same scene is kept."""
    photos = tmp_path / "photos"
    shutil.copytree(room_photos, photos)
    for name in ("photo_00.jpg", "photo_08.jpg"):
        noise = torch.rand(240, 360, 3, generator=torch.Generator().manual_seed(1))
        store.save_picture(noise, photos / f"{name[:-4]}.png")
        (photos / name).unlink()
    folder = begin_as(run, tmp_path / "run", ("sfm", "depth", "splats", "generated", "recovery", "decide"))
    before = {stage: stage.stat().st_mtime_ns for stage in folder.glob("*/**/stage.json")}
    done = augment(photos, folder, SMALL)
    assert {stage: stage.stat().st_mtime_ns for stage in before} == before, "it depends on held-out photos"
    assert done.report.heldout.views == 0
    assert done.report.decisions == run.report.decisions
    assert (done.report.kept, done.report.kept_because) == (run.report.kept, run.report.kept_because)
    assert [one.psnr for one in done.report.rounds] == [None]
    assert done.scene is not None
    kept = done.run / "splats" / ("round-1" if done.report.kept_round else "photos_only") / "scene.ply"
    assert done.scene.read_bytes() == kept.read_bytes()


@pytest.mark.parametrize(("keep", "kept"), [("augmented", 1), ("photos", 0)])
def test_who_asks_for_a_scene_gets_it_and_nothing_is_left_out(
    keep: Any, kept: int, run: AugmentResult, room_photos: Path, tmp_path: Path
) -> None:
    folder = begin_as(run, tmp_path / "run", MADE)
    report = augment(room_photos, folder, replace(SMALL, keep=keep)).report
    assert report.kept_round == kept
    assert report.decisions == []
    assert report.kept_because == f"it was asked for with --keep {keep}"
    assert not (folder / "decide").exists()
    assert report.heldout.psnr is not None
    assert report.heldout.psnr.gain is not None, "both scenes are judged all the same"


def test_an_interrupted_decision_goes_on_where_it_was(
    run: AugmentResult, room_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = begin_as(run, tmp_path / "run", (*MADE, "decide"))
    for stage in ("group-3", "group-3-round-1", "round-1"):
        shutil.rmtree(folder / "decide" / stage)
    done = [folder / "decide" / name / "stage.json" for name in ("group-1", "group-1-round-1", "group-2")]
    before = [stage.stat().st_mtime_ns for stage in done]
    again = augment(room_photos, folder, SMALL)
    assert [stage.stat().st_mtime_ns for stage in done] == before
    assert again.report.decisions == run.report.decisions


@pytest.mark.parametrize(
    ("photos", "start", "why"),
    [
        (2, None, "of 2 registered training photos none can be left out to decide by, and generated views"),
        (3, Path("scene.ply"), "the scene to start from may show the photos that would be left out"),
    ],
)
def test_where_nothing_can_be_left_out_the_photos_alone_are_kept(
    photos: int, start: Path | None, why: str, tmp_path: Path
) -> None:
    cameras = StageRecord("sfm", tmp_path / "sfm", "0", 0.0, 0.0)
    prepared = PreparedPhotos(cameras, cameras, cameras, 128)
    prepared.__dict__["photos"] = Clip(torch.rand(photos, 8, 8, 3))  # where it is cached
    with open_run(tmp_path / "run") as run:
        said = Trials(run, prepared, replace(SMALL, start=start)).decide(1)
    assert not said["keep"]
    assert said["why"].startswith(why)
    assert "--keep augmented keeps them" in said["why"]
    assert said["left_out"] == said["augmented"] == []


@pytest.mark.parametrize(
    ("best", "regret", "said"),
    [
        (1, 0.0, "These photos had no say in the decision, and agree with it."),
        (
            0,
            0.3,
            "and disagree: in that of the photos alone they are shown 0.30 dB better than in the kept one.",
        ),
        (2, 0.3, "and disagree: in the scene of round 2 they are shown 0.30 dB better than in the kept one."),
    ],
)
def test_the_report_says_whether_held_out_photos_agree(best: int, regret: float, said: str) -> None:
    report = AugmentReport(
        heldout=HeldOut(views=3, best_round=best, regret=regret),
        decisions=[Decision(round=1, left_out=["a.jpg"])],
    )
    assert hindsight(report).endswith(said)
    asked = replace(report, decisions=[])
    assert hindsight(asked) == ("" if not regret else f"In{said.partition('disagree: in')[2]}")
