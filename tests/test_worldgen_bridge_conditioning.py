"""What the network of the built-in model is told of a request, and the training samples made of it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from bridge_shots import five_photos, nine_pictures, three_frames

from recon.clip import Clip
from recon.errors import BridgeError
from worldgen.models.bridge.conditioning import Cache, choose_views, condition, pluecker, time_nearness
from worldgen.models.bridge.motion import warp_picture
from worldgen.models.bridge.training import samples
from worldgen.models.bridge.training.samples import (
    Sample,
    build_cache,
    flip,
    load_crop,
    permute_colours,
    save_sample,
)


@pytest.fixture(scope="module")
def room() -> Clip:
    return nine_pictures()


@pytest.fixture(scope="module")
def cache() -> Cache:
    return five_photos()


@pytest.fixture(scope="module")
def sample() -> Sample:
    return three_frames()


def test_views_are_looked_up_at_the_pixels_of_the_target(room, cache):
    given = condition(cache, room.require_cameras()[3])
    truth = room.images[3].permute(2, 0, 1)
    for view, cues in zip(given.views[0], given.cues[0], strict=True):
        trusted = (cues[0] > 0) & (cues[2] > 0.6)
        if trusted.float().mean() > 0.2:
            error = (view - truth).abs().mean(0)[trusted].median()
            assert error < 0.04
    assert given.inverse_depth.min() > 0


def test_a_photo_seen_from_its_own_camera_is_itself(room, cache):
    given = condition(cache, room.require_cameras()[4])
    best = given.views[0, 0]
    sure = given.cues[0, 0, 0] > 0
    assert sure.float().mean() > 0.9
    assert (best - room.images[4].permute(2, 0, 1)).abs().mean(0)[sure].max() < 0.02


def test_fewer_views_than_slots_leave_empty_slots(room):
    given = condition(build_cache(room[[2, 6]], None, room.require_cameras()), room.require_cameras()[4])
    assert given.views.shape[1] == 5
    assert (given.cues[0, 2:] == 0).all()


def test_generated_frames_take_the_last_place_only(room, cache):
    frame = room[[3]]
    longer = cache.add_frames(frame, cache.maps.depth[:1], torch.ones(1, 120, 168))
    picks = choose_views(longer, room.require_cameras()[3], 5)
    assert picks[-1] == 5
    assert all(i < 5 for i in picks[:-1])
    assert longer.scale == cache.scale
    assert not cache.generated.any()


def test_generated_frames_of_another_size_come_to_that_of_the_cache(room, cache):
    frame = room[[3]].resize(width=84, height=60)
    depth = torch.rand(1, 60, 84) + 1
    longer = cache.add_frames(frame, depth, torch.ones(1, 60, 84))
    assert longer.clip.images.shape == (6, 120, 168, 3)
    assert set(longer.maps.depth[5].unique().tolist()) <= set(depth.unique().tolist()), "edges stay edges"


def test_pluecker_moment_is_zero_for_the_reference_itself_and_grows_with_distance(room):
    cameras = room.require_cameras()
    rays = pluecker(cameras, cameras[0], 1.0)
    assert rays[0, 3:].abs().max() < 1e-6
    assert torch.allclose(rays[:, :3].norm(dim=1), torch.ones(9, 120, 168), atol=1e-5)
    assert rays[8, 3:].norm(dim=0).mean() > rays[1, 3:].norm(dim=0).mean() > 0
    assert torch.allclose((rays[:, :3] * rays[:, 3:]).sum(1), torch.zeros(9, 120, 168), atol=1e-4)


def test_nearness_in_time():
    times = torch.tensor([0.0, 5.0, 10.0])
    assert time_nearness(times, [0, 1, 2], 10.0) == pytest.approx([0.0, 0.5, 1.0])
    assert time_nearness(None, [0, 1], 3.0) == [1.0, 1.0]


def test_what_moves_from_frame_to_frame_lands_on_itself(room, sample):
    """The picture of frame 0, looked up from frame 1 through its depth, is the picture of frame 1."""
    given, cameras = sample.given, sample.cameras
    out, valid = warp_picture(
        sample.truth[:1], given.inverse_depth[:1], cameras[0], given.inverse_depth[1:2], cameras[1],
        torch.tensor([sample.scale]),
    )  # fmt: skip
    sure = valid[0, 0] > 0
    assert sure.float().mean() > 0.6
    still = (sample.truth[0] - sample.truth[1]).abs().mean(0)[sure].mean()
    assert (out[0] - sample.truth[1]).abs().mean(0)[sure].mean() < 0.5 * still


def test_a_saved_crop_is_the_crop(sample, tmp_path):
    save_sample(sample, tmp_path / "s.safetensors")
    crop = load_crop(tmp_path / "s.safetensors", frames=slice(1, 3), top=8, left=16, size=48)
    rows, columns = slice(8, 56), slice(16, 64)
    assert (crop.given.views - sample.given.views[1:3, :, :, rows, columns]).abs().max() < 0.003
    assert (crop.given.cues - sample.given.cues[1:3, :, :, rows, columns]).abs().max() < 0.01
    assert (crop.given.frame - sample.given.frame[1:3, :, rows, columns]).abs().max() < 0.02
    assert (crop.truth - sample.truth[1:3, :, rows, columns]).abs().max() < 0.003
    K = sample.cameras.K[1]
    assert crop.cameras.K[0, 0, 2] == K[0, 2] - 16
    assert crop.cameras.K[0, 1, 2] == K[1, 2] - 8


def test_a_broken_sample_is_named(tmp_path):
    path = tmp_path / "000000.safetensors"
    path.write_bytes(b"no sample")
    with pytest.raises(BridgeError, match="expected a training sample"):
        load_crop(path, frames=slice(0, 1), top=0, left=0, size=16)


def test_mirrored_clips_move_as_mirrored_pictures_do(sample):
    """Flipping commutes with moving the frame before: cameras and pictures are mirrored alike."""

    def step(s: Sample) -> torch.Tensor:
        inverse, cameras = s.given.inverse_depth, s.cameras
        out, _ = warp_picture(
            s.truth[:1], inverse[:1], cameras[0], inverse[1:2], cameras[1], torch.tensor([s.scale])
        )
        return out

    assert (step(flip(sample)) - step(sample).flip(-1)).abs().median() < 1e-3


def test_mirrored_rays_are_those_of_the_mirrored_cameras(sample):
    mirrored = flip(sample)
    direct = pluecker(mirrored.cameras, mirrored.cameras[0], sample.scale)
    fresh = pluecker(sample.cameras, sample.cameras[0], sample.scale)
    turned = flip(
        replace(
            sample,
            given=replace(
                sample.given,
                frame=torch.cat([sample.given.frame[:, :5], fresh, sample.given.frame[:, 11:]], 1),
            ),
        )
    )
    assert torch.allclose(turned.given.frame[:, 5:11], direct, atol=1e-4)


def test_recolouring_changes_pictures_alike(sample):
    other = permute_colours(sample, [2, 0, 1])
    assert torch.equal(other.truth, sample.truth[:, [2, 0, 1]])
    assert torch.equal(other.given.views, sample.given.views[:, :, [2, 0, 1]])


def test_a_job_that_fails_is_told_before_the_others_are_done(tmp_path, monkeypatch: pytest.MonkeyPatch):
    """Threads stand in for the processes; after the first, jobs wait for a while, and most of them never begin."""
    started, never = [], threading.Event()

    def make(index: int, *_: object) -> None:
        started.append(index)
        if index == 0:
            raise BridgeError("no such shot")
        never.wait(0.5)

    monkeypatch.setattr(
        samples, "ProcessPoolExecutor", lambda max_workers, mp_context: ThreadPoolExecutor(max_workers)
    )
    monkeypatch.setattr(samples, "_make_file", make)
    with pytest.raises(BridgeError, match="no such shot"):
        samples.sample_files(
            tmp_path, 30, seed=0, width=64, height=48, targets=2, photographs=False, workers=1
        )
    assert len(started) < 30
