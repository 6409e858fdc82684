"""Errors that were put in must be read off again, in every convention, and agree with evo and COLMAP."""

import math
from dataclasses import replace

import pytest
import torch

from eval.poses import rotation_angle_deg
from eval.trajectories import ERRORS, WORST, PathError, trajectory_errors
from recon.cameras import Cameras, intrinsics
from recon.errors import CameraError
from recon.sim3 import Sim3

ROTATIONS = {
    "rotation_deg",
    "cameractrl_rot_err",
    "cami2v_rot_err",
    "camco_rotation_deg",
    "cosmos_rotation_deg",
    "rpe_rotation_deg",
}
SUMS = {"cameractrl_rot_err", "cameractrl_trans_err", "cami2v_rot_err", "cami2v_trans_err", "cami2v_cam_mc"}


def turns(axis_angle: torch.Tensor) -> torch.Tensor:
    x, y, z = axis_angle.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.matrix_exp(torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(-1, 3, 3))


def normal(generator: torch.Generator, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def cameras(R: torch.Tensor, centers: torch.Tensor) -> Cameras:
    pose = torch.eye(4, dtype=torch.float64).repeat(len(R), 1, 1)
    pose[:, :3, :3], pose[:, :3, 3] = R, -(R @ centers[..., None])[..., 0]
    return Cameras(pose, intrinsics(focal_px=500, width=640, height=480, n=len(R)), 640, 480)


def path(n: int, generator: torch.Generator) -> Cameras:
    return cameras(turns(0.4 * normal(generator, n, 3)), 0.3 * normal(generator, n, 3).cumsum(0))


def noisy(a: Cameras, generator: torch.Generator, *, rotation: float = 0.0, position: float = 0.0) -> Cameras:
    n = len(a)
    R = turns(rotation * normal(generator, n, 3)) @ a.cam_from_world[:, :3, :3]
    return cameras(R, a.centers + position * normal(generator, n, 3))


def elsewhere(a: Cameras, generator: torch.Generator) -> Cameras:
    scale = normal(generator, 1)[0].exp()
    return Sim3(scale, turns(normal(generator, 1, 3))[0], 5 * normal(generator, 3)).cameras(a)


def everything(n: int) -> torch.Tensor:
    return torch.ones(n, dtype=torch.bool)


def values(recovered: Cameras, requested: Cameras) -> dict[str, float]:
    errors = trajectory_errors(recovered, everything(len(requested)), requested)
    return {key: error.value for key, error in errors.items() if error.value is not None}


def test_every_convention_is_described_and_answered(generator: torch.Generator) -> None:
    requested = path(5, generator)
    errors = trajectory_errors(requested, everything(5), requested)
    assert list(errors) == list(ERRORS)
    assert set(WORST) == set(ERRORS)
    assert all(not info.higher_is_better and info.definition for info in ERRORS.values())


@pytest.mark.parametrize("n", [3, 16])
def test_the_truth_in_another_world_has_no_error(n: int, generator: torch.Generator) -> None:
    requested = path(n, generator)
    found = values(elsewhere(requested, generator), requested)
    assert set(found) == set(ERRORS)
    assert max(found.values()) < 1e-9


def test_errors_do_not_see_the_world_of_either_path(generator: torch.Generator) -> None:
    requested = path(12, generator)
    recovered = noisy(requested, generator, rotation=0.1, position=0.1)
    before = values(recovered, requested)
    moved = values(elsewhere(recovered, generator), requested)
    assert moved == pytest.approx(before, rel=1e-9)
    both = values(elsewhere(recovered, generator), elsewhere(requested, generator))
    before.pop("ate"), both.pop("ate")  # in units of the request
    assert both == pytest.approx(before, rel=1e-9)


@pytest.mark.parametrize("kind", ["rotation", "position"])
def test_errors_rise_with_the_injected_error(kind: str, generator: torch.Generator) -> None:
    requested = path(12, generator)
    levels = [0.0, 0.01, 0.03, 0.1, 0.3]
    seeded = [torch.Generator().manual_seed(3) for _ in levels]
    found = [values(noisy(requested, g, **{kind: x}), requested) for x, g in zip(levels, seeded, strict=True)]
    # of the rotations only Cosmos's follows an alignment of the centres
    blind = ROTATIONS - {"cosmos_rotation_deg"} if kind == "position" else set()
    if kind == "rotation":  # positions after Sim(3) of the centres know nothing of the cameras' rotations
        blind = {"cosmos_translation", "ate", "ate_share"}
    for key in ERRORS:
        series = [each[key] for each in found]
        if key in blind:
            assert max(series) < 1e-9
        else:
            assert series == sorted(series)
            assert series[-1] > 10 * series[1] > 0


def test_known_errors_are_read_off(generator: torch.Generator) -> None:
    n, angle = 6, math.radians(10)
    requested = path(n, generator)
    axis = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    turn = turns(angle * axis.expand(n, 3).clone())
    turn[0] = torch.eye(3)  # the first frame is right, the others are turned about their own centres
    recovered = cameras(requested.cam_from_world[:, :3, :3] @ turn, requested.centers)
    found = values(recovered, requested)
    assert found["cosmos_rotation_deg"] == pytest.approx(10 * (n - 1) / n)  # the centres are right
    # the turn that suits all cameras best goes most of the way with those that agree
    mean = math.degrees(math.atan2((n - 1) * math.sin(angle), 1 + (n - 1) * math.cos(angle)))
    assert found["rotation_deg"] == pytest.approx((mean + (n - 1) * (10 - mean)) / n)
    assert found["camco_rotation_deg"] == pytest.approx(10)
    assert found["cameractrl_rot_err"] == pytest.approx(angle * (n - 1))
    assert found["cami2v_rot_err"] == pytest.approx(angle * (n - 1))
    assert found["cami2v_trans_err"] == pytest.approx(0, abs=1e-12)
    assert found["cami2v_cam_mc"] == pytest.approx((n - 1) * math.sqrt(4 - 4 * math.cos(angle)))
    assert found["cameractrl_trans_err"] > 0.01  # the extrinsics' translation turns with the camera
    assert found["rpe_rotation_deg"] == pytest.approx(10 / math.sqrt(n - 1))


def test_scale_is_taken_at_the_farthest_camera() -> None:
    """On a line, by hand: requested 0 1 2, recovered 0 3 4, so 0 ½ 1 against 0 ¾ 1."""
    n = 3
    R = torch.eye(3, dtype=torch.float64).repeat(n, 1, 1)
    line = torch.zeros(n, 3, dtype=torch.float64)
    requested = cameras(
        R, line.index_put((torch.arange(n), torch.tensor(0)), torch.tensor([0.0, 1, 2]).double())
    )
    recovered = cameras(
        R, line.index_put((torch.arange(n), torch.tensor(0)), torch.tensor([0.0, 3, 4]).double())
    )
    found = values(recovered, requested)
    for key in ("cameractrl_trans_err", "cami2v_trans_err", "cami2v_cam_mc"):
        assert found[key] == pytest.approx(0.25)
    assert found["camco_translation"] == pytest.approx(0.125)
    # least squares: y = 6/13 (x - 7/3) + 1, so errors 1/13, 4/13, 3/13 of one unit
    assert found["ate"] == pytest.approx(math.sqrt((1 + 16 + 9) / 169 / 3))
    assert found["ate_share"] == pytest.approx(found["ate"] / 2)
    assert found["position_share"] == pytest.approx(8 / 13 / 3 / 2)
    assert found["cosmos_translation"] == pytest.approx(8 / 13 / 3 / 2)
    assert found["rpe_translation_share"] == pytest.approx(math.sqrt((25 / 169 + 49 / 169) / 2) / 2)


@pytest.mark.parametrize("n", [5, 40])
def test_ate_and_rpe_are_those_of_evo(n: int, generator: torch.Generator) -> None:
    metrics = pytest.importorskip("evo.core.metrics")
    trajectory = pytest.importorskip("evo.core.trajectory")
    for _ in range(5):
        requested = path(n, generator)
        recovered = elsewhere(noisy(requested, generator, rotation=0.2, position=0.2), generator)
        found = trajectory_errors(recovered, everything(n), requested)
        extent = torch.cdist(requested.centers, requested.centers).max().item()
        q = trajectory.PosePath3D(poses_se3=list(requested.world_from_cam.numpy()))
        p = trajectory.PosePath3D(poses_se3=list(recovered.world_from_cam.numpy()))
        p.align(q, correct_scale=True)

        def rmse(metric: object, q: object = q, p: object = p) -> float:
            metric.process_data((q, p))  # type: ignore[attr-defined]
            return metric.get_statistic(metrics.StatisticsType.rmse)  # type: ignore[attr-defined]

        kind = metrics.PoseRelation
        expected = {
            "ate": rmse(metrics.APE(kind.translation_part)),
            "ate_share": rmse(metrics.APE(kind.translation_part)) / extent,
            "rpe_translation_share": rmse(metrics.RPE(kind.translation_part)) / extent,
            "rpe_rotation_deg": rmse(metrics.RPE(kind.rotation_angle_deg)),
        }
        assert {key: found[key].value for key in expected} == pytest.approx(expected, rel=1e-9)


def test_rotations_and_positions_are_those_of_colmap() -> None:
    """COLMAP's own comparison of models aligns the centres, as `cosmos_rotation_deg` does, and robustly; with
    small noise every image is an inlier of it."""
    pycolmap = pytest.importorskip("pycolmap")
    pycolmap.set_random_seed(4)
    options = pycolmap.SyntheticDatasetOptions()
    options.num_rigs, options.num_frames_per_rig = 1, 12
    truth = pycolmap.synthesize_dataset(options)
    noise = pycolmap.SyntheticNoiseOptions()
    noise.rig_from_world_translation_stddev, noise.rig_from_world_rotation_stddev = 0.01, 1.0
    estimate = pycolmap.Reconstruction(truth)
    pycolmap.synthesize_noise(noise, estimate)
    compared = pycolmap.compare_reconstructions(estimate, truth, alignment_error="proj_center")
    found = trajectory_errors(from_colmap(estimate), everything(12), from_colmap(truth))
    rotation = [e.rotation_error_deg for e in compared["errors"]]
    distance = [e.proj_center_error for e in compared["errors"]]
    assert min(distance) > 0
    assert found["cosmos_rotation_deg"].value == pytest.approx(sum(rotation) / 12, rel=1e-3)
    assert found["ate"].value == pytest.approx(math.sqrt(sum(d * d for d in distance) / 12), rel=1e-3)


def from_colmap(reconstruction: object) -> Cameras:
    images = sorted(reconstruction.images.values(), key=lambda image: image.image_id)  # type: ignore[attr-defined]
    pose = torch.eye(4, dtype=torch.float64).repeat(len(images), 1, 1)
    pose[:, :3] = torch.stack([torch.tensor(image.cam_from_world().matrix()) for image in images])
    return Cameras(pose, intrinsics(focal_px=1280, width=1024, height=768, n=len(images)), 1024, 768)


def almost_straight(n: int, generator: torch.Generator, *, bend: float) -> Cameras:
    """A dolly of length 1 along the view, whose centres leave their line by a share `bend` of their spread on it."""
    along = torch.linspace(0, 1, n, dtype=torch.float64)
    across = bend * (along - along.mean()).norm() * torch.nn.functional.normalize(normal(generator, n), dim=0)
    gaze = turns(
        torch.linspace(0, 0.05, n, dtype=torch.float64)[:, None] * torch.tensor([0.0, 1, 0]).double()
    )
    return cameras(gaze, torch.stack([across, torch.zeros_like(along), along], 1))


@pytest.mark.parametrize("bend", [0.0, 0.03, 0.05])
def test_an_almost_straight_path_keeps_its_rotation(bend: float) -> None:
    """Poses right to 0.1° and 1% of the path: what little the centres leave their line is mostly noise, and an
    alignment by the centres alone, as evo does it, rolls the path about itself."""
    seen = []
    for seed in range(10):
        generator = torch.Generator().manual_seed(seed)
        requested = almost_straight(16, generator, bend=bend)
        recovered = noisy(requested, generator, rotation=math.radians(0.1) / 3**0.5, position=0.01)
        found = values(elsewhere(recovered, generator), requested)
        assert 0.01 < found["rotation_deg"] < 0.3
        assert found["position_share"] < 0.03
        seen.append(found["cosmos_rotation_deg"])
    assert (max(seen) > 5) == (
        bend > 0
    )  # of a true line the cameras' own rotations settle the roll there too


def test_nothing_recovered_counts_as_worst(generator: torch.Generator) -> None:
    requested = path(5, generator)
    nobody = torch.zeros(5, dtype=torch.bool)
    errors = trajectory_errors(None, nobody, requested)
    assert errors == trajectory_errors(requested[nobody], nobody, requested)
    assert {error.value for error in errors.values()} == {None}
    assert {error.undefined_because for error in errors.values()} == {"poses not recovered"}
    worst = {key: error.worst for key, error in errors.items()}
    assert worst["rotation_deg"] == worst["rpe_rotation_deg"] == 180
    assert worst["cameractrl_rot_err"] == pytest.approx(4 * math.pi)
    assert worst["cami2v_trans_err"] == 8
    assert worst["cami2v_cam_mc"] == pytest.approx(4 * math.sqrt(12))
    spread = (requested.centers - requested.centers.mean(0)).square().sum(-1).mean().sqrt().item()
    assert worst["ate"] == pytest.approx(spread)


def test_no_path_is_worse_than_the_worst(generator: torch.Generator) -> None:
    """Also for paths that have nothing to do with the request, and the bounds are not loose by orders."""
    closest = dict.fromkeys(ERRORS, 0.0)
    for _ in range(150):
        requested, recovered = path(4, generator), path(4, generator)
        recovered = noisy(recovered, generator, rotation=3.0)
        for key, error in trajectory_errors(recovered, everything(4), requested).items():
            if error.value is not None:
                assert error.worst is not None
                assert error.value <= error.worst
                closest[key] = max(closest[key], error.value / error.worst)
    assert min(closest.values()) > 0.4


def test_a_partly_registered_path(generator: torch.Generator) -> None:
    requested = path(6, generator)
    registered = torch.tensor([False, True, True, False, True, False])
    errors = trajectory_errors(requested[registered], registered, requested)
    for key, error in errors.items():
        assert error.worst is not None
        if key in SUMS:
            assert (error.value, error.undefined_because) == (None, "needs every frame")
        else:
            assert error.value == pytest.approx(0, abs=1e-9)
    # a gap is no step: an error in the frame behind it is none between consecutive frames
    bent = requested[registered].cam_from_world.clone()
    bent[2, :3, :3] = turns(torch.tensor([[0.0, 0.5, 0]], dtype=torch.float64))[0] @ bent[2, :3, :3]
    recovered = replace(requested[registered], cam_from_world=bent)
    assert trajectory_errors(recovered, registered, requested)["rpe_rotation_deg"].value == pytest.approx(
        0, abs=1e-9
    )
    apart = torch.tensor([True, False, True, False, True, False])
    errors = trajectory_errors(requested[apart], apart, requested)
    assert errors["rpe_rotation_deg"].undefined_because == "no two consecutive frames registered"
    two = torch.tensor([True, True, False, False, False, False])
    errors = trajectory_errors(requested[two], two, requested)
    assert {error.undefined_because for error in errors.values()} == {"fewer than three frames registered"}


def test_a_request_that_does_not_move(generator: torch.Generator) -> None:
    n = 6
    R = turns(0.4 * normal(generator, n, 3))
    requested = cameras(R, torch.ones(n, 3, dtype=torch.float64))
    recovered = noisy(requested, generator, position=0.1)
    errors = trajectory_errors(elsewhere(recovered, generator), everything(n), requested)
    for key, error in errors.items():
        if key in ROTATIONS:
            assert error.value == pytest.approx(0, abs=1e-9)
        else:
            assert error == PathError(None, None, "the requested path does not move")
    turned = noisy(requested, generator, rotation=0.1)
    expected = rotation_angle_deg(turned.cam_from_world[:, :3, :3], R).mean().item()
    assert 0 < trajectory_errors(turned, everything(n), requested)["rotation_deg"].value <= expected  # type: ignore[operator]


def test_a_recovery_that_does_not_move_or_moves_backwards(generator: torch.Generator) -> None:
    requested = path(5, generator)
    R = requested.cam_from_world[:, :3, :3]
    still = trajectory_errors(cameras(R, torch.ones(5, 3, dtype=torch.float64)), everything(5), requested)
    assert still["ate"].undefined_because == "no alignment of the positions"
    assert still["camco_translation"].undefined_because == "the registered frames do not move"
    assert still["ate"].worst is not None
    assert still["rotation_deg"].value == pytest.approx(0, abs=1e-9)
    line = torch.arange(5, dtype=torch.float64)[:, None] * torch.tensor([[1.0, 0, 0]], dtype=torch.float64)
    back = trajectory_errors(cameras(R, -line), everything(5), cameras(R, line))
    assert back["ate"].value is None
    assert back["ate"].worst is not None
    assert back["cami2v_trans_err"].value == pytest.approx(2 * (0.25 + 0.5 + 0.75 + 1))


def test_numbers_of_frames_must_fit(generator: torch.Generator) -> None:
    requested = path(5, generator)
    with pytest.raises(CameraError, match="expected 5 flags"):
        trajectory_errors(None, everything(4), requested)
    with pytest.raises(CameraError, match="5 registered cameras"):
        trajectory_errors(requested[:4], everything(5), requested)
