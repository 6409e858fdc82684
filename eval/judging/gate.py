"""The gate of the loop: which generated frames may enter the scene.

A frame is asked for at a pose. Structure from motion then recovers its pose blind, against the photos' model;
what was asked and what was recovered must agree, and the frame's matches with nearby photos must fit the
pose with which it will be used. Nothing here knows which model made the frame.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from eval import poses
from eval.stats.intervals import wilson95
from recon.cameras import Cameras
from recon.errors import BridgeError
from recon.recovery import Recovery
from recon.two_views import epipolar

FramePoses = Literal["recovered", "requested"]
"""The pose with which a frame is used, and under which its epipolar error is measured."""

FRAME_POSES: FramePoses = "recovered"
"""Default of the loop; the limits of `GateOptions` were measured with it."""


@runtime_checkable
class Match(Protocol):
    """Geometrically verified matches of a frame with one photo (`recon.sfm.register.FrameMatch`)."""

    @property
    def photo_index(self) -> int:
        """Index of the photo among those that the frames were registered against."""
        ...

    @property
    def xy_frame(self) -> Tensor:
        """[m, 2] pixels."""
        ...

    @property
    def xy_photo(self) -> Tensor:
        """[m, 2] pixels."""
        ...


@runtime_checkable
class Registered(Protocol):
    """Frames registered against the photos' model (`recon.sfm.register.Registration`)."""

    @property
    def recovery(self) -> Recovery:
        """Poses of the frames in the photos' world."""
        ...

    @property
    def matches(self) -> Sequence[Sequence[Match]]:
        """Per frame its matches with each photo that has any."""
        ...


@dataclass(frozen=True)
class Evidence:
    """What is known about one generated frame; None where a quantity is undefined."""

    name: str
    registered: bool
    rotation_deg: float | None
    """Between the requested and the recovered pose."""
    position_share: float | None
    """Between the requested and the recovered centre, as a share of the scene's extent."""
    inliers: int
    reprojection_error_px: float | None
    """Mean over the inliers, under the recovered pose."""
    epipolar_error_px: float | None
    """Median √Sampson of its verified matches with the nearest photos, under the pose with which it will be used."""
    contradicted: float | None = None
    """Share of what photos show of it that it shows otherwise (`eval.judging.content`); None where that was not compared."""


@dataclass(frozen=True)
class GateOptions:
    """Limits of the gate. Pixels are meant at a long side of 1000; see `at_size`.

    With the epipolar error under the recovered pose (`FRAME_POSES`) a request meets the two pose limits alone; all
    other limits judge the frame against the photos. Measured in small steps (`benchmarks/README.md`, how far off a
    frame may be): of 94 real photos 67 pass where they were asked for; of these 97% pass 1.5° and 1.5% of the extent
    off, 43% and 50% at the limits, 3% at 2.5°, none from 3° or 3% on. The limits blur by what recovery itself errs by:
    0.09° and 0.07% in the median of real photos, up to 1.5° and 1.2%. Under the requested pose the epipolar limit
    refuses first: 15% of them pass at 0.5°, 23% at 0.5%.
    """

    max_rotation_deg: float = 2.0
    """Requested against recovered."""
    max_position_share: float = 0.02
    """Requested against recovered, as a share of the scene's extent."""
    min_inliers: int = 15
    """Half of what COLMAP asks of an image: that a pose recovered blind lands where it was asked for is
    evidence in itself."""
    max_reprojection_error_px: float = 2.0
    """Mean over the inliers, for pictures with a long side of 1000 px; it shrinks with them, down to 1 px."""
    max_epipolar_error_px: float = 3.0
    """Median over the matches with the nearest photos, scaled likewise."""
    max_contradicted: float = 0.05
    """Share of what photos show of a frame that it may show otherwise, with --check-content: twice the most of the eighteen right frames that could
    be checked of the places on which the limits of the check were chosen (2.4%; benchmarks/README.md)."""

    def at_size(self, *, width: int, height: int) -> "GateOptions":
        """Limits for pictures of this size; never below 1 px, because features are no finer than that."""
        scale = max(width, height) / 1000
        return replace(
            self,
            max_reprojection_error_px=max(1.0, self.max_reprojection_error_px * scale),
            max_epipolar_error_px=max(1.0, self.max_epipolar_error_px * scale),
        )


@dataclass(frozen=True)
class Decision:
    """Whether the gate accepts one frame, and why; a clip gets a `Verdict` from a rule instead."""

    accepted: bool
    reason: str
    """In words: every limit that was broken, or the evidence for the frame."""


def decide(evidence: Evidence, options: GateOptions) -> Decision:
    """Accept a registered frame that breaks no limit; an undefined quantity breaks none."""
    if not evidence.registered:
        return Decision(False, "could not be registered against the photos")
    o, e = options, evidence
    broken = []
    if e.inliers < o.min_inliers:
        broken.append(f"only {e.inliers} inliers (at least {o.min_inliers})")
    if _exceeds(e.rotation_deg, o.max_rotation_deg):
        broken.append(f"rotation off by {e.rotation_deg:.1f}° (limit {o.max_rotation_deg:.1f}°)")
    if _exceeds(e.position_share, o.max_position_share):
        broken.append(
            f"position off by {100 * e.position_share:.1f}% of the extent "  # type: ignore[operator]
            f"(limit {100 * o.max_position_share:.1f}%)"
        )
    if _exceeds(e.reprojection_error_px, o.max_reprojection_error_px):
        broken.append(
            f"reprojection error {e.reprojection_error_px:.1f} px (limit {o.max_reprojection_error_px:.1f} px)"
        )
    if _exceeds(e.epipolar_error_px, o.max_epipolar_error_px):
        broken.append(f"epipolar error {e.epipolar_error_px:.1f} px (limit {o.max_epipolar_error_px:.1f} px)")
    if _exceeds(e.contradicted, o.max_contradicted):
        broken.append(
            f"photos contradict {100 * e.contradicted:.1f}% of what they show of it "  # type: ignore[operator]
            f"(limit {100 * o.max_contradicted:.1f}%)"
        )
    if broken:
        return Decision(False, "; ".join(broken))
    return Decision(True, f"agrees with the photos ({e.inliers} inliers)")


