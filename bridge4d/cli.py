"""The command line: parses, and turns every trouble into one sentence."""

import contextlib
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import Field, fields, replace
from pathlib import Path
from typing import Annotated, Any, get_args

import tyro

from bridge4d import __version__, console
from bridge4d.command_line.arguments import HELP, check_arguments
from bridge4d.command_line.exit_status import BAD_INPUT, FAULT, INTERRUPTED
from bridge4d.command_line.model_arguments import split_model_arguments
from bridge4d.command_line.quality_arguments import expand_quality
from bridge4d.commands.augment import Augment
from bridge4d.commands.doctor import Doctor
from bridge4d.commands.export import Export
from bridge4d.commands.generate import Generate
from bridge4d.commands.import_scene import Import
from bridge4d.commands.measure import Measure
from bridge4d.commands.mesh import Mesh
from bridge4d.commands.models import Models
from bridge4d.commands.reconstruct import Reconstruct
from bridge4d.commands.render import Render
from bridge4d.commands.sample import Sample
from bridge4d.commands.view import View
from bridge4d.stages.options import DEFAULT_MODEL, ModelChoice
from bridge4d.trouble import fault_sentence, is_out_of_memory, keep_trace, memory_sentence
from recon.compute.progress import use_reporter
from recon.errors import BridgeError, did_you_mean, explain_os_error

STOPPED = "stopped; start the same command again to continue where it stopped"
ENDED = "stopped; files that were finished are whole, the one in work was not written"
PATIENCE_S = 2.0
"""Seconds after Ctrl-C in which the work may clean up; then the process ends all the same."""


Command = (
    Annotated[Augment, tyro.conf.subcommand("augment")]
    | Annotated[Reconstruct, tyro.conf.subcommand("reconstruct")]
    | Annotated[Generate, tyro.conf.subcommand("generate")]
    | Annotated[Measure, tyro.conf.subcommand("measure")]
    | Annotated[Export, tyro.conf.subcommand("export")]
    | Annotated[Import, tyro.conf.subcommand("import")]
    | Annotated[Mesh, tyro.conf.subcommand("mesh")]
    | Annotated[Render, tyro.conf.subcommand("render")]
    | Annotated[View, tyro.conf.subcommand("view")]
    | Annotated[Sample, tyro.conf.subcommand("sample")]
    | Annotated[Models, tyro.conf.subcommand("models")]
    | Annotated[Doctor, tyro.conf.subcommand("doctor")]
)

RUNS = (Augment, Reconstruct, Generate, Measure)
"""Commands with a run folder, which go on where they stopped."""
COMMANDS: dict[str, type] = {one.__metadata__[0].name: one.__origin__ for one in get_args(Command)}


