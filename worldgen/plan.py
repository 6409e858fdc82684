"""Where to look next: novel cameras that see what the photos and their splats show worst."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from recon.cameras import Cameras, look_at, nearest_camera, project
from recon.clip import Clip
from recon.errors import BridgeError, ReconstructionError
from recon.gaussians import Gaussians
from recon.pictures.canvas import find_boxes
from recon.points import PointCloud

SAMPLES = 400
"""Most points that stand for the scene: each costs an angle to every candidate and photo."""
NEW_ANGLE_DEG = 12.0
"""Angle between views of a point from which on the second one shows it anew; halved, plans crowd round the photos."""
FULL_ERROR = 0.15
"""Mean absolute colour difference (sRGB) from which splats count as wholly wrong at a point."""
PEEK_SIDE = 64
"""Long side in pixels of the small renderings that tell coverage and nearness."""


@dataclass(frozen=True)
class SeenPoints:
    """Points that at least two photos look at, which stand for the scene in planning."""

    xyz: Float[Tensor, "p 3"]
    """World units."""
    photos: Cameras
    """The training photos, float64."""
    seen: Bool[Tensor, "n p"]
    """Which photo has which point in its frame."""
    focus_m: Float[Tensor, "n"]
    """Median z-depth of the points in each photo (world units)."""
    need: Float[Tensor, "p"]
    """How badly the splats show each point to the photos that see it: 0 as it should be, 1 missing or wrong."""
    near: float
    """Nearest z-depth at which photos see points (5th percentile)."""
    earlier: Cameras | None = None
    """Cameras that were asked for before, float64."""


def plan_cameras(
    gaussians: Gaussians,
    clip: Clip,
    *,
    count: int,
    generator: torch.Generator,
    points: PointCloud | None = None,
    support: float = 0.6,
    earlier: Cameras | None = None,
) -> Cameras:
    """`count` novel cameras where the scene is seen worst, inside what the photos support.

    Candidates lie between neighbouring photos and on small orbits around each, looking at the same things.
    One is allowed if it has in its frame at least the share `support` of the points a typical photo has
    (points that two photos see), and stands outside the geometry; where none is left, those that see the most
    stand in. It is worth the angle by which it sees points anew, the more so for points which
    the splats show badly to the photos, and the part of its picture that the splats leave open. Chosen greedily: a
    chosen camera counts as a photo for the next, so that they spread out.

    Args:
        gaussians: the current scene.
        clip: the posed training photos; lens and size of the first are used.
        count: how many cameras to return, at least 1.
        generator: for the jitter of candidates; the same state gives the same cameras.
        support: share of the points of a typical photo that a camera should see, above 0 and up to 1; lowered where
            too few candidates pass.
        points: SfM points that stand for the scene; the most opaque Gaussians do without them.
        earlier: cameras that were asked for before; what these saw is no news.

    Raises:
        BridgeError: fewer than two photos, a scene of which no two photos see the same part, count below 1.
    """
    if count < 1 or len(clip) < 2:
        raise BridgeError(
            f"expected at least one camera to plan and two posed photos, got {count} and {len(clip)}"
        )
    scene = _find_seen_points(gaussians, clip, points)
    candidates = _filter_supported(
        _candidates(scene, generator, rounds=1 + count // len(clip)), scene, support, count
    )
    if earlier is not None:
        scene = replace(scene, earlier=earlier.to(dtype=torch.float64))
    candidates = candidates[_cheap_ranking(candidates, scene)[: max(4 * count, 24)]]
    open_share = _open_share(gaussians, candidates, scene)
    return candidates[_greedy(candidates, scene, open_share, count)]


def plan_times(targets: Cameras, photos: Clip) -> Float[Tensor, "n"] | None:
    """When each target is looked at, in seconds on the photos' clock: when the nearest photo was taken.

    None where the photos have no times. A static scene ignores them.
    """
    if photos.times_s is None:
        return None
    cameras = photos.require_cameras()
    return photos.times_s[[nearest_camera(cameras, targets[i]) for i in range(len(targets))]]


def _find_seen_points(gaussians: Gaussians, clip: Clip, points: PointCloud | None) -> SeenPoints:
    """Choose points that stand for the scene: of structure from motion, else the most opaque Gaussians."""
    photos = clip.require_cameras().to(dtype=torch.float64)
    if points is not None and len(points) >= 20:
        xyz = points.xyz.double()
    else:
        strongest = torch.argsort(gaussians.opacity_logits, descending=True, stable=True)
        xyz = gaussians.means.detach().double()[strongest[: max(20, len(strongest) // 2)]]
    seen, z = in_frame(xyz, photos)
    if clip.confidence is not None:
        seen &= _in_boxes(xyz, clip)
    twice = torch.nonzero(seen.sum(0) >= 2)[:, 0]
    if len(twice) == 0:
        raise ReconstructionError(
            "expected photos that see parts of the scene in common, got none; check the cameras"
        )
    picks = twice[torch.linspace(0, len(twice) - 1, min(SAMPLES, len(twice))).long()]
    seen, z = seen[:, picks], z[:, picks]
    overall = float(z[seen].median())
    focus = torch.stack(
        [
            z[i, seen[i]].median() if seen[i].any() else torch.tensor(overall).double()
            for i in range(len(photos))
        ]
    )
    need = _need(gaussians, clip, xyz[picks], seen)
    return SeenPoints(xyz[picks], photos, seen, focus, need, float(torch.quantile(z[seen], 0.05)))


def _need(
    gaussians: Gaussians, clip: Clip, xyz: Float[Tensor, "p 3"], seen: Bool[Tensor, "n p"]
) -> Float[Tensor, "p"]:
    """Mean over the photos that see a point of what the splats lack there: opacity, or the right colour."""
    from recon.splats.render import draw_views

    small = clip.limit_size(PEEK_SIDE)
    cameras = small.require_cameras()
    peek = draw_views(gaussians, cameras.to(dtype=torch.float32))
    error = (peek.images - small.images).abs().mean(-1) / FULL_ERROR
    lack = torch.maximum(1 - peek.alpha, error).clamp(0, 1)
    px, _ = project(xyz, cameras)
    column = px[..., 0].long().clamp(0, small.width - 1)
    row = px[..., 1].long().clamp(0, small.height - 1)
    at_point = lack.flatten(1).gather(1, row * small.width + column)
    return ((at_point * seen).sum(0) / seen.sum(0)).float()


def in_frame(xyz: Float[Tensor, "p 3"], cameras: Cameras) -> tuple[Bool[Tensor, "n p"], Float[Tensor, "n p"]]:
    """Which points each camera has in its picture (nothing hides anything here), and their z-depths."""
    px, z = project(xyz, cameras)
    size = torch.tensor([cameras.width, cameras.height], dtype=px.dtype)
    return (z > 1e-6) & (px >= 0).all(-1) & (px < size).all(-1), z


def _in_boxes(xyz: Float[Tensor, "p 3"], clip: Clip) -> Bool[Tensor, "n p"]:
    """Which points project into the part of its canvas that each photo fills."""
    px, _ = project(xyz, clip.require_cameras().to(dtype=torch.float64))
    boxes = torch.tensor(find_boxes(clip), dtype=px.dtype)[:, None]
    return ((px >= boxes[..., :2]) & (px < boxes[..., :2] + boxes[..., 2:])).all(-1)


def _candidates(scene: SeenPoints, generator: torch.Generator, rounds: int) -> Cameras:
    """Poses between neighbouring photos, and around each photo's focus point."""
    photos, n = scene.photos, len(scene.photos)
    eyes, targets, ups = [], [], []
    focus = photos.centers + scene.focus_m[:, None] * photos.forward
    down = photos.cam_from_world[:, 1, :3]
    apart = torch.cdist(photos.centers, photos.centers)
    nearest = torch.argsort(apart, dim=1, stable=True)[:, 1:5]
    for _ in range(rounds):
        for i in range(n):
            for j in nearest[i].tolist():
                t = 0.2 + 0.6 * torch.rand(1, generator=generator, dtype=torch.float64)
                eyes.append(photos.centers[i].lerp(photos.centers[j], t))
                targets.append(focus[i].lerp(focus[j], t))
                ups.append(-down[i].lerp(down[j], t))
            for across, along in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)):
                strength = 0.5 + torch.rand(1, generator=generator, dtype=torch.float64)
                reach = apart[i, nearest[i, 0]].clamp(max=0.25 * scene.focus_m[i]) * strength
                sideways = photos.cam_from_world[i, 0, :3] * across + down[i] * along
                eyes.append(photos.centers[i] + reach * sideways / sideways.norm())
                targets.append(focus[i])
                ups.append(-down[i])
    pose = look_at(torch.stack(eyes), torch.stack(targets), torch.stack(ups))
    return replace(photos, cam_from_world=pose, K=photos.K[:1].repeat(len(pose), 1, 1))


