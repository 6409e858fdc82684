"""A world model that is a program of any environment: `--model "program:python their.py {request} {answer}"`."""

from pathlib import Path

from recon.compute.files import hash_file
from recon.compute.programs import command_files, run_program, split_command
from worldgen.outside.ask import LOG, Outside
from worldgen.outside.options import OutsideOptions

FLAG = "--model"


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
        self.words = split_command(command, FLAG)

    @property
    def identity(self) -> tuple[str, ...]:
        """The command, the files that it names, and the stated key."""
        files = [hash_file(file) for file in command_files(self.words)]
        return (self.command, *files, self.options.key)

    def _answer(self, request: Path, answer: Path) -> None:
        run_program(
            self.words,
            request,
            answer,
            log=answer.parent / LOG,
            kept=self.folder is not None,
            seconds=self.options.seconds,
            longer="--model.seconds",
        )
