"""Exceptions for bad input, with one root, and the statuses of expected failures."""

import difflib
import errno
from collections.abc import Iterable
from enum import Enum
from pathlib import Path


class BridgeError(Exception):
    """Bad input. The message is one sentence: what was expected, what came, what to do.

    An *expected* failure (no initial pair, a frame that cannot be registered) is a value such as
    `RecoveryStatus`, not an exception.
    """


class CaptureError(BridgeError):
    """A folder, image, video or camera file that cannot be read."""


class CameraError(BridgeError):
    """Invalid cameras: NaN, left-handed, not rigid, or without a positive focal length."""


class SceneFileError(BridgeError):
    """A splat, mesh or page file that cannot be read, or cannot be written as requested."""


class ReconstructionError(BridgeError):
    """Photos from which nothing can be reconstructed as requested."""


class MissingDependencyError(BridgeError):
    """A missing optional package; the message names the install command."""


class RunFolderError(BridgeError):
    """An unusable output folder: read-only, full, or holding another run."""


def explain_os_error(error: OSError, folder: Path) -> RunFolderError:
    """Turn an error of the file system into one sentence."""
    where = error.filename or folder
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return RunFolderError(
            f"no space left on the disk of {folder}; free some and start the same command again, "
            "finished stages are kept"
        )
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return RunFolderError(f"{where} cannot be written ({error.strerror}); choose another output folder")
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return RunFolderError(
            f"{where} is a file or lies below one, expected a folder; choose another output"
        )
    return RunFolderError(f"{where}: {error.strerror or error}")


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """End of a sentence with the most similar known name; '' where none is similar."""
    close = difflib.get_close_matches(given, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


class RecoveryStatus(Enum):
    """Outcome of structure from motion; the value is shown in reports."""

    OK = "ok"
    PARTIAL = "some images not registered"
    TOO_FEW_IMAGES = "fewer than two usable images"
    TOO_FEW_FEATURES = "too few features"
    NO_MATCHES = "images do not overlap"
    NO_INITIAL_PAIR = "no initial pair"
    NO_MODEL = "no credible model"
    INCONSISTENT = "cameras that the pixels contradict"
    FAILED = "mapper failed"