def _filter_supported(candidates: Cameras, scene: SeenPoints, support: float, count: int) -> Cameras:
    """Candidates with enough of the scene in frame, and not closer to it than photos ever are.

    Where fewer than `count` pass, the demand on the share is lowered until there are enough.
    """
    seen, z = in_frame(scene.xyz, candidates)
    typical = scene.seen.sum(1).double().median()
    closest = torch.where(seen, z, torch.inf).quantile(0.05, dim=1)
    clear = closest > 0.5 * scene.near
    share = seen.sum(1) / typical
    allowed = clear & (share >= support)
    lowered = 0
    while allowed.sum() < count and support > 0.05:
        support, lowered = support * 0.7, lowered + 1
        allowed = (share >= support) & (clear | torch.tensor(lowered > 3))
    if allowed.sum() < count:
        allowed = torch.ones_like(allowed)
    return candidates[torch.nonzero(allowed)[:, 0]]


def _rays(cameras: Cameras, scene: SeenPoints) -> Float[Tensor, "n p 3"]:
    """Unit directions from each camera to each scene point."""
    return torch.nn.functional.normalize(scene.xyz - cameras.centers[:, None], dim=-1).float()


def _angle_deg(rays: Float[Tensor, "n p 3"], other: Float[Tensor, "p 3"]) -> Float[Tensor, "n p"]:
    return torch.rad2deg(torch.arccos((rays * other).sum(-1).clamp(-1, 1)))


