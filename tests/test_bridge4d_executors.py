"""Tasks crash, hang, leak and raise; everyone else's results stay the same, and no process stays behind."""

import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType

import psutil
import pytest

from bridge4d.workers import ExecutorError, Outcome, run_tasks
from recon.compute.process import describe_ending
from recon.errors import CaptureError, MissingDependencyError

HERE = Path(__file__).resolve().parent
HANG_S = 600
LEAK: list[bytes] = []


def square(x: int) -> int:
    return x * x


def mixed(what: str) -> str:
    """One of everything that a task may do."""
    if what == "abort":
        os.abort()
    if what == "exit":
        os._exit(3)
    if what == "raise":
        raise ValueError("of no\nuse")
    if what == "bad input":
        raise CaptureError("expected a clip, got none; name one")
    if what == "system exit":
        sys.exit(4)
    if what == "unpicklable":
        return lambda: what  # type: ignore[return-value]
    return what.upper()


def abort_once(marker: Path) -> str:
    if marker.exists():
        return "second time"
    marker.touch()
    os.abort()


def hang(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def leak(megabytes: int) -> int:
    LEAK.append(b"x" * (megabytes * 1_000_000))
    return os.getpid()


def threads(_: int) -> tuple[str, str, str]:
    import torch

    return os.environ["OMP_NUM_THREADS"], os.environ["NUMBA_NUM_THREADS"], str(torch.get_num_threads())


def report_pid_and_hang(how: str, folder: Path) -> None:
    """'sleep' lets go of the interpreter's lock, 'regex' never does; both have a child of their own."""
    child = subprocess.Popen(["sleep", str(HANG_S)])
    (folder / f"{os.getpid()}-{child.pid}").touch()
    if how == "regex":
        re.match(r"(a+)+$", "a" * 60 + "b")
    time.sleep(HANG_S)


def report_pid_unless_quick(how: str, folder: Path) -> None:
    if how != "quick":
        report_pid_and_hang(how, folder)


def by_key(outcomes: object) -> dict[str, Outcome]:
    return {o.key: o for o in outcomes}  # type: ignore[attr-defined]


def pids_written(folder: Path, workers: int) -> list[int]:
    end = time.monotonic() + 30
    while len(list(folder.iterdir())) < workers and time.monotonic() < end:
        time.sleep(0.05)
    pids = [int(pid) for file in folder.iterdir() for pid in file.name.split("-")]
    assert len(pids) == 2 * workers
    assert all(psutil.pid_exists(pid) for pid in pids)
    return pids


def alive(pid: int) -> bool:
    """Not gone, and not a zombie that nobody collects (a container's init may not)."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def all_end(pids: list[int]) -> bool:
    end = time.monotonic() + 10
    while any(alive(pid) for pid in pids) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(alive(pid) for pid in pids)


EVERYTHING = [
    (what, what)
    for what in ("a", "abort", "b", "exit", "raise", "c", "bad input", "system exit", "unpicklable", "d")
]


def check_everything(outcomes: dict[str, Outcome]) -> None:
    assert len(outcomes) == len(EVERYTHING)
    for what in "abcd":
        assert outcomes[what] == Outcome(what, what.upper(), None)
    assert outcomes["abort"] == Outcome("abort", None, "its process ended (signal 6, SIGABRT)", lost=True)
    assert outcomes["exit"] == Outcome("exit", None, "its process ended (exit code 3)", lost=True)
    assert outcomes["raise"] == Outcome("raise", None, "ValueError: of no use")
    assert outcomes["bad input"] == Outcome("bad input", None, "expected a clip, got none; name one")
    assert outcomes["system exit"] == Outcome("system exit", None, "SystemExit: 4")
    assert outcomes["unpicklable"].value is None
    assert not outcomes["unpicklable"].lost
    assert "pickle" in (outcomes["unpicklable"].failed or "")


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[None]:
    """One that the caller has started, so it is the caller's to shut down."""
    ray = pytest.importorskip("ray")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=128 * 2**20,
    )
    yield
    assert ray.is_initialized()
    ray.shutdown()


