"""How much memory and time `bridge4d reconstruct` takes of many large photos.

    python -m benchmarks.large_capture --photos 40 100 500 --out runs/large

The photos are of the built-in room, from 100 places on arcs one above the other. From each place one wide picture is rendered with one
ray a pixel, and five photos are cut out of it as the camera would take them turned a few degrees, enlarged from 960x720 to 4000x3000
(12 million pixels) with mild noise, and written as JPEG: the files are large, their detail is that of the small picture. The
command runs in a process of its own. What is told of memory are resident sets, sampled every 0.1 s: of the largest process, and the sum
over all of them, COLMAP's included, which counts pages that they share several times. Linux only.
"""

import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from benchmarks.machine import describe_machine
from benchmarks.output import Table, command
from bridge4d.runs.stored_json import read_object, write_json
from bridge4d.sample import exif_of_lens
from recon.cameras import Cameras, intrinsics
from recon.clips.pairing import spread_indices
from recon.compute.progress import track
from recon.pictures.eight_bit import to_eight_bit

WIDE = (1152, 864)
"""Size of what is rendered at a place."""
CUT, FOCAL_PX = (960, 720), 768.0
"""Size of a photo in the pixels of the rendering, and focal length of both in these."""
ENLARGED = (4000, 3000)
"""Size of the files: 12 million pixels."""
ARCS, PLACES = 5, 20
"""Arcs, and places on each: neighbours stand five degrees apart."""
TURNS_DEG = ((0.0, 0.0), (-3.5, -2.0), (3.5, 2.0), (-3.5, 2.0), (3.5, -2.0))
"""Yaw and pitch of the photos from one place; what is rendered reaches just beyond them."""
MOST = ARCS * PLACES * len(TURNS_DEG)
"""Photos of the whole capture; fewer are every so many of these."""
ARC_APART_M = 0.12
"""Metres between an arc and the next above it."""
NOISE = 2.0
"""Standard deviation of the noise of a pixel, in grey levels of 255: that of a phone by day."""
INTERVAL_S = 0.1
"""Seconds between samples of memory."""


@dataclass(frozen=True)
class Arguments:
    photos: tuple[int, ...] = (40,)
    """Numbers of photos, each a run."""
    extra: tuple[str, ...] = ()
    """More arguments of `bridge4d reconstruct`, such as --iterations=400."""
    out: Path = Path("runs/large")


def main(arguments: Arguments) -> None:
    rows = [measure(count, arguments) for count in arguments.photos]
    write_json(
        arguments.out / "large_capture.json",
        {"machine": describe_machine(torch.get_num_threads()), "extra": list(arguments.extra), "runs": rows},
    )
    for row in rows:
        print(f"\n{row['photos']} photos, {row['registered']} registered, held-out PSNR {row['psnr']} dB\n")
        print(table(row))


def measure(count: int, arguments: Arguments) -> dict:
    """Figures of one reconstruction; the photos are made where they are not there yet."""
    photos = arguments.out / f"photos-{count}"
    choose_photos(arguments.out / "photos", photos, count)
    run = arguments.out / f"run-{count}"
    started = time.perf_counter()
    peak = run_watched(
        [sys.executable, "-m", "bridge4d", "reconstruct", str(photos), "--out", str(run), *arguments.extra],
        run,
    )
    seconds = time.perf_counter() - started
    report = read_object(run / "report.json")
    stages = {
        name: {"seconds": read_object(file)["seconds"]} | peak.of_stage.get(name, {})
        for name, file in list_stages(run)
    }
    return {
        "photos": count,
        "registered": read_object(run / "sfm" / "sfm.json")["registered"],
        "psnr": (report.get("heldout") or {}).get("psnr", {}).get("photos_only"),
        "seconds": round(seconds, 1),
        "largest_process_mb": peak.largest_mb,
        "all_processes_mb": peak.sum_mb,
        "stages": stages,
    }


