"""Gaussians in one browser window, in the colours of one point of view."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from recon.gaussians import Gaussians
from recon.pictures.eight_bit import to_eight_bit
from recon.sim3 import Sim3
from recon.splats.engines.reference import rotation_matrices
from recon.splats.sh import sh_basis

if TYPE_CHECKING:
    import viser

CHUNK = 65_536
"""Gaussians whose colours are evaluated at a time: the basis of degree 3 then takes 4 MB and stays in the cache."""
LARGEST_VARIANCE = 65_000.0
"""viser keeps covariances as float16, which ends at 65,504."""


class Splats:
    """The scene of one browser window; shapes and colours are sent when they change.

    viser draws Gaussians of one colour each, so view-dependent colour is evaluated here for where the camera is.

    Args:
        scene: of a client, so that each window has the colours of its own camera.
        browser_from_world: into the units that the browser sees; without a rotation.
    """

    def __init__(self, scene: "viser.SceneApi", browser_from_world: Sim3) -> None:
        self._scene = scene
        self._browser_from_world = browser_from_world
        self.node: viser.GaussianSplatHandle | None = None
        self._shown: Gaussians | None = None

    def show(self, gaussians: Gaussians, eye: Float[Tensor, "3"]) -> None:
        """Replace what is shown, in the colours seen from `eye` (world)."""
        self._shown = gaussians
        values: dict[str, Any] = {
            "centers": self._browser_from_world.points(gaussians.means.double()).float().numpy(),
            "covariances": covariances(gaussians, float(self._browser_from_world.scale)),
            "rgbs": colors_from(gaussians, eye),
            "opacities": _bytes(gaussians.opacity_logits.sigmoid()[:, None]),
        }
        if self.node is None:
            self.node = self._scene.add_gaussian_splats("/splats", **values)
        else:
            self.node.set_gaussians(**values)

    def recolor(self, eye: Float[Tensor, "3"]) -> None:
        """Show the same Gaussians in the colours seen from `eye` (world)."""
        if self.node is not None and self._shown is not None and self._shown.sh_degree > 0:
            self.node.rgbs = colors_from(self._shown, eye)


def covariances(gaussians: Gaussians, scale: float = 1.0) -> Float[np.ndarray, "g 3 3"]:
    """R diag(scale · exp(log_scales))² Rᵀ of every Gaussian, as float32 within what float16 holds."""
    R = rotation_matrices(gaussians.quats_wxyz.float())
    sigma = (scale * gaussians.log_scales.float().exp()).clamp(max=LARGEST_VARIANCE**0.5)
    M = R * sigma[:, None, :]
    return (M @ M.mT).numpy()


def colors_from(gaussians: Gaussians, eye: Float[Tensor, "3"]) -> UInt8[np.ndarray, "g 3"]:
    """The sRGB that every Gaussian shows to `eye`."""
    degree = gaussians.sh_degree
    colors = np.empty((len(gaussians), 3), np.uint8)
    for start in range(0, len(gaussians), CHUNK):
        part = slice(start, start + CHUNK)
        basis = sh_basis(gaussians.means[part].float() - eye.float(), degree)
        colors[part] = _bytes(0.5 + torch.einsum("gk,gkc->gc", basis, gaussians.sh[part].float()))
    return colors


def _bytes(values: Tensor) -> UInt8[np.ndarray, "..."]:
    """[0, 1] to the nearest of 256 steps; viser would round down."""
    return to_eight_bit(values).numpy()
