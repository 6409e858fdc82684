"""The one door through which long work reports how far it is.

Libraries call `track` or `step`; what happens with it is the business of whoever installed a reporter
(the command line draws bars, `bridge4d.show_progress()` does so for notebooks and scripts, by default nothing happens).
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeVar, runtime_checkable

T = TypeVar("T")


@runtime_checkable
class Reporter(Protocol):
    """Draws progress. `start` returns a function that is called with the number done so far and a note; `finish` is told how
    the work ended where it was not finished: 'interrupted', 'failed' or 'stopped'."""

    def start(self, description: str, total: int | None) -> Callable[[int, str], None]: ...

    def finish(self, description: str, ended: str = "") -> None: ...

    def note(self, text: str) -> None: ...


class _Silent:
    def start(self, description: str, total: int | None) -> Callable[[int, str], None]:
        return lambda done, note: None

    def finish(self, description: str, ended: str = "") -> None:
        pass

    def note(self, text: str) -> None:
        pass


_reporter: ContextVar[Reporter | None] = ContextVar("reporter", default=None)
_everywhere: list[Reporter] = [_Silent()]
"""One, which serves where no block has its own."""


def _current() -> Reporter:
    return _reporter.get() or _everywhere[0]


def report_everywhere(reporter: Reporter) -> None:
    """Sends the progress of this process to `reporter`, but for blocks that `use_reporter` sends elsewhere."""
    _everywhere[0] = reporter


@contextmanager
def use_reporter(reporter: Reporter) -> Iterator[None]:
    """Sends the progress of everything inside the block to `reporter`."""
    token = _reporter.set(reporter)
    try:
        yield
    finally:
        _reporter.reset(token)


@contextmanager
def progress(description: str, total: int | None = None) -> Iterator[Callable[[int, str], None]]:
    """A bar for work that counts itself: ``update(done, note)``."""
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
    """Iterates over `items` and reports after each."""
    if total is None and hasattr(items, "__len__"):
        total = len(items)  # type: ignore[arg-type]
    with progress(description, total) as update:
        for done, item in enumerate(items, start=1):
            yield item
            update(done, "")


def note(text: str) -> None:
    """A sentence that a person who waits would like to read now."""
    _current().note(text)
