"""Structure from motion on rendered pictures whose cameras are known."""

import itertools
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from test_recon_sfm_scene import box_scene

from recon.clip import Clip
from recon.errors import ReconstructionError, RecoveryStatus
from recon.sfm import PHOTOS, build_anchor, mapping, reconstruct, register
from recon.sfm.recipes import AFFINE

FAST = replace(PHOTOS, max_features=600)
FIVE = [0, 1, 3, 5, 6]


def rotation_errors_deg(a: torch.Tensor, b: torch.Tensor) -> list[float]:
    """Between relative rotations of all pairs, which no choice of world changes."""
    out = []
    for i, j in itertools.combinations(range(len(a)), 2):
        R = a[j, :3, :3] @ a[i, :3, :3].T @ (b[j, :3, :3] @ b[i, :3, :3].T).T
        out.append(float(torch.rad2deg(torch.acos(((R.trace() - 1) / 2).clamp(-1, 1)))))
    return out


def distances(centers: torch.Tensor) -> torch.Tensor:
    d = torch.cdist(centers, centers)
    return d / d.max()


@pytest.fixture(scope="module")
def scene() -> Clip:
    return box_scene(7)


@pytest.fixture(scope="module")
def known(scene: Clip, tmp_path_factory: pytest.TempPathFactory):
    """Reconstructed with known intrinsics."""
    return reconstruct(scene, tmp_path_factory.mktemp("sfm"), recipe=FAST, K=scene.require_cameras().K[0])


def test_known_intrinsics_recover_every_pose(scene: Clip, known) -> None:
    recovery, truth = known.recovery, scene.require_cameras()
    assert recovery.status is RecoveryStatus.OK
    assert recovery.cameras is not None
    assert recovery.registered_names == scene.names
    # 600 features of small pictures: 0.11 with these
    assert max(rotation_errors_deg(recovery.cameras.cam_from_world, truth.cam_from_world)) < 0.15
    torch.testing.assert_close(
        distances(recovery.cameras.centers), distances(truth.centers), atol=5e-3, rtol=0
    )
    torch.testing.assert_close(recovery.cameras.K, truth.K, atol=1e-9, rtol=0)
    assert (recovery.inliers > 100).all()
    assert (recovery.reprojection_error_px < 1).all()
    assert set(recovery.seconds) == {"matching", "verification", "mapping"}


def test_same_seed_is_bit_identical(scene: Clip, known, tmp_path: Path) -> None:
    (tmp_path / "database.db").write_text("left by a run that was killed")
    (tmp_path / "database.db-wal").write_text("the same")
    again = reconstruct(scene, tmp_path, recipe=FAST, K=scene.require_cameras().K[0])
    assert torch.equal(again.recovery.cameras.cam_from_world, known.recovery.cameras.cam_from_world)
    assert torch.equal(again.recovery.points.xyz, known.recovery.points.xyz)


def test_free_intrinsics_find_the_focal_length(scene: Clip, tmp_path: Path) -> None:
    scene = scene[FIVE]
    focal_px = float(scene.require_cameras().K[0, 0, 0])
    result = reconstruct(scene, tmp_path, recipe=FAST, focal_prior_px=0.95 * focal_px)
    assert result.recovery.status is RecoveryStatus.OK
    assert result.clip is not None
    assert float(result.clip.require_cameras().K[0, 0, 0]) == pytest.approx(focal_px, rel=0.02)
    assert (
        max(
            rotation_errors_deg(
                result.clip.require_cameras().cam_from_world, scene.require_cameras().cam_from_world
            )
        )
        < 0.5
    )


def test_recipes_that_cannot_be_followed_are_refused(scene: Clip, tmp_path: Path) -> None:
    """A guided recipe, a lens for each photo, and fixed intrinsics without any were once ignored in silence."""
    for recipe, said in (
        (AFFINE, "guided matching"),
        (replace(FAST, intrinsics="free"), "intrinsics 'free'"),
        (replace(FAST, intrinsics="fixed"), "give K"),
    ):
        with pytest.raises(ReconstructionError, match=said):
            reconstruct(scene, tmp_path / "scratch", recipe=recipe)
    assert not (tmp_path / "scratch").exists()
    K = scene.require_cameras().K
    with pytest.raises(ReconstructionError, match="guided matching"):
        build_anchor(scene, tmp_path / "anchor", recipe=AFFINE)
    anchor = build_anchor(scene[:3], tmp_path / "anchor", recipe=replace(FAST, features="opencv"))
    with pytest.raises(ReconstructionError, match="guided matching"):
        register(anchor, scene[3:], K=K[3:], folder=tmp_path / "frames", recipe=AFFINE)


def test_fixed_intrinsics_with_a_lens_are_the_known_ones(scene: Clip, known, tmp_path: Path) -> None:
    fixed = reconstruct(
        scene, tmp_path, recipe=replace(FAST, intrinsics="fixed"), K=scene.require_cameras().K[0]
    )
    assert torch.equal(fixed.recovery.cameras.cam_from_world, known.recovery.cameras.cam_from_world)


