"""Limits on the memory and time of one piece of work, in a child process."""

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recon.compute.process import is_expendable


@contextmanager
def limit_resources(*, memory: int, cpu_s: float) -> Iterator[None]:
    """Limits the block to so many further bytes of address space and seconds of CPU time.

    An allocation beyond fails, which most libraries survive as an exception; time beyond ends the process. Only on
    Linux, and only in a process that may be lost.
    """
    if sys.platform != "linux" or not is_expendable():
        yield
        return
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    used = resource.getrusage(resource.RUSAGE_SELF)
    limits = {
        resource.RLIMIT_AS: size + memory,
        resource.RLIMIT_CPU: int(used.ru_utime + used.ru_stime + cpu_s) + 1,
    }
    before = {kind: resource.getrlimit(kind) for kind in limits}
    for kind, wanted in limits.items():
        soft, hard = before[kind]
        lowest = min(x for x in (wanted, soft, hard) if x != resource.RLIM_INFINITY)
        resource.setrlimit(kind, (lowest, hard))
    try:
        yield
    finally:
        for kind, limit in before.items():
            resource.setrlimit(kind, limit)
