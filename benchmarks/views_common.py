"""What the benchmarks of generated views share: which photos are given, which judge, what photos alone show of a
view, and what each model makes of it. Everything that takes long is kept in the run folder and read again."""

import ast
import os
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from bridge4d.run import Run, fingerprint, read_json, write_json
from bridge4d.store import load_points, save_points
from recon.cameras import Cameras, backproject, project
from recon.capture import transforms_json
from recon.capture.colmap_model import find_model
from recon.capture.read import read_capture
from recon.clip import Clip
from recon.depth import DepthMaps, multiview_depth
from recon.errors import BridgeError
from recon.points import PointCloud
from recon.sfm.anchor import build_anchor
from worldgen.model import Request, WorldModel
from worldgen.registry import MODELS, load_model
from worldgen.rollout import rollout
from worldgen.warp import WarpOptions, nearest_photos, see_from

BASELINE = "warp"
ROOT = Path(__file__).parents[1]
PACKAGES = ("recon", "worldgen", "eval", "benchmarks")
UNSEEN_DEG = 180.0
"""Angle to the nearest photo where none sees the pixel."""


@dataclass(frozen=True)
class ViewArguments:
    """Which captures, photos and models."""

    captures: Path = Path("../shared/captures")
    """Folder of captures; those with reference cameras take part."""
    only: tuple[str, ...] = ()
    """Names of captures; all where none is given."""
    models: str = BASELINE
    """Names of world models, separated by commas; warp always takes part."""
    contexts: tuple[int, ...] = (3, 6, 9)
    """Numbers of photos given."""
    limit: int | None = None
    """At most so many targets a capture, evenly spaced; all other photos by default."""
    side: int = 384
    """Long side of the pictures, px."""
    points: bool = False
    """Give models the points that COLMAP triangulates from the context photos alone, with their reference cameras;
    without them the range of depths is a guess from the distances between cameras."""
    seed: int = 0
    out: Path = Path("runs/views")
    """Keeps what was generated and measured, for all benchmarks of views; started again it continues."""

    @property
    def model_names(self) -> list[str]:
        """warp first, each once."""
        return list(
            dict.fromkeys([BASELINE, *(name.strip() for name in self.models.split(",") if name.strip())])
        )


@dataclass(frozen=True)
class Task:
    """A capture, so many of its photos given, others that judge."""

    capture: str
    context: Clip
    targets: Clip
    seed: int
    with_points: bool = False

    @property
    def name(self) -> str:
        return f"{self.capture}-{len(self.context)}{'-points' if self.with_points else ''}"

    @property
    def given(self) -> list[Any]:
        """What the context is, for stages that depend on it."""
        return [self.capture, self.with_points, *_identity(self.context)]

    @property
    def identity(self) -> list[Any]:
        return [*self.given, *_identity(self.targets), self.seed]


def _identity(clip: Clip) -> list[Any]:
    cameras = clip.posed()
    return [
        clip.names,
        zlib.crc32(clip.images.numpy().tobytes()),
        cameras.cam_from_world.tolist(),
        cameras.K.tolist(),
    ]


def tasks(arguments: ViewArguments) -> Iterator[Task]:
    """Every capture with reference cameras at every number of contexts that leaves a photo to judge.

    Raises:
        BridgeError: there is no such capture.
    """
    folders = [
        p for p in sorted(arguments.captures.iterdir()) if not arguments.only or p.name in arguments.only
    ]
    folders = [p for p in folders if p.is_dir() and _has_cameras(p)]
    if not folders:
        raise BridgeError(
            f"expected captures with reference cameras below {arguments.captures}, found none; set --captures"
        )
    for folder in folders:
        photos = read_capture(folder, max_side=arguments.side, resize_mixed=True).clip
        for count in arguments.contexts:
            if count < len(photos):
                yield _task(folder.name, photos, count, arguments)


