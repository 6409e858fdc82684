"""The meta.json of a SOG, checked where it is asked."""

import contextlib
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from recon.errors import SceneFileError
from recon.scenefiles.members import Members
from recon.scenefiles.scene_file import RenderMode

META = "meta.json"
MODELS: dict[RenderMode, str] = {"mip": "antialiased", "2dgs": "2dgs"}
"""What it calls render modes."""


class Meta:
    """Version 1 has a range for each channel where version 2 has codebooks.

    Raises:
        SceneFileError: from every method, where something is missing or of the wrong make.
    """

    def __init__(self, members: Members) -> None:
        self.path = members.path
        self.json = members.read_json(META)
        self.version = self.json.get("version", 1)
        if self.version not in (1, 2):
            raise SceneFileError(f"{self.path} is of version {self.version!r:.20} of SOG, expected 1 or 2")
        shape = self.part("means").get("shape")
        first = shape[0] if isinstance(shape, list) and shape else None
        self.count = self.whole(self.json.get("count") if self.version == 2 else first, "count")
        self.has_palette = self.json.get("shN") is not None and self.part("shN").get("bands") != 0

    def part(self, name: str) -> dict[str, Any]:
        """Entry of a part of the scene."""
        found = self.json.get(name)
        if not isinstance(found, dict):
            raise self._damage_error(f"has no {name}")
        return found

    def whole(self, value: object, what: str) -> int:
        """Check a whole number that is not negative."""
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self._damage_error(f"has a {what} of {value!r:.40}")
        return value

    def files(self, part: str, count: int) -> list[str]:
        """Names of a part's image files."""
        names = self.part(part).get("files")
        if not isinstance(names, list) or len(names) < count or not all(isinstance(n, str) for n in names):
            raise self._damage_error(f"does not name the images of {part}")
        return names[:count]

    def numbers(self, part: str, key: str, count: int) -> Float64[np.ndarray, "count"]:
        """Finite numbers; a single one may stand without a list."""
        value = self.part(part).get(key)
        return self._finite(value if isinstance(value, list) else [value], f"{key} of {part}", count)

    def table(self, part: str, channels: int) -> Float32[np.ndarray, "channels 256"]:
        """What the bytes of each channel mean."""
        with np.errstate(over="ignore"):  # what is infinite is left out later
            if self.version == 2:
                return np.tile(self._codebook(part).astype(np.float32), (channels, 1))
            low, high = (self.numbers(part, key, channels) for key in ("mins", "maxs"))
            share = np.arange(256) / 255
            return (low[:, None] * (1 - share) + high[:, None] * share).astype(np.float32)

    def _codebook(self, part: str) -> Float64[np.ndarray, "256"]:
        listed = self.part(part).get("codebook")
        if not isinstance(listed, list) or not 1 <= len(listed) <= 256:
            raise self._damage_error(f"has no codebook of {part} with up to 256 entries")
        # an early writer of PlayCanvas left the first out; its engine goes on by a step
        missing = int(len(listed) == 256 and listed[0] is None)
        found = self._finite(listed[missing:], f"codebook of {part}", len(listed) - missing)
        first = [found[0] + (found[0] - found[-1]) / 255] * missing
        return np.concatenate([first, found, np.full(256 - len(listed), found[-1])])

    def _finite(self, listed: list[Any], what: str, count: int) -> Float64[np.ndarray, "n"]:
        if len(listed) == count and all(type(number) in (int, float) for number in listed):
            with contextlib.suppress(OverflowError):  # whole numbers of more than 308 digits
                found = np.array([float(number) for number in listed])
                if np.isfinite(found).all():
                    return found
        raise self._damage_error(f"has no {count} numbers as {what}")

    def render_mode(self) -> tuple[RenderMode, tuple[str, ...]]:
        """How it was trained to be drawn; and what a person should know of that."""
        stated = self.json.get("model", "antialiased" if self.json.get("antialias") is True else "default")
        for mode, name in MODELS.items():
            if name == stated:
                return mode, ()
        known = stated == "default"
        note = f"it is to be drawn as {stated!r:.40}, which is not known; the plain way was taken"
        return "default", () if known else (note,)

    def _damage_error(self, what: str) -> SceneFileError:
        return SceneFileError(f"{self.path} is damaged: its {META} {what}")
