"""The report of a moving scene: what the camera that judged saw, and what both scenes show there."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bridge4d.moving.judge import load_scores, mean
from bridge4d.moving.stages import CapturedSaid, split_rows
from bridge4d.runs.stages import StageRecord
from bridge4d.runs.stored_json import read_object
from bridge4d.runs.typed_json import read_typed
from eval.report.page import render
from eval.report.pictures import embed_pictures, embed_video
from recon.clips.pairing import spread_indices

SCHEMA = "bridge4d/moving/1"
SHOWN = 6
"""Times in the film strip: as many as are seen side by side on a laptop."""
PICTURES_BYTES, FILM_BYTES = 6_000_000, 6_000_000
"""Most bytes of each, so that the page passes mail servers."""


def summarise(
    photos: Path,
    records: Mapping[str, StageRecord],
    captured: Path,
    scene: Path,
    judged: Path,
    command: str | None,
) -> dict[str, Any]:
    """``report.json``."""
    said, scores = read_typed(captured / "moving.json", CapturedSaid), load_scores(judged)
    train, rows = split_rows(captured)
    fitted = read_object(scene / "fit.json", "static", "moving")
    return {
        "schema": SCHEMA,
        "task": "reconstruct --moving",
        "command": command,
        "capture": {
            "path": str(photos),
            "cameras": said["cameras"],
            "heldout_camera": said["cameras"][said["heldout"]],
            "cameras_came_along": said["posed"],
            "times": len(rows),
            "frames_trained": len(train),
            "notes": said["notes"],
        },
        "moving_share": mean(scores["moving_share"]),
        "gaussians": {"static": fitted["static"], "moving": fitted["moving"]},
        "psnr": {
            scene_name: {part: mean(values) for part, values in parts.items()}
            for scene_name, parts in scores["psnr"].items()
        },
        "frames": [
            {
                "name": name,
                "time_s": scores["times_s"][i],
                "moving_share": scores["moving_share"][i],
                "psnr": {n: {part: v[i] for part, v in parts.items()} for n, parts in scores["psnr"].items()},
            }
            for i, name in enumerate(scores["names"])
        ],
        "stages": {name: {"seconds": r.seconds, "peak_mb": r.peak_mb} for name, r in records.items()},
    }


def headline(report: Mapping[str, Any]) -> str:
    """What the scene is worth, in one sentence."""
    moving, static = report["psnr"]["moving"], report["psnr"]["static"]
    if moving["moving"] is None or static["moving"] is None:
        return f"Nothing moves before the camera that judges; the scene shows it at {moving['whole']:.2f} dB"
    gain = moving["moving"] - static["moving"]
    return (
        f"What moves is shown at {moving['moving']:.2f} dB, {abs(gain):.2f} dB {'better' if gain >= 0 else 'worse'} than by a scene "
        "that stands still"
    )


def write_report(report: Mapping[str, Any], judged: Path, path: Path) -> None:
    """``report.html``, one file that needs no other."""
    count = len(report["frames"])
    picks = spread_indices(count, min(SHOWN, count))
    kinds = {
        "truth": "Held-out camera",
        "moving": "Moving scene",
        "static": "Scene that stands still",
        "mask": "Taken for moving",
    }
    files = {f"{i}_{kind}": judged / f"{i:03d}_{kind}.png" for kind in kinds for i in picks}
    page = render(
        "moving.html",
        {
            "r": report,
            "headline": headline(report),
            "kinds": kinds,
            "picks": picks,
            "pictures": embed_pictures(files, max_bytes=PICTURES_BYTES),
            "film": embed_video(judged / "film.mp4", max_bytes=FILM_BYTES),
        },
    )
    path.write_text(page, encoding="utf-8")
