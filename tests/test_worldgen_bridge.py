"""The built-in model: what goes in, what comes out, and that training goes on where it stopped."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from recon.clip import Clip
from recon.errors import BridgeError
from worldgen.bridge.batches import Batch, TrainOptions
from worldgen.bridge.calibrate import Stated, calibration_error, fit_calibration
from worldgen.bridge.conditioning import (
    Cache,
    condition,
    picked_views,
    pluecker,
    through_depth,
    time_nearness,
)
from worldgen.bridge.losses import steadiness_loss
from worldgen.bridge.model import Bridge, BridgeOptions
from worldgen.bridge.motion import moved
from worldgen.bridge.net import BridgeNet, NetOptions, Previous
from worldgen.bridge.samples import Sample, flipped, lifted, load_crop, recoloured, save_sample
from worldgen.bridge.texture import (
    TextureNet,
    TextureOptions,
    fine_structure,
    sample_detail,
    structure_around,
)
from worldgen.bridge.train import split, train
from worldgen.bridge.trainers import NetTrainer, TextureTrainer
from worldgen.bridge.weights import (
    Calibration,
    Weights,
    confidence,
    load_weights,
    quantile,
    remoteness,
    save_weights,
)
from worldgen.model import Request, WorldModel
from worldgen.registry import load_model
from worldgen.synthetic import SyntheticRoom

TINY = NetOptions(view_width=8, widths=(16, 16, 16, 16), blocks=(1, 1, 1, 1), key_width=2)
TINY_TEXTURE = TextureOptions(features=16, widths=(8, 8, 8))
OPTIONS = TrainOptions(shots=3, width=64, height=48, targets=3, steps=4, detail_steps=3, batch=2, crop=48, workers=1,
                       net=TINY, texture=TINY_TEXTURE)  # fmt: skip


@pytest.fixture(scope="module")
def room() -> Clip:
    """Nine neighbouring pictures of the room; even ones are photos, odd ones truth."""
    synthetic = SyntheticRoom()
    cameras = synthetic.cameras(33, width=168, height=120)[8:17]
    images, _ = synthetic.render(cameras)
    return Clip(images, cameras, times_s=torch.arange(9.0))


@pytest.fixture(scope="module")
def cache(room: Clip) -> Cache:
    return lifted(room[[0, 2, 4, 6, 8]], None, room.posed())


@pytest.fixture(scope="module")
def sample(room: Clip, cache: Cache) -> Sample:
    from worldgen.bridge.conditioning import Conditioning

    picks = [1, 3, 5]
    given = Conditioning.concatenate([condition(cache, room.posed()[i], time_s=float(i)) for i in picks])
    truth = room.images[picks].permute(0, 3, 1, 2)
    return Sample(given, truth, given.inverse_depth, room.posed()[picks], cache.scale)


def tiny() -> Weights:
    torch.manual_seed(0)
    net, texture = BridgeNet(TINY).eval(), TextureNet(TINY_TEXTURE).eval()
    for parameter in texture.out.parameters():  # a head that does something
        torch.nn.init.normal_(parameter, std=0.1)
    return Weights(net, texture)


def noisy(net: BridgeNet) -> BridgeNet:
    """The same network off its neutral start, so that every input matters."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return net


# --- conditioning ---------------------------------------------------------------------------------------------


def test_views_are_looked_up_at_the_pixels_of_the_target(room, cache):
    given = condition(cache, room.posed()[3])
    truth = room.images[3].permute(2, 0, 1)
    for view, cues in zip(given.views[0], given.cues[0], strict=True):
        trusted = (cues[0] > 0) & (cues[2] > 0.6)
        if trusted.float().mean() > 0.2:
            error = (view - truth).abs().mean(0)[trusted].median()
            assert error < 0.04
    assert given.inverse_depth.min() > 0


def test_a_photo_seen_from_its_own_camera_is_itself(room, cache):
    given = condition(cache, room.posed()[4])
    best = given.views[0, 0]
    sure = given.cues[0, 0, 0] > 0
    assert sure.float().mean() > 0.9
    assert (best - room.images[4].permute(2, 0, 1)).abs().mean(0)[sure].max() < 0.02


def test_fewer_views_than_slots_leave_empty_slots(room):
    given = condition(lifted(room[[2, 6]], None, room.posed()), room.posed()[4])
    assert given.views.shape[1] == 5
    assert (given.cues[0, 2:] == 0).all()


