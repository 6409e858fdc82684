"""The one root of everything that is said to a person about bad input."""

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
    """A folder, image, video or camera file cannot be read as what it claims to be."""


class CameraError(BridgeError):
    """Cameras that are not cameras: NaN, left-handed, not rigid, focal length not positive."""


class SceneFileError(BridgeError):
    """A splat, mesh or page file cannot be read as what it claims to be, or written as what was asked for."""


class ReconstructionError(BridgeError):
    """Nothing can be reconstructed from these photos."""


class MissingDependencyError(BridgeError):
    """An optional package is not installed; the message names the install command."""


class RunFolderError(BridgeError):
    """The output folder cannot be used: read-only, full, or holding another run."""


def explain_os_error(error: OSError, folder: Path) -> RunFolderError:
    """One sentence for what the file system refused."""
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
    """The end of a sentence that names the nearest of the known names; '' where none is near."""
    close = difflib.get_close_matches(given, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


class RecoveryStatus(Enum):
    """What structure from motion made of its images; the value is what a report shows."""

    OK = "ok"
    PARTIAL = "some images not registered"
    TOO_FEW_IMAGES = "fewer than two usable images"
    TOO_FEW_FEATURES = "too few features"
    NO_MATCHES = "images do not overlap"
    NO_INITIAL_PAIR = "no initial pair"
    NO_MODEL = "no credible model"
    FAILED = "mapper failed"
