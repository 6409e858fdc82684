"""What each model makes of what it is given, and how long that takes; kept in the run folder."""

import os
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.source_hash import model_code, sources
from benchmarks.view_context import context_points, point_code
from benchmarks.view_tasks import Task
from bridge4d.runs.run import Run
from bridge4d.runs.stored_json import read_json, write_json
from recon.cameras import Cameras
from recon.clip import Clip
from recon.pictures.eight_bit import to_eight_bit
from recon.points import PointCloud
from recon.scene import Scene
from worldgen.model import Request, WorldModel
from worldgen.models.bridge.model import STD_PER_MEAN_ERROR
from worldgen.registry import load_model
from worldgen.rollout import rollout


@dataclass(frozen=True)
class Views:
    """What one model made of one task, at the photos' size, colours in 8 bits as a file would hold them."""

    clip: Clip
    depth: Float[Tensor, "n h w"] | None
    scale: Float[Tensor, "n h w"] | None
    """The stated Laplace scale of a pixel's mean absolute colour error."""
    seconds: dict[str, Any]
    """`first` call (with what is done once per context), `wall` and `cpu` of each later one; `threads`, `load`."""
    fingerprint: str


def generated(run: Run, task: Task, model: str) -> Views:
    """One call per target, each with a random state of its own, so that a target's picture does not depend on which
    others are asked for; kept."""

    def work(folder: Path) -> None:
        views, seconds = ask_all(task, load_model(model), context_points(run, task))
        np.savez_compressed(folder / "views.npz", allow_pickle=False, **views)
        write_json(folder / "seconds.json", seconds)

    depends = [task.identity, *how_made(task, model)]
    record = run.stage(f"generated/{task.name}/{model}", work, depends_on=depends)
    with np.load(record.folder / "views.npz") as kept:
        arrays = {key: torch.from_numpy(kept[key].astype(np.float32)) for key in kept.files}
    clip = Clip(
        arrays["images"] / 255, task.targets.require_cameras(), names=task.targets.names,
        confidence=arrays["confidence"] / 65535 if "confidence" in arrays else None,
    )  # fmt: skip
    seconds = read_json(record.folder / "seconds.json")
    return Views(clip, arrays.get("depth"), arrays.get("scale"), seconds, record.fingerprint)


def how_made(task: Task, model: str) -> list[Any]:
    """What decides a model's pictures beside what is asked for, for stages that depend on them."""
    return [model_code(model), point_code(task), sources("benchmarks.view_models")]


def ask_all(
    task: Task, model: WorldModel, points: PointCloud | None
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays of all targets, each asked for by itself: `images` (n h w 3, 8 bits) and, where the model states them,
    `confidence` (n h w, 16 bits), `depth` and `scale` (n h w). And `Views.seconds`."""
    cameras = task.targets.require_cameras()

    def ask(i: int) -> tuple[dict[str, np.ndarray], float, float]:
        seed = zlib.crc32(f"{task.seed} {task.name} {task.targets.names[i]}".encode())
        generator = torch.Generator().manual_seed(seed)
        wall, cpu = time.perf_counter(), time.process_time()
        answer = _ask(model, Request(task.context, cameras[i], scene=Scene(points=points)), generator)
        return answer, time.perf_counter() - wall, time.process_time() - cpu

    _, first, _ = ask(0)  # depth of the context is done once, and counts apart
    answers, wall, cpu = zip(*(ask(i) for i in range(len(cameras))), strict=True)
    machine = {"threads": torch.get_num_threads(), "load": round(os.getloadavg()[0], 2)}
    arrays = {key: np.concatenate([answer[key] for answer in answers]) for key in answers[0]}
    return arrays, {"first": first, "wall": list(wall), "cpu": list(cpu)} | machine


def ask_once(task: Task, model: WorldModel, points: PointCloud | None, cameras: Cameras, path: str) -> Clip:
    """All cameras of a path in one request; `path` names its random state."""
    generator = torch.Generator().manual_seed(zlib.crc32(f"{task.seed} {path}".encode()))
    request = Request(task.context, cameras, scene=Scene(points=points))
    return rollout(model, request, generator=generator).clip


def _ask(model: WorldModel, request: Request, generator: torch.Generator) -> dict[str, np.ndarray]:
    views = rollout(model, request, generator=generator)
    clip, std = views.clip, views.colour_std
    more = {"depth": views.depth, "scale": None if std is None else std / STD_PER_MEAN_ERROR}
    out = {"images": to_eight_bit(clip.images).numpy()}
    if clip.confidence is not None:
        out["confidence"] = (clip.confidence.clamp(0, 1) * 65535).round().numpy().astype(np.uint16)
    return out | {key: value.float().numpy() for key, value in more.items() if value is not None}
