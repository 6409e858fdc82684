import math

import pytest
import torch

from recon.clip import Clip
from recon.errors import BridgeError
from worldgen.model import Request
from worldgen.models.corrupt import Corrupt, Corruption, bend_pictures, thin_plate_displacement
from worldgen.models.synthetic import SyntheticRoom


@pytest.fixture(scope="module")
def room() -> SyntheticRoom:
    return SyntheticRoom()


def run(room: SyntheticRoom, seed: int = 3, n: int = 4, **strengths: float):
    model = Corrupt(room, Corruption(**strengths))
    request = Request(Clip(torch.zeros(0, 4, 4, 3)), room.cameras(n, width=60, height=40))
    views, damage = model.generate_with_truth(request, generator=torch.Generator().manual_seed(seed))
    clean, _ = room.render(request.targets)
    return model, request, views.clip, damage, clean


def test_no_strength_no_damage(room: SyntheticRoom) -> None:
    _, request, clip, damage, clean = run(room)
    assert torch.allclose(clip.images, clean, atol=1e-6)
    assert torch.allclose(damage.true_cameras.cam_from_world, request.targets.cam_from_world, atol=1e-12)


def test_pose_drift_is_what_was_asked_and_what_is_shown(room: SyntheticRoom) -> None:
    model, request, clip, damage, _ = run(room, rotation_drift_deg=2.0, translation_drift=0.05)
    true, asked = damage.true_cameras, request.targets
    between = true.cam_from_world[:, :3, :3] @ asked.cam_from_world[:, :3, :3].transpose(1, 2)
    cosine = ((torch.diagonal(between, dim1=1, dim2=2).sum(1) - 1) / 2).clamp(-1, 1)
    assert torch.rad2deg(torch.arccos(cosine)).tolist() == pytest.approx([0, 2, 4, 6], abs=1e-4)
    extent = 2 * (asked.centers - asked.centers.mean(0)).norm(dim=1).max()
    moved = (true.centers - asked.centers).norm(dim=1) / extent
    assert moved.tolist() == pytest.approx([0, 0.05, 0.10, 0.15], abs=1e-9)
    assert torch.equal(clip.images, room.render(true)[0])  # shown from the true cameras,
    assert clip.cameras is asked  # claimed to be from the requested ones
    told = model.true_cameras(asked, generator=torch.Generator().manual_seed(3))
    assert torch.equal(told.cam_from_world, true.cam_from_world)


def test_scale_drift_stretches_away_from_the_first_camera(room: SyntheticRoom) -> None:
    _, request, _, damage, _ = run(room, scale_drift=0.1)
    asked = (request.targets.centers - request.targets.centers[0]).norm(dim=1)[1:]
    true = (damage.true_cameras.centers - request.targets.centers[0]).norm(dim=1)[1:]
    assert (true / asked).tolist() == pytest.approx([1.1, 1.1**2, 1.1**3])


def test_swapped_frames_are_each_others(room: SyntheticRoom) -> None:
    _, _, clip, damage, clean = run(room, swapped=0.5)
    assert sum(a != i for i, a in enumerate(damage.source)) == 2
    assert torch.allclose(clip.images, clean[list(damage.source)], atol=1e-6)
    with pytest.raises(BridgeError, match="share"):
        run(room, swapped=2)


def test_flicker_is_the_gain_that_is_told(room: SyntheticRoom) -> None:
    _, _, clip, damage, clean = run(room, flicker=0.1)
    assert torch.allclose(clip.images, (clean * damage.gains[:, None, None]).clamp(0, 1), atol=1e-6)
    assert (damage.gains - 1).abs().max() > 0.02


def test_blur_removes_detail_and_noise_adds_its_deviation(room: SyntheticRoom) -> None:
    _, _, blurry, _, clean = run(room, blur_px=2)
    assert blurry.images.diff(dim=2).abs().mean() < 0.5 * clean.diff(dim=2).abs().mean()
    _, _, noisy, _, _ = run(room, noise=0.02)
    inside = (clean > 0.1) & (clean < 0.9)
    assert float((noisy.images - clean)[inside].std()) == pytest.approx(0.02, rel=0.05)


def test_bending_moves_pixels_by_the_told_displacement(room: SyntheticRoom) -> None:
    _, _, clip, damage, clean = run(room, bend_px=3)
    assert damage.displacement_px is not None
    rms = damage.displacement_px.pow(2).sum(-1).mean((1, 2)).sqrt()
    assert rms.tolist() == pytest.approx([3] * 4, rel=1e-4)
    assert torch.allclose(clip.images, bend_pictures(clean, damage.displacement_px), atol=1e-6)


def test_bending_reads_at_the_displaced_place() -> None:
    ramp = torch.arange(20).float().add(0.5).expand(1, 10, 20)[..., None]
    field = thin_plate_displacement(1, 20, 10, 1.0, generator=torch.Generator().manual_seed(0))
    shown = bend_pictures(ramp, field)[0, :, 4:-4, 0]
    wanted = (ramp[..., 0] + field[..., 0])[0, :, 4:-4]
    assert torch.allclose(shown, wanted, atol=1e-4)
    assert math.isclose(float(field.mean()), 0, abs_tol=1e-5)


def test_same_generator_state_same_damage(room: SyntheticRoom) -> None:
    first, second, third = (run(room, seed=s, noise=0.05, rotation_drift_deg=1)[2].images for s in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


@pytest.mark.parametrize("n", [3, 7])
def test_all_of_an_odd_number_can_be_swapped_but_one(n: int) -> None:
    from worldgen.models.corrupt import _swap_frames

    source = _swap_frames(n, 1.0, torch.Generator().manual_seed(0))
    assert sorted(source) == list(range(n))
    assert sum(source[i] == i for i in range(n)) == 1
