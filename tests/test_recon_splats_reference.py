"""The float64 reference against finite differences, figures worked out by hand, and gsplat's own torch."""

import math
from dataclasses import replace

import pytest
import torch
from splat_scenes import ahead, layers, leaves, moved, orbit, scene, smooth, twist_gradient
from torch import Tensor

from recon.cameras import Cameras
from recon.errors import BridgeError
from recon.gaussians import Gaussians
from recon.splats.engines import reference
from recon.splats.engines.screen import Style
from recon.splats.render import render, render_with_screen

SEVERAL_WAYS = pytest.mark.parametrize("antialiased", [False, True], ids=["classic", "antialiased"])


@pytest.fixture
def few(generator) -> Gaussians:
    """Some overlapping Gaussians, none of them near a jump or kink as `orbit(2, 7 x 5)` sees them."""
    gaussians = scene(9, generator, size=0.5)
    gaussians = replace(gaussians, opacity_logits=gaussians.opacity_logits.clamp(-2, 2))
    kept = smooth(gaussians, orbit(2, width=7, height=5), style(), margin=1e-3)
    assert len(kept) >= 6
    return kept


def style(**changes) -> Style:
    return replace(Style(torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64), 3, median_depth=True), **changes)


def sums(pictures: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """One number of each, to which every pixel adds its own weight."""
    return tuple((p * torch.arange(p.numel(), dtype=p.dtype).view(p.shape).cos()).sum() for p in pictures)


def pictures(gaussians: Gaussians, cameras: Cameras, how: Style) -> tuple[Tensor, ...]:
    drawn, _ = reference.render(gaussians, cameras, how)
    assert drawn.depth_median is not None
    return drawn.images, drawn.depth, drawn.alpha, drawn.depth_median


@SEVERAL_WAYS
def test_derivatives_by_the_scene_and_background_are_finite_differences(few, antialiased):
    cameras = orbit(1, width=7, height=5)
    background = style().background.clone().requires_grad_()

    def draw(means, quats, log_scales, logits, sh, background):
        how = style(background=background, antialiased=antialiased)
        return sums(pictures(Gaussians(means, quats, log_scales, logits, sh), cameras, how))

    median = pictures(few, cameras, style(antialiased=antialiased))[3]
    assert (median > 0).any()
    assert (median == 0).any()
    inputs = (*leaves(few).tensors().values(), background)
    assert torch.autograd.gradcheck(draw, inputs, rtol=1e-4, atol=1e-6, fast_mode=True)


@SEVERAL_WAYS
def test_derivatives_by_the_cameras_are_finite_differences(few, antialiased):
    """By each entry of the matrices, and along the motions that they are meant for."""
    cameras, how = orbit(2, width=7, height=5), style(antialiased=antialiased)

    def draw(pose):
        return sums(pictures(few, replace(cameras, cam_from_world=pose), how))

    def draw_moved(twists):
        return sums(pictures(few, moved(cameras, twists), how))

    pose = cameras.cam_from_world.clone().requires_grad_()
    twists = torch.zeros(2, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(draw, (pose,), rtol=1e-4, atol=1e-6)
    assert torch.autograd.gradcheck(draw_moved, (twists,), rtol=1e-4, atol=1e-6)

    torch.stack(draw(pose)).sum().backward()
    torch.stack(draw_moved(twists)).sum().backward()
    assert pose.grad is not None
    torch.testing.assert_close(twist_gradient(pose.grad, cameras.cam_from_world), twists.grad)


def test_derivatives_by_centres_on_the_screen_are_those_by_the_principal_point(few):
    """To move it is to move all centres, as long as none lies past the limits of the Jacobian."""
    cameras = orbit(1, width=7, height=5)
    few = replace(few, means=0.2 * few.means)

    def loss(K: Tensor) -> tuple[Tensor, Tensor]:
        drawn, screen = render_with_screen(leaves(few), replace(cameras, K=K), engine="reference")
        return (drawn.images.sin() + drawn.depth[..., None]).sum(), screen.means2d

    value, means2d = loss(cameras.K)
    value.backward()
    assert means2d.grad is not None
    for axis in (0, 1):
        step = torch.zeros_like(cameras.K)
        step[0, axis, 2] = 1e-6
        expected = (loss(cameras.K + step)[0] - loss(cameras.K - step)[0]) / 2e-6
        torch.testing.assert_close(means2d.grad[0, :, axis].sum(), expected, rtol=1e-5, atol=1e-7)


def test_it_projects_as_gsplat_does_also_backwards_to_the_pose(generator):
    gsplat = pytest.importorskip("gsplat.cuda._torch_impl")
    gaussians, cameras = scene(50, generator), orbit(1)
    gaussians.means[:10] *= 4  # some past the limits of the Jacobian
    pose = [cameras.cam_from_world.clone().requires_grad_() for _ in range(2)]
    axes = reference.rotation_matrices(gaussians.quats_wxyz) * gaussians.log_scales.exp()[:, None]
    _, centers, depths, conics, compensation = gsplat._fully_fused_projection(
        gaussians.means, axes @ axes.mT, pose[0], cameras.K, 53, 37, calc_compensations=True
    )
    opacities = compensation[0] * gaussians.opacity_logits.sigmoid()
    splats = reference.project(gaussians, replace(cameras, cam_from_world=pose[1]), style(antialiased=True))
    front = depths[0] > 0.05
    assert front.any()
    theirs, ours = (
        torch.cat([c, k, d[:, None], o[:, None]], -1)[front]
        for c, k, d, o in (
            (centers[0], conics[0], depths[0], opacities),
            (splats.centers, splats.conics, splats.depths, splats.opacities),
        )
    )
    torch.testing.assert_close(ours, theirs)
    weight = torch.randn(ours.shape, generator=generator, dtype=torch.float64)
    for values in (theirs, ours):
        (weight * values).sum().backward()
    torch.testing.assert_close(pose[1].grad, pose[0].grad)


@pytest.mark.parametrize("sh_degree", [0, 1, 2, 3])
def test_it_colours_as_gsplat_does_also_backwards_to_the_pose(generator, sh_degree):
    gsplat = pytest.importorskip("gsplat.cuda._torch_impl")
    gaussians, cameras = scene(50, generator), orbit(1)
    pose = [cameras.cam_from_world.clone().requires_grad_() for _ in range(2)]
    direction = gaussians.means - torch.linalg.inv(pose[0])[0, :3, 3]
    theirs = (gsplat._spherical_harmonics(sh_degree, direction, gaussians.sh) + 0.5).clamp_min(0)
    how = style(sh_degree=sh_degree)
    ours = reference.project(gaussians, replace(cameras, cam_from_world=pose[1]), how).colors
    torch.testing.assert_close(ours, theirs)
    if sh_degree > 0:
        weight = torch.randn(50, 3, generator=generator, dtype=torch.float64)
        for values in (theirs, ours):
            (weight * values).sum().backward()
        # The centre of a matrix that is no rigid motion is another one for -Rᵀt than for the inverse.
        a, b = (twist_gradient(p.grad, cameras.cam_from_world) for p in pose if p.grad is not None)
        torch.testing.assert_close(b, a)


def test_one_round_gaussian_by_hand():
    """Depth 2, focal length 10: a scale of s is (5 s)² px²; the low-pass adds 0.3, antialiasing takes that off again."""
    scale, opacity, depth = 0.1, 0.8, 2.0
    one = layers([depth], [opacity], scale=scale)
    variance = (10 * scale / depth) ** 2
    for antialiased, share in ((False, 1.0), (True, variance / (variance + 0.3))):
        drawn, screen = render_with_screen(
            one, ahead(), engine="reference", antialiased=antialiased, background=torch.tensor([0, 0, 0.5])
        )
        at_center = opacity * share
        one_beside = at_center * math.exp(-0.5 / (variance + 0.3))
        assert drawn.alpha[0, 3, 4].item() == pytest.approx(at_center)
        assert drawn.alpha[0, 3, 5].item() == pytest.approx(one_beside)
        assert drawn.alpha[0, 2, 4].item() == pytest.approx(one_beside)
        assert drawn.images[0, 3, 5].tolist() == pytest.approx([one_beside, 0, 0.5 * (1 - one_beside)])
        assert drawn.depth[0, 3, 5].item() == pytest.approx(depth)
        assert drawn.depth[0, 0, 0].item() == 0
        radius = math.sqrt(2 * math.log(255 * at_center) * (variance + 0.3))
        assert screen.radii_px.item() == pytest.approx(radius)


def test_what_is_smaller_than_a_pixel_fades_when_antialiased_and_else_does_not():
    """From a fifth to a tenth of a pixel: a quarter of the area."""
    for antialiased, share in ((False, 1), (True, 1 / 4)):
        larger, smaller = (
            render(layers([2.0], [0.8], scale=scale), ahead(), engine="reference", antialiased=antialiased)
            for scale in (0.02, 0.01)
        )
        assert smaller.alpha.max() / larger.alpha.max() == pytest.approx(share, rel=0.03)


def test_a_gaussian_lies_where_its_pixel_centre_is():
    shifted = layers([2.0], [0.9], scale=1e-4)
    shifted.means[0, :2] = torch.tensor([-1.0, -2.0]) / 10 * 2  # one pixel to the left, two up
    drawn = render(shifted, ahead(), engine="reference")
    assert divmod(int(drawn.alpha[0].argmax()), 9) == (1, 3)
    assert drawn.alpha[0, 1, 3].item() == pytest.approx(0.9)


def test_only_what_lies_strictly_between_near_and_far_is_drawn():
    three = layers([1.0, 2.0, 3.0], [0.5, 0.5, 0.5], scale=50.0)

    def depths(near: float = 0.01, far: float = 1e10) -> float:
        return float(render(three, ahead(), engine="reference", near=near, far=far).depth[0, 3, 4])

    assert depths() == pytest.approx((0.5 * 1 + 0.25 * 2 + 0.125 * 3) / 0.875)
    assert depths(near=1.5, far=2.5) == pytest.approx(2)
    assert depths(near=1.0, far=3.0) == pytest.approx(2)
    assert depths(near=0.99, far=2.0) == pytest.approx(1)
    assert depths(near=3.0) == 0


@pytest.mark.parametrize(("near", "far"), [(0.0, 1.0), (2.0, 1.0), (1.0, 1.0), (-1.0, 1.0), (math.nan, 1.0)])
def test_an_empty_range_of_depths_is_an_error(near, far):
    with pytest.raises(BridgeError, match="0 < near < far"):
        render(layers([1.0], [0.5]), ahead(), engine="reference", near=near, far=far)


@pytest.mark.parametrize(
    ("opacities", "expected"),
    [((0.6, 0.9), 2.0), ((0.4, 0.4), 3.0), ((0.4, 0.1), 0.0), ((0.5, 0.9), 2.0)],
)
def test_median_depth_of_two_layers_by_hand(opacities, expected):
    gaussians = leaves(layers([2.0, 3.0], list(opacities), scale=1e9))
    median = render(gaussians, ahead(), engine="reference", median_depth=True).depth_median
    assert median is not None
    assert median[0, 3, 4].item() == expected
    median[0, 3, 4].backward()
    assert gaussians.means.grad is not None
    by_depth = [float(expected == 2.0), float(expected == 3.0)]
    assert gaussians.means.grad[:, 2].tolist() == by_depth
    for name in ("quats_wxyz", "log_scales", "opacity_logits", "sh"):
        grad = gaussians.tensors()[name].grad
        assert grad is None or not grad.any()


def test_median_depth_only_when_asked_for():
    assert render(layers([1.0], [0.5]), ahead(), engine="reference").depth_median is None


def test_a_pixel_closes_before_its_transmittance_falls_to_one_in_ten_thousand():
    """Four layers of 0.95: 0.05, 0.0025, 0.000125 are left; the fourth would leave 0.00000625 and is not drawn."""
    four = layers([1.0, 2.0, 3.0, 4.0], [0.95] * 4, scale=1e9)
    drawn = render(four, ahead(), engine="reference")
    assert drawn.alpha[0, 3, 4].item() == pytest.approx(1 - 0.05**3, abs=1e-12)
    thin_after = layers([1.0, 2.0, 3.0, 4.0, 5.0], [0.95] * 4 + [0.1], scale=1e9)
    assert (
        render(thin_after, ahead(), engine="reference").alpha[0, 3, 4].item() == drawn.alpha[0, 3, 4].item()
    )


def test_alpha_is_held_below_one_and_skipped_below_one_in_255():
    opaque = layers([1.0], [0.9999], scale=1e9)
    assert render(opaque, ahead(), engine="reference").alpha[0, 3, 4].item() == pytest.approx(
        0.999, abs=1e-15
    )
    for opacity, alpha in ((1.001 / 255, 1.001 / 255), (0.999 / 255, 0.0)):
        faint = layers([1.0], [opacity], scale=1e9)
        assert render(faint, ahead(), engine="reference").alpha[0, 3, 4].item() == pytest.approx(alpha)


def test_equal_depths_blend_in_the_order_of_the_scene():
    red_first = layers([1.0, 1.0], [0.5, 0.5], scale=1e9)
    drawn = render(red_first, ahead(), engine="reference").images[0, 3, 4]
    assert drawn.tolist() == pytest.approx([0.5, 0.25, 0])
    drawn = render(red_first[torch.tensor([1, 0])], ahead(), engine="reference").images[0, 3, 4]
    assert drawn.tolist() == pytest.approx([0.25, 0.5, 0])


def test_each_camera_draws_as_it_does_alone(few):
    cameras = orbit(3, width=6, height=4)
    together = pictures(few, cameras, style())
    alone = [pictures(few, cameras[i], style()) for i in range(3)]
    for i, parts in enumerate(zip(*alone, strict=True)):
        assert torch.equal(together[i], torch.cat(parts))
