"""Does a world model know where it is wrong? Stated confidence beside the error on held-out photos.

    python -m benchmarks.view_calibration --models warp,bridge [--contexts 3 6 9] [--limit 5 --side 200] [--splats]

Confidence is read as the probability that the mean absolute sRGB error of a pixel is below --within. Reliability
and expected calibration error are over all pixels (10 bins). Ranking (Spearman, Pearson, AUSE after Ilg et al.
2018 with RMSE) is over up to 20,000 evenly drawn pixels of each view; AUSE is given pooled over the views of a
capture and as the mean over views. Rivals rank the same errors: the angle to the nearest photo that sees the pixel,
the distance of the view from the nearest photo, the warp's confidence and, with --splats, the opacity of Gaussians
fitted to the context photos. Coverage is that of the stated Laplace scale, where the model gives one. *seen* are the
pixels that a context photo sees, as in view_quality. Nothing is fitted to what judges: a model's calibration comes with it. Figures of 'all' are of all pixels for reliability, means of
captures for the rest. Photos, contexts and pictures are shared with view_quality in the same --out.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.output import Table, command, mean, number, write_record
from benchmarks.source_hash import sources
from benchmarks.view_context import Seen, context_depth, point_code, seen_of_targets
from benchmarks.view_models import Views, generated
from benchmarks.view_tasks import BASELINE, Task, ViewArguments, tasks
from bridge4d.runs.run import Run, open_run
from bridge4d.runs.stored_json import read_json, write_json
from eval.stats.calibration import LEVELS, Reliability, ause, correlations, laplace_coverage, reliability
from recon.depth import surface_points

OWN = "confidence"
SAMPLE = 20_000
START_POINTS, START_CONFIDENCE = 10_000, 0.5
"""Of the Gaussians before they are fitted: how many, and the least confidence of the depth they are put at."""
PARTS = ("whole", "seen", "holes")


@dataclass(frozen=True)
class Arguments(ViewArguments):
    within: float = 0.1
    """The mean absolute sRGB error below which a pixel counts as right."""
    splats: bool = False
    """Also fit Gaussians to the context photos, and let their opacity compete."""
    splat_seconds: float = 20.0
    """CPU-seconds of each fit."""


Result = dict[str, Any]
"""Of one model on one task: capture, contexts, model, reliability by part, ranking by rival, coverage."""


def main(arguments: Arguments) -> None:
    results: list[Result] = []
    with open_run(arguments.out) as run:
        for task in tasks(arguments):
            for name in arguments.model_names:
                result = measure(run, task, name, arguments)
                if result is None:
                    print(f"{task.name}: {name} states no confidence")
                    continue
                results.append(result)
                print(f"{task.name}: {name}, ECE {number(ece(result), '{:.3f}')}", flush=True)
    summary = [*results, *overall(results)]
    written = write_record(arguments, "view_calibration", levels=LEVELS, results=summary)
    plot(summary, arguments.out / "reliability.png", within=arguments.within)
    print(f"\n{reliability_table(summary)}\n\n{ranking_table(summary)}\n\n{coverage_table(summary)}\n")
    print(f"written: {written} and {arguments.out / 'reliability.png'}")


def measure(run: Run, task: Task, name: str, arguments: Arguments) -> Result | None:
    """None for a model that states no confidence."""
    views = generated(run, task, name)
    if views.clip.confidence is None:
        return None
    base = generated(run, task, BASELINE)

    def work(folder: Path) -> None:
        seen = seen_of_targets(run, task)
        rivals = rankings(task, views, base, seen)
        if arguments.splats:
            rivals["splat opacity"] = splat_opacity(run, task, arguments.splat_seconds)
        write_json(folder / "calibration.json", judge(task, name, views, seen, rivals, arguments.within))

    own = sources("benchmarks.view_calibration", "worldgen.models.warp")
    splats = arguments.splats and arguments.splat_seconds
    given = [task.identity, point_code(task), views.fingerprint, base.fingerprint]
    depends = [given, own, arguments.within, splats]
    record = run.stage(f"calibration/{task.name}/{name}", work, depends_on=depends)
    return read_json(record.folder / "calibration.json")


def rankings(task: Task, views: Views, base: Views, seen: Seen) -> dict[str, Float[Tensor, "n h w"]]:
    """Guesses of where a picture is right, more is surer; the model's own first."""
    assert views.clip.confidence is not None
    assert base.clip.confidence is not None
    targets, photos = task.targets.require_cameras().centers, task.context.require_cameras().centers
    distance = torch.cdist(targets, photos, compute_mode="donot_use_mm_for_euclid_dist").min(1).values
    out = {OWN: views.clip.confidence}
    if base.fingerprint != views.fingerprint:
        out["warp's confidence"] = base.clip.confidence
    return out | {
        "angle to photo": -seen.angle_deg,
        "distance to photo": (-distance).float()[:, None, None].expand_as(seen.angle_deg),
    }


