"""Ask a world model for a clip along each of some camera paths, and list the clips for measuring."""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from bridge4d.asking.find_paths import AskedPath, find_paths, key_of, lay_path, read_asked
from bridge4d.asking.options import AskOptions
from bridge4d.asking.own_photos import find_own_photos, read_own_photos
from bridge4d.augmenting.prepare import PreparedPhotos, prepare_photos
from bridge4d.generating.path import plan_path
from bridge4d.rendering.options import RenderOptions
from bridge4d.runs.fingerprints import fingerprint_scenes
from bridge4d.runs.run import Run
from bridge4d.runs.run_folder import set_aside
from bridge4d.runs.stages import read_stage
from bridge4d.runs.stored_json import read_object, write_json
from bridge4d.stages import sfm, views
from bridge4d.stages.options import CaptureOptions
from bridge4d.stages.views import ask_model
from eval.results.measure import AskedModel
from eval.results.reading import from_json, to_json
from recon.camera_files.formats.transforms_write import write_transforms
from recon.cameras import Cameras
from recon.clip import Clip
from recon.clips.source import safe_name
from recon.compute.progress import note
from recon.compute.seeds import make_generator
from recon.depth.monocular import check_metric_depth
from recon.errors import BridgeError
from recon.scene import Scene
from recon.words import count_noun
from worldgen.model import ChoosesCameras, Request, WorldModel
from worldgen.registry import check_model, describe
from worldgen.rollout import rollout
from worldgen.units import median_depth

GENERATED, MANIFEST, ASKED_FILE = "generated", "generated.csv", "asked.json"
STREAM = 31
"""Of random numbers: no other part of a run draws from it."""
DEFAULT_FRAMES = 24
"""Cameras of orbit and the like: all pairs of so few frames are matched in seconds."""
VERSION = 1
"""Of how clips are asked for; raised when the same request gives another clip."""

AskOne = Callable[[WorldModel, torch.Generator], Clip]


@dataclass(frozen=True)
class _Clip:
    """One clip to be asked for."""

    name: str
    path: str
    """Clips of one path are compared in pairs."""
    cameras: Cameras
    ask: AskOne
    made_of: dict[str, Any]
    earlier: dict[str, str]
    scale: dict[str, Any]


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
    check_model(asking.model, asking.model_options)
    if asking.metric_depth is not None:
        check_metric_depth(asking.metric_depth)
    paths = find_paths(asking.paths)
    if not asking.photos.exists():
        raise BridgeError(f"expected photos at {asking.photos}, there is nothing")
    own = find_own_photos(asking.photos, paths)
    clips = (
        _plan_from_capture(run, paths, asking, seed, convention, allow_outside)
        if own is None
        else _plan_from_own_photos(paths, own, asking, convention, allow_outside)
    )
    label = safe_name(asking.label or _own_name(asking)).replace("/", "_")
    where = "one capture" if own is None else "a picture or clip for each path"
    note(
        f"{count_noun(len(clips), 'clip')} of {label} along {count_noun(len(paths), 'path')}, from {where}: {asking.photos}"
    )
    _generate(run, label, clips, asking, seed)
    _write_manifest(run, clips, asking)
    return run.folder / MANIFEST, _note_model(run, label, clips, asking)


def _own_name(asking: AskOptions) -> str:
    """What a report calls the model: the name alone, of a file or module the class."""
    name = str(asking.model)
    stated = asking.model_options.get("name")
    first, _, rest = name.partition(":")
    if stated:
        return str(stated)
    return rest if rest.isidentifier() else Path(first).stem


