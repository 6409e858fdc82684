"""Which photos were taken through one lens: by their sizes and what EXIF says of the camera."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from recon.capture.decoded import Decoded
from recon.pictures.batch import MAX_NAMED_SIZES


@dataclass(frozen=True)
class LensGroups:
    """Photos by the lens that they share, which is not known yet."""

    of_photo: tuple[int, ...]
    """Number of each photo's lens."""
    names: tuple[str, ...]
    """Size and camera of each lens, for people: '4032x3024 Apple iPhone 12 26 mm'."""

    @property
    def note(self) -> str:
        """Sentence on the lenses; '' for one."""
        if len(self.names) < 2:
            return ""
        counts = Counter(self.of_photo)
        named = ", ".join(
            f"{name} ({counts[i]})" for i, name in list(enumerate(self.names))[:MAX_NAMED_SIZES]
        )
        more = " …" if len(self.names) > MAX_NAMED_SIZES else ""
        return f"photos by {len(self.names)} lenses, each of which is found on its own: {named}{more}"


def group_lenses(photos: Sequence[Decoded], judged: Sequence[Decoded] = ()) -> LensGroups:
    """Group photos of one camera, focal length and shape by EXIF, or of one full size where EXIF says nothing.

    Photos without EXIF join the one camera with photos of their size. The same camera held upright counts as another lens: COLMAP
    shares a lens between pictures of one size only, and turning those of one half would turn their features and poses too.

    Args:
        judged: held-out photos, which are numbered after the others and change nothing in their groups.
    """
    cameras_of: dict[tuple[int, int], set[str]] = {}
    for d in photos:
        cameras_of.setdefault(d.size, set()).update([d.camera] if d.camera else [])
    numbers: dict[tuple[str, tuple[int, int]], int] = {}
    names: list[str] = []
    found = []
    for d in (*photos, *judged):
        known = cameras_of.get(d.size)
        if known is None:  # held out, and of a size that no other has
            camera = d.camera
        elif not known:  # the others of its size do not say what took them
            camera = ""
        else:
            camera = d.camera or (next(iter(known)) if len(known) == 1 else "")
        key = (camera, d.shape if camera else d.size)
        if key not in numbers:
            numbers[key] = len(names)
            names.append(f"{d.size[0]}x{d.size[1]} {camera}".strip())
        found.append(numbers[key])
    return LensGroups(tuple(found), tuple(names))
