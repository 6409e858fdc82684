"""The pictures of a run by kind: what a person tells apart in the viewer."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from bridge4d.scenes import GENERATED, HELDOUT, PHOTO, SceneView

THUMBNAIL_PX = 128
"""Long side of the picture in a frustum: a few kB each, so that hundreds of photos load at once."""


@dataclass(frozen=True)
class Kind:
    """One sort of picture and how it is drawn."""

    title: str
    short: str
    """As a switch says it."""
    color: tuple[int, int, int]


KINDS = {
    "photo": Kind("photos", "photos", (74, 144, 226)),
    "heldout": Kind("held-out photos", "held out", (245, 166, 35)),
    "accepted": Kind("generated, accepted", "accepted", (46, 174, 82)),
    "refused": Kind("generated, refused", "refused", (224, 60, 60)),
}


def kind_of(view: SceneView) -> str:
    """A key of `KINDS`."""
    if view.role == GENERATED:
        return "accepted" if view.accepted else "refused"
    return {PHOTO: "photo", HELDOUT: "heldout"}[view.role]


def name_of(view: SceneView) -> str:
    """One line for a list: name, kind and, of a refused frame, why."""
    why = f": {view.reason}" if kind_of(view) == "refused" and view.reason else ""
    single = {"photo": "photo", "heldout": "held-out photo"}.get(kind_of(view), KINDS[kind_of(view)].title)
    return f"{view.name} ({single}{why})"


def thumbnail(view: SceneView) -> UInt8[np.ndarray, "h w 3"] | None:
    """The picture at a long side of `THUMBNAIL_PX`; None where its file has gone."""
    from PIL import Image

    try:
        with Image.open(view.picture) as image:
            small = Image.fromarray(view.crop(np.asarray(image.convert("RGB"))))
    except OSError:
        return None
    small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    return np.asarray(small)
