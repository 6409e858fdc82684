"""The canvas that photos of all sizes of a capture share: each keeps its shape, and its long side is that of the others."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from recon.capture.decoded import Decoded
from recon.pictures.batch import describe_sizes
from recon.pictures.canvas import center_box, pad_picture, scale_to_side, share_canvas
from recon.pictures.images import shrink
from recon.pictures.kept import PixelStore
from recon.pictures.levels import Levels


@dataclass(frozen=True)
class Canvas:
    """Size of a clip, and the long side of the photos on it."""

    width: int
    height: int
    side: int
    """Pixels of a photo's long side: as many for a small photo as for a large one, so that both give splats as fine."""

    @staticmethod
    def of(photos: Sequence[Decoded]) -> "Canvas":
        """The smallest canvas that holds each of the photos once all have the long side of the largest."""
        side, width, height = share_canvas((d.kept.shape[1], d.kept.shape[0]) for d in photos)
        return Canvas(width, height, side)

    def place(self, d: Decoded, levels: Levels | None, store: PixelStore) -> Decoded:
        """Scale a photo and its lens, with square pixels and uncropped, and put it in the middle of the canvas.

        A held-out photo of another shape than all others may have a shorter side than these.
        """
        before = d.pixels
        pixels = before if levels is None else levels.stretch(before)
        height, width = pixels.shape[:2]
        w, h = scale_to_side(width, height, self.side)
        if w > self.width or h > self.height:
            scale = min(self.width / width, self.height / height)
            w, h = max(1, round(width * scale)), max(1, round(height * scale))
        box = center_box(w, h, canvas_width=self.width, canvas_height=self.height)
        pixels = shrink(pixels, w, h)
        if (w, h) != (self.width, self.height):
            pixels = pad_picture(pixels, box, width=self.width, height=self.height)
        kept = d.kept if pixels is before else store.replace(d.kept, pixels)
        return replace(d, kept=kept, lens=d.lens and d.lens.resize(width=w, height=h), box=box)

    def note(self, photos: Sequence[Decoded]) -> list[str]:
        """Note the sizes of the decoded photos where they are several."""
        if all(d.kept.shape[:2] == (self.height, self.width) for d in photos):
            return []
        sizes = describe_sizes(Counter(d.size for d in photos))
        return [
            f"photos of several sizes: {sizes}; all are brought to a long side of {self.side} px and, uncropped, onto a canvas of "
            f"{self.width}x{self.height}"
        ]
