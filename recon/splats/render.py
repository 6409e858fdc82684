"""Rendering of a scene of Gaussians, by the engine that the machine has."""

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras
from recon.errors import BridgeError, CameraError
from recon.gaussians import Gaussians
from recon.splats.engines import probe
from recon.splats.engines.screen import Rendering, Screen, Style
from recon.splats.native.loading import EngineUnavailable, unavailable
from recon.splats.sh import MAX_DEGREE

logger = logging.getLogger(__name__)

Draw = Callable[[Gaussians, Cameras, Style], tuple[Rendering, Screen]]
"""The function by which an engine draws a scene."""
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
            "auto" is gsplat for a scene on a CUDA device where gsplat works, else cpu, or reference where cpu was not
            compiled; pictures are where the scene is.
        background: sRGB behind the scene; black by default.
        sh_degree: use the spherical harmonics up to this degree only; all by default.
        antialiased: let Gaussians smaller than a pixel fade rather than grow; for scenes that were fitted so.
        near: what is not farther than this (z-depth, units of the scene) is not drawn.
        far: what is not nearer than this is not drawn.
        median_depth: fill `Rendering.depth_median` too; gsplat cannot.

    Raises:
        EngineUnavailable: an engine asked for by name that this machine has not.
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
    """Render, and return the statistics of densification as well; does not check for NaN."""
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
    style = Style(background.to(device), degree, antialiased, near, far, median_depth)
    match chosen := resolve(engine, device):
        case "gsplat":
            from recon.splats.engines.cuda import render as draw
        case "cpu":
            from recon.splats.native.rasterize import render as draw
        case _:
            from recon.splats.engines.reference import render as draw
    if chosen != "gsplat" and device.type != "cpu":
        return _draw_on_cpu(draw, gaussians, cameras, style)
    return draw(gaussians, cameras, style)


def draw_views(
    gaussians: Gaussians,
    cameras: Cameras,
    *,
    engine: Engine = "auto",
    background: Float[Tensor, "3"] | None = None,
    sh_degree: int | None = None,
    antialiased: bool = False,
    median_depth: bool = False,
) -> Rendering:
    """What n cameras see, without derivatives: drawn where scenes are trained (`best_device`), one camera at a time,
    and handed back on the CPU.

    Arguments and errors are those of `render`; with `median_depth`, which gsplat has not, "auto" draws on the CPU.
    """
    check_finite(gaussians)
    scene = gaussians.detach().to(_device_of(engine, median_depth))
    with torch.no_grad():
        each = [
            render_with_screen(
                scene,
                cameras[i : i + 1],
                engine=engine,
                background=background,
                sh_degree=sh_degree,
                antialiased=antialiased,
                median_depth=median_depth,
            )[0]
            for i in range(max(1, len(cameras)))
        ]
    parts = zip(*((d.images, d.depth, d.alpha, d.depth_median) for d in each), strict=True)
    images, depth, alpha, median = (None if part[0] is None else torch.cat(part).cpu() for part in parts)
    return Rendering(images, depth, alpha, median)  # type: ignore[arg-type]


def best_device(asked: str | None = None) -> torch.device:
    """Device to train and draw on: the GPU where gsplat works, else the CPU.

    Args:
        asked: a device by name instead.

    Raises:
        EngineUnavailable: a CUDA device asked for, and gsplat does not work there.
        BridgeError: a device that is neither the CPU nor a CUDA one.
    """
    if asked is None:
        return torch.device("cuda" if torch.cuda.is_available() and probe.unavailable() is None else "cpu")
    kind = asked.partition(":")[0]
    if kind not in ("cpu", "cuda"):
        raise BridgeError(f"expected the device cpu or cuda to train and draw splats on, got {asked!r}")
    if kind == "cuda":
        _check_gsplat()
    return torch.device(asked)


def _device_of(engine: Engine, median_depth: bool) -> torch.device:
    if engine == "auto" and not median_depth:
        return best_device()
    return best_device("cuda" if engine == "gsplat" else "cpu")


def _check_gsplat() -> None:
    if (reason := probe.unavailable()) is not None:
        raise EngineUnavailable(f"the gsplat engine cannot draw here: {reason}; draw with the engine cpu")


def _draw_on_cpu(
    draw: Draw, gaussians: Gaussians, cameras: Cameras, style: Style
) -> tuple[Rendering, Screen]:
    """Draw a scene from a device without an engine on the CPU; the screen's centres stay there."""
    device = gaussians.means.device
    drawn, screen = draw(gaussians.to("cpu"), cameras, replace(style, background=style.background.cpu()))
    pictures = drawn.images, drawn.depth, drawn.alpha, drawn.depth_median
    back = (None if picture is None else picture.to(device) for picture in pictures)
    return Rendering(*back), screen  # type: ignore[arg-type]


def resolve(engine: Engine, device: torch.device) -> Engine:
    """Engine that draws a scene on `device`; "auto" chooses an available one.

    Raises:
        EngineUnavailable: gsplat asked for where it does not work.
        BridgeError: an engine for another device than the scene's.
    """
    if engine == "auto":
        return "gsplat" if device.type == "cuda" and probe.unavailable() is None else _best_on_cpu()
    if engine == "gsplat":
        _check_gsplat()
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
    """Refuse a scene with NaN or infinite means.

    Raises:
        BridgeError: names the tensor.
    """
    for name, value in gaussians.tensors().items():
        bad = ~value.isfinite() if name == "means" else value.isnan()
        if bad.any():
            count = int(bad.flatten(1).any(1).sum()) if value.ndim > 1 else int(bad.sum())
            raise BridgeError(
                f"expected finite numbers, got NaN or infinity in the {name} of {count} of {len(gaussians)} Gaussians"
            )
