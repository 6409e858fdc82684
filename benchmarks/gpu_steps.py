"""The steps of `benchmarks.gpu`, each a process of its own: ``python -m benchmarks.gpu_steps STEP OUT [--dry]``.

A step hands its figures to `gpu.json` in OUT as they come, so that one that is cut off keeps what it has.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu_record import add_figures
from benchmarks.machine import describe_machine
from recon.cameras import Cameras, backproject
from recon.clip import Clip
from recon.gaussians import Gaussians
from recon.points import PointCloud
from recon.scene import Scene

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests"
STEPS_TAKEN = 7000
"""Of training; gsplat's authors publish figures after as many."""
WARM_UP = 10
SMALL_LOOP = [
    "--model", "warp", "--views", "4", "--novel", "1", "--iterations", "10", "--max-gaussians", "2000", "--max-side", "96",
]  # fmt: skip
"""The loop of a dry run. At the usual 480 px its orbit and two depths take most of 24 CPU-seconds, at 96 px all takes 9."""


@dataclass(frozen=True)
class Step:
    """Where a step runs, and what it says."""

    name: str
    out: Path
    dry: bool

    @property
    def device(self) -> str:
        return "cpu" if self.dry else "cuda"

    @property
    def engine(self) -> str:
        """What stands beside the reference; in a dry run the CPU's own stands in for gsplat."""
        return "cpu" if self.dry else "gsplat"

    def say(self, **figures: Any) -> None:
        add_figures(self.out, self.name, figures)
        print(f"{self.name}: {figures}", flush=True)

    def synchronise(self) -> None:
        if not self.dry:
            torch.cuda.synchronize()


def native(step: Step) -> None:
    """The CPU engine, compiled if it is not yet: what the GPU is held against."""
    from recon.splats.native import library

    if library.unavailable() is not None:
        subprocess.run([sys.executable, "-m", "recon.splats.native.build"], cwd=ROOT, check=False)
    reason = library.unavailable()
    step.say(machine=describe_machine(torch.get_num_threads()), cpu_engine=reason or library.description())


def build(step: Step) -> None:
    """Seconds in which gsplat compiles for this card, and what the probe says of it."""
    from recon.splats.engines import probe

    if step.dry:
        step.say(probe=probe.unavailable())
        return
    card = torch.cuda.get_device_properties(0)
    step.say(card=card.name, memory_gb=round(card.total_memory / 1e9, 1), cuda=torch.version.cuda)
    step.say(was_built=probe._is_built(), jobs=os.environ.get("MAX_JOBS"))
    began = time.perf_counter()
    from gsplat.cuda import _backend

    step.say(build_s=round(time.perf_counter() - began, 1), built=_backend._C is not None)
    began = time.perf_counter()
    reason = probe.unavailable()
    step.say(probe=reason, probe_s=round(time.perf_counter() - began, 2))
    if reason is not None:
        raise RuntimeError(f"gsplat does not work here: {reason}")


def engines(step: Step) -> None:
    """Pictures and every derivative beside the float64 reference, with the tests' scenes and tolerances."""
    sys.path.insert(0, str(TESTS))
    import test_recon_splats_engines as tests  # pyright: ignore[reportMissingImports]
    from splat_scenes import (  # pyright: ignore[reportMissingImports]
        orbit,
        relative,
        scene,
        smooth,
    )

    sizes = ((37, 29),) if step.dry else ((53, 37), (130, 97))
    for width, height in sizes:
        for antialiased in (False, True):
            for degree in (3,) if step.dry else (0, 3):
                generator = torch.Generator().manual_seed(0)
                cameras = orbit(2, width=width, height=height)
                how = tests.style(step.engine, antialiased=antialiased, sh_degree=degree, median_depth=False)
                gaussians = smooth(scene(40 if step.dry else 200, generator, sh_degree=degree), cameras, how)
                truth, _ = tests.draw(gaussians, cameras, how, "reference")
                others = {step.engine, "cpu"}
                tolerance = tests.TOLERANCES[step.engine, "smooth"]
                for engine in sorted(others):
                    found, _ = tests.draw(tests.as_drawn_by(engine, gaussians), cameras, how, engine)
                    errors = {
                        name: float((getattr(found, name).double().cpu() - getattr(truth, name)).abs().max())
                        for name in ("images", "depth", "alpha")
                    }
                    slopes = tests.gradients(gaussians, cameras, how, engine)
                    true = tests.true_gradients(gaussians, cameras, how, engine)
                    by = {name: relative(slopes[name], true[name]) for name in true}
                    right = (
                        max(errors["images"], errors["alpha"]) < tolerance.picture
                        and errors["depth"] < tolerance.depth
                        and max(by.values()) < tolerance.gradient
                    )
                    name = f"{engine} {width}x{height} degree {degree}" + " antialiased" * antialiased
                    step.say(**{name: {"within": right, "pictures": errors, "gradients": by}})


