"""Numbers out of text and JSON: finite, or refused."""

import math
from collections.abc import Iterable
from typing import Any

from recon.errors import BridgeError

LONGEST_NUMBER = 100
"""Characters; a float takes 24, and converting takes time that grows with the square of the length."""


def parse_number(
    value: Any,
    what: str,
    *,
    least: float = -math.inf,
    most: float = math.inf,
    error: type[BridgeError] = BridgeError,
) -> float:
    """A finite float out of a number or a text.

    Args:
        value: what a file holds; True and False are no numbers.
        what: says in the sentence which it is: ``"transforms.json: fl_x of a.png"``.
        least: the smallest that is taken.
        most: the largest that is taken.
        error: the class of what is raised.

    Raises:
        BridgeError: no number, NaN, beyond what a float holds, outside the bounds.
    """
    try:
        if isinstance(value, bool) or (isinstance(value, str) and len(value) > LONGEST_NUMBER):
            raise ValueError
        found = float(value)
    except (TypeError, ValueError, OverflowError) as e:
        raise error(f"{what}: expected a number, got {_shown(value)}") from e
    if not math.isfinite(found):
        raise error(f"{what}: expected a finite number, got {_shown(value)}")
    if not least <= found <= most:
        bounds = f"of at least {least:g}" if most == math.inf else f"between {least:g} and {most:g}"
        raise error(f"{what}: expected a number {bounds}, got {_shown(value)}")
    return found


def parse_integer(
    value: Any, what: str, *, least: int = 0, most: int = 2**53, error: type[BridgeError] = BridgeError
) -> int:
    """A whole number, also one written as 3.0; up to 2⁵³ every one is a float.

    Raises:
        BridgeError: as `parse_number`, or with a fraction.
    """
    found = parse_number(value, what, least=least, most=most, error=error)
    if found != round(found):
        raise error(f"{what}: expected a whole number, got {_shown(value)}")
    return round(found)


def parse_numbers(
    values: Iterable[Any], what: str, *, count: int | None = None, error: type[BridgeError] = BridgeError
) -> list[float]:
    """Several finite floats, where asked so many.

    Raises:
        BridgeError: as `parse_number`, no list, or of another length.
    """
    if isinstance(values, str | bytes | dict) or not isinstance(values, Iterable):
        raise error(f"{what}: expected a list of numbers, got {_shown(values)}")
    found = [parse_number(value, what, error=error) for value in values]
    if count is not None and len(found) != count:
        raise error(f"{what}: expected {count} numbers, got {len(found)}")
    return found


def _shown(value: Any) -> str:
    """Short, whatever it is: of an int beyond any float even `str` is refused."""
    if isinstance(value, int) and value.bit_length() > 1024:
        return "a whole number of more than 300 digits"
    if isinstance(value, list | dict):
        return f"a {type(value).__name__} of {len(value)}"
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