def test_generated_frames_take_the_last_place_only(room, cache):
    frame = room[[3]]
    longer = cache.extended(frame, cache.maps.depth[:1], torch.ones(1, 120, 168))
    picks = picked_views(longer, room.posed()[3], 5)
    assert picks[-1] == 5
    assert all(i < 5 for i in picks[:-1])
    assert longer.scale == cache.scale
    assert not cache.generated.any()


def test_pluecker_moment_is_zero_for_the_reference_itself_and_grows_with_distance(room):
    cameras = room.posed()
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
    out, valid = moved(
        sample.truth[:1], given.inverse_depth[:1], cameras[0], given.inverse_depth[1:2], cameras[1],
        torch.tensor([sample.scale]),
    )  # fmt: skip
    sure = valid[0, 0] > 0
    assert sure.float().mean() > 0.6
    still = (sample.truth[0] - sample.truth[1]).abs().mean(0)[sure].mean()
    assert (out[0] - sample.truth[1]).abs().mean(0)[sure].mean() < 0.5 * still


# --- samples --------------------------------------------------------------------------------------------------


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
        out, _ = moved(
            s.truth[:1], inverse[:1], cameras[0], inverse[1:2], cameras[1], torch.tensor([s.scale])
        )
        return out

    assert (step(flipped(sample)) - step(sample).flip(-1)).abs().median() < 1e-3


