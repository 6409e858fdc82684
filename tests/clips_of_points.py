"""Clips made of nothing but matched points: exact projections of a known scene, and ways to spoil them."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from eval.geometry.motion import Motion, MotionKind
from eval.judging import rules
from eval.judging.rules import Rule
from eval.paths.check import check_path
from eval.results.measure import Verdict
from recon.cameras import Cameras, intrinsics, look_at, project
from recon.errors import RecoveryStatus
from recon.points import PointCloud
from recon.recovery import Recovery
from recon.sfm.matches import Matches

WIDTH, HEIGHT, FRAMES = 384, 256, 16


def path(kind: str = "general", *, n: int = FRAMES, focal_px: float = 330.0) -> Cameras:
    """'general' moves sideways and turns a little, 'rotation only' turns, 'static' does neither."""
    t = torch.linspace(0, 1, n, dtype=torch.float64)
    zero = torch.zeros_like(t)
    eye = torch.stack([1.2 * t, -0.2 * t, zero], dim=1)
    target = torch.stack([0.3 * t, zero, zero + 6], dim=1)
    if kind == "rotation only":
        eye, target = torch.zeros_like(eye), torch.stack([2.5 * t, 0.5 * t, zero + 6], dim=1)
    if kind == "static":
        eye, target = torch.zeros_like(eye), torch.stack([zero, zero, zero + 6], dim=1)
    up = torch.tensor([[0.0, -1, 0]] * n, dtype=torch.float64)
    K = intrinsics(focal_px=focal_px, width=WIDTH, height=HEIGHT, n=n)
    return Cameras(look_at(eye, target, up), K, WIDTH, HEIGHT)


def scene(kind: str = "general", *, points: int = 300, seed: int = 0) -> torch.Tensor:
    """World points in a box in front of the path, or on a slanted 'plane'."""
    u = torch.rand(points, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    xyz = torch.stack([9 * (u[:, 0] - 0.5), 6 * (u[:, 1] - 0.5), 3 + 6 * u[:, 2]], dim=1)
    if kind == "plane":
        xyz[:, 2] = 5 + 0.3 * xyz[:, 0] + 0.2 * xyz[:, 1]
    return xyz


def matched(
    cameras: Cameras,
    xyz: torch.Tensor,
    *,
    noise_px: float = 0.3,
    outliers: float = 0.2,
    seed: int = 0,
) -> Matches:
    """All pairs of frames; a share of each pair's matches is exchanged among themselves."""
    g = torch.Generator().manual_seed(seed)
    xy, depth = project(xyz, cameras)
    inside = (depth > 0.1) & (xy > 0).all(-1) & (xy < torch.tensor([cameras.width, cameras.height])).all(-1)
    xy = xy + noise_px * torch.randn(xy.shape, generator=g, dtype=torch.float64)
    n = len(cameras)
    pairs = tuple((a, b) for a in range(n) for b in range(a + 1, n))
    rows = []
    for a, b in pairs:
        i = torch.nonzero(inside[a] & inside[b])[:, 0]
        wrong = torch.nonzero(torch.rand(len(i), generator=g) < outliers)[:, 0]
        j = i.clone()
        j[wrong] = i[wrong.roll(1)]
        rows.append(torch.stack([i, j], dim=1))
    return Matches(cameras.width, cameras.height, tuple(xy), pairs, tuple(rows))


def warped(matches: Matches, strength_px: float, *, seed: int = 5) -> Matches:
    """Every frame bent by smooth random waves that grow with time to `strength_px`: rubber instead of rigid."""
    g = torch.Generator().manual_seed(seed)
    frequencies = 0.025 * torch.randn(6, 2, generator=g, dtype=torch.float64)  # wavelengths of about 200 px
    directions = torch.randn(6, 2, generator=g, dtype=torch.float64) / 6**0.5
    phases = 6.3 * torch.rand(6, generator=g, dtype=torch.float64)
    out = []
    for frame, xy in enumerate(matches.keypoints):
        amount = strength_px * frame / (len(matches) - 1)
        out.append(xy + amount * torch.sin(xy @ frequencies.T + phases + 0.4 * frame) @ directions)
    return replace(matches, keypoints=tuple(out))


def shuffled(matches: Matches, *, seed: int = 6) -> Matches:
    """Every match leads to a random feature of those matched."""
    g = torch.Generator().manual_seed(seed)
    rows = [torch.stack([r[:, 0], r[torch.randperm(len(r), generator=g), 1]], dim=1) for r in matches.indices]
    return replace(matches, indices=tuple(rows))


def drifted(cameras: Cameras, deg: float) -> Cameras:
    """Cameras whose rotation is more and more off, up to `deg` about their own y and x axes."""
    out = cameras.cam_from_world.clone()
    for i in range(len(cameras)):
        angle = torch.tensor(deg * i / (len(cameras) - 1), dtype=torch.float64).deg2rad()
        skew = torch.tensor([[0.0, 0, 1], [0, 0, -0.7], [-1, 0.7, 0]], dtype=torch.float64)
        out[i, :3] = torch.linalg.matrix_exp(angle * skew) @ out[i, :3]
    return replace(cameras, cam_from_world=out)


def recovered(cameras: Cameras, registered: torch.Tensor | None = None, kind: str = "general") -> Recovery:
    """A recovery of these cameras that registered all frames, or some, of the scene or of a wall."""
    n = len(cameras)
    everyone = torch.ones(n, dtype=torch.bool) if registered is None else registered
    xyz = scene()
    if kind == "wall":
        xyz[:, 2] = 6
    return Recovery(
        status=RecoveryStatus.OK,
        names=tuple(f"{i:05d}" for i in range(n)),
        registered=everyone,
        cameras=cameras[everyone],
        points=PointCloud(xyz, torch.zeros(len(xyz), 3), torch.zeros(len(xyz), dtype=torch.float64)),
        reprojection_error_px=torch.zeros(n, dtype=torch.float64),
        inliers=torch.full((n,), 100),
        num_models=1,
        model_sizes=(n,),
    )


def judge_clip(
    rule: Rule,
    recoveries: Sequence[Recovery],
    requested: Cameras | None,
    motion: Motion = Motion(MotionKind.UNKNOWN, ""),
) -> Verdict:
    """The verdict of a rule on recoveries whose paths are checked for it."""
    trials = [(recovery, check_path(recovery, motion, requested)) for recovery in recoveries]
    return rules.judge_clip(rule, trials, requested)
