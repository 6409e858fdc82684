"""The CPU engine against the float64 reference, and the reference against finite differences and gsplat."""

import math

import pytest
import torch

from recon.cameras import Cameras, intrinsics, look_at
from recon.gaussians import Gaussians, sh_bases
from recon.splats.render import render, render_with_screen

W, H = 53, 37  # no multiple of a tile


def scene(g: int, generator: torch.Generator, *, sh_degree: int = 3, size: float = 0.12) -> Gaussians:
    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return Gaussians(
        means=normal(g, 3) * torch.tensor([1.0, 0.7, 0.6]),
        quats_wxyz=normal(g, 4),
        log_scales=normal(g, 3) * 0.7 + math.log(size),
        opacity_logits=normal(g) * 2,
        sh=normal(g, sh_bases(sh_degree), 3) * 0.3,
    )


def cameras(n: int = 1, *, width: int = W, height: int = H, distance: float = 3.0) -> Cameras:
    angle = torch.arange(n, dtype=torch.float64) * 0.5
    eye = distance * torch.stack([angle.sin(), 0.2 + 0 * angle, -angle.cos()], -1)
    up = torch.tensor([[0.0, -1, 0]], dtype=torch.float64).expand(n, 3)
    K = intrinsics(focal_px=0.9 * width, width=width, height=height, n=n)
    K[:, 0, 2] += 3.3  # the principal point is off the middle
    return Cameras(look_at(eye, torch.zeros_like(eye), up), K, width, height)


def leaves(gaussians: Gaussians) -> Gaussians:
    return Gaussians(
        **{name: t.detach().clone().requires_grad_() for name, t in gaussians.tensors().items()}
    )


def gradients(gaussians: Gaussians, view: Cameras, engine: str, seed: int = 7) -> dict[str, torch.Tensor]:
    """Of a random weighting of all that is rendered."""
    scene = leaves(gaussians)
    background = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64)
    drawn, screen = render_with_screen(scene, view, engine=engine, background=background)  # type: ignore[arg-type]
    g = torch.Generator().manual_seed(seed)
    loss = sum(
        (part * torch.randn(part.shape, generator=g, dtype=torch.float64).to(part)).sum()
        for part in (drawn.images, drawn.depth, drawn.alpha)
    )
    assert isinstance(loss, torch.Tensor)
    screen.means2d.retain_grad()
    loss.backward()
    found = {name: t.grad for name, t in scene.tensors().items()} | {"means2d": screen.means2d.grad}
    return {name: t.double() for name, t in found.items() if t is not None}


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a.double() - b.double()).norm() / b.double().norm().clamp_min(1e-12))


@pytest.mark.parametrize("sh_degree", [0, 1, 2, 3])
def test_cpu_draws_what_the_reference_draws(generator, sh_degree):
    gaussians = scene(300, generator, sh_degree=sh_degree)
    truth = render(gaussians, cameras(2), engine="reference")
    drawn = render(gaussians.to(dtype=torch.float32), cameras(2), engine="cpu")
    assert (drawn.images - truth.images).abs().max() < 2e-4
    assert (drawn.alpha - truth.alpha).abs().max() < 2e-4
    assert (drawn.depth - truth.depth).abs().max() < 2e-3


@pytest.mark.parametrize("sh_degree", [0, 1, 2, 3])
def test_every_gradient_of_cpu_is_that_of_the_reference(generator, sh_degree):
    gaussians = scene(200, generator, sh_degree=sh_degree)
    truth = gradients(gaussians, cameras(2), "reference")
    found = gradients(gaussians.to(dtype=torch.float32), cameras(2), "cpu")
    assert found.keys() == truth.keys()
    for name, value in truth.items():
        assert relative(found[name], value) < 1e-3, name


def test_opaque_walls_close_pixels_in_both_engines(generator):
    """Layers of opaque Gaussians: the clamp of alpha and the early stop are reached everywhere."""
    gaussians = scene(400, generator, sh_degree=1, size=0.4)
    gaussians = Gaussians(**gaussians.tensors() | {"opacity_logits": torch.full((400,), 9.0).double()})
    truth = gradients(gaussians, cameras(), "reference")
    found = gradients(gaussians.to(dtype=torch.float32), cameras(), "cpu")
    for name in ("means", "log_scales", "sh"):
        assert relative(found[name], truth[name]) < 5e-3, name
