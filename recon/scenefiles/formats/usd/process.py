"""USD files are read in another process, with limits on its memory and time.

OpenUSD is a large C++ library, made for files of one's own studio. A stranger's file may bring it down or make it
take all memory there is; then it is the other process that ends, and the person is told in one sentence.
"""

import os
import subprocess
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock, Timer
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from recon.bounded import decode_json
from recon.compute.lazy import LazySequence
from recon.errors import MissingDependencyError, SceneFileError
from recon.gaussians import Gaussians, concatenate, from_points
from recon.scenefiles.bounded import file_size
from recon.scenefiles.formats.usd import worker
from recon.scenefiles.linear import LinearGaussians, from_linear
from recon.scenefiles.placing import place_gaussians

BASE_MEMORY = 3 << 30
"""Bytes of address space; the library alone takes 0.7 GiB, and arrays of zeros are small in a file."""
MEMORY_FOR_EACH_BYTE = 20
"""Text takes 14 bytes of memory for each of the file while it is parsed, binary files 4."""
BASE_WAIT_S, BYTES_A_SECOND = 120.0, 1 << 20
"""Ten times what a busy computer takes: 8 MB of text a second."""


class UsdReader:
    """A process that has one USD file open.

    Raises:
        SceneFileError: no such file, no USD, no Gaussians in it, damaged, or leading out of its folder.
        MissingDependencyError: OpenUSD is older than its Gaussians.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._wait_s = BASE_WAIT_S + file_size(path) / BYTES_A_SECOND
        # one thread, so that memory does not grow with the number of cores
        settings = {"PXR_WORK_THREAD_LIMIT": "1", "MALLOC_ARENA_MAX": "2", "OPENBLAS_NUM_THREADS": "1"}
        limits = [str(BASE_MEMORY), str(MEMORY_FOR_EACH_BYTE)]
        # -P: the folder of this file, whose modules have names of the standard library, is not searched
        command = [sys.executable, "-P", worker.__file__, str(path.absolute()), *limits]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | settings,
        )
        self.close = weakref.finalize(self, _end, self._process)
        with self._limit_time():
            self.says = self._answer()

    def frame(self, index: int) -> tuple[Gaussians, list[str]]:
        """The Gaussians at a frame, where their prims put them; and what a person should know of them."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{index}\n".encode())
            self._process.stdin.flush()
        except OSError:  # it has ended; the answer says so
            pass
        parts, notes = [], []
        with self._limit_time():
            for says in self._answer()["parts"]:
                scene, said = from_linear(self._linear(says["count"], says["coefficients"]))
                matrix = torch.tensor(says["matrix"], dtype=torch.float64)
                parts.append(place_gaussians(scene, matrix, self.path))
                notes += said
        if not parts and len(self.says["times_s"]) < 2:
            raise SceneFileError(f"{self.path} holds Gaussians that are all hidden; make them visible there")
        if not parts:
            return from_points(torch.zeros(0, 3), torch.zeros(0, 3), sh_degree=0), []
        return concatenate(parts) if len(parts) > 1 else parts[0], notes

    def _linear(self, count: int, coefficients: int) -> LinearGaussians:
        def values(*shape: int) -> Tensor:
            """Read float32 numbers of the answer: [count, *shape]."""
            return torch.from_numpy(np.frombuffer(self._read(4 * count * int(np.prod(shape))), "<f4")).view(
                count, *shape
            )

        return LinearGaussians(values(3), values(4), values(3), values(), values(coefficients, 3))

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._raise_ended()
        try:
            says = decode_json(line)
        except ValueError as error:
            raise SceneFileError(
                f"{self.path} cannot be read: what its reader answers {error}; write it again"
            ) from error
        if "missing" in says:
            raise MissingDependencyError(
                f"USD with Gaussians needs usd-core 26.3 or newer, found {says['missing']}; "
                "run: pip install --upgrade 'bridge4d[usd]'"
            )
        if "error" in says:
            raise SceneFileError(f"{self.path} {says['error']}")
        return says

    def _read(self, size: int) -> bytearray:
        assert self._process.stdout is not None
        content = bytearray(size)
        if self._process.stdout.readinto(content) != size:
            self._raise_ended()
        return content

    @contextmanager
    def _limit_time(self) -> Iterator[None]:
        """Ends the process when it is slow beyond reason; what waits for it then goes on."""
        timer = Timer(self._wait_s, self._process.kill)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _raise_ended(self) -> None:
        code = self._process.wait()
        raise SceneFileError(
            f"{self.path} cannot be read: OpenUSD ended while reading it (exit code {code}), as it does when a file "
            f"is damaged or takes more than {self._wait_s:.0f} s or {BASE_MEMORY >> 30} GiB"
        )


def _end(process: subprocess.Popen) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


@dataclass
class _Shared:
    """One process for all frames of a file, started again if it ended."""

    path: Path
    reader: UsdReader | None
    lock: Lock = field(default_factory=Lock)

    def frame(self, index: int) -> Gaussians:
        """Gaussians of a frame; a reader that has ended is started again."""
        with self.lock:
            reader, self.reader = self.reader or UsdReader(self.path), None
            scene = reader.frame(index)[0]
            self.reader = reader
            return scene


def frames_of(reader: UsdReader) -> tuple[Float64[Tensor, "n"], LazySequence[Gaussians]]:
    """Times in seconds and frames of a file that moves; the reader stays with them."""
    times = torch.tensor(reader.says["times_s"], dtype=torch.float64)
    return times, LazySequence(_Shared(reader.path, reader).frame, range(len(times)))
