"""Open3D is imported where libusb is missing, and says what is missing where it cannot be."""

import subprocess
import sys

import pytest

BLOCKED = """
import sys

class Blocked:
    left = {times}

    def find_spec(self, name, path=None, target=None):
        if name == "open3d" and Blocked.left:
            Blocked.left -= 1
            raise {error}

sys.meta_path.insert(0, Blocked())
from recon.compute.open3d_library import load_open3d
from recon.errors import MissingDependencyError
try:
    print(load_open3d().__name__)
except MissingDependencyError as error:
    print(error)
maps = open("/proc/self/maps").read()
print("libusb_package" in maps)
"""


def load(missing: str, times: int) -> list[str]:
    error = f'ImportError("{missing}: cannot open shared object file")'
    return run(BLOCKED.format(error=error, times=times))


def run(code: str) -> list[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.splitlines()


@pytest.mark.skipif(sys.platform != "linux", reason="only Open3D's wheels for Linux need libusb")
def test_a_machine_without_libusb_gets_the_one_of_a_package() -> None:
    assert load("libusb-1.0.so.0", times=1) == ["open3d", "True"]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_another_missing_library_is_named() -> None:
    said, preloaded = load("libGL.so.1", times=1)
    assert said.startswith("Open3D cannot be imported: libGL.so.1")
    assert "apt-get install" in said
    assert preloaded == "False"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_open3d_itself_may_be_missing() -> None:
    error = "ModuleNotFoundError(\"No module named 'open3d'\")"
    assert run(BLOCKED.format(error=error, times=1))[0].endswith("pip install open3d libusb-package")
