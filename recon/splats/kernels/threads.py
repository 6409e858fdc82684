"""Runs kernels over chunks of their work on as many threads as torch uses."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from itertools import pairwise
from typing import Any

import torch


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="splats")


# A forked child inherits the pool but not its threads: it makes one of its own.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)


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
    """How many threads compiled code may take: as many as torch does, or did before `kernels_alone`."""
    return _kernel_threads.get() or torch.get_num_threads()


def run(kernel: Callable[..., None], total: int, *args: Any, chunks_per_thread: int = 4) -> None:
    """Calls ``kernel(first, last, *args)`` for ranges that cover 0 … total; returns when all are done."""
    threads = min(kernel_threads(), total)
    if threads <= 1:
        kernel(0, total, *args)
        return
    chunks = min(threads * chunks_per_thread, total)
    bounds = [total * i // chunks for i in range(chunks + 1)]
    done = [_pool(threads).submit(kernel, first, last, *args) for first, last in pairwise(bounds)]
    for future in done:
        future.result()
