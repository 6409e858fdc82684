"""Who is cloned, split, pruned, relocated or added: against what the papers say, on scenes made for it."""

import math
from dataclasses import replace

import pytest
import torch

from recon.cameras import Cameras, intrinsics, look_at
from recon.errors import BridgeError
from recon.gaussians import Gaussians, morton_order
from recon.splats.density import SPLIT_SHRINK, Density, DensityControl
from recon.splats.engines.reference import rotation_matrices
from recon.splats.mcmc import Mcmc, McmcControl, explore, split_into_copies
from recon.splats.parameters import LearningRates, Parameters
from recon.splats.render import render

EVERYWHERE = math.inf
"""A growth that only the cap bounds."""


def scene(
    g: int, *, opacity: torch.Tensor | float = 0.5, size: torch.Tensor | float = 0.02, seed: int = 0
) -> Gaussians:
    """Isotropic Gaussians at random places, told apart by their colour: Gaussian i has sh[0, 0] = i."""
    generator = torch.Generator().manual_seed(seed)
    sh = torch.zeros(g, 4, 3)
    sh[:, 0, 0] = torch.arange(g)
    return Gaussians(
        means=torch.rand(g, 3, generator=generator) * 10,
        quats_wxyz=torch.randn(g, 4, generator=generator),
        log_scales=torch.as_tensor(size).expand(g).log()[:, None].repeat(1, 3),
        opacity_logits=torch.as_tensor(opacity).expand(g).logit(),
        sh=sh,
    )


class Store:
    """Parameters as a strategy sees them: the scene, and which of it has momentum."""

    def __init__(self, gaussians: Gaussians) -> None:
        self._gaussians = gaussians
        self.moving = torch.ones(len(gaussians), dtype=torch.bool)

    def gaussians(self) -> Gaussians:
        return self._gaussians

    def replace(self, source: torch.Tensor, fresh: torch.Tensor, edits: dict[str, torch.Tensor]) -> None:
        self._gaussians = replace(self._gaussians[source], **edits)
        self.moving = self.moving[source] & ~fresh

    def cap_opacity(self, most: float) -> None:
        logits = self._gaussians.opacity_logits.clamp_max(math.log(most / (1 - most)))
        self._gaussians = replace(self._gaussians, opacity_logits=logits)


def identities(gaussians: Gaussians) -> torch.Tensor:
    """Which of the first scene's Gaussians each is, or is a copy of."""
    return gaussians.sh[:, 0, 0].long()


def density_control(g: int, density: Density, *, cap: int = 10_000, extent: float = 1.0) -> DensityControl:
    return DensityControl(density, cap=cap, extent=extent, g=g, device=torch.device("cpu"))


def densified(
    gaussians: Gaussians, density: Density, gradient: torch.Tensor, *, cap: int = 10_000, seed: int = 0
) -> Store:
    """After one round, with the mean gradients given."""
    parameters, control = Store(gaussians), density_control(len(gaussians), density, cap=cap)
    control.observe_sums(4 * gradient, torch.full_like(gradient, 4))
    control.apply(parameters, torch.Generator().manual_seed(seed))
    return parameters


def relocated_scene(
    gaussians: Gaussians, *, cap: int = 10_000, seed: int = 0, options: Mcmc | None = None
) -> Store:
    """After one round of relocation and growth."""
    parameters = Store(gaussians)
    control = McmcControl(options or Mcmc(), cap=cap, extent=1.0)
    control.apply(parameters, torch.Generator().manual_seed(seed))
    return parameters


# 3DGS


def test_small_ones_are_cloned_and_large_ones_split_where_the_gradient_is_large() -> None:
    size = torch.tensor([0.005, 0.005, 0.02, 0.02])
    gradient = torch.tensor([1e-4, 3e-4, 1e-4, 3e-4])
    before = scene(4, size=size)
    after = densified(before, Density(growth=EVERYWHERE), gradient).gaussians()
    who = identities(after)
    assert torch.bincount(who).tolist() == [1, 2, 1, 2]
    assert (after.means[who != 3] == before.means[who[who != 3]]).all()
    scale = torch.where(who == 3, 0.02 / SPLIT_SHRINK, size[who])
    torch.testing.assert_close(after.log_scales.exp(), scale[:, None].expand(-1, 3))
    for name in ("quats_wxyz", "sh"):
        assert (after.tensors()[name] == before.tensors()[name][who]).all()
    kept = who != 1
    assert (after.opacity_logits[kept] == before.opacity_logits[who[kept]]).all()


