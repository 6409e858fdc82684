"""Direction and axes of poses as the comments of a camera file state them in words."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

CAMERA, WORLD = r"cam(?:era)?s?", r"(?:world|global|map)"
"""Patterns of the words for cameras, and for the world."""
THINGS = (
    r"(?:[ \t]+(?:the|of|a|frame|frames|system|space|points?|coordinates?|coords?|origin|reference|pose|poses|positions?|"
    r"orientations?|trajectory|axes))*"
)
"""Words that may stand between 'camera' and 'to' or 'in'."""
INTO = r"[ \t]*(?:->|→|=>)[ \t]*|[ \t_-]*(?:to|2)[ \t_-]*|[ \t]+(?:into|in|relative to|with respect to|w\.?r\.?t\.?|expressed in)[ \t]+"
"""Links of 'camera to world': arrows, hyphens, prepositions."""
OUT_OF = r"[ \t_-]+from[ \t_-]+"
"""Links of 'world from camera', which names the target first."""
NOT = r"(?P<not>\b(?:not|no|instead of|rather than|unlike)[ \t]+(?:the[ \t]+|a[ \t]+|in[ \t]+)?)?"
"""Negations before a statement, which then says nothing."""
INVERSE = r"(?P<inverse>\b(?:inverse|inverted)[ \t]+(?:of[ \t]+)?(?:the[ \t]+)?)?"
"""Words that turn a statement round."""


def _compile(words: str) -> re.Pattern[str]:
    return re.compile(rf"{NOT}{INVERSE}(?P<said>{words})", re.IGNORECASE)


def _passage(begin: str, link: str, end: str) -> str:
    return rf"\b{begin}{THINGS}(?:{link})(?:(?:the|a)[ \t]+)?{end}\b"


DIRECTIONS = {
    "world_from_cam": _compile(
        rf"\bc2w\b|{_passage(CAMERA, INTO, WORLD)}|{_passage(WORLD, OUT_OF, CAMERA)}"
        r"|\bT_?\{?_?(?:world|w)_?(?:cam(?:era)?|c)\}?(?![a-z])|\b(?:world|w)_?T_?(?:cam(?:era)?|c)\b"
    ),
    "cam_from_world": _compile(
        rf"\bw2c\b|{_passage(WORLD, INTO, CAMERA)}|{_passage(CAMERA, OUT_OF, WORLD)}"
        r"|\bT_?\{?_?(?:cam(?:era)?|c)_?(?:world|w)\}?(?![a-z])|\b(?:cam(?:era)?|c)_?T_?(?:world|w)\b"
        r"|\bview[ \t_-]?mat(?:s|rix|rices)?\b|\bview[ \t]+transform(?:s|ations?)?\b|\bextrinsics?\b"
    ),
}
"""Statements of a direction: abbreviations, passages, names such as T_world_cam, view matrices."""
OPPOSITE = {"world_from_cam": "cam_from_world", "cam_from_world": "world_from_cam"}

NAMES_OF_AXES = {
    "opengl": r"opengl|blender|(?-i:\bRUB\b)",
    "opencv": r"opencv|colmap|(?-i:\bRDF\b)",
    "": r"(?:unity|unreal|pytorch3d|directx|ros|nerf|llff)(?:'s|3d)?[ \t]+(?:axes|axis|coordinates?|coords?|convention|frame|system)"
    r"|left[ _-]handed|(?-i:\b(?:FLU|FRD|DRB|LUF|LUB|FUR)\b)",
}
"""Patterns of names for camera axes; '' for cameras that are neither OpenGL's nor OpenCV's."""
ABOUT_AXES = re.compile(
    r"\b(?:axes|axis|conventions?|coordinates?|coords?|frames?|system)\b|opengl", re.IGNORECASE
)
"""Words that make a name beside them a statement about axes."""
PROGRAMS = re.compile(r"\b(?:unity|unreal|pytorch3d|directx)\b", re.IGNORECASE)
"""Programs with other axes; a file that only names its program may have been converted."""
NAMED_AXES = {name: re.compile(words, re.IGNORECASE) for name, words in NAMES_OF_AXES.items()}

WAY_OF = {
    **dict.fromkeys(("right", "rightward", "rightwards"), ("right", 1)),
    **dict.fromkeys(("left", "leftward", "leftwards"), ("right", -1)),
    **dict.fromkeys(("up", "upward", "upwards"), ("up", 1)),
    **dict.fromkeys(("down", "downward", "downwards"), ("up", -1)),
    **dict.fromkeys(("forward", "forwards", "front", "ahead"), ("front", 1)),
    **dict.fromkeys(("backward", "backwards", "back", "behind"), ("front", -1)),
}
"""Words for directions: one of three lines, and the sense along it."""
WAY = "|".join(sorted(WAY_OF, key=len, reverse=True))
SIGN_AND_AXIS = r"(?:(?<=^)|(?<=[\s(\[,;:=/-]))(?P<sign>[-+]?)(?P<axis>[xyz])\b"
STATEMENT = re.compile(
    rf"{SIGN_AND_AXIS}[\s_-]*(?:axis|axes)?\s*(?:is|=|:|points?|pointing|->|→)?\s*(?P<way>{WAY})\b",
    re.IGNORECASE,
)
"""Statements such as '+z is forward' or 'y: down'."""
STATEMENT_REVERSED = re.compile(
    rf"\b(?P<way>{WAY})\s*(?:is|=|:|->|→|along)\s*(?:the\s+)?(?P<sign>[-+]?)(?P<axis>[xyz])\b", re.IGNORECASE
)
"""Statements such as 'forward = -z'."""
LOOKS = re.compile(
    r"\blook(?:s|ing)?\s+(?:along|down|in|towards?)\s+(?:the\s+)?(?P<sign>[-+]?)(?P<axis>[xyz])\b",
    re.IGNORECASE,
)
"""Statements such as 'looks along -z', which means forward."""
TRIPLE = re.compile(rf"\b({WAY})(?:\s*[,/-]\s*|\s+)({WAY})(?:\s*[,/-]\s*|\s+)({WAY})\b", re.IGNORECASE)
"""Three directions in a row, such as 'right, down, forward', which mean x, y and z."""
AXES_OF_CAMERAS = {
    "opencv": {"x": ("right", 1), "y": ("up", -1), "z": ("front", 1)},
    "opengl": {"x": ("right", 1), "y": ("up", 1), "z": ("front", -1)},
}
"""Direction of each camera axis by convention; see `WAY_OF`."""
OF_THE_WORLD = re.compile(rf"\b{WORLD}\b|\b(?:ENU|NED)\b|\b(?:east|north)\b", re.IGNORECASE)
"""Words that make axes those of the world, unless `OF_THE_CAMERA` is there too."""
OF_THE_CAMERA = re.compile(rf"\b{CAMERA}\b|\blook", re.IGNORECASE)
SENTENCE = re.compile(r"[.;](?:\s|$)|\n")


@dataclass(frozen=True)
class Contradiction:
    """Words of a file that contradict how its poses are read."""

    words: str
    meaning: str
    """'cam_from_world', 'opengl axes' …"""
    certain: bool = True
    """False: they also say the other thing, or may speak of the world."""


def find_contradictions(lines: Sequence[str], direction: str, axes: str) -> Iterator[Contradiction]:
    """Find statements that contradict `direction` and `axes`; lines with a web address are ignored."""
    for sentence in SENTENCE.split("\n".join(line for line in lines if "://" not in line)):
        yield from _find_odd_axes(sentence, axes)
    yield from _find_odd_direction([line for line in lines if "://" not in line], direction)


def _find_odd_direction(lines: Sequence[str], wanted: str) -> Iterator[Contradiction]:
    said: dict[str, str] = {}
    for line in lines:
        for name, pattern in DIRECTIONS.items():
            for match in pattern.finditer(line):
                if match["not"] is None:
                    meant = OPPOSITE[name] if match["inverse"] else name
                    said.setdefault(meant, f"{match['inverse'] or ''}{match['said']}")
    other = said.get(OPPOSITE[wanted])
    if other is not None and wanted in said:
        yield Contradiction(f"both {said[wanted]!r} and {other!r}", OPPOSITE[wanted], certain=False)
    elif other is not None:
        yield Contradiction(repr(other), OPPOSITE[wanted])


def _find_odd_axes(sentence: str, wanted: str) -> Iterator[Contradiction]:
    named = {
        name: match for name, words in NAMED_AXES.items() if (match := words.search(sentence)) is not None
    }
    if named and wanted not in named:
        name, match = next(iter(named.items()))
        around = sentence[match.start() :].split(",", maxsplit=1)[0].strip()
        # a program alone may only be where the poses come from
        sure = ABOUT_AXES.search(sentence) is not None or name == "" or match[0].isupper()
        yield Contradiction(repr(around[:40]), f"{name or 'other'} axes", certain=sure)
        return
    program = PROGRAMS.search(sentence)
    if program is not None:
        yield Contradiction(repr(program[0]), "other axes", certain=False)
    stated = list(_find_stated_axes(sentence))
    if not stated or (OF_THE_WORLD.search(sentence) and not OF_THE_CAMERA.search(sentence)):
        return
    odd = [(axis, way, words) for axis, way, words in stated if AXES_OF_CAMERAS[wanted][axis] != way]
    if not odd:
        return
    axis, way, words = odd[0]
    if len(stated) == 1 and way == ("up", 1):
        # no camera here has z or x up; of y up it cannot be told whose it is
        if axis == "y":
            yield Contradiction(repr(words), "an axis of the world, unless it is the camera's", certain=False)
        return
    fitting = [n for n, ways in AXES_OF_CAMERAS.items() if all(ways[a] == w for a, w, _ in stated)]
    yield Contradiction(repr(words), f"{fitting[0] if fitting else 'other'} axes")


def _find_stated_axes(sentence: str) -> Iterator[tuple[str, tuple[str, int], str]]:
    """Axes that a sentence states: (axis, (line, sense), words), such as ('z', ('front', -1), 'z backward')."""
    for pattern in (STATEMENT, STATEMENT_REVERSED, LOOKS):
        for match in pattern.finditer(sentence):
            line, sense = WAY_OF[match["way"].lower()] if "way" in match.groupdict() else ("front", 1)
            yield match["axis"].lower(), (line, -sense if match["sign"] == "-" else sense), match[0].strip()
    triple = TRIPLE.search(sentence)
    if triple is not None:
        ways = [WAY_OF[word.lower()] for word in triple.groups()]
        if len({line for line, _ in ways}) == len(ways):
            yield from ((axis, way, triple[0]) for axis, way in zip("xyz", ways, strict=True))
