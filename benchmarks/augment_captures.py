"""The closed loop over folders of real photos: one table, losses included.

*own* is what renderings of the photos alone gain in the place of the generated frames, *over own* what the frames gain over these;
*left out* is what the first round gains on training photos that are left out in turn, which decides what is kept; *regret*, by how much
the best scene in hindsight is better on the held-out photos.

    python -m benchmarks.augment_captures CAPTURES --out runs/captures --views 3 6 9

Every folder below CAPTURES is a capture; both protocols are run where reference cameras come along, or with
`--protocols auto` the known poses there and COLMAP's elsewhere. Each run is a
process of its own, so that its peak memory is its own. Started again it continues, and what is done is only read.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from tyro.conf import Positional

from bridge4d.augmenting.options import Baselines, Keep

COLUMNS = (
    "capture", "protocol", "views", "registered", "gen / rec / acc", "rot °", "pos %", "held-out",
    "PSNR", "→", "gain [95%]", "worst", "own", "over own [95%]", "worst over own", "SSIM", "→", "left out", "kept", "regret", "s", "MB",
)  # fmt: skip


@dataclass(frozen=True)
class Arguments:
    captures: Positional[Path]
    """Folder of captures."""
    out: Path = Path("runs/captures")
    """Folder for the runs, each named after capture, model, protocol and photos."""
    views: tuple[int, ...] = (3, 6, 9)
    """Numbers of training photos."""
    only: tuple[str, ...] = ()
    """Names of captures; all where none is given."""
    protocols: tuple[str, ...] = ("known-poses", "from-scratch")
    rounds: int = 2
    novel: int = 16
    max_side: int = 480
    iterations: int | None = 800
    """None: chosen in each run, with dropout."""
    model: str = "warp"
    baselines: Baselines = "own-renderings"
    keep: Keep = "decide"
    seed: int = 0


def main(arguments: Arguments) -> None:
    rows = []
    for capture in sorted(p for p in arguments.captures.iterdir() if p.is_dir()):
        if arguments.only and capture.name not in arguments.only:
            continue
        for protocol in arguments.protocols:
            for views in arguments.views:
                report = run(capture, protocol, views, arguments)
                if report is None:
                    break  # no reference cameras
                if report["photos"]["training"] < views:
                    continue  # fewer photos than asked for: the same run as the one before
                rows.append(row(capture.name, report))
                print(markdown(rows[-1]), file=sys.stderr, flush=True)
    print(markdown(COLUMNS))
    print(markdown(["---"] * len(COLUMNS)))
    for cells in rows:
        print(markdown(cells))


def run(capture: Path, protocol: str, views: int, arguments: Arguments) -> dict[str, Any] | None:
    """The report of one run; None where the capture does not allow the protocol."""
    out = arguments.out / f"{capture.name}-{arguments.model}-{protocol}-{views}"
    command = [
        sys.executable, "-m", "bridge4d", "augment", str(capture), "--out", str(out), "--json",
        "--protocol", protocol, "--views", str(views), "--rounds", str(arguments.rounds),
        "--max-side", str(arguments.max_side), "--novel", str(arguments.novel),
        "--iterations", str(arguments.iterations), "--model", arguments.model, "--seed", str(arguments.seed),
        "--baselines", arguments.baselines, "--keep", arguments.keep,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 2 and "needs reference cameras" in done.stderr:
        return None
    if done.returncode not in (0, 3):
        print(f"{' '.join(command)}\n{done.stderr}", file=sys.stderr)
        raise SystemExit("the run above failed; start again to continue behind it")
    return json.loads((out / "report.json").read_text())


def row(name: str, report: dict[str, Any]) -> list[str]:
    heldout, generated, photos = report["heldout"], report["generated"], report["photos"]
    psnr, ssim = heldout["psnr"], heldout["ssim"]
    cells = [
        name,
        report["protocol"],
        str(photos["training"]),
        f"{photos['registered']}/{photos['training']}",
        f"{generated['requested']} / {generated['recovered']} / {generated['accepted']}",
        number(generated["rotation_deg_median"], "{:.2f}"),
        number(generated["position_share_median"], "{:.2f}", scale=100),
        f"{heldout['views']}/{heldout['expected']}",
    ]
    own = (heldout["own_renderings"] or {}).get("psnr", {})
    if psnr is None:
        cells += ["–"] * 9
    else:
        cells += [
            number(psnr["photos_only"], "{:.2f}"),
            number(psnr["augmented"], "{:.2f}"),
            gain(psnr["gain"], psnr["gain_interval95"]),
            number(psnr["worst_view_gain"], "{:+.2f}"),
            number(own.get("gain"), "{:+.2f}"),
            gain(own.get("generated_gain"), own.get("generated_gain_interval95")),
            number(own.get("generated_worst_view_gain"), "{:+.2f}"),
            number(ssim["photos_only"], "{:.3f}"),
            number(ssim["augmented"], "{:.3f}"),
        ]
    seconds = sum(stage["seconds"] for stage in report["stages"])
    peak = max((stage["peak_mb"] for stage in report["stages"]), default=0)
    decided = next((number(one["gain"], "{:+.2f}") for one in report["decisions"]), "–")
    regret = number(heldout["regret"], "{:.2f}")
    return [*cells, decided, report["kept"].replace("_", " "), regret, f"{seconds:.0f}", f"{peak:.0f}"]


def gain(mean: float | None, interval: list[float] | None) -> str:
    """A gain with its interval, where it has one."""
    around = "" if interval is None else f" [{interval[0]:+.2f}, {interval[1]:+.2f}]"
    return number(mean, "{:+.2f}") + around


def number(value: float | None, form: str, *, scale: float = 1) -> str:
    return "–" if value is None else form.format(value * scale)


def markdown(cells: Any) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
