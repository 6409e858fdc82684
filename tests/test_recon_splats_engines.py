"""Engines against the float64 reference: pictures and every derivative, odd input, threads, order of calls.

The "cpu" engine is held here; "gsplat" too where there is a GPU (`-m gpu`).
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import jaxtyping
import pytest
import torch
from splat_scenes import ahead, layers, leaves, orbit, relative, scene, smooth, twist_gradient
from torch import Tensor

from recon.cameras import Cameras
from recon.errors import BridgeError, CameraError
from recon.gaussians import Gaussians
from recon.splats.engines.screen import Rendering, Screen, Style
from recon.splats.native import layout, library
from recon.splats.render import render, render_with_screen


@dataclass(frozen=True)
class Tolerance:
    """How far an engine in float32 may be from the reference in float64."""

    picture: float
    """Largest difference at a pixel, of images and alpha."""
    depth: float
    """The same of both depths; the scenes are about 3 away."""
    gradient: float
    """‖found - true‖ / ‖true‖ of each tensor's gradient."""
    gaussian: float
    """The same of one Gaussian's row, the worst, beside its own norm plus a hundredth of the average."""


SMOOTH = Tolerance(picture=1e-5, depth=5e-5, gradient=1e-3, gaussian=0.2)
GSPLAT = Tolerance(picture=1e-4, depth=2e-4, gradient=5e-3, gaussian=0.5)
TOLERANCES = {
    # No jump or kink of the model near, so there is nothing but arithmetic. The largest of it comes with AVX-512,
    # whose backward pass takes reciprocals to 2^-14, into derivatives of the depth, where much cancels.
    ("cpu", "smooth"): SMOOTH,
    ("gsplat", "smooth"): GSPLAT,
    # Derivatives of one picture alone.
    ("cpu", "images"): replace(SMOOTH, gradient=1e-4, gaussian=5e-2),
    ("cpu", "depth"): SMOOTH,
    ("cpu", "alpha"): replace(SMOOTH, gradient=1e-4, gaussian=5e-2),
    ("cpu", "depth_median"): replace(SMOOTH, gradient=2e-6, gaussian=1e-4),
    ("gsplat", "images"): GSPLAT,
    ("gsplat", "depth"): GSPLAT,
    ("gsplat", "alpha"): GSPLAT,
    # Up to two thousand times as long as wide, far narrower than a pixel.
    ("cpu", "thin"): Tolerance(picture=2e-4, depth=5e-4, gradient=1e-2, gaussian=math.inf),
    ("gsplat", "thin"): Tolerance(picture=1e-2, depth=1e-2, gradient=0.2, gaussian=math.inf),
    # Random scenes as they come: rounding may carry a pixel across 1/255, or close it one Gaussian earlier.
    ("cpu", "any"): Tolerance(picture=1e-2, depth=1e-2, gradient=1e-2, gaussian=math.inf),
    ("gsplat", "any"): Tolerance(picture=2e-2, depth=2e-2, gradient=2e-2, gaussian=math.inf),
}

ENGINES = pytest.mark.parametrize("engine", ["cpu", pytest.param("gsplat", marks=pytest.mark.gpu)])
SEVERAL_WAYS = pytest.mark.parametrize("antialiased", [False, True], ids=["classic", "antialiased"])
SIZES = pytest.mark.parametrize(
    "size", [(1, 1), (3, 5), (17, 33), (64, 64), (130, 2)], ids="{0[0]}x{0[1]}".format
)
PICTURES = ("images", "depth", "alpha", "depth_median")


def style(engine: str = "cpu", **changes) -> Style:
    """All that an engine offers, before a background of some colour."""
    background = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64)
    return replace(Style(background, 3, median_depth=engine != "gsplat"), **changes)


def draw(gaussians: Gaussians, cameras: Cameras, how: Style, engine: str) -> tuple[Rendering, Screen]:
    return render_with_screen(gaussians, cameras, engine=engine, **vars(how))  # type: ignore[arg-type]


def as_drawn_by(engine: str, gaussians: Gaussians) -> Gaussians:
    """The scene in the dtype and where the engine wants it."""
    if engine == "reference":
        return gaussians
    return gaussians.to("cuda" if engine == "gsplat" else "cpu", torch.float32)


