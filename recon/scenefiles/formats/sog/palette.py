"""A palette: few vectors that stand for many, as a SOG holds view-dependent colours.

Ward's trees (join the two clusters whose union adds least to the squared error) in cells of near vectors, all cut at
one cost; then rounds of k-means in which a vector looks at the entries of the cells around its own. That is as good as
k-means over all entries from a random start, which takes a hundred times as long at 65,536 entries.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from recon.splats.kernels.threads import kernel_threads, kernels_alone

CELL = 1024
"""Vectors of a tree at most; its time and memory grow with the square (4 MB here)."""
TRAINING = 1 << 20
"""Vectors from which trees grow; more, and a random part of them does. They then take half a minute."""
PROBED = 4096
"""Entries that a vector is compared with, those of as many cells as hold so many; with half of them it errs 0.2% to 0.8%
more, with twice as many 0.1% less."""
ROUNDS = 4
"""Most rounds of k-means; a fifth lowers the error by 0.2% or less."""
STILL = 0.01
"""Share of vectors that must change their entry for another round to be worth its time."""
PRODUCTS = 1 << 18
"""Distances that a core holds at a time: 1 MB, which stays in its cache; from memory each takes three times as long."""


def find_palette(
    vectors: Float[Tensor, "g d"], size: int, *, seed: int = 0
) -> tuple[Float[Tensor, "k d"], Int[Tensor, "g"]]:
    """At most `size` entries with a small sum of squared distances, and which one stands for each vector.

    Where vectors are no more than `size` they are the palette themselves. Only which of more than a million vectors
    the trees grow from depends on the seed.
    """
    if len(vectors) <= size:
        return vectors, torch.arange(len(vectors))
    with kernels_alone(), ThreadPoolExecutor(kernel_threads()) as pool:
        return _find_palette(vectors, size, seed, pool)


def _find_palette(
    vectors: Float[Tensor, "g d"], size: int, seed: int, pool: ThreadPoolExecutor
) -> tuple[Float[Tensor, "k d"], Int[Tensor, "g"]]:
    training = vectors
    if len(vectors) > TRAINING:
        generator = torch.Generator().manual_seed(seed)
        training = vectors[torch.randperm(len(vectors), generator=generator)[:TRAINING].sort().values]
    cells = _split_evenly(training, pool)
    labels, entries_in_cell = _cut_trees(training, cells, size, pool)
    entries = _means(training, labels, torch.zeros(int(entries_in_cell.sum()), vectors.shape[1]))
    centers = torch.stack([training[rows].mean(0) for rows in cells])
    grid = _Grid(centers, entries_in_cell)
    if training is not vectors:
        labels = grid.first_entry(_nearest(vectors, centers))
    for _ in range(ROUNDS):
        before, labels = labels, grid.reassign(vectors, entries, labels, pool)
        entries = _means(vectors, labels, entries)
        if (labels != before).double().mean() < STILL:
            break
    return _fill_unused(vectors, entries, labels)


def _split_evenly(vectors: Float[Tensor, "g d"], pool: ThreadPoolExecutor) -> list[Int[Tensor, "_"]]:
    """Rows of cells of at most `CELL` vectors, by halving each across its longest direction."""

    def halves(rows: Int[Tensor, "n"]) -> Sequence[Int[Tensor, "_"]]:
        """Halve rows across their direction of largest spread."""
        part = vectors[rows]
        part = part - part.mean(0)
        longest = torch.linalg.eigh(part.T @ part).eigenvectors[:, -1]
        # the sign of an eigenvector is free
        longest = longest * torch.where(longest[longest.abs().argmax()] < 0, -1.0, 1.0)
        return rows[torch.argsort(part @ longest, stable=True)].tensor_split(2)

    cells: list[Int[Tensor, "_"]] = [torch.arange(len(vectors))]
    while len(cells[0]) > CELL:
        cells = [half for both in pool.map(halves, cells) for half in both]
    return cells


def _cut_trees(
    vectors: Float[Tensor, "g d"], cells: list[Int[Tensor, "_"]], size: int, pool: ThreadPoolExecutor
) -> tuple[Int[Tensor, "g"], Int[Tensor, "c"]]:
    """Clusters of every cell, numbered on through the cells: the cheapest joins of all trees until `size` are left."""
    from scipy.cluster.hierarchy import fcluster, linkage

    trees = list(pool.map(lambda rows: linkage(vectors[rows].double().numpy(), "ward"), cells))
    costs = np.concatenate([tree[:, 2] for tree in trees])
    joins = len(vectors) - size
    # joins of one cost happen together: rather fewer entries than more
    limit = np.partition(costs, joins - 1)[joins - 1] if joins <= len(costs) else np.inf
    labels = torch.empty(len(vectors), dtype=torch.long)
    counts: list[int] = []
    for rows, tree in zip(cells, trees, strict=True):
        inside = torch.from_numpy(fcluster(tree, limit, "distance").astype(np.int64)) - 1
        labels[rows] = inside + sum(counts)
        counts.append(int(inside.max()) + 1)
    return labels, torch.tensor(counts)


@dataclass(frozen=True)
class _Grid:
    """Which entries lie in which cell, and which cells are near."""

    centers: Float[Tensor, "c d"]
    counts: Int[Tensor, "c"]
    """Entries of each cell; they are numbered on through the cells."""

    def first_entry(self, cells: Int[Tensor, "g"]) -> Int[Tensor, "g"]:
        """Index of the first entry of each cell."""
        return (self.counts.cumsum(0) - self.counts)[cells]

    def reassign(
        self,
        vectors: Float[Tensor, "g d"],
        entries: Float[Tensor, "k d"],
        labels: Int[Tensor, "g"],
        pool: ThreadPoolExecutor,
    ) -> Int[Tensor, "g"]:
        """The nearest entry of each vector, among those of the cells nearest to that of its present one."""
        probed = -(-PROBED * len(self.centers) // len(entries))
        near = torch.cdist(self.centers, self.centers).argsort(dim=1, stable=True)[:, :probed].tolist()
        cell_of_entry = torch.repeat_interleave(torch.arange(len(self.counts)), self.counts)
        entries_of = torch.arange(len(entries)).split(self.counts.tolist())
        cell_of_vector = cell_of_entry[labels]
        order = torch.argsort(cell_of_vector, stable=True)
        rows_of = order.split(torch.bincount(cell_of_vector, minlength=len(near)).tolist())
        found = torch.empty_like(labels)

        def search(cell: int) -> None:
            """Find the nearest entry of every vector in a cell."""
            candidates = torch.cat([entries_of[other] for other in near[cell]])
            rows = rows_of[cell]
            found[rows] = candidates[_nearest(vectors[rows], entries[candidates])]

        list(pool.map(search, range(len(near))))
        return found


def _fill_unused(
    vectors: Float[Tensor, "g d"], entries: Float[Tensor, "k d"], labels: Int[Tensor, "g"]
) -> tuple[Float[Tensor, "k d"], Int[Tensor, "g"]]:
    """Entries that stand for no vector are given to those that err most."""
    unused = torch.bincount(labels, minlength=len(entries)).eq(0).nonzero()[:, 0]
    if len(unused) == 0:
        return entries, labels
    worst = (vectors - entries[labels]).square().sum(1).topk(len(unused)).indices
    entries, labels = entries.clone(), labels.clone()
    entries[unused] = vectors[worst]
    labels[worst] = unused
    return entries, labels


def _nearest(vectors: Float[Tensor, "g d"], entries: Float[Tensor, "k d"]) -> Int[Tensor, "g"]:
    squares, columns = entries.square().sum(1), entries.T.contiguous()
    found = np.empty(len(vectors), np.int64)
    rows = max(1, PRODUCTS // len(entries))
    for start in range(0, len(vectors), rows):
        distances = torch.addmm(squares, vectors[start : start + rows], columns, alpha=-2)
        # numpy's is ten times as fast as torch's
        found[start : start + rows] = distances.numpy().argmin(1)
    return torch.from_numpy(found)


def _means(
    vectors: Float[Tensor, "g d"], labels: Int[Tensor, "g"], entries: Float[Tensor, "k d"]
) -> Float[Tensor, "k d"]:
    """The mean of the vectors of each entry; those that stand for none stay as they are."""
    sums = torch.zeros_like(entries).index_add_(0, labels, vectors)
    counts = torch.bincount(labels, minlength=len(entries))[:, None]
    return torch.where(counts > 0, sums / counts.clamp_min(1), entries)