def _has_cameras(folder: Path) -> bool:
    return transforms_json.has_cameras(folder / "transforms.json") or find_model(folder) is not None


def _task(name: str, photos: Clip, count: int, arguments: ViewArguments) -> Task:
    given = choose_contexts(photos.posed(), count)
    others = [i for i in range(len(photos)) if i not in given]
    picks = [others[i] for i in evenly(len(others), arguments.limit)]
    return Task(name, photos[given], photos[picks], arguments.seed, arguments.points)


def choose_contexts(cameras: Cameras, count: int) -> list[int]:
    """Farthest-point sampling of camera centres (Gonzalez 1985), begun at the most central camera: the one with the
    smallest sum of distances to all others. Of equals the first. It looks at cameras only, and fewer contexts are
    the beginning of more."""
    centers = cameras.centers.double()
    apart = torch.cdist(centers, centers, compute_mode="donot_use_mm_for_euclid_dist")
    picks = [int(apart.sum(1).argmin())]
    while len(picks) < count:
        nearest = apart[:, picks].min(1).values
        nearest[picks] = -1
        picks.append(int(nearest.argmax()))
    return picks


def evenly(n: int, limit: int | None) -> list[int]:
    """Up to `limit` of n indices, evenly spread from first to last; the middle one for a limit of one."""
    if limit is None or limit >= n:
        return list(range(n))
    if limit == 1:
        return [n // 2]
    return torch.linspace(0, n - 1, limit, dtype=torch.float64).round().long().tolist()


@dataclass(frozen=True)
class Seen:
    """What the depth of the context photos shows of n views, the same for every model."""

    depth: Float[Tensor, "n h w"]
    """z-depth fused from the photos; 0 where no photo looks."""
    colour: Float[Tensor, "n h w 3"]
    """The raw warp: blended photos, holes black."""
    confidence: Float[Tensor, "n h w"]
    """Of the raw warp; 0 in holes."""
    angle_deg: Float[Tensor, "n h w"]
    """Between the ray of a pixel and that of the nearest photo which sees its point; 180 where none does."""

    @property
    def mask(self) -> Bool[Tensor, "n h w"]:
        """Pixels that a context photo sees."""
        return self.confidence > 0


def context_points(run: Run, task: Task) -> PointCloud | None:
    """What COLMAP triangulates from the context photos alone; kept. None where the task goes without."""
    if not task.with_points:
        return None

    def work(folder: Path) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            save_points(build_anchor(task.context, Path(scratch)).points, folder / "points.npz")

    record = run.stage(f"points/{task.name}", work, depends_on=task.given)
    return load_points(record.folder / "points.npz")


def context_depth(run: Run, task: Task) -> DepthMaps:
    """Depth of the context photos from these photos alone, and their points where the task has them; kept."""

    def work(folder: Path) -> None:
        maps = multiview_depth(task.context, points=context_points(run, task))
        np.savez(folder / "depth.npz", depth=maps.depth.numpy(), confidence=maps.confidence.numpy())

    record = run.stage(f"depth/{task.name}", work, depends_on=[task.given, sources("recon.depth")])
    with np.load(record.folder / "depth.npz") as kept:
        return DepthMaps(torch.from_numpy(kept["depth"]), torch.from_numpy(kept["confidence"]))


def seen_from(run: Run, task: Task, cameras: Cameras) -> Seen:
    """What the context shows of these views."""
    maps = context_depth(run, task)
    options = WarpOptions()
    parts = []
    for i in range(len(cameras)):
        picks = nearest_photos(task.context.posed(), maps, cameras[i], options.photos)
        sight = see_from(task.context, maps, cameras[i], picks, options)
        known = sight.inverse_depth > 0
        depth = torch.where(known, 1 / sight.inverse_depth.clamp_min(1e-12), 0)
        angle = nearest_angle_deg(depth, cameras[i], task.context.posed(), maps, same=2 * options.same)
        parts.append((depth, sight.colour * (sight.confidence > 0)[..., None], sight.confidence, angle))
    return Seen(*(torch.stack(column) for column in zip(*parts, strict=True)))


def nearest_angle_deg(
    depth: Float[Tensor, "h w"], camera: Cameras, photos: Cameras, maps: DepthMaps, *, same: float
) -> Float[Tensor, "h w"]:
    """The smallest angle between a pixel's ray and the ray of a photo that sees its point: inside the frame, and at
    the depth found there within the share `same`."""
    points = backproject(depth[None].double(), camera)[0].reshape(-1, 3)
    px, z = project(points, photos)
    h, w = maps.depth.shape[1:]
    column, row = px[..., 0].floor().long(), px[..., 1].floor().long()
    inside = (z > 0) & (column >= 0) & (row >= 0) & (column < w) & (row < h)
    at = row.clamp(0, h - 1) * w + column.clamp(0, w - 1)
    there = maps.depth.double().flatten(1).gather(1, at)
    sees = inside & ((z / there - 1).abs() <= same) & (depth.flatten() > 0)
    ours = torch.nn.functional.normalize(points - camera.centers.double(), dim=-1)
    theirs = torch.nn.functional.normalize(points[None] - photos.centers.double()[:, None], dim=-1)
    angle = torch.rad2deg(torch.arccos((ours * theirs).sum(-1).clamp(-1, 1)))
    return torch.where(sees, angle, UNSEEN_DEG).min(0).values.reshape(depth.shape).float()


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
        views, seconds = _generate(task, load_model(model, points=context_points(run, task)))
        np.savez_compressed(folder / "views.npz", allow_pickle=False, **views)
        write_json(folder / "seconds.json", seconds)

    depends = [task.identity, model_code(model)]
    record = run.stage(f"generated/{task.name}/{model}", work, depends_on=depends)
    with np.load(record.folder / "views.npz") as kept:
        arrays = {key: torch.from_numpy(kept[key].astype(np.float32)) for key in kept.files}
    clip = Clip(
        arrays["images"] / 255, task.targets.posed(), names=task.targets.names,
        confidence=arrays["confidence"] / 65535 if "confidence" in arrays else None,
    )  # fmt: skip
    seconds = read_json(record.folder / "seconds.json")
    return Views(clip, arrays.get("depth"), arrays.get("scale"), seconds, record.fingerprint)


def _generate(task: Task, model: WorldModel) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    cameras = task.targets.posed()
    timed: dict[str, Any] = {"first": 0.0, "wall": [], "cpu": []}
    parts: dict[str, list[np.ndarray]] = {}
    for i in [
        0,
        *range(len(cameras)),
    ]:  # the first twice: depth of the context is done once, and counts apart
        seed = zlib.crc32(f"{task.seed} {task.name} {task.targets.names[i]}".encode())
        generator = torch.Generator().manual_seed(seed)
        wall, cpu = time.perf_counter(), time.process_time()
        answer = _ask(model, Request(task.context, cameras[i]), generator)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        if not timed["first"]:
            timed["first"] = wall
            continue
        timed["wall"].append(wall)
        timed["cpu"].append(cpu)
        for key, value in answer.items():
            parts.setdefault(key, []).append(value)
    machine = {"threads": torch.get_num_threads(), "load": round(os.getloadavg()[0], 2)}
    return {key: np.concatenate(values) for key, values in parts.items()}, timed | machine


def _ask(model: Any, request: Request, generator: torch.Generator) -> dict[str, np.ndarray]:
    if hasattr(model, "generate_views"):
        views = model.generate_views(request, generator=generator)
        clip, more = views.clip, {"depth": views.depth, "scale": views.scale}
    else:
        clip, more = rollout(model, request, generator=generator), {}
    out = {"images": (clip.images.clamp(0, 1) * 255).round().to(torch.uint8).numpy()}
    if clip.confidence is not None:
        out["confidence"] = (clip.confidence.clamp(0, 1) * 65535).round().numpy().astype(np.uint16)
    return out | {key: value.float().numpy() for key, value in more.items() if value is not None}


@cache
def code(*paths: str) -> str:
    """A hash of files of the project and of all files below its folders, compiled ones aside."""
    files = [
        f for p in paths for f in ([ROOT / p] if (ROOT / p).is_file() else sorted((ROOT / p).rglob("*")))
    ]
    files = [f for f in files if f.is_file() and "__pycache__" not in f.parts]
    return fingerprint([(str(f.relative_to(ROOT)), zlib.crc32(f.read_bytes())) for f in files])


@cache
def sources(*modules: str) -> str:
    """A hash of modules of the project and of all that they import of it, wherever in them; of packages, also of the
    weights that lie in them. What it hashes decides figures; an edit elsewhere leaves them valid."""
    files: dict[Path, None] = {}
    waiting = list(modules)
    while waiting:
        path = ROOT.joinpath(*waiting.pop().split("."))
        if path.is_dir():
            files |= dict.fromkeys(f for f in path.iterdir() if f.suffix == ".safetensors")
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if (
            file in files or not file.is_file()
        ):  # `from package import name` asks for names that are no modules
            continue
        files[file] = None
        waiting += imported(file)
    return fingerprint([(str(f.relative_to(ROOT)), zlib.crc32(f.read_bytes())) for f in sorted(files)])


def imported(file: Path) -> list[str]:
    """Dotted names of what a file may import of the project, a name out of a package as if it were a module."""
    out: list[str] = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in PACKAGES:
            parts = node.module.split(".")
            out += [".".join(parts[: i + 1]) for i in range(len(parts))]
            out += [f"{node.module}.{alias.name}" for alias in node.names]
    return out


def model_code(name: str) -> str:
    """A hash of what decides a model's pictures.

    Raises:
        BridgeError: an unknown name.
    """
    if name not in MODELS:
        raise BridgeError(f"expected one of the world models {', '.join(sorted(MODELS))}, got {name!r}")
    return sources(*parents(MODELS[name].module))


def parents(module: str) -> list[str]:
    """The packages it lies in, and itself: their weights are its own."""
    parts = module.split(".")
    return [".".join(parts[: i + 1]) for i in range(1, len(parts))]


@dataclass
class Table:
    """Markdown."""

    columns: Sequence[str]
    rows: list[list[str]] = field(default_factory=list)

    def add(self, *cells: object) -> None:
        self.rows.append([str(cell) for cell in cells])

    def __str__(self) -> str:
        lines = [list(self.columns), ["---"] * len(self.columns), *self.rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(value: float | None, form: str = "{:.2f}") -> str:
    """A dash for what is undefined."""
    return "–" if value is None else form.format(value)


def mean(values: Sequence[float | None]) -> float | None:
    """Over those that are defined; None where none is."""
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known else None


def contact_sheet(
    rows: Sequence[Sequence[Float[Tensor, "h w 3"]]],
    path: Path,
    *,
    titles: Sequence[str],
    labels: Sequence[str] = (),
) -> None:
    """Pictures of one size in rows, a title over each column and a label over each row, as a PNG."""
    from PIL import Image, ImageDraw

    h, w = rows[0][0].shape[:2]
    head = 16
    step = h + (head if labels else 2)
    sheet = Image.new("RGB", (len(rows[0]) * (w + 2), head + len(rows) * step), "white")
    draw = ImageDraw.Draw(sheet)
    for j, title in enumerate(titles):
        draw.text((j * (w + 2) + 2, 2), title, fill="black")
    for i, row in enumerate(rows):
        top = head + i * step
        if labels:
            draw.text((2, top + 2), labels[i], fill="black")
        for j, picture in enumerate(row):
            pixels = (picture.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
            sheet.paste(Image.fromarray(pixels), (j * (w + 2), top + step - h))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)
