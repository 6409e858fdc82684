"""What the benchmarks write and print, and how they are started."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.machine import describe_machine
from benchmarks.view_tasks import ViewArguments
from bridge4d.runs.stages import StageRecord
from bridge4d.runs.stored_json import write_json
from recon.errors import BridgeError
from recon.pictures.eight_bit import to_eight_bit

A = TypeVar("A")


def command(main: Callable[[A], None], arguments: type[A], doc: str | None) -> None:
    """The command line of a benchmark; what it cannot do is said in one sentence, without a trace."""
    import tyro

    try:
        main(tyro.cli(arguments, description=doc))
    except BridgeError as error:
        raise SystemExit(str(error)) from None


def write_record(arguments: ViewArguments, name: str, **content: Any) -> Path:
    """Arguments, machine and `content` as `name`.json in the run folder; of folders only the names are told."""
    path = arguments.out / f"{name}.json"
    about = {
        key: value.name if isinstance(value, Path) else value for key, value in asdict(arguments).items()
    }
    write_json(path, {"arguments": about, "machine": describe_machine(torch.get_num_threads())} | content)
    return path


def publish_sheet(record: StageRecord, out: Path, name: str) -> None:
    """Copies a stage's `sheet.png` to where all contact sheets are looked at."""
    sheet = out / "sheets" / f"{name}.png"
    sheet.parent.mkdir(exist_ok=True)
    sheet.write_bytes((record.folder / "sheet.png").read_bytes())


@dataclass
class Table:
    """Markdown."""

    columns: Sequence[str]
    rows: list[list[str]] = field(default_factory=list)

    def add(self, *cells: object) -> None:
        self.rows.append([str(cell) for cell in cells])

    def __str__(self) -> str:
        lines = [list(self.columns), ["---"] * len(self.columns), *self.rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(value: float | None, form: str = "{:.2f}") -> str:
    """A dash for what is undefined."""
    return "–" if value is None else form.format(value)


def mean(values: Sequence[float | None]) -> float | None:
    """Over those that are defined; None where none is."""
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known else None


def defined(values: Float[Tensor, "n"]) -> list[float | None]:
    """NaN is None, which JSON can say."""
    return [None if math.isnan(v) else v for v in values.tolist()]


def contact_sheet(
    rows: Sequence[Sequence[Float[Tensor, "h w 3"]]],
    path: Path,
    *,
    titles: Sequence[str],
    labels: Sequence[str] = (),
) -> None:
    """Pictures of one size in rows, a title over each column and a label over each row, as a PNG."""
    from PIL import Image, ImageDraw

    h, w = rows[0][0].shape[:2]
    head = 16
    step = h + (head if labels else 2)
    sheet = Image.new("RGB", (len(rows[0]) * (w + 2), head + len(rows) * step), "white")
    draw = ImageDraw.Draw(sheet)
    for j, title in enumerate(titles):
        draw.text((j * (w + 2) + 2, 2), title, fill="black")
    for i, row in enumerate(rows):
        top = head + i * step
        if labels:
            draw.text((2, top + 2), labels[i], fill="black")
        for j, picture in enumerate(row):
            pixels = to_eight_bit(picture).numpy()
            sheet.paste(Image.fromarray(pixels), (j * (w + 2), top + step - h))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)
