"""Frames that show nothing, nothing new, or another place: black ones, repeated ones, cuts."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from recon.words import count_noun

SIDE = 32
"""Pixels of the small grey pictures that are compared: codecs' noise is averaged away, and motion of a few pixels with it."""
BLACK = 0.06
"""Grey level that no part of a black frame exceeds; limited range, read as full, puts black at 16 of 255."""
FLAT = 0.012
"""Standard deviation of grey levels below which a frame shows nothing, whatever its colour; three levels of 255."""
REPEATED = 0.001
"""Mean difference of grey levels below which a frame repeats the one before: a quarter of a level of 255. Videos of a standing
camera differ by more, by noise alone, unless they were made."""
CUT_TIMES, LEAST_CUT = 4.0, 0.08
"""A change is a cut where it is so many times as large as the median change and moves grey levels by so much. Of 15 clips of
CameraCtrl and RealEstate10K the largest change is at most 2.9 times the median; twice the limit would miss cuts in clips
that move fast."""


@dataclass(frozen=True)
class OddFrames:
    """Indices of frames, ascending."""

    blank: tuple[int, ...] = ()
    """Black, or of one colour."""
    repeated: tuple[int, ...] = ()
    """Equal to the frame before."""
    cuts: tuple[int, ...] = ()
    """First frames of another shot."""

    def kept(self, count: int) -> list[int]:
        """The frames of the longest shot, of `count`, that show something new; the first where two are as long."""
        bounds = [0, *self.cuts, count]
        odd = {*self.blank, *self.repeated}
        shots = [[i for i in range(a, b) if i not in odd] for a, b in pairwise(bounds)]
        return max(shots, key=len)

    def sentences(self) -> list[str]:
        """What a report says of them."""
        said = []
        if self.blank:
            said.append(f"{count_noun(len(self.blank), 'frame')} without a picture ({_ranges(self.blank)})")
        if self.repeated:
            said.append(
                f"{count_noun(len(self.repeated), 'frame')} equal to the one before ({_ranges(self.repeated)})"
            )
        if self.cuts:
            said.append(f"{count_noun(len(self.cuts), 'cut')} (before {_ranges(self.cuts)})")
        return said

    def causes(self) -> list[str]:
        """Short names, for causes of failure."""
        named = (("blank frames", self.blank), ("repeated frames", self.repeated), ("cut", self.cuts))
        return [name for name, frames in named if frames]


def find_odd_frames(images: Float[Tensor, "n h w 3"]) -> OddFrames:
    """Look for frames that cannot be placed by what they show.

    A clip in which every frame equals the first has no repeated frames: it stands still.
    """
    grey = torch.stack([_small_grey(image) for image in images])
    blank = (grey.amax((1, 2)) < BLACK) | (grey.std((1, 2)) < FLAT)
    change = (grey[1:] - grey[:-1]).abs().mean((1, 2))
    same = (change < REPEATED) & ~(blank[1:] & blank[:-1])
    repeated = [] if bool(same.all()) else (same.nonzero()[:, 0] + 1).tolist()
    seen = ~(blank[1:] | blank[:-1])
    usual = change[seen & ~same].median() if bool((seen & ~same).any()) else torch.tensor(torch.inf)
    cut = seen & (change > LEAST_CUT) & (change > CUT_TIMES * usual)
    return OddFrames(
        tuple(blank.nonzero()[:, 0].tolist()), tuple(repeated), tuple((cut.nonzero()[:, 0] + 1).tolist())
    )


def _small_grey(image: Float[Tensor, "h w 3"]) -> Float[Tensor, "s t"]:
    grey = image.mean(-1)[None, None]
    return torch.nn.functional.interpolate(grey, size=(SIDE, SIDE), mode="area")[0, 0]


def _ranges(frames: Sequence[int], most: int = 4) -> str:
    """'0–7, 31': runs of indices, the first few of them."""
    breaks = [i + 1 for i, (a, b) in enumerate(pairwise(frames)) if b != a + 1]
    runs = [frames[a:b] for a, b in pairwise([0, *breaks, len(frames)])]
    words = [str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs]
    return ", ".join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "")
