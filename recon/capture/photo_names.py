"""Names of a capture's photos, derived from their paths alone."""

import os
from collections.abc import Sequence
from pathlib import Path

OUTSIDE = "outside"
"""First part of the names of photos from outside a capture."""


def photo_names(files: Sequence[Path], capture: Path) -> tuple[str, ...]:
    """Name files by their paths from the innermost folder that holds all files of the capture.

    A name does not depend on how those of other photos begin or end, and names sort as paths do. Files that do not lie in
    the folder `capture`, links not followed, are called ``outside/…``.
    """
    top = Path(os.path.abspath(capture))
    paths = [Path(os.path.abspath(file)) for file in files]
    within = [path for path in paths if path.is_relative_to(top)]
    beyond = [path for path in paths if not path.is_relative_to(top)]
    names = _from_common_folder(within)
    word = OUTSIDE
    while any(name.startswith(f"{word}/") for name in names.values()):
        word += "_"
    names |= {path: f"{word}/{name}" for path, name in _from_common_folder(beyond).items()}
    return tuple(names[path] for path in paths)


def _from_common_folder(paths: Sequence[Path]) -> dict[Path, str]:
    if not paths:
        return {}
    common = os.path.commonpath([path.parent for path in paths])
    return {path: path.relative_to(common).as_posix() for path in paths}
