"""The sketch of a CPU rasteriser that lies beside the project, where it does: compiled and run in a copy of its folder."""

import importlib
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.curves import Look
from benchmarks.garden import Training
from benchmarks.turns import Step
from recon.cameras import Cameras
from recon.clip import Clip
from recon.errors import BridgeError
from recon.pictures.eight_bit import to_eight_bit
from recon.points import PointCloud

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "prototypes" / "cpu_splat"
LIBRARY = "libgsr.so"
SOURCES = ("gsr.cpp", "loss.cpp")
FLAGS = ("-O3", "-march=native", "-ffast-math", "-fopenmp", "-shared", "-fPIC")
"""As in its own build script."""
COMPILERS = ("g++", "c++", "clang++")
LANES = 16
"""Its rows are a multiple of this long."""
LENS_TOLERANCE_PX = 0.5
"""It knows one lens for all photos; lenses that differ by more are too many."""

NEAREST_NEIGHBOURS = '''"""The one thing of scikit-learn that the trainer asks for."""

from scipy.spatial import cKDTree


class NearestNeighbors:
    def __init__(self, n_neighbors):
        self.n_neighbors = n_neighbors

    def fit(self, points):
        self.tree = cKDTree(points)
        return self

    def kneighbors(self, points):
        return self.tree.query(points, k=self.n_neighbors)
'''


def prepare(into: Path, *, holdout: int = 8) -> Path:
    """A compiled copy of the prototype in the folder `into`, whose trainer holds out every `holdout`-th photo.

    Raises:
        BridgeError: there is no prototype, no compiler, or it does not compile.
    """
    if not (FOLDER / SOURCES[0]).exists():
        raise BridgeError(
            f"expected a prototype at {FOLDER}, there is none; only this project's engine is measured"
        )
    command = shlex.split(os.environ.get("CXX", "")) or [c for c in COMPILERS if shutil.which(c)][:1]
    if not command:
        raise BridgeError("expected a C++ compiler for the prototype, found none; install g++")
    into.mkdir(parents=True, exist_ok=True)
    for file in FOLDER.iterdir():
        if file.is_file():
            shutil.copyfile(file, into / file.name)
    done = subprocess.run(
        [*command, *FLAGS, *SOURCES, "-o", LIBRARY], cwd=into, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BridgeError(f"the prototype does not compile on this machine: {done.stderr.strip()[:300]}")
    trainer = into / "train.py"
    trainer.write_text(trainer.read_text().replace("i%8", f"i%{holdout}"))
    if importlib.util.find_spec("sklearn") is None:
        (into / "sklearn").mkdir(exist_ok=True)
        (into / "sklearn" / "neighbors.py").write_text(NEAREST_NEIGHBOURS)
    return into


def build_step(folder: Path, training_file: Path, threads: int) -> Step:
    """Full iterations (draw, compare, derive, learn) of a compiled copy, for `benchmarks.turns`."""
    sys.path.insert(0, str(folder))
    gsr = importlib.import_module("gsr")
    training = Training.load(training_file)
    planes, cameras = training.planes(), training.cameras
    rows, count = planes.shape
    stride = -(-count // LANES) * LANES

    def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> np.ndarray:
        return torch.zeros(*shape, dtype=dtype).numpy()  # torch aligns to 64 bytes

    parameters, gradients, first, second = (zeros(rows, stride) for _ in range(4))
    parameters[:, :count] = planes
    norms, visible = zeros(stride), zeros(stride, dtype=torch.uint8)
    rates, background = np.full(rows, training.rate, np.float32), zeros(3)
    targets = [target.permute(2, 0, 1).contiguous().numpy() for target in training.targets]
    image = np.empty_like(targets[0])
    image_gradient, light = np.empty_like(image), np.empty_like(image[0])
    views = [
        gsr.cam16(pose[:3, :3], pose[:3, 3], K[0, 0], K[1, 1], K[0, 2], K[1, 2])
        for pose, K in zip(cameras.cam_from_world.numpy(), cameras.K.numpy(), strict=True)
    ]
    engine, bases = gsr.GSR(LIBRARY, threads), training.scene.sh.shape[1]

    def step(number: int) -> float:
        view, target = views[number % len(views)], targets[number % len(views)]
        engine.forward(
            parameters, count, bases, view, cameras.width, cameras.height, background, image, light
        )
        loss = engine.loss(image, target, training.lambda_dssim, image_gradient)
        engine.backward(
            parameters, bases, view, background, image, light, image_gradient, None, gradients, norms, visible
        )
        engine.adam(parameters, gradients, first, second, visible, count, rows, rates, number + 1)
        return loss

    return step


def write_data(clip: Clip, points: PointCloud, folder: Path) -> None:
    """Posed photos and points in the form that its trainer reads; it holds photos out by their place in the clip.

    Raises:
        BridgeError: the photos have more than one lens.
    """
    cameras = clip.require_cameras()
    K = _one_lens(cameras)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    names = [f"{i:05d}.png" for i in range(len(clip))]
    for name, image in zip(names, clip.images, strict=True):
        _save_png(image, folder / "images" / name)
    np.savez(
        folder / "data.npz",
        W=clip.width,
        H=clip.height,
        K=K,
        names=names,
        poses=cameras.cam_from_world[:, :3].double().numpy(),
        xyz=points.xyz.double().numpy(),
        rgb=255 * points.rgb.double().numpy(),
    )


def train(folder: Path, data: Path, *, budget: float, every: float, threads: int, cap: int) -> list[Look]:
    """Runs its trainer for `budget` CPU-seconds and looks at its scene every so many; the last look is at the end.

    Raises:
        BridgeError: it failed.
    """
    # Its clock is the process's time divided by the threads, and so are the times that it is given and prints.
    command = [
        sys.executable, "train.py", "--ds", str(data), "--lib", LIBRARY, "--nth", str(threads), "--cpu",
        "--budget", str(budget / threads), "--every", str(every / threads), "--cap", str(cap),
    ]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BridgeError(f"the prototype's trainer failed: {done.stderr.strip()[-300:]}")
    return read_looks(done.stdout.splitlines(), threads=threads)


def read_looks(lines: Sequence[str], *, threads: int) -> list[Look]:
    """What its trainer prints: `t 15 it 900 n 12000 psnr 24.10 ms/it 16.67 …`, at the end `FINAL budget 120.0 it …`."""
    number = r"([-\d.]+|nan)"
    pattern = re.compile(rf"it (\d+) n (\d+) psnr {number}\s+ms/it {number}")
    found = [match for line in lines if (match := pattern.search(line))]
    return [
        Look(
            cpu_seconds=int(iterations) * float(ms) / 1e3 * threads,
            psnr=float(psnr),
            iterations=int(iterations),
            gaussians=int(count),
        )
        for iterations, count, psnr, ms in (match.groups() for match in found)
    ]


def _one_lens(cameras: Cameras) -> np.ndarray:
    """Focal lengths and principal point that all cameras share."""
    K = cameras.K.double()
    lenses = torch.stack([K[:, 0, 0], K[:, 1, 1], K[:, 0, 2], K[:, 1, 2]], -1)
    spread = float((lenses - lenses.mean(0)).abs().max())
    if spread > LENS_TOLERANCE_PX:
        raise BridgeError(
            f"the prototype expects one lens for all photos, these differ by up to {spread:.1f} px; "
            "only this project's trainer is measured"
        )
    return lenses.mean(0).numpy()


def _save_png(image: torch.Tensor, file: Path) -> None:
    from PIL import Image

    Image.fromarray(to_eight_bit(image).numpy()).save(file, compress_level=1)