def tests(step: Step) -> None:
    """The tests marked `gpu`; in a dry run those of the same file that mind the background."""
    marked = [f for f in sorted(TESTS.glob("test_*.py")) if "mark.gpu" in f.read_text(encoding="utf-8")]
    choice = ["-m", "not gpu", "-k", "no_gaussians"] if step.dry else ["-m", "gpu"]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "--tb=short",
        *choice,
        *map(str, marked),
    ]
    alone = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # who knows what else is installed there
    ran = subprocess.run(command, cwd=ROOT, env=alone, capture_output=True, text=True, check=False)
    print(ran.stdout[-20_000:], ran.stderr[-2_000:], flush=True)
    counts = {
        word: int(n)
        for n, word in re.findall(r"(\d+) (passed|failed|skipped|errors?|deselected)", ran.stdout)
    }
    failed = re.findall(r"^(?:FAILED|ERROR) (.*)$", ran.stdout, re.MULTILINE)
    step.say(files=[f.name for f in marked], counts=counts, failed=[line[:200] for line in failed[:40]])
    if ran.returncode:
        raise RuntimeError(f"pytest ended with {ran.returncode}")


@dataclass(frozen=True)
class Capture:
    """Pictures of the built-in room to train on, others to judge by, and points on its surfaces."""

    training: Clip
    heldout: Clip
    points: PointCloud
    depth: torch.Tensor


def room(step: Step, photos: int, width: int, height: int) -> Capture:
    """Every eighth picture is held out; points are a fixed share of the training pictures' exact depth."""
    from worldgen.models.synthetic import SyntheticRoom

    synthetic = SyntheticRoom()
    cameras = synthetic.cameras(photos, width=width, height=height)
    images, depth = synthetic.render(cameras)
    held = [i for i in range(photos) if i % 8 == 4]
    kept = [i for i in range(photos) if i % 8 != 4]
    clip = Clip(images, cameras)
    count = 500 if step.dry else 20_000
    xyz, rgb = backproject(depth[kept].double(), cameras[kept]).reshape(-1, 3), images[kept].reshape(-1, 3)
    pick = torch.randperm(len(xyz), generator=torch.Generator().manual_seed(0))[:count]
    points = PointCloud(xyz[pick], rgb[pick], torch.zeros(len(pick), dtype=torch.float64))
    return Capture(clip[kept], clip[held], points, depth[kept])


def training(step: Step) -> None:
    """Milliseconds an iteration and held-out PSNR of our training and of gsplat's recipe."""
    from benchmarks import gpu_recipe
    from recon.splats.density import Density
    from recon.splats.fit import FitOptions, fit_gaussians

    photos, width, height = (9, 48, 32) if step.dry else (64, 768, 512)
    steps = 8 if step.dry else STEPS_TAKEN
    capture = room(step, photos, width, height)
    step.say(
        photos=len(capture.training), heldout=len(capture.heldout), width=width, height=height, steps=steps
    )

    def ours(**changes: Any) -> Gaussians:
        options = FitOptions(iterations=steps, sh_degree=3, cap=1_000_000, device=step.device, **changes)
        generator = torch.Generator().manual_seed(0)
        return fit_gaussians(capture.training, capture.points, options=options, generator=generator).gaussians

    def recipe() -> Gaussians:
        torch.manual_seed(0)  # the strategy splits by torch's own
        generator = torch.Generator().manual_seed(0)
        return gpu_recipe.train(
            capture.training, capture.points, steps=steps, device=step.device, generator=generator
        )

    trainers: dict[str, Callable[[], Gaussians]] = {
        "ours": ours,
        "gsplat's recipe": recipe,
        "ours, published density": lambda: ours(density=Density.from_paper(), doublings=()),
    }
    for name, train in trainers.items():
        peak_gb(step)
        began = time.perf_counter()
        scene = train()
        step.synchronise()
        seconds = time.perf_counter() - began
        figures = {
            "ms_an_iteration": round(1000 * seconds / steps, 3),
            "seconds": round(seconds, 1),
            "psnr_db": round(heldout_psnr(scene, capture.heldout), 2),
            "gaussians": len(scene),
            "peak_gb": peak_gb(step),
        }
        step.say(**{name: figures})


