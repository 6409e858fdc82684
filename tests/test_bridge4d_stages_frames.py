"""The check of the loop, from pictures to verdicts: pictures of the built-in room drawn beside where they were asked for."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from benchmarks.gate_figures import NONE, Offset
from benchmarks.gate_offsets import displaced
from bridge4d.augmenting.options import AugmentOptions
from bridge4d.stages.content import check_clip
from bridge4d.stages.frames import describe_misreading, judge_frames, register_blind
from eval.paths.readings import reverse
from eval.poses import scene_extent
from recon.cameras import Cameras
from recon.clip import Clip
from recon.depth import DepthMaps
from recon.sfm.anchor import Anchor, build_anchor
from worldgen.models.synthetic import SyntheticRoom

OPTIONS = AugmentOptions()
NEAR, FAR = 0.75, 1.25
"""Of a limit: half a degree and half a percent to either side. Recovery errs by at most 0.06° and 0.1% in these pictures."""


@dataclass(frozen=True)
class World:
    room: SyntheticRoom
    anchor: Anchor
    extent: float
    requested: Cameras

    def drawn_at(self, offset: Offset) -> Clip:
        """Pictures from beside the requested cameras, which they claim."""
        cameras = displaced(self.requested, offset, self.extent, torch.Generator().manual_seed(0))
        return Clip(self.room.render(cameras)[0], self.requested)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    room = SyntheticRoom()
    cameras = room.cameras(13, width=240, height=160)
    photos = cameras[[2, 4, 6, 8, 10]]
    anchor = build_anchor(Clip(room.render(photos)[0], photos), tmp_path_factory.mktemp("anchor"))
    extent = scene_extent(anchor.cameras, anchor.points)
    assert extent is not None
    return World(room, anchor, extent, cameras[[3, 5, 7, 9]])


def check(world: World, clip: Clip, folder: Path, options: AugmentOptions = OPTIONS) -> list[bool]:
    found = register_blind(world.anchor, clip, folder=folder, recipe=options.recipe)
    judged = judge_frames(
        clip.require_cameras(),
        found,
        world.anchor,
        world.extent,
        options.gate,
        frame_poses=options.frame_poses,
    )
    assert all(evidence.registered for evidence, _ in judged)
    return [verdict.accepted for _, verdict in judged]


@pytest.mark.parametrize(
    ("offset", "accepted"),
    [
        (NONE, True),
        (Offset(rotation_deg=NEAR * OPTIONS.gate.max_rotation_deg), True),
        (Offset(rotation_deg=FAR * OPTIONS.gate.max_rotation_deg), False),
        (Offset(position_share=NEAR * OPTIONS.gate.max_position_share), True),
        (Offset(position_share=FAR * OPTIONS.gate.max_position_share), False),
    ],
    ids=str,
)
def test_frames_clearly_within_the_limits_pass_and_those_clearly_beyond_do_not(
    world: World, tmp_path: Path, offset: Offset, accepted: bool
) -> None:
    assert check(world, world.drawn_at(offset), tmp_path) == [accepted] * 4


def test_recovery_does_not_see_the_request(world: World, tmp_path: Path) -> None:
    clip = world.drawn_at(NONE)
    elsewhere = displaced(world.requested, Offset(30.0, 0.5), world.extent, torch.Generator().manual_seed(1))
    one, other = (
        register_blind(
            world.anchor, replace(clip, cameras=asked), folder=tmp_path / "work", recipe=OPTIONS.recipe
        )
        for asked in (world.requested, elsewhere)
    )
    assert one.recovery.cameras is not None
    assert other.recovery.cameras is not None
    assert torch.equal(one.recovery.cameras.cam_from_world, other.recovery.cameras.cam_from_world)
    assert torch.equal(one.recovery.inliers, other.recovery.inliers)


def test_the_pose_of_epipolar_errors_is_the_one_that_was_asked_for(world: World, tmp_path: Path) -> None:
    """Within the limits of the pose, the pose that was recovered fits the matches, the requested one does not."""
    clip = world.drawn_at(Offset(rotation_deg=NEAR * OPTIONS.gate.max_rotation_deg))
    assert check(world, clip, tmp_path, replace(OPTIONS, frame_poses="recovered")) == [True] * 4
    assert not any(check(world, clip, tmp_path, replace(OPTIONS, frame_poses="requested")))


def test_frames_that_follow_another_reading_of_their_request_say_which(world: World, tmp_path: Path) -> None:
    clip = world.drawn_at(NONE)
    found = register_blind(world.anchor, clip, folder=tmp_path, recipe=OPTIONS.recipe)
    assert describe_misreading(world.requested, found) == ""
    assert "last to the first" in describe_misreading(reverse(world.requested), found)
    inverse = replace(world.requested, cam_from_world=world.requested.world_from_cam)
    assert "world_from_cam/opencv" in describe_misreading(inverse, found)
    flat = world.requested.place_at(world.requested.centers.flip(1))
    assert describe_misreading(flat, found) == "", "another path is no other reading"


def test_content_of_right_frames_passes_and_a_thing_moved_by_two_percent_does_not(world: World) -> None:
    photos, depth = world.room.render(world.anchor.cameras)
    maps = DepthMaps(depth, torch.ones_like(depth))
    right = Clip(world.room.render(world.requested)[0], world.requested)
    moved = right.images.clone()
    # a part of what the middle shows, which is textured and seen by all photos
    moved[:, 60:100, 90 + 5 : 140 + 5] = right.images[:, 60:100, 90:140]
    given = Clip(photos, world.anchor.cameras), maps
    for check, wrong in zip(
        check_clip(right, *given), check_clip(replace(right, images=moved), *given), strict=True
    ):
        assert check.share is not None
        assert check.share < 0.01
        assert wrong.share is not None
        assert wrong.share > 2 * check.share + 0.01
