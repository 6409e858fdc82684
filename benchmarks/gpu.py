"""What the GPU does, measured in one call on a bare machine, in under nine minutes.

    python -m benchmarks.gpu --pack DIR              # here, with a network: what that machine lacks
    python -m benchmarks.gpu --packed DIR --out OUT  # there, without one
    python -m benchmarks.gpu --dry --out OUT         # all of it on the CPU, at toy size

Each step is a process of its own with a time limit; one that fails or takes too long is noted, and the next goes on.
OUT/gpu.json holds the figures and is whole at any time, OUT/gpu.log what was said. What a step measures, its
docstring in `gpu_steps` says. Needs nothing but Python to begin with.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gpu_pack import pack, unpack
from benchmarks.gpu_record import change_step, read_record, write_record

ROOT = Path(__file__).resolve().parents[1]
LIMITS_S = {
    "native": 100, "build": 260, "engines": 70, "tests": 90, "training": 150, "depth": 50, "bridge": 50,
    "loop": 100, "memory": 45,
}  # fmt: skip
"""Of each step, in this order. They add up to more than there is: what one leaves, others may need."""
ALL_S = 535.0
"""Of all steps: under nine minutes, with a few seconds for packages."""
LEAST_S = 5.0
"""With less left a step is not begun: to import torch takes about as long."""
SHOWN_LINES = 12
COMMAND = (sys.executable, "-m", "benchmarks.gpu_steps")


@dataclass(frozen=True)
class Outcome:
    ok: bool
    seconds: float
    error: str = ""


def run_step(name: str, out: Path, environment: dict[str, str], limit_s: float, *, dry: bool) -> Outcome:
    """Runs a step in a process group of its own, and ends all of it after `limit_s`; the log gets what it says."""
    command = [*COMMAND, name, str(out), *(["--dry"] if dry else [])]
    log, began = out / "gpu.log", time.monotonic()
    with log.open("ab") as said:
        said.write(f"\n===== {name}, at most {limit_s:.0f} s\n".encode())
        said.flush()
        start = said.tell()
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            code = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    seconds = round(time.monotonic() - began, 1)
    if code == 0:
        return Outcome(True, seconds)
    with log.open("rb") as said:
        said.seek(start)
        last = said.read().decode(errors="replace").strip().splitlines()[-40:]
    how = f"ended with {code}" if code is not None else f"took more than {limit_s:.0f} s and was ended"
    return Outcome(False, seconds, "\n".join([f"{name} {how}", *last]))


def run_all(out: Path, packages: Path | None, names: list[str], *, dry: bool) -> bool:
    """Runs the steps one after the other; whether all went well."""
    out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    write_record(out, {"dry": dry, "argv": sys.argv[1:], "steps": {}})
    with tempfile.TemporaryDirectory() as scratch:
        environment = _environment(packages, Path(scratch), dry=dry)
        for name in names:
            limit_s = min(LIMITS_S[name], ALL_S - (time.monotonic() - began))
            if limit_s < LEAST_S:
                outcome = Outcome(False, 0.0, f"{name} was left out: no time was left")
            else:
                change_step(out, name, ok=None)
                outcome = run_step(name, out, environment, limit_s, dry=dry)
            change_step(out, name, ok=outcome.ok, seconds=outcome.seconds, error=outcome.error)
            print(
                f"[{time.monotonic() - began:5.0f} s] {name}: {'ok' if outcome.ok else 'FAILED'}", flush=True
            )
            if not outcome.ok:
                print("\n".join(outcome.error.splitlines()[-SHOWN_LINES:]), flush=True)
    record = read_record(out)
    used = os.times()
    record["seconds"] = round(time.monotonic() - began, 1)
    record["cpu_seconds"] = round(used.children_user + used.children_system, 1)
    write_record(out, record)
    return all(step["ok"] for step in record["steps"].values())


def _environment(packages: Path | None, scratch: Path, *, dry: bool) -> dict[str, str]:
    """What every step is started with: the packages, one place for what gsplat compiles, for this card alone."""
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "TORCH_EXTENSIONS_DIR": str(scratch / "extensions")}
    paths = [str(ROOT), *filter(None, [environment.get("PYTHONPATH")])]
    if packages is not None:
        unpack(packages, scratch / "packages")
        paths.insert(0, str(scratch / "packages"))
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    if dry:
        environment["CUDA_VISIBLE_DEVICES"] = ""
        return environment
    # the same in every step: another value would make torch compile anew
    environment.setdefault("MAX_JOBS", str(os.cpu_count() or 4))
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        asked = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"]
        told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()
        environment.setdefault("TORCH_CUDA_ARCH_LIST", told[0] if told else "")
    return environment


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument(
        "--pack", type=Path, metavar="DIR", help="download what a bare machine lacks, and end"
    )
    parser.add_argument("--packed", type=Path, metavar="DIR", help="take packages from there")
    parser.add_argument("--out", type=Path, help="where gpu.json and gpu.log go")
    parser.add_argument("--steps", nargs="+", choices=list(LIMITS_S), default=list(LIMITS_S))
    parser.add_argument("--dry", action="store_true", help="toy sizes, on the CPU")
    asked = parser.parse_args(arguments)
    if asked.pack is not None:
        wheels = pack(asked.pack)
        print(f"{len(wheels)} wheels, {sum(w.stat().st_size for w in wheels) / 1e6:.1f} MB, in {asked.pack}")
        return 0
    if asked.out is None:
        parser.error("--out is needed: where to write gpu.json and gpu.log")
    return 0 if run_all(asked.out.resolve(), asked.packed, asked.steps, dry=asked.dry) else 1


if __name__ == "__main__":
    sys.exit(main())
