"""Text files of numbers, one camera a line."""

import re
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from recon.bounded import LONGEST_NUMBER, read_text
from recon.camera_files.words.statements import Statements, interpret_lines
from recon.errors import CameraError, CaptureError
from recon.words import count_noun

MAX_STATED_ROWS = 10**9
"""Largest count of rows that a first line of one number may state; a larger number is a time stamp."""
DECIMAL_COMMA = re.compile(r"[-+]?[0-9]+,[0-9]+(?:[eE][-+]?[0-9]+)?")
"""A number with a comma as its decimal point."""
COMMENT = re.compile(r"#|^\s*%|^\s*//")


@dataclass(frozen=True)
class Table:
    """Numbers of a text file, with the comments and headings beside them."""

    values: Float[Tensor, "n columns"]
    lines: tuple[int, ...]
    """Line number of each row in the file, from 1."""
    commas: bool
    """Whether commas separate the numbers."""
    headings: tuple[str, ...] = ()
    """All comments, and a line of names before the numbers."""

    @property
    def columns(self) -> int:
        """Numbers in a row."""
        return self.values.shape[1]

    def interpret(self, convention: str, where: str) -> Statements:
        """Interpret what the comments and headings say of the poses, one a row.

        Raises:
            CameraError: as `interpret_lines`.
        """
        return interpret_lines(self.headings, convention, len(self.values), where)

    @property
    def labels(self) -> tuple[str, ...]:
        """Name of each row in an error: its index from 0 and its line."""
        return tuple(f"{i} (line {line})" for i, line in enumerate(self.lines))


def read_table(file: Path) -> Table:
    """Read all rows of numbers of a text file.

    Empty lines, comments (#, %, //) and one heading (an address, names of columns) are no rows. A first line of one whole
    number is taken for the number of rows.

    Raises:
        CaptureError: not text.
        CameraError: no numbers; a line with other words, another count of numbers, decimal commas, NaN or infinity.
    """
    rows: list[list[float]] = []
    lines: list[int] = []
    headings: list[str] = []
    title, commas = "", False
    for number, line in enumerate(read_text(file, error=CaptureError).splitlines(), 1):
        before, *comment = COMMENT.split(line, maxsplit=1)
        headings += comment
        words = _words(before)
        if not words:
            continue
        try:
            row = [_number(w) for w in words]
        except ValueError as e:
            if rows or title:
                raise CameraError(
                    f"{file}: expected numbers in line {number}, got {line.strip()[:60]!r}"
                ) from e
            title = before
            headings.append(title)
            continue
        if rows and len(row) != len(rows[0]):
            if len(rows) > 1 or len(rows[0]) > 1 or not _is_count(rows[0][0]):
                expected = count_noun(len(rows[0]), "number")
                raise CameraError(
                    f"{file}: expected {expected} in line {number} as in line {lines[0]}, got {len(row)}"
                )
            headings.append(f"frames: {rows.pop()[0]:.0f}")
            lines.clear()
        _refuse_decimal_commas(before, f"{file}: line {number}")
        commas = commas or "," in line
        rows.append(row)
        lines.append(number)
    if not rows:
        raise CameraError(f"{file}: expected one camera a line, found no line of numbers")
    _refuse_broken_row(title, len(rows[0]), file)
    table = Table(torch.tensor(rows, dtype=torch.float64), tuple(lines), commas, tuple(headings))
    odd = (~torch.isfinite(table.values)).any(dim=1).nonzero()
    if len(odd):
        raise CameraError(
            f"{file}: camera {table.labels[int(odd[0])]} has NaN or infinite values; remove it or mend the camera file"
        )
    return table


def _refuse_broken_row(title: str, columns: int, file: Path) -> None:
    """Refuse a heading that is a row of numbers, some of them broken.

    Raises:
        CameraError: at least half of its words are numbers, as many as a row has.
    """
    words = _words(title)
    broken = [word for word in words if not _is_number(word)]
    if len(words) == columns and 2 * len(broken) <= columns:
        raise CameraError(
            f"{file}: expected {columns} numbers a line, got {broken[0][:60]!r} among those of the first; mend or remove it"
        )


def _refuse_decimal_commas(line: str, where: str) -> None:
    """Refuse numbers such as '0,5', which would be read as two.

    Raises:
        CameraError: every number that is not whole has a comma inside, and blanks separate the numbers.
    """
    words = line.replace(";", " ").split()
    broken = [word for word in words if DECIMAL_COMMA.fullmatch(word)]
    if len(words) > 1 and broken and all(word in broken or _is_number(word) for word in words):
        raise CameraError(f"{where} has decimal commas, as in {broken[0][:60]}; write points instead")


def _words(line: str) -> list[str]:
    return line.replace(",", " ").replace(";", " ").split()


def _is_count(value: float) -> bool:
    return value.is_integer() and 0 < value < MAX_STATED_ROWS


def _is_number(word: str) -> bool:
    try:
        _number(word)
    except ValueError:
        return False
    return True


def _number(word: str) -> float:
    if len(word) > LONGEST_NUMBER:
        raise ValueError(f"a number of {len(word)} characters")
    return float(word)


def read_columns(file: Path, columns: int, what: str) -> Table:
    """Read a table with a known number of columns.

    Args:
        what: names of the columns, for the error.

    Raises:
        CameraError: another number of columns, or as `read_table`.
    """
    table = read_table(file)
    if table.columns != columns:
        raise CameraError(f"{file}: expected {columns} numbers a line ({what}), got {table.columns}")
    return table
