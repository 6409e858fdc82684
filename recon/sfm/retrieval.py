"""Which pictures look alike, by one vector for each: VLAD (Jégou et al. 2010) over words of the capture's own features."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from recon.compute.lazy import LazySequence
from recon.sfm.features.keypoints import Features

WORDS = 64
"""Words of the codebook; as in Jégou et al. 2010. Doubled, vectors take twice the memory and rank much the same."""
SAMPLED = 40_000
"""Descriptors that the words are learnt from, as many of every picture: 600 a word."""
ROUNDS = 10
"""Rounds of k-means, after which words of 40,000 descriptors hardly move."""
STRONGEST = 1024
"""Features of a picture that describe it: the first ones are found in other pictures most often."""
ALIKE = 30
"""Most alike pictures that each is matched with; doubled, matching takes twice as long."""


def find_alike_pairs(features: Sequence[Features], *, seed: int, alike: int = ALIKE) -> list[tuple[int, int]]:
    """Pairs (a, b), a < b, ascending, of each picture and the `alike` most similar ones, and what ties all of them together.

    The last are the pairs of a spanning tree of the greatest similarity, so that no group of pictures is left alone.
    """
    from scipy.sparse.csgraph import minimum_spanning_tree

    n = len(features)
    vectors = describe_pictures(features, features, seed=seed)
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -np.inf)
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, : min(alike, n - 1)]
    pairs = {(min(a, b), max(a, b)) for a in range(n) for b in nearest[a].tolist()}
    np.fill_diagonal(similarity, 1.0)
    tree = minimum_spanning_tree(
        3.0 - similarity
    ).tocoo()  # a weight of 0 would be no edge; similarity is at most 1
    pairs |= {(int(min(a, b)), int(max(a, b))) for a, b in zip(tree.row, tree.col, strict=True)}
    return sorted(pairs)


def find_alike_photos(
    photos: Sequence[Features], frames: Sequence[Features], *, seed: int, alike: int = ALIKE
) -> list[list[int]]:
    """For each frame the rows, ascending, of the `alike` photos most similar to it; no frame depends on the others."""
    of_photos, of_frames = (describe_pictures(photos, part, seed=seed) for part in (photos, frames))
    nearest = np.argsort(-(of_frames @ of_photos.T), axis=1, kind="stable")[:, :alike]
    return np.sort(nearest, axis=1).tolist()


def describe_pictures(
    known: Sequence[Features], features: Sequence[Features], *, seed: int
) -> Float[np.ndarray, "n v"]:
    """A unit vector of each picture, whose products say how alike two are; 0 of a picture without features.

    Args:
        known: pictures from whose features the words are learnt.
    """
    filled = LazySequence(lambda i: _strongest(known[i]), [i for i, one in enumerate(known) if len(one)])
    if not filled:
        return np.zeros((len(features), 1), np.float32)
    words = _learn_words(filled, np.random.default_rng(seed))
    vectors = np.stack([_aggregate(_strongest(one), words) for one in features])
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def _strongest(one: Features) -> Float[np.ndarray, "_ d"]:
    return one.descriptors[:STRONGEST].numpy()


def _learn_words(
    parts: Sequence[Float[np.ndarray, "_ d"]], rng: np.random.Generator
) -> Float[np.ndarray, "w d"]:
    """k-means of descriptors drawn alike from every picture; a word that none is nearest to stays where it is."""
    share = max(1, SAMPLED // len(parts))
    drawn = np.concatenate([part[np.sort(rng.permutation(len(part))[:share])] for part in parts])
    words = drawn[np.sort(rng.permutation(len(drawn))[:WORDS])].copy()
    for _ in range(ROUNDS):
        word = _nearest_word(drawn, words)
        total, count = _sum_by_word(drawn, word, len(words))
        words = np.where(count[:, None] > 0, total / np.maximum(count, 1)[:, None], words).astype(np.float32)
    return words


def _aggregate(
    descriptors: Float[np.ndarray, "k d"], words: Float[np.ndarray, "w d"]
) -> Float[np.ndarray, "v"]:
    """Sums of what descriptors differ from their words, each of unit length so that repeated texture counts once
    (Arandjelović and Zisserman 2013)."""
    if not len(descriptors):
        return np.zeros(words.size, np.float32)
    word = _nearest_word(descriptors, words)
    sums, _ = _sum_by_word(descriptors - words[word], word, len(words))
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    return (sums / np.maximum(lengths, 1e-12)).astype(np.float32).ravel()


def _nearest_word(
    descriptors: Float[np.ndarray, "k d"], words: Float[np.ndarray, "w d"]
) -> Int[np.ndarray, "k"]:
    return (descriptors @ words.T - 0.5 * np.square(words).sum(1)).argmax(1)


def _sum_by_word(
    rows: Float[np.ndarray, "k d"], word: Int[np.ndarray, "k"], count: int
) -> tuple[Float[np.ndarray, "w d"], Int[np.ndarray, "w"]]:
    """Sum of the rows of each word, in their order, and how many there are."""
    order = np.argsort(word, kind="stable")
    total = np.zeros((count, rows.shape[1]))
    number = np.bincount(word, minlength=count)
    filled = number > 0
    starts = np.concatenate([[0], np.cumsum(number)[:-1]])
    total[filled] = np.add.reduceat(rows[order].astype(np.float64), starts[filled], axis=0)
    return total, number
