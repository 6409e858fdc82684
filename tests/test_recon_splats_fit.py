"""Training on a small synthetic scene: it learns, is bounded, repeatable, and minds its weights."""

import math
from collections.abc import Iterator
from dataclasses import replace

import jaxtyping
import pytest
import torch

from recon.cameras import Cameras, intrinsics, look_at
from recon.clip import Clip
from recon.compute.progress import Reporter, use_reporter
from recon.errors import BridgeError, CaptureError, ReconstructionError
from recon.gaussians import Gaussians
from recon.points import PointCloud
from recon.splats.density import Density
from recon.splats.fit import FitOptions, fit_gaussians
from recon.splats.mcmc import Mcmc
from recon.splats.native import loading
from recon.splats.pyramid import MIN_SIDE_PX, Pyramid
from recon.splats.render import render
from recon.splats.start import focus_point, random_points

W, H = 48, 40
OPTIONS = FitOptions(iterations=120, sh_degree=1, cap=900, device="cpu")


@pytest.fixture(scope="module")
def truth() -> Gaussians:
    """A bent sheet of coloured blobs."""
    g = torch.Generator().manual_seed(3)
    x, y = (torch.rand(2, 200, generator=g) * 2 - 1) * 1.2
    return Gaussians(
        means=torch.stack([x, y, 0.3 * (2 * x).sin() * y.cos()], -1),
        quats_wxyz=torch.randn(200, 4, generator=g),
        log_scales=torch.randn(200, 3, generator=g) * 0.3 + math.log(0.12),
        opacity_logits=torch.full((200,), 2.0),
        sh=torch.randn(200, 1, 3, generator=g),
    )


@pytest.fixture(scope="module")
def clip(truth) -> Clip:
    angle = torch.linspace(-0.6, 0.6, 6, dtype=torch.float64)
    eye = 3 * torch.stack([angle.sin(), 0.3 * (3 * angle).cos(), -angle.cos()], -1)
    up = torch.tensor([[0.0, -1, 0]], dtype=torch.float64).expand(6, 3)
    pose = look_at(eye, torch.zeros_like(eye), up)
    cameras = Cameras(pose, intrinsics(focal_px=50.0, width=W, height=H, n=6), W, H)
    return Clip(render(truth, cameras, engine="cpu").images.clamp(0, 1), cameras)


@pytest.fixture(scope="module")
def points(truth) -> PointCloud:
    return PointCloud(truth.means.double()[::2], torch.full((100, 3), 0.5), torch.zeros(100).double())


def fit(clip: Clip, points: PointCloud, *, seed: int = 0, options: FitOptions = OPTIONS, **changes):
    generator = torch.Generator().manual_seed(seed)
    return fit_gaussians(clip, points, options=replace(options, **changes), generator=generator)


