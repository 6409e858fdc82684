"""The built-in model: what goes in, what comes out, and what the shipped weights are worth."""

from dataclasses import replace

import pytest
import torch
from bridge_shots import ask, nine_pictures, tiny

from recon.clip import Clip
from recon.errors import BridgeError
from worldgen.model import Request, WorldModel
from worldgen.models.bridge.conditioning import through_depth
from worldgen.models.bridge.model import Bridge, BridgeOptions
from worldgen.models.bridge.weights import GUESS, confidence
from worldgen.models.synthetic import SyntheticRoom
from worldgen.registry import load_model


@pytest.fixture(scope="module")
def room() -> Clip:
    return nine_pictures()


@pytest.fixture(scope="module")
def small(room: Clip) -> Clip:
    """The pictures at half their size, for what holds at any."""
    return room.resize(width=84, height=60)


def test_it_is_a_world_model_with_confidence_and_depth(small):
    model = Bridge(weights=tiny(), options=BridgeOptions(precision="float32"))
    assert isinstance(model, WorldModel)
    views = ask(small, model)
    assert views.clip.confidence is not None
    assert views.clip.images.shape == (3, 60, 84, 3)
    assert views.clip.cameras is not None
    assert 0 <= views.clip.images.min() <= views.clip.images.max() <= 1
    assert ((views.clip.confidence > 0) & (views.clip.confidence < 1)).all()
    assert (views.depth > 0).all()
    assert torch.isfinite(views.colour_std).all()


def test_same_seed_same_pictures_and_another_seed_other_holes(small):
    model = Bridge(weights=tiny(), options=BridgeOptions(precision="float32"))
    context, picks = (0, 2), (6, 8)
    first = ask(small, model, context=context, picks=picks)
    again = ask(small, model, context=context, picks=picks)
    other = ask(small, model, context=context, picks=picks, seed=1)
    assert torch.equal(first.clip.images, again.clip.images)
    apart = (first.clip.images - other.clip.images).abs().amax(-1)
    assert apart[0][first.seen[0] == 0].max() > 0
    near_hole = torch.nn.functional.max_pool2d(1 - first.seen[:1], 5, stride=1, padding=2)[0] > 0
    assert apart[0][~near_hole].max() == 0, "known pixels do not depend on the seed"


def test_any_size_and_any_number_of_photos(room):
    model = Bridge(weights=tiny())
    for context, size in (((4,), (97, 61)), ((0, 8), (33, 17)), (tuple(range(8)), (168, 120))):
        targets = room.require_cameras()[[5]].resize(width=size[0], height=size[1])
        clip = model.generate(Request(room[list(context)], targets), generator=torch.Generator()).clip
        assert clip.images.shape == (1, size[1], size[0], 3)
        assert torch.isfinite(clip.images).all()


def test_without_photos_or_targets_it_says_so(room):
    model = Bridge(weights=tiny())
    with pytest.raises(BridgeError, match="at least one posed photo"):
        model.generate(Request(room[:0], room.require_cameras()[:1]), generator=torch.Generator())


def test_bad_input_is_one_sentence(room):
    model, targets = Bridge(weights=tiny()), room.require_cameras()[[1]]
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


@pytest.mark.parametrize("name", ["detail_steps", "extend_every", "cache_limit"])
def test_options_below_one_are_refused(name):
    with pytest.raises(BridgeError, match=f"expected {name} of at least 1, got 0"):
        BridgeOptions(**{name: 0})


def test_earlier_calls_do_not_matter(small):
    exact = BridgeOptions(precision="float32")
    photos, targets = small[[0, 4, 8]], small.require_cameras()[[1]]
    other = replace(photos, times_s=torch.tensor([5.0, 1.0, 0.0]))

    def answer(model: Bridge, clip: Clip) -> torch.Tensor:
        request = Request(clip, targets, times_s=torch.zeros(1))
        return model.generate(request, generator=torch.Generator().manual_seed(0)).clip.images

    used = Bridge(weights=tiny(), options=exact)
    answer(used, photos)
    assert torch.equal(answer(used, other), answer(Bridge(weights=tiny(), options=exact), other))


def test_geometry_follows_the_tensors_to_their_device(room):
    cameras = room.require_cameras()
    px, depth, _ = through_depth(cameras[0], torch.ones(4, 6, device="meta"), cameras[1])
    assert px.device.type == depth.device.type == "meta"


def test_bfloat16_is_near_float32(small):
    exact = ask(small, Bridge(weights=tiny(), options=BridgeOptions(precision="float32")))
    low = ask(small, Bridge(weights=tiny(), options=BridgeOptions(precision="bfloat16")))
    assert (exact.clip.images - low.clip.images).abs().mean() < 0.01


def test_long_rollouts_extend_the_cache_and_leave_the_photos_alone(small):
    options = BridgeOptions(extend_every=1, extend_holes=0.0, cache_limit=2)
    model = Bridge(weights=tiny(), options=options)
    photos = small[[0, 2]]
    before = photos.images.clone()
    request = Request(photos, small.require_cameras()[3:9])
    grown = model.generate(request, generator=torch.Generator().manual_seed(0))
    plain = Bridge(weights=tiny(), options=replace(options, extend=False)).generate(
        request, generator=torch.Generator().manual_seed(0)
    )
    assert torch.equal(photos.images, before)
    assert (grown.seen[3:].mean() > plain.seen[3:].mean()).item(), "earlier frames show what no photo shows"


def test_the_shipped_model_is_small_and_better_than_the_warp(room):
    from worldgen.models.bridge.weights import shipped_weights

    assert shipped_weights().stat().st_size < 40e6
    truth = room.images[[1, 3, 5, 7]]
    request = Request(room[[0, 4, 8]], room.require_cameras()[[1, 3, 5, 7]])
    figures = {}
    for name in ("warp", "bridge"):
        clip = load_model(name).generate(request, generator=torch.Generator().manual_seed(0)).clip
        figures[name] = float(-10 * ((clip.images - truth) ** 2).mean().log10())
    assert figures["bridge"] > figures["warp"]


def test_the_shipped_model_does_not_vouch_for_what_nobody_saw(room):
    pose = room.require_cameras()[[4]]
    turn = torch.diag(torch.tensor([-1.0, 1, -1, 1], dtype=torch.float64))
    away = replace(pose, cam_from_world=turn @ pose.cam_from_world.double())
    views = Bridge().generate(Request(room[[2, 4, 6]], away), generator=torch.Generator())
    assert views.seen.mean() < 0.05
    assert views.clip.confidence is not None
    assert views.clip.confidence.mean() < 0.35


def test_the_shipped_model_states_depth(room):
    _, truth = SyntheticRoom().render(room.require_cameras()[[3]])
    views = ask(room, Bridge(), picks=(3,))
    known = views.seen[0] > 0
    assert ((views.depth[0] / truth[0] - 1).abs()[known].median()).item() < 0.05


def test_one_photo_without_points_is_vouched_for_only_where_it_was_taken(room):
    """Its depth is an assumption: the farther from the photo, the more of the view is a guess."""
    alone = ask(room, Bridge(), context=(0,), picks=(0, 2, 8)).clip.confidence
    with_another = ask(room, Bridge(), context=(0, 1), picks=(0, 2, 8)).clip.confidence
    guess = confidence(torch.tensor(GUESS))
    assert alone is not None
    assert with_another is not None
    assert alone[0].mean() > 0.6
    assert alone[2].max() <= guess + 1e-6
    assert alone[0].mean() > alone[1].mean() > alone[2].mean()
    assert with_another[2].max() > 2 * guess
