"""Putative matches of pictures, for epipolar metrics and structure from motion."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Matches:
    """Putative matches between n pictures of one size: alike in appearance, not yet checked against any geometry."""

    width: int
    height: int
    keypoints: tuple[Float[Tensor, "_ 2"], ...]
    """Pixels of each picture's features, float64; the centre of the top-left pixel is (0.5, 0.5)."""
    pairs: tuple[tuple[int, int], ...]
    """Indices (a, b) of the matched pictures, a < b, each pair once, in ascending order."""
    indices: tuple[Int[Tensor, "_ 2"], ...]
    """For each pair, rows of (feature of a, feature of b); a pair without matches has zero rows."""

    def __len__(self) -> int:
        """The number of pictures."""
        return len(self.keypoints)

    @cached_property
    def _rows(self) -> dict[tuple[int, int], int]:
        """Number of each pair."""
        return {pair: row for row, pair in enumerate(self.pairs)}

    def by_pair(self) -> list[tuple[tuple[int, int], Int[Tensor, "_ 2"]]]:
        """Each pair with its matches."""
        return list(zip(self.pairs, self.indices, strict=True))

    def points(self, pair: int) -> tuple[Float[Tensor, "m 2"], Float[Tensor, "m 2"]]:
        """Matched pixels (in a, in b) of pair number `pair`."""
        (a, b), rows = self.pairs[pair], self.indices[pair]
        return self.keypoints[a][rows[:, 0]], self.keypoints[b][rows[:, 1]]

    def keep_features(self, kept: Sequence[Bool[Tensor, "_"]]) -> "Matches":
        """The same features with the matches of those that are kept alone.

        Args:
            kept: whether each feature of each picture is.
        """
        indices = tuple(rows[kept[a][rows[:, 0]] & kept[b][rows[:, 1]]] for (a, b), rows in self.by_pair())
        return replace(self, indices=indices)

    def of_pictures(self, kept: Sequence[int]) -> "Matches":
        """The matches among some of the pictures.

        Args:
            kept: indices of these, ascending.
        """
        row_of = {picture: row for row, picture in enumerate(kept)}
        pairs = [(pair, rows) for pair, rows in self.by_pair() if pair[0] in row_of and pair[1] in row_of]
        return replace(
            self,
            keypoints=tuple(self.keypoints[i] for i in kept),
            pairs=tuple((row_of[a], row_of[b]) for (a, b), _ in pairs),
            indices=tuple(rows for _, rows in pairs),
        )

    def drop_masked(self, mask: Bool[Tensor, "h w"] | Bool[Tensor, "n h w"]) -> "Matches":
        """The same features without the matches of those that lie within a mask.

        Args:
            mask: one for all pictures, or one for each.
        """
        height, width = mask.shape[-2:]
        places = [
            (xy[:, 1].long().clamp(0, height - 1), xy[:, 0].long().clamp(0, width - 1))
            for xy in self.keypoints
        ]
        masks = mask.expand(len(self), height, width)
        return self.keep_features([~one[y, x] for one, (y, x) in zip(masks, places, strict=True)])

    def between(self, a: int, b: int) -> tuple[Float[Tensor, "m 2"], Float[Tensor, "m 2"]]:
        """Matched pixels of two pictures, in this order; none where they were not matched."""
        for first, second, swap in ((a, b, False), (b, a, True)):
            if (row := self._rows.get((first, second))) is not None:
                x, y = self.points(row)
                return (y, x) if swap else (x, y)
        none = torch.zeros(0, 2, dtype=torch.float64)
        return none, none