def test_either_tries_the_incremental_mapper_where_the_global_one_fails(
    scene: Clip, known, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recipe's 'either' was once the incremental mapper alone."""
    tried = []
    map_database = mapping.map_database

    def fail_global(database: Path, clip: Clip, folder: Path, *, mapper: str, **named):
        tried.append(mapper)
        if mapper == "global":
            return mapping.empty_recovery(clip, RecoveryStatus.FAILED)
        return map_database(database, clip, folder, mapper=mapper, **named)

    monkeypatch.setattr(mapping, "map_database", fail_global)
    K = scene.require_cameras().K[0]
    found = reconstruct(scene, tmp_path, recipe=replace(FAST, mapper="either"), K=K)
    assert tried == ["global", "incremental"]
    assert torch.equal(found.recovery.points.xyz, known.recovery.points.xyz)


def test_a_picture_that_does_not_belong_makes_it_partial(scene: Clip, known, tmp_path: Path) -> None:
    noise = torch.rand(1, scene.height, scene.width, 3, generator=torch.Generator().manual_seed(1))
    odd = Clip(torch.cat([scene.images[:2], noise, scene.images[2:4]]), names=("a", "b", "noise", "c", "d"))
    result = reconstruct(odd, tmp_path, recipe=FAST, K=scene.require_cameras().K[0])
    assert result.recovery.status is RecoveryStatus.PARTIAL
    assert result.recovery.registered.tolist() == [True, True, False, True, True]
    assert torch.isnan(result.recovery.reprojection_error_px[2])
    assert result.recovery.inliers[2] == 0
    assert result.clip is not None
    assert result.clip.names == ("a", "b", "c", "d")


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (torch.zeros(2, 96, 128, 3), {RecoveryStatus.TOO_FEW_FEATURES}),
        (torch.zeros(1, 96, 128, 3), {RecoveryStatus.TOO_FEW_IMAGES}),
        (torch.zeros(0, 96, 128, 3), {RecoveryStatus.TOO_FEW_IMAGES}),
        (
            torch.rand(2, 192, 256, 3, generator=torch.Generator().manual_seed(0)),
            {RecoveryStatus.NO_MATCHES, RecoveryStatus.NO_INITIAL_PAIR},
        ),
        (torch.zeros(2, 5, 4, 3), {RecoveryStatus.TOO_FEW_FEATURES}),
    ],
    ids=["black", "one", "none", "noise", "tiny"],
)
def test_hard_pictures_are_a_status(
    images: torch.Tensor, expected: set[RecoveryStatus], tmp_path: Path
) -> None:
    result = reconstruct(Clip(images), tmp_path, recipe=FAST)
    assert result.recovery.status in expected
    assert result.recovery.cameras is None
    assert result.clip is None
    assert result.lens is None
    assert not result.recovery.registered.any()


def test_two_views_of_one_place_without_parallax_do_not_become_a_scene(scene: Clip, tmp_path: Path) -> None:
    twice = Clip(scene.images[[0, 0]])
    result = reconstruct(twice, tmp_path, recipe=FAST, K=scene.require_cameras().K[0])
    assert result.recovery.status is RecoveryStatus.NO_INITIAL_PAIR


def test_global_mapper(scene: Clip, tmp_path: Path) -> None:
    scene = scene[FIVE]
    options = replace(PHOTOS, mapper="global", max_features=600)
    result = reconstruct(scene, tmp_path, recipe=options, K=scene.require_cameras().K[0])
    assert result.recovery.status is RecoveryStatus.OK
    assert (
        max(
            rotation_errors_deg(
                result.clip.require_cameras().cam_from_world, scene.require_cameras().cam_from_world
            )
        )
        < 0.3
    )


def test_distortion_is_found_and_taken_out(scene: Clip, tmp_path: Path) -> None:
    """Pictures through a barrel lens come back as those of a pinhole."""
    scene = scene[FIVE]
    K = scene.require_cameras().K[0].numpy()
    u, v = np.meshgrid(np.arange(scene.width) + 0.5, np.arange(scene.height) + 0.5)
    distorted = np.stack([u.ravel(), v.ravel()], 1)
    straight = cv2.undistortPoints(distorted[:, None], K, np.array([-0.08, 0, 0, 0]), P=K)[:, 0] - 0.5
    x, y = (straight[:, i].reshape(u.shape).astype(np.float32) for i in (0, 1))
    bent = [
        cv2.remap(i.numpy(), x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE) for i in scene.images
    ]
    images = torch.from_numpy(np.stack(bent)).clamp(0, 1)
    result = reconstruct(Clip(images), tmp_path, recipe=FAST, focal_prior_px=float(K[0, 0]))
    assert result.recovery.status is RecoveryStatus.OK
    assert result.lens.params[-1] == pytest.approx(-0.08, abs=0.02)
    cameras = result.clip.require_cameras()
    assert max(rotation_errors_deg(cameras.cam_from_world, scene.require_cameras().cam_from_world)) < 0.5
