"""The networks of the built-in model: what matters to them, and where sampled detail goes."""

from dataclasses import replace

import pytest
import torch
from bridge_shots import TINY, noisy, padded, three_frames, tiny

from worldgen.models.bridge.net import BridgeNet, Previous
from worldgen.models.bridge.texture import LEAST_HOLE, fine_structure, holes, sample_detail, structure_around
from worldgen.models.bridge.training.losses import steadiness_loss
from worldgen.models.bridge.training.samples import Sample


@pytest.fixture(scope="module")
def sample() -> Sample:
    return three_frames()


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


def test_where_no_hole_takes_detail_none_is_sampled(sample):
    weights, given = tiny(), padded(sample)
    answer = weights.net(given)
    sure = replace(answer, log_scale=torch.full_like(answer.log_scale, -6.0))
    noise = torch.randn(given.base.shape, generator=torch.Generator().manual_seed(0))
    assert 0 < holes(sure, given.seen).max() < LEAST_HOLE
    assert (sample_detail(weights.texture, sure, given.seen, noise) == 0).all()


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
