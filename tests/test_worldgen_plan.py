from dataclasses import replace

import pytest
import torch

from recon.cameras import Cameras, backproject, project
from recon.clip import Clip
from recon.errors import BridgeError
from recon.gaussians import Gaussians, from_points
from recon.points import PointCloud
from worldgen.model import Request
from worldgen.models.splat import SplatModel
from worldgen.models.synthetic import SyntheticRoom
from worldgen.plan import _find_seen_points, in_frame, plan_cameras, plan_times


@pytest.fixture(scope="module")
def capture() -> tuple[Clip, PointCloud, Gaussians]:
    """Nine views along an arc, and splats on what they see."""
    room = SyntheticRoom()
    cameras = room.cameras(9, width=96, height=64)
    images, depth = room.render(cameras)
    xyz = backproject(depth.double(), cameras).reshape(-1, 3)[::23]
    cloud = PointCloud(xyz, images.reshape(-1, 3)[::23], torch.zeros(len(xyz), dtype=torch.float64))
    return Clip(images, cameras), cloud, from_points(xyz, cloud.rgb, opacity=0.9, sh_degree=0)


def planned(clip: Clip, scene: Gaussians, cloud: PointCloud | None, count: int = 4, seed: int = 0) -> Cameras:
    return plan_cameras(scene, clip, count=count, points=cloud, generator=torch.Generator().manual_seed(seed))


def test_count_lens_and_rigid_poses(capture) -> None:
    clip, cloud, scene = capture
    for count in (1, 20):
        cameras = planned(clip, scene, cloud, count).validate()
        assert len(cameras) == count
        assert (cameras.width, cameras.height) == (96, 64)
        assert torch.allclose(cameras.K, clip.require_cameras().K[0])


def test_same_generator_state_same_plan(capture) -> None:
    clip, cloud, scene = capture
    first, second, third = (planned(clip, scene, cloud, seed=s).cam_from_world for s in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


def test_goes_to_the_side_that_lacks_photos(capture) -> None:
    """Photos are dense on the left and thin on the right: new cameras belong to the right."""
    clip, cloud, scene = capture
    kept = clip[[0, 1, 2, 3, 4, 8]]
    x = planned(kept, scene, cloud, 5).centers[:, 0]
    assert clip.require_cameras().centers[4, 0] < x.median() < clip.require_cameras().centers[8, 0] + 0.6


def test_stays_where_the_photos_support_it(capture) -> None:
    clip, cloud, scene = capture
    cameras = planned(clip, scene, cloud, 8)
    photos = clip.require_cameras()
    gaps = torch.cdist(cameras.centers, photos.centers).min(1).values
    assert gaps.max() < 1.0  # the arc is 2.4 m in radius, its photos half a metre apart
    twice = in_frame(cloud.xyz, photos)[0].sum(0) >= 2
    seen = in_frame(cloud.xyz[twice], cameras)[0].float().mean(1)
    typical = in_frame(cloud.xyz[twice], photos)[0].float().mean(1).median()
    assert (seen > 0.55 * typical).all()
    room_half = torch.tensor([3.0, 2.5, 2.7], dtype=torch.float64)
    assert (cameras.centers.abs() < room_half).all()
    assert (cameras.centers[:, 2] > 0).all()


def test_spreads_out(capture) -> None:
    clip, cloud, scene = capture
    assert torch.pdist(planned(clip, scene, cloud, 6).centers).min() > 0.1


def test_looks_at_the_hole_in_the_splats(capture) -> None:
    """Points that the splats lost are known as badly seen, and stay in the picture of the new cameras."""
    clip, cloud, scene = capture

    def in_hole(xyz: torch.Tensor) -> torch.Tensor:
        return (xyz[:, 0] > -0.6) & (xyz[:, 0] < 0.3) & (xyz[:, 2] > 0.8)

    lost = in_hole(scene.means)
    holed = Gaussians(**{name: value[~lost] for name, value in scene.tensors().items()})
    points = _find_seen_points(holed, clip, cloud)
    at_hole = in_hole(points.xyz)
    assert points.need[at_hole].mean() > points.need[~at_hole].mean() + 0.1
    chosen = in_frame(scene.means[lost].double(), planned(clip, holed, cloud, 4))[0].double().mean()
    photos = in_frame(scene.means[lost].double(), clip.require_cameras())[0].double().mean()
    assert chosen > photos


def test_keeps_out_of_geometry(capture) -> None:
    clip, cloud, scene = capture
    cameras = planned(clip, scene, cloud, 8)
    _, nearest_photo = in_frame(cloud.xyz, clip.require_cameras())
    _, z = project(cloud.xyz, cameras)
    visible = in_frame(cloud.xyz, cameras)[0]
    assert torch.where(visible, z, torch.inf).min() > 0.25 * nearest_photo[nearest_photo > 0].min()


def test_does_without_points(capture) -> None:
    clip, _, scene = capture
    assert len(planned(clip, scene, None, 3)) == 3


def test_too_little_to_plan_with(capture) -> None:
    clip, cloud, scene = capture
    with pytest.raises(BridgeError, match="two posed photos"):
        planned(clip[:1], scene, cloud)
    with pytest.raises(BridgeError, match="at least one camera"):
        planned(clip, scene, cloud, 0)


def test_splat_model_renders_with_opacity_as_confidence(capture, generator: torch.Generator) -> None:
    clip, _, scene = capture
    model = SplatModel(scene)
    view = model.generate(Request(clip[:0], clip.require_cameras()[4]), generator=generator).clip
    assert view.images.shape == (1, 64, 96, 3)
    assert view.confidence.mean() > 0.8
    far = from_points(torch.tensor([[0.0, 0.0, 500.0]]), torch.zeros(1, 3), sh_degree=0)
    empty = SplatModel(far).generate(Request(clip[:0], clip.require_cameras()[4]), generator=generator).clip
    assert empty.confidence.max() < 0.01
    assert torch.allclose(empty.images, torch.tensor(0.5), atol=0.01)


def test_targets_have_the_times_of_the_photos_nearest_to_them() -> None:
    cameras = SyntheticRoom().cameras(5, width=32, height=24)
    photos = Clip(
        torch.zeros(5, 24, 32, 3), cameras, torch.tensor([0.0, 0.5, 1, 1.5, 2], dtype=torch.float64)
    )
    times = plan_times(cameras[[3, 0]], photos)
    assert times is not None
    assert times.tolist() == [1.5, 0]
    assert plan_times(cameras, replace(photos, times_s=None)) is None


def test_later_rounds_go_elsewhere(capture) -> None:
    """Other candidates are drawn each round, and still most of them would be chosen beside those of the round before."""
    clip, cloud, scene = capture
    first = planned(clip, scene, cloud, 8)

    def beside(second: Cameras) -> int:
        """How many see what the first ones saw, from within three degrees."""
        middle = cloud.xyz.double().mean(0)
        rays = [torch.nn.functional.normalize(middle - x.centers.double(), dim=-1) for x in (second, first)]
        apart = torch.rad2deg(torch.arccos((rays[0] @ rays[1].T).clamp(-1, 1)))
        return int((apart.min(1).values < 3).sum())

    generator = torch.Generator().manual_seed(1)
    state = generator.get_state()
    ignorant = plan_cameras(scene, clip, count=8, points=cloud, generator=generator)
    generator.set_state(state)
    told = plan_cameras(scene, clip, count=8, points=cloud, generator=generator, earlier=first)
    assert beside(told) == 0 < beside(ignorant)
