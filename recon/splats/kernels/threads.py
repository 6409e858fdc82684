"""Number of threads of compiled code."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

_kernel_threads: ContextVar[int | None] = ContextVar("kernel_threads", default=None)


@contextmanager
def kernels_alone() -> Iterator[None]:
    """Inside, all of torch's threads work for the kernels, and torch itself runs its small operations on one.

    Two pools of threads that take turns every millisecond wait for each other, badly so on a busy machine.
    """
    threads = torch.get_num_threads()
    token = _kernel_threads.set(threads)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        _kernel_threads.reset(token)


def kernel_threads() -> int:
    """As many as torch does, or did before `kernels_alone`."""
    return _kernel_threads.get() or torch.get_num_threads()