def workers_alive() -> list[psutil.Process]:
    """Workers anywhere on this machine that belong to this test's process."""
    children = psutil.Process().children(recursive=True)
    return [p for p in children if alive(p.pid) and any("bridge4d.workers" in word for word in p.cmdline())]


@pytest.mark.parametrize("workers", [1, 2])
def test_whatever_a_task_does_is_an_outcome_of_its_own(workers: int) -> None:
    check_everything(by_key(run_tasks(mixed, EVERYTHING, workers=workers)))


def test_more_items_than_workers_and_fewer() -> None:
    many = by_key(run_tasks(square, [(str(i), i) for i in range(100)], workers=2))
    assert {k: o.value for k, o in many.items()} == {str(i): i * i for i in range(100)}
    assert by_key(run_tasks(square, [("3", 3)], workers=4)) == {"3": Outcome("3", 9, None)}
    assert list(run_tasks(square, [])) == []


def test_an_item_whose_process_died_gets_a_second_attempt_and_no_third(tmp_path: Path) -> None:
    items = [("x", tmp_path / "first")]
    assert list(run_tasks(abort_once, items, workers=1)) == [Outcome("x", "second time", None)]
    items = [("x", tmp_path / "second")]
    (outcome,) = run_tasks(abort_once, items, workers=1, attempts=1)
    assert outcome.failed == "its process ended (signal 6, SIGABRT)"


def test_one_that_hangs_is_ended_and_the_others_are_not() -> None:
    items = [("long", float(HANG_S)), ("short", 0.01), ("other", 0.02)]
    outcomes = by_key(run_tasks(hang, items, workers=1, seconds_limit=1.0))
    assert outcomes["long"] == Outcome("long", None, "took longer than 1 s", lost=True)
    assert (outcomes["short"].value, outcomes["other"].value) == (0.01, 0.02)


def test_a_result_that_waits_for_a_slow_consumer_is_not_overdue() -> None:
    results = run_tasks(hang, [("a", 0.0), ("b", 0.3)], workers=2, seconds_limit=0.6)
    first = next(results)
    time.sleep(1.0)
    assert {first.failed, *(o.failed for o in results)} == {None}


def test_a_worker_is_replaced_when_it_has_grown_or_has_done_enough() -> None:
    def pids(megabytes: int, count: int, **options: float | int) -> list[int]:
        items = [(str(i), megabytes) for i in range(count)]
        return [o.value or 0 for o in run_tasks(leak, items, workers=1, **options)]  # type: ignore[arg-type]

    assert len(set(pids(0, 4))) == 1
    grown = pids(150, 4, recycle_mb=250.0)
    assert grown[0] == grown[1] != grown[2] == grown[3]
    counted = pids(0, 5, recycle_after=2)
    assert counted[0] == counted[1] != counted[2] == counted[3] != counted[4]


