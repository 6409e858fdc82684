"""Training loops that take turns on one machine, each in a process of its own.

In turns, because the load of a machine changes over a run; apart, so that CPU time, memory and threads of one are
not those of another.
"""

import math
import multiprocessing
import os
import statistics
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from recon.errors import BridgeError

Step = Callable[[int], float]
"""Does the iteration of a number and gives its loss."""

PAUSE_S = 0.005
"""Before each turn: threads that still wait actively for the one before go to sleep."""
START_LIMIT_S = 300.0
WARM_S = 0.1
"""A turn goes on for so long before the iteration that counts, unless one takes longer than that: in a training, caches
hold what the iteration before left there, and both threads have a core each."""


@dataclass(frozen=True)
class Turn:
    """One iteration."""

    number: int
    cpu_ms: float
    """Of all threads of the process."""
    wall_ms: float
    loss: float


@dataclass(frozen=True)
class Summary:
    """Of many iterations, in ms: their median, and the mean of the fastest quarter."""

    cpu: float
    wall: float
    best_cpu: float
    best_wall: float

    @staticmethod
    def of(turns: Sequence[Turn]) -> "Summary":
        cpu, wall = [t.cpu_ms for t in turns], [t.wall_ms for t in turns]
        return Summary(statistics.median(cpu), statistics.median(wall), best_quarter(cpu), best_quarter(wall))


def best_quarter(values: Sequence[float]) -> float:
    """Mean of the lowest quarter, of one value at least."""
    return statistics.fmean(sorted(values)[: max(1, len(values) // 4)])


def waiting_threads_sleep() -> None:
    """OpenMP threads of processes started from here on sleep while they wait.

    By default they spin, which counts as CPU time, several times the work's own where others share the cores.
    """
    os.environ["OMP_WAIT_POLICY"] = "passive"


class Contestant:
    """A training loop in a process of its own, which `build(*arguments)` makes there."""

    def __init__(self, name: str, build: Callable[..., Step], *arguments: Any) -> None:
        self.name = name
        context = multiprocessing.get_context("spawn")
        self._answers, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, build, arguments), name=name, daemon=True
        )
        self._process.start()
        theirs.close()

    def ready(self) -> None:
        """Waits until it is built.

        Raises:
            BridgeError: it ended, or took too long.
        """
        if self._receive(START_LIMIT_S) is None:
            raise BridgeError(f"{self.name} was not ready after {START_LIMIT_S:.0f} s; try a smaller size")

    def turn(self, number: int, *, limit_s: float) -> Turn | None:
        """Iteration `number`; None where it takes longer than `limit_s`, and then it is over for this one.

        Raises:
            BridgeError: it ended.
        """
        time.sleep(PAUSE_S)
        self._answers.send(number)
        return self._receive(limit_s)

    def close(self) -> None:
        self._process.terminate()
        self._process.join()

    def __enter__(self) -> "Contestant":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _receive(self, limit_s: float) -> Any:
        try:
            answer = self._answers.recv() if self._answers.poll(limit_s) else None
        except (EOFError, ConnectionResetError):
            answer = "its process ended without a word"
        if isinstance(answer, str):
            raise BridgeError(f"{self.name} failed: {answer}")
        return answer


def take_turns(
    contestants: Sequence[Contestant], *, warm_up: int, iterations: int, limit_s: float
) -> dict[str, list[Turn]]:
    """Iterations of all, A B A B …, by name; none for those of which one takes longer than `limit_s`."""
    for contestant in contestants:
        contestant.ready()
    turns: dict[str, list[Turn]] = {contestant.name: [] for contestant in contestants}
    running = list(contestants)
    for number in range(warm_up + iterations):
        for contestant in list(running):
            turn = contestant.turn(number, limit_s=limit_s)
            if turn is None:
                running.remove(contestant)
                turns[contestant.name].clear()
            elif number >= warm_up:
                turns[contestant.name].append(turn)
    return turns


def _serve(connection: Connection, build: Callable[..., Step], arguments: tuple[Any, ...]) -> None:
    try:
        step = build(*arguments)
        connection.send(True)
        wall = math.inf
        while True:
            number = connection.recv()
            awake = time.perf_counter() + (WARM_S if wall < WARM_S else 0)
            while time.perf_counter() < awake:
                step(number)
            cpu, wall = time.process_time(), time.perf_counter()
            loss = step(number)
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            connection.send(Turn(number, cpu * 1e3, wall * 1e3, loss))
    except Exception as error:
        traceback.print_exc()
        connection.send(f"{type(error).__name__}: {error}")
