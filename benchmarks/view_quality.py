"""How like the photos that were held out are the views that a world model makes of a few others?

    python -m benchmarks.view_quality --models warp,bridge [--contexts 3 6 9] [--limit 5 --side 200] [--out runs/views]

Every capture with reference cameras takes part. The context is chosen by camera centres alone (farthest-point
sampling from the most central camera); all other photos judge. Models get photos and reference cameras, and with
--points what COLMAP triangulates from these photos alone. Scores are PSNR, SSIM and, where its weights are on this
machine, LPIPS, of the whole picture and apart for the pixels that a context photo sees (where the raw warp has a
colour: one mask for all models) and for holes; sharpness is the mean gradient over that of the truth, 1 is right.
*raw* is the warp with holes left black. Parts of less than 1% of a picture are not scored. Gains are over the filled
warp (the model *warp*), paired by target; the interval is a bootstrap over targets, which do not stand for other
captures. Times are of the moment when a picture was made, with the threads and load of then. Started again it
continues.
"""

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from benchmarks.output import (
    Table,
    command,
    contact_sheet,
    defined,
    mean,
    number,
    publish_sheet,
    write_record,
)
from benchmarks.source_hash import sources
from benchmarks.view_context import Seen, point_code, seen_of_targets
from benchmarks.view_models import Views, generated
from benchmarks.view_tasks import BASELINE, Task, ViewArguments, evenly, tasks
from bridge4d.runs.run import Run, open_run
from bridge4d.runs.stored_json import read_json, write_json
from eval.pictures.images import psnr, ssim
from eval.pictures.perceptual import PerceptualDistance, Unavailable, load, perceptual_distance
from eval.pictures.sharpness import gradient_ratio
from eval.results.metric import Metric
from eval.stats.intervals import bootstrap_mean95

RAW = "raw"
MIN_SHARE = 0.01
"""Of the pixels of a view: a smaller part is not scored apart."""
SCORES = (
    "psnr",
    "psnr_seen",
    "psnr_holes",
    "ssim",
    "ssim_seen",
    "ssim_holes",
    "lpips",
    "sharpness",
    "sharpness_seen",
    "sharpness_holes",
)


@dataclass(frozen=True)
class Arguments(ViewArguments):
    sheet_rows: int = 4
    """Targets a capture on its contact sheet, evenly spaced."""


Row = dict[str, Any]
"""Scores of one view: capture, contexts, target, model, hole share, `SCORES`, and what making it took."""


def main(arguments: Arguments) -> None:
    network = load()
    rows: list[Row] = []
    with open_run(arguments.out) as run:
        for task in tasks(arguments):
            fresh = measure(run, task, arguments, network)
            rows += fresh
            print(summary_line(fresh, task), flush=True)
    summary = summaries(rows, seed=arguments.seed)
    lpips = network.reason if isinstance(network, Unavailable) else "measured"
    written = write_record(arguments, "view_quality", lpips=lpips, summary=summary, views=rows)
    print(f"\n{score_table(summary)}\n\n{gain_table(summary)}\n")
    if isinstance(network, Unavailable):
        print(network.reason)
    print(f"written: {written}, contact sheets in {arguments.out / 'sheets'}")


def measure(
    run: Run, task: Task, arguments: Arguments, network: PerceptualDistance | Unavailable
) -> list[Row]:
    """Scores of every view of one task, of the raw warp and every model; and its contact sheet."""
    made = {name: generated(run, task, name) for name in arguments.model_names}
    fingerprints = [views.fingerprint for views in made.values()]
    own = sources("benchmarks.view_quality", "worldgen.models.warp")

    def work(folder: Path) -> None:
        seen = seen_of_targets(run, task)
        pictures = {RAW: seen.colour} | {name: views.clip.images for name, views in made.items()}
        rows = [
            row for name, images in pictures.items() for row in scores(task, name, images, seen.mask, network)
        ]
        write_json(folder / "scores.json", rows)
        write_sheet(task, seen, made, folder / "sheet.png", arguments.sheet_rows)

    given = [task.identity, point_code(task), fingerprints]
    depends = [given, own, isinstance(network, Unavailable), arguments.sheet_rows]
    together = "+".join(made)
    record = run.stage(f"scores/{task.name}/{together}", work, depends_on=depends)
    publish_sheet(record, arguments.out, f"{task.name}-{together}")
    rows = read_json(record.folder / "scores.json")
    for row in rows:
        if row["model"] in made:
            seconds = made[row["model"]].seconds
            at = task.targets.names.index(row["target"])
            row |= {
                "wall_s": seconds["wall"][at],
                "cpu_s": seconds["cpu"][at],
                "first_call_s": seconds["first"],
                "threads": seconds["threads"],
                "load": seconds["load"],
            }
    return rows


