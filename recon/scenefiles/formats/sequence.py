"""A moving scene as numbered files, one a frame, with a `manifest.json` that knows their times.

`frames/room_####.ply` writes `frames/room_0000.ply` …; SuperSplat's editor and the tools of 4D Gaussians play such
folders. The manifest holds {version, fps, axes, identity, frames: [{time_s, file}]}. Folders without one are read too.
"""

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import torch

from recon.bounded import decode_json
from recon.compute.files import atomic_write
from recon.compute.lazy import LazySequence
from recon.compute.progress import progress
from recon.errors import SceneFileError
from recon.gaussians import Gaussians
from recon.scenefiles.axes import Axes
from recon.scenefiles.bounded import plain_member, read_file
from recon.scenefiles.scene_file import SceneFile, WriteOptions, Written
from recon.sequence import GaussianFrames

MANIFEST = "manifest.json"
ASSUMED_FPS = 24.0
"""Frames a second of folders without a manifest."""
MOST_FRAMES = 100_000
"""Frames of a manifest at most: an hour at 24 a second has 86,400."""
LARGEST_MANIFEST = 1 << 24
"""Bytes; the most frames take a hundred each."""
MODULES = {".compressed.ply": "compressed_ply", ".ply": "ply", ".spz": "spz.scene", ".splat": "splat"}
"""Suffixes of frames and the modules that read and write one; the first that fits decides."""


def write(scene: Gaussians | GaussianFrames, path: Path, options: WriteOptions) -> Written:
    """Write every frame under the number that takes the place of the # in the name, and the manifest."""
    frames = scene
    if isinstance(frames, Gaussians):
        frames = GaussianFrames(torch.zeros(1, dtype=torch.float64), (frames,), identity=True)
    places = re.search(r"#+", path.name)
    if places is None:
        raise SceneFileError(
            f"expected # where the frame's number goes, such as room_####.ply, got {path.name}"
        )
    one = _inner(path.name)
    stale = _own_frames(path)
    digits = max(len(places.group()), len(str(len(frames) - 1)))
    clamped: dict[str, int] = {}
    rows = []
    orders: list = []
    notes: dict[str, None] = {}
    with progress("writing frames", len(frames)) as update:
        for index in range(len(frames)):
            name = path.name[: places.start()] + f"{index:0{digits}d}" + path.name[places.end() :]
            written = one.write(frames.frames[index], path.with_name(name), options)
            for key, count in written.clamped.items():
                clamped[key] = clamped.get(key, 0) + count
            orders.append(written.order)
            notes |= dict.fromkeys(written.notes)
            rows.append({"time_s": float(frames.times_s[index]), "file": name})
            update(index + 1, name)
    assert options.axes is not None
    said = {
        "version": 1,
        "fps": frames.fps,
        "axes": options.axes.value,
        "identity": frames.identity and all(order is None for order in orders),
        "frames": rows,
    }
    with atomic_write(path.with_name(MANIFEST)) as beside:
        beside.write_text(json.dumps(said, indent=1))
    for name in stale - {row["file"] for row in rows}:  # frames of a longer scene that stood here before
        path.with_name(name).unlink(missing_ok=True)
    files = (path.with_name(MANIFEST), *(path.with_name(row["file"]) for row in rows))
    return Written(clamped=clamped, order=tuple(orders), files=files, notes=tuple(notes))


def _own_frames(path: Path) -> set[str]:
    """Names of the frames that an earlier scene of this very pattern left in the folder.

    Raises:
        SceneFileError: the folder's manifest is of other frames, which this one would disown.
    """
    manifest = path.with_name(MANIFEST)
    if not manifest.is_file():
        return set()
    try:
        listed = {
            str(row["file"]) for row in decode_json(read_file(manifest, most=LARGEST_MANIFEST))["frames"]
        }
    except (OSError, ValueError, KeyError, TypeError):
        listed = {MANIFEST}
    before, _, after = re.split(r"(#+)", path.name, maxsplit=1)
    own = re.compile(re.escape(before) + r"\d+" + re.escape(after))
    others = [name for name in listed if not own.fullmatch(name)]
    if others:
        raise SceneFileError(
            f"{manifest} belongs to other frames ({others[0]} …) than {path.name}; write these into a folder of their own"
        )
    return listed


