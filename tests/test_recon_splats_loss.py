"""The compiled loss against plain torch, and plain torch against an independent SSIM."""

from collections.abc import Iterator

import jaxtyping
import pytest
import torch

from recon.errors import BridgeError
from recon.splats.loss import photometric_loss, plain_loss, ssim_map


@pytest.fixture
def pictures(generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    image = torch.rand(41, 67, 3, generator=generator)
    target = (image + 0.3 * torch.randn(41, 67, 3, generator=generator)).clamp(0, 1)
    weight = torch.rand(41, 67, generator=generator) * (torch.rand(41, 67, generator=generator) > 0.3)
    return image, target, weight


@pytest.mark.parametrize("lambda_dssim", [0.0, 0.2, 1.0])
def test_compiled_loss_and_gradient_are_those_of_plain_torch(pictures, lambda_dssim):
    image, target, weight = pictures
    single, double = image.clone().requires_grad_(), image.double().requires_grad_()
    found = photometric_loss(single, target, weight, lambda_dssim=lambda_dssim)
    truth = plain_loss(double, target, weight, lambda_dssim=lambda_dssim)
    found.backward()
    truth.backward()
    assert found.item() == pytest.approx(truth.item(), rel=1e-5)
    assert single.grad is not None
    assert double.grad is not None
    assert (single.grad - double.grad).norm() < 1e-5 * double.grad.norm()


def test_ssim_is_that_of_kornia(pictures):
    from kornia.metrics import ssim

    image, target, _ = (p.double() for p in pictures)
    other = ssim(*(p.permute(2, 0, 1)[None] for p in (image, target)), window_size=11, eps=0)
    inside = other[0].permute(1, 2, 0)[5:-5, 5:-5]  # borders are padded differently
    torch.testing.assert_close(ssim_map(image, target)[5:-5, 5:-5], inside, rtol=0, atol=1e-6)


def test_equal_pictures_cost_nothing(pictures):
    image = pictures[0].requires_grad_()
    loss = photometric_loss(image, image.detach().clone())
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert image.grad is not None
    assert image.grad.abs().max() < 1e-6


def test_a_region_of_weight_zero_is_never_looked_at(pictures):
    image, target, _ = pictures
    weight = torch.ones(41, 67)
    weight[10:20, 15:40] = 0
    poisoned = target.clone()
    poisoned[10:20, 15:40] = torch.nan
    found = []
    for t in (target, poisoned):
        x = image.clone().requires_grad_()
        loss = photometric_loss(x, t, weight)
        loss.backward()
        found += [loss.detach(), x.grad]
    assert torch.equal(found[0], found[2])
    assert torch.equal(found[1], found[3])  # type: ignore[arg-type]


def test_half_the_weight_is_half_the_loss(pictures):
    image, target, _ = pictures
    half = photometric_loss(image, target, torch.full((41, 67), 0.5))
    assert half.item() == pytest.approx(photometric_loss(image, target).item() / 2, rel=1e-5)


@pytest.fixture
def shapes_unchecked() -> Iterator[None]:
    """As outside of tests."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize(
    ("image", "target", "weight"),
    [
        ((5, 7, 3), (7, 5, 3), None),
        ((5, 7, 3), (5, 7, 3), (5, 6)),
        ((5, 7, 3), (5, 7, 3), (1, 7)),
        ((5, 7, 3), (5, 7, 1), None),
        ((5, 7, 4), (5, 7, 4), None),
        ((5, 7, 4), (5, 7, 3), None),
        ((5, 7, 1), (5, 7, 1), None),
        ((5, 7), (5, 7), None),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_only_colour_pictures_of_one_size_are_compared(shapes_unchecked, dtype, image, target, weight):
    weights = None if weight is None else torch.ones(weight)
    with pytest.raises(BridgeError, match=r"\(h, w, 3\)") as caught:
        photometric_loss(torch.rand(image, dtype=dtype), torch.rand(target, dtype=dtype), weights)
    assert str(target) in str(caught.value)
