"""Ask a model that runs elsewhere, once for each request: a finished answer of the same request is read again."""

import contextlib
import os
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import torch

from recon.compute.programs import last_words, told_error
from recon.errors import BridgeError
from worldgen.model import ModelSpec, Request, Views
from worldgen.outside.options import OutsideOptions
from worldgen.outside.read_answer import is_answered, read_answer
from worldgen.outside.write_request import hash_request, write_request

FAILED = ".failed"
"""Empty file beside an answer that is not to be read again."""
LOG = "log.txt"
"""Beside request and answer: what a program said."""


class Outside(ABC):
    """A model behind the request folder; `_answer` brings the answer."""

    def __init__(self, options: OutsideOptions, *, folder: Path | None) -> None:
        self.options, self.folder = options.with_spec_file(), folder

    @property
    def spec(self) -> ModelSpec:
        """What is stated of the model."""
        return self.options.model_spec()

    @property
    @abstractmethod
    def identity(self) -> tuple[str, ...]:
        """What decides the answer besides the request."""

    @abstractmethod
    def _answer(self, request: Path, answer: Path) -> None:
        """Fill the empty folder `answer`."""

    def generate(self, request: Request, *, generator: torch.Generator) -> Views:
        """The answer, read from where it was kept if the same was asked before.

        Raises:
            BridgeError: the model failed, said so, took too long or answered otherwise than agreed.
        """
        seed = int(torch.randint(2**31, (), generator=generator))
        with self._place() as root:
            fresh = root / f".{os.getpid()}.part"
            for leftover in root.glob(".*.part"):  # of a killed process; a run has one at a time
                shutil.rmtree(leftover, ignore_errors=True)
            write_request(fresh, request, seed=seed, options=self.options)
            place = root / hash_request(fresh, *self.identity)
            asked, answer = place / "request", place / "answer"
            if is_answered(answer) and asked.is_dir() and not (place / FAILED).exists():
                shutil.rmtree(fresh)
                with contextlib.suppress(BridgeError):  # damaged since; asked anew
                    return read_answer(answer, request, self.spec.name)
            shutil.rmtree(answer, ignore_errors=True)
            answer.mkdir(parents=True)
            if fresh.exists():
                shutil.rmtree(asked, ignore_errors=True)
                fresh.rename(asked)
            (place / FAILED).touch()  # until the answer is known to be whole
            self._answer(asked, answer)
            if said := told_error(answer):
                raise BridgeError(f"the world model {self.spec.name} says: {said}{self._last_words(place)}")
            if not is_answered(answer):
                raise BridgeError(
                    f"expected an answer.json in {answer}, and {self.spec.name} ended without writing it{self._last_words(place)}"
                )
            views = read_answer(answer, request, self.spec.name)
            (place / FAILED).unlink(missing_ok=True)
            return views

    @contextlib.contextmanager
    def _place(self) -> Iterator[Path]:
        """The folder of requests and answers: the given one, which is kept, or a temporary one."""
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            yield self.folder
        else:
            with tempfile.TemporaryDirectory(prefix="bridge4d-") as temporary:
                yield Path(temporary)

    def _last_words(self, place: Path) -> str:
        """The end of its log as the end of a sentence, with where all of it is."""
        return last_words(place / LOG, kept=self.folder is not None)
