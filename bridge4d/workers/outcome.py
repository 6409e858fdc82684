"""What became of one item, and in which words its failure is told."""

from dataclasses import dataclass
from typing import Any

from recon.errors import BridgeError


class ExecutorError(BridgeError):
    """Workers cannot work at all: the task does not load in them, or they do not start."""


@dataclass(frozen=True)
class Outcome:
    key: str
    value: Any | None
    """What the task gave back; None where it failed."""
    failed: str | None
    """Why there is no value, in one sentence; None where all went well."""
    lost: bool = False
    """Its process died or was stopped: nothing is known of the item, not even whether anything is wrong with it."""


def exception_sentence(error: BaseException) -> str:
    """Class and message in one line. What the project says to a person comes through as it is."""
    message = " ".join(str(error).split())
    if isinstance(error, BridgeError):
        return message
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def limit_sentence(seconds: float) -> str:
    return f"took longer than {seconds:g} s"
