"""How far off a frame may be: the gate of the loop, measured in small steps.

    python -m benchmarks.gate_offsets [--json]

Frames whose true camera is off from the request by a known rotation or a known distance, in random directions, are
registered and judged as `bridge4d augment` does it, with its default options.

photos: every photo of a posed capture is held out once, a quarter of the capture at a time, and registered blind against
so many of the others as the loop takes. Its reference camera is the truth; the request is that camera, displaced. Blind
recovery does not see the request, so that one registration of a frame serves all requests.

room: pictures of the built-in room are drawn at displaced cameras; the request is the camera that was not displaced.
"""

import json
import math
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from benchmarks.gate_figures import (
    NONE,
    Judged,
    Offset,
    by_capture,
    frame_of,
    half_passes,
    merge,
    null_row,
    print_tables,
    row,
)
from benchmarks.gate_room import between, photograph
from benchmarks.machine import describe_machine
from benchmarks.output import command
from bridge4d.augmenting.options import AugmentOptions
from bridge4d.stages.frames import judge_frames, register_blind
from eval import poses
from eval.judging import gate, protocols
from recon.cameras import Cameras
from recon.capture.read import read_capture
from recon.clip import Clip
from recon.errors import BridgeError
from recon.sfm.anchor import Anchor, build_anchor
from recon.sfm.register import Registration
from worldgen.models.synthetic import SyntheticRoom

PARTS = 4
"""A capture is held out in so many parts, so that of a dozen photos the loop's nine are left to register against."""


ROTATIONS = tuple(Offset(rotation_deg=d) for d in (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0))
POSITIONS = tuple(Offset(position_share=s) for s in (0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08))


@dataclass(frozen=True)
class Arguments:
    folder: Path = Path("../shared/captures")
    """Where the captures lie."""
    captures: tuple[str, ...] = ("buddha", "lund_door", "maryrose")
    """Real photos with reference cameras."""
    draws: int = 4
    """Directions in which each photo's request is displaced, for every offset. Pictures of the room are drawn once."""
    frames: int = 12
    """Of the room, for every offset."""
    width: int = 480
    """Of the room's pictures."""
    height: int = 320
    seed: int = 0
    at: gate.FramePoses = gate.FRAME_POSES
    """The pose at which the epipolar error is measured; the default is the loop's."""
    json: bool = False


@dataclass(frozen=True)
class Setting:
    """What all sources are judged with."""

    arguments: Arguments
    options: AugmentOptions
    """The loop's defaults."""
    scratch: Path
    generator: torch.Generator

    def anchor(self, photos: Clip) -> tuple[Anchor, float]:
        """The model of the photos, and the scene's extent.

        Raises:
            BridgeError: the photos are from one place, which has no extent.
        """
        anchor = build_anchor(photos, self.scratch / "anchor", recipe=self.options.recipe)
        extent = poses.scene_extent(anchor.cameras, anchor.points)
        if extent is None:
            raise BridgeError("expected photos from different places, got one place, which has no extent")
        return anchor, extent

    def register(self, anchor: Anchor, frames: Clip) -> Registration:
        return register_blind(anchor, frames, folder=self.scratch / "frames", recipe=self.options.recipe)


def main(arguments: Arguments) -> None:
    options = replace(AugmentOptions(), frame_poses=arguments.at, seed=arguments.seed)
    sources: dict[str, Judged] = {}
    with tempfile.TemporaryDirectory() as folder:
        generator = torch.Generator().manual_seed(arguments.seed)
        setting = Setting(arguments, options, Path(folder), generator)
        for name in arguments.captures:
            merge(sources.setdefault("photos", {}), judge_capture(name, setting))
        sources["room"] = judge_room(setting)
    told = {
        name: {
            "rows": [row(offset, frames) for offset, frames in judged.items()],
            "half_deg": half_passes(judged, ROTATIONS),
            "half_share": half_passes(judged, POSITIONS),
        }
        for name, judged in sources.items()
    }
    null = [null_row(*of) for name, judged in sources.items() for of in by_capture(name, judged[NONE])]
    each = [
        asdict(frame.evidence)
        | {"source": frame.source, "accepted": bool(frame.accepted), "reason": frame.reason}
        for judged in sources.values()
        for frame in judged[NONE]
    ]
    if arguments.json:
        about = {**asdict(arguments), "folder": arguments.folder.name}
        record = {
            "arguments": about,
            "gate": asdict(options.gate),
            "machine": describe_machine(torch.get_num_threads()),
        }
        print(json.dumps(record | {"not_displaced": null, "frames": each} | told, indent=2))
        return
    print_tables(null, told)


