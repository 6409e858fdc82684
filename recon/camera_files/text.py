"""Text files of numbers: a camera a line."""

import re
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from recon.bounded import LONGEST_NUMBER, read_text
from recon.camera_files.words import Heard, hear
from recon.errors import CameraError, CaptureError

COMMENT = re.compile(r"#|^\s*%|^\s*//")


@dataclass(frozen=True)
class Table:
    values: Float[Tensor, "n columns"]
    lines: tuple[int, ...]
    """Where each row stands in the file, from 1."""
    commas: bool
    """Whether commas part the numbers."""
    headings: tuple[str, ...] = ()
    """All comments, and a line of names before the numbers."""

    @property
    def columns(self) -> int:
        return self.values.shape[1]

    def heard(self, convention: str, where: str) -> Heard:
        """What the file says of its poses, one a row, which are read by a `convention`.

        Raises:
            CameraError: as `hear`.
        """
        return hear(self.headings, convention, len(self.values), where)

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(f"{i} (line {line})" for i, line in enumerate(self.lines))


def read_table(file: Path) -> Table:
    """All rows of numbers; empty lines, comments (#, %, //) and one heading (an address, names of columns) apart.

    A first line of one whole number is taken for the number of rows.

    Raises:
        CaptureError: not text.
        CameraError: no numbers, a line that is none, or one with another count of numbers, NaN or infinity; names the line.
    """
    rows: list[list[float]] = []
    lines: list[int] = []
    headings: list[str] = []
    names, commas = 0, False
    for number, line in enumerate(read_text(file, error=CaptureError).splitlines(), 1):
        before, *comment = COMMENT.split(line, maxsplit=1)
        headings += comment
        words = before.replace(",", " ").replace(";", " ").split()
        if not words:
            continue
        try:
            row = [_number(w) for w in words]
        except ValueError as e:
            names += 1
            if rows or names > 1:
                raise CameraError(
                    f"{file}: expected numbers in line {number}, got {line.strip()[:60]!r}"
                ) from e
            headings.append(before)
            continue
        if rows and len(row) != len(rows[0]):
            if len(rows) == 1 and len(rows[0]) == 1 and rows[0][0].is_integer():
                headings.append(f"frames: {rows.pop()[0]:.0f}")
                lines.clear()
            else:
                raise CameraError(
                    f"{file}: expected {len(rows[0])} numbers in line {number} as in line {lines[0]}, got {len(row)}"
                )
        commas = commas or "," in line
        rows.append(row)
        lines.append(number)
    if not rows:
        raise CameraError(f"{file}: expected one camera a line, found no line of numbers")
    table = Table(torch.tensor(rows, dtype=torch.float64), tuple(lines), commas, tuple(headings))
    odd = (~torch.isfinite(table.values)).any(dim=1).nonzero()
    if len(odd):
        raise CameraError(
            f"{file}: camera {table.labels[int(odd[0])]} has NaN or infinite values; remove it or mend the camera file"
        )
    return table


def _number(word: str) -> float:
    if len(word) > LONGEST_NUMBER:
        raise ValueError(f"a number of {len(word)} characters")
    return float(word)


def table_of(file: Path, columns: int, what: str) -> Table:
    """A table of that many columns.

    Raises:
        CameraError: it has another number of them.
    """
    table = read_table(file)
    if table.columns != columns:
        raise CameraError(f"{file}: expected {columns} numbers a line ({what}), got {table.columns}")
    return table