def test_a_gaussian_and_its_clone_look_as_one_did() -> None:
    before, gradient = scene(2, size=torch.full((2,), 0.005)), torch.tensor([0.0, 3e-4])
    after = densified(before, Density(growth=EVERYWHERE), gradient).gaussians()
    two = after.opacity_logits[identities(after) == 1].sigmoid()
    assert len(two) == 2
    torch.testing.assert_close(1 - (1 - two).prod(), before.opacity_logits[1].sigmoid())
    published = Density(growth=EVERYWHERE, share_opacity=False)
    after = densified(before, published, gradient).gaussians()
    assert (after.opacity_logits == before.opacity_logits[identities(after)]).all()


def test_halves_lie_inside_what_was_split_along_its_axes() -> None:
    g = 2000
    before = replace(scene(g), log_scales=torch.tensor([0.5, 0.1, 0.02]).log().repeat(g, 1))
    after = densified(before, Density(growth=EVERYWHERE), torch.ones(g)).gaussians()
    who = identities(after)
    assert torch.bincount(who, minlength=g).tolist() == [2] * g
    to_axes = rotation_matrices(before.quats_wxyz).mT[who]
    offset = (to_axes @ (after.means - before.means[who])[..., None])[..., 0] / before.log_scales.exp()[who]
    assert offset.norm(dim=-1).max() < 6  # standard deviations
    assert (offset.std(0) - 1).abs().max() < 0.05
    assert offset.mean(0).abs().max() < 0.05


def test_only_the_worst_are_densified_where_growth_or_the_cap_bound_it() -> None:
    g = 100
    gradient = 3e-4 + 1e-6 * torch.randperm(g, generator=torch.Generator().manual_seed(1))
    worst = set(torch.argsort(gradient, descending=True)[:8].tolist())
    for density, cap in ((Density(growth=0.08), 10_000), (Density(growth=EVERYWHERE), 108)):
        after = densified(scene(g), density, gradient, cap=cap).gaussians()
        assert len(after) == 108
        count = torch.bincount(identities(after), minlength=g)
        assert set(torch.nonzero(count == 2)[:, 0].tolist()) == worst
    assert len(densified(scene(g), Density(growth=EVERYWHERE), gradient, cap=g).gaussians()) == g


def test_the_mean_is_over_the_pictures_that_showed_it() -> None:
    control = density_control(2, Density(growth=EVERYWHERE))
    control.observe_sums(torch.tensor([9e-4, 9e-4]), torch.tensor([3.0, 6.0]))  # means 3e-4 and 1.5e-4
    parameters = Store(scene(2))
    control.apply(parameters, torch.Generator().manual_seed(0))
    assert torch.bincount(identities(parameters.gaussians())).tolist() == [2, 1]
    control.apply(parameters, torch.Generator().manual_seed(0))  # the sums were used up
    assert len(parameters.gaussians()) == 3


def test_the_faint_are_pruned_unless_all_are() -> None:
    opacity = torch.tensor([0.004, 0.006, 0.9])
    still = torch.zeros(3)
    assert sorted(identities(densified(scene(3, opacity=opacity), Density(), still).gaussians())) == [1, 2]
    assert len(densified(scene(3, opacity=0.004), Density(), still).gaussians()) == 3


def test_the_large_are_pruned_unless_a_split_brings_them_below() -> None:
    size = torch.tensor([0.05, 0.12, 0.12, 0.2])
    gradient = torch.tensor([0, 0, 1.0, 1.0])
    density = Density(growth=EVERYWHERE, prune_above=0.1)
    who = identities(densified(scene(4, size=size), density, gradient).gaussians())
    assert sorted(who.tolist()) == [0, 2, 2]  # 0.12 / 1.6 < 0.1 < 0.2 / 1.6
    assert len(densified(scene(4, size=size), Density(), torch.zeros(4)).gaussians()) == 4


def test_what_covers_the_screen_is_pruned_by_the_largest_radius_seen() -> None:
    density = Density(prune_screen=0.15)
    control, parameters = density_control(3, density), Store(scene(3))
    none = torch.zeros(3)
    control.observe_sums(none, none, torch.tensor([0.1, 0.2, 0.1]))
    control.observe_sums(none, none, torch.tensor([0.1, 0.1, 0.1]))
    control.apply(parameters, torch.Generator().manual_seed(0))
    assert sorted(identities(parameters.gaussians()).tolist()) == [0, 2]
    control.apply(parameters, torch.Generator().manual_seed(0))  # radii were forgotten
    assert len(parameters.gaussians()) == 2
    with pytest.raises(BridgeError, match="prune_screen"):
        control.observe_sums(none[:2], none[:2])


