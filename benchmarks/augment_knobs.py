"""What the closed loop gains with one setting changed at a time.

    python -m benchmarks.augment_knobs CAPTURES --only lund_door banana --views 3 6 9 [--model bridge]

One round, small settings. The photos alone are fitted once a case (capture and number of photos), and each setting is
judged by its gain over that on the same held-out photos, whatever the loop would keep. *better* counts the cases in
which a setting gains more than the loop as it is; cases in which no frame enters are left out for all settings that
share the frames. A setting that is chosen by such a table must be judged on other captures. Started again it continues.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from tyro.conf import Positional

from benchmarks.machine import describe_machine
from benchmarks.output import Table, command, mean, number
from benchmarks.source_hash import model_code, sources
from bridge4d.augmenting.loop import augment
from bridge4d.augmenting.options import AugmentOptions
from bridge4d.runs.fingerprints import fingerprint
from bridge4d.runs.stored_json import read_json, write_json
from eval.judging.gate import GateOptions
from eval.results.augment import AugmentReport
from recon.errors import BridgeError

AS_IT_IS = "as it is"
SETTINGS: dict[str, dict[str, Any]] = {
    AS_IT_IS: {},
    "all pixels weigh alike": {"weigh_by_confidence": False},
    "generated pixels weigh 1": {"generated_weight": 1.0},
    "share 0.1": {"generated_share": 0.1},
    "share 0.4": {"generated_share": 0.4},
    "frames in the first half": {"generated_until": 0.5},
    "frames until 0.8": {"generated_until": 0.8},
    "frames in the second half": {"generated_from": 0.5},
    "requested poses": {"frame_poses": "requested"},
    "pose limits halved": {"gate": GateOptions(max_rotation_deg=1.0, max_position_share=0.01)},
    "pose limits doubled": {"gate": GateOptions(max_rotation_deg=4.0, max_position_share=0.04)},
    "support 0.8": {"support": 0.8},
    "support 0.4": {"support": 0.4},
}
"""Those that share the generated frames stand together, so that these are made once."""


@dataclass(frozen=True)
class Arguments:
    captures: Positional[Path]
    """Folder of captures."""
    only: tuple[str, ...] = ()
    """Names of captures; all where none is given."""
    views: tuple[int, ...] = (3, 6, 9)
    settings: tuple[str, ...] = field(default_factory=lambda: tuple(SETTINGS))
    model: str = "bridge"
    novel: int = 12
    max_side: int = 288
    iterations: int = 400
    seed: int = 0
    out: Path = Path("runs/knobs")


def main(arguments: Arguments) -> None:
    if strange := [name for name in arguments.settings if name not in SETTINGS]:
        raise BridgeError(f"expected settings of {', '.join(SETTINGS)}, got {', '.join(map(repr, strange))}")
    captures = sorted(p for p in arguments.captures.iterdir() if p.is_dir())
    captures = [p for p in captures if not arguments.only or p.name in arguments.only]
    if not captures:
        raise BridgeError(
            f"expected captures below {arguments.captures}, found none of that name; see --only"
        )
    results = []
    for capture in captures:
        for views in arguments.views:
            results += case(capture, views, arguments)
    record = {"machine": describe_machine(torch.get_num_threads()), "results": results}
    write_json(arguments.out / "knobs.json", record)
    print(f"\n{table(results)}\n\nwritten: {arguments.out / 'knobs.json'}")


def case(capture: Path, views: int, arguments: Arguments) -> list[dict[str, Any]]:
    """One row a setting; those that were measured before are read."""
    base = AugmentOptions(
        views=views, model=arguments.model, rounds=1, novel=arguments.novel, max_side=arguments.max_side,
        iterations=arguments.iterations, seed=arguments.seed, keep="augmented",  # nothing is decided here
        baselines="none",
    )  # fmt: skip
    code = fingerprint(sources("bridge4d.augmenting.loop"), model_code(arguments.model.partition(":")[0]))
    folder = arguments.out / f"{capture.name}-{views}-{arguments.model}"
    kept = folder / "knobs.json"
    known = read_json(kept) if kept.exists() else {}
    for name in arguments.settings:
        options = replace(base, **SETTINGS[name])
        made_by = [repr(options), code]
        if known.get(name, {}).get("made_by") != made_by:
            report = augment(capture, folder / f"run-{code}", options).report  # one of each state of the code
            known[name] = {"made_by": made_by, **row(report)}
            write_json(kept, known)
        print(f"{folder.name}: {name}: {number(known[name]['gain'], '{:+.2f}')} dB", flush=True)
        if known[name]["training"] < views:
            return []  # fewer photos than asked for: the case before once more
    about = {"capture": capture.name, "views": views}
    return [about | {"setting": name} | known[name] for name in arguments.settings]


def row(report: AugmentReport) -> dict[str, Any]:
    psnr, accepted = report.heldout.psnr, report.generated.accepted
    return {
        "training": report.photos.training,
        "accepted": accepted,
        "gain": psnr.gain if psnr and accepted else None,
        "worst_view_gain": psnr.worst_view_gain if psnr and accepted else None,
    }


def table(results: list[dict[str, Any]]) -> Table:
    """Gains in dB: a column a case."""
    cases = list(dict.fromkeys((r["capture"], r["views"]) for r in results))
    gain = {(r["setting"], r["capture"], r["views"]): r["gain"] for r in results}
    out = Table(
        [
            "setting",
            "mean",
            "against the loop as it is",
            "better",
            *(f"{capture} {views}" for capture, views in cases),
        ]
    )
    for name in dict.fromkeys(r["setting"] for r in results):
        gains = [gain[(name, *c)] for c in cases]
        pairs = [
            (g, b)
            for g, c in zip(gains, cases, strict=True)
            if None not in (g, b := gain.get((AS_IT_IS, *c)))
        ]
        better = f"{sum(g > b for g, b in pairs)}/{len(pairs)}"
        against = number(mean([g - b for g, b in pairs]), "{:+.2f}")
        out.add(name, number(mean(gains), "{:+.2f}"), against, better, *(number(g, "{:+.2f}") for g in gains))
    return out


if __name__ == "__main__":
    command(main, Arguments, __doc__)
