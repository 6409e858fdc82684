"""Registry of scene formats by file name, and reading and writing of scenes by it."""

import difflib
import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from recon.errors import MissingDependencyError, SceneFileError
from recon.gaussians import Gaussians
from recon.scenefiles.axes import Axes, axes_from_rdf
from recon.scenefiles.clean import clean, clean_frames
from recon.scenefiles.scene_file import SceneFile, WriteOptions, Written
from recon.sequence import GaussianFrames
from recon.splats.similarity import turn_gaussians


@dataclass(frozen=True)
class Format:
    """A scene format: its names, abilities and losses."""

    name: str
    suffixes: tuple[str, ...]
    """Endings of file names, or whole names such as meta.json; the longest that fits decides."""
    module: str
    """Below `recon.scenefiles.formats`; imported when first used."""
    axes: Axes
    """What its files hold unless they say otherwise."""
    title: str
    loses: str = ""
    """What the format cannot hold of a scene, for people; '' where it holds all."""
    reads: bool = True
    writes: bool = True
    moving: bool = False
    """Whether it holds scenes that move."""
    only_axes: tuple[Axes, ...] = ()
    """Those that it can hold, where they are not all."""
    any_axes: bool = False
    """Whether a file says which axes it has, so that others are no lie."""
    package: str = ""
    """Importable name that it needs beyond the core."""
    extra: str = ""
    """The extra of this distribution that brings it."""
    instead: str = ""
    """For a format that is neither read nor written: what to do."""


_COMPRESSED_PLY_LOSES = (
    "positions and scales to 11 bits a chunk, rotations to 10, spherical harmonics to 8; row order"
)
_SPZ_LOSES = (
    "positions to 24 bits, scales to steps of 1/16 in the logarithm, spherical harmonics to a few bits within ±1 "
    "(5 and 4, or --sh-bits)"
)
_FORMATS = (
    Format("ply", (".ply",), "ply", Axes.RDF, "PLY"),
    Format("compressed-ply", (".compressed.ply",), "compressed_ply", Axes.RDF, "compressed PLY", _COMPRESSED_PLY_LOSES),
    Format("splat", (".splat",), "splat", Axes.RDF, ".splat",
           "view-dependent colour, colours outside [0, 1], rotations to 8 bits; row order"),
    Format("ksplat", (".ksplat",), "ksplat", Axes.RDF, ".ksplat", writes=False),
    Format("spz", (".spz",), "spz.scene", Axes.RUB, "SPZ", _SPZ_LOSES, any_axes=True),
    Format("sog", (".sog", "meta.json"), "sog.scene", Axes.RDF, "SOG",
           "positions to 16 bits of their logarithm, rotations to 8, scales and colours to 256 values, spherical harmonics to a palette; row order"),
    Format("streamed-sog", ("lod-meta.json", ".ssog"), "sog.streamed", Axes.RDF, "streamed SOG", writes=False),
    Format("glb", (".glb", ".gltf"), "glb", Axes.LUF, "GLB with KHR_gaussian_splatting"),
    Format("usd", (".usd", ".usda", ".usdc", ".usdz"), "usd.scene", Axes.RUB, "USD with ParticleField3DGaussianSplat",
           moving=True, any_axes=True, only_axes=(Axes.RUB, Axes.Z_UP), package="pxr", extra="usd"),
    Format("4dgs", (".4dgs",), "fourdgs", Axes.RUB, ".4dgs",
           "colours outside [0, 1]; positions, rotations, scales and spherical harmonics to steps", moving=True, any_axes=True,
           package="fourdgs", extra="4d"),
    Format("ply-sequence", ("#.ply", "#.compressed.ply", "manifest.json"), "sequence", Axes.RDF,
           "numbered PLY frames with a manifest.json", moving=True, any_axes=True),
    Format("spz-sequence", ("#.spz",), "sequence", Axes.RUB, "numbered SPZ frames with a manifest.json",
           _SPZ_LOSES, moving=True, any_axes=True),
    Format("motion", (".safetensors",), "motion_tensors", Axes.RDF, "a moving scene as this program trains it", moving=True,
           writes=False, instead="reconstruct --moving writes it; frames of a scene have lost its motion"),
    Format("html", (".html", ".htm"), "html", Axes.RDF, "an HTML page",
           f"{_COMPRESSED_PLY_LOSES} (of a moving scene: {_SPZ_LOSES})", reads=False, moving=True, any_axes=True),
    Format("points", ("points.ply", ".points.ply"), "points", Axes.RDF, "a point cloud (PLY)",
           "all but position and colour of the opaque Gaussians", reads=False),
    Format("las", (".las", ".laz"), "points", Axes.Z_UP, "a point cloud (LAS)",
           "all but position and colour of the opaque Gaussians", reads=False, package="laspy", extra="las"),
    Format("nurec", (".nurec",), "", Axes.Z_UP, "NuRec", reads=False, writes=False,
           instead="NuRec is deprecated and neither read nor written; 3dgrut's transcode script turns it into USD or PLY"),
)  # fmt: skip
FORMATS: dict[str, Format] = {entry.name: entry for entry in _FORMATS}
"""Formats by name."""
FOLDER_FILES = ("lod-meta.json", "meta.json", "manifest.json")
"""What a folder that is one scene holds."""


