"""Frames against a frozen model: blind, each on its own, and nothing of the model moves."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_recon_sfm_scene import box_scene

from bridge4d.runs import stored_arrays
from bridge4d.runs.stored_json import DamagedFileError
from recon.cameras import Cameras, project
from recon.clip import Clip
from recon.errors import CameraError, CaptureError, ReconstructionError, RecoveryStatus
from recon.sfm import PHOTOS, Anchor, Recipe, build_anchor, reconstruct, register
from recon.sfm.anchor import keep_photos
from recon.sfm.matching import add_photos, match_photos

FAST = replace(PHOTOS, max_features=600)
FRAMES = [1, 3, 5]


@pytest.fixture(scope="module")
def scene() -> Clip:
    return box_scene(7)


@pytest.fixture(scope="module")
def anchor(scene: Clip, tmp_path_factory: pytest.TempPathFactory) -> Anchor:
    return build_anchor(scene[[0, 2, 4, 6]], tmp_path_factory.mktemp("anchor"), recipe=FAST)


def centre_and_rotation_errors(found: Cameras, truth: Cameras) -> tuple[float, float]:
    R = found.cam_from_world[:, :3, :3] @ truth.cam_from_world[:, :3, :3].mT
    angle = torch.rad2deg(torch.acos(((torch.einsum("nii->n", R) - 1) / 2).clamp(-1, 1)))
    return float((found.centers - truth.centers).norm(dim=1).max()), float(angle.max())


def test_points_lie_on_the_planes_and_cameras_stay(scene: Clip, anchor: Anchor) -> None:
    assert anchor.status is RecoveryStatus.OK
    assert torch.equal(anchor.cameras.cam_from_world, scene[[0, 2, 4, 6]].require_cameras().cam_from_world)
    on_wall = anchor.points.xyz[anchor.points.xyz[:, 2] > 5.5]
    assert len(on_wall) > 100
    assert float((on_wall[:, 2] - 6).abs().median()) < 0.02
    assert max(int(rows.max()) for rows in anchor.point_of_feature) < len(anchor.points)


def test_frames_are_found_in_the_world_of_the_photos(scene: Clip, anchor: Anchor, tmp_path: Path) -> None:
    truth = scene.require_cameras()[FRAMES]
    points, poses = anchor.points.xyz.clone(), anchor.cameras.cam_from_world.clone()
    lying = replace(scene[FRAMES], cameras=scene.require_cameras()[[0, 0, 0]])
    found = register(anchor, lying, K=truth.K, folder=tmp_path / "a", recipe=FAST)
    assert found.recovery.status is RecoveryStatus.OK
    assert found.recovery.cameras is not None
    centre, angle = centre_and_rotation_errors(found.recovery.cameras, truth)
    assert centre < 0.02  # of a scene 6 deep
    assert angle < 0.2
    assert torch.equal(anchor.points.xyz, points)
    assert torch.equal(anchor.cameras.cam_from_world, poses)


def test_frames_do_not_know_of_one_another(scene: Clip, anchor: Anchor, tmp_path: Path) -> None:
    together = register(
        anchor, scene[FRAMES], K=scene.require_cameras().K[FRAMES], folder=tmp_path / "a", recipe=FAST
    )
    turned = register(
        anchor, scene[FRAMES[::-1]], K=scene.require_cameras().K[FRAMES], folder=tmp_path / "b", recipe=FAST
    )
    alone = register(anchor, scene[[3]], K=scene.require_cameras().K[:1], folder=tmp_path / "c", recipe=FAST)
    cameras = together.recovery.cameras
    assert cameras is not None
    assert torch.equal(turned.recovery.cameras.cam_from_world.flip(0), cameras.cam_from_world)
    assert torch.equal(alone.recovery.cameras.cam_from_world[0], cameras.cam_from_world[1])
    for a, b in zip(alone.matches[0], together.matches[1], strict=True):
        assert torch.equal(a.xy_frame, b.xy_frame)


def test_matches_obey_the_true_epipolar_geometry(scene: Clip, anchor: Anchor, tmp_path: Path) -> None:
    truth = scene.require_cameras()
    found = register(anchor, scene[[3]], K=truth.K[:1], folder=tmp_path / "a", recipe=FAST)
    assert len(found.matches[0]) >= 2
    for match in found.matches[0]:
        photo = anchor.cameras[match.photo_index]
        T = (truth.cam_from_world[3] @ torch.linalg.inv(photo.cam_from_world[0])).double()
        t = T[:3, 3]
        tx = torch.tensor([[0, -t[2], t[1]], [t[2], 0, -t[0]], [-t[1], t[0], 0]])
        F = torch.linalg.inv(truth.K[3]).T @ tx @ T[:3, :3] @ torch.linalg.inv(photo.K[0])
        ones = torch.ones(len(match.xy_photo), 1, dtype=torch.float64)
        line = torch.cat([match.xy_photo, ones], 1) @ F.T
        distance = (torch.cat([match.xy_frame, ones], 1) * line).sum(1).abs() / line[:, :2].norm(dim=1)
        assert float(distance.median()) < 0.5


def test_smaller_frames_and_strangers(scene: Clip, anchor: Anchor, tmp_path: Path) -> None:
    """Generated frames are smaller than photos; a frame of nothing known gets a status and no camera."""
    small = scene[[3]].resize(width=240, height=180)
    noise = torch.rand(1, 180, 240, 3, generator=torch.Generator().manual_seed(0))
    black = torch.zeros(1, 180, 240, 3)
    clip = Clip(torch.cat([noise, small.images, black]), names=("noise", "real", "black"))
    K = small.require_cameras().K.repeat(3, 1, 1)
    found = register(anchor, clip, K=K, folder=tmp_path / "a", recipe=FAST)
    assert found.recovery.status is RecoveryStatus.PARTIAL
    assert found.recovery.registered.tolist() == [False, True, False]
    assert found.status_of[2] is RecoveryStatus.TOO_FEW_FEATURES
    assert found.status_of[0] in (RecoveryStatus.NO_MATCHES, RecoveryStatus.FAILED)
    centre, _ = centre_and_rotation_errors(found.recovery.cameras, scene.require_cameras()[[3]])
    assert centre < 0.05
    assert found.recovery.inliers[0] == 0


def test_an_anchor_of_nothing_has_a_status(scene: Clip, tmp_path: Path) -> None:
    black = replace(scene[[0, 2]], images=torch.zeros(2, scene.height, scene.width, 3))
    nothing = build_anchor(black, tmp_path / "anchor", recipe=FAST)
    assert nothing.status is RecoveryStatus.TOO_FEW_FEATURES
    assert len(nothing.points) == 0
    found = register(nothing, scene[[3]], K=scene.require_cameras().K[:1], folder=tmp_path / "r", recipe=FAST)
    assert found.recovery.status is RecoveryStatus.NO_MATCHES
    assert found.recovery.cameras is None


def test_a_model_of_some_photos_knows_nothing_of_what_the_others_look_like(
    scene: Clip, anchor: Anchor, tmp_path: Path
) -> None:
    photos, kept = scene[[0, 2, 4, 6]], [0, 2, 3]
    dark = replace(photos, images=photos.images.clone())
    dark.images[1] = 0
    some, others = (keep_photos(anchor, clip, kept) for clip in (photos, dark))
    assert some.names == tuple(photos.names[i] for i in kept)
    assert torch.equal(some.points.rgb, others.points.rgb)
    seen = torch.bincount(some.tracks.point, minlength=len(some.points))
    assert 100 < len(some.points) < len(anchor.points)
    assert seen.min() >= 2
    for row, i in enumerate(kept):
        was, now = anchor.point_of_feature[i], some.point_of_feature[row]
        known = now >= 0
        assert torch.equal(some.points.xyz[now[known]], anchor.points.xyz[was[known]])
    truth = scene.require_cameras()[FRAMES]
    found = register(some, scene[FRAMES], K=truth.K, folder=tmp_path, recipe=FAST)
    assert found.recovery.registered.all()
    assert len(keep_photos(anchor, photos, [0]).points) == 0
    assert keep_photos(anchor, photos, [0]).status is RecoveryStatus.TOO_FEW_IMAGES


def test_bad_input_is_refused_in_words(scene: Clip, anchor: Anchor, tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="images alone"):
        build_anchor(Clip(scene.images), tmp_path, recipe=FAST)
    with pytest.raises(CaptureError, match="got none"):
        build_anchor(scene[[]], tmp_path, recipe=FAST)
    assert register(anchor, scene[[]], K=scene.require_cameras().K[:0], folder=tmp_path / "r").matches == ()
    with pytest.raises(CameraError, match="one K for each"):
        register(anchor, scene[[1, 3]], K=scene.require_cameras().K[:1], folder=tmp_path / "r", recipe=FAST)


def test_a_stored_model_of_photos_is_the_same_to_the_bit(scene: Clip, anchor: Anchor, tmp_path: Path) -> None:
    photos = scene[[0, 2, 4, 6]]
    stored_arrays.save_anchor(anchor, tmp_path)
    found = stored_arrays.load_anchor(tmp_path, photos, anchor.points)
    frame, K = scene[[3]], scene.require_cameras().K[:1]
    direct = register(anchor, frame, K=K, folder=tmp_path / "a", recipe=FAST).recovery.cameras
    again = register(found, frame, K=K, folder=tmp_path / "b", recipe=FAST).recovery.cameras
    assert direct is not None
    assert again is not None
    assert torch.equal(direct.cam_from_world, again.cam_from_world)
    with pytest.raises(DamagedFileError, match="not those of the photos"):
        stored_arrays.load_anchor(tmp_path, photos[:2], anchor.points)
    (tmp_path / "anchor.json").write_text('{"kind": "sight", "status": "ok", "width": 1, "height": 1}')
    with pytest.raises(DamagedFileError, match="kind is none of opencv"):
        stored_arrays.load_anchor(tmp_path, photos, anchor.points)


def test_further_photos_are_matched_as_if_all_had_been_at_once(scene: Clip, tmp_path: Path) -> None:
    together = match_photos(scene[:6], FAST)
    added = add_photos(match_photos(scene[:4], FAST), scene[4:6], FAST)
    assert added.matches.pairs == together.matches.pairs
    for one, other in zip(added.matches.indices, together.matches.indices, strict=True):
        assert torch.equal(one, other)
    for one, other in zip(added.features, together.features, strict=True):
        assert torch.equal(one.xy, other.xy)
    assert sum(map(len, added.matches.indices)) > 500


def test_stored_matches_are_the_same_and_damaged_ones_are_refused(scene: Clip, tmp_path: Path) -> None:
    matched, file = match_photos(scene[:3], FAST), tmp_path / "matches.npz"
    stored_arrays.save_matches(matched.matches, file)
    found = stored_arrays.load_matches(file, matched.features)
    assert found.pairs == matched.matches.pairs == ((0, 1), (0, 2), (1, 2))
    assert all(torch.equal(a, b) for a, b in zip(found.indices, matched.matches.indices, strict=True))
    with pytest.raises(DamagedFileError, match="not those of the features"):
        stored_arrays.load_matches(file, matched.features[:2])
    none = replace(matched.matches, indices=tuple(rows[:0] for rows in matched.matches.indices))
    stored_arrays.save_matches(none, file)
    assert stored_arrays.load_matches(file, matched.features).pairs == ()


def test_features_of_another_kind_are_refused(scene: Clip, anchor: Anchor, tmp_path: Path) -> None:
    with pytest.raises(ReconstructionError, match="expected colmap features"):
        register(anchor, scene[[3]], K=scene.require_cameras().K[:1], folder=tmp_path, recipe=Recipe())


def test_matches_of_a_reconstruction_serve_the_model_of_its_photos(scene: Clip, tmp_path: Path) -> None:
    """Features are found once: those of distorted photos, moved to where the pinhole sees them."""
    found = reconstruct(scene[[0, 2, 4, 6]], tmp_path / "sfm", recipe=FAST, K=scene.require_cameras().K[0])
    assert found.clip is not None
    once = build_anchor(found.clip, tmp_path / "a", recipe=FAST, matched=found.matched)
    twice = build_anchor(found.clip, tmp_path / "b", recipe=FAST)
    assert len(once.points) > 0.9 * len(twice.points) > 100
    px, depth = project(once.points.xyz.double(), once.cameras)
    seen = once.tracks
    off = (px[seen.image, seen.point] - seen.xy).norm(dim=1)
    assert off.median() < 0.5
    assert (depth[seen.image, seen.point] > 0).all()