def test_size_is_judged_after_the_first_opacity_reset_where_there_are_any() -> None:
    density = Density(prune_above=0.1, opacity_reset=0.1)
    control, parameters = density_control(2, density), Store(scene(2, size=torch.tensor([0.05, 0.2])))
    control.apply(parameters, torch.Generator().manual_seed(0))
    assert len(parameters.gaussians()) == 2
    control.reset(parameters)
    assert float(parameters.gaussians().opacity_logits.sigmoid().max()) == pytest.approx(0.01)
    control.apply(parameters, torch.Generator().manual_seed(0))
    assert identities(parameters.gaussians()).tolist() == [0]


def test_the_published_schedule() -> None:
    control = DensityControl(Density.from_paper(), cap=1, extent=1.0, g=1, device=torch.device("cpu"))
    n = 30_000
    iterations = range(1, n + 1)
    assert [i for i in iterations if control.due((i - 1) / n, i / n)] == list(range(600, 15_000, 100))
    assert [i for i in iterations if control.reset_due((i - 1) / n, i / n)] == [3000, 6000, 9000, 12_000]


def test_what_a_round_of_densification_makes_starts_without_momentum() -> None:
    size = torch.tensor([0.005, 0.005, 0.02])
    parameters = densified(scene(3, size=size), Density(growth=EVERYWHERE), torch.tensor([0.0, 1.0, 1.0]))
    who, moving = identities(parameters.gaussians()), parameters.moving
    assert [int(moving[who == i].sum()) for i in range(3)] == [1, 1, 0]  # of a split neither half moves


# MCMC


def one_at_the_middle(opacity: torch.Tensor, scale: torch.Tensor) -> Gaussians:
    """White Gaussians at one place."""
    g = len(opacity)
    return Gaussians(
        means=torch.zeros(g, 3, dtype=torch.float64),
        quats_wxyz=torch.tensor([1.0, 0, 0, 0], dtype=torch.float64).repeat(g, 1),
        log_scales=scale.log(),
        opacity_logits=opacity.logit(),
        sh=torch.full((g, 1, 3), 1.7, dtype=torch.float64),
    )


