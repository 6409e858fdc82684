"""What is counted of frames that were judged at known offsets, and the tables of it."""

import statistics
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from benchmarks.output import Table, number
from eval.judging import gate
from eval.stats.intervals import wilson95


@dataclass(frozen=True)
class Offset:
    """Between where a frame was asked for and where it was seen from."""

    rotation_deg: float = 0.0
    position_share: float = 0.0
    """Of the scene's extent."""

    def __str__(self) -> str:
        if self == NONE:
            return "none"
        return f"{self.rotation_deg:g}°" if self.rotation_deg else f"{100 * self.position_share:g}%"


NONE = Offset()


@dataclass(frozen=True)
class Frame:
    """One frame at one offset."""

    source: str
    """The capture, or 'room'."""
    evidence: gate.Evidence
    """Of its first direction."""
    reason: str
    accepted: float
    """Share of its directions."""


Judged = dict[Offset, list[Frame]]


def by_capture(source: str, frames: list[Frame]) -> Iterator[tuple[str, list[Frame]]]:
    """The frames of each capture, and those of all of them, each with a name."""
    captures = list(dict.fromkeys(frame.source for frame in frames))
    if captures != [source]:
        yield from ((capture, [f for f in frames if f.source == capture]) for capture in captures)
    yield source, frames


def frame_of(source: str, judged: list[tuple[gate.Evidence, gate.Decision]]) -> Frame:
    """What was said of one frame in all directions."""
    evidence, verdict = judged[0]
    accepted = sum(v.accepted for _, v in judged) / len(judged)
    return Frame(source, evidence, verdict.reason, accepted)


def merge(into: Judged, more: Judged) -> None:
    for offset, frames in more.items():
        into.setdefault(offset, []).extend(frames)


def row(offset: Offset, frames: list[Frame]) -> dict:
    """Counts of one offset with their 95% intervals over frames."""
    n = len(frames)
    registered, accepted = sum(f.evidence.registered for f in frames), sum(f.accepted for f in frames)
    return asdict(offset) | {
        "offset": str(offset),
        "frames": n,
        "registered": registered,
        "registered95": wilson95(registered, n),
        "accepted": accepted,
        "accepted95": wilson95(accepted, n),
    }


def null_row(source: str, frames: list[Frame]) -> dict:
    """What is said of frames that were asked for where they are, and how far off recovery itself is."""
    recovery = {
        key: spread([(getattr(f.evidence, key), bool(f.accepted)) for f in frames])
        for key in ("rotation_deg", "position_share")
    }
    return row(NONE, frames) | {"source": source, "recovery": recovery}


def spread(errors: list[tuple[float | None, bool]]) -> dict[str, float | None]:
    """Of the frames that have an error, and of those among them that are accepted."""
    known = [(error, accepted) for error, accepted in errors if error is not None]
    return {
        "median": statistics.median(error for error, _ in known) if known else None,
        "max": max((error for error, _ in known), default=None),
        "max_accepted": max((error for error, accepted in known if accepted), default=None),
    }


def half_passes(judged: Judged, steps: tuple[Offset, ...]) -> dict[str, float | None]:
    """The offset at which acceptance falls through half of all frames, and through half of those that pass where they
    were asked for; linear between steps, None where it does not."""
    at = [0.0] + [s.rotation_deg or s.position_share for s in steps]
    passed = [sum(f.accepted for f in judged[s]) for s in (NONE, *steps)]
    return {
        "of_all": falls_through(at, passed, len(judged[NONE]) / 2),
        "of_those_that_pass": falls_through(at, passed, passed[0] / 2),
    }


def falls_through(at: list[float], values: list[float], level: float) -> float | None:
    """Where values first fall from `level` or above it to below it."""
    for i in range(len(at) - 1):
        if values[i] >= level > values[i + 1]:
            return at[i] + (at[i + 1] - at[i]) * (values[i] - level) / (values[i] - values[i + 1])
    return None


def print_tables(null: list[dict], told: dict[str, dict]) -> None:
    figures = "median, max, max accepted"
    table = Table(
        ("not displaced", "frames", "registered", "accepted", f"rot ° {figures}", f"pos % {figures}")
    )
    for r in null:
        counts = (f"{r[key]:g}" for key in ("frames", "registered", "accepted"))
        degrees, shares = (r["recovery"][key].values() for key in ("rotation_deg", "position_share"))
        percent = (None if share is None else 100 * share for share in shares)
        errors = (", ".join(number(value, "{:.3f}") for value in values) for values in (degrees, percent))
        table.add(r["source"], *counts, *errors)
    print(table)
    for name, said in told.items():
        table = Table(("offset", "frames", "registered [95%]", "accepted [95%]"))
        for r in said["rows"]:
            table.add(r["offset"], r["frames"], rate(r, "registered"), rate(r, "accepted"))
        print(f"\n{name}\n\n{table}\n")
        for of in ("of_all", "of_those_that_pass"):
            deg, share = said["half_deg"][of], said["half_share"][of]
            percent = None if share is None else 100 * share
            print(
                f"half {of.replace('_', ' ')}: {number(deg)}° of rotation, {number(percent)}% of the extent"
            )


def rate(of: dict, key: str) -> str:
    low, high = of[f"{key}95"]
    return f"{of[key] / of['frames']:.0%} [{low:.0%}, {high:.0%}]"
