"""Metrics against truth: every figure that `bridge4d measure` gives, over clips with known damage of known strength.

    python -m benchmarks.metric_curves [--metrics all] [--out runs/metric-curves] [--json]

A ray-traced room gives exact clips: an arc around the furniture, and a way forward that sways sideways. They are
damaged by one fault at a time (`worldgen.models.corrupt`) and measured as any clips are, with the *requested* cameras as
request. What must happen is said here, before looking (`RESPONDS` and `STAYS` are this table):

| fault | must get worse, step by step | must stay |
| --- | --- | --- |
| rotation drift | rotation_deg, sampson_requested_px, sed_requested_px, tsed@1, auc@30 | position_share, sampson_fitted_px |
| translation drift | position_share, sampson_requested_px, sed_requested_px, auc@30 | rotation_deg, sampson_fitted_px |
| scale drift | position_share | rotation_deg, sampson_fitted_px |
| thin-plate bend | sampson_fitted_px, sampson_requested_px, sed_requested_px, sampson_recovered_px, reprojection_px, track_length, sgc_*, splat_*; morans_i stands out | – |
| swapped frames | rotation_deg, position_share, sampson_requested_px, sed_requested_px, tsed@1, auc@30 | – |
| flicker | splat_* | rotation_deg, position_share, every epipolar metric in px |
| noise | sampson_fitted_px, reprojection_px, track_length, splat_* | rotation_deg, position_share |

Drift leaves the scene rigid: pictures of a camera that went elsewhere are as consistent as before, and only what is
held against the request may notice. A bend is explained by no camera. Swapping leaves the set of pictures what it was;
what knows no order (structure from motion, with all pairs matched) cannot notice, what is held against the request must.

A curve is the mean over the clips that are defined at all the strengths at which at least half of them are. It is
*monotone* where its end is worse than its beginning and no step towards more damage makes it better by more than 5% of
its range; what must get worse has to be that. It is *flat* where its range is below 10% of the largest that any fault
gives the metric; what must stay has to be that. A small response can be both. Where damage is so strong that clips are no
longer recovered, errors are undefined: the curve ends there, which counts as noticed. Moran's I says that errors
have structure, not how large they are: it must stand out at every strength of the bend, and need not grow.
"""

import dataclasses
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
import tyro
from jaxtyping import Float
from torch import Tensor

from benchmarks.machine import describe_machine
from bridge4d.measuring.measure_clips import measure_clips
from bridge4d.measuring.measure_options import MeasureOptions
from eval.geometry.consistency_metrics import CONSISTENCY
from eval.geometry.regions import SGC
from eval.geometry.tracks import TRACKS
from eval.geometry.view_synthesis import VIEW_SYNTHESIS
from eval.results.measure import ClipResult
from eval.trajectories import ERRORS
from recon.camera_files.formats.transforms_write import write_transforms
from recon.cameras import Cameras
from recon.clip import Clip
from recon.sfm.recipes import FRAMES
from worldgen.model import ModelSpec, Request, Views
from worldgen.models.corrupt import Corrupt, Corruption
from worldgen.models.synthetic import SyntheticRoom
from worldgen.trajectories import look_along, orbit