def heldout_psnr(scene: Gaussians, heldout: Clip) -> float:
    """Mean over pictures, dB."""
    from eval.pictures import images
    from recon.splats.render import draw_views

    return float(
        images.psnr(draw_views(scene, heldout.require_cameras()).images.clamp(0, 1), heldout.images).mean()
    )


def peak_gb(step: Step) -> float | None:
    """The most memory of the GPU that tensors took since the last time it was asked; None without one."""
    if step.dry:
        return None
    most = torch.cuda.max_memory_allocated() / 1e9
    torch.cuda.reset_peak_memory_stats()
    return round(most, 3)


def depth(step: Step) -> None:
    """Seconds a photo and errors of multi-view depth, by torch on the GPU and by numba; the first turn compiles."""
    from recon.depth import multiview_depth

    width, height = (48, 32) if step.dry else (480, 320)
    capture = room(step, 6 if step.dry else 9, width, height)
    for engine in ("numba", "torch"):
        for turn in ("first", "second"):
            began = time.perf_counter()
            maps = multiview_depth(
                capture.training, points=capture.points, planes=16 if step.dry else 96, engine=engine
            )
            seconds = time.perf_counter() - began
            off = ((maps.depth - capture.depth).abs() / capture.depth).flatten()
            step.say(**{
                f"depth by {engine}, {turn}": {
                    "seconds_a_photo": round(seconds / len(capture.training), 3),
                    "median_error": round(float(off.median()), 5),
                    "within_2_percent": round(float((off < 0.02).float().mean()), 4),
                    "peak_gb": peak_gb(step),
                }
            })  # fmt: skip
            if step.dry:
                break


def bridge(step: Step) -> None:
    """Seconds a frame of the built-in world model, and how far its pictures are from the CPU's."""
    from worldgen.model import Request
    from worldgen.models.bridge.model import Bridge, BridgeOptions

    width, height = (48, 32) if step.dry else (480, 320)
    capture = room(step, 9, width, height)
    context = capture.training[[0, 2, 5]]
    targets: Cameras = capture.training.require_cameras()[[1] if step.dry else [1, 3, 4, 6]]
    truth = capture.training.images[[1] if step.dry else [1, 3, 4, 6]]
    seen = {}
    request = Request(context, targets, scene=Scene(points=capture.points))
    ways = {"cpu": ("cpu", "float32"), "gpu": (step.device, "float32"), "gpu, auto": (step.device, "auto")}
    for name, (device, precision) in ways.items():
        if step.dry and name == "gpu, auto":
            continue
        model = Bridge(BridgeOptions(device=device, precision=precision))
        if not step.dry:  # whose seconds nobody compares
            model.generate(
                replace(request, targets=targets[:1]), generator=torch.Generator().manual_seed(0)
            )  # warm
        began = time.perf_counter()
        clip = model.generate(request, generator=torch.Generator().manual_seed(0)).clip
        seconds = time.perf_counter() - began
        seen[name] = clip.images
        error = float((clip.images - seen["cpu"]).abs().mean())
        step.say(**{
            f"bridge on {name}": {
                "seconds_a_frame": round(seconds / len(targets), 4),
                "mean_difference_from_cpu": round(error, 6),
                "psnr_db": round(float(-10 * (clip.images - truth).square().mean().log10()), 2),
                "peak_gb": peak_gb(step),
            }
        })  # fmt: skip