@pytest.fixture
def shapes_unchecked() -> Iterator[None]:
    """As outside of tests."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def psnr(gaussians: Gaussians, clip: Clip) -> float:
    drawn = render(gaussians, clip.require_cameras(), engine="cpu").images
    return float(-10 * ((drawn - clip.images) ** 2).mean().log10())


def test_it_learns_views_it_never_saw(clip, points):
    result = fit(clip[[0, 1, 3, 5]], points, iterations=400)
    before = fit(clip[[0, 1, 3, 5]], points, iterations=1)
    assert psnr(result.gaussians, clip[[2, 4]]) > max(22.0, psnr(before.gaussians, clip[[2, 4]]) + 5)
    assert result.losses[-1] < 0.3 * result.losses[0]
    assert len(points) < len(result.gaussians) <= result.peak_count <= OPTIONS.cap


def test_a_plain_wall_behind_is_left_to_the_backdrop(clip, truth, points):
    """Without one, each view hangs its own copy of the wall close before its camera."""
    white = render(truth, clip.require_cameras(), engine="cpu", background=torch.ones(3)).images.clamp(0, 1)
    held_out = clip.require_cameras()[[1, 4]]
    wall = render(truth, held_out, engine="cpu").alpha < 0.01
    depths = []
    for count in (500, 0):
        seen = replace(clip[[0, 2, 3, 5]], images=white[[0, 2, 3, 5]])
        scene = fit(seen, points, backdrop=count, cap=2000).gaussians
        depths.append(float(render(scene, held_out, engine="cpu").depth[wall].median()))
    assert depths[0] > 7  # the scene ends before 5
    assert depths[1] < 4


def test_the_cap_is_never_passed(clip, points):
    result = fit(clip, points, cap=130)
    assert result.peak_count <= 130
    assert fit(clip, points, cap=40, iterations=3).peak_count <= 40


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_same_seed_same_bits_for_any_number_of_threads(clip, points, dropout):
    threads, found = torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            found.append(fit(clip, points, dropout=dropout).gaussians.tensors())
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
    other = fit(clip, points, seed=1, dropout=dropout).gaussians
    assert len(other) != len(found[0]["means"]) or not torch.equal(other.means, found[0]["means"])


def test_a_poisoned_region_of_weight_zero_changes_nothing(clip, points):
    confidence = torch.ones(6, H, W)
    confidence[:, 5:20, 10:30] = 0
    poisoned = clip.images.clone()
    poisoned[:, 5:20, 10:30] = torch.tensor([1.0, 0, 1])
    clean = fit(replace(clip, confidence=confidence), points, iterations=60)
    other = fit(replace(clip, images=poisoned, confidence=confidence), points, iterations=60)
    assert all(torch.equal(v, other.gaussians.tensors()[k]) for k, v in clean.gaussians.tensors().items())


def test_an_image_of_low_weight_counts_less(clip, points):
    """Two images from one place contradict each other; the scene sides with the one that weighs more."""
    both = Clip.concatenate([clip[0], replace(clip[0], images=1 - clip[0].images, names=("negative",))])
    errors = []
    for weight in (1.0, 0.05):
        confidence = torch.ones(2, H, W)
        confidence[1] = weight
        result = fit(replace(both, confidence=confidence), points, iterations=200, lambda_dssim=0.0)
        errors.append(psnr(result.gaussians, both[0]))
    assert errors[1] > errors[0] + 3


def test_exposure_is_taken_off_the_scene(clip, points):
    gains = torch.tensor([1.0, 0.8, 1.0, 0.8, 1.0, 0.8])
    dimmed = replace(clip, images=clip.images * gains[:, None, None, None])
    result = fit(dimmed, points, exposure_compensation=True, iterations=300)
    assert result.exposure is not None
    found = result.exposure[:, :, :3].diagonal(dim1=1, dim2=2).mean(1)
    assert found[1::2].mean() < found[::2].mean() - 0.05


def test_without_points_it_starts_from_what_the_cameras_share(clip):
    result = fit(clip, PointCloud.empty(), start_points=500, iterations=200)
    assert psnr(result.gaussians, clip) > 17
    cloud = random_points(clip, 300, torch.Generator().manual_seed(0))
    assert len(cloud) == 300
    assert focus_point(clip.require_cameras()).norm() < 0.2


@pytest.mark.parametrize("count", [1, 2])
def test_one_photo_or_one_point_is_enough_to_run(clip, count):
    one = PointCloud(torch.zeros(1, 3).double(), torch.ones(1, 3), torch.zeros(1).double())
    result = fit(clip[list(range(count))], one, iterations=30, few_points=0)
    assert all(v.isfinite().all() for v in result.gaussians.tensors().values())


def test_progress_tells_loss_and_count(clip, points):
    notes = []

    class Bar(Reporter):
        def start(self, description, total):
            return lambda done, note: notes.append((done, note))

        def finish(self, description, ended=""):
            notes.append("end")

    with use_reporter(Bar()):
        fit(clip, points, iterations=10)
    assert notes[-1] == "end"
    assert notes[-2][0] == 10
    assert "loss" in notes[-2][1]
    assert "Gaussians" in notes[-2][1]


def test_bad_input_is_named(clip, points):
    with pytest.raises(CaptureError, match="cameras"):
        fit(replace(clip, cameras=None), points)
    with pytest.raises(BridgeError, match="sh_degree"):
        fit(clip, points, sh_degree=5)
    with pytest.raises(BridgeError, match="dropout"):
        fit(clip, points, dropout=1.0)
    with pytest.raises(BridgeError, match="iteration"):
        fit(clip, points, iterations=0)
    with pytest.raises(ReconstructionError, match="start from"):
        fit(clip, PointCloud.empty(), few_points=0, backdrop=0)
    with pytest.raises(ReconstructionError, match="diverged"):
        fit(replace(clip, images=clip.images * torch.nan), points, iterations=5)


@pytest.mark.usefixtures("shapes_unchecked")
def test_pictures_and_weights_of_other_shapes_are_named(clip, points):
    with pytest.raises(CaptureError, match=f"n x h x w x 3.* got 6 x {H} x {W} x 4"):
        fit(replace(clip, images=torch.ones(6, H, W, 4)), points)
    with pytest.raises(CaptureError, match=f"n x h x w x 3.* got 6 x {H} x {W} x 1"):
        fit(replace(clip, images=clip.images[..., :1]), points)
    for shape in ((6, H, W, 1), (6, H - 1, W), (6, 1, 1), (6,)):
        got = " x ".join(map(str, shape))
        with pytest.raises(CaptureError, match=f"confidence.* 6 x {H} x {W}, got {got}$"):
            fit(replace(clip, confidence=torch.ones(shape)), points)


@pytest.mark.usefixtures("shapes_unchecked")
def test_pictures_may_have_any_layout_and_dtype(clip, points):
    confidence = torch.ones(6, H, W)
    confidence[:, 5:20, 10:30] = 0
    plain = replace(clip, confidence=confidence)
    strided = replace(
        plain,
        images=clip.images.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1),
        confidence=confidence.mT.contiguous().mT,
    )
    wide = replace(plain, images=clip.images.double(), confidence=confidence.double())
    sure = replace(plain, confidence=confidence > 0)
    expected = fit(plain, points, iterations=20).gaussians.tensors()
    for other in (strided, wide, sure):
        found = fit(other, points, iterations=20).gaussians.tensors()
        assert all(torch.equal(found[name], value) for name, value in expected.items())


@pytest.mark.usefixtures("shapes_unchecked")
def test_a_pyramid_makes_any_layout_and_dtype_dense(clip, generator):
    size = 2 * MIN_SIDE_PX
    images = torch.rand(6, 3, size, size, generator=generator, dtype=torch.float64).permute(0, 2, 3, 1)
    sure = torch.rand(6, size, size, generator=generator) > 0.5
    cameras = replace(clip.require_cameras(), width=size, height=size)
    pyramid = Pyramid(Clip(images, cameras, confidence=sure), levels=2)
    plain = Pyramid(Clip(images.float().contiguous(), cameras, confidence=sure.float()), levels=2)
    assert len(pyramid) == 2
    for level in range(2):
        found, expected = pyramid.view(3, level), plain.view(3, level)
        assert found.weight is not None
        assert expected.weight is not None
        for part, other in ((found.image, expected.image), (found.weight, expected.weight)):
            assert part.dtype == torch.float32
            assert part.is_contiguous()
            assert torch.equal(part, other)


@pytest.mark.parametrize("bad", [0.0, -0.1, math.nan])
@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("sh_degree_every", lambda bad: {"sh_degree_every": bad}),
        ("Density.every", lambda bad: {"density": Density(every=bad)}),
        ("Density.opacity_reset", lambda bad: {"density": Density(opacity_reset=bad)}),
        ("Mcmc.every", lambda bad: {"density": Mcmc(every=bad)}),
    ],
    ids=["sh_degree_every", "density", "opacity_reset", "mcmc"],
)
def test_an_interval_that_is_none_is_named(clip, points, name, changes, bad):
    with pytest.raises(BridgeError, match=f"{name} .*, got {bad}$"):
        fit(clip, points, **changes(bad))


@pytest.mark.parametrize(
    "doublings", [(0.0,), (1.0,), (-0.1, 0.3), (0.3, 0.1), (0.2, 0.2), (0.1, 1.2), (math.nan,)], ids=str
)
def test_doublings_out_of_order_are_named(clip, points, doublings):
    with pytest.raises(BridgeError, match="expected doublings"):
        fit(clip, points, doublings=doublings)


@pytest.mark.usefixtures("shapes_unchecked")
def test_a_background_is_three_numbers(clip, points):
    with pytest.raises(BridgeError, match="background of three numbers"):
        fit(clip, points, background=(0.0, 1.0))


@pytest.mark.skipif(loading.unavailable() is not None, reason=f"no compiled engine: {loading.unavailable()}")
def test_the_compiled_engine_does_not_prune_by_radius(clip, points):
    with pytest.raises(BridgeError, match=r"prune_screen .*, got 0\.2"):
        fit(clip, points, density=Density(prune_screen=0.2))


def test_the_slow_engine_prunes_by_radius(clip, points, monkeypatch):
    monkeypatch.setattr("recon.splats.fitting.checks.resolve", lambda engine, device: "reference")
    density = Density(start=0.5, every=0.5)
    pruned, whole = (
        fit(clip, points, iterations=40, density=replace(density, prune_screen=radius), backdrop=0).gaussians
        for radius in (0.15, None)
    )
    assert 0 < len(pruned) < len(whole)


def test_torch_s_default_dtype_changes_nothing(clip, points):
    expected = fit(clip, points, iterations=40).gaussians.tensors()
    try:
        torch.set_default_dtype(torch.float64)
        found = fit(clip, points, iterations=40).gaussians.tensors()
    finally:
        torch.set_default_dtype(torch.float32)
    for name, value in expected.items():
        assert found[name].dtype == torch.float32
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5)


def test_images_are_visited_as_often_as_asked_and_spread_over_the_training() -> None:
    from recon.splats.fitting.schedule import schedule

    frequency = torch.tensor([0.4, 0.4, 0.1, 0.1])
    order = schedule(frequency, 400, torch.Generator().manual_seed(0))
    assert len(order) == 400
    for part in (order[:200], order[200:]):
        counts = torch.bincount(torch.tensor(part), minlength=4) / len(part)
        assert (counts - frequency).abs().max() < 0.02
    even = schedule(torch.ones(5), 50, torch.Generator().manual_seed(0))
    assert all(sorted(even[i : i + 5]) == [0, 1, 2, 3, 4] for i in range(0, 50, 5))


def test_images_take_part_when_they_are_asked_to(
    clip: Clip, points: PointCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recon.splats import fit as module

    looked_at: list[int] = []
    step = module.TorchTrainer.step

    def watched(self, image: int, *rest):
        looked_at.append(image)
        return step(self, image, *rest)

    monkeypatch.setattr(module.TorchTrainer, "step", watched)
    monkeypatch.setattr(module, "trains_compiled", lambda device: False)
    fit_gaussians(
        clip[[0, 1, 2]],
        points,
        options=replace(OPTIONS, iterations=40),
        generator=torch.Generator().manual_seed(0),
        frequency=torch.tensor([[1.0, 1, 0], [1, 1, 2], [1, 1, 0], [1, 1, 0]]),
    )
    when = [i for i, image in enumerate(looked_at) if image == 2]
    assert len(looked_at) == 40
    assert all(10 <= i < 20 for i in when)
    assert 4 <= len(when) <= 6


@pytest.mark.parametrize(
    "frequency",
    [
        torch.ones(2),
        torch.zeros(3),
        torch.tensor([1.0, -1, 1]),
        torch.ones(0, 3),
        torch.tensor([1.0, torch.inf, 1]),
    ],
)
def test_frequencies_that_say_nothing_are_refused(
    frequency: torch.Tensor, clip: Clip, points: PointCloud, shapes_unchecked: None
) -> None:
    with pytest.raises(BridgeError, match="how often to train on each of 3 images"):
        fit_gaussians(
            clip[[0, 1, 2]],
            points,
            options=OPTIONS,
            generator=torch.Generator().manual_seed(0),
            frequency=frequency,
        )


def test_a_training_may_start_from_a_scene(clip, truth, generator):
    """Its colours are all there from the first step, and no more Gaussians come in than are allowed."""
    options = FitOptions(iterations=1, sh_degree=3, cap=len(truth), doublings=())
    fitted = fit_gaussians(clip, truth, options=options, generator=generator).gaussians
    assert len(fitted) == len(truth)
    assert fitted.sh.shape[1] == 16
    assert (fitted.means - truth.means).norm(dim=1).max() < 0.1
    few = fit_gaussians(clip, truth, options=replace(options, cap=100), generator=generator)
    assert len(few.gaussians) == 100
    assert few.backdrop is None