FAULTS: dict[str, tuple[str, tuple[float, ...]]] = {
    "rotation drift": ("rotation_drift_deg", (0.05, 0.15, 0.4, 1.0)),
    "translation drift": ("translation_drift", (0.001, 0.003, 0.007, 0.015)),
    "scale drift": ("scale_drift", (0.002, 0.005, 0.01, 0.02)),
    "thin-plate bend": ("bend_px", (0.5, 1.0, 2.0, 4.0)),
    "swapped frames": ("swapped", (0.25, 0.5, 0.75, 1.0)),
    "flicker": ("flicker", (0.02, 0.05, 0.1, 0.2)),
    "noise": ("noise", (0.01, 0.03, 0.06, 0.12)),
}
"""Of each fault the field of `Corruption` and its strengths, beside 0."""
_AGAINST_REQUEST = ("sampson_requested_px", "sed_requested_px")
_LOOKS = tuple(VIEW_SYNTHESIS)
RESPONDS: dict[str, tuple[str, ...]] = {
    "rotation drift": ("rotation_deg", *_AGAINST_REQUEST, "tsed@1", "auc@30"),
    "translation drift": ("position_share", *_AGAINST_REQUEST, "auc@30"),
    "scale drift": ("position_share",),
    "thin-plate bend": (
        "sampson_fitted_px", *_AGAINST_REQUEST, "sampson_recovered_px", *TRACKS, *SGC, *_LOOKS,
    ),
    "swapped frames": ("rotation_deg", "position_share", *_AGAINST_REQUEST, "tsed@1", "auc@30"),
    "flicker": _LOOKS,
    "noise": ("sampson_fitted_px", *TRACKS, *_LOOKS),
}  # fmt: skip
STAYS: dict[str, tuple[str, ...]] = {
    "rotation drift": ("position_share", "sampson_fitted_px"),
    "translation drift": ("rotation_deg", "sampson_fitted_px"),
    "scale drift": ("rotation_deg", "sampson_fitted_px"),
    "flicker": ("rotation_deg", "position_share", "sampson_fitted_px", *_AGAINST_REQUEST, "sampson_recovered_px"),
    "noise": ("rotation_deg", "position_share"),
}  # fmt: skip
STANDS_OUT: dict[str, tuple[str, ...]] = {"thin-plate bend": ("morans_i",)}
MONOTONE, FLAT = 0.05, 0.10
JUDGED = ("rotation_deg", "position_share")
"""Of the pose errors; the others are these in other units."""
SHARES = ("registered", "auc@5", "auc@15", "auc@30")
PATHS = ("arc", "sway")
CLEAN = "none"
EPIPOLAR = (*CONSISTENCY, *SGC)
"""Undefined where the camera stands still or only turns."""


@dataclass(frozen=True)
class Arguments:
    frames: int = 24
    width: int = 256
    height: int = 160
    paths: tuple[str, ...] = PATHS
    seeds: tuple[int, ...] = (0, 1)
    """Each is a room of its own, with damage of its own."""
    strengths: int = 4
    """Of each fault, beside 0: so many of `FAULTS`, evenly chosen."""
    faults: tuple[str, ...] = tuple(FAULTS)
    metrics: Literal["fast", "all"] = "fast"
    workers: int = 0
    out: Path | None = None
    """Keeps clips, run and a picture of the curves there."""
    json: bool = False


@dataclass(frozen=True)
class Case:
    """Clips with one damage."""

    name: str
    """As a folder."""
    fault: str
    strength: float
    corruption: Corruption


@dataclass(frozen=True)
class Curve:
    """A metric over the strengths of one fault."""

    metric: str
    fault: str
    higher_is_better: bool
    strengths: tuple[float, ...]
    values: tuple[float | None, ...]
    """Means over clips; None where fewer than half of them have one."""
    clips: int
    """Over which the means are taken: those with a value at each of these strengths."""
    defined: tuple[int, ...]
    """How many clips have a value, for each strength."""

    @property
    def harm(self) -> Float[Tensor, "k"]:
        """The defined values up to the first gap, turned so that more is worse."""
        known = []
        for value in self.values:
            if value is None:
                break
            known.append(-value if self.higher_is_better else value)
        return torch.tensor(known, dtype=torch.float64)

    @property
    def span(self) -> float:
        return (self.harm.max() - self.harm.min()).item() if len(self.harm) else 0.0

    @property
    def monotone(self) -> bool:
        """Whether it ends worse than it began and never steps back much; also where it ends in nothing at once."""
        if len(self.harm) < 2:
            return 0 < len(self.harm) < len(self.values)
        return bool(self.harm[-1] > self.harm[0] and self.harm.diff().min() >= -MONOTONE * self.span)

    @property
    def stands_out(self) -> bool:
        """Whether every damaged value is worse than the clean one by more than half of the range."""
        return len(self.harm) > 1 and bool((self.harm[1:] - self.harm[0]).min() > self.span / 2)

    def flat(self, span: float) -> bool:
        """Beside the largest `span` that any fault gives the metric."""
        return len(self.harm) == len(self.values) and self.span <= FLAT * span

    def shape(self, span: float) -> str:
        """In words."""
        if not len(self.harm):
            return "undefined"
        step = "monotone" if self.monotone else "not monotone"
        return f"{step}, flat" if self.flat(span) else step


