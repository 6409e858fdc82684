"""One iteration in every way of training: autograd's and the compiled engine's agree, number by number."""

import math

import pytest
import torch

from recon.cameras import Cameras, intrinsics, look_at
from recon.clip import Clip
from recon.gaussians import Gaussians
from recon.points import PointCloud
from recon.splats.fit import FitOptions, fit_gaussians
from recon.splats.fitting.dropout import draw_dropout
from recon.splats.mcmc import Mcmc
from recon.splats.native.trainer import GroupedParameters, NativeTrainer
from recon.splats.parameters import LearningRates, Parameters
from recon.splats.pyramid import MIN_SIDE_PX, Pyramid, View
from recon.splats.render import render
from recon.splats.trainer import Exposure, Moment, TorchTrainer

W, H = 40, 32


def scene(g: int, generator: torch.Generator, sh_degree: int = 2) -> Gaussians:
    """Every one of them is seen, so that an Adam on the seen alone is the ordinary one."""
    normal = torch.randn(g, 10, generator=generator)
    return Gaussians(
        means=normal[:, :3] * 0.4,
        quats_wxyz=normal[:, 3:7],
        log_scales=normal[:, 7:] * 0.3 + math.log(0.15),
        opacity_logits=torch.rand(g, generator=generator),
        sh=torch.randn(g, (sh_degree + 1) ** 2, 3, generator=generator) * 0.3,
    )


def cameras(n: int, width: int = W, height: int = H) -> Cameras:
    angle = torch.linspace(-0.3, 0.3, n, dtype=torch.float64)
    eye = 3 * torch.stack([angle.sin(), 0 * angle, -angle.cos()], -1)
    up = torch.tensor([[0.0, -1, 0]], dtype=torch.float64).expand(n, 3)
    K = intrinsics(focal_px=0.9 * width, width=width, height=height, n=n)
    return Cameras(look_at(eye, torch.zeros_like(eye), up), K, width, height)


def views(generator: torch.Generator) -> list[View]:
    shot = cameras(3)
    images = render(scene(60, generator), shot, engine="cpu").images.contiguous()
    weight = torch.rand(3, H, W, generator=generator)
    return [View(images[i], weight[i], shot[i]) for i in range(3)]