def loop(step: Step) -> None:
    """`bridge4d augment` on the sample, with the GPU and without: seconds, and PSNR of its scenes.

    A machine without PyAV cannot write the report's video, which comes last: what was judged before counts.
    """
    from bridge4d.sample import write_sample

    photos, width, height = (6, 240, 160) if step.dry else (16, 576, 384)
    small = SMALL_LOOP if step.dry else []
    with tempfile.TemporaryDirectory() as scratch:
        folder = write_sample(Path(scratch) / "photos", photos=photos, width=width, height=height)
        for name, hidden in (("gpu", {}), ("cpu", {"CUDA_VISIBLE_DEVICES": ""}))[1 if step.dry else 0 :]:
            out = Path(scratch) / name
            command = [
                sys.executable,
                "-m",
                "bridge4d",
                "augment",
                str(folder),
                "--out",
                str(out),
                "--rounds",
                "1",
            ]
            began = time.perf_counter()
            ran = subprocess.run(
                command + small,
                cwd=ROOT,
                env=os.environ | hidden,
                capture_output=True,
                text=True,
                check=False,
            )
            seconds = time.perf_counter() - began
            print(ran.stdout[-3000:], ran.stderr[-3000:], flush=True)
            scores = {
                path.parent.name: json.loads(path.read_text()) for path in out.glob("eval/*/score.json")
            }
            fits = {path.parent.name: json.loads(path.read_text()) for path in out.glob("splats/*/fit.json")}
            figures: dict[str, Any] = {
                "exit": ran.returncode,
                "seconds": round(seconds, 1),
                "psnr_db": {scene: round(sum(s["psnr"]) / len(s["psnr"]), 2) for scene, s in scores.items()},
                "fit_s": {scene: fit["seconds"] for scene, fit in fits.items()},
            }
            if ran.returncode:
                figures["said"] = ran.stderr.strip()[-300:]
            step.say(**{f"loop on {name}": figures})
            if not scores:
                raise RuntimeError(f"bridge4d augment ended with {ran.returncode} and judged no scene")


def memory(step: Step) -> None:
    """Peak memory and milliseconds of whole iterations, by the number of Gaussians."""
    from benchmarks.garden import garden
    from recon.splats.parameters import LearningRates
    from recon.splats.pyramid import View
    from recon.splats.render import draw_views
    from recon.splats.trainer import Moment, TorchTrainer

    width, height = (64, 48) if step.dry else (1920, 1080)
    for count in (500,) if step.dry else (100_000, 1_000_000, 3_000_000):
        scene, cameras, source = garden(
            count, width=width, height=height, generator=torch.Generator().manual_seed(0)
        )
        image = draw_views(scene, cameras[0]).images[0].clamp(0, 1).to(step.device)
        peak_gb(step)
        still = replace(LearningRates(), means=1e-8, boost=1.0)
        trainer = TorchTrainer(
            scene.to(step.device), still, 1.0, background=(0, 0, 0), lambda_dssim=0.2, exposure=None
        )
        view, times = View(image, None, cameras[0]), []
        for i in range(2 if step.dry else WARM_UP + 30):
            step.synchronise()
            began = time.perf_counter()
            trainer.step(0, view, Moment(i + 1, i / 100, (i + 1) / 100), 3, (0.0, 0.0))
            step.synchronise()
            times.append(1000 * (time.perf_counter() - began))
        step.say(**{
            f"{count} Gaussians": {
                "points": source, "width": width, "height": height,
                "ms_an_iteration": round(sorted(times)[len(times) // 2], 2), "peak_gb": peak_gb(step),
            }
        })  # fmt: skip
        del trainer


STEPS: dict[str, Callable[[Step], None]] = {
    "native": native,
    "build": build,
    "engines": engines,
    "tests": tests,
    "training": training,
    "depth": depth,
    "bridge": bridge,
    "loop": loop,
    "memory": memory,
}


def main() -> None:
    name, out, *rest = sys.argv[1:]
    STEPS[name](Step(name, Path(out), "--dry" in rest))


if __name__ == "__main__":
    main()