def scores(
    task: Task,
    model: str,
    images: Float[Tensor, "n h w 3"],
    seen: Bool[Tensor, "n h w"],
    network: PerceptualDistance | Unavailable,
) -> list[Row]:
    truth = task.targets.images
    lpips = perceptual_distance(images, truth, network=network)
    share = (~seen).double().mean((1, 2))
    parts = {"seen": (seen, 1 - share >= MIN_SHARE), "holes": (~seen, share >= MIN_SHARE)}
    columns: dict[str, list[float | None]] = {
        "psnr": defined(psnr(images, truth)),
        "ssim": defined(ssim(images, truth)),
        "lpips": [None] * len(truth) if not isinstance(lpips, Metric) else list(lpips.values),
        "sharpness": defined(gradient_ratio(images, truth)),
    }
    for part, (mask, enough) in parts.items():
        columns[f"psnr_{part}"] = defined(torch.where(enough, psnr(images, truth, mask), torch.nan))
        columns[f"ssim_{part}"] = defined(torch.where(enough, ssim(images, truth, mask), torch.nan))
        columns[f"sharpness_{part}"] = defined(
            torch.where(enough, gradient_ratio(images, truth, mask), torch.nan)
        )
    about = {"capture": task.capture, "contexts": len(task.context), "model": model}
    return [
        about
        | {"target": task.targets.names[i], "holes": share[i].item()}
        | {key: values[i] for key, values in columns.items()}
        for i in range(len(truth))
    ]


def write_sheet(task: Task, seen: Seen, made: dict[str, Views], path: Path, count: int) -> None:
    """truth | raw warp | each model | its confidence, for a few targets."""
    titles = [
        "truth",
        "raw warp",
        *made,
        *(f"{name}: confidence" for name, v in made.items() if v.clip.confidence is not None),
    ]
    rows, labels = [], []
    for i in evenly(len(task.targets), count):
        grey = [
            v.clip.confidence[i][..., None].expand(-1, -1, 3)
            for v in made.values()
            if v.clip.confidence is not None
        ]
        rows.append(
            [task.targets.images[i], seen.colour[i], *(v.clip.images[i] for v in made.values()), *grey]
        )
        labels.append(task.targets.names[i])
    contact_sheet(rows, path, titles=titles, labels=labels)


def summary_line(rows: list[Row], task: Task) -> str:
    models = dict.fromkeys(row["model"] for row in rows)
    parts = [f"{m} {number(mean([r['psnr'] for r in rows if r['model'] == m]))} dB" for m in models]
    return f"{task.name} ({len(task.targets)} targets): {', '.join(parts)}"


def summaries(rows: list[Row], *, seed: int) -> list[dict[str, Any]]:
    """Means and gains over the filled warp for every capture and number of contexts, and, as capture 'all', over all
    targets of all captures at that number."""

    def key(row: Row) -> tuple[int, str]:
        return row["contexts"], row["capture"]

    groups = [(k, list(g)) for k, g in groupby(sorted(rows, key=key), key)]
    for contexts in sorted({row["contexts"] for row in rows}):
        groups.append(((contexts, "all"), [row for row in rows if row["contexts"] == contexts]))
    out = []
    for (contexts, capture), group in groups:
        for model in dict.fromkeys(row["model"] for row in group):
            mine = [row for row in group if row["model"] == model]
            out.append(
                {"capture": capture, "contexts": contexts, "model": model, "targets": len(mine)}
                | {name: mean([row[name] for row in mine]) for name in (*SCORES, "holes")}
                | {
                    name: mean([row.get(name) for row in mine])
                    for name in ("wall_s", "cpu_s", "first_call_s")
                }
                | ({} if model in (RAW, BASELINE) else {"gain": gains(mine, group, seed)})
            )
    return out