def overview() -> str:
    """What `bridge4d --help` says: a line for each command."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {(made.__doc__ or '').splitlines()[0]}" for name, made in COMMANDS.items()]
    return "\n".join(
        [
            "usage: bridge4d COMMAND …",
            "",
            "Closes the loop between generating 3D scenes and reconstructing them.",
            "",
            *lines,
            "",
            "bridge4d COMMAND --help says how each is called, with examples; bridge4d --version, which version this is.",
        ]
    )


@contextlib.contextmanager
def stoppable(sentence: str = STOPPED) -> Iterator[None]:
    """SIGTERM ends like Ctrl-C, so that what is half-written is cleaned away; and both end soon.

    Where the work does not let go in time (a compiler or COLMAP in another thread), the process leaves without it;
    the next start of the same command clears what was half-written.
    """

    def leave() -> None:
        """End the process without waiting for other threads."""
        console.fail(sentence)
        os._exit(INTERRUPTED)

    def stop(signum: int, frame: object) -> None:
        """Raise KeyboardInterrupt, and leave for certain soon after."""
        watchdog = threading.Timer(PATIENCE_S, leave)
        watchdog.daemon = True
        watchdog.start()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main() -> None:
    """The entry point of `bridge4d`."""
    console.print_whatever_the_terminal_can()
    given = sys.argv[1:]
    if given == ["--version"]:
        console.result(__version__)
        return
    if given in ([], ["-h"], ["--help"]):
        console.result(overview())
        return
    if given[0] not in COMMANDS:
        hint = did_you_mean(f"bridge4d {given[0]}", [f"bridge4d {name}" for name in COMMANDS])
        console.fail(f"{given[0]} is no command of bridge4d, expected one of {' '.join(COMMANDS)}{hint}")
        sys.exit(BAD_INPUT)
    try:
        command = parse(given[0], given[1:])
    except Exception as error:
        sys.exit(explain(error, None))
    logging.basicConfig(level=os.environ.get("BRIDGE4D_LOG", "ERROR").upper(), format="%(name)s: %(message)s")
    sys.exit(run(command))


def parse(name: str, given: Sequence[str]) -> Command:
    """The command that a line asks for; exits after ``--help``.

    Raises:
        BridgeError: an unknown option, or a value that is no good.
    """
    kind = COMMANDS[name]
    asks = next((field for field in fields(kind) if _chooses_model(field)), None)
    model_options: dict[str, Any] = {}
    if set(given) & set(HELP):
        given = [next(word for word in given if word in HELP)]
    elif asks is not None:
        given, model_options = split_model_arguments(given, DEFAULT_MODEL)
    if any(field.name == "quality" for field in fields(kind)):
        given = expand_quality(given)
    check_arguments(f"bridge4d {name}", kind, given)
    command = tyro.cli(Command, prog="bridge4d", args=[name, *given])  # type: ignore[arg-type]
    if asks is None or not model_options:
        return command
    options = replace(getattr(command, asks.name), model_options=model_options)
    return replace(command, **{asks.name: options})


def _chooses_model(field: Field) -> bool:
    return isinstance(field.default_factory, type) and issubclass(field.default_factory, ModelChoice)


def run(command: Command) -> int:
    """Runs a parsed command; every trouble, expected or not, ends in one sentence and an exit status."""
    goes_on = isinstance(command, RUNS)
    try:
        with stoppable(STOPPED if goes_on else ENDED), use_reporter(console.TerminalReporter()):
            return command.run()
    except Exception as error:
        if not comes_from_interrupt(error):
            return explain(error, command)
    except KeyboardInterrupt:
        pass
    console.fail(STOPPED if goes_on else ENDED)
    console.err.file.flush()
    os._exit(INTERRUPTED)  # not waiting for threads that still work


def comes_from_interrupt(error: Exception) -> bool:
    """Whether an error is what Python before 3.12 makes of an interrupt in a `__set_name__`, while a library is imported."""
    return isinstance(error, RuntimeError) and isinstance(error.__cause__, KeyboardInterrupt)


def explain(error: Exception, command: Command | None) -> int:
    """Says in one sentence why a command failed; returns its exit status.

    The trace of what nobody expected goes to a file, and with BRIDGE4D_TRACE=1 any trace to the terminal.
    """
    if isinstance(error, BrokenPipeError):  # `bridge4d models | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if os.environ.get("BRIDGE4D_TRACE", "0") not in ("", "0"):
        traceback.print_exception(error)
    out = getattr(command, "out", None)
    if isinstance(error, BridgeError):
        console.fail(str(error))
        return BAD_INPUT
    if is_out_of_memory(error):
        console.fail(memory_sentence(command))
        return BAD_INPUT
    if isinstance(error, OSError) and error.errno is not None:
        console.fail(str(explain_os_error(error, out or Path.cwd())))
        return BAD_INPUT
    try:
        trace = keep_trace(error, out if isinstance(command, RUNS) else None)
        console.fail(fault_sentence(error, trace))
    except OSError:  # nowhere to write to
        traceback.print_exception(error)
        console.fail(f"{type(error).__name__}; this should not happen, please report it with the lines above")
    return FAULT
