"""Pictures of one size that are read when they are asked for, one at a time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import overload

import torch
from jaxtyping import Float
from torch import Tensor


def resize_pictures(
    pictures: Float[Tensor, "n h w c"], *, width: int, height: int
) -> Float[Tensor, "n h2 w2 c"]:
    """Pictures or layers at another size, clamped to [0, 1]; anti-aliased area resampling when shrinking."""
    resized = torch.nn.functional.interpolate(
        pictures.permute(0, 3, 1, 2),
        size=(height, width),
        mode="bilinear",
        antialias=True,
        align_corners=False,
    )
    return resized.clamp(0, 1).permute(0, 2, 3, 1).contiguous()


@dataclass(frozen=True)
class LazyPictures:
    """n pictures [h, w, 3], or layers [h, w], that each take memory only while they are looked at.

    An integer gives one of them, float32 in [0, 1]; other indices give some of them, still unread, as of a tensor. It is no `Sequence`,
    for checkers of types read an item of these.
    """

    load: Callable[[int], Tensor]
    """Makes the picture of an index, each time anew."""
    indices: Sequence[int]
    shape_of_one: tuple[int, ...]
    """(h, w, 3), or (h, w)."""

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[Tensor]:
        return (self.load(i) for i in self.indices)

    @property
    def shape(self) -> tuple[int, ...]:
        """As a tensor of all of them would have it."""
        return (len(self), *self.shape_of_one)

    @overload
    def __getitem__(self, index: int) -> Tensor: ...
    @overload
    def __getitem__(self, index: slice | Sequence[int] | Tensor) -> "LazyPictures": ...
    def __getitem__(self, index: int | slice | Sequence[int] | Tensor) -> "Tensor | LazyPictures":
        if isinstance(index, int):
            return self.load(self.indices[index])
        picks = torch.tensor(list(self.indices), dtype=torch.long)[
            index if isinstance(index, slice | Tensor) else torch.tensor(list(index), dtype=torch.long)
        ]
        return replace(self, indices=picks.tolist())

    def map(self, change: Callable[[int, Tensor], Tensor]) -> "LazyPictures":
        """The same pictures, each changed when it is asked for; `change` gets its row and itself."""
        return replace(self, load=lambda i: change(i, self[i]), indices=range(len(self)))

    def resize(self, width: int, height: int) -> "LazyPictures":
        """The same pictures at another size, each resized when it is asked for."""

        def resized(_: int, picture: Tensor) -> Tensor:
            """One picture, or one layer."""
            if picture.ndim == 2:
                return resize_pictures(picture[None, ..., None], width=width, height=height)[0, ..., 0]
            return resize_pictures(picture[None], width=width, height=height)[0]

        return replace(self.map(resized), shape_of_one=(height, width, *self.shape_of_one[2:]))

    def stack(self) -> Tensor:
        """All of them in memory."""
        stacked = torch.empty(self.shape)
        for i in range(len(self)):
            stacked[i] = self[i]
        return stacked

    @staticmethod
    def concatenate(parts: "Sequence[Tensor | LazyPictures]") -> "LazyPictures":
        """Pictures of one size, one part after another."""
        rows = [(part, i) for part in parts for i in range(len(part))]
        return LazyPictures(
            lambda i: rows[i][0][rows[i][1]], range(len(rows)), shape_of_one=tuple(parts[0].shape[1:])
        )
