"""Names of pictures that can be files in one folder."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from recon.compute.files import shorten_name


def plain_names(names: Sequence[str]) -> dict[str, str]:
    """For each of different names one that can be a file in a folder, also with another ending: 'left/0.jpg' becomes
    'left_0.jpg'.

    Where two would be the same but for case or ending, both get a hash of the whole name, and no other name changes.
    """
    flat = {name: shorten_name(name.replace("/", "_")) for name in names}
    count = Counter(_stem_of(plain) for plain in flat.values())
    told = {
        name: plain if count[_stem_of(plain)] == 1 else _add_hash(name, plain) for name, plain in flat.items()
    }
    if len({_stem_of(plain) for plain in told.values()}) < len(
        told
    ):  # a name looks like another one with its hash
        told = {name: _add_hash(name, plain) for name, plain in flat.items()}
    return told


def _stem_of(name: str) -> str:
    return Path(name).stem.casefold()


def _add_hash(name: str, plain: str) -> str:
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:10]
    return f"{Path(plain).stem}-{digest}{Path(plain).suffix}"


def stems_unique(names: tuple[str, ...]) -> bool:
    """Whether names differ without their endings."""
    return len({Path(name).stem for name in names}) == len(names)
