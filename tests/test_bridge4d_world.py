"""The world of a reconstruction from scratch in metres and upright, by GPS."""

import pytest
import torch
from scipy.spatial.transform import Rotation

from bridge4d.stages.world import find_metric_world
from recon.cameras import Cameras, intrinsics, look_at
from recon.clip import Clip
from recon.pictures.gps import EQUATOR_M
from recon.sim3 import Sim3

N = 8


def flight(radius_m: float) -> Cameras:
    """Cameras on a circle and at several heights that look at its middle: metres, x east, y down, z north."""
    angle = torch.arange(N, dtype=torch.float64) * (2 * torch.pi / N)
    height = 0.3 * torch.sin(3 * angle)
    eyes = radius_m * torch.stack([angle.cos(), -0.5 - height, angle.sin()], 1)
    up = torch.tensor([[0.0, -1.0, 0.0]], dtype=torch.float64).expand(N, 3)
    poses = look_at(eyes, torch.zeros(N, 3, dtype=torch.float64), up)
    return Cameras(poses, intrinsics(focal_px=40, width=32, height=24, n=N), 32, 24)


def recorded(cameras: Cameras, noise_m: float) -> dict:
    """What capture.json says of photos on the equator, where a metre is the same angle east and north (to 0.7%)."""
    noise = torch.randn(N, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * noise_m
    degrees = torch.rad2deg(torch.tensor(1 / EQUATOR_M))
    where = cameras.centers + noise
    rows = [(float(z * degrees), 5 + float(x * degrees), 100 - float(y)) for x, y, z in where]
    return {"places": {f"{i:05d}": row for i, row in enumerate(rows)}}


def own_world(cameras: Cameras) -> Clip:
    turn = torch.from_numpy(Rotation.from_rotvec([0.4, -1.2, 0.7]).as_matrix())
    scene = Sim3(
        torch.tensor(0.05, dtype=torch.float64), turn, torch.tensor([3.0, 1.0, -2.0], dtype=torch.float64)
    )
    return Clip(torch.zeros(N, 24, 32, 3), scene.cameras(cameras))


def test_a_reconstruction_is_put_in_metres_with_up_where_gravity_has_it() -> None:
    truth = flight(50.0)
    metric, georeference = find_metric_world(own_world(truth), recorded(truth, 0.3))
    found = metric.cameras(own_world(truth).require_cameras())
    apart, apart_truth = torch.cdist(found.centers, found.centers), torch.cdist(truth.centers, truth.centers)
    torch.testing.assert_close(apart, apart_truth, rtol=0.02, atol=0.5)
    torch.testing.assert_close(found.forward, truth.forward, rtol=0, atol=0.03)
    assert float(georeference.residuals_m.median()) < 1


@pytest.mark.parametrize(("radius_m", "noise_m"), [(3.0, 0.5), (50.0, 25.0)])
def test_places_that_tell_too_little_are_not_used(radius_m: float, noise_m: float) -> None:
    """Photos of a room, which lie within the noise of GPS; and places that contradict the reconstruction."""
    truth = flight(radius_m)
    assert find_metric_world(own_world(truth), recorded(truth, noise_m)) is None


def test_three_places_are_too_few() -> None:
    truth = flight(50.0)
    record = recorded(truth, 0.0)
    record["places"] = dict(list(record["places"].items())[:3])
    assert find_metric_world(own_world(truth), record) is None
    assert find_metric_world(own_world(truth), replace_none(record)) is None


def replace_none(record: dict) -> dict:
    return {**record, "places": {}}