def splat_opacity(run: Run, task: Task, cpu_seconds: float) -> Float[Tensor, "n h w"]:
    """How much of each pixel Gaussians cover that were fitted to the context photos; kept."""
    from recon.splats.fit import FitOptions, fit_gaussians
    from recon.splats.render import render

    def work(folder: Path) -> None:
        generator = torch.Generator().manual_seed(task.seed)
        maps = context_depth(run, task)
        start = surface_points(
            task.context, maps, count=START_POINTS, generator=generator, least_confidence=START_CONFIDENCE
        )
        # a backdrop would cover everything, and say nothing
        options = FitOptions(cpu_seconds=cpu_seconds, backdrop=0)
        scene = fit_gaussians(task.context, start, options=options, generator=generator).gaussians
        with torch.no_grad():
            alpha = torch.cat(
                [render(scene, task.targets.require_cameras()[i]).alpha for i in range(len(task.targets))]
            )
        np.savez_compressed(folder / "alpha.npz", alpha=alpha.float().numpy())

    code = sources("recon.splats.fit", "recon.splats.render", "recon.depth")
    depends = [task.identity, cpu_seconds, START_POINTS, START_CONFIDENCE, point_code(task), code]
    record = run.stage(f"splats/{task.name}", work, depends_on=depends)
    with np.load(record.folder / "alpha.npz") as kept:
        return torch.from_numpy(kept["alpha"])


def judge(
    task: Task, name: str, views: Views, seen: Seen, rivals: dict[str, Float[Tensor, "n h w"]], within: float
) -> Result:
    error = (views.clip.images - task.targets.images).abs().mean(-1)
    masks = {"whole": torch.ones_like(seen.mask), "seen": seen.mask, "holes": ~seen.mask}
    found = {part: reliability(rivals[OWN][mask], error[mask] < within) for part, mask in masks.items()}
    step = stride(*error.shape[1:])
    drawn = error.flatten(1)[:, ::step]
    coverage = None
    if views.scale is not None:
        coverage = {part: laplace_coverage(error[m], views.scale[m]) for part, m in masks.items()}
    return {
        "capture": task.capture,
        "contexts": len(task.context),
        "targets": len(task.targets),
        "model": name,
        "mean_error": error.mean().item(),
        "right": (error < within).double().mean().item(),
        "reliability": {part: as_lists(value) for part, value in found.items()},
        "ece": {part: value.expected_error for part, value in found.items()},
        "ranking": {key: ranking(drawn, value.flatten(1)[:, ::step]) for key, value in rivals.items()},
        "coverage": coverage,
    }


