"""What the network sees of a request: the rendered cache, the context views moved to the target, rays and time.

The cache is the posed context with its multi-view depth. For each target its surfaces are drawn into the
target's view (`worldgen.models.warp.see_from`), holes in the depth are completed, and every chosen context view is
looked up through that dense depth, with cues that say how far the looked-up colour can be believed.
"""

from dataclasses import dataclass, fields, replace
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import grid_sample

from recon.cameras import Cameras
from recon.clip import Clip
from recon.depth import DepthMaps
from recon.pictures.canvas import HALF
from worldgen.geometry.fill import push_pull
from worldgen.models.bridge.channels import Channel, Cue, only
from worldgen.models.warp import WarpOptions, nearest_photos, see_from

VIEWS = 5
"""Context views that the network looks at for one target; the best of however many there are."""
GENERATED_TRUST = 0.5
"""What depth trust of a generated frame is worth beside a photo's."""
SAME = 0.06
"""Relative depth difference up to which two views see the same surface."""
DISAGREEMENT = 0.2
"""Relative depth difference from which on a view sees something else; the cue saturates there."""


@dataclass(frozen=True)
class Cache:
    """The context with its geometry; grows by generated frames, of which the photos know nothing."""

    clip: Clip
    maps: DepthMaps
    """z-depth and its confidence, of the views' size."""
    generated: Bool[Tensor, "n"]
    """Which of the views were generated. The photos come first and never change."""

    @cached_property
    def scale(self) -> float:
        """Median depth of the photos, world units: what lengths are divided by."""
        return float(self.maps.depth[~self.generated][..., ::4, ::4].median())

    def select(self, keep: list[int]) -> "Cache":
        """Only these views."""
        maps = DepthMaps(self.maps.depth[keep], self.maps.confidence[keep])
        return Cache(self.clip[keep], maps, self.generated[keep])

    def add_frames(
        self, clip: Clip, depth: Float[Tensor, "m h w"], confidence: Float[Tensor, "m h w"]
    ) -> "Cache":
        """With generated frames, brought to the cache's size, behind the photos and earlier frames; the frames'
        confidence counts as depth trust."""
        width, height = self.clip.width, self.clip.height
        frames = replace(clip.resize(width=width, height=height), confidence=None)
        new = DepthMaps(depth, confidence).resize(width=width, height=height)
        return Cache(
            Clip.concatenate([self.clip, frames]),
            DepthMaps(
                torch.cat([self.maps.depth, new.depth]), torch.cat([self.maps.confidence, new.confidence])
            ),
            torch.cat([self.generated, torch.ones(len(clip), dtype=torch.bool)]),
        )