@pytest.mark.parametrize("copies", [2, 3, 5])
@pytest.mark.parametrize("opacity", [0.3, 0.8, 0.97])
def test_a_stack_of_copies_looks_as_the_one_did(opacity: float, copies: int) -> None:
    """The same at the centre, and close around it: closer than with the opacity shared but not the scale."""
    width = height = 41
    eye = torch.tensor([[0, 0, -4.0]], dtype=torch.float64)
    pose = look_at(eye, torch.zeros_like(eye), torch.tensor([[0, -1.0, 0]], dtype=torch.float64))
    camera = Cameras(pose, intrinsics(focal_px=60.0, width=width, height=height, n=1), width, height)

    def picture(opacity: torch.Tensor, scale: torch.Tensor, number: int) -> torch.Tensor:
        stack = one_at_the_middle(opacity.repeat(number), scale.repeat(number, 1))
        return render(stack, camera, engine="reference").images[0]

    o = torch.tensor([opacity], dtype=torch.float64)
    s = torch.tensor([[0.4, 0.25, 0.3]], dtype=torch.float64)
    a, t = split_into_copies(o, s, torch.tensor([copies]))
    one = picture(o, s, 1)
    wrong, wrong_unscaled = (one - picture(a, scale, copies) for scale in (t, s))
    assert wrong[height // 2, width // 2].abs().max() < 1e-6
    assert wrong.abs().max() < 0.11
    assert wrong.abs().mean() < 0.7 * wrong_unscaled.abs().mean()


@pytest.mark.parametrize("opacity", [1e-4, 0.2, 0.9, 0.999])
def test_relocation_keeps_the_integral_along_a_line(opacity: float) -> None:
    """By quadrature, for numbers of copies far past any table of binomials."""
    x = torch.linspace(-12, 12, 20_001, dtype=torch.float64)
    o, one = torch.tensor([opacity], dtype=torch.float64), torch.ones(1, 3, dtype=torch.float64)
    for copies in (1, 2, 7, 51, 1000, 100_000):
        a, s = split_into_copies(o, one, torch.tensor([copies]))
        covered = -torch.expm1(copies * torch.log1p(-a * torch.exp(-0.5 * (x / s[0, 0]) ** 2)))
        assert float(torch.trapezoid(covered, x)) == pytest.approx(opacity * math.sqrt(2 * math.pi), rel=1e-9)
        assert float(-torch.expm1(copies * torch.log1p(-a))) == pytest.approx(opacity, rel=1e-9)


def test_relocation_against_the_paper_s_double_sum() -> None:
    o, s = torch.rand(2, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    n = torch.arange(50) % 10 + 1
    a, t = split_into_copies(o, s[:, None] * torch.tensor([1.0, 2, 3]).double(), n)
    for i in range(50):
        total = sum(
            math.comb(m - 1, k) * (-1) ** k / math.sqrt(k + 1) * float(a[i]) ** (k + 1)
            for m in range(1, int(n[i]) + 1)
            for k in range(m)
        )
        expected = float(s[i] * o[i]) / total
        assert t[i].tolist() == pytest.approx([expected, 2 * expected, 3 * expected], rel=1e-9)
    torch.testing.assert_close(a[n == 1], o[n == 1])
    opaque, _ = split_into_copies(torch.ones(1), torch.ones(1, 3), torch.tensor([2]))
    assert 0.9 < float(opaque) < 1


def test_the_dead_go_and_the_count_grows_by_its_share() -> None:
    opacity = torch.full((200,), 0.5)
    opacity[::4] = 0.004
    before = scene(200, opacity=opacity)
    after = relocated_scene(before).gaussians()
    who = identities(after)
    assert len(after) == 210
    assert (who % 4 != 0).all()
    assert set(who.tolist()) == {i for i in range(200) if i % 4}
    assert (after.means == before.means[who]).all()
    assert len(relocated_scene(before, options=Mcmc(growth=0.2)).gaussians()) == 240


def test_copies_share_the_opacity_and_scale_of_their_number() -> None:
    before = scene(60, opacity=torch.linspace(0.001, 0.95, 60))
    after = relocated_scene(before, options=Mcmc(growth=1.0)).gaussians()
    who = identities(after)
    copies = torch.bincount(who, minlength=60)
    opacity, scale = split_into_copies(
        before.opacity_logits.sigmoid(), before.log_scales.exp(), copies.clamp_min(1)
    )
    torch.testing.assert_close(after.opacity_logits.sigmoid().double(), opacity[who].clamp_min(0.005))
    torch.testing.assert_close(after.log_scales.exp().double(), scale[who])
    single = copies[who] == 1
    assert single.any()
    assert (after.opacity_logits[single] == before.opacity_logits[who[single]]).all()


def test_rounds_of_relocation_end_at_the_cap_and_stay_there() -> None:
    parameters = Store(scene(50, opacity=torch.linspace(0.001, 0.99, 50)))
    control = McmcControl(Mcmc(growth=0.3), cap=117, extent=1.0)
    generator, counts = torch.Generator().manual_seed(0), []
    for _ in range(8):
        control.apply(parameters, generator)
        counts.append(len(parameters.gaussians()))
    assert counts == [65, 85, 111, 117, 117, 117, 117, 117]


def test_where_all_are_dead_the_count_still_grows() -> None:
    assert len(relocated_scene(scene(40, opacity=0.001)).gaussians()) == 42
    after = relocated_scene(replace(scene(40), opacity_logits=torch.tensor([math.nan] + [0.0] * 39)))
    assert after.gaussians().opacity_logits.isfinite().all()


def test_what_is_drawn_follows_opacity() -> None:
    g = 20
    opacity = torch.linspace(0.02, 0.9, g)
    opacity[3] = 0.001  # never drawn
    after = relocated_scene(scene(g, opacity=opacity), cap=100_000, options=Mcmc(growth=2000.0))
    drawn = (torch.bincount(identities(after.gaussians()), minlength=g) - 1).clamp_min(0)
    assert drawn[3] == 0
    opacity[3] = 0
    expected = int(drawn.sum()) * opacity / opacity.sum()
    spread = (expected * (1 - expected / drawn.sum())).sqrt()
    assert ((drawn - expected).abs() <= 4.5 * spread).all()
    assert ((drawn - expected) ** 2 / expected.clamp_min(1)).sum() < 45  # χ² of 18 degrees: 99.96 %


def test_what_relocation_touches_starts_without_momentum() -> None:
    parameters = relocated_scene(scene(100, opacity=torch.linspace(0.001, 0.9, 100)))
    who, moving = identities(parameters.gaussians()), parameters.moving
    copies = torch.bincount(who, minlength=100)[who]
    assert (copies > 1).any()
    assert torch.equal(moving, copies == 1)


def test_no_resets_and_its_own_times() -> None:
    control = McmcControl(Mcmc(start=0.1, stop=0.3, every=0.05), cap=1, extent=1.0)
    assert [i for i in range(1, 101) if control.due((i - 1) / 100, i / 100)] == [10, 15, 20, 25, 30]
    assert not any(control.reset_due((i - 1) / 100, i / 100) for i in range(1, 101))


def test_penalties_are_on_means_in_extents_and_their_weights_on_sums() -> None:
    size = 2.5  # the same picture at another scale costs the same
    gaussians = scene(8, opacity=torch.linspace(0.1, 0.9, 8), size=0.3 * size)
    control = McmcControl(Mcmc(opacity_regularisation=0.02, scale_regularisation=0.5), cap=8, extent=size)
    opacity, scale = control.penalty_weights(8)
    total = opacity * gaussians.opacity_logits.sigmoid().sum() + scale * gaussians.log_scales.exp().sum()
    assert float(total) == pytest.approx(0.02 * 0.5 + 0.5 * 0.3, rel=1e-5)


def test_exploration_spreads_along_the_covariance_of_the_faint() -> None:
    g, rate = 20_000, 1e-5
    shape = torch.tensor([0.5, 0.1, 0.02])
    faint = replace(scene(g, opacity=0.005), log_scales=shape.log().repeat(g, 1))
    strength = McmcControl(Mcmc(noise=5e5), cap=1, extent=1.0).explore_strength(rate)
    assert strength == pytest.approx(5.0)
    step = explore(faint, strength, torch.Generator().manual_seed(0))
    along = (rotation_matrices(faint.quats_wxyz).mT @ step[..., None])[..., 0]
    torch.testing.assert_close(along.std(0), 0.5 * strength * shape**2, rtol=0.03, atol=0)
    assert (along.mean(0) / along.std(0)).abs().max() < 0.03
    opaque = replace(faint, opacity_logits=torch.full((g,), 0.2).logit())
    assert explore(opaque, strength, torch.Generator().manual_seed(0)).norm() < 1e-7 * step.norm()


def test_exploration_moves_a_scene_of_any_size_alike() -> None:
    steps = []
    for size in (1.0, 8.0):
        gaussians = scene(10, opacity=0.005, size=0.02 * size)
        strength = McmcControl(Mcmc(), cap=1, extent=size).explore_strength(1e-4 * size)
        steps.append(explore(gaussians, strength, torch.Generator().manual_seed(0)) / size)
    torch.testing.assert_close(steps[0], steps[1])


# Both


@pytest.mark.parametrize("strategy", ["3dgs", "mcmc"])
def test_in_a_real_training_only_what_is_kept_goes_on_moving(strategy: str) -> None:
    parameters = Parameters(scene(30, opacity=torch.linspace(0.1, 0.9, 30)), LearningRates(), extent=1.0)
    parameters.gaussians().means.sum().backward()
    parameters.step(0.0, 1)
    if strategy == "mcmc":
        control = McmcControl(Mcmc(growth=0.2), cap=100, extent=1.0)
    else:
        control = density_control(30, Density(growth=0.2, split_above=1.0))
        control.observe_sums(torch.ones(30), torch.ones(30))
    control.apply(parameters, torch.Generator().manual_seed(0))
    before = parameters.gaussians().means.detach().clone()
    parameters.step(0.0, 2)  # no gradient: what moves does so by momentum
    after = parameters.gaussians().detach()
    moved = (after.means != before).any(-1)
    copies = torch.bincount(identities(after))[identities(after)]
    assert len(after) == 36
    assert moved[copies == 1].all()
    assert int(moved[copies > 1].sum()) == (
        0 if strategy == "mcmc" else 6
    )  # a clone is at rest, its original not


@pytest.mark.parametrize("strategy", ["3dgs", "mcmc"])
def test_same_seed_same_bits_and_neighbours_next_to_each_other(strategy: str) -> None:
    opacity = torch.rand(300, generator=torch.Generator().manual_seed(5))

    def run(seed: int) -> Gaussians:
        if strategy == "mcmc":
            return relocated_scene(scene(300, opacity=opacity), seed=seed).gaussians()
        return densified(scene(300, opacity=opacity), Density(growth=0.5), opacity, seed=seed).gaussians()

    first, again, other = run(0), run(0), run(1)
    assert all(torch.equal(value, again.tensors()[name]) for name, value in first.tensors().items())
    assert len(first) != len(other) or not torch.equal(first.means, other.means)
    assert morton_order(first.means).tolist() == list(range(len(first)))
