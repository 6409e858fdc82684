"""The one place that speaks to a person at a terminal: progress on stderr, results on stdout, errors as a sentence."""

import codecs
import io
import shlex
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from recon.compute.progress import report_everywhere

err = Console(stderr=True, highlight=False, soft_wrap=True)


PATIENCE_S = 1.0
"""Without a terminal, work that takes longer than this is announced; shorter work would fill a log for nothing."""
INTERVAL_S = 30.0
"""So often it then says how far it is."""


@dataclass
class _Piece:
    """One piece of work in progress."""

    description: str
    task: TaskID
    began: float
    """Seconds of `time.perf_counter`."""
    due: float
    """When something is to be said of it next, where there is no terminal."""
    progress: str = ""
    """The last report: '3/12 kitchen'."""
    announced: bool = False
    """Whether a line said already that it is being done."""


class TerminalReporter:
    """Bars where there is a terminal. Where there is none, a line when a piece of work turns out to take longer than a
    moment, one every half minute while it lasts, and one at its end."""

    def __init__(
        self, console: Console = err, *, patience_s: float = PATIENCE_S, interval_s: float = INTERVAL_S
    ) -> None:
        self.console = console
        self.patience_s, self.interval_s = patience_s, interval_s
        self.live = Progress(
            TextColumn("  {task.description}", justify="left"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[count]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("[dim]{task.fields[note]}"),
            console=console,
            transient=True,
            refresh_per_second=4,
        )
        self.pieces: list[_Piece] = []
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def start(self, description: str, total: int | None) -> Callable[[int, str], None]:
        """Show a piece of work; gives the function that reports its progress."""
        now = time.perf_counter()
        task = self.live.add_task(description, total=total, note="", count="")
        piece = _Piece(description, task, now, now + self.patience_s)
        with self._lock:
            first = not self.pieces
            self.pieces.append(piece)
        if first and self.console.is_terminal:
            self.live.start()
        elif first:
            self._ended = threading.Event()
            threading.Thread(target=self._tell, args=(self._ended,), daemon=True).start()

        def update(done: int, text: str) -> None:
            """Show how much is done, with a short text."""
            count = f"{done}/{total}" if total else str(done)
            piece.progress = f"{count} {text}".rstrip()
            self.live.update(task, completed=done, note=text, count=count)

        return update

    def finish(self, description: str, ended: str = "") -> None:
        """End a piece of work; a line says how long it took, where that was a second or more."""
        with self._lock:
            piece = next((one for one in reversed(self.pieces) if one.description == description), None)
            if piece is None:
                return
            self.pieces.remove(piece)
            last = not self.pieces
        self.live.remove_task(piece.task)
        if last and self.console.is_terminal:
            self.live.stop()
        if last:
            self._ended.set()
        seconds = time.perf_counter() - piece.began
        if seconds >= 1 or ended == "interrupted":
            self.note(f"{description} {f'{ended} after ' if ended else ''}{seconds:.0f} s")

    def note(self, text: str) -> None:
        """Print a remark."""
        self.console.print(f"  [dim]{_escape(text)}[/dim]")

    def _tell(self, ended: threading.Event) -> None:
        """Says what is being done, in time, until all is done."""
        while not ended.wait(min(self.patience_s, self.interval_s) / 2):
            now = time.perf_counter()
            with self._lock:
                due = [piece for piece in self.pieces if now >= piece.due]
            for piece in due:
                piece.due = now + self.interval_s
                if piece.announced:
                    said = ", ".join(filter(None, [piece.progress, f"{now - piece.began:.0f} s so far"]))
                    self.note(f"{piece.description}: {said}")
                else:
                    self.note(f"{piece.description} …")
                    piece.announced = True


def show_progress() -> None:
    """From now on, all work of this process reports how far it is: on stderr, with bars where that is a terminal.

    Example:
        >>> show_progress()
        >>> augment("photos", "runs/kitchen")
    """
    report_everywhere(TerminalReporter())


SPELT = {"\N{MINUS SIGN}": "-", "→": "->", "…": "...", "–": "-", "×": "x", "°": " deg", "·": "-", "’": "'"}
"""What the project prints beyond ASCII, for terminals that cannot."""


def print_whatever_the_terminal_can() -> None:
    """Characters that its encoding lacks are spelt in ASCII, else as a question mark, instead of ending the command."""
    codecs.register_error("bridge4d", _spell)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="bridge4d")


def _spell(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(SPELT.get(c, "?") for c in error.object[error.start : error.end]), error.end


def typed_command() -> str:
    """The command line of this process, as one would type it."""
    return shlex.join(["bridge4d", *sys.argv[1:]])


def bytes_in_words(count: int) -> str:
    """The size of a file, 3.6 MB or 24.1 kB."""
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def heading(text: str) -> None:
    """What is being done now."""
    err.print(f"[bold]{_escape(text)}[/bold]")


def result(text: str) -> None:
    """What was asked for; plain, on stdout, so that it can be piped."""
    print(text, file=sys.stdout, flush=True)


def fail(sentence: str) -> None:
    """Why it did not work, in one sentence."""
    err.print(f"[bold red]error:[/bold red] {_escape(sentence)}")
