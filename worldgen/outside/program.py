"""A world model that is a program of any environment: `--model "program:python their.py {request} {answer}"`."""

import shlex
import shutil
import subprocess
from pathlib import Path

from recon.compute.files import hash_file
from recon.compute.process import describe_ending, kill_group
from recon.errors import BridgeError
from worldgen.outside.ask import Outside
from worldgen.outside.options import OutsideOptions


class Program(Outside):
    """Runs a command for each request, in a process group of its own, with its output in ``log.txt`` beside.

    Args:
        command: words as a shell splits them, in which {request} and {answer} stand for the folders. No shell runs it.
        folder: where requests, answers and logs are kept; None: nowhere.

    Raises:
        BridgeError: a command without both, or whose program is not found.
    """

    def __init__(self, command: str, options: OutsideOptions, *, folder: Path | None = None) -> None:
        super().__init__(options, folder=folder)
        self.command = command
        self.words = split_command(command)
        if shutil.which(self.words[0]) is None:
            raise BridgeError(f"expected a program at {self.words[0]!r}, there is none that can be run")

    @property
    def identity(self) -> tuple[str, ...]:
        """The command, the files that it names, and the stated key."""
        files = [hash_file(file) for file in command_files(self.command)]
        return (self.command, *files, self.options.key)

    def _answer(self, request: Path, answer: Path) -> None:
        fields = {"{request}": str(request.absolute()), "{answer}": str(answer.absolute())}
        words = self.words
        for field, path in fields.items():
            words = [word.replace(field, path) for word in words]
        with (answer.parent / "log.txt").open("wb") as log:
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
            try:
                code = process.wait(self.options.seconds)
            except subprocess.TimeoutExpired:
                kill_group(process)
                process.wait()
                raise BridgeError(
                    f"{words[0]} took longer than {self.options.seconds:g} seconds and was ended; allow more with "
                    f"--model.seconds{self._last_words(answer.parent)}"
                ) from None
            except BaseException:  # Ctrl-C: it may have started others
                kill_group(process)
                process.wait()
                raise
        if code and not (answer / "error.json").exists():
            kill_group(process)  # what it started and left
            raise BridgeError(f"{words[0]} failed: {describe_ending(code)}{self._last_words(answer.parent)}")


def split_command(command: str) -> list[str]:
    """The words of a command.

    Raises:
        BridgeError: an open quote, or one of {request} and {answer} is missing.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise BridgeError(f"expected a command behind program:, got {command!r} ({error})") from error
    if not words or "{request}" not in command or "{answer}" not in command:
        raise BridgeError(
            f"expected a command with {{request}} and {{answer}} behind program:, as in "
            f'--model "program:python answer.py {{request}} {{answer}}", got {command!r}'
        )
    return words


def command_files(command: str) -> list[Path]:
    """The files that a command names, but for the program itself: scripts, weights."""
    files = [Path(word) for word in split_command(command)[1:] if "{" not in word]
    return [file for file in files if file.is_file()]
