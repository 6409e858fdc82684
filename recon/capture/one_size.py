"""Photos of several sizes brought to one, where a person asked for it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from recon.capture.decoded import Decoded, Skipped
from recon.errors import CaptureError
from recon.pictures.batch import describe_sizes
from recon.pictures.images import cover, shrink
from recon.pictures.levels import Levels
from recon.words import count_noun

LEAST_CROP = 0.005
"""Share of a picture; less is a row that rounding takes."""


@dataclass(frozen=True)
class OneSize:
    """The size of a clip, and whether photos of another are brought to it."""

    width: int
    height: int
    resize_mixed: bool

    def fits(self, d: Decoded, skipped: Skipped) -> bool:
        """Whether a held-out photo has the size or may be brought to it; says so in `skipped` if not."""
        if self.resize_mixed or self._has(d):
            return True
        reason = (
            f"held out, and of {d.size[0]}x{d.size[1]} unlike the photos to train on; --resize-mixed brings it to "
            "their size"
        )
        skipped.append((d.photo.name, reason))
        return False

    def conformed(self, d: Decoded, levels: Levels | None) -> Decoded:
        """Of the size; with a lens the whole picture is scaled, lens and all, without one it is scaled until it covers
        the size, and cropped."""
        pixels = d.pixels if levels is None else levels.stretch(d.pixels)
        if d.photo.cam_from_world is None:
            return replace(d, pixels=cover(pixels, self.width, self.height))
        lens = d.lens and d.lens.resize(width=self.width, height=self.height)
        return replace(d, pixels=shrink(pixels, self.width, self.height), lens=lens)

    def note(self, photos: Sequence[Decoded]) -> list[str]:
        """How many photos were brought to the size, how many of them cropped, and how much the worst of these lost."""
        changed = [d for d in photos if not self._has(d)]
        if not changed:
            return []
        lost = {d.photo.name: self._cropped(d) for d in changed}
        worst = max(lost, key=lambda name: lost[name])
        size = f"{self.width}x{self.height}"
        was = "was" if len(changed) == 1 else "were"
        said = (
            f"of {count_noun(len(photos), 'photo')} {len(changed)} {was} scaled to {size} by --resize-mixed"
        )
        if lost[worst] < LEAST_CROP:
            return [said]
        cropped = sum(share >= LEAST_CROP for share in lost.values())
        of_them = "and" if len(changed) == 1 else f"{cropped} of them"
        return [
            f"{said}, {of_them} cropped to its shape: {worst} lost {100 * lost[worst]:.0f} % of its area"
            + (", the others no more" if cropped > 1 else "")
        ]

    def _has(self, d: Decoded) -> bool:
        return d.pixels.shape[:2] == (self.height, self.width)

    def _cropped(self, d: Decoded) -> float:
        """The share of a photo's area that `conformed` cuts off."""
        if d.photo.cam_from_world is not None:
            return 0.0
        height, width = d.pixels.shape[:2]
        aspect = width / height * self.height / self.width
        return 1 - min(aspect, 1 / aspect)


def common_size(photos: Sequence[Decoded], source: Path, *, resize_mixed: bool) -> OneSize:
    """The size of the decoded photos, or of the most frequent full size among them.

    Raises:
        CaptureError: they are of several sizes, and nobody asked to resize them.
    """
    count = Counter(d.size for d in photos)
    if len({d.pixels.shape for d in photos}) > 1 and not resize_mixed:
        raise CaptureError(
            f"expected photos of one size, got {describe_sizes(count)} in {source}; "
            "sort them, or let them be scaled to the most frequent size (and cropped to it where they have no cameras) "
            "with --resize-mixed"
        )
    common = count.most_common(1)[0][0]
    height, width = next(d.pixels.shape[:2] for d in photos if d.size == common)
    return OneSize(width, height, resize_mixed)