def find_format(path: Path | str, *, to: Literal["read", "write"] = "read") -> Format:
    """The format that a name means; of a folder, what lies in it.

    Args:
        path: a name; nothing is opened.
        to: what shall be done with it, so that the message names the endings that help.

    Raises:
        SceneFileError: no format has such a name; the message lists those there are.
    """
    path = Path(path)
    if path.is_dir():
        return FORMATS["ply-sequence"] if (inside := _folder_file(path)) is None else find_format(inside)
    name = path.name.lower()
    fitting = [
        (s, f)
        for f in FORMATS.values()
        for s in f.suffixes
        if name == s or (s[0] in ".#" and name.endswith(s))
    ]
    if not fitting:
        known = [f for f in FORMATS.values() if (f.reads if to == "read" else f.writes)]
        endings = list(dict.fromkeys(s for f in known for s in f.suffixes if s[0] == "."))
        close = difflib.get_close_matches(path.suffix.lower(), endings, n=1)
        # another ending would not make another file of one that is there
        hint = f"; did you mean {close[0]}?" if close and not path.exists() else ""
        raise SceneFileError(
            f"{path.name} is no kind of scene file that is {'read' if to == 'read' else 'written'} here, expected {' '.join(endings)}{hint}"
        )
    return max(fitting, key=lambda item: len(item[0]))[1]


def _folder_file(folder: Path) -> Path | None:
    return next((folder / name for name in FOLDER_FILES if (folder / name).is_file()), None)


def read_scene(path: Path | str, *, axes: Axes | None = None) -> SceneFile:
    """A scene in the project's axes, whatever file it is in; what is not a number in it is left out.

    Args:
        path: a file, or a folder of one scene (SOG, streamed SOG, numbered frames).
        axes: what the file holds; None: what it says itself, else what its format means by habit.

    Raises:
        SceneFileError: unknown, damaged, or no scene of Gaussians.
        MissingDependencyError: its extra is not installed.

    Example:
        >>> read_scene("scene.spz").gaussians
    """
    path = Path(path)
    entry = find_format(path)
    if path.is_dir():
        path = _folder_file(path) or path
    found = _function(entry, "read", path)(path)
    held = axes or found.axes
    moving = found.moving
    if held is not Axes.RDF:
        rdf_from_file = axes_from_rdf(held).T

        def turn(scene: Gaussians) -> Gaussians:
            """Turn a scene between the axes of its file and RDF."""
            return turn_gaussians(scene, rdf_from_file)

        found = replace(found, gaussians=turn(found.gaussians))
        moving = None if moving is None else moving.map_frames(turn)
    scene, counts = clean(found.gaussians)
    notes = [f"{count} of its Gaussians {_MENDED[name]}" for name, count in counts.items() if count]
    return replace(
        found,
        gaussians=scene,
        axes=held,
        format=_format_of_frames(entry, found).name,
        axes_stated=found.axes_stated or axes is not None,
        moving=None if moving is None else moving.map_frames(lambda one: clean(one)[0]),
        stored=moving,
        notes=(*found.notes, *([found.axes_note] if found.axes_note and axes is None else []), *notes),
        dropped=counts["dropped"],
    )