def gains(mine: list[Row], group: list[Row], seed: int) -> dict[str, Any]:
    """Of one model over the filled warp, for every score: mean, interval, and the captures and views at the worst
    end; sharpness, which is best at 1, has none."""
    base = {(r["capture"], r["target"]): r for r in group if r["model"] == BASELINE}
    out: dict[str, Any] = {}
    for score in SCORES:
        pairs = [(row, base[row["capture"], row["target"]][score]) for row in mine]
        paired = [
            (row, row[score] - other) for row, other in pairs if row[score] is not None and other is not None
        ]
        if not paired:
            out[score] = None
            continue
        values = [gain for _, gain in paired]
        generator = torch.Generator().manual_seed(seed)
        sets = {row["capture"]: [] for row, _ in paired}
        for row, gain in paired:
            sets[row["capture"]].append(gain)
        by_set = {name: sum(part) / len(part) for name, part in sets.items()}
        pick = max if score == "lpips" else min  # less is better for LPIPS alone
        worst, lowest = pick(paired, key=lambda p: p[1]), pick(by_set, key=lambda name: by_set[name])
        ended = not score.startswith("sharpness")
        out[score] = {
            "mean": sum(values) / len(values),
            "interval95": bootstrap_mean95(values, generator=generator),
            "mean_of_captures": sum(by_set.values()) / len(by_set),
            "worst_capture": [lowest, by_set[lowest]] if ended else None,
            "worst_view": [worst[0]["capture"], worst[0]["target"], worst[1]] if ended else None,
            "targets": len(values),
        }
    return out


def score_table(summary: list[dict[str, Any]]) -> Table:
    table = Table(
        ["capture", "given", "targets", "holes", "model", "PSNR", "seen", "holes", "SSIM", "seen", "holes", "LPIPS",
         "sharpness", "seen", "holes", "CPU-s", "s", "first call s"]
    )  # fmt: skip
    for s in summary:
        pairs = [number(s[k]) for k in ("psnr", "psnr_seen", "psnr_holes")]
        pairs += [number(s[k], "{:.3f}") for k in ("ssim", "ssim_seen", "ssim_holes", "lpips")]
        pairs += [
            number(s[k])
            for k in ("sharpness", "sharpness_seen", "sharpness_holes", "cpu_s", "wall_s", "first_call_s")
        ]
        table.add(s["capture"], s["contexts"], s["targets"], f"{s['holes']:.0%}", s["model"], *pairs)
    return table


def gain_table(summary: list[dict[str, Any]]) -> Table:
    """PSNR, SSIM and PSNR in holes over the filled warp."""
    table = Table(
        [
            "capture",
            "given",
            "model",
            "PSNR gain [95%]",
            "worst capture",
            "worst view",
            "seen",
            "holes",
            "SSIM gain [95%]",
        ]
    )
    for s in summary:
        gain = s.get("gain")
        if gain is None or gain["psnr"] is None:
            continue
        whole = gain["psnr"]
        worst, view = whole["worst_capture"], whole["worst_view"]
        table.add(
            s["capture"], s["contexts"], s["model"], with_interval(whole), f"{worst[0]} {worst[1]:+.2f}",
            f"{view[0]}/{view[1]} {view[2]:+.2f}", with_interval(gain["psnr_seen"]), with_interval(gain["psnr_holes"]),
            with_interval(gain["ssim"], "{:+.3f}"),
        )  # fmt: skip
    return table


def with_interval(gain: dict[str, Any] | None, form: str = "{:+.2f}") -> str:
    if gain is None:
        return "–"
    around = gain["interval95"]
    return form.format(gain["mean"]) + (
        "" if around is None else f" [{form.format(around[0])}, {form.format(around[1])}]"
    )


if __name__ == "__main__":
    command(main, Arguments, __doc__)
