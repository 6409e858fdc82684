"""A recovered clip is judged by its matches and by other recoveries of it; features that are hidden take no part."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.metric_curves import path
from bridge4d.measuring.clip_agreement import agreement_figures
from bridge4d.measuring.clip_judgement import judge_path
from bridge4d.measuring.clip_recovery import SiftedRecovery, recover_sifted
from bridge4d.measuring.measure_options import MeasureOptions
from eval.geometry.motion import MotionKind
from eval.judging.agreement import AGREEMENT
from eval.results.measure import ASTRAY, TORN
from recon.cameras import Cameras
from recon.clip import Clip
from recon.clips.read import ReadClip
from recon.colmap import database as colmap
from recon.sfm.recipes import AFFINE
from recon.sfm.recoverer import Recoverer
from worldgen.models.synthetic import SyntheticRoom

FRAMES, WIDTH, HEIGHT = 9, 288, 192


@pytest.fixture(scope="module")
def walk() -> Clip:
    room = SyntheticRoom(3)
    cameras = path("sway", room, FRAMES, width=WIDTH, height=HEIGHT)
    return Clip(room.render(cameras)[0].clamp(0, 1), cameras)


@pytest.fixture(scope="module")
def sifted(walk: Clip, tmp_path_factory: pytest.TempPathFactory) -> SiftedRecovery:
    read = ReadClip(walk, True, tuple(range(FRAMES)), ())
    return recover_sifted(
        read,
        MeasureOptions(rules=("share@90",)),
        tmp_path_factory.mktemp("work"),
        generator=torch.Generator().manual_seed(0),
        seconds={},
    )


def requested(walk: Clip) -> Cameras:
    assert walk.cameras is not None
    return walk.cameras


def test_other_recoveries_of_a_right_clip_agree(walk: Clip, sifted: SiftedRecovery) -> None:
    figures = agreement_figures(sifted.counted, requested(walk))
    assert list(figures) == list(AGREEMENT)
    for key, most in (("rotation_deg", 2.0), ("position_share", 0.1)):
        for which in ("mappers", "halves"):
            value = figures[f"{which}_{key}"].value
            assert value is not None
            assert 0 < value < most, "they agree, and are not one recovery"
    assert figures["focal_ratio"].value == pytest.approx(1, abs=0.2)


def test_another_lens_than_the_requested_one_shows(walk: Clip, sifted: SiftedRecovery) -> None:
    longer = requested(walk).K.clone()
    longer[:, [0, 1], [0, 1]] *= 1.8
    figures = agreement_figures(sifted.counted, replace(requested(walk), K=longer))
    assert figures["focal_ratio"].value == pytest.approx(1 / 1.8, abs=0.1)
    figures = agreement_figures(sifted.counted, None)
    assert figures["focal_ratio"].undefined_because == "no requested intrinsics"


def test_where_nothing_is_compared_every_figure_says_why(walk: Clip, sifted: SiftedRecovery) -> None:
    figures = agreement_figures(sifted.counted, requested(walk), undefined_because="static")
    assert {key: figure.undefined_because for key, figure in figures.items()} == dict.fromkeys(
        AGREEMENT, "static"
    )


def test_a_torn_path_is_told_by_its_matches_and_marked(walk: Clip, sifted: SiftedRecovery) -> None:
    def judge(one: SiftedRecovery):
        return judge_path(one, requested(walk), generator=torch.Generator().manual_seed(0))

    assert sifted.counted.motion.kind is MotionKind.GENERAL
    right = judge(sifted)
    assert (right.recovered, right.causes, right.notes, right.marked) == (True, [], [], [])

    recovery = sifted.counted.recovery
    assert recovery.cameras is not None
    pose = recovery.cameras.cam_from_world.clone()
    turn = torch.tensor(8.0).deg2rad()
    pose[FRAMES // 2 :, :3] = (
        torch.tensor([[turn.cos(), 0, turn.sin()], [0, 1, 0], [-turn.sin(), 0, turn.cos()]]).to(pose)
        @ pose[FRAMES // 2 :, :3]
    )
    torn = replace(recovery, cameras=replace(recovery.cameras, cam_from_world=pose))
    found = judge(replace(sifted, counted=replace(sifted.counted, recovery=torn)))
    assert TORN in found.causes
    assert "contradict the recovered poses" in found.notes[-1]
    before, after = min(found.marked), max(found.marked)
    assert before < FRAMES // 2 <= after


def test_what_stands_in_the_way_is_named_where_the_path_is_astray(walk: Clip, sifted: SiftedRecovery) -> None:
    """An overlay and odd frames are notes of a clip that follows its request, and causes of one that does not."""
    hampered = replace(
        sifted,
        overlay=torch.ones(HEIGHT, WIDTH, dtype=torch.bool),
        odd=replace(sifted.odd, blank=(3,), cuts=(5,)),
    )
    generator = torch.Generator().manual_seed(0)
    follows = judge_path(hampered, requested(walk), generator=generator)
    assert follows.causes == []
    assert follows.notes[0].startswith("an overlay covers 100% of the picture")
    assert len(follows.notes) == 3
    backwards = judge_path(hampered, requested(walk)[list(range(FRAMES))[::-1]], generator=generator)
    assert backwards.causes[:3] == ["overlay", "blank frames", "cut"]
    assert ASTRAY in backwards.causes


def test_hidden_features_have_no_matches_by_either_way_of_hiding(walk: Clip, tmp_path: Path) -> None:
    mask = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    mask[:, : WIDTH // 2] = True
    short = replace(walk[[0, 1, 2]], cameras=None)
    whole = Recoverer(short, tmp_path / "whole", max_features=400)
    whole.matches()
    later = whole.hide(mask, "later").matches()
    before = Recoverer(short, tmp_path / "before", max_features=400, hidden=mask).matches()
    assert all(torch.equal(a, b) for a, b in zip(later.indices, before.indices, strict=True))
    assert 0 < sum(map(len, later.indices)) < sum(map(len, whole.matches().indices))
    assert all((xy[:, 0] >= WIDTH // 2).all() for i in range(len(later.pairs)) for xy in later.points(i))


def test_each_picture_may_hide_something_else(walk: Clip, tmp_path: Path) -> None:
    mask = torch.zeros(2, HEIGHT, WIDTH, dtype=torch.bool)
    mask[0, :, : WIDTH // 2] = True
    whole = Recoverer(replace(walk[[0, 1]], cameras=None), tmp_path / "whole", max_features=400)
    left, right = whole.matches().drop_masked(mask).points(0)
    assert 0 < len(left) < len(whole.matches().points(0)[0])
    assert (left[:, 0] >= WIDTH // 2).all()
    assert (right[:, 0] < WIDTH // 2).any()
    path_to = Recoverer(walk[[0, 1]], tmp_path / "hidden", hidden=mask)._database(AFFINE)
    assert isinstance(path_to, Path)
    left, right = (xy for xy, _ in colmap.read_features(path_to, colmap.image_ids(path_to)))
    assert (left[:, 0] >= WIDTH // 2 - 1).all()
    assert (right[:, 0] < WIDTH // 2 - 1).any()


def test_guided_recipes_take_no_features_from_what_is_hidden(walk: Clip, tmp_path: Path) -> None:
    mask = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    mask[:, : WIDTH // 2] = True
    left = {}
    for name, hidden in (("all", None), ("right", mask)):
        path_to = Recoverer(walk[[0, 1]], tmp_path / name, hidden=hidden)._database(AFFINE)
        assert isinstance(path_to, Path)
        features = colmap.read_features(path_to, colmap.image_ids(path_to))
        left[name] = sum(int((xy[:, 0] < WIDTH // 2 - 1).sum()) for xy, _ in features)
        assert all(len(xy) > 30 for xy, _ in features)
    assert left["all"] > 30
    assert left["right"] == 0