@dataclass
class Remembered:
    """The room, with every picture that was ever drawn of it: most faults ask for the same ones."""

    room: SyntheticRoom
    drawn: dict[bytes, Float[Tensor, "h w 3"]] = field(default_factory=dict)

    @property
    def spec(self) -> ModelSpec:
        return self.room.spec

    def generate(self, request: Request, *, generator: torch.Generator) -> Views:
        cameras = request.targets
        keys = [pose.numpy().tobytes() for pose in cameras.cam_from_world.double()]
        fresh = [i for i, key in enumerate(keys) if key not in self.drawn]
        if fresh:
            images, _ = self.room.render(cameras[fresh])
            self.drawn |= {keys[i]: image for i, image in zip(fresh, images, strict=True)}
        return Views(Clip(torch.stack([self.drawn[key] for key in keys]), cameras))


def path(name: str, room: SyntheticRoom, frames: int, *, width: int, height: int) -> Cameras:
    """'arc': 50 degrees around the furniture. 'sway': 0.7 m towards it, a quarter metre to either side on the way."""
    start = room.cameras(3, width=width, height=height)[1]
    target = torch.tensor([-0.1, 1.25, 0.62], dtype=torch.float64)
    up = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    if name == "arc":
        begin = orbit(start, target=target, count=2, arc_deg=-25.0, up=up)[1]
        return orbit(begin, target=target, count=frames, arc_deg=50.0, up=up)
    share = torch.linspace(0, 1, frames, dtype=torch.float64)[:, None]
    pose = start.world_from_cam[0].double()
    eyes = pose[:3, 3] + 0.7 * share * pose[:3, 2] + 0.25 * torch.sin(5 * share) * pose[:3, 0]
    return look_along(eyes, target=target, up=up, lens=start)


def cases(faults: Sequence[str], strengths: int) -> list[Case]:
    """The clean clips first."""
    out = [Case(CLEAN, CLEAN, 0.0, Corruption())]
    for fault in faults:
        name, all_strengths = FAULTS[fault]
        picks = torch.linspace(len(all_strengths) - 1, 0, strengths).round().long().unique().tolist()
        out += [
            Case(f"{name}-{all_strengths[i]:g}", fault, all_strengths[i], Corruption(**{name: all_strengths[i]}))
            for i in picks
        ]  # fmt: skip
    return out


def write_clips(folder: Path, wanted: Sequence[Case], arguments: Arguments) -> Path:
    """Every case of every room and path, and the degenerate clips; returns the manifest."""
    rows: list[dict[str, str]] = []
    size = {"width": arguments.width, "height": arguments.height}

    def write(clip: Clip, model: str, group: str) -> None:
        write_transforms(folder / model / group / "transforms.json", clip)
        rows.append({"clip": f"{model}/{group}", "name": f"{model}/{group}", "model": model, "group": group})

    for seed in arguments.seeds:
        model = Remembered(SyntheticRoom(seed))
        for number, name in enumerate(arguments.paths):
            targets = path(name, model.room, arguments.frames, **size)
            for case in wanted:
                generator = torch.Generator().manual_seed(1000 * seed + number)
                corrupt = Corrupt(model, case.corruption)
                asked = Request(Clip(torch.zeros(0, arguments.height, arguments.width, 3)), targets)
                write(corrupt.generate(asked, generator=generator).clip, case.name, f"{name}-{seed}")
            for kind, clip in degenerate(model, targets, seed):
                write(clip, kind, f"{name}-{seed}")
        print(f"clips of room {seed} are drawn", file=sys.stderr, flush=True)
    manifest = folder / "clips.json"
    manifest.write_text(json.dumps(rows, indent=1))
    return manifest


