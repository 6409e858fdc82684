"""Check generated frames: recover their poses blind, and let the gate decide which may enter a fit."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import interpolate

from bridge4d.runs import store, stored_arrays
from bridge4d.runs.stored_json import read_object, write_json
from bridge4d.runs.typed_json import read_typed
from bridge4d.stages import content, depth, sfm
from eval import poses
from eval.judging import gate
from eval.judging.content import ContentCheck
from eval.paths.readings import find_reading
from eval.results.augment import JudgedFrame
from eval.results.reading import from_json, to_json
from recon.cameras import Cameras
from recon.clip import Clip
from recon.compute.progress import note
from recon.depth import DepthMaps
from recon.sfm.anchor import Anchor
from recon.sfm.recipes import Recipe
from recon.sfm.register import Registration, register

VERSION = 3
MISREAD = "misread.json"
"""Beside the rows where frames follow another reading of their request."""
CONTRADICTED = "contradicted"
"""Folder with a picture a frame that photos contradict somewhere, white there."""


def check_frames(
    generated: Path,
    cameras: Path,
    out: Path,
    *,
    scratch: Path,
    recipe: Recipe,
    max_side: int,
    gate_options: gate.GateOptions,
    frame_poses: gate.FramePoses,
    number: int,
    pictures: str,
    surfaces: Path | None = None,
) -> None:
    """Register frames against the photos' model, and judge each by the gate.

    Args:
        generated: what `views.plan_and_generate` wrote.
        cameras: what `sfm.recover_cameras` wrote.
        out: an empty folder, made where it is absent; gets ``frames.json``, a row a frame, ``cameras.json`` with the recovered cameras,
            ``misread.json`` where these follow another reading of the request, and ``contradicted`` where content is checked.
        scratch: a folder for COLMAP, which is replaced.
        recipe: how frames are registered.
        max_side: long side of the photos in pixels at which frames were generated.
        gate_options: limits, as `GateOptions` counts them.
        frame_poses: under which pose epipolar errors are measured.
        number: of the round, for the rows.
        pictures: folder of the frames relative to that of the run, for the rows.
        surfaces: what `depth.estimate_depth` wrote of the photos at `max_side`, to check the content of frames by; None: it is not checked.
    """
    out.mkdir(parents=True, exist_ok=True)
    clip, anchor = store.load_clip(generated), sfm.load_anchor(cameras)
    photos = sfm.load_photos(cameras, max_side)
    found = register_blind(anchor, clip, folder=scratch, recipe=sfm.load_recipe(cameras, recipe))
    extent = poses.scene_extent(photos.require_cameras(), sfm.load_points(cameras))
    shown = {}
    if surfaces is not None:
        maps = depth.load_maps(surfaces)
        if maps is None:
            note("what frames show is not checked: the photos have no depth")
        else:
            shown = check_contents(clip, found, photos, maps, frame_poses=frame_poses)
            _save_contradicted(clip, shown, out / CONTRADICTED)
    judged = judge_frames(
        clip.require_cameras(), found, anchor, extent, gate_options, frame_poses=frame_poses, shown=shown
    )
    write_rows(clip, found, judged, out, number=number, pictures=pictures)
    if words := describe_misreading(clip.require_cameras(), found):
        write_json(out / MISREAD, {"if": words})
    stored_arrays.save_tracks(found.tracks, out / "tracks.npz")


def write_rows(
    clip: Clip,
    found: Registration,
    judged: Sequence[tuple[gate.Evidence, gate.Decision]],
    out: Path,
    *,
    number: int,
    pictures: str,
) -> None:
    """Write ``frames.json`` and ``cameras.json``; see `check_frames`."""
    rows = []
    for i, (item, decision) in enumerate(judged):
        row = JudgedFrame(
            **{key: _plain(value) for key, value in asdict(item).items()},
            round=number,
            accepted=decision.accepted,
            reason=decision.reason,
            picture=f"{pictures}/{clip.names[i]}.png",
        )
        rows.append(to_json(row))
    write_json(out / "frames.json", rows)
    recovered = found.recovery.cameras
    write_json(
        out / "cameras.json",
        {
            "names": list(found.recovery.registered_names),
            "cameras": None if recovered is None else store.cameras_to_json(recovered),
        },
    )


def register_blind(anchor: Anchor, clip: Clip, *, folder: Path, recipe: Recipe) -> Registration:
    """Recover the poses of frames: pixels and intrinsics are told, never the poses that `clip` brings.

    `folder` is for scratch, and is replaced.
    """
    bare = Clip(images=clip.images, names=clip.names)
    return register(anchor, bare, K=clip.require_cameras().K, folder=folder, recipe=recipe)


def check_contents(
    clip: Clip, found: Registration, photos: Clip, maps: DepthMaps, *, frame_poses: gate.FramePoses
) -> dict[str, ContentCheck]:
    """What photos say of each registered frame, by its name.

    Args:
        clip: frames with the cameras that were asked for.
        found: the frames, registered against the photos.
        photos: posed.
        maps: depth of the photos.
        frame_poses: with which pose a frame is used, and so compared.
    """
    if found.recovery.cameras is None:
        return {}
    registered = clip[found.recovery.registered.nonzero()[:, 0].tolist()]
    if frame_poses == "recovered":
        poses = found.recovery.cameras.cam_from_world
        registered = replace(registered, cameras=replace(registered.require_cameras(), cam_from_world=poses))
    return dict(zip(registered.names, content.check_clip(registered, photos, maps), strict=True))


def _save_contradicted(clip: Clip, shown: Mapping[str, ContentCheck], folder: Path) -> None:
    folder.mkdir()
    for name, check in shown.items():
        if check.share:
            white = check.contradicted.float()[None, None]
            large = interpolate(white, (clip.height, clip.width), mode="nearest-exact")[0, 0]
            store.save_picture(large[..., None].expand(-1, -1, 3), folder / f"{name}.png")


def judge_frames(
    requested: Cameras,
    found: Registration,
    anchor: Anchor,
    extent: float | None,
    gate_options: gate.GateOptions,
    *,
    frame_poses: gate.FramePoses,
    shown: Mapping[str, ContentCheck] | None = None,
) -> list[tuple[gate.Evidence, gate.Decision]]:
    """What is known about each frame, and what the gate says of it, in the order of `requested`.

    Args:
        requested: the cameras that were asked for, one per frame.
        found: the frames, registered against `anchor`.
        anchor: the photos' model.
        extent: of the scene, as `eval.poses.scene_extent` defines it.
        gate_options: limits, as `GateOptions` counts them.
        frame_poses: under which pose epipolar errors are measured.
        shown: what photos say of the content of frames, by name; nothing is known of others.
    """
    limits = gate_options.at_size(width=requested.width, height=requested.height)
    evidence = gate.collect_evidence(requested, found, photos=anchor.cameras, extent=extent, at=frame_poses)
    shown = shown or {}
    evidence = [
        replace(item, contradicted=shown[item.name].share) if item.name in shown else item
        for item in evidence
    ]
    return [(item, gate.decide(item, limits)) for item in evidence]


def describe_misreading(requested: Cameras, found: Registration) -> str:
    """How the request would have to be meant so that registered frames follow it, as ends 'they follow if …'.

    '' where they follow it as it stands, or no reading of it.
    """
    if found.recovery.cameras is None:
        return ""
    reading = find_reading(found.recovery.cameras, requested[found.recovery.registered])
    return "" if reading is None else reading.words


def load_misreading(folder: Path) -> str:
    """What `describe_misreading` said of the frames that `check_frames` judged.

    Raises:
        DamagedFileError: it is not what was written.
    """
    file = folder / MISREAD
    return str(read_object(file, "if")["if"]) if file.exists() else ""


def load_rows(folder: Path) -> list[JudgedFrame]:
    """All generated frames, as `check_frames` judged them.

    Raises:
        DamagedFileError: it is not what was written.
    """
    rows = read_typed(folder / "frames.json", list[JudgedFrame])
    return [from_json(JudgedFrame, row) for row in rows]


def accepted_frames(
    generated: Path, checked: Path, *, frame_poses: gate.FramePoses, weight: float, weigh_by_confidence: bool
) -> Clip | None:
    """Accepted frames with the cameras and weights with which they enter a fit; None where there are none.

    Pixels that photos contradict weigh 0.

    Args:
        generated: what `views.plan_and_generate` wrote.
        checked: what `check_frames` wrote of it.
        weight: of a fully trusted pixel; a photo's pixel weighs 1.
        weigh_by_confidence: whether the model's confidence weighs each pixel.
    """
    picks = [i for i, row in enumerate(load_rows(checked)) if row.accepted]
    if not picks:
        return None
    chosen = store.load_clip(generated)[picks]
    cameras = chosen.require_cameras()
    if frame_poses == "recovered":
        cameras = recovered_cameras(cameras, chosen.names, checked)
    sure = torch.ones(chosen.images.shape[:3])
    if chosen.confidence is not None and weigh_by_confidence:
        sure = chosen.confidence.clone()
    for i, name in enumerate(chosen.names):
        if (file := checked / CONTRADICTED / f"{name}.png").exists():
            sure[i][store.load_picture(file).amax(-1) > 0] = 0
    return replace(chosen, cameras=cameras, confidence=sure * weight)


def recovered_cameras(requested: Cameras, names: tuple[str, ...], checked: Path) -> Cameras:
    """The cameras of accepted frames with the poses that `check_frames` found for them."""
    recovered = store.read_recovered(checked / "cameras.json", names)
    return replace(requested, cam_from_world=recovered.cam_from_world)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value
