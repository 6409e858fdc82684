"""The door of a world model: pictures of any shape go to its size and back, requests of any length to its frame counts."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras
from recon.clip import Clip
from recon.errors import BridgeError
from recon.pictures.canvas import crop_clip
from worldgen.model import ModelSpec, Views

WHOLLY_SEEN = 0.999
"""Share of a pixel that the model must have drawn for its answer to count: rounding aside, all of it."""


@dataclass(frozen=True)
class SizeDoor:
    """From pictures of `width` x `height` to a model's size: one scale for both axes, and the middle cut out.

    A model's pictures have square pixels like those it was trained on; squeezed ones would show it a lens that it has
    never seen, fx ≠ fy. What lies outside the cut it does not see, and has confidence 0 in the answer.
    """

    width: int
    height: int
    model_width: int
    model_height: int

    @property
    def whole(self) -> tuple[int, int]:
        """(width, height) of the scaled picture before it is cut: it covers the model's in both directions."""
        scale = max(self.model_width / self.width, self.model_height / self.height)
        return (
            max(self.model_width, round(self.width * scale)),
            max(self.model_height, round(self.height * scale)),
        )

    @property
    def corner(self) -> tuple[int, int]:
        """(x, y) of the cut in the scaled picture, pixels."""
        width, height = self.whole
        return (width - self.model_width) // 2, (height - self.model_height) // 2

    def cameras(self, cameras: Cameras) -> Cameras:
        """What the model is asked for: the same poses, the lens of the cut."""
        width, height = self.whole
        K = cameras.resize(width=width, height=height).K.clone()
        for axis, cut in enumerate(self.corner):
            K[:, axis, 2] -= cut
        return Cameras(cameras.cam_from_world, K, self.model_width, self.model_height)

    def from_model(self, cameras: Cameras) -> Cameras:
        """The opposite of `cameras`: those of the whole pictures from those of the cut."""
        sized = cameras.resize(width=self.model_width, height=self.model_height)
        K = sized.K.clone()
        for axis, cut in enumerate(self.corner):
            K[:, axis, 2] += cut
        whole = Cameras(cameras.cam_from_world, K, *self.whole)
        return whole.resize(width=self.width, height=self.height)

    def pictures(self, clip: Clip) -> Clip:
        """Pictures at the model's size."""
        if (clip.width, clip.height) == (self.model_width, self.model_height):
            return clip
        width, height = self.whole
        scaled = clip.resize(width=width, height=height)
        x, y = self.corner
        columns, rows = slice(x, x + self.model_width), slice(y, y + self.model_height)
        return replace(
            scaled,
            images=scaled.images[:, rows, columns],
            cameras=None if clip.cameras is None else self.cameras(clip.cameras),
            confidence=None if scaled.confidence is None else scaled.confidence[:, rows, columns],
        )

    def answer(self, views: Views, targets: Cameras) -> Views:
        """The model's views at the size of the targets; outside the cut, confidence and every map are 0."""
        clip = views.clip
        drawn = None if views.drawn is None else self.from_model(views.drawn)
        if (clip.width, clip.height) == (self.width, self.height):
            return replace(views, clip=replace(clip, cameras=targets), drawn=drawn)
        stated = torch.ones(clip.images.shape[:3]) if clip.confidence is None else clip.confidence
        size = {"width": self.width, "height": self.height}
        pictures = Clip(self._place(clip.images), confidence=self._place(stated)).resize(**size)
        # of one picture: the cut is the same in all
        seen = Clip(self._place(torch.ones(1, *clip.images.shape[1:]))).resize(**size).images[..., 0]
        assert pictures.confidence is not None
        inside = seen > WHOLLY_SEEN
        answered = replace(
            clip,
            images=pictures.images,
            cameras=targets,
            confidence=torch.where(inside, pictures.confidence, 0.0),
        )
        maps = (views.depth, views.colour_std, views.seen, views.better)
        return Views(
            answered,
            *(None if x is None else torch.where(inside, self._resize(x), 0.0) for x in maps),
            drawn=drawn,
        )

    def _resize(self, values: Float[Tensor, "n h w"]) -> Float[Tensor, "n H W"]:
        """A map of the cut at the size of the targets; nearest, because a mean of two depths is on no surface."""
        placed = self._place(values)[:, None]
        return torch.nn.functional.interpolate(placed, size=(self.height, self.width), mode="nearest-exact")[
            :, 0
        ]

    def _place(self, values: Float[Tensor, "n h w *c"]) -> Float[Tensor, "n H W *c"]:
        """The cut back in its place; 0 around it."""
        width, height = self.whole
        x, y = self.corner
        canvas = values.new_zeros(len(values), height, width, *values.shape[3:])
        canvas[:, y : y + self.model_height, x : x + self.model_width] = values
        return canvas


def size_door(spec: ModelSpec, width: int, height: int) -> SizeDoor:
    """The door for pictures of a size; one that changes nothing where the model takes any."""
    step, area = spec.size.multiple_of, spec.size.area
    scale = 1.0 if area is None else (area / (width * height)) ** 0.5
    nearest = (max(step, step * round(width * scale / step)), max(step, step * round(height * scale / step)))
    model_width, model_height = spec.size.fixed or nearest
    return SizeDoor(width, height, model_width, model_height)


def as_frames(photos: Clip, targets: Cameras) -> Clip:
    """Photos at the size of the targets, scaled and cropped with square pixels: a model shows them as frames among these.

    Of a photo that fills a part of its canvas that part alone, so that no frame has a black rim.
    """
    whole = photos.confidence is None
    each = [photos] if whole else [crop_clip(photos, i) for i in range(len(photos))]
    return Clip.concatenate(
        [SizeDoor(one.width, one.height, targets.width, targets.height).pictures(one) for one in each]
    )


def longest_call(spec: ModelSpec, count: int) -> int:
    """How many of `count` targets go into one call: what the model takes at once, by its rule of frame counts.

    A context photo that must be the first frame takes the place of one target.

    Raises:
        BridgeError: no count that the rule allows is small enough for the model.
    """
    rule, taken = spec.frame_rule, int(spec.first_frame_is_context)
    if rule.max_frames is None:
        return count
    most = rule.max_frames - (rule.max_frames - rule.offset) % rule.stride
    if most < max(rule.offset, 1 + taken):
        raise BridgeError(
            f"{spec.name} takes {rule.offset} + k·{rule.stride} frames, and at most {rule.max_frames}: that is none"
        )
    return min(count, most - taken)


def padded_indices(spec: ModelSpec, count: int) -> list[int]:
    """0, 1 … count − 1, the last one repeated until the number obeys the model's rule; those answers are dropped."""
    rule, frames = spec.frame_rule, count + int(spec.first_frame_is_context)
    missing = max(rule.offset - frames, 0) or -(frames - rule.offset) % rule.stride
    return [*range(count), *[count - 1] * missing]