def degenerate(model: Remembered, targets: Cameras, seed: int) -> list[tuple[str, Clip]]:
    """A camera that stands still and one that only turns, each with what it did and with a moving path as request."""
    generator = torch.Generator().manual_seed(seed)
    n = len(targets)
    still = targets[[0] * n]
    poses = still.world_from_cam.clone()
    angle = torch.linspace(-0.2, 0.2, n, dtype=torch.float64)
    turn = torch.eye(3, dtype=torch.float64).repeat(n, 1, 1)
    turn[:, 0, 0] = turn[:, 2, 2] = angle.cos()
    turn[:, 0, 2], turn[:, 2, 0] = angle.sin(), -angle.sin()
    poses[:, :3, :3] = poses[:, :3, :3] @ turn
    turning = dataclasses.replace(targets, cam_from_world=torch.linalg.inv(poses))
    out = []
    for kind, cameras in (("static", still), ("rotation only", turning)):
        asked = Request(Clip(torch.zeros(0, targets.height, targets.width, 3)), cameras)
        images = model.generate(asked, generator=generator).clip.images
        images = (images + 0.005 * torch.randn(images.shape, generator=generator)).clamp(0, 1)
        out += [
            (f"{kind}, as asked", Clip(images, cameras)),
            (f"{kind}, not as asked", Clip(images, targets)),
        ]
    return out


def figures(clip: ClipResult) -> dict[str, float | None]:
    """All that is judged of one clip."""
    shares = {name: clip.verdicts[name].share for name in SHARES if name in clip.verdicts}
    return {
        "registered": clip.registered / clip.frames if clip.frames else None,
        **shares,
        **{name: clip.errors[name].value for name in JUDGED if name in clip.errors},
        **{name: value.value for name, value in clip.consistency.items()},
    }


def better_high(metric: str) -> bool:
    infos = ERRORS | CONSISTENCY | TRACKS | SGC | VIEW_SYNTHESIS
    return metric in SHARES or infos[metric].higher_is_better


def curves(clips: Sequence[ClipResult], wanted: Sequence[Case]) -> list[Curve]:
    """One for each fault and metric."""
    by_case: dict[str, dict[str, dict[str, float | None]]] = {}
    for clip in clips:
        by_case.setdefault(clip.model, {})[clip.group] = figures(clip)
    metrics = list(next(iter(by_case[CLEAN].values())))
    out = []
    for fault in dict.fromkeys(case.fault for case in wanted if case.fault != CLEAN):
        steps = [wanted[0], *(case for case in wanted if case.fault == fault)]
        for metric in metrics:
            table = [{g: f.get(metric) for g, f in by_case[s.name].items()} for s in steps]
            out.append(_curve(metric, fault, tuple(s.strength for s in steps), table))
    return out


def _curve(
    metric: str, fault: str, strengths: tuple[float, ...], table: Sequence[Mapping[str, float | None]]
) -> Curve:
    """Means over the same clips at every strength, so that no curve falls because a bad clip dropped out."""
    defined = tuple(sum(v is not None for v in row.values()) for row in table)
    shown = [count > 0 and 2 * count >= len(row) for count, row in zip(defined, table, strict=True)]
    rows = [row for row, show in zip(table, shown, strict=True) if show]
    kept = [g for g in table[0] if rows and all(row.get(g) is not None for row in rows)]
    values = [
        sum(row[g] or 0.0 for g in kept) / len(kept) if show and kept else None
        for row, show in zip(table, shown, strict=True)
    ]
    return Curve(metric, fault, better_high(metric), strengths, tuple(values), len(kept), defined)


def spans(found: Sequence[Curve]) -> dict[str, float]:
    out: dict[str, float] = {}
    for curve in found:
        out[curve.metric] = max(out.get(curve.metric, 0.0), curve.span)
    return out


def broken(found: Sequence[Curve]) -> list[str]:
    """Every curve that is not what the table above says."""
    span = spans(found)
    out = []
    for curve in found:
        metric, fault = curve.metric, curve.fault
        if metric in RESPONDS[fault] and not curve.monotone:
            out.append(f"{metric} must respond to {fault}, and is {curve.shape(span[metric])}")
        if metric in STAYS.get(fault, ()) and not curve.flat(span[metric]):
            out.append(f"{metric} must not respond to {fault}, and is {curve.shape(span[metric])}")
        if metric in STANDS_OUT.get(fault, ()) and not curve.stands_out:
            out.append(f"{metric} must stand out at every strength of {fault}, and does not")
    return out


