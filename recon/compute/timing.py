"""Wall time of the stages of long work."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def add_elapsed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Add the seconds that a block takes to `seconds[stage]`; a block that raises counts nothing."""
    started = time.perf_counter()
    yield
    seconds[stage] = seconds.get(stage, 0.0) + time.perf_counter() - started
