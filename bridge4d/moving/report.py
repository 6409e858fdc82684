"""The report of a moving scene: what the camera that judged saw, and what both scenes show there."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bridge4d.moving.judge import ScoresSaid, load_scores, mean
from bridge4d.moving.stages import CapturedSaid, OffsetsSaid, load_offsets, split_rows
from bridge4d.runs.stages import StageRecord
from bridge4d.runs.stored_json import read_object
from bridge4d.runs.typed_json import read_typed
from eval.report.page import render
from eval.report.pictures import embed_pictures, embed_video
from eval.results.augment import JudgedFrame
from recon.clips.pairing import spread_indices
from recon.moving.offsets import LEAST_FRAMES, SURE

SCHEMA = "bridge4d/moving/1"
AUGMENTED, OWN = "augmented", "own_renderings"
"""Scenes with accepted frames, and with the first scene's own renderings in their place."""
REASON = re.compile(
    r" \(limit.*?\)| by [\d.]+°| by [\d.]+% of the extent| [\d.]+ px| \(at least \d+\)|(?<=only )\d+ "
)
"""Figures in the reasons of the gate, which differ from frame to frame."""
SHOWN = 6
"""Times in the film strip: as many as are seen side by side on a laptop."""
PICTURES_BYTES, FILM_BYTES = 6_000_000, 6_000_000
"""Most bytes of each, so that the page passes mail servers."""


def summarise(
    photos: Path,
    records: Mapping[str, StageRecord],
    captured: Path,
    cameras: Path,
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
            "offsets": load_offsets(cameras),
            "notes": [*said["notes"], *explain_offsets(load_offsets(cameras), said["cameras"])],
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


def describe_views(
    model: str, rows: Sequence[JudgedFrame], report: Mapping[str, Any], scores: ScoresSaid | None
) -> dict[str, Any]:
    """What the views of a world model brought: ``augmented`` of the report.

    Args:
        rows: all frames, as the gate judged them.
        report: of the captured frames alone.
        scores: of the scenes with the accepted frames and with own renderings in their place; None where none was accepted.
    """
    refused = Counter(REASON.sub("", row.reason) for row in rows if not row.accepted)
    said: dict[str, Any] = {
        "model": model,
        "asked": len(rows),
        "registered": sum(row.registered for row in rows),
        "accepted": sum(row.accepted for row in rows),
        "refused_because": dict(refused.most_common()),
        "psnr": None,
        "gain": None,
        "over_own_renderings": None,
    }
    if scores is None:
        return said
    psnr = {name: {part: mean(v) for part, v in parts.items()} for name, parts in scores["psnr"].items()}
    alone = report["psnr"]["moving"]
    return said | {
        "psnr": psnr,
        "gain": {part: _minus(value, alone[part]) for part, value in psnr[AUGMENTED].items()},
        "over_own_renderings": {
            part: _minus(value, psnr[OWN][part]) for part, value in psnr[AUGMENTED].items()
        },
        "frames": [
            {
                "name": name,
                "psnr": {n: {part: v[i] for part, v in parts.items()} for n, parts in scores["psnr"].items()},
            }
            for i, name in enumerate(scores["names"])
        ],
    }


def _minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


def say_augmented(said: Mapping[str, Any]) -> str:
    """What the views of a world model are worth, in one sentence."""
    count = f"{said['accepted']} of {said['asked']} views of {said['model']} were accepted"
    if said["psnr"] is None:
        return f"{count}, so that nothing was trained with them; cameras of larger frames (--max-side) are recovered more often"
    part = "moving" if said["gain"]["moving"] is not None else "whole"
    what = {"moving": "what moves", "whole": "the picture"}[part]
    gain, over = said["gain"][part], said["over_own_renderings"][part]
    return (
        f"{count}: with them the held-out camera sees {what} {_compare(gain)} than without, and {_compare(over)} than with the scene's own "
        f"renderings in their place; the picture {_compare(said['gain']['whole'])} and {_compare(said['over_own_renderings']['whole'])}"
    )


def _compare(gain: float) -> str:
    return f"{abs(gain):.2f} dB {'better' if gain >= 0 else 'worse'}"


def explain_offsets(said: OffsetsSaid | None, names: Sequence[str]) -> list[str]:
    """What the clocks of cameras say, in a sentence for each kind of case."""
    if said is None:
        return ["whether the cameras are synchronous was not looked at (--sync given)"]
    frame_s, sentences = said["frame_s"], []
    told = [
        f"{name} {applied / frame_s:+.2f} ± {(deviation or 0) / frame_s:.2f}"
        for name, applied, deviation in zip(names, said["applied_s"], said["deviation_s"], strict=True)
        if applied
    ]
    if told:
        sentences.append(
            f"these cameras are not synchronous with {names[0]}, by frames: {', '.join(told)}; their times were changed"
        )
    unknown = [f"{name} ({why})" for name, why in zip(names, said["because"], strict=True) if why]
    if unknown:
        sentences.append(
            f"whether these are synchronous with {names[0]} could not be told: {', '.join(unknown)}"
        )
    least = LEAST_FRAMES * frame_s
    unsure = [
        f"{name} {offset / frame_s:+.2f} ± {deviation / frame_s:.2f}"
        for name, offset, deviation, applied in zip(
            names, said["offset_s"], said["deviation_s"], said["applied_s"], strict=True
        )
        if offset is not None and deviation is not None and not applied
        if abs(offset) + SURE * deviation > least
    ]
    if unsure:
        sentences.append(
            f"whether these are within half a frame of {names[0]} is not sure, by frames: {', '.join(unsure)}; their times are as they came"
        )
    if not sentences:
        sentences.append(
            "no camera is off by more than half a frame, as far as what moves tells; times are as they came"
        )
    return sentences


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
        "trails": "Where what moves comes from (blue) and goes (yellow)",
    }
    files = {f"{i}_{kind}": judged / f"{i:03d}_{kind}.png" for kind in kinds for i in picks}
    page = render(
        "moving.html",
        {
            "r": report,
            "headline": headline(report),
            "augmented": say_augmented(report["augmented"]) if report.get("augmented") else "",
            "kinds": kinds,
            "picks": picks,
            "pictures": embed_pictures(files, max_bytes=PICTURES_BYTES),
            "film": embed_video(judged / "film.mp4", max_bytes=FILM_BYTES),
        },
    )
    path.write_text(page, encoding="utf-8")
