"""How sentences count."""


def count_noun(n: int | None, one: str, several: str = "") -> str:
    """'1 photo', '3 photos', '– photos' where the number is not known.

    Args:
        one: what there is one of, and a verb if it follows: ``"photo is"``.
        several: the same of several; `one` with an s where it is not given.
    """
    return f"{'–' if n is None else f'{n:,}'} {one if n == 1 else several or f'{one}s'}"
