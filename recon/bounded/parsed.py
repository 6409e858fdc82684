"""JSON and tables of strangers."""

import csv
import io
import json
from pathlib import Path
from typing import Any, NoReturn

from recon.bounded.files import LARGEST_TEXT, read_text
from recon.errors import BridgeError

LARGEST_CELL = 1 << 20
"""Characters of one cell of a table; a long prompt has some thousands."""


def decode_json(text: str | bytes, *, nan: bool = False, half_pairs: bool = False) -> Any:
    """What a JSON text holds: the one place where JSON of any origin becomes objects.

    A whole number of more than 18 digits becomes a float, and infinity beyond 10³⁰⁸: Python would refuse one of 4,300
    digits, and take time that grows with the square of its length.

    Args:
        text: of any size; bytes in UTF-8, with or without a byte order mark.
        nan: whether NaN and Infinity, which are no JSON but often written, are taken; who reads the numbers then says
            which one it is.
        half_pairs: whether half a surrogate pair is taken, by which Python stands for a byte of a file name that is no
            UTF-8; no file can hold it otherwise.

    Raises:
        ValueError: not JSON, or nested too deeply; in words that follow the name of a file.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")
        refuse = None if nan else _refuse_constant
        parsed = json.loads(text, parse_int=_whole, parse_constant=refuse)
        if not half_pairs and ("\\ud" in text or "\\uD" in text):  # the only way to write one
            json.dumps(parsed, ensure_ascii=False).encode()
    except RecursionError as e:
        raise ValueError("is nested too deeply to be read") from e
    except UnicodeEncodeError as e:
        raise ValueError("holds half a surrogate pair, which is no character") from e
    except ValueError as e:
        raise ValueError(f"is not JSON: {str(e)[:160]}") from e
    return parsed


def parse_json(
    text: str | bytes, what: str | Path, *, nan: bool = False, error: type[BridgeError] = BridgeError
) -> Any:
    """What a JSON text of strangers holds; see `decode_json`.

    Args:
        text: of any size.
        what: names the file in the sentence.
        nan: whether NaN and Infinity are taken.
        error: the class of what is raised.

    Raises:
        BridgeError: not JSON, nested too deeply, or with texts that no file could hold (half a surrogate pair).
    """
    try:
        return decode_json(text, nan=nan)
    except ValueError as e:
        raise error(f"{what} {e}; export it again") from e


def read_json(
    path: Path, *, most: int = LARGEST_TEXT, nan: bool = False, error: type[BridgeError] = BridgeError
) -> Any:
    """What a JSON file of at most `most` bytes holds; see `parse_json`.

    Raises:
        BridgeError: as `parse_json`; no such file, a pipe, too large, not UTF-8.
    """
    return parse_json(read_text(path, most=most, error=error), path, nan=nan, error=error)


def read_csv(
    text: str, what: str | Path, *, delimiter: str = ",", error: type[BridgeError] = BridgeError
) -> list[list[str]]:
    """The rows of a table, empty ones included.

    Raises:
        BridgeError: not such a table, or a cell of more than a million characters (a quote that is never closed).
    """
    if "\0" in text:
        raise error(f"{what} is no table: it holds NUL characters; save it as UTF-8 text")
    before = csv.field_size_limit(LARGEST_CELL)  # of the whole process
    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as e:
        raise error(f"{what} is no table that can be read ({e}); is a quote never closed?") from e
    finally:
        csv.field_size_limit(before)


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= 18 else float(digits)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")
