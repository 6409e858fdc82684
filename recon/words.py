"""Counts in sentences."""


def count_noun(n: int | None, one: str, several: str = "") -> str:
    """Number and noun: '1 photo', '3 photos', '– photos' for an unknown number.

    Args:
        one: the singular, with a verb if one follows: ``"photo is"``.
        several: the plural; `one` with an s by default.
    """
    return f"{'–' if n is None else f'{n:,}'} {one if n == 1 else several or f'{one}s'}"
