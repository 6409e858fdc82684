"""What a user states of a model that runs elsewhere."""

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, cast, get_args

from recon.bounded import read_json
from recon.errors import BridgeError
from worldgen.model import FrameRule, ModelSpec, SizeRule

Unit = Literal["metre", "scene", "free"]
STATED = (
    "frames", "max_frames", "size", "multiple_of", "first_frame_is_context", "turn_deg", "unit", "min_context", "license",
    "name",
)  # fmt: skip
"""Keys of a spec.json."""


@dataclass(frozen=True)
class OutsideOptions:
    """How a model that runs elsewhere is asked, and what it takes."""

    frames: str = "any"
    """Numbers of frames that it takes in one call: any, or a rule such as 4k+1."""
    max_frames: int | None = None
    """Most frames of one call; more are asked for in several calls. None: any number."""
    size: str = "any"
    """Size of its pictures in pixels: any, or 1280x704. Photos and targets are scaled and cropped to it."""
    multiple_of: int = 1
    """Both sides of its pictures are multiples of so many pixels."""
    first_frame_is_context: bool = False
    """Its first frame is a photo: the nearest one is asked for first, and dropped from the answer."""
    turn_deg: float | None = None
    """By how much the view may turn, or what is seen shift, from one frame to the next: frames are put between views that differ by
    more, and dropped from the answer; 2.5 suits most models of videos. None: views may jump."""
    unit: str = "scene"
    """Of the cameras that it is given: metre, scene (of the reconstruction) or free (any)."""
    min_context: int = 1
    """Fewest photos that it needs."""
    name: str = "outside"
    """What messages call it."""
    license: str = ""
    """Of the model and what it makes, for reports."""
    spec: Path | None = None
    """A spec.json with these values by name; what is given besides, as an option, wins."""
    key: str = ""
    """Any words, such as a version of the weights: frames are made anew when they change."""
    seconds: float = 3600.0
    """Time limit of one request."""
    depth: bool = False
    """Also write depth.npz: the photos' depth."""
    warped: bool = False
    """Also write warped/ and mask/: the photos moved into the targets by their depth, and where nothing was to be seen."""
    rendering: bool = False
    """Also write rendering/ and alpha/, where there is a scene to mend: from the second round of augment on, what it looks like at the
    targets, on black, and how opaque it is."""

    def __post_init__(self) -> None:
        least = {"max_frames": 1, "multiple_of": 1, "min_context": 0, "seconds": 0.001, "turn_deg": 0.01}
        for name, low in least.items():
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int | float) and value >= low):
                raise BridgeError(f"expected {_flag(name)} of at least {low:g}, got {value}")
        if self.unit not in get_args(Unit):
            raise BridgeError(f"expected {_flag('unit')} metre, scene or free, got {self.unit!r}")
        self.model_spec()

    def model_spec(self) -> ModelSpec:
        """The same as the library reads it.

        Raises:
            BridgeError: a rule or size that cannot be read.
        """
        stride, offset = _parse_frames(self.frames)
        return ModelSpec(
            name=self.name,
            conditions_on=("cameras", "images", "text", "time", *(("rendering",) if self.rendering else ())),
            frame_rule=FrameRule(stride, offset, self.max_frames),
            size=SizeRule(parse_size(self.size), multiple_of=self.multiple_of),
            first_frame_is_context=self.first_frame_is_context,
            largest_turn_deg=self.turn_deg,
            unit=cast(Unit, self.unit),
            min_context=self.min_context,
            license=self.license,
        )

    def completed(self, stated: object, what: str) -> "OutsideOptions":
        """With what a model states of itself in a spec.json, where no option says otherwise; unknown keys are ignored.

        Args:
            what: names the file in errors.

        Raises:
            BridgeError: no JSON object, or a value of another kind.
        """
        if not isinstance(stated, dict):
            raise BridgeError(f"expected a JSON object in {what}, got {type(stated).__name__}")
        values: dict[str, Any] = {}
        for field in fields(self):
            own = getattr(self, field.name)
            values[field.name] = own
            if field.name not in STATED or field.name not in stated or own != field.default:
                continue
            value = stated[field.name]
            kind = {"max_frames": int, "turn_deg": float}.get(field.name, type(field.default))
            if kind is float and type(value) is int:
                value = float(value)
            if type(value) is not kind:
                raise BridgeError(
                    f"expected a value of the kind {kind.__name__} for {field.name} in {what}, got {value!r:.60}"
                )
            values[field.name] = value
        return OutsideOptions(**values)

    def with_spec_file(self) -> "OutsideOptions":
        """With the values of the file `spec`.

        Raises:
            BridgeError: it cannot be read.
        """
        return self if self.spec is None else self.completed(read_json(self.spec), str(self.spec))


def _parse_frames(text: str) -> tuple[int, int]:
    """Stride and offset of '4k+1'; (1, 0) of 'any'."""
    if text == "any":
        return 1, 0
    found = re.fullmatch(r"(\d{0,4})k(?:\+(\d{1,4}))?", text.replace(" ", ""))
    stride = int(found[1] or 1) if found else 0
    if not found or stride < 1:
        raise BridgeError(f"expected {_flag('frames')} any or a rule such as 4k+1, got {text!r}")
    return stride, int(found[2] or 0)


def parse_size(text: str) -> tuple[int, int] | None:
    """(width, height) of '1280x704'; None of 'any'.

    Raises:
        BridgeError: anything else.
    """
    if text == "any":
        return None
    found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if not found:
        raise BridgeError(f"expected {_flag('size')} any or a size such as 1280x704, got {text!r}")
    return int(found[1]), int(found[2])


def _flag(name: str) -> str:
    return f"--model.{name.replace('_', '-')}"