@pytest.mark.parametrize("exposed", [False, True])
@pytest.mark.parametrize("antialiased", [False, True])
def test_the_engine_learns_what_autograd_learns(generator, exposed, antialiased):
    start, shots = scene(50, generator), views(generator)
    rates = LearningRates(means=1e-3, means_end=0.1)
    trained = []
    for kind in (TorchTrainer, NativeTrainer):
        exposure = Exposure(3, 1e-2) if exposed else None
        trainer = kind(
            start,
            rates,
            2.0,
            background=(0.1, 0.2, 0.3),
            lambda_dssim=0.2,
            exposure=exposure,
            antialiased=antialiased,
        )
        losses = [
            trainer.step(i % 3, shots[i % 3], Moment(i + 1, i / 30, (i + 1) / 30), i // 10, (1e-4, 2e-4))
            for i in range(30)
        ]
        maps = None if exposure is None else exposure.matrices.detach()
        trained.append((losses, trainer.parameters.gaussians().detach(), trainer.take_sums(), maps))
    (losses, truth, sums, maps), (other_losses, found, other_sums, other_maps) = trained
    assert sum(losses[-3:]) < 0.95 * sum(losses[:3])
    torch.testing.assert_close(torch.tensor(other_losses), torch.tensor(losses), rtol=1e-3, atol=1e-6)
    for name, value in truth.tensors().items():
        moved = (value - start.tensors()[name]).norm()
        assert (found.tensors()[name] - value).norm() < 0.01 * moved, name
    torch.testing.assert_close(other_sums.visits, sums.visits)
    torch.testing.assert_close(other_sums.gradient, sums.gradient, rtol=2e-2, atol=1e-6)
    if maps is not None and other_maps is not None:
        assert (other_maps - maps).norm() < 0.01 * (maps - torch.eye(3, 4)).norm()


def test_both_leave_the_same_gaussians_out_and_learn_alike(generator):
    """With Gaussians of every opacity, such that raised ones meet the cap; one step, because Adams differ after it."""
    start, shots = scene(50, generator), views(generator)
    start = Gaussians(**start.tensors() | {"opacity_logits": torch.randn(50, generator=generator) * 2 + 1})
    dropout = draw_dropout(0.6, 0.9, 50, generator)
    assert dropout is not None
    trained = []
    for kind in (TorchTrainer, NativeTrainer):
        trainer = kind(start, LearningRates(), 2.0, background=(0.1, 0, 0), lambda_dssim=0.2, exposure=None)
        loss = trainer.step(0, shots[0], Moment(1, 0.8, 0.9), 2, (1e-4, 2e-4), dropout)
        trained.append((loss, trainer.parameters.gaussians().detach(), trainer.take_sums()))
    (loss, truth, sums), (other_loss, found, other_sums) = trained
    assert other_loss == pytest.approx(loss, rel=1e-4)
    for name, value in truth.tensors().items():
        moved = (value - start.tensors()[name]).norm()
        assert (found.tensors()[name] - value).norm() < 0.01 * moved, name
        assert torch.equal(value[~dropout.kept], start.tensors()[name][~dropout.kept])
    torch.testing.assert_close(other_sums.visits, dropout.kept.float())
    torch.testing.assert_close(sums.visits, dropout.kept.float())
    torch.testing.assert_close(other_sums.gradient, sums.gradient, rtol=2e-2, atol=1e-6)


def test_what_is_left_out_keeps_values_and_moments(generator):
    start, shots = scene(40, generator), views(generator)
    trainer = NativeTrainer(
        start, LearningRates(), 1.0, background=(0.0, 0, 0), lambda_dssim=0.2, exposure=None
    )
    trainer.step(0, shots[0], Moment(1, 0, 0.1), 2, (1e-3, 1e-3))
    parameters = trainer.parameters
    before = [t.clone() for t in (parameters.values, *parameters.moments)]
    dropout = draw_dropout(0.5, 1.0, 40, generator)
    assert dropout is not None
    assert 0 < dropout.kept.sum() < 40
    trainer.step(1, shots[1], Moment(2, 0.9, 1.0), 2, (1e-3, 1e-3), dropout)
    for old, new in zip(before, (parameters.values, *parameters.moments), strict=True):
        same = (old == new).mT.reshape(-1, parameters.rows)[:40].all(1)
        assert torch.equal(same, ~dropout.kept)


def test_a_picture_stays_about_as_opaque_with_some_left_out(generator):
    """Many faint Gaussians over one another: the mean over draws of what is left out is the picture of all."""
    start = scene(400, generator)
    start = Gaussians(**start.tensors() | {"opacity_logits": torch.full((400,), -3.0)})
    shot = cameras(1)
    whole = render(start, shot, engine="cpu").alpha
    drawn = []
    for _ in range(40):
        dropout = draw_dropout(0.3, 1.0, 400, generator)
        assert dropout is not None
        logits = dropout.change_logits(start.opacity_logits)
        drawn.append(
            render(Gaussians(**start.tensors() | {"opacity_logits": logits}), shot, engine="cpu").alpha
        )
    # a third fewer would else be about a quarter less opaque
    assert torch.stack(drawn).mean() == pytest.approx(float(whole.mean()), rel=0.03)


def test_stores_are_rebuilt_alike(generator):
    start = scene(37, generator)
    stores = [Parameters(start, LearningRates(), 1.0), GroupedParameters(start)]
    source = torch.randint(37, (53,), generator=generator)
    fresh = torch.rand(53, generator=generator) > 0.5
    means = torch.randn(53, 3, generator=generator)
    for store in stores:
        store.replace(source, fresh, {"means": means.clone()})
        store.cap_opacity(0.6)
    first, second = (store.gaussians().detach().tensors() for store in stores)
    for name in first:
        torch.testing.assert_close(first[name], second[name], rtol=0, atol=0)
    assert first["opacity_logits"].sigmoid().max() <= 0.6 + 1e-6
    assert torch.equal(first["means"], means)


def test_what_is_fresh_starts_without_momentum_and_the_rest_keeps_its_own(generator):
    start, shots = scene(40, generator), views(generator)
    trainer = NativeTrainer(
        start, LearningRates(), 1.0, background=(0.0, 0, 0), lambda_dssim=0.2, exposure=None
    )
    trainer.step(0, shots[0], Moment(1, 0, 0.1), 2, (0, 0))
    before = trainer.parameters.moments[0].mT.reshape(-1, trainer.parameters.rows)[:40]
    source, fresh = torch.arange(40).flip(0), torch.arange(40) < 7
    trainer.parameters.replace(source, fresh, {})
    after = trainer.parameters.moments[0].mT.reshape(-1, trainer.parameters.rows)[:40]
    assert before.abs().max() > 0
    assert after[:7].abs().max() == 0
    assert torch.equal(after[7:], before[source][7:])


def test_what_no_camera_sees_keeps_its_values_and_moments(generator):
    start, shots = scene(40, generator), views(generator)
    unseen = torch.arange(40) % 3 == 0
    means = start.means.clone()
    means[unseen, 2] -= 20  # behind all cameras
    trainer = NativeTrainer(
        Gaussians(**start.tensors() | {"means": means}),
        LearningRates(),
        1.0,
        background=(0.0, 0, 0),
        lambda_dssim=0.2,
        exposure=None,
    )
    rows = trainer.parameters.rows
    for moment in trainer.parameters.moments:
        moment.add_(0.5)
    before = trainer.parameters.values.mT.reshape(-1, rows)[:40].clone()
    trainer.step(0, shots[0], Moment(1, 0, 0.1), 2, (1e-3, 1e-3))
    after = trainer.parameters.values.mT.reshape(-1, rows)[:40]
    moments = [m.mT.reshape(-1, rows)[:40] for m in trainer.parameters.moments]
    assert torch.equal(after[unseen], before[unseen])
    assert (after[~unseen] != before[~unseen]).any(1).all()
    for moment in moments:
        assert (moment[unseen] == 0.5).all()
        assert (moment[~unseen] != 0.5).any(1).all()


def test_exploration_moves_the_faint_by_the_stated_spread(generator):
    """Against the covariance that it is drawn from, over many steps from one place."""
    g = 4000
    one = scene(1, generator)
    same = Gaussians(**{k: v.expand(g, *v.shape[1:]).clone() for k, v in one.tensors().items()})
    faint = Gaussians(**same.tensors() | {"opacity_logits": torch.full((g,), -9.0)})
    opaque = Gaussians(**same.tensors() | {"opacity_logits": torch.full((g,), 3.0)})
    moved = []
    for start in (faint, opaque):
        trainer = NativeTrainer(
            start, LearningRates(), 1.0, background=(0.0, 0, 0), lambda_dssim=0, exposure=None
        )
        trainer.explore(2.0, generator)
        moved.append((trainer.parameters.gaussians().means - start.means).double())
    from recon.splats.engines.reference import rotation_matrices

    axes = (rotation_matrices(one.quats_wxyz) * one.log_scales.exp()[:, None])[0].double()
    covariance = axes @ axes.T
    freedom = 2.0 / (1 + math.exp(-100 * (0.005 - torch.sigmoid(torch.tensor(-9.0)).item())))
    expected = freedom**2 * covariance @ covariance
    found = moved[0].T @ moved[0] / g
    assert (found - expected).norm() < 0.1 * expected.norm()
    assert moved[0].mean(0).norm() < 0.1 * expected.trace().sqrt()
    assert moved[1].abs().max() == 0


def test_a_pyramid_halves_pictures_cameras_and_weights(generator):
    size = 2 * MIN_SIDE_PX + 1
    images = torch.rand(2, size, size + 4, 3, generator=generator)
    confidence = torch.ones(2, size, size + 4)
    confidence[0, :40] = 0
    images[0, :40] = 77.0  # of no weight: may be anything
    clip = Clip(images, cameras(2, size + 4, size), confidence=confidence)
    pyramid = Pyramid(clip, levels=5)
    assert len(pyramid) == 2  # a third would be too small
    whole, half = pyramid.view(0, 0), pyramid.view(0, 1)
    assert whole.image.data_ptr() == clip.images.data_ptr()
    assert half.image.shape == (-(-size // 2), -(-(size + 4) // 2), 3)
    assert half.image.max() <= 1
    assert half.weight is not None
    assert half.weight[:19].max() == 0
    assert half.weight[21:].min() == 1
    assert pyramid.view(1, 4).image.shape == half.image.shape
    fov = [v.camera.width / v.camera.K[0, 0, 0] for v in (whole, half)]
    assert fov[0] == pytest.approx(float(fov[1]))


def test_a_budget_of_cpu_time_is_kept_and_watched(generator):
    shots = views(generator)
    clip = Clip(torch.stack([v.image for v in shots]), cameras(3))
    points = PointCloud(scene(80, generator).means.double(), torch.rand(80, 3), torch.zeros(80).double())
    looks = []
    options = FitOptions(cpu_seconds=1.0, sh_degree=1, cap=200, device="cpu", backdrop=0)
    result = fit_gaussians(
        clip,
        points,
        options=options,
        generator=generator,
        watch=lambda iteration, spent, found: looks.append((iteration, spent, len(found))),
        watch_at=(0.5, 0.25),
    )
    assert 1.0 <= result.cpu_seconds < 1.5
    spent = [seconds for _, seconds, _ in looks]
    assert 0.25 < spent[0] < 0.5 < spent[1] < 0.75  # what was spent, not what was asked for
    assert 0 < looks[0][0] < looks[1][0] < result.iterations
    assert result.losses[-1] < result.losses[0]


def test_mcmc_trains_and_grows_to_the_cap(generator):
    shots = views(generator)
    clip = Clip(torch.stack([v.image for v in shots]), cameras(3))
    points = PointCloud(scene(80, generator).means.double(), torch.rand(80, 3), torch.zeros(80).double())
    options = FitOptions(iterations=500, sh_degree=1, cap=150, device="cpu", backdrop=0, density=Mcmc())
    result = fit_gaussians(clip, points, options=options, generator=generator)
    assert len(result.gaussians) == 150
    assert result.gaussians.means.norm(dim=-1).median() < 3
    assert result.losses[-1] < 0.5 * result.losses[0]