def _plan_from_capture(
    run: Run,
    paths: list[AskedPath],
    asking: AskOptions,
    seed: int,
    convention: str | None,
    allow_outside: bool,
) -> list[_Clip]:
    """Paths that begin at photos of one capture, whose cameras and depth are stages of the run."""
    assert asking.photos is not None
    options = CaptureOptions(max_side=asking.picture_side, seed=seed, allow_outside=allow_outside)
    in_frame = next((path.file for path in paths if path.file is not None), None) if asking.in_place else None
    prepared = prepare_photos(run, asking.photos, options, cameras_in_frame=in_frame, choice=asking)
    if prepared.photos is None or prepared.surfaces is None:
        raise BridgeError(
            f"COLMAP could not recover cameras from the photos of {asking.photos}: {prepared.about['sfm']['status']}; take photos "
            "that overlap more, or give a capture with cameras"
        )
    photos, surfaces = prepared.photos, prepared.surfaces
    found = [
        (name, path.name, cameras)
        for i, path in enumerate(paths)
        for name, cameras in _lay_at_photos(path, i, prepared, asking, convention)
    ]

    def ask_along(cameras: Cameras) -> AskOne:
        return lambda model, generator: ask_model(
            photos,
            prepared.known,
            model=model,
            targets=cameras,
            prompt=asking.prompt,
            generator=generator,
        )

    scale = dict(prepared.scale)
    earlier = {"depth": surfaces.fingerprint, **prepared.scale_fingerprint}
    return [
        _Clip(name, path, cameras, ask_along(cameras), {}, earlier, scale) for name, path, cameras in found
    ]


def _lay_at_photos(
    path: AskedPath, number: int, prepared: PreparedPhotos, asking: AskOptions, convention: str | None
) -> list[tuple[str, Cameras]]:
    """A path in the frame of the photos: (name of the clip, cameras), one for each photo at which it begins."""
    assert prepared.photos is not None
    photos = prepared.photos.require_cameras()
    if path.file is None or asking.in_place:
        frames = asking.path_frames or (DEFAULT_FRAMES if path.file is None else None)
        asked = RenderOptions(path=str(path.file or path.name), frames=frames, max_side=asking.picture_side)
        return [(path.name, plan_path(prepared, replace(asked, convention=convention)).cameras)]
    stated = read_asked(
        path, width=photos.width, height=photos.height, convention=convention, frames=asking.path_frames
    ).cameras
    depth = median_depth(sfm.load_points(prepared.cameras.folder), photos)
    extent = None if depth is None else asking.extent * depth
    laid = []
    for k in range(asking.starts):
        # one after the other, so that paths and repetitions spread over the photos
        start = (number * asking.starts + k) % len(photos)
        name = path.name if asking.starts == 1 else f"{path.name}@{start}"
        laid.append((name, lay_path(stated, photos[start], extent=extent)))
    return laid


def _plan_from_own_photos(
    paths: list[AskedPath],
    own: dict[str, Path],
    asking: AskOptions,
    convention: str | None,
    allow_outside: bool,
) -> list[_Clip]:
    """Paths with photos of their own, which are read when they are asked along."""
    clips = []
    for path in paths:
        context, asked = read_own_photos(
            path,
            own[path.name],
            context=asking.context,
            side=asking.picture_side,
            convention=convention,
            allow_outside=allow_outside,
        )
        request = Request(
            context, asked.cameras, prompt=asking.prompt, scene=Scene(metres_per_unit=asking.metres_per_unit)
        )

        def ask(model: WorldModel, generator: torch.Generator, request: Request = request) -> Clip:
            answer = rollout(model, request, generator=generator)
            return answer.clip if answer.drawn is None else replace(answer.clip, cameras=answer.drawn)

        made_of = {"context": _pixels_key(context), "metres_per_unit": asking.metres_per_unit}
        scale = {
            "metres_per_unit": asking.metres_per_unit,
            "scale_from": "unknown" if asking.metres_per_unit is None else "given",
        }
        clips.append(_Clip(path.name, path.name, asked.cameras, ask, made_of, {}, scale))
    return clips


def _pixels_key(clip: Clip) -> str:
    from bridge4d.runs.store import clip_fingerprint

    return clip_fingerprint(clip)


