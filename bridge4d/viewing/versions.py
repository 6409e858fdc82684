"""The scenes of a run that a viewer can switch between."""

import filecmp
import threading
from pathlib import Path

from bridge4d.scenes import LoadedScene
from recon.gaussians import Gaussians
from recon.scenefiles import read_scene


class Versions:
    """Photos only, round 1, round 2 …; each is read when it is first shown."""

    def __init__(self, scene: LoadedScene) -> None:
        kept = next((file for _, file in scene.versions if _same(file, scene.file)), None)
        files = {f"{label} (kept)" if file == kept else label: file for label, file in scene.versions}
        if kept is None:
            files = {"scene": scene.file, **files}
        self._files = files
        self.kept = next(label for label, file in files.items() if file in (kept, scene.file))
        self._read = {self.kept: scene.gaussians}
        self._reading = threading.Lock()

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the scenes, in the order of the rounds."""
        return tuple(self._files)

    def gaussians(self, label: str) -> Gaussians:
        """The scene of that label.

        Raises:
            SceneFileError: its file has gone or is damaged.
        """
        with self._reading:
            if label not in self._read:
                self._read[label] = read_scene(self._files[label]).gaussians
            return self._read[label]


def _same(a: Path, b: Path) -> bool:
    return a.is_file() and b.is_file() and filecmp.cmp(a, b, shallow=False)
