"""The CPU engine against the float64 reference."""

import math

import pytest
import torch

from recon.cameras import Cameras, intrinsics, look_at
from recon.errors import BridgeError, CameraError
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
    return Gaussians(**{name: t.detach().clone().requires_grad_() for name, t in gaussians.tensors().items()})


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


def test_a_gaussian_lies_where_its_pixel_centre_is():
    view = Cameras(
        torch.eye(4, dtype=torch.float64)[None], intrinsics(focal_px=10.0, width=9, height=7), 9, 7
    )
    point = torch.tensor([[(3.5 - 4.5) / 10 * 2, (2.5 - 3.5) / 10 * 2, 2.0]])  # pixel (3, 2), depth 2
    one = Gaussians(
        point, torch.ones(1, 4), torch.full((1, 3), -9.0), torch.full((1,), 2.0), torch.ones(1, 1, 3)
    )
    drawn = render(one, view, engine="cpu")
    assert divmod(int(drawn.alpha[0].argmax()), 9) == (2, 3)
    assert drawn.alpha[0, 2, 3] == pytest.approx(torch.tensor(2.0).sigmoid().item(), abs=1e-5)
    assert drawn.depth[0, 2, 3] == pytest.approx(2.0, abs=1e-5)
    assert (drawn.depth[drawn.alpha == 0] == 0).all()


def test_order_of_the_gaussians_does_not_matter(generator):
    gaussians = scene(300, generator).to(dtype=torch.float32)
    shuffled = gaussians[torch.randperm(300, generator=generator)]
    first, second = (render(g, cameras(), engine="cpu") for g in (gaussians, shuffled))
    torch.testing.assert_close(first.images, second.images, rtol=0, atol=0)


def test_threads_do_not_change_a_bit(generator):
    gaussians = scene(500, generator).to(dtype=torch.float32)
    threads = torch.get_num_threads()
    found = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            found.append(gradients(gaussians, cameras(), "cpu"))
    finally:
        torch.set_num_threads(threads)
    for other in found[1:]:
        assert all(torch.equal(other[name], value) for name, value in found[0].items())


@pytest.mark.parametrize("engine", ["cpu", "reference"])
@pytest.mark.parametrize(
    "change",
    [
        {"means": torch.tensor([0.0, 0, -9])},  # behind the camera
        {"means": torch.tensor([50.0, 0, 0])},  # out of the picture
        {"log_scales": torch.tensor(-torch.inf)},  # a point
        {"log_scales": torch.tensor(12.0)},  # huge
        {"log_scales": torch.tensor([9.0, -20, -20])},  # a needle
        {"quats_wxyz": torch.zeros(4)},
        {"opacity_logits": torch.tensor(-60.0)},
        {"opacity_logits": torch.tensor(60.0)},
        {},
    ],
    ids=["behind", "outside", "point", "huge", "needle", "no-rotation", "clear", "opaque", "plain"],
)
def test_one_odd_gaussian_draws_and_has_finite_gradients(engine, change, generator):
    gaussians = scene(1, generator)
    gaussians = Gaussians(
        **{
            name: change[name].to(value).expand_as(value).clone() if name in change else value * 0.5
            for name, value in gaussians.tensors().items()
        }
    )
    gaussians = gaussians if engine == "reference" else gaussians.to(dtype=torch.float32)
    background = torch.tensor([0.1, 0.2, 0.3])
    drawn = render(gaussians, cameras(), engine=engine, background=background)
    assert drawn.images.isfinite().all()
    assert drawn.depth.isfinite().all()
    if {"means", "opacity_logits"} & change.keys() and float(change.get("opacity_logits", -1)) < 0:
        assert torch.equal(drawn.images.float(), background.expand_as(drawn.images))
    assert all(v.isfinite().all() for v in gradients(gaussians, cameras(), engine).values())


@pytest.mark.parametrize("engine", ["cpu", "reference"])
def test_no_gaussians_is_the_background(engine, generator):
    empty = scene(3, generator).to(dtype=torch.float32)[:0]
    background = torch.tensor([0.1, 0.2, 0.3])
    drawn = render(empty, cameras(2), engine=engine, background=background)
    assert torch.equal(drawn.images, background.expand(2, H, W, 3))
    assert drawn.alpha.abs().max() == 0
    assert drawn.depth.abs().max() == 0


@pytest.mark.parametrize("name", ["means", "quats_wxyz", "log_scales", "opacity_logits", "sh"])
def test_nan_is_named(name, generator):
    gaussians = scene(5, generator)
    gaussians.tensors()[name][2] = torch.nan
    with pytest.raises(BridgeError, match=f"{name} of 1 of 5"):
        render(gaussians, cameras())


def test_no_cameras_is_an_error(generator):
    with pytest.raises(CameraError, match="at least one camera"):
        render(scene(2, generator), cameras()[[]])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_gsplat_without_a_gpu_says_so(generator):
    with pytest.raises(BridgeError, match="NVIDIA GPU"):
        render(scene(2, generator), cameras(), engine="gsplat")


@pytest.mark.gpu
def test_gsplat_draws_what_the_reference_draws(generator):
    gaussians = scene(300, generator)
    truth = gradients(gaussians, cameras(2), "reference")
    found = gradients(gaussians.to("cuda", torch.float32), cameras(2), "gsplat")
    for name, value in truth.items():
        assert relative(found[name].cpu(), value) < 2e-3, name
