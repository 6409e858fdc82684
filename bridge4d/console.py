"""The one place that speaks to a person at a terminal: progress on stderr, results on stdout, errors as a sentence."""

import sys
import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

err = Console(stderr=True, highlight=False, soft_wrap=True)


class TerminalReporter:
    """Bars where there is a terminal; a line at start and end of each piece of work where there is none."""

    def __init__(self, console: Console = err) -> None:
        self.console = console
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
        self.tasks: list[tuple[str, int, float]] = []

    def start(self, description: str, total: int | None) -> Callable[[int, str], None]:
        task = self.live.add_task(description, total=total, note="", count="")
        self.tasks.append((description, task, time.perf_counter()))
        if self.console.is_terminal and len(self.tasks) == 1:
            self.live.start()

        def update(done: int, text: str) -> None:
            count = f"{done}/{total}" if total else str(done)
            self.live.update(task, completed=done, note=text, count=count)

        return update

    def finish(self, description: str) -> None:
        for i in reversed(range(len(self.tasks))):
            name, task, began = self.tasks[i]
            if name == description:
                self.live.remove_task(task)  # type: ignore[arg-type]
                del self.tasks[i]
                break
        else:
            return
        if not self.tasks and self.console.is_terminal:
            self.live.stop()
        seconds = time.perf_counter() - began
        if seconds >= 1:
            self.note(f"{description} {seconds:.0f} s")

    def note(self, text: str) -> None:
        self.console.print(f"  [dim]{_escape(text)}[/dim]")


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