@pytest.fixture
def shapes_unchecked() -> Iterator[None]:
    """As outside of tests."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def weighed(drawn: Rendering, of: tuple[str, ...] = PICTURES) -> Tensor:
    """A sum over pictures in which every pixel has a weight of its own."""
    total = drawn.alpha.new_zeros(())
    for seed, name in enumerate(of):
        picture = getattr(drawn, name)
        if picture is not None:
            generator = torch.Generator().manual_seed(seed)
            weight = torch.randn(picture.shape, generator=generator, dtype=torch.float64)
            total = total + (picture * weight.to(picture)).sum()
    return total


def gradients(
    gaussians: Gaussians, cameras: Cameras, how: Style, engine: str, of: tuple[str, ...] = PICTURES
) -> dict[str, Tensor]:
    """Derivatives of a weighted sum of pictures: by scene, centres on the screen, poses and background, in float64."""
    gaussians = leaves(as_drawn_by(engine, gaussians))
    pose = cameras.cam_from_world.detach().clone().requires_grad_()
    background = how.background.detach().clone().requires_grad_()
    how = replace(how, background=background)
    drawn, screen = draw(gaussians, replace(cameras, cam_from_world=pose), how, engine)
    weighed(drawn, of).backward()
    by = gaussians.tensors() | {"means2d": screen.means2d, "poses": pose, "background": background}
    found = {name: torch.zeros_like(t) if t.grad is None else t.grad for name, t in by.items()}
    if engine == "gsplat":  # what it gives off the rigid motions is its own affair
        found["poses"] = twist_gradient(found["poses"], cameras.cam_from_world)
    return {name: t.double().cpu() for name, t in found.items()}


def true_gradients(
    gaussians: Gaussians, cameras: Cameras, how: Style, engine: str, of: tuple[str, ...] = PICTURES
) -> dict[str, Tensor]:
    """Those of the reference, in the form of the engine's."""
    truth = gradients(gaussians, cameras, how, "reference", of)
    if engine == "gsplat":
        truth["poses"] = twist_gradient(truth["poses"], cameras.cam_from_world)
    return truth


def assert_same_pictures(found: Rendering, truth: Rendering, tolerance: Tolerance) -> None:
    for name in PICTURES:
        a, b = getattr(found, name), getattr(truth, name)
        if a is not None:
            error = (a.double().cpu() - b).abs().max()
            assert error < (tolerance.depth if "depth" in name else tolerance.picture), name


def assert_same_gradients(found: dict[str, Tensor], truth: dict[str, Tensor], tolerance: Tolerance) -> None:
    assert found.keys() == truth.keys()
    for name, true in truth.items():
        assert relative(found[name], true) < tolerance.gradient, name
        if name not in ("means2d", "poses", "background"):
            error, norm = (t.reshape(len(t), -1).norm(dim=1) for t in (found[name] - true, true))
            assert (error / (norm + 0.01 * norm.mean() + 1e-30)).max() < tolerance.gaussian, name


@ENGINES
@SIZES
@SEVERAL_WAYS
def test_it_draws_and_derives_what_the_reference_does(generator, engine, size, antialiased):
    cameras, how = orbit(2, width=size[0], height=size[1]), style(engine, antialiased=antialiased)
    gaussians = smooth(scene(200, generator), cameras, how)
    tolerance = TOLERANCES[engine, "smooth"]
    found, screen = draw(as_drawn_by(engine, gaussians), cameras, how, engine)
    truth, true_screen = draw(gaussians, cameras, how, "reference")
    assert truth.alpha.max() > 0.1
    assert_same_pictures(found, truth, tolerance)
    if engine != "gsplat":
        torch.testing.assert_close(screen.radii_px.double(), true_screen.radii_px, rtol=1e-4, atol=1e-4)
    assert_same_gradients(
        gradients(gaussians, cameras, how, engine), true_gradients(gaussians, cameras, how, engine), tolerance
    )


@ENGINES
@pytest.mark.parametrize(("stored", "used"), [(0, 0), (1, 1), (2, 2), (3, 2), (3, 0)])
def test_it_takes_every_degree_of_colour(generator, engine, stored, used):
    cameras, how = orbit(2), style(engine, sh_degree=used)
    gaussians = smooth(scene(150, generator, sh_degree=stored), cameras, how)
    found = gradients(gaussians, cameras, how, engine)
    assert_same_gradients(
        found, true_gradients(gaussians, cameras, how, engine), TOLERANCES[engine, "smooth"]
    )
    assert found["sh"].shape == gaussians.sh.shape
    assert not found["sh"][:, (used + 1) ** 2 :].any()


