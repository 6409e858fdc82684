"""Files that a rendering writes: checked before the long work, counted after it."""

from collections.abc import Sequence
from pathlib import Path

from bridge4d.rendering.picture_files import Numbered, is_one_file, is_rendering, is_video
from recon.errors import BridgeError


def check_targets(targets: Sequence[Path], depth: Path | None, alpha: Path | None) -> None:
    """Refuse names that cannot be written, or that would be written twice.

    Raises:
        BridgeError: the first such name, and what to give instead.
    """
    if not targets:
        raise BridgeError("expected at least one video, folder or name of pictures to render to, got none")
    taken: set[tuple[Path, str]] = set()
    for one, shows in [
        *((target, "colour") for target in targets),
        *([] if depth is None else [(depth, "depth")]),
        *([] if alpha is None else [(alpha, "alpha")]),
    ]:
        written = _list_outputs(one, shows)
        if taken & written:
            raise BridgeError(
                f"expected names of its own for each rendering, and {one} would write over another one's files"
            )
        taken |= written
    preview = None if depth is None or is_video(depth) else coloured_depth_file(depth)
    if depth is not None and preview is not None and preview.exists():
        names = Numbered.parse(depth)
        if not is_rendering(names.folder / names.side_file("depth")):
            raise BridgeError(f"{preview} was made by no rendering of depth; choose another folder or name")
    if depth is not None and not is_video(depth) and not Numbered.parse(depth).lossless:
        raise BridgeError(f"expected .png for pictures of depth, which need 16 bits, got {depth.name}")


def _list_outputs(one: Path, shows: str) -> set[tuple[Path, str]]:
    """(folder, name) of every file that a target becomes; numbers as #."""
    if is_one_file(one):
        return {(one.resolve().parent, one.name)}
    names = Numbered.parse(one)
    written = {f"{names.before}#{names.after}", names.side_file(shows)}
    if shows == "depth":
        written.add(coloured_depth_file(one).name)
    return {(names.folder.resolve(), name) for name in written}


def coloured_depth_file(to: Path) -> Path:
    """The video that shows depth in colours: the target, or a preview beside its pictures."""
    if is_video(to):
        return to
    names = Numbered.parse(to)
    return names.folder / f"{names.before}preview.mp4"


def count_bytes(target: Path) -> int:
    """Bytes of a video, or of all pictures that a rendering wrote."""
    pictures = [target] if is_one_file(target) else Numbered.parse(target).list_existing()
    return sum(file.stat().st_size for file in pictures)
