"""Finite numbers out of text and JSON."""

import math
from collections.abc import Iterable
from typing import Any

from recon.errors import BridgeError

LONGEST_NUMBER = 100
"""Longest number in characters; a float takes 24, and the time of conversion grows with the square of the length."""


def parse_number(
    value: Any,
    what: str,
    *,
    least: float = -math.inf,
    most: float = math.inf,
    error: type[BridgeError] = BridgeError,
) -> float:
    """Parse a finite float out of a number or a text.

    Args:
        value: of a file; True and False are not numbers.
        what: name of the value, for the error: ``"transforms.json: fl_x of a.png"``.
        least, most: bounds, both allowed.
        error: class of the error.

    Raises:
        BridgeError: not a number, NaN, beyond the range of a float, or outside the bounds.
    """
    try:
        if isinstance(value, bool) or (isinstance(value, str) and len(value) > LONGEST_NUMBER):
            raise ValueError
        found = float(value)
    except (TypeError, ValueError, OverflowError) as e:
        raise error(f"{what}: expected a number, got {_abbreviate(value)}") from e
    if not math.isfinite(found):
        raise error(f"{what}: expected a finite number, got {_abbreviate(value)}")
    if not least <= found <= most:
        bounds = f"of at least {least:g}" if most == math.inf else f"between {least:g} and {most:g}"
        raise error(f"{what}: expected a number {bounds}, got {_abbreviate(value)}")
    return found


def parse_integer(
    value: Any, what: str, *, least: int = 0, most: int = 2**53, error: type[BridgeError] = BridgeError
) -> int:
    """Parse a whole number, also one written as 3.0; up to 2⁵³ every one is a float.

    Raises:
        BridgeError: as `parse_number`, or a fraction.
    """
    found = parse_number(value, what, least=least, most=most, error=error)
    if found != round(found):
        raise error(f"{what}: expected a whole number, got {_abbreviate(value)}")
    return round(found)


def parse_numbers(
    values: Iterable[Any], what: str, *, count: int | None = None, error: type[BridgeError] = BridgeError
) -> list[float]:
    """Parse a list of finite floats, of a length `count` where one is given.

    Raises:
        BridgeError: as `parse_number`, not a list, or another length.
    """
    if isinstance(values, str | bytes | dict) or not isinstance(values, Iterable):
        raise error(f"{what}: expected a list of numbers, got {_abbreviate(values)}")
    found = [parse_number(value, what, error=error) for value in values]
    if count is not None and len(found) != count:
        raise error(f"{what}: expected {count} numbers, got {len(found)}")
    return found


def _abbreviate(value: Any) -> str:
    """Value for a message, in at most 60 characters; `str` refuses an int of more than 4,300 digits."""
    if isinstance(value, int) and value.bit_length() > 1024:
        return "a whole number of more than 300 digits"
    if isinstance(value, list | dict):
        return f"a {type(value).__name__} of {len(value)}"
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
