"""Which motion a clip shows, for motions that are known; and fits that can be repeated."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from clips_of_points import matched, path, scene

from eval.geometry.motion import MotionKind, classify_motion
from eval.geometry.pairs import MAX_PAIRS, neighbours, pairs_apart
from recon.cameras import project
from recon.sfm.matches import Matches
from recon.two_views.robust import fit_fundamental, fit_homography, transfer


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Hundreds of points are too few to share: with two threads the waiting takes longer than the work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize(("noise_px", "outliers"), [(0.0, 0.0), (0.3, 0.2), (0.5, 0.4)])
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    ("cameras", "points", "expected"),
    [
        ("general", "general", MotionKind.GENERAL),
        ("rotation only", "general", MotionKind.ROTATION_ONLY),
        ("general", "plane", MotionKind.PLANE),
    ],
)
def test_known_motions(
    cameras: str,
    points: str,
    expected: MotionKind,
    seed: int,
    noise_px: float,
    outliers: float,
    generator: torch.Generator,
) -> None:
    matches = matched(
        path(cameras), scene(points, seed=seed), noise_px=noise_px, outliers=outliers, seed=seed
    )
    motion = classify_motion(matches, generator=generator)
    assert motion.kind is expected, motion
    assert motion.because


@pytest.mark.parametrize(("noise_px", "outliers"), [(0.0, 0.0), (0.3, 0.2), (0.3, 0.4)])
def test_static(noise_px: float, outliers: float, generator: torch.Generator) -> None:
    matches = matched(path("static"), scene(), noise_px=noise_px, outliers=outliers)
    assert classify_motion(matches, generator=generator).kind is MotionKind.STATIC


def test_something_that_moves_before_a_static_camera_leaves_it_static(generator: torch.Generator) -> None:
    cameras, xyz = path("static"), scene()
    still = matched(cameras, xyz, outliers=0.0)
    walker = torch.arange(len(xyz)) % 3 == 0  # a third of the features walk off by 60 px
    walked = tuple(
        xy + walker[:, None] * torch.tensor([4.0, 0.3], dtype=torch.float64) * i
        for i, xy in enumerate(still.keypoints)
    )
    motion = classify_motion(replace(still, keypoints=walked), generator=generator)
    assert motion.kind is MotionKind.STATIC, motion


@pytest.mark.parametrize("fy", [0.75, 1.0, 1.33])
def test_a_squeezed_picture_of_a_rotation_is_a_rotation(fy: float, generator: torch.Generator) -> None:
    cameras = path("rotation only")
    K = cameras.K.clone()
    K[:, 1, 1] *= fy
    matches = matched(replace(cameras, K=K), scene(), seed=3)
    assert classify_motion(matches, generator=generator).kind is MotionKind.ROTATION_ONLY


def test_a_shift_along_a_wall_is_not_a_rotation(generator: torch.Generator) -> None:
    """All eigenvalues of its homographies are 1, as those of a small turn nearly are."""
    cameras, xyz = path("static"), scene()
    xyz[:, 2] = 6
    pose = cameras.cam_from_world.clone()
    pose[:, 0, 3] = -torch.linspace(0, 1.2, len(cameras), dtype=torch.float64)
    matches = matched(replace(cameras, cam_from_world=pose), xyz)
    assert classify_motion(matches, generator=generator).kind is MotionKind.PLANE


def test_too_few_matches_are_unknown(generator: torch.Generator) -> None:
    motion = classify_motion(matched(path(), scene(points=20)), generator=generator)
    assert motion.kind is MotionKind.UNKNOWN
    assert "too few matches" in motion.because
    assert motion.travel_px is None
    nothing = Matches(384, 256, (torch.zeros(0, 2, dtype=torch.float64),) * 3, (), ())
    assert classify_motion(nothing, generator=generator).kind is MotionKind.UNKNOWN


def test_an_orbit_whose_far_frames_share_nothing_is_judged_by_nearer_ones(
    generator: torch.Generator,
) -> None:
    matches = matched(path(), scene())
    rows = tuple(r if b - a <= 2 else r[:5] for (a, b), r in matches.by_pair())
    orbit = replace(matches, indices=rows)
    assert {b - a for a, b in (orbit.pairs[i] for i in pairs_apart(orbit, (1 / 2, 1 / 4)))} == {2, 4}
    motion = classify_motion(orbit, generator=generator)
    assert motion.kind is MotionKind.GENERAL, motion


def test_the_same_seed_gives_the_same_result_whatever_opencv_drew_before() -> None:
    cv2 = pytest.importorskip("cv2")
    matches = matched(path(), scene(), outliers=0.4)
    xy_a, xy_b = matches.between(0, 8)
    fits, motions = [], []
    for state in (1, 99):
        cv2.setRNGSeed(state)
        fits.append(fit_fundamental(xy_a, xy_b, seed=7))
        motions.append(classify_motion(matches, generator=torch.Generator().manual_seed(3)))
    assert fits[0] is not None
    assert fits[1] is not None
    assert torch.equal(fits[0], fits[1])
    assert motions[0] == motions[1]


def test_fits_speak_of_our_pixels() -> None:
    """OpenCV's top-left pixel is at (0, 0), ours at (0.5, 0.5): a fit in the wrong pixels misses by its turn."""
    cameras, xyz = path("rotation only"), scene()
    xy, _ = project(xyz, cameras)
    a, b = cameras[0], cameras[4]
    true = b.K[0] @ b.cam_from_world[0, :3, :3] @ a.cam_from_world[0, :3, :3].T @ torch.linalg.inv(a.K[0])
    H = fit_homography(xy[0], xy[4], seed=0)
    assert H is not None
    torch.testing.assert_close(H, true, rtol=1e-4, atol=1e-4)
    assert (transfer(H, xy[0]) - xy[4]).norm(dim=-1).max() < 1e-2
    assert fit_homography(xy[0, :3], xy[4, :3], seed=0) is None
    assert fit_fundamental(xy[0, :7], xy[4, :7], seed=0) is None


def test_pairs_are_chosen_by_time_alone() -> None:
    matches = matched(path(n=24), scene(points=40))
    chosen = [matches.pairs[i] for i in pairs_apart(matches)]
    assert {b - a for a, b in chosen} == {3, 6}
    assert len(chosen) <= MAX_PAIRS
    assert (0, 3) in chosen
    assert (17, 23) in chosen
    assert len(neighbours(matches)) == 23
    near = [i for i, (a, b) in enumerate(matches.pairs) if b - a in (1, 4)]
    few = replace(
        matches, pairs=tuple(matches.pairs[i] for i in near), indices=tuple(matches.indices[i] for i in near)
    )
    assert {b - a for a, b in (few.pairs[i] for i in pairs_apart(few))} == {4}