@dataclass(frozen=True)
class Conditioning:
    """Inputs of the network for n targets of one size; all values within about [-1, 1], most in [0, 1]."""

    views: Float[Tensor, "n v 3 h w"]
    """Context colours at the target's pixels, sRGB; 0 outside the view's picture."""
    cues: Float[Tensor, "n v 8 h w"]
    """Per view, see `Cue`: visible · depth difference · depth trust · nearness in angle · fineness · inside ·
    nearness in time · generated."""
    base: Float[Tensor, "n 3 h w"]
    """The filled warp, sRGB."""
    frame: Float[Tensor, "n 14 h w"]
    """See `Channel`: warp confidence · depth known · inverse depth · depth trust · seen · Plücker rays (6) ·
    nearness in time of the nearest view · spread of colours · generated."""

    def __len__(self) -> int:
        return self.base.shape[0]

    def __getitem__(self, index: slice) -> "Conditioning":
        return Conditioning(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    @property
    def inverse_depth(self) -> Float[Tensor, "n 1 h w"]:
        """Completed, times the scale of the cache, divided by 4 so that it mostly lies in [0, 1]."""
        return self.frame[:, only(Channel.INVERSE_DEPTH)]

    @property
    def seen(self) -> Float[Tensor, "n 1 h w"]:
        """1 where at least one context view sees the surface, else 0."""
        return self.frame[:, only(Channel.SEEN)]

    @property
    def seen_by_photo(self) -> Float[Tensor, "n 1 h w"]:
        """1 where a photo, not only a generated frame, shows the surface, else 0."""
        visible, generated = self.cues[:, :, Cue.VISIBLE], self.cues[:, :, Cue.GENERATED]
        by_photo = (visible * (1 - generated)).amax(1, keepdim=True)
        return self.seen * by_photo

    def crop(self, h: int, w: int) -> "Conditioning":
        """The upper left part of the views."""
        return Conditioning(**{f.name: getattr(self, f.name)[..., :h, :w] for f in fields(self)})

    def to(
        self, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> "Conditioning":
        """The same inputs on another device or in another type."""
        return Conditioning(**{f.name: getattr(self, f.name).to(device, dtype) for f in fields(self)})

    @staticmethod
    def concatenate(parts: "list[Conditioning]") -> "Conditioning":
        """Inputs of several targets of one size as one batch."""
        return Conditioning(
            **{f.name: torch.cat([getattr(part, f.name) for part in parts]) for f in fields(Conditioning)}
        )


INVERSE_RANGE = 4.0
"""Inverse depth in units of 1 / scale that is mapped to 1."""


def condition(cache: Cache, target: Cameras, *, time_s: float | None = None) -> Conditioning:
    """Everything the network is told about one target camera (n = 1)."""
    cameras = cache.clip.require_cameras()
    picks = choose_views(cache, target, VIEWS)
    sight = see_from(cache.clip, cache.maps, target, picks, WarpOptions())
    typical = cache.clip.images[picks].float().mean((0, 1, 2))
    known = sight.inverse_depth > 0
    middle = torch.tensor([1 / cache.scale])
    inverse = push_pull(sight.inverse_depth[..., None], known.float(), middle)[..., 0].clamp_min(
        1e-6 / cache.scale
    )
    base = sight.fill_unseen(typical).permute(2, 0, 1)
    nearness = time_nearness(cache.clip.times_s, picks, time_s)
    looked = [_look_up(cache, i, target, inverse, near) for i, near in zip(picks, nearness, strict=True)]
    colours = torch.stack([colour for colour, _ in looked])
    cues = torch.stack([cue for _, cue in looked])
    missing = VIEWS - len(picks)
    if missing:
        colours = torch.cat([colours, colours.new_zeros(missing, *colours.shape[1:])])
        cues = torch.cat([cues, cues.new_zeros(missing, *cues.shape[1:])])
    seen = (sight.confidence > 0).float()
    frame = torch.cat(
        [
            sight.confidence[None],
            known.float()[None],
            (inverse * cache.scale / INVERSE_RANGE).clamp(0, 1)[None],
            (sight.trust / 3).clamp(0, 1)[None],
            seen[None],
            pluecker(target, cameras[picks[0]], cache.scale)[0],
            torch.full_like(seen, max(nearness))[None],
            _measure_spread(colours, cues[:, Cue.VISIBLE])[None],
            (cues[:, Cue.VISIBLE] * cues[:, Cue.GENERATED]).amax(0)[None],
        ]
    )
    return Conditioning(colours[None], cues[None], base[None], frame[None])


def choose_views(cache: Cache, target: Cameras, views: int) -> list[int]:
    """Which views of the cache the network looks at: the best photos first; where frames were generated, the best of
    these takes the last place."""
    cameras, maps = cache.clip.require_cameras(), cache.maps
    n = int((~cache.generated).sum())  # the photos come first
    if n == len(cameras):
        return nearest_photos(cameras, maps, target, views)
    photos, frames = (
        DepthMaps(maps.depth[part], maps.confidence[part]) for part in (slice(n), slice(n, None))
    )
    best = nearest_photos(cameras[:n], photos, target, views - 1)
    new = nearest_photos(cameras[n:], frames, target, 1)
    return [*best, *(n + i for i in new)]


def time_nearness(times_s: Float[Tensor, "n"] | None, picks: list[int], time_s: float | None) -> list[float]:
    """1 for a view taken at the requested time, 0 for one as far away as the context is long; 1 without times."""
    if times_s is None or time_s is None:
        return [1.0] * len(picks)
    span = max(float(times_s.max() - times_s.min()), abs(float((times_s - time_s).abs().max())), 1e-9)
    return [1 - abs(float(times_s[i]) - time_s) / span for i in picks]


def pluecker(targets: Cameras, reference: Cameras, scale: float) -> Float[Tensor, "n 6 h w"]:
    """Plücker coordinates (direction, moment) of the targets' pixel rays, in the reference camera's frame.

    Directions have unit length; the moment is origin × direction with the origin in units of `scale`
    (Sitzmann et al., Light Field Networks, 2021).
    """
    n, h, w = len(targets), targets.height, targets.width
    y, x = torch.meshgrid(
        torch.arange(h, dtype=torch.float64) + 0.5, torch.arange(w, dtype=torch.float64) + 0.5, indexing="ij"
    )
    pixels = torch.stack([x, y, torch.ones_like(x)]).reshape(3, -1)
    ref_from_target = reference.cam_from_world.double() @ targets.world_from_cam.double()
    rays = ref_from_target[:, :3, :3] @ torch.linalg.inv(targets.K.double()) @ pixels
    direction = torch.nn.functional.normalize(rays, dim=1)
    origin = (ref_from_target[:, :3, 3:] / scale).expand_as(direction)
    moment = torch.linalg.cross(origin, direction, dim=1).clamp(-4, 4)
    return torch.cat([direction, moment], dim=1).reshape(n, 6, h, w).float()


def _look_up(
    cache: Cache, i: int, target: Cameras, inverse: Float[Tensor, "h w"], nearness: float
) -> tuple[Float[Tensor, "3 h w"], Float[Tensor, "8 h w"]]:
    """Colour and cues of context view i at the target's pixels, through the target's dense inverse depth."""
    clip, depths, trusts = cache.clip, cache.maps.depth[i], cache.maps.confidence[i]
    camera = clip.require_cameras()[i]
    px, depth, angle_deg = through_depth(target, inverse, camera)
    h, w = clip.height, clip.width
    grid = (px / px.new_tensor([w, h]) * 2 - 1)[None]
    inside = (
        (depth > 0)
        & (px[..., 0] > 0.5)
        & (px[..., 1] > 0.5)
        & (px[..., 0] < w - 0.5)
        & (px[..., 1] < h - 0.5)
    )
    if clip.confidence is not None:  # nothing is looked up around a photo
        filled = (clip.confidence[i] >= HALF).float()[None, None]
        inside &= grid_sample(filled, grid, mode="nearest", align_corners=False)[0, 0] > 0
    grid = torch.where(inside[None, ..., None], grid, torch.full_like(grid, 2.0))
    image = clip.images[i].float().permute(2, 0, 1)[None]
    colour = grid_sample(image, grid, mode="bicubic", padding_mode="border", align_corners=False)[0].clamp(
        0, 1
    )
    stored = torch.stack([depths, trusts])[None].float()
    own, trust = grid_sample(stored, grid, mode="nearest", padding_mode="border", align_corners=False)[0]
    difference = (torch.log(own / depth.clamp_min(1e-9)) / DISAGREEMENT).clamp(-1, 1)
    visible = inside & (difference.abs() < SAME / DISAGREEMENT)
    border = torch.minimum(
        torch.minimum(px[..., 0], w - px[..., 0]), torch.minimum(px[..., 1], h - px[..., 1])
    )
    coarser = (depth * inverse).clamp_min(1e-6) * target.K[0, 0, 0].float() / camera.K[0, 0, 0].float()
    cues = torch.stack(
        [
            visible.float(),
            difference,
            trust,
            1 / (1 + (angle_deg / 8) ** 2),
            1 / coarser.clamp_min(1),
            (border / 12).clamp(0, 1),
            torch.full_like(trust, nearness),
            torch.full_like(trust, float(cache.generated[i])),
        ]
    )
    return colour * inside, cues * inside


def through_depth(
    target: Cameras, inverse: Float[Tensor, "h w"], other: Cameras
) -> tuple[Float[Tensor, "h w 2"], Float[Tensor, "h w"], Float[Tensor, "h w"]]:
    """Where another camera sees the surface of each pixel.

    Returns:
        pixels in the other camera (top-left pixel centre at (0.5, 0.5)), z-depth there (not positive: behind
        it), and the angle between the two rays in degrees.
    """
    device, h, w = inverse.device, *inverse.shape
    other_from_target = other.cam_from_world[0].double() @ target.world_from_cam[0].double()
    other_from_target = other_from_target.to(device, torch.float32)
    y, x = torch.meshgrid(
        torch.arange(h, device=device) + 0.5, torch.arange(w, device=device) + 0.5, indexing="ij"
    )
    pixels = torch.stack([x, y, torch.ones_like(x)]).reshape(3, -1)
    rays = torch.linalg.inv(target.K[0].double()).to(device, torch.float32) @ pixels
    seen = other_from_target[:3, :3] @ (rays / inverse.reshape(1, -1)) + other_from_target[:3, 3:]
    depth = seen[2]
    at = other.K[0].to(device, torch.float32) @ (seen / torch.where(depth > 1e-6, depth, 1.0))
    turned = other_from_target[:3, :3] @ rays
    lengths = ((turned * turned).sum(0) * (seen * seen).sum(0)).sqrt()
    cosine = (turned * seen).sum(0) / lengths.clamp_min(1e-12)
    angle = torch.rad2deg(torch.arccos(cosine.clamp(-1, 1)))
    return at[:2].T.reshape(h, w, 2), depth.reshape(h, w), angle.reshape(h, w)


def _measure_spread(
    colours: Float[Tensor, "v 3 h w"], visible: Float[Tensor, "v h w"]
) -> Float[Tensor, "h w"]:
    """Four times the standard deviation of the visible colours (the root of their variance, averaged over channels), at
    most 1; 0 where fewer than two see the pixel."""
    count = visible.sum(0).clamp_min(1)
    mean = (colours * visible[:, None]).sum(0) / count
    variance = ((colours - mean) ** 2 * visible[:, None]).sum(0) / count
    return (4 * variance.mean(0).sqrt()).clamp(0, 1)