def _newness(candidates: Cameras, scene: SeenPoints) -> Float[Tensor, "n p"]:
    """How newly each candidate sees each point: 0 as a photo or an earlier camera does, 1 from `NEW_ANGLE_DEG` on; 0 off frame."""
    seen, _ = in_frame(scene.xyz, candidates)
    rays = _rays(candidates, scene)
    closest = torch.full(seen.shape, torch.inf)
    known = [(scene.photos, scene.seen)]
    if scene.earlier is not None:
        known.append((scene.earlier, in_frame(scene.xyz, scene.earlier)[0]))
    for cameras, sees in known:
        for camera_rays, camera_sees in zip(_rays(cameras, scene), sees, strict=True):
            closest = torch.where(camera_sees, torch.minimum(closest, _angle_deg(rays, camera_rays)), closest)
    return (closest / NEW_ANGLE_DEG).clamp(max=1) * seen


def _worth(newness: Float[Tensor, "n p"], seen: Bool[Tensor, "n p"], need: Float[Tensor, "p"]) -> Tensor:
    """What each candidate is worth by the points in its frame, [n]."""
    return (newness * (0.3 + 0.7 * need) + 0.5 * need * seen).mean(1)


def _cheap_ranking(candidates: Cameras, scene: SeenPoints) -> Tensor:
    seen, _ = in_frame(scene.xyz, candidates)
    worth = _worth(_newness(candidates, scene), seen, scene.need)
    return torch.argsort(worth, descending=True, stable=True)


def _open_share(gaussians: Gaussians, candidates: Cameras, scene: SeenPoints) -> Float[Tensor, "n"]:
    """Share of each candidate's picture that the splats leave open; infinite where geometry is in its face."""
    from recon.splats.render import draw_views

    scale = PEEK_SIDE / max(candidates.width, candidates.height)
    small = candidates.resize(
        width=max(1, round(candidates.width * scale)), height=max(1, round(candidates.height * scale))
    )
    peek = draw_views(gaussians, small.to(dtype=torch.float32), sh_degree=0)
    solid = peek.alpha > 0.5
    too_near = (solid & (peek.depth < 0.35 * scene.near)).float().mean((1, 2))
    return torch.where(too_near > 0.1, torch.inf, 1 - peek.alpha.clamp(0, 1).mean((1, 2)))


def _greedy(candidates: Cameras, scene: SeenPoints, open_share: Float[Tensor, "n"], count: int) -> list[int]:
    """Best first; each choice lowers what candidates that see the same from nearby are still worth."""
    newness, rays = _newness(candidates, scene), _rays(candidates, scene)
    seen, _ = in_frame(scene.xyz, candidates)
    blocked = torch.isinf(open_share)
    extra = torch.where(blocked, 0.0, open_share)  # what no Gaussian covers is worth looking at too
    picks: list[int] = []
    need = scene.need
    while len(picks) < count:
        worth = _worth(newness, seen, need) + extra
        worth[blocked] -= 1e3  # only when nothing else is left
        worth[picks] = -torch.inf
        if len(picks) >= len(candidates):
            raise BridgeError(
                f"expected at least {count} possible cameras, found {len(candidates)}; plan fewer"
            )
        best = int(worth.argmax())
        picks.append(best)
        # a point that was just seen needs half as much, and is news only under a different angle
        angle = _angle_deg(rays, rays[best])
        again = torch.where(seen[best], angle / NEW_ANGLE_DEG, 1.0)
        need = torch.where(seen[best], 0.5 * need, need)
        newness = torch.minimum(newness, again.clamp(max=1) * seen)
        # cameras that look along much the same rays show much the same open background
        likeness = torch.exp(-((angle.mean(1) / NEW_ANGLE_DEG) ** 2))
        extra = extra * (1 - 0.7 * likeness)
    return picks
