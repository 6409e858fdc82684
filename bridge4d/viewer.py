"""A live viewer of a splat scene in the browser."""

import time
from pathlib import Path

import numpy as np

from recon.errors import CaptureError, MissingDependencyError
from recon.gaussians import SH_C0, Gaussians


def find_scene(path: Path) -> Path:
    """The PLY that a path means: itself, or the exported scene of a run folder.

    Raises:
        CaptureError: there is none.
    """
    for candidate in (path, path / "exports" / "scene.ply", path / "scene.ply"):
        if candidate.is_file():
            return candidate
    raise CaptureError(
        f"expected a splat .ply or a run folder with exports/scene.ply, found neither at {path}"
    )


def covariances(gaussians: Gaussians) -> np.ndarray:
    """R diag(exp(log_scales))² Rᵀ of every Gaussian, [g, 3, 3]."""
    from scipy.spatial.transform import Rotation

    quats = gaussians.quats_wxyz.double().numpy()
    R = Rotation.from_quat(quats[:, [1, 2, 3, 0]]).as_matrix()  # scipy counts xyzw and normalises
    M = R * gaussians.log_scales.double().exp().numpy()[:, None, :]
    return M @ M.transpose(0, 2, 1)


def serve(gaussians: Gaussians, *, port: int = 8080):
    """Starts a viser server that shows the scene (base colours only: the browser has no spherical harmonics).

    Raises:
        MissingDependencyError: viser is not installed.
    """
    try:
        import viser
    except ImportError:
        raise MissingDependencyError(
            "the viewer needs viser, which is not installed here; run: pip install viser"
        ) from None
    server = viser.ViserServer(port=port, verbose=False)
    server.scene.set_up_direction("-y")
    server.scene.add_gaussian_splats(
        "/scene",
        centers=gaussians.means.numpy(),
        covariances=covariances(gaussians).astype(np.float32),
        rgbs=(0.5 + SH_C0 * gaussians.sh[:, 0]).clamp(0, 1).numpy(),
        opacities=gaussians.opacity_logits.sigmoid()[:, None].numpy(),
    )
    return server


def wait() -> None:
    """Until Ctrl-C."""
    try:
        while True:
            time.sleep(0.2)
    except KeyboardInterrupt:
        pass