def choose_photos(rendered: Path, folder: Path, count: int) -> None:
    """Link `count` photos, spread evenly over the whole capture, into a folder; those that are not there yet are rendered."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = spread_indices(MOST, count)
    write_photos(rendered, rows)
    for i in rows:
        if not (folder / photo_name(i)).exists():
            os.link(rendered / photo_name(i), folder / photo_name(i))


def photo_name(i: int) -> str:
    """File name of a photo by its number in the whole capture."""
    return f"photo_{i:04d}.jpg"


def write_photos(folder: Path, rows: Sequence[int]) -> None:
    """Write the photos of these numbers that are not there yet."""
    import cv2
    from PIL import Image

    from worldgen.models.synthetic import SyntheticRoom

    folder.mkdir(parents=True, exist_ok=True)
    cameras = place_cameras()
    # more than a photo needs, so that no two photos have the same part of it; as bytes, which are added fast
    size = (ENLARGED[1] + MOST, ENLARGED[0] + MOST, 1)
    noise = np.random.default_rng(0).normal(0, NOISE, size).round().clip(-127, 127).astype(np.int8)
    brighter, darker = (np.repeat(part.clip(0).astype(np.uint8), 3, axis=2) for part in (noise, -noise))
    exif = exif_of_lens(FOCAL_PX * ENLARGED[0] / CUT[0], *ENLARGED)
    place, wide = -1, np.zeros((0, 0, 3), np.uint8)
    for i in track([i for i in rows if not (folder / photo_name(i)).exists()], "rendering photos"):
        if i // len(TURNS_DEG) != place:
            place = i // len(TURNS_DEG)
            images, _ = SyntheticRoom().render(cameras[place], samples=1)
            wide = to_eight_bit(images[0]).numpy()
        large = cut_out(wide, *TURNS_DEG[i % len(TURNS_DEG)])
        part = slice(i, i + ENLARGED[1]), slice(MOST - i, MOST - i + ENLARGED[0])
        noisy = cv2.subtract(cv2.add(large, brighter[part]), darker[part])
        beside = folder / f".{photo_name(i)}.part"
        Image.fromarray(noisy).save(beside, format="JPEG", quality=90, exif=exif)
        beside.replace(folder / photo_name(i))


def cut_out(wide: UInt8[np.ndarray, "h w 3"], yaw_deg: float, pitch_deg: float) -> np.ndarray:
    """The photo that a camera at the same place would take turned by some degrees, enlarged."""
    import cv2

    yaw, pitch = math.radians(yaw_deg), math.radians(pitch_deg)
    about_y = [[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]]
    about_x = [[1, 0, 0], [0, math.cos(pitch), -math.sin(pitch)], [0, math.sin(pitch), math.cos(pitch)]]
    scale = ENLARGED[0] / CUT[0]
    # OpenCV counts the centre of the first pixel as 0
    K_wide, K = (
        np.array([[f, 0, w / 2 - 0.5], [0, f, h / 2 - 0.5], [0, 0, 1]])
        for f, (w, h) in ((FOCAL_PX, WIDE), (FOCAL_PX * scale, ENLARGED))
    )
    wide_from_photo = K_wide @ np.array(about_y) @ np.array(about_x) @ np.linalg.inv(K)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpPerspective(wide, wide_from_photo, ENLARGED, flags=flags, borderMode=cv2.BORDER_REFLECT)


def place_cameras() -> Cameras:
    """Cameras of all renderings, on arcs one above the other."""
    from worldgen.models.synthetic import SyntheticRoom

    arc = SyntheticRoom().cameras(PLACES, width=WIDE[0], height=WIDE[1])
    K = intrinsics(focal_px=FOCAL_PX, width=WIDE[0], height=WIDE[1], n=PLACES)
    parts = []
    for number in range(ARCS):
        up = torch.tensor([0.0, 0.0, ARC_APART_M * (number - (ARCS - 1) / 2)], dtype=torch.float64)
        poses = arc.cam_from_world.clone()
        poses[:, :3, 3] -= poses[:, :3, :3] @ up
        parts.append(Cameras(poses, K, *WIDE))
    return Cameras.concatenate(parts)


@dataclass
class Peak:
    """Largest resident sets, MB."""

    largest_mb: int
    """Of one process."""
    sum_mb: int
    """Of all processes together."""
    of_stage: dict[str, dict[str, int]]
    """The same by stage."""


def run_watched(words: list[str], run: Path) -> Peak:
    """Run a command to its end and watch the memory of it and its children.

    Raises:
        SystemExit: the command failed.
    """
    peak = Peak(0, 0, {})
    with subprocess.Popen(words, env={**os.environ, "OMP_WAIT_POLICY": "passive"}) as process:
        while process.poll() is None:
            sizes = [resident_mb(pid) for pid in (process.pid, *children(process.pid))]
            largest, total = max(sizes), sum(sizes)
            peak.largest_mb, peak.sum_mb = max(peak.largest_mb, largest), max(peak.sum_mb, total)
            if stage := current_stage(run):
                known = peak.of_stage.setdefault(stage, {"largest_process_mb": 0, "all_processes_mb": 0})
                known["largest_process_mb"] = max(known["largest_process_mb"], largest)
                known["all_processes_mb"] = max(known["all_processes_mb"], total)
            time.sleep(INTERVAL_S)
    if process.returncode:
        raise SystemExit(f"bridge4d reconstruct ended with status {process.returncode}")
    return peak


def current_stage(run: Path) -> str | None:
    """Stage that is being written: its folder lies beside the final one, as `.NAME.part`."""
    for part in (*run.glob(".*.part"), *run.glob("*/.*.part")):
        return str(part.relative_to(run).with_name(part.name[1 : -len(".part")]))
    return None


def resident_mb(pid: int) -> int:
    """Resident set of a process; 0 of one that has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") // 10**6


def children(pid: int) -> Iterator[int]:
    """Processes that a process started, and theirs."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        found = [int(word) for task in tasks for word in (task / "children").read_text().split()]
    except OSError:
        return
    for child in found:
        yield child
        yield from children(child)


def list_stages(run: Path) -> list[tuple[str, Path]]:
    """Name and record of every stage, in the order in which they ended."""
    files = sorted(run.rglob("stage.json"), key=lambda file: file.stat().st_mtime)
    return [(str(file.parent.relative_to(run)), file) for file in files]


def table(row: dict) -> str:
    """A line a stage, and one for the whole run."""
    out = Table(["stage", "s", "largest process, MB", "all processes, MB"])
    for name, figures in (*row["stages"].items(), ("all", row)):
        sizes = (figures.get(key, "–") for key in ("largest_process_mb", "all_processes_mb"))
        out.add(name, f"{figures['seconds']:.0f}", *sizes)
    return str(out)


if __name__ == "__main__":
    command(main, Arguments, __doc__)
