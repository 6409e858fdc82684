"""Programs of other environments, which read a folder and write another: run without a shell, for a limited time, with a log."""

import shlex
import shutil
import subprocess
from pathlib import Path

from recon.bounded import read_json
from recon.compute.process import describe_ending, kill_group
from recon.errors import BridgeError

MOST_TAIL = 2000
"""Bytes at the end of a log that are looked at for its last words."""
MOST_SAID = 400
"""Characters of them in an error."""
LARGEST_ERROR, LONGEST_MESSAGE = 1 << 20, 500
"""Bytes of an error.json at most, and characters of a stranger's message that are passed on."""
PREFIX = "program:"


def split_command(command: str, flag: str) -> list[str]:
    """The words of a command in which {request} and {answer} stand for the two folders.

    Args:
        command: with or without `PREFIX`.
        flag: of the command line, for the errors.

    Raises:
        BridgeError: an open quote, one of {request} and {answer} is missing, or there is no such program.
    """
    command = command.removeprefix(PREFIX)
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise BridgeError(f"expected a command behind {PREFIX}, got {command!r} ({error})") from error
    if not words or "{request}" not in command or "{answer}" not in command:
        raise BridgeError(
            f"expected a command with {{request}} and {{answer}} behind {PREFIX}, as in "
            f'{flag} "{PREFIX}python answer.py {{request}} {{answer}}", got {command!r}'
        )
    if shutil.which(words[0]) is None:
        raise BridgeError(f"expected a program at {words[0]!r}, there is none that can be run")
    return words


def command_files(words: list[str]) -> list[Path]:
    """The files that a command names, but for the program itself: scripts, weights."""
    named = [
        part for word in words[1:] for part in (word, word.partition("=")[2]) if part and "{" not in part
    ]
    files = [Path(part) for part in named]
    return [file for file in files if file.is_file()]


def run_program(
    words: list[str],
    request: Path,
    answer: Path,
    *,
    log: Path,
    kept: bool = True,
    seconds: float,
    longer: str,
) -> None:
    """Run a command on two folders, in a process group of its own that ends with it.

    Args:
        words: of `split_command`.
        log: file for all that it says; `kept` where it stays, so that errors say where it is.
        seconds: after which it is ended.
        longer: how to allow more of them, for the error.

    Raises:
        BridgeError: it failed or took too long, with the last words of its log.
    """
    fields = {"{request}": str(request.absolute()), "{answer}": str(answer.absolute())}
    for field, path in fields.items():
        words = [word.replace(field, path) for word in words]
    with log.open("wb") as file:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise BridgeError(
                f"{words[0]} took longer than {seconds:g} seconds and was ended; allow more with {longer}"
                f"{last_words(log, kept=kept)}"
            ) from None
        finally:  # Ctrl-C too: it may have started others
            kill_group(process)
            process.wait()
    if code and not (answer / "error.json").exists():
        raise BridgeError(f"{words[0]} failed: {describe_ending(code)}{last_words(log, kept=kept)}")


def last_words(log: Path, *, kept: bool = True) -> str:
    """The end of a log as the end of a sentence, with where all of it is kept; '' where there is none."""
    if not log.is_file():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - MOST_TAIL))
        words = " ".join(file.read().decode("utf-8", "replace").split())[-MOST_SAID:]
    where = f" ({log})" if kept else ""
    return f"; its log{where} ends: {words}" if words else f"; its log{where} is empty"


def told_error(answer: Path) -> str:
    """What an error.json in an answer says; '' where there is none."""
    file = answer / "error.json"
    if not file.exists():
        return ""
    said = read_json(file, most=LARGEST_ERROR)
    message = said.get("message") if isinstance(said, dict) else said
    return " ".join(str(message).split())[:LONGEST_MESSAGE] or "it gives no reason"
