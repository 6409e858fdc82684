"""Measuring clips in this process, with matches and recoveries kept: a change of what is judged costs seconds, not an hour."""

import hashlib
import pickle
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

from benchmarks.source_hash import sources
from bridge4d.measuring import clip_recovery
from bridge4d.measuring.clip_task import RESULT, ClipTask, measure_clip
from bridge4d.measuring.measure_options import MeasureOptions
from bridge4d.runs.fingerprints import measuring_versions
from bridge4d.runs.run import open_run
from bridge4d.runs.run_folder import MEASURE
from bridge4d.runs.stored_json import read_object
from eval.results.measure import ClipResult
from eval.results.reading import from_json
from recon.clip import Clip
from recon.clips.clipset import find_clips
from recon.errors import BridgeError
from recon.pictures.eight_bit import to_eight_bit
from recon.recovery import Recovery
from recon.sfm.matches import Matches
from recon.sfm.recipes import FRAMES, Recipe
from recon.sfm.recoverer import Recoverer

T = TypeVar("T")


class KeptRecoverer(Recoverer):
    """Asks the disk first. Clips of equal pictures, lenses and masks share what is kept, for a recoverer looks at nothing else.

    Args:
        store: folder of what is kept, for each state of the code of structure from motion.
        options: of `Recoverer`.
    """

    def __init__(self, clip: Clip, folder: Path, *, store: Path, **options: Any) -> None:
        super().__init__(clip, folder, **options)
        self._store = store / sources("recon.sfm.recoverer")[:12]
        self._store.mkdir(parents=True, exist_ok=True)
        self._seen = hashlib.sha256(to_eight_bit(clip.images).numpy().tobytes())
        if self.hidden is not None:
            self._seen.update(self.hidden.numpy().tobytes())
        self._seen.update(f"{clip.images.shape} {self.ordered} {self.max_features}".encode())

    def matches(self, recipe: Recipe = FRAMES) -> Matches:
        """As `Recoverer.matches`."""
        key = f"matches {recipe.features} {self._limit(recipe)} {self._scheme(recipe)}"
        return self._keep(key, lambda: super(KeptRecoverer, self).matches(recipe))

    def recover(self, recipe: Recipe) -> Recovery:
        """As `Recoverer.recover`."""
        lens = self.K.double().numpy().tobytes().hex() if self.K is not None else ""
        key = f"recovery {asdict(recipe)} {lens if recipe.intrinsics == 'fixed' else ''}"
        found = self._keep(key, lambda: super(KeptRecoverer, self).recover(recipe))
        return replace(found, names=tuple(self.clip.names))

    def _keep(self, key: str, make: Callable[[], T]) -> T:
        name = self._seen.copy()
        name.update(key.encode())
        file = self._store / f"{name.hexdigest()[:24]}.pickle"
        if file.is_file():
            return pickle.loads(file.read_bytes())
        made = make()
        beside = file.with_suffix(".part")
        beside.write_bytes(pickle.dumps(made))
        beside.replace(file)
        return made


def measure_here(
    manifest: Path, run: Path, options: MeasureOptions, *, store: Path, note: Callable[[str], None]
) -> dict[str, ClipResult]:
    """What `measure_clips` measures of each clip of a manifest, one after the other: name -> result."""
    out: dict[str, ClipResult] = {}
    with (
        open_run(run, kind=MEASURE) as opened,
        patch.object(clip_recovery, "Recoverer", partial(KeptRecoverer, store=store)),
    ):
        tasks = [
            ClipTask(source, options, opened.folder.resolve(), measuring_versions())
            for source in find_clips(manifest).sources
        ]
        for task in tasks:
            try:
                kept = measure_clip(task).kept
                stored = read_object(task.folder / RESULT, "result")["result"]
                result = from_json(ClipResult, stored)
            except BridgeError as error:
                kept, result = False, ClipResult(name=task.source.name, failed=str(error))
            out[task.source.name] = result
            if not kept:
                note(_sum_up(task.source.name, result))
    return out


def _sum_up(name: str, clip: ClipResult) -> str:
    said: Sequence[str] = [clip.failed] if clip.failed else [*clip.causes, *clip.notes]
    seconds = sum(clip.seconds.values())
    return (
        f"{name}: {clip.registered} of {clip.frames}, {'; '.join(said) or 'nothing said'} ({seconds:.0f} s)"
    )
