"""What happens where torch has a GPU: gsplat is tried once and used where it draws rightly, else the CPU.

There is no GPU here: tensors pretend to be on one, and gsplat is the reference in its place.
"""

import logging
import sys
from dataclasses import replace

import pytest
import torch
from pretended_cuda import pretend_gsplat, pretended_cuda, rasterization
from splat_scenes import orbit, relative, scene
from test_recon_splats_fit import clip, points, truth  # noqa: F401

from bridge4d import doctor
from recon.errors import BridgeError
from recon.splats.density import Density
from recon.splats.engines import probe
from recon.splats.fit import FitOptions, fit_gaussians
from recon.splats.mcmc import Mcmc
from recon.splats.native.loading import EngineUnavailable
from recon.splats.render import best_device, draw_views, render, resolve
from recon.splats.select import contributions

OPTIONS = FitOptions(iterations=8, sh_degree=1, cap=150, backdrop=30, doublings=())


@pytest.fixture(autouse=True)
def one_thread():
    """On busy machines two threads wait for each other at every small operation, of which there are many here."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def gpu(monkeypatch):
    """A GPU on which gsplat works."""
    pretend_gsplat(monkeypatch)
    with pretended_cuda(monkeypatch):
        yield


@pytest.mark.usefixtures("gpu")
def test_what_pretends_to_be_on_a_gpu_fails_where_a_gpu_would():
    there, here = torch.ones(3).to("cuda"), torch.ones(3)
    assert there.device.type == (2 * there).device.type == torch.zeros(2, device="cuda").device.type == "cuda"
    with pytest.raises(RuntimeError, match="on one device, found cuda:0 and cpu"):
        there + here
    with pytest.raises((RuntimeError, TypeError)):
        there.numpy()
    assert (there + there.cpu().to("cuda")).cpu().numpy().tolist() == [2, 2, 2]


def drawn_wrongly(**arguments):
    """With its y axis the other way round."""
    pictures, alpha, info = rasterization(**arguments)
    return pictures.flip(1), alpha.flip(1), info


def derived_wrongly(means, **arguments):
    """Right pictures, and derivatives by the means of half their length."""
    return rasterization(means / 2 + means.detach() / 2, **arguments)


def failing(**_):
    raise RuntimeError("CUDA error: no kernel image is available for execution on the device\nmore")


BROKEN = pytest.mark.parametrize(
    ("draw", "reason"),
    [
        (failing, "RuntimeError: CUDA error: no kernel image is available"),
        (drawn_wrongly, "its images are off by"),
        (derived_wrongly, "its derivatives by means of a test scene are off by 0.5, more than 0.05"),
        (lambda **a: (*(t * torch.nan for t in rasterization(**a)[:2]), rasterization(**a)[2]), "off by nan"),
    ],
    ids=["raises", "wrong pixels", "wrong derivatives", "NaN"],
)


@pytest.mark.usefixtures("gpu")
def test_gsplat_is_taken_where_it_draws_as_the_reference_does():
    assert probe.unavailable() is None
    assert best_device() == best_device("cuda") == torch.device("cuda")
    assert resolve("auto", torch.device("cuda")) == resolve("gsplat", torch.device("cuda")) == "gsplat"
    assert doctor.examine()["splats"].startswith("gsplat on the GPU")


@BROKEN
def test_the_cpu_draws_where_gsplat_fails_and_one_warning_says_why(
    monkeypatch, caplog, generator, draw, reason
):
    calls = []
    pretend_gsplat(monkeypatch, lambda **arguments: calls.append(1) or draw(**arguments))
    gaussians, cameras = scene(30, generator).to(dtype=torch.float32), orbit(2)
    expected = render(gaussians, cameras)
    with pretended_cuda(monkeypatch), caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert best_device() == torch.device("cpu")
            assert torch.equal(draw_views(gaussians, cameras).images, expected.images)
        there = render(gaussians.to("cuda"), cameras)
        assert there.images.device.type == "cuda"
        assert torch.equal(there.images.cpu(), expected.images)
        for ask in (lambda: best_device("cuda"), lambda: render(gaussians, cameras, engine="gsplat")):
            with pytest.raises(EngineUnavailable, match=reason):
                ask()
        told = doctor.examine()["splats"]
    assert len(calls) <= 2  # the probe's own, not one each time
    assert [r for r in caplog.records if reason in r.getMessage()] == caplog.records[:1]
    assert len(caplog.records) == 1
    assert told.startswith("the CPU engine")
    assert "gsplat does not work there: " in told
    assert reason in told


def test_training_falls_back_too(monkeypatch, clip, points):  # noqa: F811
    expected = fit_gaussians(clip, points, options=OPTIONS, generator=torch.Generator().manual_seed(0))
    pretend_gsplat(monkeypatch, failing)
    with pretended_cuda(monkeypatch):
        found = fit_gaussians(clip, points, options=OPTIONS, generator=torch.Generator().manual_seed(0))
        with pytest.raises(EngineUnavailable, match="no kernel image"):
            fit_gaussians(clip, points, options=replace(OPTIONS, device="cuda"), generator=torch.Generator())
    assert torch.equal(found.gaussians.means, expected.gaussians.means)


def unbuilt(monkeypatch, code: str, limit_s: float = 60) -> None:
    """A gsplat that has to be compiled, which is what the program `code` does."""
    pretend_gsplat(monkeypatch)
    monkeypatch.setattr(probe, "_is_built", lambda: False)
    monkeypatch.setattr(probe, "BUILD", (sys.executable, "-c", code))
    monkeypatch.setattr(probe, "BUILD_LIMIT_S", limit_s)


@pytest.mark.parametrize(
    ("code", "limit_s", "reason"),
    [
        ("import time; time.sleep(60)", 0.5, "compiling its kernels took more than 0.5 s"),
        (
            "raise SystemExit('no CUDA toolkit (nvcc) was found')",
            60,
            "cannot be compiled here: no CUDA toolkit",
        ),
        (
            "print('a.cu(3): error: what is this'); raise SystemExit(1)",
            60,
            "compiled here: a.cu.3.: error: what",
        ),
    ],
    ids=["too long", "no compiler", "an error"],
)
def test_what_cannot_be_compiled_is_not_used(monkeypatch, code, limit_s, reason):
    unbuilt(monkeypatch, code, limit_s)
    with pretended_cuda(monkeypatch), pytest.raises(EngineUnavailable, match=reason):
        best_device("cuda")


def test_what_was_compiled_is_tried_next(monkeypatch):
    unbuilt(monkeypatch, "")
    with pretended_cuda(monkeypatch):
        assert best_device() == torch.device("cuda")


def test_compilers_are_ended_with_what_started_them(monkeypatch, tmp_path):
    """Ninja's children would go on for minutes, else."""
    mark = tmp_path / "alive"
    child = f"import time, pathlib; time.sleep(2); pathlib.Path({str(mark)!r}).touch()"
    unbuilt(monkeypatch, f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])", 0.7)
    with pretended_cuda(monkeypatch):
        assert "took more than 0.7 s" in str(probe.unavailable())
    import time

    time.sleep(2.5)
    assert not mark.exists()