def _inner(name: str):
    """The module that writes or reads a single frame."""
    import importlib

    lower = name.lower()
    module = next((module for suffix, module in MODULES.items() if lower.endswith(suffix)), None)
    if module is None:
        raise SceneFileError(f"{name} is no frame that is read here, expected one of {' '.join(MODULES)}")
    return importlib.import_module(f"recon.scenefiles.formats.{module}")


def read(path: Path) -> SceneFile:
    """A folder of frames, or its manifest. Frames are read when they are asked for, and share the first one's axes.

    Raises:
        SceneFileError: no frames, names that lead out of the folder, times that do not rise.
    """
    if path.is_dir():
        return _read_numbered(path)
    if path.name.lower() != MANIFEST and not path.with_name(MANIFEST).is_file():
        return _read_numbered(path.parent, like=path.name)
    path = path.with_name(MANIFEST)
    try:
        said = decode_json(read_file(path, most=LARGEST_MANIFEST))
        rows = said["frames"]
        names = [plain_member(str(row["file"]), path) for row in rows]
        times = [float(row["time_s"]) for row in rows]
        axes = Axes(said["axes"]) if "axes" in said else None
        identity = bool(said.get("identity", False))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SceneFileError(f"{path} is no manifest of frames ({type(error).__name__}: {error})") from error
    if not 0 < len(names) <= MOST_FRAMES or not all(map(math.isfinite, times)):
        raise SceneFileError(
            f"{path} lists {len(names)} frames, expected 1 to {MOST_FRAMES} with finite times"
        )
    return _sequence([path.parent / name for name in names], times, axes, identity, ())


def _read_numbered(folder: Path, like: str = "") -> SceneFile:
    """Files of one prefix and suffix, in the order of their numbers."""
    groups: dict[tuple[str, str], list[tuple[int, Path]]] = {}
    scenes = 0
    wanted = re.sub(r"[#\d]+", "#", like.lower())
    for file in folder.iterdir() if folder.is_dir() else []:
        scenes += file.name.lower().endswith(tuple(MODULES))
        found = re.fullmatch(r"(.*?)(\d+)(\.compressed\.ply|\.ply|\.spz|\.splat)", file.name, re.IGNORECASE)
        if found and file.is_file() and (not like or re.sub(r"[#\d]+", "#", file.name.lower()) == wanted):
            groups.setdefault((found[1], found[3].lower()), []).append((int(found[2]), file))
    numbered = sorted(max(groups.values(), key=len)) if groups else []
    # a folder of scenes of which some names end in numbers is no film
    in_turn = [number - numbered[0][0] for number, _ in numbered] == list(range(len(numbered)))
    if len(numbered) < 2 or not in_turn or 2 * len(numbered) <= scenes:
        raise SceneFileError(
            f"expected a scene in {folder}: meta.json (SOG), lod-meta.json, manifest.json or frames whose numbers follow "
            f"one another, such as frame_0000.ply; {_instead(folder)}"
        )
    files = [file for _, file in numbered]
    notes = [
        f"{files[0].name} to {files[-1].name} were taken for {len(files)} frames of one scene that moves; without a "
        f"manifest.json {ASSUMED_FPS:g} a second are assumed"
    ]
    if len(groups) > 1:
        others = sum(map(len, groups.values())) - len(files)
        notes.append(f"{others} numbered files of other names were left out")
    return _sequence(files, [i / ASSUMED_FPS for i in range(len(files))], None, False, tuple(notes))


def _instead(folder: Path) -> str:
    """What somebody may have meant by a folder that is no scene."""
    inside = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
    if "dataset.json" in inside:
        return "this is a dataset, for bridge4d augment and other trainers"
    scenes = [name for name in inside if name.lower().endswith(tuple(MODULES))]
    if scenes:
        return f"give one of its files, {folder / scenes[0]} for instance"
    return f"it holds {', '.join(inside[:5]) or 'nothing'}"


def _sequence(
    files: list[Path], times: list[float], axes: Axes | None, identity: bool, notes: tuple[str, ...]
) -> SceneFile:
    first = _inner(files[0].name).read(files[0])
    lazy = LazySequence(lambda i: _inner(files[i].name).read(files[i]).gaussians, range(len(files)))
    frames = GaussianFrames(torch.tensor(times, dtype=torch.float64), lazy, identity)
    return replace(
        first,
        axes=axes or first.axes,
        axes_stated=axes is not None or first.axes_stated,
        axes_note="" if axes is not None else first.axes_note,
        notes=(*first.notes, *notes),
        moving=frames if len(frames) > 1 else None,
        files=tuple(files),
    )
