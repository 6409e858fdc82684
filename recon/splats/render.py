"""Pictures of a scene of Gaussians, by whichever engine the machine has."""

import logging
from functools import cache
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras
from recon.errors import BridgeError, CameraError
from recon.gaussians import Gaussians
from recon.splats.native.loading import unavailable
from recon.splats.screen import Rendering, Screen, Style
from recon.splats.sh import MAX_DEGREE

logger = logging.getLogger(__name__)

Engine = Literal["auto", "reference", "cpu", "gsplat"]


def render(
    gaussians: Gaussians,
    cameras: Cameras,
    *,
    engine: Engine = "auto",
    background: Float[Tensor, "3"] | None = None,
    sh_degree: int | None = None,
    antialiased: bool = False,
    near: float = 0.01,
    far: float = 1e10,
    median_depth: bool = False,
) -> Rendering:
    """Images, depth and coverage of a scene from n cameras.

    Differentiable in all of `gaussians`, in `cameras.cam_from_world` and in `background`.

    Args:
        engine: "gsplat" (CUDA), "cpu" (compiled C++, float32), "reference" (slow, float64 where the scene is);
            "auto" is gsplat for a scene on a CUDA device, else cpu, or reference where cpu was not compiled.
        background: sRGB behind the scene; black by default.
        sh_degree: use the spherical harmonics up to this degree only; all by default.
        antialiased: let Gaussians smaller than a pixel fade rather than grow; for scenes that were fitted so.
        near: what is not farther than this (z-depth, units of the scene) is not drawn.
        far: what is not nearer than this is not drawn.
        median_depth: fill `Rendering.depth_median` too; gsplat cannot.

    Raises:
        EngineUnavailable: the cpu engine asked for by name, and not compiled.
        BridgeError: NaN in the scene, an empty depth range, a background that is not three numbers, or something
            the engine or the machine cannot do.
        CameraError: no cameras, or unusable ones.
    """
    check_finite(gaussians)
    drawn, _ = render_with_screen(
        gaussians,
        cameras,
        engine=engine,
        background=background,
        sh_degree=sh_degree,
        antialiased=antialiased,
        near=near,
        far=far,
        median_depth=median_depth,
    )
    return drawn


def render_with_screen(
    gaussians: Gaussians,
    cameras: Cameras,
    *,
    engine: Engine = "auto",
    background: Float[Tensor, "3"] | None = None,
    sh_degree: int | None = None,
    antialiased: bool = False,
    near: float = 0.01,
    far: float = 1e10,
    median_depth: bool = False,
) -> tuple[Rendering, Screen]:
    """`render`, and what densification needs beside it; NaN is not looked for."""
    degree = gaussians.sh_degree if sh_degree is None else min(sh_degree, gaussians.sh_degree)
    if not 0 <= degree <= MAX_DEGREE:
        raise BridgeError(f"expected spherical harmonics of degree 0 to {MAX_DEGREE}, got {degree}")
    if not 0 < near < far:
        raise BridgeError(f"expected 0 < near < far, got a near plane of {near:g} and a far plane of {far:g}")
    if len(cameras) == 0:
        raise CameraError("expected at least one camera to render from, got none")
    device = gaussians.means.device
    if background is None:
        background = torch.zeros(3, device=device)
    if background.shape != (3,):
        raise BridgeError(
            f"expected a background of three numbers, got a tensor of shape {tuple(background.shape)}"
        )
    match resolve(engine, device):
        case "gsplat":
            from recon.splats.cuda import render as draw
        case "cpu":
            from recon.splats.native.rasterize import render as draw
        case _:
            from recon.splats.reference import render as draw
    style = Style(background.to(device), degree, antialiased, near, far, median_depth)
    return draw(gaussians, cameras, style)


def resolve(engine: Engine, device: torch.device) -> Engine:
    """The engine that draws a scene on `device`; "auto" becomes one that is there.

    Raises:
        BridgeError: gsplat asked for where there is no CUDA device, or a CPU engine for a scene on one.
    """
    if engine == "auto":
        return "gsplat" if device.type == "cuda" else _best_on_cpu()
    if engine == "gsplat" and not torch.cuda.is_available():
        raise BridgeError(
            "the gsplat engine needs an NVIDIA GPU and a CUDA build of torch, and this machine shows none; "
            "use engine='cpu'"
        )
    if (engine == "gsplat") != (device.type == "cuda"):
        raise BridgeError(
            f"the {engine} engine cannot draw a scene on {device}; move it with gaussians.to(...) "
            "or use engine='auto'"
        )
    return engine


def _best_on_cpu() -> Engine:
    reason = unavailable()
    if reason is None:
        return "cpu"
    _warn_once(reason)
    return "reference"


@cache
def _warn_once(reason: str) -> None:
    logger.warning("splats are drawn by the slow reference engine: %s", reason)


def check_finite(gaussians: Gaussians) -> None:
    """Raises a `BridgeError` that names the tensor with NaN in it, or infinite means."""
    for name, value in gaussians.tensors().items():
        bad = ~value.isfinite() if name == "means" else value.isnan()
        if bad.any():
            count = int(bad.flatten(1).any(1).sum()) if value.ndim > 1 else int(bad.sum())
            raise BridgeError(
                f"expected finite numbers, got NaN or infinity in the {name} of {count} of {len(gaussians)} Gaussians"
            )