@ENGINES
@pytest.mark.parametrize("picture", PICTURES)
def test_each_picture_alone_has_its_derivatives(generator, engine, picture):
    if engine == "gsplat" and picture == "depth_median":
        pytest.skip("gsplat has no median depth of 3D Gaussians")
    cameras, how = orbit(2), style(engine, antialiased=True)
    gaussians = smooth(scene(150, generator), cameras, how)
    truth = true_gradients(gaussians, cameras, how, engine, of=(picture,))
    assert truth["means"].any()
    found = gradients(gaussians, cameras, how, engine, of=(picture,))
    assert_same_gradients(found, truth, TOLERANCES[engine, picture])


@ENGINES
def test_near_and_far_cut_as_in_the_reference(generator, engine):
    cameras, how = orbit(2), style(engine, near=2.7, far=3.2)
    gaussians = smooth(scene(200, generator), cameras, how)
    found, _ = draw(as_drawn_by(engine, gaussians), cameras, how, engine)
    truth, true_screen = draw(gaussians, cameras, how, "reference")
    assert 0 < int((true_screen.radii_px > 0).sum()) < 0.6 * len(gaussians) * len(cameras)
    assert_same_pictures(found, truth, TOLERANCES[engine, "smooth"])
    assert_same_gradients(
        gradients(gaussians, cameras, how, engine),
        true_gradients(gaussians, cameras, how, engine),
        TOLERANCES[engine, "smooth"],
    )


@ENGINES
@pytest.mark.parametrize(
    ("g", "size", "logit"),
    [(600, 0.12, None), (400, 0.4, 9.0), (300, 0.01, 2.0)],
    ids=["mixed", "opaque walls", "dust"],
)
@SEVERAL_WAYS
def test_scenes_as_they_come_differ_at_jumps_alone(generator, engine, g, size, logit, antialiased):
    cameras, how = orbit(2), style(engine, antialiased=antialiased, median_depth=False)
    gaussians = scene(g, generator, size=size)
    if logit is not None:
        gaussians = replace(gaussians, opacity_logits=torch.full((g,), logit, dtype=torch.float64))
    found, _ = draw(as_drawn_by(engine, gaussians), cameras, how, engine)
    truth, _ = draw(gaussians, cameras, how, "reference")
    assert_same_pictures(found, truth, TOLERANCES[engine, "any"])
    assert_same_gradients(
        gradients(gaussians, cameras, how, engine),
        true_gradients(gaussians, cameras, how, engine),
        TOLERANCES[engine, "any"],
    )


@ENGINES
@pytest.mark.parametrize(
    "log_scales",
    [[-1.0, -6.0, -6.0], [1.0, -6.5, -6.5], [-1.5, -1.5, -7.0]],
    ids=["needles", "long needles", "discs"],
)
@SEVERAL_WAYS
def test_what_is_thin_keeps_its_shape_and_derivatives(generator, engine, log_scales, antialiased):
    cameras, how = orbit(2), style(engine, antialiased=antialiased)
    gaussians = scene(150, generator)
    gaussians = replace(
        gaussians,
        log_scales=torch.tensor(log_scales) + 0.3 * (gaussians.log_scales - math.log(0.12)),
        opacity_logits=torch.full((150,), 4.0, dtype=torch.float64),
    )
    gaussians = smooth(gaussians, cameras, how)
    found, _ = draw(as_drawn_by(engine, gaussians), cameras, how, engine)
    truth, _ = draw(gaussians, cameras, how, "reference")
    assert_same_pictures(found, truth, TOLERANCES[engine, "thin"])
    assert_same_gradients(
        gradients(gaussians, cameras, how, engine, of=("images", "alpha")),
        true_gradients(gaussians, cameras, how, engine, of=("images", "alpha")),
        TOLERANCES[engine, "thin"],
    )


