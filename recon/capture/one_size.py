"""Scaling of mixed photos to one size, where a person asked for it."""

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

MIN_NOTED_CROP = 0.005
"""Smallest cropped share of a picture that is noted; less is a row or column lost to rounding."""


@dataclass(frozen=True)
class OneSize:
    """Size of a clip, and whether photos of other sizes are scaled to it."""

    width: int
    height: int
    resize_mixed: bool
    """Whether photos of other sizes are scaled."""

    def fits(self, d: Decoded, skipped: Skipped) -> bool:
        """Whether a held-out photo has the size or may be scaled to it; else it goes to `skipped`."""
        if self.resize_mixed or self._has(d):
            return True
        reason = (
            f"held out, and of {d.size[0]}x{d.size[1]} unlike the photos to train on; --resize-mixed brings it to "
            "their size"
        )
        skipped.append((d.photo.name, reason))
        return False

    def conform(self, d: Decoded, levels: Levels | None) -> Decoded:
        """Bring a photo to the size.

        With a camera the whole picture and its lens are scaled; without one it is scaled to cover the size, and cropped.
        """
        pixels = d.pixels if levels is None else levels.stretch(d.pixels)
        if d.photo.cam_from_world is None:
            return replace(d, pixels=cover(pixels, self.width, self.height))
        lens = d.lens and d.lens.resize(width=self.width, height=self.height)
        return replace(d, pixels=shrink(pixels, self.width, self.height), lens=lens)

    def note(self, photos: Sequence[Decoded]) -> list[str]:
        """Note how many photos were scaled, how many of them cropped, and the largest loss."""
        changed = [d for d in photos if not self._has(d)]
        if not changed:
            return []
        lost = {d.photo.name: self._cropped_share(d) for d in changed}
        worst = max(lost, key=lambda name: lost[name])
        size = f"{self.width}x{self.height}"
        was = "was" if len(changed) == 1 else "were"
        said = (
            f"of {count_noun(len(photos), 'photo')} {len(changed)} {was} scaled to {size} by --resize-mixed"
        )
        if lost[worst] < MIN_NOTED_CROP:
            return [said]
        cropped = sum(share >= MIN_NOTED_CROP for share in lost.values())
        of_them = "and" if len(changed) == 1 else f"{cropped} of them"
        return [
            f"{said}, {of_them} cropped to its shape: {worst} lost {100 * lost[worst]:.0f} % of its area"
            + (", the others no more" if cropped > 1 else "")
        ]

    def _has(self, d: Decoded) -> bool:
        return d.pixels.shape[:2] == (self.height, self.width)

    def _cropped_share(self, d: Decoded) -> float:
        """Share of a photo's area that `conform` cuts off."""
        if d.photo.cam_from_world is not None:
            return 0.0
        height, width = d.pixels.shape[:2]
        aspect = width / height * self.height / self.width
        return 1 - min(aspect, 1 / aspect)


def common_size(photos: Sequence[Decoded], source: Path, *, resize_mixed: bool) -> OneSize:
    """Size of the decoded photos; of several the most frequent full size.

    Raises:
        CaptureError: several sizes without `resize_mixed`.
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
