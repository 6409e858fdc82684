"""Turns of pictures by quarters: networks know pictures only as they are held, and photos from above are held any way.

ALIKED and DISK match what is turned by up to some forty degrees. Of photos that are turned by more against one another they find
nothing, or what looks alike by chance. So each photo is described in that of its four turns in which most of the others resemble it.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from recon.sfm.features.keypoints import Features
from recon.sfm.features.matching import match_mutual_nearest

QUARTERS = 4
ALIKE_RATIO = 0.9
"""Largest angle to the nearest descriptor as a share of that to the second nearest. Lowe's 0.8 leaves a handful between views 30° apart,
too few to tell turns by; at 0.95 chance has most of them."""


def turn_picture(image: Float[Tensor, "h w 3"], turns: int) -> Float[Tensor, "h2 w2 3"]:
    """A picture turned counterclockwise by quarters."""
    return torch.rot90(image, turns, (0, 1)).contiguous()


def turn_places(xy: Float[Tensor, "k 2"], turns: int, *, width: int, height: int) -> Float[Tensor, "k 2"]:
    """Pixels of a picture of this size in the picture that is turned counterclockwise by quarters."""
    for _ in range(turns % QUARTERS):
        xy = torch.stack([xy[:, 1], width - xy[:, 0]], 1)
        width, height = height, width
    return xy


def turn_back(features: Features, turns: int) -> Features:
    """Features of a turned picture as those of the picture itself.

    Args:
        turns: by which the picture was turned counterclockwise.
    """
    if not turns % QUARTERS:
        return features
    xy = turn_places(features.xy, -turns, width=features.width, height=features.height)
    return Features(xy, features.stored, *turned_size(features, turns), turns % QUARTERS)


def turned_size(features: Features, turns: int) -> tuple[int, int]:
    """Width and height of their picture after so many quarter turns."""
    return (features.height, features.width) if turns % 2 else (features.width, features.height)


def count_alike(a: Features, b: Features) -> int:
    """Features of two pictures that resemble each other more than they do any other."""
    return len(match_mutual_nearest(a.descriptors, b.descriptors, ratio=ALIKE_RATIO, max_angle_rad=math.pi))


def choose_turns(turned: Sequence[Sequence[Features]]) -> list[int]:
    """Quarter turns of each picture in which the pictures resemble one another most; most pictures stay as they are.

    It makes the sum over pairs of their squared counts large: one pair that is sure outweighs several that are not.

    Args:
        turned: of each picture its features in each of the four turns.
    """
    n = len(turned)
    worth = torch.zeros(n, n, QUARTERS)  # of pair (a, b) where b is turned by so much more than a
    for a in range(n):
        for b in range(a + 1, n):
            for turns in range(QUARTERS):
                worth[a, b, turns] = count_alike(turned[a][0], turned[b][turns]) ** 2
                worth[b, a, -turns % QUARTERS] = worth[a, b, turns]
    starts = torch.zeros(n, dtype=torch.long), _follow_surest(worth)
    best = max((_improve(worth, start) for start in starts), key=lambda turns: _total(worth, turns))
    common = torch.bincount(best, minlength=QUARTERS).argmax()
    return ((best - common) % QUARTERS).tolist()


def _follow_surest(worth: Float[Tensor, "n n 4"]) -> Int[Tensor, "n"]:
    """Turns along the spanning tree of the surest pairs."""
    n = len(worth)
    first, second = worth.topk(2, dim=2).values.unbind(2)
    sure = first - second
    turns, placed = torch.zeros(n, dtype=torch.long), torch.zeros(n, dtype=torch.bool)
    placed[:1] = True
    while not bool(placed.all()):
        reach = torch.where(placed[:, None] & ~placed[None, :], sure, -1.0)
        a, b = divmod(int(reach.argmax()), n)
        turns[b] = (turns[a] + worth[a, b].argmax()) % QUARTERS
        placed[b] = True
    return turns


def _improve(worth: Float[Tensor, "n n 4"], turns: Int[Tensor, "n"]) -> Int[Tensor, "n"]:
    """Turn one picture after another for as long as the total grows."""
    turns = turns.clone()
    quarters = torch.arange(QUARTERS)
    changed = True
    while changed:
        changed = False
        for i in range(len(turns)):
            wanted = (quarters[None, :] - turns[:, None]) % QUARTERS
            sums = worth[:, i].gather(1, wanted).sum(0)
            if sums.max() > sums[turns[i]]:
                turns[i] = sums.argmax()
                changed = True
    return turns


def _total(worth: Float[Tensor, "n n 4"], turns: Int[Tensor, "n"]) -> float:
    apart = (turns[None, :] - turns[:, None]) % QUARTERS
    return float(worth.gather(2, apart[..., None]).sum())
