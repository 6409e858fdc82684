"""How many of a few photos get a camera, and how many of these a wrong one: one recipe, and the ladder with its judge.

    python -m benchmarks.registration CAPTURES --only lund_door kitchen --photos 6 9

Photos come without cameras, and with the focal lengths of their EXIF. Their cameras are compared with reference cameras, or with
those of COLMAP over all photos of the capture: of each photo the median angle by which its rotations against the others are off. Every
case is a line of `registration.jsonl`; started again the benchmark continues.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from tyro.conf import Positional

from benchmarks.few_photos import Log
from benchmarks.few_photos_cases import find_captures, load_posed
from benchmarks.output import Table, command, mean, number
from bridge4d.runs import store
from bridge4d.stages import capture as capture_stage
from bridge4d.stages import sfm
from bridge4d.stages.options import CaptureOptions
from eval.poses import rotation_angle_deg
from recon.cameras import Cameras
from recon.clip import Clip, PictureSet
from recon.sfm.recipes import PHOTOS
from recon.sfm.reconstruct import reconstruct

WRONG_DEG = 2.0
"""Error from which a camera counts as wrong."""


@dataclass(frozen=True)
class Arguments:
    captures: Positional[Path]
    """Folder of captures."""
    only: tuple[str, ...] = ()
    """Names of captures; all where none is given."""
    photos: tuple[int, ...] = (3, 6, 9)
    """Numbers of training photos."""
    seeds: tuple[int, ...] = (0,)
    out: Path = Path("runs/registration")


def main(arguments: Arguments) -> None:
    captures = find_captures(arguments.captures, arguments.only)
    (arguments.out / "cases").mkdir(parents=True, exist_ok=True)
    log = Log(arguments.out / "registration.jsonl")
    for photos in arguments.photos:
        for folder in captures:
            for seed in arguments.seeds:
                about = {"capture": folder.name, "photos": photos, "seed": seed}
                if not log.has(about):
                    log.add(about | measure(folder, photos, seed, arguments.out))
    print(f"\n{table(log.rows)}\n\nwritten: {log.path}")


def measure(folder: Path, photos: int, seed: int, out: Path) -> dict[str, Any]:
    """What one recipe and the ladder make of some photos of a capture."""
    options = CaptureOptions(views=photos, protocol="from-scratch", seed=seed)
    work = out / "work"
    shutil.rmtree(work, ignore_errors=True)
    capture_stage.read_photos(folder, work / "capture", options)
    record = capture_stage.load_record(work / "capture")
    clip = store.load_clip(work / "capture" / "training")
    reference = load_posed(folder, out)
    name_of = {plain: each["name"] for plain, each in record["originals"].items()}
    began = perf_counter()
    plain = reconstruct(
        clip,
        work / "one",
        recipe=PHOTOS,
        focal_prior_px={i: px for i, lens in enumerate(record["lenses"]) if (px := lens["focal_prior_px"])},
        lens_groups=capture_stage.group_photos(record, clip.names),
    )
    before_s, began = perf_counter() - began, perf_counter()
    sfm.recover_cameras(work / "capture", work / "sfm", options.recipe, options.rungs)
    after_s = perf_counter() - began
    said = sfm.load_record(work / "sfm")
    found = sfm.open_photos(work / "sfm") if said["registered"] >= sfm.LEAST_PHOTOS else None
    return {
        "given": len(clip),
        "before": describe(plain.clip, reference, name_of) | {"seconds": round(before_s, 1)},
        "after": describe(found, reference, name_of) | {"seconds": round(after_s, 1)},
        "attempts": said["attempts"],
        "left_out": {name_of[one["name"]]: one["reason"] for one in said["left_out"]},
    }


def describe(found: PictureSet | None, reference: Clip, name_of: dict[str, str]) -> dict[str, Any]:
    """Registered photos, and the rotation error of each in degrees."""
    if found is None:
        return {"registered": 0, "errors_deg": {}}
    names = [name_of[name] for name in found.names]
    known = [name for name in names if name in reference.names]
    errors = rotation_errors(
        found.require_cameras()[[names.index(name) for name in known]],
        reference.require_cameras()[[reference.names.index(name) for name in known]],
    )
    return {
        "registered": len(names),
        "errors_deg": {name: round(e, 3) for name, e in zip(known, errors, strict=True)},
    }


def rotation_errors(found: Cameras, truth: Cameras) -> list[float]:
    """Of each camera the median error of its rotations against the others, degrees; none of fewer than two."""
    if len(found) < 2:
        return []
    against = [
        c.cam_from_world[:, None, :3, :3] @ c.cam_from_world[None, :, :3, :3].mT for c in (found, truth)
    ]
    errors = rotation_angle_deg(*(each.flatten(0, 1) for each in against)).reshape(len(found), -1)
    others = ~torch.eye(len(errors), dtype=torch.bool)
    return [float(row[keep].quantile(0.5)) for row, keep in zip(errors, others, strict=True)]


def table(rows: list[dict[str, Any]]) -> Table:
    """A line a case, and the sums over cases."""
    out = Table(
        ("capture", "photos", "before", "wrong", "after", "wrong", "worst", "recipes", "s before", "s")
    )
    for row in sorted(rows, key=lambda r: (r["capture"], r["photos"], r["seed"])):
        out.add(row["capture"], row["photos"], *cells(row))
    for photos in sorted({row["photos"] for row in rows}):
        these = [row for row in rows if row["photos"] == photos]
        shares = [
            mean([row[when]["registered"] / row["given"] for row in these]) for when in ("before", "after")
        ]
        wrong = [sum(count_wrong(row[when]) for row in these) for when in ("before", "after")]
        out.add(
            "**all**",
            photos,
            number(shares[0], "{:.0%}"),
            wrong[0],
            number(shares[1], "{:.0%}"),
            wrong[1],
            *[""] * 4,
        )
    return out


def cells(row: dict[str, Any]) -> list[object]:
    before, after = row["before"], row["after"]
    worst = max(after["errors_deg"].values(), default=None)
    return [
        f"{before['registered']}/{row['given']}",
        count_wrong(before),
        f"{after['registered']}/{row['given']}",
        count_wrong(after),
        number(worst, "{:.2f}°"),
        len(row["attempts"]),
        f"{before['seconds']:.0f}",
        f"{after['seconds']:.0f}",
    ]


def count_wrong(said: dict[str, Any]) -> int:
    return sum(error > WRONG_DEG for error in said["errors_deg"].values())


if __name__ == "__main__":
    command(main, Arguments, __doc__)