def test_mirrored_rays_are_those_of_the_mirrored_cameras(sample):
    mirrored = flipped(sample)
    direct = pluecker(mirrored.cameras, mirrored.cameras[0], sample.scale)
    fresh = pluecker(sample.cameras, sample.cameras[0], sample.scale)
    turned = flipped(
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
    other = recoloured(sample, [2, 0, 1])
    assert torch.equal(other.truth, sample.truth[:, [2, 0, 1]])
    assert torch.equal(other.given.views, sample.given.views[:, :, [2, 0, 1]])


# --- networks -------------------------------------------------------------------------------------------------


def padded(sample: Sample):
    from worldgen.bridge.model import _padded

    return _padded(sample.given)


def test_an_untrained_network_answers_with_the_best_visible_view(sample):
    answer = BridgeNet(TINY)(padded(sample))
    colour = answer.colour[..., :120, :168]
    seen = sample.given.seen.expand_as(colour) > 0
    assert (colour - sample.truth).abs()[seen].mean() < 0.05


def test_the_order_of_views_does_not_matter(sample):
    net = noisy(BridgeNet(TINY))
    given = padded(sample)
    turned = replace(given, views=given.views.flip(1), cues=given.cues.flip(1))
    assert torch.allclose(net(given).colour, net(turned).colour, atol=1e-4)


@pytest.mark.parametrize("part", ["views", "cues", "base", "frame"])
def test_every_input_matters(sample, part):
    net = noisy(BridgeNet(TINY))
    given = padded(sample)
    changed = replace(given, **{part: getattr(given, part).flip(-1)})
    assert (net(given).colour - net(changed).colour).abs().mean() > 1e-4


def test_the_frame_before_matters_unless_the_network_is_not_recurrent(sample):
    given = padded(sample)
    previous = Previous(torch.rand_like(given.base), torch.ones_like(given.base[:, :2]))
    net = noisy(BridgeNet(TINY))
    assert (net(given).colour - net(given, previous).colour).abs().mean() > 1e-4
    alone = noisy(BridgeNet(replace(TINY, recurrent=False)))
    assert torch.equal(alone(given).colour, alone(given, previous).colour)


def test_steadiness_is_zero_for_the_true_change():
    before, now = torch.rand(2, 1, 3, 8, 8)
    valid = torch.ones(1, 1, 8, 8)
    assert steadiness_loss(now, before, now, before, valid) == 0
    assert steadiness_loss(now + 0.1, before, now, before, valid) == pytest.approx(0.1, abs=1e-5)


def test_detail_is_fine_and_stays_in_holes(sample):
    weights, given = tiny(), padded(sample)
    answer = weights.net(given)
    assert weights.texture is not None
    noise = torch.randn(given.base.shape, generator=torch.Generator().manual_seed(0))
    detail = sample_detail(weights.texture, answer, given.seen, noise)
    deep = torch.nn.functional.max_pool2d(1 - given.seen, 5, stride=1, padding=2) == 0
    assert deep.any()
    assert detail[deep.expand_as(detail)].abs().max() == 0
    assert detail.abs().max() > 0
    assert torch.equal(detail, sample_detail(weights.texture, answer, given.seen, noise))


def test_detail_is_as_strong_as_what_is_seen_around():
    colour = torch.full((1, 3, 32, 64), 0.5)
    colour[..., :32] += 0.2 * (
        (torch.arange(32) % 2).float() - 0.5
    )  # stripes on the left, nothing on the right
    seen = torch.ones(1, 1, 32, 64)
    seen[..., 8:16, :] = 0
    around = structure_around(colour, seen)[0, 0, 12]
    assert around[:24].min() > 50 * around[52:].max()
    assert (structure_around(colour, torch.zeros_like(seen)) == 0).all()


def test_fine_structure_has_no_low_frequencies():
    flat = torch.full((1, 3, 64, 64), 0.3)
    assert fine_structure(flat).abs().max() < 1e-4
    stripes = (torch.arange(64) % 2).float().expand(1, 3, 64, 64) * 0.1
    assert fine_structure(stripes).abs().mean() > 0.5


# --- stated errors --------------------------------------------------------------------------------------------


def test_confidence_is_the_share_of_errors_below_a_tenth():
    generator = torch.Generator().manual_seed(0)
    errors = -0.07 * torch.log(torch.rand(200_000, generator=generator))
    assert (errors < 0.1).float().mean() == pytest.approx(float(confidence(torch.tensor(0.07))), abs=0.01)
    assert (errors < quantile(torch.tensor(0.07), 0.9)).float().mean() == pytest.approx(0.9, abs=0.01)


def test_calibration_mends_a_scale_that_is_off():
    generator = torch.Generator().manual_seed(0)
    true = 0.02 + 0.2 * torch.rand(40_000, generator=generator)
    errors = -true * torch.log(torch.rand(40_000, generator=generator))
    stated = Stated((true / 3).log(), torch.zeros(40_000), errors)
    before = calibration_error(stated, Calibration())
    after = calibration_error(stated, fit_calibration(stated))
    assert before > 0.1
    assert after < 0.02


def test_remoteness_grows_away_from_what_is_seen():
    seen = torch.ones(20, 100)
    seen[:, 50:] = 0
    remote = remoteness(seen)
    assert (remote[:, :50] == 0).all()
    assert 0 < remote[10, 51] < remote[10, 80] < 1
    assert (remoteness(torch.zeros(4, 4)) == 1).all()


# --- weights --------------------------------------------------------------------------------------------------


def test_weights_come_back_as_they_were(tmp_path, sample):
    weights = replace(tiny(), calibration=Calibration(0.1, 0.9), story={"seed": 3})
    save_weights(weights, tmp_path / "w.safetensors")
    back = load_weights(tmp_path / "w.safetensors")
    assert back.calibration == weights.calibration
    assert back.story == {"seed": 3}
    given = padded(sample)
    assert torch.allclose(back.net(given).colour, weights.net(given).colour, atol=0.01)


def test_missing_or_strange_weights_are_named(tmp_path):
    with pytest.raises(BridgeError, match="no such file"):
        load_weights(tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"x" * 40)
    with pytest.raises(BridgeError, match="expected a safetensors file"):
        load_weights(tmp_path / "bad.safetensors")
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(BridgeError, match="expected weights of format"):
        load_weights(tmp_path / "other.safetensors")


# --- the model ------------------------------------------------------------------------------------------------


def ask(room: Clip, model: Bridge, *, seed: int = 0, picks=(1, 3, 5), context=(0, 2, 4, 6, 8)):
    request = Request(room[list(context)], room.posed()[list(picks)], times_s=room.times_s[list(picks)])
    return model.generate_views(request, generator=torch.Generator().manual_seed(seed))


def test_it_is_a_world_model_with_confidence_and_depth(room):
    model = Bridge(weights=tiny(), options=BridgeOptions(precision="float32"))
    assert isinstance(model, WorldModel)
    views = ask(room, model)
    assert views.clip.confidence is not None
    assert views.clip.images.shape == (3, 120, 168, 3)
    assert views.clip.cameras is not None
    assert 0 <= views.clip.images.min() <= views.clip.images.max() <= 1
    assert ((views.clip.confidence > 0) & (views.clip.confidence < 1)).all()
    assert (views.depth > 0).all()
    assert torch.isfinite(views.scale).all()


def test_same_seed_same_pictures_and_another_seed_other_holes(room):
    model = Bridge(weights=tiny(), options=BridgeOptions(precision="float32"))
    context, picks = (0, 2), (6, 8)
    first = ask(room, model, context=context, picks=picks)
    again = ask(room, model, context=context, picks=picks)
    other = ask(room, model, context=context, picks=picks, seed=1)
    assert torch.equal(first.clip.images, again.clip.images)
    apart = (first.clip.images - other.clip.images).abs().amax(-1)
    assert apart[0][first.seen[0] == 0].max() > 0
    near_hole = torch.nn.functional.max_pool2d(1 - first.seen[:1], 5, stride=1, padding=2)[0] > 0
    assert apart[0][~near_hole].max() == 0, "known pixels do not depend on the seed"


def test_any_size_and_any_number_of_photos(room):
    model = Bridge(weights=tiny())
    for context, size in (((4,), (97, 61)), ((0, 8), (33, 17)), (tuple(range(8)), (168, 120))):
        targets = room.posed()[[5]].resized(width=size[0], height=size[1])
        clip = model.generate(Request(room[list(context)], targets), generator=torch.Generator())
        assert clip.images.shape == (1, size[1], size[0], 3)
        assert torch.isfinite(clip.images).all()


def test_without_photos_or_targets_it_says_so(room):
    model = Bridge(weights=tiny())
    with pytest.raises(BridgeError, match="at least one posed photo"):
        model.generate(Request(room[:0], room.posed()[:1]), generator=torch.Generator())


def test_bad_input_is_one_sentence(room):
    model, targets = Bridge(weights=tiny()), room.posed()[[1]]
    spoilt = room.images.clone()
    spoilt[2, 3, 3] = torch.nan
    pose = targets.cam_from_world.clone()
    pose[0, 0, 0] = torch.nan
    for request, said in (
        (Request(replace(room, images=spoilt), targets), "finite colours"),
        (Request(room, replace(targets, cam_from_world=pose)), "NaN"),
        (Request(room, targets, times_s=torch.tensor([torch.nan])), "finite time"),
        (Request(room, targets, times_s=torch.zeros(2)), "finite time for each of the 1"),
    ):
        with pytest.raises(BridgeError, match=said):
            model.generate(request, generator=torch.Generator())
    with pytest.raises(BridgeError, match="precision"):
        Bridge(weights=tiny(), options=BridgeOptions(precision="fp16"))
    with pytest.raises(BridgeError, match="device"):
        Bridge(weights=tiny(), options=BridgeOptions(device="gpu"))


def test_earlier_calls_do_not_matter(room):
    exact = BridgeOptions(precision="float32")
    photos, targets = room[[0, 4, 8]], room.posed()[[1]]
    other = replace(photos, times_s=torch.tensor([5.0, 1.0, 0.0]))

    def answer(model: Bridge, clip: Clip) -> torch.Tensor:
        request = Request(clip, targets, times_s=torch.zeros(1))
        return model.generate(request, generator=torch.Generator().manual_seed(0)).images

    used = Bridge(weights=tiny(), options=exact)
    answer(used, photos)
    assert torch.equal(answer(used, other), answer(Bridge(weights=tiny(), options=exact), other))


def test_geometry_follows_the_tensors_to_their_device(room):
    cameras = room.posed()
    px, depth, _ = through_depth(cameras[0], torch.ones(4, 6, device="meta"), cameras[1])
    assert px.device.type == depth.device.type == "meta"


def test_bfloat16_is_near_float32(room):
    exact = ask(room, Bridge(weights=tiny(), options=BridgeOptions(precision="float32")))
    low = ask(room, Bridge(weights=tiny(), options=BridgeOptions(precision="bfloat16")))
    assert (exact.clip.images - low.clip.images).abs().mean() < 0.01


def test_long_rollouts_extend_the_cache_and_leave_the_photos_alone(room):
    options = BridgeOptions(extend_every=1, extend_holes=0.0, cache_limit=2)
    model = Bridge(weights=tiny(), options=options)
    photos = room[[0, 2]]
    before = photos.images.clone()
    request = Request(photos, room.posed()[3:9])
    grown = model.generate_views(request, generator=torch.Generator().manual_seed(0))
    plain = Bridge(weights=tiny(), options=replace(options, extend=False)).generate_views(
        request, generator=torch.Generator().manual_seed(0)
    )
    assert torch.equal(photos.images, before)
    assert (grown.seen[3:].mean() > plain.seen[3:].mean()).item(), "earlier frames show what no photo shows"


# --- training -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory, sample) -> list[Path]:
    folder = tmp_path_factory.mktemp("samples")
    paths = [folder / f"{i}.safetensors" for i in range(2)]
    for path in paths:
        save_sample(sample, path)
    return paths


SMALL = replace(OPTIONS, width=168, height=120)


def test_training_resumes_to_the_same_weights(files, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = NetTrainer(tmp_path / "a", SMALL, files)
    whole.run()
    half = NetTrainer(tmp_path / "b", SMALL, files)
    half.take_step(0)
    half.take_step(1)
    half.step = 2
    half.save()
    rest = NetTrainer(tmp_path / "b", SMALL, files)
    assert rest.step == 2
    rest.run()
    for a, b in zip(whole.average.parameters(), rest.average.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_the_network_learns(files, tmp_path):
    options = replace(SMALL, steps=40, rate=3e-3)
    trainer = NetTrainer(tmp_path, options, files)
    losses = [trainer.take_step(k) for k in range(40)]
    assert sum(losses[-8:]) < 0.9 * sum(losses[:8])


def test_the_detail_head_learns(files, tmp_path):
    options = replace(SMALL, detail_steps=16, rate=3e-3)
    net = BridgeNet(TINY)
    trainer = TextureTrainer(tmp_path, options, files, net)
    before = sum(trainer.backward(k) for k in range(4))
    for k in range(16):
        trainer.take_step(k)
    assert sum(trainer.backward(k) for k in range(4)) < before, "the same crops and the same noise"


def test_a_step_draws_the_same_batch_again(files):
    first, again = (Batch.drawn(files, SMALL, 7) for _ in range(2))
    assert torch.equal(first.truth[0], again.truth[0])
    assert not torch.equal(first.truth[0], Batch.drawn(files, SMALL, 8).truth[0])


def test_shots_that_judge_are_never_learned_from():
    paths = [Path(str(i)) for i in range(60)]
    learning, fitting, judging = split(paths)
    assert len(learning) == 54
    assert not set(learning) & set(fitting) | set(learning) & set(judging) | set(fitting) & set(judging)


@pytest.mark.slow
def test_the_whole_training_from_scenes_to_weights(tmp_path, room):
    options = replace(OPTIONS, out=tmp_path, width=96, height=64)
    path = train(options)
    assert load_weights(path).story["held_out"]["warp_psnr_all"] > 5
    assert train(options) == path
    with pytest.raises(BridgeError, match="expected the options"):
        train(replace(options, seed=1))
    ask(room, Bridge(options=BridgeOptions(weights=path)))


# --- the shipped weights --------------------------------------------------------------------------------------


def test_the_shipped_model_is_small_and_better_than_the_warp(room):
    from worldgen.bridge.weights import shipped_weights

    assert shipped_weights().stat().st_size < 40e6
    truth = room.images[[1, 3, 5, 7]]
    request = Request(room[[0, 4, 8]], room.posed()[[1, 3, 5, 7]])
    figures = {}
    for name in ("warp", "bridge"):
        clip = load_model(name).generate(request, generator=torch.Generator().manual_seed(0))
        figures[name] = float(-10 * ((clip.images - truth) ** 2).mean().log10())
    assert figures["bridge"] > figures["warp"]


def test_the_shipped_model_does_not_vouch_for_what_nobody_saw(room):
    pose = room.posed()[[4]]
    turn = torch.diag(torch.tensor([-1.0, 1, -1, 1], dtype=torch.float64))
    away = replace(pose, cam_from_world=turn @ pose.cam_from_world.double())
    views = Bridge().generate_views(Request(room[[2, 4, 6]], away), generator=torch.Generator())
    assert views.seen.mean() < 0.05
    assert views.clip.confidence is not None
    assert views.clip.confidence.mean() < 0.35


def test_the_shipped_model_states_depth(room):
    _, truth = SyntheticRoom().render(room.posed()[[3]])
    views = ask(room, Bridge(), picks=(3,))
    known = views.seen[0] > 0
    assert ((views.depth[0] / truth[0] - 1).abs()[known].median()).item() < 0.05