@ENGINES
def test_a_pixel_may_see_more_than_a_thousand_gaussians(generator, engine):
    cameras, how = orbit(1, width=9, height=5), style(engine)
    gaussians = scene(1200, generator, sh_degree=1, size=20.0)
    gaussians = replace(
        gaussians,
        means=0.1 * gaussians.means,
        opacity_logits=torch.full((1200,), 0.006, dtype=torch.float64).logit(),
    )
    how = replace(how, sh_degree=1)
    gaussians = smooth(gaussians, cameras, how)
    assert len(gaussians) > 1000
    truth, _ = draw(gaussians, cameras, how, "reference")
    assert 0.99 < truth.alpha.min() < truth.alpha.max() < 0.9999
    found, _ = draw(as_drawn_by(engine, gaussians), cameras, how, engine)
    assert_same_pictures(found, truth, TOLERANCES[engine, "smooth"])
    assert_same_gradients(
        gradients(gaussians, cameras, how, engine),
        true_gradients(gaussians, cameras, how, engine),
        TOLERANCES[engine, "smooth"],
    )


def bands(gaussians: Gaussians, camera: Cameras) -> int:
    """In how many parts the compiled engine draws a picture of plain colour."""
    groups, image = layout.pack(gaussians, 1), torch.empty(camera.height, camera.width, 3)
    frame = library.Frame()
    library.engine().forward(
        frame,
        library.Scene(library.pointer(groups), len(gaussians), groups.shape[1], 1),
        library.camera_struct(camera, 0, style().near, style().far),
        library.Style((0.0, 0.0, 0.0), False),
        library.Pictures(library.pointer(image)),
    )
    return frame.statistics().bands


