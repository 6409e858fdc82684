"""PSNR and SSIM against their definitions."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from eval.pictures import images
from recon.errors import BridgeError


@pytest.fixture
def photos(generator: torch.Generator) -> torch.Tensor:
    coarse = torch.rand(2, 3, 8, 10, generator=generator)
    return torch.nn.functional.interpolate(coarse, size=(48, 60), mode="bilinear").permute(0, 2, 3, 1)


def test_psnr_of_a_known_error(photos: torch.Tensor) -> None:
    half = 0.25 + 0.5 * photos
    values = images.psnr(half, half + torch.tensor([0.1, 0.01])[:, None, None, None])
    assert values.tolist() == pytest.approx([20, 40], abs=1e-4)


def test_identical_pictures_reach_the_cap_and_one(photos: torch.Tensor) -> None:
    assert images.psnr(photos, photos).tolist() == [images.PSNR_CAP_DB] * 2
    assert images.ssim(photos, photos).tolist() == pytest.approx([1, 1])


def test_ssim_equals_the_definition(photos: torch.Tensor, generator: torch.Generator) -> None:
    noisy = (photos + 0.1 * torch.randn(photos.shape, generator=generator)).clamp(0, 1)

    def reference(a: np.ndarray, b: np.ndarray) -> float:
        def blur(x: np.ndarray) -> np.ndarray:
            return gaussian_filter(x, sigma=1.5, radius=5, axes=(0, 1))[5:-5, 5:-5]

        mu_a, mu_b = blur(a), blur(b)
        var_a, var_b = blur(a * a) - mu_a**2, blur(b * b) - mu_b**2
        cov = blur(a * b) - mu_a * mu_b
        s = (2 * mu_a * mu_b + 1e-4) * (2 * cov + 9e-4)
        return float((s / ((mu_a**2 + mu_b**2 + 1e-4) * (var_a + var_b + 9e-4))).mean())

    expected = [reference(a, b) for a, b in zip(photos.double().numpy(), noisy.double().numpy(), strict=True)]
    assert images.ssim(photos, noisy).tolist() == pytest.approx(expected, abs=1e-5)
    assert max(expected) < 0.95


def test_nothing_outside_the_mask_has_a_say(photos: torch.Tensor) -> None:
    spoilt = photos.clone()
    spoilt[:, :20] = 0
    mask = torch.ones(photos.shape[:3], dtype=torch.bool)
    mask[:, :20] = False
    assert images.psnr(photos, spoilt).max() < 30
    assert images.psnr(photos, spoilt, mask).tolist() == [images.PSNR_CAP_DB] * 2
    assert images.ssim(photos, spoilt, mask).tolist() == pytest.approx([1, 1])
    assert images.psnr(photos, spoilt, mask & False).isnan().all()
    assert images.ssim(photos, spoilt, mask & False).isnan().all()


def test_psnr_in_a_mask_is_psnr_of_the_crop(photos: torch.Tensor, generator: torch.Generator) -> None:
    noisy = (photos + 0.1 * torch.randn(photos.shape, generator=generator)).clamp(0, 1)
    mask = torch.zeros(photos.shape[:3], dtype=torch.bool)
    mask[:, 10:40, 10:40] = True
    crop = (slice(None), slice(10, 40), slice(10, 40))
    torch.testing.assert_close(images.psnr(photos, noisy, mask), images.psnr(photos[crop], noisy[crop]))
    torch.testing.assert_close(images.ssim(photos, noisy, mask), images.ssim(photos[crop], noisy[crop]))


def test_tiny_pictures_are_refused() -> None:
    with pytest.raises(BridgeError, match="11x11 pixels for SSIM, got 20x10"):
        images.ssim(torch.zeros(1, 10, 20, 3), torch.zeros(1, 10, 20, 3))


def test_metrics_have_one_value_per_image(photos: torch.Tensor) -> None:
    psnr, ssim = images.photometric(photos, photos)
    assert (psnr.name, psnr.unit, psnr.expected, len(psnr.values)) == ("PSNR", "dB", 2, 2)
    assert ssim.higher_is_better
