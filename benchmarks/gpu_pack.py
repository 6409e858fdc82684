"""Packages that a bare machine with a GPU lacks, as wheels in a folder; imports nothing that such a machine lacks."""

import os
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

PACKAGES = (
    "gsplat",  # its wheel holds the CUDA sources, and no binaries
    "jaxtyping", "wadler-lindig", "beartype", "tyro", "docstring-parser", "typeguard",
    "rich", "markdown-it-py", "mdurl", "pygments", "pycolmap", "kornia", "kornia-rs",
)  # fmt: skip
"""What the steps import beside torch, numpy, scipy, numba, opencv, pillow, psutil, jinja2, safetensors and pytest.
PyAV, whose FFmpeg is as large as all of these, is left out: only the report's video needs it."""
PLATFORMS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014", "manylinux1")
MOST_BYTES, LARGEST_BYTES = 50_000_000, 60_000_000
"""What such a machine is sent, in all and in one file: with this project's checkout 64 MiB."""
REPACKED_BYTES = 10_000_000
"""Larger wheels are packed anew by LZMA: pycolmap's 38 MB become 22 MB, in a minute; gsplat's sources gain nothing."""


def pack(folder: Path, python: str = "3.12") -> list[Path]:
    """Downloads the wheels, in the versions installed here, for Linux on x86-64; large ones are packed tighter.

    Raises:
        SystemExit: pip finds one of them not, or they are too large.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [f"{name}=={version(name)}" for name in PACKAGES]
    platforms = [part for name in PLATFORMS for part in ("--platform", f"{name}_x86_64")]
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
        "--only-binary=:all:", "--implementation", "cp", "--python-version", python, *platforms,
        "--dest", str(folder), *wanted,
    ]  # fmt: skip
    if subprocess.run(command, check=False).returncode:
        raise SystemExit("pip could not download all packages; see what it says above")
    wheels = sorted(folder.glob("*.whl"))
    for wheel in wheels:
        if wheel.stat().st_size > REPACKED_BYTES:
            repack(wheel)
    sizes = [wheel.stat().st_size for wheel in wheels]
    if sum(sizes) > MOST_BYTES or max(sizes) > LARGEST_BYTES:
        raise SystemExit(
            f"expected at most {MOST_BYTES / 1e6:g} MB of wheels, {LARGEST_BYTES / 1e6:g} MB each, got "
            f"{sum(sizes) / 1e6:.0f} MB, the largest {max(sizes) / 1e6:.0f} MB; empty {folder} of other versions"
        )
    return wheels


def repack(wheel: Path) -> None:
    """Packs a wheel tighter, which pip reads as well; the same content under the same name."""
    beside = wheel.with_suffix(".part")
    with zipfile.ZipFile(wheel) as loose, zipfile.ZipFile(beside, "w", zipfile.ZIP_LZMA) as tight:
        for entry in loose.infolist():
            content = loose.read(entry)
            entry.compress_type = zipfile.ZIP_LZMA
            tight.writestr(entry, content)
    os.replace(beside, wheel)


def unpack(folder: Path, into: Path) -> None:
    """Installs all wheels of a folder into another, without a network.

    Raises:
        SystemExit: there are none, or pip fails.
    """
    wheels = sorted(map(str, folder.glob("*.whl")))
    if not wheels:
        raise SystemExit(f"expected wheels in {folder}, got none; make them with --pack {folder}")
    command = [
        sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index",
        "--no-deps", "--no-compile", "--no-cache-dir", "--upgrade", "--target", str(into), *wheels,
    ]  # fmt: skip
    if subprocess.run(command, check=False).returncode:
        raise SystemExit(f"pip could not install the wheels of {folder}; see what it says above")
