"""The outcome of one item, and the sentence for its failure."""

from dataclasses import dataclass
from typing import Any

from recon.errors import BridgeError


class ExecutorError(BridgeError):
    """Workers cannot work at all: the task does not load in them, or they do not start."""


@dataclass(frozen=True)
class Outcome:
    """What a worker answered for one item, or why it did not."""

    key: str
    """The key that came with the item."""
    value: Any | None
    """What the task returned; None where it failed."""
    failed: str | None
    """Why there is no value, in one sentence; None where all went well."""
    lost: bool = False
    """Its process died or was stopped, so that it is unknown whether anything is wrong with the item."""


def exception_sentence(error: BaseException) -> str:
    """Class and message in one line; messages of the project's own errors without the class."""
    message = " ".join(str(error).split())
    if isinstance(error, BridgeError):
        return message
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def limit_sentence(seconds: float) -> str:
    """Why an item failed that ran out of time."""
    return f"took longer than {seconds:g} s"