def test_the_cores_are_shared_among_the_workers() -> None:
    from bridge4d.workers.pool import count_cores

    for workers in (1, 2 * count_cores()):
        expected = str(max(1, count_cores() // workers))
        (outcome,) = run_tasks(threads, [("x", 0)], workers=workers)
        assert outcome.value == (expected, expected, expected)


@pytest.mark.parametrize("how", ["sleep", "regex"])
def test_closing_early_leaves_no_process(tmp_path: Path, how: str) -> None:
    task = partial(report_pid_unless_quick, folder=tmp_path)
    results = run_tasks(task, [("first", "quick"), ("next", how)], workers=1)
    assert next(results).key == "first"
    pids = pids_written(tmp_path, 1)  # under way while the caller has the first in hand
    results.close()
    assert all_end(pids)
    assert not workers_alive()


def test_whoever_takes_too_long_ends_with_what_it_started(tmp_path: Path) -> None:
    task = partial(report_pid_and_hang, folder=tmp_path)
    outcomes = run_tasks(task, [("1", "sleep"), ("2", "regex")], workers=2, seconds_limit=4.0)
    assert {o.failed for o in outcomes} == {"took longer than 4 s"}
    pids = [int(pid) for file in tmp_path.iterdir() for pid in file.name.split("-")]
    assert len(pids) == 4
    assert all_end(pids)


def run_script(folder: Path, code: str, *arguments: str) -> subprocess.Popen[str]:
    """A script without `if __name__ == "__main__"`."""
    script = folder / "unguarded.py"
    script.write_text(textwrap.dedent(code))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent), str(HERE)])}
    return subprocess.Popen(
        [sys.executable, str(script), *arguments], env=environment, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_their_parent_however_it_ends(tmp_path: Path, number: signal.Signals) -> None:
    code = """
        import sys
        from functools import partial
        from pathlib import Path
        from bridge4d.workers import run_tasks
        from test_bridge4d_executors import report_pid_and_hang
        task = partial(report_pid_and_hang, folder=Path(sys.argv[1]))
        list(run_tasks(task, [("1", "sleep"), ("2", "regex")], workers=2))
    """
    pids_folder = tmp_path / "pids"
    pids_folder.mkdir()
    parent = run_script(tmp_path, code, str(pids_folder))
    pids = pids_written(pids_folder, 2)
    parent.send_signal(number)
    parent.wait(10)
    assert all_end(pids)


def test_an_unguarded_script_is_not_run_again_by_its_workers(tmp_path: Path) -> None:
    code = """
        from bridge4d.workers import run_tasks
        from test_bridge4d_executors import square
        print(sorted(o.value for o in run_tasks(square, [(str(i), i) for i in range(5)], workers=2)))
    """
    assert run_script(tmp_path, code).communicate(timeout=60)[0] == "[0, 1, 4, 9, 16]\n"


def test_a_task_of_the_script_itself_is_refused_in_a_sentence(tmp_path: Path) -> None:
    code = """
        from bridge4d.workers import ExecutorError, run_tasks
        def mine(x): return x
        try:
            list(run_tasks(mine, [("1", 1)], workers=1))
        except ExecutorError as error:
            print(error)
    """
    said = run_script(tmp_path, code).communicate(timeout=60)[0]
    assert "move it from the script or notebook into a module" in said


def test_bad_options_and_tasks_are_refused_before_anything_starts() -> None:
    with pytest.raises(ExecutorError, match="attempts=0"):
        run_tasks(square, [], attempts=0)
    with pytest.raises(ExecutorError, match="can be pickled"):
        run_tasks(lambda x: x, [("1", 1)])


def test_an_item_that_cannot_be_sent_costs_only_itself() -> None:
    outcomes = by_key(run_tasks(type, [("good", 1), ("bad", lambda: 1), ("better", "x")], workers=1))
    assert (outcomes["good"].value, outcomes["better"].value) == (int, str)
    assert (outcomes["bad"].failed or "").startswith("cannot be sent to a worker: ")


def test_workers_that_never_get_ready_are_an_error_not_an_endless_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bridge4d.workers.pool.WORKER_PROGRAM", "import os; os._exit(7)")
    with pytest.raises(ExecutorError, match=r"before they are ready .*exit code 7"):
        list(run_tasks(square, [("1", 1)], workers=1))


def test_endings_are_named() -> None:
    assert describe_ending(-9) == "its process ended (signal 9, SIGKILL; perhaps memory ran out)"
    assert describe_ending(-200) == "its process ended (signal 200, unknown)"


@pytest.mark.usefixtures("ray_cluster")
def test_ray_gives_the_outcomes_that_processes_give(tmp_path: Path) -> None:
    outcomes = by_key(run_tasks(mixed, EVERYTHING, executor="ray"))
    check_everything(outcomes)
    assert {k: (o.value, o.failed) for k, o in outcomes.items() if k != "unpicklable"} == {
        k: (o.value, o.failed)
        for k, o in by_key(run_tasks(mixed, EVERYTHING, workers=2)).items()
        if k != "unpicklable"
    }
    items = [("x", tmp_path / "first")]
    assert list(run_tasks(abort_once, items, executor="ray")) == [Outcome("x", "second time", None)]
    items = [("long", float(HANG_S)), ("short", 0.01)]
    limited = by_key(run_tasks(hang, items, executor="ray", seconds_limit=1.0))
    assert (limited["long"].failed, limited["short"].value) == ("took longer than 1 s", 0.01)


@pytest.mark.usefixtures("ray_cluster")
def test_closing_early_frees_the_cluster_and_leaves_it_running(tmp_path: Path) -> None:
    task = partial(report_pid_unless_quick, folder=tmp_path)
    results = run_tasks(task, [("first", "quick"), ("next", "regex")], executor="ray")
    assert next(results).key == "first"
    pids = pids_written(tmp_path, 1)
    results.close()
    assert all_end(pids)


@pytest.mark.usefixtures("ray_cluster")
def test_only_so_many_items_are_with_ray_at_a_time() -> None:
    asked: list[int] = []

    class Items(list[tuple[str, int]]):
        def __iter__(self) -> Iterator[tuple[str, int]]:
            for i in range(len(self)):
                asked.append(i)
                yield self[i]

    results = run_tasks(square, Items((str(i), i) for i in range(40)), executor="ray", workers=3)
    next(results)
    assert len(asked) == 3
    assert sorted(o.value or 0 for o in results) == [i * i for i in range(40)][1:]


@pytest.mark.parametrize("name", ["OutOfMemoryError", "WorkerCrashedError", "NodeDiedError"])
def test_an_item_whose_place_on_the_cluster_died_is_lost(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Like one whose process died here: it is not the item that is known to be wrong."""
    ray = pytest.importorskip("ray")
    from bridge4d.workers.ray_executor import _collect

    def get(reference: object) -> None:
        raise getattr(ray.exceptions, name)("the node is gone")

    monkeypatch.setattr(ray, "get", get)
    expected = f"its process on the cluster ended ({name})"
    assert _collect(object(), "x") == Outcome("x", None, expected, lost=True)


@pytest.mark.parametrize("executor", ["pool", "ray"])
def test_a_task_whose_module_workers_cannot_find_is_refused(
    executor: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    if executor == "ray":
        request.getfixturevalue("ray_cluster")
    module = ModuleType("only_in_memory")
    exec("def task(x): return x", module.__dict__)
    monkeypatch.setitem(sys.modules, "only_in_memory", module)
    with pytest.raises(ExecutorError, match="by its module's name"):
        list(run_tasks(module.task, [("1", 1)], executor=executor))  # type: ignore[arg-type]


def test_without_ray_the_install_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r"pip install \"bridge4d\[cluster\]\""):
        run_tasks(square, [("1", 1)], executor="ray")


def test_a_cluster_that_does_not_answer_is_said_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # nobody listens
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{closed.getsockname()[1]}")
        with pytest.raises(ExecutorError, match=r"RAY_ADDRESS=127.0.0.1.*ConnectionRefusedError"):
            list(run_tasks(square, [("1", 1)], executor="ray"))


def test_a_local_cluster_is_started_and_shut_down_and_sigterm_stays_the_callers(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    code = """
        import os, signal, psutil
        from bridge4d.workers import run_tasks
        from test_bridge4d_executors import square
        mine = lambda number, frame: None
        signal.signal(signal.SIGTERM, mine)
        results = run_tasks(square, [(str(i), i) for i in range(5)], executor="ray", workers=2)
        first = next(results).value
        assert signal.getsignal(signal.SIGTERM) is mine
        print(sorted([first, *(o.value for o in results)]))
        psutil.wait_procs(psutil.Process().children(recursive=True), 10)
        print(psutil.Process().children(recursive=True))
    """
    assert run_script(tmp_path, code).communicate(timeout=60)[0] == "[0, 1, 4, 9, 16]\n[]\n"
