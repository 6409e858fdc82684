"""Cameras of photos by a network that the user has (VGGT, Depth Anything 3, MASt3R), run as a program of its own environment."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from recon.bounded import read_arrays
from recon.cameras import Cameras
from recon.clip import PictureSet
from recon.compute.files import hash_file
from recon.compute.programs import command_files, last_words, run_program, split_command, told_error
from recon.errors import BridgeError
from recon.pictures.eight_bit import to_eight_bit

FLAG = "--geometry"
FORMAT, VERSION = "bridge4d-geometry", 1
SECONDS = 1800.0
"""Time for an answer; a network on a processor takes minutes, and may have weights to fetch first."""
MOST_ARRAYS = 1 << 26
"""Bytes that are read of an answer; a thousand cameras have 200 KB."""


@dataclass(frozen=True)
class GeometryProgram:
    """A command that looks at photos and says where they were taken.

    It reads ``request.json`` (format, version, photos, width, height) and ``images/00000.png`` …, and writes ``cameras.npz`` with
    cam_from_world [n, 4, 4] (OpenCV axes, any unit) and K [n, 3, 3] (pixels of the pictures, the top-left centre at (0.5, 0.5)), NaN
    for photos that it leaves out; or ``error.json`` with a message.
    """

    command: str
    """With {request} and {answer}, which stand for the folders."""
    seconds: float = SECONDS

    def __post_init__(self) -> None:
        _ = self.words  # refused before long work

    @property
    def key(self) -> tuple[str, ...]:
        """What decides its answers: the command, and the files that it names."""
        return self.command, *(hash_file(file) for file in command_files(self.words))

    @property
    def words(self) -> list[str]:
        """The command's words."""
        return split_command(self.command, FLAG)

    def find_cameras(self, clip: PictureSet, folder: Path) -> Cameras:
        """Ask for the cameras of photos; they are rough, and NaN for those that it leaves out.

        Args:
            folder: for request, answer and log; replaced. Answer and log stay there.

        Raises:
            BridgeError: the program failed, or answered otherwise than agreed.
        """
        shutil.rmtree(folder, ignore_errors=True)
        request, answer, log = folder / "request", folder / "answer", folder / "log.txt"
        answer.mkdir(parents=True)
        _write_request(clip, request)
        run_program(
            self.words,
            request,
            answer,
            log=log,
            seconds=self.seconds,
            longer="fewer or smaller photos",
        )
        cameras = _read_answer(answer, clip, log)
        shutil.rmtree(request)  # as large as the photos; the answer and the log stay
        return cameras


def _write_request(clip: PictureSet, folder: Path) -> None:
    (folder / "images").mkdir(parents=True)
    for i, image in enumerate(clip.images):
        Image.fromarray(to_eight_bit(image).numpy()).save(
            folder / "images" / f"{i:05d}.png", compress_level=1
        )
    said = {
        "format": FORMAT,
        "version": VERSION,
        "photos": len(clip),
        "width": clip.width,
        "height": clip.height,
    }
    (folder / "request.json").write_text(json.dumps(said, indent=1), encoding="utf-8")


def _read_answer(folder: Path, clip: PictureSet, log: Path) -> Cameras:
    if said := told_error(folder):
        raise BridgeError(f"the geometry program says: {said}{last_words(log)}")
    file = folder / "cameras.npz"
    if not file.is_file():
        raise BridgeError(f"expected the geometry program to write {file}, it did not{last_words(log)}")
    found = read_arrays(file, most_bytes=MOST_ARRAYS)
    arrays = found if isinstance(found, dict) else {}
    n = len(clip)
    read = []
    for name, shape in {"cam_from_world": (n, 4, 4), "K": (n, 3, 3)}.items():
        array = arrays.get(name, np.zeros(0))
        if array.shape != shape:
            raise BridgeError(
                f"expected {name} of the shape {list(shape)} in {file}, got {list(array.shape)}"
            )
        read.append(torch.from_numpy(array.astype(np.float64)))
    pose, K = read
    known = pose.isfinite().flatten(1).all(1) & K.isfinite().flatten(1).all(1)
    pose[~known] = torch.nan
    rows = known.nonzero()[:, 0].tolist()
    try:
        Cameras(pose[rows], K[rows], clip.width, clip.height).validate(tuple(clip.names[i] for i in rows))
    except BridgeError as error:
        raise BridgeError(f"{file}: {error}") from error
    return Cameras(pose, K, clip.width, clip.height)