def _format_of_frames(entry: Format, found: SceneFile) -> Format:
    """Format of the frames of a numbered sequence, which folder and manifest do not name."""
    if entry.module != "sequence":
        return entry
    return FORMATS["spz-sequence" if found.files[0].suffix.lower() == ".spz" else "ply-sequence"]


_MENDED = {
    "dropped": "are not numbers and were left out",
    "opacity": "have an opacity of exactly 0 or 1, which was moved a millionth inwards",
    "scale": "have a scale of nearly 0, which was set to e^−20",
    "quaternion": "have a rotation of length 0, which was set to none",
}


def write_scene(
    scene: Gaussians | GaussianFrames, path: Path | str, options: WriteOptions = WriteOptions()
) -> Written:
    """Write a scene in the axes of the format, or in `options.axes`; the name says the format.

    Everything passes `clean` first. A half-written file cannot exist.

    Raises:
        SceneFileError: a format that is not written, or cannot hold what was given.
        MissingDependencyError: its extra is not installed.

    Example:
        >>> write_scene(scene, "scene.spz")
    """
    path = Path(path)
    axes = options.axes or find_format(path, to="write").axes
    entry = check_writable(path, axes=axes, moments=len(scene) if isinstance(scene, GaussianFrames) else 1)
    write = _function(entry, "write", path)
    # a file name in no known encoding makes a title that cannot be written
    title = options.title.encode("utf-8", "replace").decode()
    options = replace(options, axes=axes, title=title)
    cleaned, counts = clean(scene) if isinstance(scene, Gaussians) else clean_frames(scene)
    file_from_rdf = axes_from_rdf(axes)

    def turn(one: Gaussians) -> Gaussians:
        """Turn a scene between the axes of its file and RDF."""
        return one if axes is Axes.RDF else turn_gaussians(one, file_from_rdf)

    if isinstance(cleaned, GaussianFrames):
        written = write(cleaned.map_frames(turn), path, options)
    else:
        written = write(turn(cleaned), path, options)
    mended = {f"{name} mended": count for name, count in counts.items() if count and name != "dropped"}
    notes = written.notes
    if axes is not entry.axes and not entry.any_axes:
        notes = (
            *notes,
            f"{entry.title} cannot say that its axes are {axes.value}: programs take them for {entry.axes.value}",
        )
    return replace(written, clamped={**written.clamped, **mended}, dropped=counts["dropped"], notes=notes)


def check_writable(path: Path, *, axes: Axes, moments: int = 1) -> Format:
    """The format of a name, if a scene can be written so; nothing is imported or written.

    Raises:
        SceneFileError: a format that is not written, that holds one moment of several, or not these axes.
        MissingDependencyError: its extra is not installed.
    """
    entry = find_format(path, to="write")
    _check(entry, "write", path)
    if moments > 1 and not entry.moving:
        moving = " ".join(s for f in FORMATS.values() if f.moving and f.writes for s in f.suffixes)
        raise SceneFileError(
            f"{entry.title} holds one moment and the scene has {moments}; choose one of them (--at SECONDS) or write one of "
            f"{moving}"
        )
    if entry.only_axes and axes not in entry.only_axes:
        held = " or ".join(one.value for one in entry.only_axes)
        raise SceneFileError(
            f"{entry.title} holds {held} axes, not {axes.value}; leave --axes out or give one of these"
        )
    return entry


def _function(entry: Format, name: str, path: Path) -> Callable:
    """`read` or `write` of a format, if it has it and its packages are here."""
    _check(entry, name, path)
    return getattr(importlib.import_module(f"recon.scenefiles.formats.{entry.module}"), name)


def _check(entry: Format, name: str, path: Path) -> None:
    if entry.instead and not (entry.reads if name == "read" else entry.writes):
        raise SceneFileError(f"{path.name}: {entry.instead}")
    if not (entry.reads if name == "read" else entry.writes):
        raise SceneFileError(
            f"{entry.title} is {'written' if name == 'read' else 'read'} here, not {'read' if name == 'read' else 'written'}"
        )
    if entry.package and importlib.util.find_spec(entry.package) is None:
        raise MissingDependencyError(
            f"{entry.title} needs {entry.package}, which is not installed here; run: pip install 'bridge4d[{entry.extra}]'"
        )
