"""Ask a world model for a clip along each of some camera paths."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bridge4d.asking.find_paths import find_paths
from bridge4d.asking.list_clips import (
    ASKED_FILE,
    GENERATED,
    MANIFEST,
    check_label,
    check_others,
    list_clips,
    state_question,
)
from bridge4d.asking.options import AskOptions
from bridge4d.asking.own_photos import find_own_photos
from bridge4d.asking.plan_clips import PlannedClip, plan_from_capture, plan_from_own_photos
from bridge4d.augmenting.prepare import check_choice
from bridge4d.runs.fingerprints import fingerprint_scenes
from bridge4d.runs.run import Run
from bridge4d.runs.store import cameras_to_json
from bridge4d.runs.stored_json import write_json
from bridge4d.stages import views
from eval.results.measure import AskedModel
from recon.camera_files.formats.transforms_write import write_transforms
from recon.clips.source import safe_name
from recon.compute.progress import note
from recon.compute.seeds import make_generator
from recon.errors import BridgeError
from recon.words import count_noun
from worldgen.model import WorldModel
from worldgen.registry import chooses_cameras, describe

STREAM = 31
"""Of random numbers: no other part of a run draws from it."""
VERSION = 1
"""Of how clips are asked for; raised when the same request gives another clip."""


def ask_clips(
    run: Run, asking: AskOptions, *, seed: int, convention: str | None, allow_outside: bool
) -> tuple[Path, dict[str, AskedModel]]:
    """Ask for the clips, each a stage of the run.

    Returns:
        A manifest of them, and of those that other models were asked for along the same paths from the same photos; and how these
        models were asked.

    Raises:
        BridgeError: no such model, no readable paths or photos, photos that COLMAP can make nothing of, an answer that is none.
    """
    asking.check()
    assert asking.model is not None
    assert asking.photos is not None
    check_choice(asking)
    if chooses_cameras(asking.model):
        raise BridgeError(
            f"{asking.model} chooses its cameras itself and follows no path; measure its clip as it is: bridge4d measure CLIP --cameras "
            "FILE --out runs/clip"
        )
    label = safe_name(asking.label or _own_name(asking)).replace("/", "_")
    check_label(run, label, str(asking.model))
    paths = find_paths(asking.paths)
    if not asking.photos.exists():
        raise BridgeError(f"expected photos at {asking.photos}, there is nothing")
    own = find_own_photos(asking.photos, paths)
    read: dict[str, Any] = {"convention": convention, "allow_outside": allow_outside}
    clips = (
        plan_from_capture(run, paths, asking, seed=seed, **read)
        if own is None
        else plan_from_own_photos(paths, own, asking, **read)
    )
    check_others(run, clips, label)
    where = "one capture" if own is None else "a picture or clip for each path"
    note(
        f"{count_noun(len(clips), 'clip')} of {label} along {count_noun(len(paths), 'path')}, from {where}: {asking.photos}"
    )
    _generate(run, label, clips, asking, seed)
    told = describe(asking.model, asking.model_options)
    model = AskedModel(
        model=str(asking.model),
        description=told["description"],
        license=told["license"],
        photos=str(asking.photos),
        **clips[0].scale,
    )
    return run.folder / MANIFEST, list_clips(run, clips, label, model)


def _own_name(asking: AskOptions) -> str:
    """What a report calls the model: the name alone, of a file or module the class."""
    name = str(asking.model)
    stated = asking.model_options.get("name")
    first, _, rest = name.partition(":")
    if stated:
        return str(stated)
    return rest if rest.isidentifier() else Path(first).stem


def _generate(run: Run, label: str, clips: Sequence[PlannedClip], asking: AskOptions, seed: int) -> None:
    loaded: list[WorldModel] = []
    for number, clip in enumerate(clips, start=1):

        def work(folder: Path, clip: PlannedClip = clip, number: int = number) -> None:
            if not loaded:  # not where all clips are there
                loaded.append(asking.load_model(run.folder))
            note(f"clip {number} of {len(clips)}: {label} along {clip.name}")
            answer = clip.ask(loaded[0], make_generator(seed, STREAM, _number_of(clip.name)))
            names = tuple(f"{i:05d}" for i in range(len(answer)))
            write_transforms(folder / "transforms.json", replace(answer, names=names, confidence=None))
            write_json(folder / ASKED_FILE, {"asked_of": state_question(clip), "prompt": asking.prompt or ""})

        run.stage(
            f"{GENERATED}/{label}/{clip.name}",
            work,
            version=VERSION * 1000 + views.VERSION,
            depends_on={
                "seed": seed,
                "prompt": asking.prompt,
                "path": cameras_to_json(clip.cameras),
                "photos": clip.photos,
                **asking.model_key,
            },
            earlier=clip.earlier,
            reads=lambda: fingerprint_scenes([*asking.model_scenes, *asking.model_files]),
        )


def _number_of(name: str) -> int:
    """The same whatever other clips are asked for: 32 bits of a hash."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
