"""Progress reports of long work.

Libraries call `track` or `progress`; the installed reporter decides what is shown: the command line draws bars,
`bridge4d.show_progress()` does so for notebooks and scripts, and by default nothing is shown.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeVar, runtime_checkable

T = TypeVar("T")


@runtime_checkable
class Reporter(Protocol):
    """Shows progress."""

    def start(self, description: str, total: int | None) -> Callable[[int, str], None]:
        """Begin a piece of work; returns ``update(done, note)``."""
        ...

    def finish(self, description: str, ended: str = "") -> None:
        """End a piece of work; `ended` is '' where it was finished, else 'interrupted', 'failed' or 'stopped'."""
        ...

    def note(self, text: str) -> None:
        """Show a sentence."""
        ...


class Silent:
    """A reporter that shows nothing."""

    def start(self, description: str, total: int | None) -> Callable[[int, str], None]:
        """Ignore the work."""
        return lambda done, note: None

    def finish(self, description: str, ended: str = "") -> None:
        """Ignore the end."""
        pass

    def note(self, text: str) -> None:
        """Ignore the sentence."""
        pass


_reporter: ContextVar[Reporter | None] = ContextVar("reporter", default=None)
_everywhere: list[Reporter] = [Silent()]
"""The one reporter of blocks without their own."""


def _current() -> Reporter:
    return _reporter.get() or _everywhere[0]


def report_everywhere(reporter: Reporter) -> None:
    """Send the progress of this process to `reporter`, except in blocks of `use_reporter`."""
    _everywhere[0] = reporter


@contextmanager
def use_reporter(reporter: Reporter) -> Iterator[None]:
    """Send the progress of everything inside the block to `reporter`."""
    token = _reporter.set(reporter)
    try:
        yield
    finally:
        _reporter.reset(token)


@contextmanager
def progress(description: str, total: int | None = None) -> Iterator[Callable[[int, str], None]]:
    """Report work that counts itself: yields ``update(done, note)``."""
    reporter = _current()
    update = reporter.start(description, total)
    try:
        yield update
    except KeyboardInterrupt:
        reporter.finish(description, "interrupted")
        raise
    except GeneratorExit:  # whoever iterates ended early
        reporter.finish(description, "stopped")
        raise
    except BaseException:
        reporter.finish(description, "failed")
        raise
    reporter.finish(description)


def track(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Iterate over `items` and report after each."""
    if total is None and hasattr(items, "__len__"):
        total = len(items)  # type: ignore[arg-type]
    with progress(description, total) as update:
        for done, item in enumerate(items, start=1):
            yield item
            update(done, "")


def note(text: str) -> None:
    """Show a sentence at once to a person who waits."""
    _current().note(text)