def _generate(run: Run, label: str, clips: list[_Clip], asking: AskOptions, seed: int) -> None:
    loaded: list[WorldModel] = []
    for number, clip in enumerate(clips):

        def work(folder: Path, clip: _Clip = clip, number: int = number) -> None:
            if not loaded:  # not where all clips are there
                loaded.append(_load(run, asking))
            note(f"clip {number + 1} of {len(clips)}: {label} along {clip.name}")
            answer = clip.ask(loaded[0], make_generator(seed, STREAM, number))
            names = tuple(f"{i:05d}" for i in range(len(answer)))
            write_transforms(folder / "transforms.json", replace(answer, names=names, confidence=None))
            write_json(folder / ASKED_FILE, {"asked_of": _same_question(clip)})

        run.stage(
            f"{GENERATED}/{label}/{clip.name}",
            work,
            version=VERSION * 1000 + views.VERSION,
            depends_on={
                "seed": seed,
                "number": number,
                "prompt": asking.prompt,
                "path": key_of(clip.cameras),
                **clip.made_of,
                **asking.model_key,
            },
            earlier=clip.earlier,
            reads=lambda: fingerprint_scenes([*asking.model_scenes, *asking.model_files]),
        )


def _load(run: Run, asking: AskOptions) -> WorldModel:
    model = asking.load_model(run.folder)
    if isinstance(model, ChoosesCameras):
        raise BridgeError(
            f"{model.spec.name} chooses its cameras itself and follows no path; measure its clip as it is: bridge4d measure CLIP --cameras "
            "FILE --out runs/clip"
        )
    return model


def _same_question(clip: _Clip) -> str:
    """Equal for clips of several models that answer the same: along the same cameras, from the same photos."""
    return json.dumps([key_of(clip.cameras), clip.made_of.get("context"), clip.earlier], sort_keys=True)


def _write_manifest(run: Run, clips: list[_Clip], asking: AskOptions) -> None:
    """List the clips of all models that were asked the same; others are set aside."""
    questions = {clip.name: _same_question(clip) for clip in clips}
    path_of = {clip.name: clip.path for clip in clips}
    rows = []
    for folder in sorted((run.folder / GENERATED).glob("*/*")):
        name, model = folder.name, folder.parent.name
        if name.startswith(".") or read_stage(f"{GENERATED}/{model}/{name}", folder) is None:
            continue
        if questions.get(name) != read_object(folder / ASKED_FILE, "asked_of")["asked_of"]:
            moved = set_aside(folder, run.folder, f"{GENERATED}/{model}/{name}")
            note(f"{model} along {name}: asked otherwise before, kept in {moved}")
            continue
        rows.append({
            "clip": folder.relative_to(run.folder).as_posix(),
            "name": f"{model}/{name}",
            "model": model,
            "group": path_of[name],
            "prompt": asking.prompt or "",
        })  # fmt: skip
    with run.file(MANIFEST) as file, file.open("w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


def _note_model(run: Run, label: str, clips: list[_Clip], asking: AskOptions) -> dict[str, AskedModel]:
    """Add what is known of this model to ``asked.json``, which has an entry for each model with clips."""
    assert asking.model is not None
    place = run.folder / ASKED_FILE
    stored = read_object(place, "models")["models"] if place.is_file() else {}
    known = {model: from_json(AskedModel, asked) for model, asked in stored.items()}
    told = describe(asking.model, asking.model_options)
    known[label] = AskedModel(
        description=told["description"],
        license=told["license"],
        clips=len(clips),
        paths=len({clip.path for clip in clips}),
        photos=str(asking.photos),
        **clips[0].scale,
    )
    known = {model: asked for model, asked in known.items() if (run.folder / GENERATED / model).is_dir()}
    with run.file(ASKED_FILE) as file:
        write_json(file, {"models": to_json(known)})
    return known
