"""Test of gsplat on this machine's GPU, once a process, on a small scene against the reference."""

import importlib.util
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from recon.cameras import Cameras, intrinsics, look_at
from recon.compute.process import kill_group
from recon.gaussians import Gaussians, sh_bases
from recon.splats.engines import reference
from recon.splats.engines.screen import Rendering, Style

logger = logging.getLogger(__name__)

BUILD_LIMIT_S = 1800.0
"""gsplat compiles some twenty files of about a minute each when it is first used: on two cores a quarter of an hour.
Twice that is given up, since the CPU engine would have trained a scene by then."""
BUILD = (
    sys.executable,
    "-c",
    "import sys; from gsplat.cuda._backend import _C; sys.exit(_C is None and 'no CUDA toolkit (nvcc) was found')",
)
"""Code that compiles gsplat's kernels, run in a child so that its output and time can be limited."""
MEMORY_PER_JOB_BYTES = 3e9
"""One nvcc with torch's headers takes up to so much; gsplat starts ten at once unless told otherwise."""
PICTURE_ERROR, GRADIENT_ERROR = 0.02, 0.05
"""Largest difference at a pixel of colours and coverage, and ‖found - true‖ / ‖true‖ of a gradient. Rounding carries
pixels across the model's jumps of 1/255 each; a wrong convention moves either by a multiple of this."""
SCENE_SIZE, WIDTH, HEIGHT = 60, 53, 37
"""No multiples of gsplat's tiles of 16 pixels; the reference draws it in a few hundredths of a second."""
REASON_CHARACTERS = 300
"""Longest excerpt of a compiler's output in a message: four lines of a terminal."""


def unavailable() -> str | None:
    """Reason for which gsplat cannot draw on this machine, or None.

    The first call where there is a GPU may compile gsplat, which takes minutes, and warns if it fails.
    """
    if not torch.cuda.is_available():
        return "it needs an NVIDIA GPU and a CUDA build of torch, and this machine shows none"
    return _try_gsplat()


@cache
def _try_gsplat() -> str | None:
    try:
        reason = _cannot_build() or _draws_wrongly()
    except Exception as error:  # whatever a foreign build, driver or kernel may raise
        reason = f"{type(error).__name__}: {_shorten_output(str(error))}"
    if reason is not None:
        logger.warning("gsplat does not work on the GPU, so that the CPU draws and trains splats: %s", reason)
    return reason


def _cannot_build() -> str | None:
    """Compiles gsplat's kernels where they are not yet; why that failed, or None."""
    if _is_built():
        return None
    logger.warning("gsplat compiles its CUDA kernels, once on this machine; this takes some minutes")
    with tempfile.TemporaryFile() as told:
        # a process of its own, with its own group, so that ninja and all its compilers can be ended
        builder = subprocess.Popen(
            BUILD, stdout=told, stderr=subprocess.STDOUT, start_new_session=True, env=_build_environment()
        )
        try:
            code = builder.wait(BUILD_LIMIT_S)
        except subprocess.TimeoutExpired:
            return f"compiling its kernels took more than {BUILD_LIMIT_S:g} s and was given up"
        finally:
            kill_group(builder)
            builder.wait()
        told.seek(0)
        output = told.read().decode(errors="replace")
    return None if code == 0 else f"its kernels cannot be compiled here: {_shorten_output(output)}"


def _is_built() -> bool:
    """Whether gsplat needs no compiler: it came compiled, or was compiled before."""
    if importlib.util.find_spec("gsplat.csrc") is not None:
        return True
    from torch.utils.cpp_extension import _get_build_directory

    return (Path(_get_build_directory("gsplat_cuda", False)) / "gsplat_cuda.so").exists()


def _build_environment() -> dict[str, str]:
    import psutil

    jobs = max(1, min(os.cpu_count() or 1, int(psutil.virtual_memory().available / MEMORY_PER_JOB_BYTES)))
    return {"MAX_JOBS": str(jobs)} | os.environ


def _draws_wrongly() -> str | None:
    """Draws and derives a small scene; what differs from the reference, or None."""
    from recon.splats.engines.cuda import render

    scene, cameras = _small_scene()
    style = Style(torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64), scene.sh_degree)
    drawn, gradients = _draw_with_gradients(scene.to("cuda", torch.float32), cameras, style, render)
    truth, expected = _draw_with_gradients(scene, cameras, style, reference.render)
    for name in ("images", "alpha"):
        error = float((getattr(drawn, name) - getattr(truth, name)).abs().max())
        if not error <= PICTURE_ERROR:  # so that NaN fails
            return f"its {name} are off by {error:.3g} at a pixel of a test scene, more than {PICTURE_ERROR}"
    for name, gradient in gradients.items():
        error = float((gradient - expected[name]).norm() / expected[name].norm())
        if not error <= GRADIENT_ERROR:
            return f"its derivatives by {name} of a test scene are off by {error:.2g}, more than {GRADIENT_ERROR}"
    return None


def _small_scene() -> tuple[Gaussians, Cameras]:
    """Gaussians of several pixels each about the origin, half transparent, and two cameras that look at them."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        """Normal random numbers of a shape."""
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    scene = Gaussians(
        means=0.6 * normal(SCENE_SIZE, 3),
        quats_wxyz=normal(SCENE_SIZE, 4),
        log_scales=0.4 * normal(SCENE_SIZE, 3) - 1.6,
        opacity_logits=normal(SCENE_SIZE),
        sh=0.3 * normal(SCENE_SIZE, sh_bases(2), 3),
    )
    eyes = torch.tensor([[0.0, 0.5, -3.0], [1.5, 0.5, -2.6]], dtype=torch.float64)
    up = torch.tensor([[0.0, -1.0, 0.0]], dtype=torch.float64).expand(2, 3)
    K = intrinsics(focal_px=50.0, width=WIDTH, height=HEIGHT, n=2)
    return scene, Cameras(look_at(eyes, torch.zeros_like(eyes), up), K, WIDTH, HEIGHT)


def _draw_with_gradients(
    scene: Gaussians, cameras: Cameras, style: Style, draw: Callable
) -> tuple[Rendering, dict[str, Tensor]]:
    """Pictures, and derivatives by the scene of a sum in which every pixel counts differently; float64, on the CPU."""
    leaves = Gaussians(**{name: t.detach().requires_grad_() for name, t in scene.tensors().items()})
    here = Style(style.background.to(scene.means.device), style.sh_degree)
    drawn, _ = draw(leaves, cameras, here)
    drawn = Rendering(*(t.double().cpu() for t in (drawn.images, drawn.depth, drawn.alpha)))
    weight = (
        torch.linspace(-1, 2, drawn.images.numel(), dtype=torch.float64).sin().reshape(drawn.images.shape)
    )
    (drawn.images * weight).sum().backward()
    found = {name: t.grad for name, t in leaves.tensors().items()}
    return drawn, {name: t.double().cpu() for name, t in found.items() if t is not None}


def _shorten_output(text: str) -> str:
    """The first line of a compiler's or driver's output that names an error, else its last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["it says nothing"]
    telling = next((line for line in lines if "error" in line.lower()), lines[-1])
    return telling[:REASON_CHARACTERS]