def stride(height: int, width: int) -> int:
    """Every so manieth pixel for a sample of at most `SAMPLE`, wandering over all columns from row to row."""
    step = -(-height * width // SAMPLE)
    while math.gcd(step, width) > 1:
        step += 1
    return step


def ranking(error: Float[Tensor, "n q"], sureness: Float[Tensor, "n q"]) -> dict[str, float | None]:
    """Correlations with the error, which should be negative, and areas under the sparsification error."""
    spearman, pearson = correlations(sureness.flatten(), error.flatten())
    by_view = [ause(e, -s) for e, s in zip(error, sureness, strict=True)]
    return {
        "spearman": spearman,
        "pearson": pearson,
        "ause": ause(error.flatten(), -sureness.flatten()),
        "ause_of_views": mean(by_view),
    }


def as_lists(value: Reliability) -> dict[str, list[float]]:
    return {key: part.tolist() for key, part in asdict(value).items()}


def from_lists(content: dict[str, list[float]]) -> Reliability:
    return Reliability(**{key: torch.tensor(part, dtype=torch.float64) for key, part in content.items()})


def ece(result: Result) -> float | None:
    return result["ece"]["whole"]


def overall(results: Sequence[Result]) -> list[Result]:
    """All captures together, for every number of contexts and model."""
    out = []
    for contexts, model in dict.fromkeys((r["contexts"], r["model"]) for r in results):
        group = [r for r in results if (r["contexts"], r["model"]) == (contexts, model)]
        sums = {}
        for part in PARTS:
            first, *others = (from_lists(r["reliability"][part]) for r in group)
            sums[part] = sum(others, start=first)
        rivals = {
            rival: {
                key: mean([r["ranking"][rival][key] for r in group]) for key in group[0]["ranking"][rival]
            }
            for rival in group[0]["ranking"]
        }
        coverage = None
        if group[0]["coverage"]:
            coverage = {
                part: [mean([r["coverage"][part][i] for r in group]) for i in range(len(LEVELS))]
                for part in PARTS
            }
        out.append(
            {
                "capture": "all",
                "contexts": contexts,
                "targets": sum(r["targets"] for r in group),
                "model": model,
                "mean_error": mean([r["mean_error"] for r in group]),
                "right": mean([r["right"] for r in group]),
                "reliability": {part: as_lists(value) for part, value in sums.items()},
                "ece": {part: value.expected_error for part, value in sums.items()},
                "ranking": rivals,
                "coverage": coverage,
            }
        )
    return out


def reliability_table(results: Sequence[Result]) -> Table:
    table = Table(["capture", "given", "targets", "model", "mean error", "right", "ECE", "seen", "holes"])
    for r in results:
        errors = [number(r["ece"][part], "{:.3f}") for part in PARTS]
        about = (r["capture"], r["contexts"], r["targets"], r["model"])
        table.add(*about, number(r["mean_error"], "{:.3f}"), f"{r['right']:.0%}", *errors)
    return table


def ranking_table(results: Sequence[Result]) -> Table:
    table = Table(
        ["capture", "given", "errors of", "ranked by", "Spearman", "Pearson", "AUSE", "mean of views"]
    )
    for r in results:
        for rival, figures in r["ranking"].items():
            cells = [
                number(figures[key], "{:.3f}") for key in ("spearman", "pearson", "ause", "ause_of_views")
            ]
            table.add(r["capture"], r["contexts"], r["model"], rival, *cells)
    return table


def coverage_table(results: Sequence[Result]) -> Table:
    """Only of models that state a scale."""
    table = Table(["capture", "given", "model", "part", *(f"{level:.0%}" for level in LEVELS)])
    for r in results:
        for part, shares in (r["coverage"] or {}).items():
            table.add(r["capture"], r["contexts"], r["model"], part, *(number(s, "{:.1%}") for s in shares))
    return table


def plot(results: Sequence[Result], file: Path, *, within: float) -> None:
    """A panel for each number of contexts: stated against observed, all captures thick, each one thin; the area of a
    point is the share of pixels in its bin."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    counts = sorted({r["contexts"] for r in results})
    colors = {name: f"C{i}" for i, name in enumerate(dict.fromkeys(r["model"] for r in results))}
    figure, axes = plt.subplots(
        1, max(1, len(counts)), figsize=(4.5 * max(1, len(counts)), 4.5), squeeze=False
    )
    for panel, contexts in zip(axes[0], counts, strict=False):
        panel.plot([0, 1], [0, 1], ":", color="grey")
        for r in (r for r in results if r["contexts"] == contexts):
            bins = from_lists(r["reliability"]["whole"])
            whole = r["capture"] == "all"
            style: dict[str, Any] = {"color": colors[r["model"]], "alpha": 1.0 if whole else 0.3}
            label = f"{r['model']}, ECE {number(ece(r), '{:.3f}')}" if whole else None
            panel.plot(bins.mean_stated, bins.share_true, "-", lw=2 if whole else 1, label=label, **style)
            if whole:
                panel.scatter(
                    bins.mean_stated, bins.share_true, s=400 * bins.count / bins.count.sum(), **style
                )
        panel.set(title=f"{contexts} photos given", xlabel="stated", xlim=(0, 1), ylim=(0, 1), aspect="equal")
        panel.set_ylabel(f"observed share with error below {within:g}")
        panel.legend(loc="lower right")
    figure.tight_layout()
    figure.savefig(file, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    command(main, Arguments, __doc__)
