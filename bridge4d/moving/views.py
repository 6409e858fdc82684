"""Views of a moving scene that a world model generates, their check, and what enters a second training."""

from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from bridge4d.moving.options import AugmentMovingOptions
from bridge4d.moving.stages import (
    MOVING,
    SCENE,
    load_capture,
    load_frames,
    load_masks,
    load_moments,
    load_points,
    load_times,
    mask_movers,
    save_masks,
    split_rows,
    write_fit,
)
from bridge4d.runs import store
from bridge4d.stages import frames
from bridge4d.stages.splats import FrameShare, image_frequencies
from bridge4d.stages.views import ask_model
from eval import poses
from recon.cameras import Cameras
from recon.clip import Clip
from recon.compute.seeds import make_generator
from recon.points import PointCloud
from recon.scene import Scene
from recon.scenefiles.formats.motion_tensors import load_sequence
from recon.sequence import GaussianSequence
from recon.sfm import PHOTOS
from recon.sfm.anchor import build_anchor
from recon.splats.moving.draw import draw_at_times
from recon.splats.moving.fit import fit_sequence
from recon.splats.moving.start import frames_by_time
from worldgen.model import WorldModel
from worldgen.plan import plan_cameras
from worldgen.units import ASSUMED_DEPTH_M, median_depth

VERSION = 1
PLAN, GENERATE = 3, 4
"""Streams of random numbers, after those of `bridge4d.moving.stages`."""


