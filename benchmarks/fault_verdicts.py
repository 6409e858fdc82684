"""What a measurement says of a clip whose faults are known: praised, told, lost, blamed …"""

from dataclasses import dataclass

from benchmarks.fault_kinds import Row
from benchmarks.output import number
from eval.results.measure import ASTRAY, FOLLOWS, ClipResult

ALARMING = ("praised", "blamed", "unexplained", "misnamed", "unreadable")
"""Verdicts that are listed one by one."""
PRAISE = 0.9
"""auc@5 from which a clip counts as praised where nothing is said against it."""
AGAINST = ("backwards", "mirrored pictures", "inverse poses")
"""Rows whose path runs against its request, so that `cosmos` must not be met."""
ODD = ("cut", "equal to the one before", "without a picture", "an overlay covers")
"""Parts of notes about odd frames and overlays."""
LARGE = {"rotation_deg": 5.0, "position_share": 0.1}
"""Headline errors from which a right clip is blamed by them, whatever the rules say: the weakest drift of a turn leaves 5°, the
strongest of scale a tenth of the extent."""
EXCUSE = "may be COLMAP's error"
"""Part of the note that says that large errors need not be the clip's."""
GENERIC = (ASTRAY, "drift", "low parallax")
"""Causes that say nothing false of a wrong path, and do not name its fault."""


@dataclass(frozen=True)
class Cell:
    """A clip with what was said of it."""

    row: str
    strength: str
    scene: str
    verdict: str
    why: str
    also: tuple[str, ...]
    """Causes beside those that are true of the row."""
    registered: str
    rotation_deg: float | None
    position_share: float | None
    motion: str
    causes: tuple[str, ...]
    notes: tuple[str, ...]
    rules: dict[str, str]
    """'yes', 'no', 'undefined' or a share, and the reason."""

    def describe(self) -> str:
        """All that was said, in a few lines."""
        rules = "; ".join(f"{name} {said}" for name, said in self.rules.items())
        errors = f"rotation {number(self.rotation_deg)}°, position {number(self.position_share, '{:.4f}')}"
        return (
            f"- {self.verdict}: {self.row} {self.strength}, {self.scene}: {self.why}\n"
            f"  {self.registered}; {errors}; {self.motion}\n"
            f"  also said: {', '.join(self.also) or 'nothing'}; causes {list(self.causes)}, notes {list(self.notes)}\n  {rules}"
        )


def judge(row: Row, strength: str, scene: str, clip: ClipResult) -> Cell:
    """Hold what was said of a clip against what is right to say of the row."""
    verdict, why = _judge_wrong(row, clip) if row.wrong else _judge_right(row, clip)
    true = (*GENERIC, *row.says)
    also = tuple(cause for cause in clip.causes if clip.recovered and cause not in true)
    errors = {name: _error(clip, name) for name in LARGE}
    return Cell(
        row.name, strength, scene, verdict, why, also, f"{clip.registered} of {clip.frames}",
        errors["rotation_deg"], errors["position_share"], f"{clip.motion} ({clip.motion_because})",
        tuple(clip.causes), tuple(clip.notes),
        {name: _describe(v.success, v.share, v.because) for name, v in clip.verdicts.items()},
    )  # fmt: skip


def _describe(success: bool | None, share: float | None, because: str) -> str:
    said = {True: "yes", False: "no", None: "undefined" if share is None else f"{share:.2f}"}[success]
    return f"{said} ({because})" if because else said


def _judge_wrong(row: Row, clip: ClipResult) -> tuple[str, str]:
    if clip.failed:
        return "unreadable", clip.failed
    said = [*clip.causes, *clip.notes]
    named = bool({*row.says} & {*clip.causes}) or any(
        word in note for word in row.says if word in ODD for note in clip.notes
    )
    follows = clip.verdicts[FOLLOWS]
    auc = clip.verdicts["auc@5"].share or 0.0
    if follows.success:
        return ("noted", "") if named and row.noted else ("praised", "it follows its request")
    if row.name in AGAINST and clip.verdicts["cosmos"].success:
        return "praised", "cosmos is met"
    if auc >= PRAISE and not said:
        return "praised", f"auc@5 is {auc:.2f}"
    if not clip.recovered:
        return ("lost", "") if clip.causes else ("unexplained", "not registered, without a cause")
    if follows.success is None:
        return ("undefined", follows.because) if follows.because else ("unexplained", "undefined")
    if named:
        return "told", ""
    if not clip.causes:
        return "unexplained", f"follows@15 is not met, without a cause: {follows.because}"
    if any(cause not in GENERIC for cause in clip.causes):
        return "misnamed", ", ".join(clip.causes)
    return "unspecific", ", ".join(clip.causes)


def _judge_right(row: Row, clip: ClipResult) -> tuple[str, str]:
    if clip.failed:
        return "unreadable", clip.failed
    false = [note for note in clip.notes if any(word in note for word in ODD)]
    false = [note for note in false if not any(word in note for word in row.notes)]
    follows = clip.verdicts[FOLLOWS]
    if false:
        return "blamed", f"false note: {'; '.join(false)}"
    if not clip.recovered:
        return ("lost", "") if clip.causes else ("unexplained", "not registered, without a cause")
    if follows.success is None:
        return ("undefined", follows.because) if follows.because else ("unexplained", "undefined")
    if not follows.success:
        return "blamed", follows.because
    if clip.causes:
        return "blamed", f"cause: {', '.join(clip.causes)}"
    large = [name for name, limit in LARGE.items() if (_error(clip, name) or 0.0) >= limit]
    if large and any(EXCUSE in note for note in clip.notes):
        return "excused", f"large {' and '.join(large)}"
    return ("blamed", f"large {' and '.join(large)}, without a cause") if large else ("right", "")


def _error(clip: ClipResult, name: str) -> float | None:
    return clip.errors[name].value if name in clip.errors else None