def wrongly_defined(clips: Sequence[ClipResult]) -> list[str]:
    """Epipolar metrics that are defined for clips without parallax."""
    return [
        f"{metric} of {clip.name} is {value.value}"
        for clip in clips
        if clip.model.startswith(("static", "rotation only"))
        for metric, value in clip.consistency.items()
        if metric in EPIPOLAR and value.value is not None
    ]


def table(found: Sequence[Curve]) -> str:
    """A row for each fault and metric, as Markdown; bold where `RESPONDS` or `STAYS` asks for it."""
    span = spans(found)
    rows = ["| fault | metric | " + "strength 0 → most | clips | curve | asked |", "| --- " * 6 + "|"]
    for curve in found:
        asked = (
            "worse" if curve.metric in RESPONDS[curve.fault]
            else "flat" if curve.metric in STAYS.get(curve.fault, ()) else ""
        )  # fmt: skip
        values = ", ".join("–" if v is None else f"{v:.3g}" for v in curve.values)
        rows.append(
            f"| {curve.fault} | {curve.metric} | {values} | {curve.clips} | "
            f"{curve.shape(span[curve.metric])} | {asked} |"
        )
    return "\n".join(rows)


def plot(found: Sequence[Curve], file: Path) -> None:
    """A panel for each metric, a line for each fault, over its strength as a share of the largest."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    metrics = list(dict.fromkeys(curve.metric for curve in found))
    columns = 4
    rows = -(-len(metrics) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(4 * columns, 2.8 * rows), squeeze=False)
    colors = {fault: f"C{i}" for i, fault in enumerate(FAULTS)}
    for panel, metric in zip(axes.flat, metrics, strict=False):
        for curve in (c for c in found if c.metric == metric):
            x = [s / curve.strengths[-1] for s in curve.strengths]
            y = [float("nan") if v is None else v for v in curve.values]
            panel.plot(x, y, "o-", ms=3, color=colors[curve.fault], label=curve.fault)
        panel.set_title(metric + (" (higher is better)" if better_high(metric) else ""), fontsize=9)
        panel.grid(alpha=0.3)
    for panel in axes.flat[len(metrics) :]:
        panel.axis("off")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower right", ncols=2)
    figure.supxlabel("strength, of the largest")
    figure.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=90)
    plt.close(figure)


def measured(folder: Path, arguments: Arguments) -> tuple[list[ClipResult], list[Case]]:
    """The clips are written and measured in `folder`."""
    assert arguments.frames <= FRAMES.exhaustive_up_to, "swapped frames are told apart by all pairs only"
    wanted = cases(arguments.faults, arguments.strengths)
    manifest = write_clips(folder / "clips", wanted, arguments)
    options = MeasureOptions(rules=("share@90", "auc"), metrics=arguments.metrics, workers=arguments.workers)
    return list(measure_clips(manifest, folder / "run", options).report.clips), wanted


def main(arguments: Arguments) -> int:
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.out or Path(scratch)
        clips, wanted = measured(folder, arguments)
        found = curves(clips, wanted)
        if arguments.out is not None:
            plot(found, arguments.out / "curves.png")
    faults, loose = broken(found), wrongly_defined(clips)
    if arguments.json:
        shapes = spans(found)
        rows = [{**dataclasses.asdict(c), "shape": c.shape(shapes[c.metric])} for c in found]
        machine = describe_machine(arguments.workers)
        print(json.dumps({"machine": machine, "curves": rows, "broken": faults, "defined": loose}, indent=1))
    else:
        print(table(found))
        print(f"\n{len(faults)} curves are not as they must be")
        print("\n".join(faults))
        print(f"{len(loose)} epipolar metrics are defined for clips without parallax")
        print("\n".join(loose))
    return 1 if faults or loose else 0


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Arguments, description=__doc__)))