def judge_capture(name: str, setting: Setting) -> Judged:
    """Every photo once, registered against as many as the loop takes of those that are not held out with it.

    Raises:
        BridgeError: there is no such capture, or it has no cameras.
    """
    options = setting.options
    clip = read_capture(setting.arguments.folder / name, max_side=options.sfm_side).clip
    if clip.cameras is None:
        raise BridgeError(f"expected captures with reference cameras, {name} has none; set --captures")
    index = {photo: i for i, photo in enumerate(clip.names)}
    out: Judged = {}
    for part in range(PARTS):
        split = protocols.split_photos(
            clip.names, views=options.views, heldout=sorted(clip.names)[part::PARTS]
        )
        photos = clip[[index[photo] for photo in split.training]]
        frames = clip[[index[photo] for photo in split.heldout]].limit_size(options.max_side)
        merge(out, judge_photos(name, photos, frames, setting))
        say(f"{name}, part {part + 1} of {PARTS}: {len(frames)} frames against {len(photos)} photos")
    return out


def judge_photos(name: str, photos: Clip, frames: Clip, setting: Setting) -> Judged:
    """One registration of each frame, judged for requests that are displaced from its true camera."""
    anchor, extent = setting.anchor(photos)
    found, true = setting.register(anchor, frames), frames.require_cameras()
    out: Judged = {}
    for offset in (NONE, *ROTATIONS, *POSITIONS):
        judged = []
        for _ in range(1 if offset == NONE else setting.arguments.draws):
            requested = displaced(true, offset, extent, setting.generator)
            judged.append(
                judge_frames(
                    requested,
                    found,
                    anchor,
                    extent,
                    setting.options.gate,
                    frame_poses=setting.options.frame_poses,
                )
            )
        out[offset] = [frame_of(name, list(directions)) for directions in zip(*judged, strict=True)]
    return out


def judge_room(setting: Setting) -> Judged:
    """Pictures drawn at displaced cameras, each registered and judged by the camera that was asked for."""
    room, arguments = SyntheticRoom(), setting.arguments
    photos = photograph(room, width=arguments.width, height=arguments.height)
    requested = between(photos, count=arguments.frames, seed=arguments.seed)
    anchor, extent = setting.anchor(photos)
    out: Judged = {}
    for offset in (NONE, *ROTATIONS, *POSITIONS):
        images, _ = room.render(displaced(requested, offset, extent, setting.generator))
        found = setting.register(anchor, Clip(images, requested))
        judged = judge_frames(
            requested, found, anchor, extent, setting.options.gate, frame_poses=setting.options.frame_poses
        )
        out[offset] = [frame_of("room", [item]) for item in judged]
        say(f"room, {offset}: {sum(f.accepted for f in out[offset]):g} of {len(requested)} accepted")
    return out


def displaced(cameras: Cameras, offset: Offset, extent: float, generator: torch.Generator) -> Cameras:
    """Each camera turned about its centre, and its centre moved, in a random direction of its own."""
    from scipy.spatial.transform import Rotation

    draw = torch.randn(2, len(cameras), 3, generator=generator, dtype=torch.float64)
    axis, direction = torch.nn.functional.normalize(draw, dim=2)
    turn = Rotation.from_rotvec((math.radians(offset.rotation_deg) * axis).numpy()).as_matrix()
    pose = cameras.world_from_cam.double().clone()
    pose[:, :3, :3] = pose[:, :3, :3] @ torch.from_numpy(turn)
    pose[:, :3, 3] += offset.position_share * extent * direction
    return replace(cameras, cam_from_world=replace(cameras, cam_from_world=pose).world_from_cam)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    command(main, Arguments, __doc__)
