"""Open3D, imported where it is used, also on machines that lack a system library of its cameras' drivers."""

import ctypes
import sys
from types import ModuleType

from recon.errors import MissingDependencyError


def load_open3d() -> ModuleType:
    """Import Open3D.

    Its wheels for Linux need libusb, for depth cameras that nobody here has; bare installations of Debian and containers are
    without it. A library of that name that was loaded before satisfies them.

    Raises:
        MissingDependencyError: it, or another of its system libraries, is missing.
    """
    try:
        import open3d
    except ImportError as missing:
        if "libusb" not in str(missing) or sys.platform != "linux":
            raise _missing(missing) from missing
        try:
            import libusb_package

            ctypes.CDLL(str(libusb_package.get_library_path()), mode=ctypes.RTLD_GLOBAL)
            import open3d
        except (ImportError, OSError) as still:
            raise _missing(still) from still
    return open3d


def _missing(error: Exception) -> MissingDependencyError:
    if isinstance(error, ModuleNotFoundError):
        return MissingDependencyError(f"Open3D is not installed ({error}): pip install open3d libusb-package")
    return MissingDependencyError(
        f"Open3D cannot be imported: {error}; on Debian and Ubuntu apt-get install libusb-1.0-0 libgl1 libegl1 libx11-6 "
        "brings the system libraries that it needs"
    )
