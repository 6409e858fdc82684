"""Decide whether generated frames are kept, by trials on training photos that are left out in turn."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from bridge4d.runs.stored_json import write_json
from bridge4d.runs.typed_json import read_typed
from bridge4d.stages import trial
from recon.words import count_noun

VERSION = 2


class DecisionRecord(TypedDict):
    """``decide.json``; lists are per left-out photo, or per group of photos that are left out together."""

    keep: bool
    """Whether the scene with the frames of this round is kept rather than the one before."""
    why: str
    """In words."""
    left_out: list[str]
    """Names of the photos that were left out in turn; none where nothing could be decided by them."""
    groups: list[int]
    """With which others each was left out; counts from 1."""
    photos_only: list[float]
    """PSNR of each in the scene of the other photos alone, dB."""
    before: list[float]
    """Likewise with the frames of the rounds before; as `photos_only` in the first."""
    augmented: list[float]
    """Likewise with the frames of this round, too."""
    requested: list[int]
    """Frames of this round by group."""
    accepted: list[int]
    """Those that passed the gate."""


def decide(alone: Sequence[Path], rounds: Sequence[Sequence[Path]], out: Path) -> None:
    """Keep the frames of the last round if the left-out photos are shown better on average than before it.

    Args:
        alone: for every group what `trial.begin_trial` wrote.
        rounds: for every round, for every group what `trial.play_trial_round` wrote; at least one round.
        out: an empty folder, made where it is absent; gets ``decide.json``.
    """
    out.mkdir(parents=True, exist_ok=True)
    stages = [[trial.load_record(folder) for folder in groups] for groups in (alone, *rounds)]
    photos_only, before, augmented = (
        [value for record in stages[i] for value in record["psnr"]] for i in (0, -2, -1)
    )
    accepted = [record["accepted"] for record in stages[-1]]
    was, now = (sum(values) / len(values) for values in (before, augmented))
    record = DecisionRecord(
        keep=round(now, 2) > round(was, 2),  # as it is told
        why=_explain(was, now, len(before), sum(accepted), len(rounds)),
        left_out=[name for one in stages[0] for name in one["left_out"]],
        groups=[i for i, one in enumerate(stages[0], start=1) for _ in one["left_out"]],
        photos_only=photos_only,
        before=before,
        augmented=augmented,
        requested=[one["requested"] for one in stages[-1]],
        accepted=accepted,
    )
    write_json(out / "decide.json", record)


def decide_nothing(why: str, out: Path) -> None:
    """Keep the scene before, for no photo can say whether it is the better one; `why` says why, in words."""
    out.mkdir(parents=True, exist_ok=True)
    none = DecisionRecord(
        keep=False,
        why=why,
        left_out=[],
        groups=[],
        photos_only=[],
        before=[],
        augmented=[],
        requested=[],
        accepted=[],
    )
    write_json(out / "decide.json", none)


def _explain(was: float, now: float, photos: int, accepted: int, number: int) -> str:
    judges = f"{count_noun(photos, 'training photo')} left out in turn"
    if not accepted:
        return f"made without {judges}, no generated frame passed the gate"
    frames = "generated views" if number == 1 else f"the views of round {number}"
    if round(now, 2) == round(was, 2):
        change = "left PSNR as it was"
    else:
        change = f"{'raised' if now > was else 'lowered'} PSNR from {was:.2f} to {now:.2f} dB"
    return f"{frames} {change} on {judges}"


def load_record(folder: Path) -> DecisionRecord:
    """What `decide` wrote down.

    Raises:
        DamagedFileError: it is not what was written.
    """
    return read_typed(folder / "decide.json", DecisionRecord)
