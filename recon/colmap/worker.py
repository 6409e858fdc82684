"""Main loop of COLMAP's process: it takes calls from a pipe and answers each."""

import os
import pickle
import signal
import sys
from multiprocessing.connection import Connection

from recon.colmap.elsewhere import answer
from recon.colmap.library import quiet
from recon.compute.process import end_with_parent

SPARE_BYTES_A_CORE = 1 << 30
"""Bytes of address space for each core besides the machine's memory: threads reserve more than they use."""


def main(verbose: int, descriptor: int) -> None:
    """Answers until the other end of the pipe closes."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit_memory()
    quiet(verbose=bool(verbose))
    connection = Connection(descriptor)
    while True:
        try:
            request = connection.recv_bytes()
        except EOFError:
            os._exit(0)
        connection.send_bytes(pickle.dumps(answer(*pickle.loads(request)), protocol=pickle.HIGHEST_PROTOCOL))


def _limit_memory() -> None:
    """Not more than the machine has: a runaway then ends here, and nobody else is killed for its sake."""
    import resource

    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") + SPARE_BYTES_A_CORE * (
        os.cpu_count() or 1
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    if sys.platform == "linux" and (
        soft == resource.RLIM_INFINITY or soft > there
    ):  # macOS knows no such limit
        resource.setrlimit(resource.RLIMIT_AS, (there, hard))
