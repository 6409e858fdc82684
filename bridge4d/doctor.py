"""What this machine can do, in words."""

import importlib.util
import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version

from eval.pictures import perceptual
from recon.sfm.features.describe import LEARNED, why_unavailable
from recon.splats.engines import probe
from recon.splats.native import library

OPTIONAL = {"viser": "for bridge4d view", "ray": "for bridge4d measure --executor ray"}
"""Packages of extras, and what they are for."""


def examine() -> dict[str, str]:
    """Facts about machine and installation that decide what works how fast."""
    import psutil
    import torch

    cuda = torch.cuda.is_available()
    found = {
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 1e9:.0f} GB, {psutil.virtual_memory().available / 1e9:.0f} GB free",
        "disk": f"{shutil.disk_usage('.').free / 1e9:.0f} GB free here",
        "gpu": torch.cuda.get_device_name() if cuda else "none that torch can use",
        "splats": _splats_engine(cuda),
    }
    for package in ("bridge4d", "torch", "gsplat", "pycolmap", "open3d", "kornia", "trimesh", "numba"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "missing: install bridge4d again"
    for package, purpose in OPTIONAL.items():
        if importlib.util.find_spec(package) is None:
            found[package] = f"not installed (optional, {purpose}): pip install {package}"
    for kind in LEARNED:
        if (reason := why_unavailable(kind)) is not None:
            found[kind] = f"not here (optional, for --features {kind}): {reason}"
    distance = perceptual.load()
    found["perceptual"] = (
        distance.reason if isinstance(distance, perceptual.Unavailable) else perceptual.NETWORK
    )
    return found


def _splats_engine(cuda: bool) -> str:
    failed = probe.unavailable() if cuda else None
    if cuda and failed is None:
        return "gsplat on the GPU, which drew a test scene as the reference does"
    reason = library.unavailable()
    if reason is None:
        found = f"the CPU engine: {library.description()}"
    else:
        found = f"the reference engine, which is slow. {reason}"
    return found if failed is None else f"{found}. The GPU is not used: gsplat does not work there: {failed}"