def generate_views(
    captured: Path,
    cameras: Path,
    surfaces: Path,
    scene: Path,
    out: Path,
    *,
    model: WorldModel,
    options: AugmentMovingOptions,
) -> None:
    """Plan cameras between those that train, and ask for what they would see at all times of the capture.

    Cameras are planned against the scene in the middle of its time, and stand still. Of the camera that judges nothing is used.
    """
    rows, _ = split_rows(captured)
    clip, still = load_moments(captured, cameras)[rows], load_points(surfaces)[0]
    sequence = load_sequence(scene / SCENE)
    first, last = span_of(load_times(captured, cameras))
    moments = [moment for moment in frames_by_time(clip) if first <= moment[0] <= last]
    middle, at_middle = moments[len(moments) // 2]
    rig = clip[at_middle]
    targets = plan_cameras(
        sequence.at(middle),
        rig,
        count=options.novel_cameras,
        points=still,
        generator=make_generator(options.seed, PLAN),
        support=options.support,
    )
    times = torch.tensor([time_s for time_s, _ in moments], dtype=torch.float64)
    views = ask_model(
        clip,
        describe_scene(model, rig, still, sequence, options.metres_per_unit),
        model=model,
        targets=Cameras.concatenate([targets] * len(times)),
        times_s=times.repeat_interleave(len(targets)),
        generator=make_generator(options.seed, GENERATE),
    )
    names = tuple(f"r1-t{i:03d}-c{k:02d}" for i in range(len(times)) for k in range(len(targets)))
    store.save_clip(replace(views, names=names), out)


def span_of(times_s: Float[Tensor, "t"]) -> tuple[float, float]:
    """First and last of ascending times, a little widened, so that rounding excludes neither."""
    return float(times_s[0]) - 1e-6, float(times_s[-1]) + 1e-6


def describe_scene(
    model: WorldModel,
    rig: Clip,
    still: PointCloud,
    sequence: GaussianSequence | None,
    metres_per_unit: float | None,
) -> Scene:
    """What a model is told of the place.

    Args:
        rig: frames with the cameras of the capture.
        sequence: the scene so far; models that mend renderings are not shown it, as in the first round of `augment`: it knows nothing that
            the frames do not show.
        metres_per_unit: None where nobody says; the depth of the points is then taken to be that of a room.
    """
    depth = median_depth(still, rig.cameras)
    assumed = metres_per_unit is None and depth is not None
    if metres_per_unit is None and depth is not None:
        metres_per_unit = ASSUMED_DEPTH_M / depth
    return Scene(
        points=still,
        moving=None if "rendering" in model.spec.conditions_on else sequence,
        metres_per_unit=metres_per_unit,
        metres_assumed=assumed,
    )


def check_views(
    captured: Path,
    cameras: Path,
    generated: Path,
    out: Path,
    *,
    scratch: Path,
    pictures: str,
    options: AugmentMovingOptions,
) -> None:
    """Recover the camera of every generated frame from its pixels, against what stands still, and judge each by the gate.

    The photos of the anchor are the medians over time of the cameras that train: what moves is in none of them, so that what moves in a
    frame finds no match. Masks of what moves in the frames are stored beside the rows.

    Args:
        scratch: a folder for COLMAP, which is replaced.
        pictures: folder of the frames relative to that of the run, for the rows.
    """
    clip, recipe = store.load_clip(generated), replace(PHOTOS, seed=options.seed)
    backgrounds = find_backgrounds(captured, cameras)
    anchor = build_anchor(backgrounds, scratch / "anchor", recipe=recipe)
    found = frames.register_blind(anchor, clip, folder=scratch / "register", recipe=recipe)
    extent = poses.scene_extent(backgrounds.require_cameras(), anchor.points)
    judged = frames.judge_frames(
        clip.require_cameras(), found, anchor, extent, options.gate, frame_poses=options.frame_poses
    )
    out.mkdir(parents=True, exist_ok=True)
    frames.write_rows(clip, found, judged, out, number=1, pictures=pictures)
    assert clip.times_s is not None
    count = len(clip) // len(clip.times_s.unique())  # cameras, each with a frame at every time
    save_masks(mask_movers(clip, [i % count for i in range(len(clip))]), out)


def find_backgrounds(captured: Path, cameras: Path) -> Clip:
    """What stands still before each camera that trains: the median over time of its frames, with its camera."""
    capture, said = load_capture(captured)
    clip = load_frames(cameras)
    each = [capture.frames_of(k) for k in range(len(capture.camera_names)) if k != said["heldout"]]
    images = torch.stack([clip.images[rows].median(0).values for rows in each])
    posed = clip.require_cameras()[[rows[0] for rows in each]]
    return Clip(images, posed, names=tuple(f"camera-{i}" for i in range(len(each))))


def load_accepted(
    generated: Path, checked: Path, options: AugmentMovingOptions
) -> tuple[Clip, Bool[Tensor, "n h w"]] | None:
    """Accepted frames with the cameras and weights with which they enter the training, and where they show what moves."""
    chosen = frames.accepted_frames(
        generated,
        checked,
        frame_poses=options.frame_poses,
        weight=options.generated_weight,
        weigh_by_confidence=options.weigh_by_confidence,
    )
    if chosen is None:
        return None
    accepted = [row.accepted for row in frames.load_rows(checked)]
    return chosen, load_masks(checked)[torch.tensor(accepted)]


def draw_own(scene: Path, shown: Clip, weight: float) -> Clip:
    """What the scene of the capture alone shows at the cameras and times of frames, all pixels trusted alike."""
    assert shown.times_s is not None
    drawn = draw_at_times(load_sequence(scene / SCENE), shown.require_cameras(), shown.times_s)
    return replace(
        shown, images=drawn.images.clamp(0, 1), confidence=torch.full(drawn.images.shape[:3], weight)
    )


def fit_with_views(
    captured: Path,
    cameras: Path,
    masks: Path,
    surfaces: Path,
    added: tuple[Clip, Bool[Tensor, "m h w"]],
    out: Path,
    options: AugmentMovingOptions,
) -> None:
    """Train the moving scene again on the captured frames and these; the same points, steps and seed."""
    rows, _ = split_rows(captured)
    clip, moving = load_frames(cameras)[rows], load_masks(masks)[rows]
    still, timed = load_points(surfaces)
    extra, extra_moving = added
    fitted = fit_sequence(
        Clip.concatenate([clip, extra]),
        torch.cat([moving, extra_moving]),
        still,
        timed,
        times_s=load_times(captured, cameras),
        options=options.sequence,
        generator=make_generator(options.seed, MOVING),
        frequency=choose_frequency(len(clip), len(extra), options.generated_share),
    )
    write_fit(fitted, out)


def choose_frequency(captured: int, generated: int, share: float) -> Float[Tensor, "n"]:
    """How often each picture is trained on: generated ones together in a share of the steps."""
    return image_frequencies(captured, generated, FrameShare(share, 1, range(1)))[0]