def collect_evidence(
    requested: Cameras,
    registration: Registered,
    photos: Cameras,
    extent: float | None,
    *,
    nearest: int = 3,
    at: FramePoses = FRAME_POSES,
) -> tuple[Evidence, ...]:
    """One `Evidence` per frame, in the order of `requested`.

    Args:
        requested: the cameras that were asked for, one per frame.
        registration: its `recovery` covers the same frames, in the photos' world.
        photos: the cameras that `photo_index` counts, in the same world.
        extent: of the scene, as `eval.poses.scene_extent` defines it.
        nearest: of the photos matched with a frame, how many are asked about its epipolar error.
        at: the pose at which the epipolar error is measured: the one with which the frame will be used. A frame
            without a recovered pose has none.
    """
    recovery = registration.recovery
    if not len(requested) == len(recovery.names) == len(registration.matches):
        raise BridgeError(
            f"expected one registration per requested camera, got {len(requested)} cameras, "
            f"{len(recovery.names)} frames and matches of {len(registration.matches)}"
        )
    rotation, position = _measure_pose_errors(requested, recovery, extent)
    used: list[Cameras | None] = [requested[i] for i in range(len(requested))]
    if at == "recovered":
        found = iter(range(int(recovery.registered.sum())))
        used = [
            recovery.cameras[next(found)] if known and recovery.cameras is not None else None
            for known in recovery.registered.tolist()
        ]
    return tuple(
        Evidence(
            name=name,
            registered=bool(recovery.registered[i]),
            rotation_deg=_none_if_nan(rotation[i]),
            position_share=_none_if_nan(position[i]),
            inliers=int(recovery.inliers[i]),
            reprojection_error_px=_none_if_nan(float(recovery.reprojection_error_px[i])),
            epipolar_error_px=_epipolar_error_px(used[i], registration.matches[i], photos, extent, nearest),
        )
        for i, name in enumerate(recovery.names)
    )


def _measure_pose_errors(
    requested: Cameras, recovery: Recovery, extent: float | None
) -> tuple[list[float], list[float]]:
    """Rotation errors in degrees and position errors as a share of the extent; NaN for unregistered frames."""
    rotation = torch.full((len(requested),), torch.nan, dtype=torch.float64)
    position = rotation.clone()
    if recovery.cameras is not None and bool(recovery.registered.any()):
        errors = poses.pose_errors(recovery.cameras, requested[recovery.registered], extent=extent)
        rotation[recovery.registered] = errors.rotation_deg
        position[recovery.registered] = errors.position_share
    return rotation.tolist(), position.tolist()


def _epipolar_error_px(
    frame: Cameras | None, matches: Sequence[Match], photos: Cameras, extent: float | None, nearest: int
) -> float | None:
    """Median √Sampson in px over the matches with the nearest photos; photos from the same place are left out."""
    if frame is None:
        return None
    by_distance = sorted(
        (m for m in matches if len(m.xy_frame)),
        key=lambda m: (photos.centers[int(m.photo_index)] - frame.centers[0]).norm().item(),
    )
    distances = (
        epipolar.pair_error_px(
            frame, photos[int(m.photo_index)], m.xy_frame, m.xy_photo, min_baseline=1e-3 * (extent or 0.0)
        )
        for m in by_distance
    )
    defined = list(islice((d for d in distances if not d.isnan().any()), nearest))
    return torch.cat(defined).median().item() if defined else None


def _exceeds(value: float | None, limit: float) -> bool:
    return value is not None and value > limit


def _none_if_nan(value: float) -> float | None:
    return value if math.isfinite(value) else None


@dataclass(frozen=True)
class Confusion:
    """Counts of a gate's decisions against the truth; "positive" means accepted."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int

    @property
    def precision(self) -> float | None:
        """Share of accepted frames that are good."""
        return _rate(self.true_positive, self.true_positive + self.false_positive)

    @property
    def recall(self) -> float | None:
        """Share of good frames that are accepted."""
        return _rate(self.true_positive, self.true_positive + self.false_negative)

    @property
    def false_positive_rate(self) -> float | None:
        """Share of bad frames that are accepted."""
        return _rate(self.false_positive, self.false_positive + self.true_negative)

    @property
    def precision95(self) -> tuple[float, float] | None:
        """Wilson's 95% interval of `precision`."""
        return wilson95(self.true_positive, self.true_positive + self.false_positive)

    @property
    def recall95(self) -> tuple[float, float] | None:
        """Wilson's 95% interval of `recall`."""
        return wilson95(self.true_positive, self.true_positive + self.false_negative)


def count_confusion(decisions: Sequence[Decision], truth: Sequence[bool]) -> Confusion:
    """Count decisions against the truth, which is True for a frame that should be accepted."""
    pairs = [(d.accepted, t) for d, t in zip(decisions, truth, strict=True)]
    return Confusion(
        true_positive=pairs.count((True, True)),
        false_positive=pairs.count((True, False)),
        false_negative=pairs.count((False, True)),
        true_negative=pairs.count((False, False)),
    )


def _rate(part: int, whole: int) -> float | None:
    return part / whole if whole else None