def test_a_device_that_is_none_is_named(clip, points):  # noqa: F811
    with pytest.raises(BridgeError, match="device cpu or cuda to train and draw splats on, got 'mps'"):
        fit_gaussians(clip, points, options=replace(OPTIONS, device="mps"), generator=torch.Generator())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_nothing_is_tried(monkeypatch, caplog):
    monkeypatch.setattr(probe, "_try_gsplat", lambda: pytest.fail("tried"))
    assert best_device() == torch.device("cpu")
    assert not caplog.records
    with pytest.raises(EngineUnavailable, match="this machine shows none"):
        best_device("cuda")


@pytest.mark.parametrize(
    "changes",
    [
        {"exposure_compensation": True, "antialiased": True},
        {"density": Mcmc(every=0.3, apart=1), "sh_degree": 0},
        {"density": Density(every=0.3, apart=1, prune_above=0.9, prune_screen=0.9)},
        {"density": Density(every=0.3, apart=1, opacity_reset=0.4)},
    ],
    ids=["exposure", "mcmc", "pruning", "resets"],
)
@pytest.mark.usefixtures("gpu")
def test_training_on_a_gpu_learns(clip, points, changes):  # noqa: F811
    weights = torch.full(clip.images.shape[:3], 0.9)
    options = replace(OPTIONS, **changes)
    looks = []
    found = fit_gaussians(
        replace(clip, confidence=weights), points, options=options,
        generator=torch.Generator().manual_seed(0), watch=lambda *seen: looks.append((seen[2], torch.backends.cudnn.allow_tf32)),
        watch_at=[0.01],
    )  # fmt: skip
    assert found.gaussians.means.device == looks[0][0].means.device == torch.device("cpu")
    assert [exact for _, exact in looks] == [False]  # SSIM's variances do not bear TF32
    assert torch.backends.cudnn.allow_tf32
    found.gaussians.means.numpy()
    assert len(found.losses) == options.iterations
    resets = isinstance(options.density, Density) and options.density.opacity_reset is not None
    assert resets or min(found.losses[-2:]) < 0.9 * found.losses[0]


@pytest.mark.usefixtures("gpu")
def test_views_are_drawn_on_the_gpu_and_handed_back(generator):
    gaussians, cameras = scene(40, generator).to(dtype=torch.float32), orbit(3)
    expected = render(gaussians.to(dtype=torch.float64), cameras, engine="reference", median_depth=True)
    found = draw_views(gaussians, cameras)
    for name in ("images", "depth", "alpha"):
        picture = getattr(found, name)
        assert picture.device == torch.device("cpu")
        assert relative(picture, getattr(expected, name)) < 1e-5
    median = draw_views(gaussians, cameras, median_depth=True).depth_median
    assert median is not None  # which gsplat has not
    with pytest.raises(BridgeError, match="at least one camera"):
        draw_views(gaussians, cameras[[]])


@pytest.mark.usefixtures("gpu")
def test_contributions_are_the_same_from_a_gpu(generator):
    gaussians, cameras = scene(40, generator).to(dtype=torch.float32), orbit(2)
    found = contributions(gaussians, cameras)
    assert found.device == torch.device("cpu")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: False)
        assert relative(found, contributions(gaussians, cameras)) < 1e-4
