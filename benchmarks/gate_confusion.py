"""Where the gate is wrong: frames with known damage, judged blind, against the truth.

    python -m benchmarks.gate_confusion [--json]

A ray-traced room gives exact pictures. Nine of them, with their true cameras, are the photos; the frames are asked
for between and beside them, drawn by the same room, and damaged by a known amount. A frame is *bad* when its true
camera is further from the request than the gate's own limits, or when it is bent by more than the epipolar limit;
everything else, however it looks, is *good*: the gate judges geometry.
"""

import dataclasses
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro

from benchmarks.gate_room import between, photograph
from bridge4d.augmenting.options import AugmentOptions
from bridge4d.stages.frames import judge_frames, register_blind
from eval import poses
from eval.judging import gate
from recon.cameras import Cameras
from recon.clip import Clip
from recon.scene import Scene
from recon.sfm.anchor import Anchor, build_anchor
from worldgen.model import Request, WorldModel
from worldgen.models.corrupt import Corrupt, Corruption, Damage
from worldgen.models.synthetic import SyntheticRoom
from worldgen.models.warp import Warp

CASES: dict[str, tuple[Corruption, ...]] = {
    "none": (Corruption(),),
    "rotation drift": tuple(Corruption(rotation_drift_deg=d) for d in (0.1, 0.4)),
    "translation drift": tuple(Corruption(translation_drift=d) for d in (0.001, 0.005)),
    "scale drift": tuple(Corruption(scale_drift=d) for d in (0.002, 0.01)),
    "swapped frames": (Corruption(swapped=0.5),),
    "thin-plate warp": tuple(Corruption(bend_px=d) for d in (0.3, 6.0)),
    "flicker": (Corruption(flicker=0.15),),
    "blur": (Corruption(blur_px=1.5),),
    "noise": (Corruption(noise=0.05),),
}


@dataclass(frozen=True)
class Arguments:
    frames: int = 16
    """Frames of each case and strength."""
    width: int = 480
    height: int = 320
    seed: int = 0
    at: gate.FramePoses = gate.FRAME_POSES
    """The pose at which the epipolar error is measured; the default is the loop's."""
    model: str = "synthetic"
    """'synthetic' draws perfect pictures; 'warp' moves the photos, so that its own faults come on top."""
    json: bool = False


def main(arguments: Arguments) -> None:
    room = SyntheticRoom()
    photos = photograph(room, width=arguments.width, height=arguments.height)
    targets = between(photos, count=arguments.frames, seed=arguments.seed)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        anchor = build_anchor(photos, Path(folder) / "anchor")
        model: WorldModel = room if arguments.model == "synthetic" else Warp()
        for case, strengths in CASES.items():
            for corruption in strengths:
                rows.append(
                    judge_case(case, corruption, model, photos, targets, anchor, Path(folder), arguments)
                )
                print(rows[-1]["case"], rows[-1]["strength"], "done", file=sys.stderr, flush=True)
    if arguments.json:
        print(json.dumps({"arguments": dataclasses.asdict(arguments), "cases": rows}, indent=2))
        return
    print("| damage | strength | good, accepted | good, refused | bad, accepted | bad, refused |")
    print("| --- | --- | --- | --- | --- | --- |")
    keys = ("true_positive", "false_negative", "false_positive", "true_negative")
    for row in rows:
        print(f"| {row['case']} | {row['strength']} | " + " | ".join(str(row[key]) for key in keys) + " |")
    total = gate.Confusion(**{key: sum(row[key] for row in rows) for key in keys})
    print("| **all** | | " + " | ".join(f"**{getattr(total, key)}**" for key in keys) + " |")
    print(
        f"\nprecision {total.precision or 0:.3f} {_interval(total.precision95)}, recall {total.recall or 0:.3f} {_interval(total.recall95)}"
    )
    for row in rows:
        for wrong in row["wrong"]:
            print(f"wrong: {row['case']} {row['strength']}: {wrong}", file=sys.stderr)


def judge_case(
    case: str, corruption: Corruption, model: WorldModel, photos: Clip, targets: Cameras,
    anchor: Anchor,
    folder: Path,
    arguments: Arguments,
) -> dict:  # fmt: skip
    views, damage = Corrupt(model, corruption).generate_with_truth(
        Request(photos, targets, scene=Scene(points=anchor.points)),
        generator=torch.Generator().manual_seed(arguments.seed),
    )
    extent = poses.scene_extent(photos.require_cameras(), anchor.points)
    options = dataclasses.replace(AugmentOptions(), frame_poses=arguments.at)
    limits = options.gate.at_size(width=targets.width, height=targets.height)
    found = register_blind(anchor, views.clip, folder=folder / "frames", recipe=options.recipe)
    judged = judge_frames(targets, found, anchor, extent, options.gate, frame_poses=options.frame_poses)
    verdicts = [verdict for _, verdict in judged]
    good = truth(damage, targets, extent, limits)
    counts = gate.count_confusion(verdicts, good)
    strength = ", ".join(f"{key} {value:g}" for key, value in dataclasses.asdict(corruption).items() if value)
    wrong = [
        f"{item.name} {'good but refused' if is_good else 'bad but accepted'}: {verdict.reason}"
        for (item, verdict), is_good in zip(judged, good, strict=True)
        if verdict.accepted != is_good
    ]
    return {"case": case, "strength": strength or "–", **dataclasses.asdict(counts), "wrong": wrong}


def truth(damage: Damage, targets: Cameras, extent: float | None, limits: gate.GateOptions) -> list[bool]:
    """True where a frame is what was asked for, within the limits of the gate."""
    errors = poses.pose_errors(damage.true_cameras, targets, extent=extent)
    good = (errors.rotation_deg <= limits.max_rotation_deg) & (
        errors.position_share <= limits.max_position_share
    )
    if damage.displacement_px is not None:
        good &= damage.displacement_px.square().sum(-1).mean((1, 2)).sqrt() <= limits.max_epipolar_error_px
    return good.tolist()


def _interval(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f"[{interval[0]:.3f}, {interval[1]:.3f}]"


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