def test_a_picture_that_is_drawn_in_bands_is_that_of_its_halves(generator):
    """The engine bounds its memory: with over four million pairs of a Gaussian and a tile, it draws in bands."""
    g, width, height = 17_000, 128, 512
    gaussians = scene(g, generator, sh_degree=0, size=20.0)
    spread = torch.rand(g, 3, generator=generator, dtype=torch.float64)
    gaussians = replace(
        gaussians,
        means=torch.tensor([-0.1, -0.1, 1.0]) + torch.tensor([0.2, 0.2, 1.0]) * spread,
        opacity_logits=torch.full((g,), 0.05, dtype=torch.float64).logit(),
    )
    whole = ahead(width, height, focal_px=100.0)
    lower_K = whole.K.clone()
    lower_K[:, 1, 2] -= height / 2
    halves = [replace(whole, height=height // 2), replace(whole, height=height // 2, K=lower_K)]
    assert bands(gaussians, whole) > 1
    assert [bands(gaussians, half) for half in halves] == [1, 1]

    def images_and_gradients(*cameras: Cameras) -> tuple[Tensor, Gaussians]:
        leaf = leaves(as_drawn_by("cpu", gaussians))
        image = torch.cat([draw(leaf, c, style(sh_degree=0), "cpu")[0].images for c in cameras], dim=1)
        (image * torch.linspace(-1, 2, height)[:, None, None]).sum().backward()
        return image.detach(), leaf

    image, leaf = images_and_gradients(whole)
    parts, leaf_of_parts = images_and_gradients(*halves)
    torch.testing.assert_close(image, parts, rtol=0, atol=1e-5)
    for name, tensor in leaf.tensors().items():
        expected = leaf_of_parts.tensors()[name].grad
        assert tensor.grad is not None
        assert expected is not None
        assert relative(tensor.grad, expected) < 1e-3, name


@ENGINES
def test_cameras_draw_as_they_do_alone_and_their_derivatives_add_up(generator, engine):
    gaussians, cameras, how = scene(200, generator), orbit(3), style(engine)
    together, screen = draw(as_drawn_by(engine, gaussians), cameras, how, engine)
    alone = [draw(as_drawn_by(engine, gaussians), cameras[i], how, engine) for i in range(3)]
    torch.testing.assert_close(together.images, torch.cat([r.images for r, _ in alone]), rtol=0, atol=1e-6)
    assert torch.equal(screen.radii_px, torch.cat([s.radii_px for _, s in alone]))

    def by_means(*views: Cameras) -> Tensor:
        leaf = leaves(as_drawn_by(engine, gaussians))
        torch.stack([draw(leaf, v, how, engine)[0].alpha.sin().sum() for v in views]).sum().backward()
        assert leaf.means.grad is not None
        return leaf.means.grad

    assert relative(by_means(cameras), by_means(cameras[0], cameras[1], cameras[2])) < 1e-5


@ENGINES
def test_to_move_scene_and_camera_together_changes_nothing(generator, engine):
    """So the derivatives by all means and by the camera's position cancel."""
    gaussians, cameras = scene(200, generator), orbit(1)
    found = gradients(gaussians, cameras, style(engine), engine)
    if engine == "gsplat":
        by_translation = found["poses"][0, 3:]
    else:
        by_translation = found["poses"][0, :3, 3]
    R = cameras.cam_from_world[0, :3, :3]
    assert relative(found["means"].sum(0), R.T @ by_translation) < 1e-4


@ENGINES
def test_only_a_camera_may_ask_for_derivatives(generator, engine):
    gaussians, cameras = scene(100, generator), orbit(2)
    pose = cameras.cam_from_world.clone().requires_grad_()
    drawn, _ = draw(
        as_drawn_by(engine, gaussians), replace(cameras, cam_from_world=pose), style(engine), engine
    )
    weighed(drawn).backward()
    assert pose.grad is not None
    assert pose.grad.dtype == torch.float64
    assert not pose.grad[:, 3].any()
    expected = gradients(gaussians, cameras, style(engine), engine)["poses"]
    found = twist_gradient(pose.grad, cameras.cam_from_world) if engine == "gsplat" else pose.grad
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_pictures_without_derivatives_are_the_same_pictures(generator):
    gaussians, cameras = as_drawn_by("cpu", scene(100, generator)), orbit(2)
    with torch.no_grad():
        quiet, screen = draw(leaves(gaussians), cameras, style(), "cpu")
    loud, _ = draw(leaves(gaussians), cameras, style(), "cpu")
    assert not quiet.images.requires_grad
    assert not screen.means2d.requires_grad
    assert loud.images.requires_grad
    for name in PICTURES:
        assert torch.equal(getattr(quiet, name), getattr(loud, name))


def test_any_layout_and_dtype_of_the_scene_will_do(generator):
    gaussians, cameras = as_drawn_by("cpu", scene(100, generator)), orbit(1)
    plain, _ = draw(gaussians, cameras, style(), "cpu")
    strided = Gaussians(
        **{
            name: t.transpose(0, -1).contiguous().transpose(0, -1)
            if t.ndim > 1
            else torch.stack([t, t], -1)[:, 0]
            for name, t in gaussians.tensors().items()
        }
    )
    assert not strided.means.is_contiguous()
    wide = leaves(gaussians.to(dtype=torch.float64))
    for other in (strided, wide):
        found, _ = draw(other, cameras, style(), "cpu")
        assert found.images.dtype == torch.float32
        assert torch.equal(found.images, plain.images)
    found.images.sum().backward()
    assert wide.means.grad is not None
    assert wide.means.grad.dtype == torch.float64


@pytest.mark.parametrize("engine", ["cpu", "reference"])
def test_centres_on_the_screen_gather_a_gradient_whatever_the_dtype(generator, engine):
    wide = leaves(scene(100, generator))
    drawn, screen = draw(wide, orbit(1), style(), engine)
    weighed(drawn).backward()
    assert wide.means.dtype == torch.float64
    assert screen.means2d.grad is not None
    assert screen.means2d.grad.any()


def test_torch_s_default_dtype_changes_nothing(generator):
    gaussians, cameras = scene(100, generator), orbit(2)
    plain = draw(as_drawn_by("cpu", gaussians), cameras, style(), "cpu")[0]
    expected = gradients(gaussians, cameras, style(), "cpu")
    try:
        torch.set_default_dtype(torch.float64)
        found = draw(as_drawn_by("cpu", gaussians), cameras, style(), "cpu")[0]
        derivatives = gradients(gaussians, cameras, style(), "cpu")
    finally:
        torch.set_default_dtype(torch.float32)
    for name in PICTURES:
        assert getattr(found, name).dtype == torch.float32
        assert torch.equal(getattr(found, name), getattr(plain, name))
    for name, value in expected.items():
        torch.testing.assert_close(derivatives[name], value, rtol=1e-6, atol=1e-6)


def test_the_order_of_the_gaussians_does_not_matter(generator):
    gaussians, cameras = scene(300, generator), orbit(2)
    order = torch.randperm(300, generator=generator)
    straight, shuffled = (gradients(g, cameras, style(), "cpu") for g in (gaussians, gaussians[order]))
    first, second = (
        draw(as_drawn_by("cpu", g), cameras, style(), "cpu")[0] for g in (gaussians, gaussians[order])
    )
    assert torch.equal(first.images, second.images)
    assert first.depth_median is not None
    assert second.depth_median is not None
    assert torch.equal(first.depth_median, second.depth_median)
    for name in gaussians.tensors():
        assert relative(shuffled[name], straight[name][order]) < 1e-5, name


def test_equal_depths_blend_in_the_order_of_the_scene():
    both = as_drawn_by("cpu", layers([1.0, 1.0], [0.5, 0.5], scale=100.0))
    for order, expected in (([0, 1], [0.5, 0.25, 0]), ([1, 0], [0.25, 0.5, 0])):
        drawn = render(both[torch.tensor(order)], ahead(), engine="cpu").images[0, 3, 4]
        assert drawn.tolist() == pytest.approx(expected, abs=1e-5)


def test_threads_do_not_change_a_bit(generator):
    gaussians, cameras, how = scene(500, generator), orbit(2), style(antialiased=True)
    threads, pictures, derivatives = torch.get_num_threads(), [], []
    try:
        for count in (1, 2, 3, 5):
            torch.set_num_threads(count)
            pictures.append(draw(as_drawn_by("cpu", gaussians), cameras, how, "cpu")[0])
            derivatives.append(gradients(gaussians, cameras, how, "cpu"))
    finally:
        torch.set_num_threads(threads)
    for picture, derivative in zip(pictures[1:], derivatives[1:], strict=True):
        assert all(torch.equal(getattr(picture, name), getattr(pictures[0], name)) for name in PICTURES)
        assert all(torch.equal(derivative[name], value) for name, value in derivatives[0].items())


def test_pictures_may_be_derived_in_any_order_and_twice(generator):
    """What a backward pass needs of its forward pass is its own, whatever is drawn in between."""
    scenes = [leaves(as_drawn_by("cpu", scene(g, generator))) for g in (50, 200, 120)]
    views = [orbit(1, width=w, height=h) for w, h in ((40, 30), (17, 33), (64, 20))]
    expected = [gradients(s, v, style(), "cpu")["means"] for s, v in zip(scenes, views, strict=True)]
    losses = [weighed(draw(s, v, style(), "cpu")[0]) for s, v in zip(scenes, views, strict=True)]

    def assert_gathered(i: int, times: int) -> None:
        grad = scenes[i].means.grad
        assert grad is not None
        assert torch.equal(grad.double(), times * expected[i])

    for i in (1, 0, 2):
        with torch.no_grad():
            draw(scenes[i], views[0], style(), "cpu")
        losses[i].backward(retain_graph=True)
        assert_gathered(i, times=1)
    draw(scenes[0], views[0], style(), "cpu")  # drawn and forgotten
    losses[1].backward()
    assert_gathered(1, times=2)


ODD = {
    "behind": {"means": torch.tensor([0.0, 0, -9])},
    "at the camera": {"means": orbit().centers[0]},
    "outside": {"means": torch.tensor([50.0, 0, 0])},
    "a point": {"log_scales": torch.tensor(-torch.inf)},
    "huge": {"log_scales": torch.tensor(12.0)},
    "infinite": {"log_scales": torch.tensor(torch.inf)},
    "a needle": {"log_scales": torch.tensor([3.0, -20, -20])},
    "a disc": {"log_scales": torch.tensor([0.0, 0, -20])},
    "no rotation": {"quats_wxyz": torch.zeros(4)},
    "clear": {"opacity_logits": torch.tensor(-60.0)},
    "opaque": {"opacity_logits": torch.tensor(60.0)},
    "black": {"sh": torch.tensor(-9.0)},
}
NOTHING_TO_SEE = ("behind", "at the camera", "outside", "infinite", "clear")
NO_AREA = ("a point", "a needle")


def odd(name: str, plain: Gaussians) -> Gaussians:
    """One Gaussian, changed."""
    values = {key: 0.5 * value for key, value in plain[:1].tensors().items()}
    for key, value in ODD[name].items():
        values[key] = value.to(torch.float64).expand_as(values[key]).clone()
    return Gaussians(**values)


@pytest.mark.parametrize("engine", ["cpu", "reference"])
@SEVERAL_WAYS
@pytest.mark.parametrize("name", ODD)
def test_one_odd_gaussian_draws_and_has_finite_derivatives(generator, engine, antialiased, name):
    cameras, how = orbit(1), style(antialiased=antialiased)
    gaussians = odd(name, scene(1, generator))
    drawn, screen = draw(as_drawn_by(engine, gaussians), cameras, how, engine)
    assert all(getattr(drawn, picture).isfinite().all() for picture in PICTURES)
    found = gradients(gaussians, cameras, how, engine)
    assert all(value.isfinite().all() for value in found.values())
    if name in NOTHING_TO_SEE or (antialiased and name in NO_AREA):
        assert torch.equal(drawn.images.float(), how.background.float().expand_as(drawn.images))
        assert not screen.radii_px.any()
        assert not any(value.any() for key, value in found.items() if key != "background")
    else:
        assert screen.radii_px.all()
        assert drawn.alpha.max() > 0.01


@SEVERAL_WAYS
def test_odd_gaussians_leave_the_others_alone(generator, antialiased):
    """All of them in one scene, among others that share their vectors."""
    cameras, how = orbit(2), style(antialiased=antialiased)
    plain = scene(40, generator)
    strange = [odd(name, plain[i:]) for i, name in enumerate(ODD)]
    mixed = Gaussians(
        **{
            name: torch.cat([value, *(s.tensors()[name] for s in strange), value.flip(0) * 0.9])
            for name, value in plain.tensors().items()
        }
    )
    mixed = smooth(mixed, cameras, how)
    found, _ = draw(as_drawn_by("cpu", mixed), cameras, how, "cpu")
    truth, _ = draw(mixed, cameras, how, "reference")
    assert_same_pictures(found, truth, TOLERANCES["cpu", "any"])
    derivatives = gradients(mixed, cameras, how, "cpu")
    true = true_gradients(mixed, cameras, how, "cpu")
    usual = mixed.log_scales.abs().amax(-1) < 5
    for name in plain.tensors():
        assert derivatives[name].isfinite().all(), name
        assert relative(derivatives[name][usual], true[name][usual]) < TOLERANCES["cpu", "any"].gradient, name


@pytest.mark.parametrize("engine", ["cpu", "reference", pytest.param("gsplat", marks=pytest.mark.gpu)])
def test_no_gaussians_are_the_background(engine, generator):
    empty, cameras = as_drawn_by(engine, scene(3, generator).to(dtype=torch.float32)[:0]), orbit(2)
    how = style(engine)
    drawn, screen = draw(leaves(empty), cameras, how, engine)
    assert torch.equal(drawn.images.cpu(), how.background.float().expand(2, 37, 53, 3))
    for picture in (drawn.alpha, drawn.depth, drawn.depth_median):
        assert picture is None or not picture.any()
    assert screen.radii_px.shape == (2, 0)
    weighed(drawn).backward()


@pytest.mark.parametrize("name", ["means", "quats_wxyz", "log_scales", "opacity_logits", "sh"])
def test_nan_is_named(name, generator):
    gaussians = scene(5, generator)
    gaussians.tensors()[name][2] = torch.nan
    with pytest.raises(BridgeError, match=f"{name} of 1 of 5"):
        render(gaussians, orbit())


@pytest.mark.usefixtures("shapes_unchecked")
@pytest.mark.parametrize("shape", [(), (1,), (4,), (1, 3), (2, 3)], ids=str)
@pytest.mark.parametrize("engine", ["cpu", "reference"])
def test_a_background_that_is_no_colour_is_named(generator, engine, shape):
    with pytest.raises(BridgeError, match=re.escape(f"three numbers, got a tensor of shape {shape}")):
        render(scene(2, generator), orbit(), engine=engine, background=torch.zeros(shape))


def test_no_cameras_is_an_error(generator):
    with pytest.raises(CameraError, match="at least one camera"):
        render(scene(2, generator), orbit()[[]])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_gsplat_without_a_gpu_says_so(generator):
    with pytest.raises(BridgeError, match="NVIDIA GPU"):
        render(scene(2, generator), orbit(), engine="gsplat")


def test_gsplat_says_that_it_has_no_median_depth(generator):
    pytest.importorskip("gsplat")
    from recon.splats.engines.cuda import render as draw_with_gsplat

    with pytest.raises(BridgeError, match="median depth"):
        draw_with_gsplat(scene(2, generator), orbit(), style())


def test_an_engine_without_derivatives_by_intrinsics_says_so(generator):
    pytest.importorskip("gsplat")
    from recon.splats.engines.cuda import render as draw_with_gsplat

    cameras = orbit()
    cameras.K.requires_grad_()
    with pytest.raises(BridgeError, match="camera's K"):
        render(scene(2, generator), cameras, engine="cpu")
    with pytest.raises(BridgeError, match="camera's K"):
        draw_with_gsplat(scene(2, generator), cameras, style("gsplat"))
