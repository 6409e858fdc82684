"""How many cameras a file says that it holds, and whether it was cut off."""

import functools
import re
from collections.abc import Sequence

from recon.words import count_noun

CAMERAS = r"(?:camera|view)?[ _]?(?:frames|poses|cameras|images|views|keyframes)"
"""Pattern of the words for cameras in comments and keys."""
NO_COUNT_AFTER = re.compile(r"\s*(?:-|–|to\b|\.\.|\.[0-9]|/|x\b|×|per\b|a second|fps|hz)", re.IGNORECASE)
"""What follows a number that is a range, a fraction, a size or a rate, and no count."""
NO_COUNT_BEFORE = re.compile(r"(?:every|each|first|last|frame)\s*$|[.0-9-]$", re.IGNORECASE)
"""What precedes a number that picks some of the cameras, or ends another number."""


def find_counts(lines: Sequence[str], things: str = CAMERAS) -> list[int]:
    """How many of some things the lines of a file say that there are.

    Args:
        things: a pattern of what is counted, such as 'images'.
    """
    found = []
    for line in lines:
        for match in _compile(things).finditer(line.strip(" #%/")):
            text = match.string
            if match["before"] and NO_COUNT_BEFORE.search(text[: match.start()]):
                continue
            if NO_COUNT_AFTER.match(text[match.end() :]):
                continue
            found.append(int(next(group for group in match.groups() if group)))
    return found


def note_truncation(source: str, stated: Sequence[int], held: int, noun: str) -> tuple[str, ...]:
    """A note where a file states other counts than that of what it holds; else none.

    Args:
        source: what the note calls the file.
        stated: the counts of `find_counts`; one that is right is enough.
        noun: one of the counted things: 'camera'.
    """
    if not stated or held in stated:
        return ()
    return (f"{source} states {count_noun(stated[0], noun)} and holds {held}; was it cut off?",)


@functools.cache
def _compile(things: str) -> re.Pattern[str]:
    # nine digits at most: longer numbers are times or identifiers
    return re.compile(
        rf"\b(?:(?:total|number|num|count|n|no)\.?[ _-]*(?:of[ _]+)?){{0,3}}{things}\s*[:=]?\s*(?P<after>[0-9]{{1,9}})\b"
        rf"|\b(?P<before>[0-9]{{1,9}})\s+{things}\b"
        r"|\b(?:frame|pose|camera|image|view)s?[ _]?count\s*[:=]?\s*(?P<count>[0-9]{1,9})\b"
        r"|^\W*(?:count|total|n|num|length)\s*[:=]\s*(?P<bare>[0-9]{1,9})\W*$",
        re.IGNORECASE,
    )
