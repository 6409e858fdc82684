"""The export: choose what and where, write, read back, compare, note."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from bridge4d.exporting.frame import ExportFrame, choose_frame
from bridge4d.exporting.moments import choose_moments
from bridge4d.exporting.options import ExportOptions
from bridge4d.exporting.sidecar import FileReport, note_exports
from bridge4d.scenes import Scene, load_scene
from recon.errors import BridgeError, SceneFileError
from recon.gaussians import Gaussians, concatenate
from recon.progress import progress
from recon.scenefiles import Axes, Viewpoint, WriteOptions, Written, find_format, read_scene, write_scene
from recon.scenefiles.axes import axes_from_rdf
from recon.scenefiles.clean import clean
from recon.scenefiles.compare import attribute_errors
from recon.scenefiles.registry import Format
from recon.sequence import GaussianFrames
from recon.sim3 import Sim3
from recon.splats.select import select
from recon.splats.similarity import transform_gaussians

FLOAT32_DIGITS = 1e5
"""Coordinates so many times larger than the scene leave it 2 digits in float32."""

DATASET = Format(
    "dataset",
    (),
    "",
    Axes.RDF,
    "a dataset for gsplat, 3DGS and nerfstudio",
    "the Gaussians: it holds photos, cameras and points to train from anew",
    reads=False,
)
"""A folder; not in the registry, because no scene of Gaussians is in it."""


@dataclass(frozen=True)
class ExportResult:
    """What was written, and what that did to the scene."""

    files: tuple[FileReport, ...]
    frame: ExportFrame
    left_out: dict[str, int]
    """Reason → how many Gaussians were left out: what was asked for, and what is not a number."""
    notes: tuple[str, ...] = ()
    """What the source files said."""


@dataclass(frozen=True)
class _Ready:
    """A scene as it will be written, in the project's axes."""

    scene: Gaussians | GaussianFrames
    first: Gaussians
    backdrop: Bool[Tensor, "g"]
    source: Scene
    frame: ExportFrame
    left_out: dict[str, int]


def export(
    scene: Path | str | Scene | Sequence[Path | str],
    to: Path | str | Sequence[Path | str],
    options: ExportOptions | None = None,
) -> ExportResult:
    """Write a scene as any number of files; each name says its format.

    Nothing is left out unless `options` asks for it. An `export.json` beside the files says what was written, how far it
    lies from the scene, and in which frame.

    Args:
        scene: a run folder, a file, a folder of frames; several are merged.
        to: names of files, such as `room.spz`.
        options: see `ExportOptions`.

    Raises:
        BridgeError: nothing that can be read, a name of no format, or something that a format cannot hold.

    Example:
        >>> export("runs/kitchen", ["kitchen.spz", "kitchen.html"])
    """
    options = options or ExportOptions()
    names = [to] if isinstance(to, str | Path) else to
    if not names:
        raise BridgeError("expected at least one file to write, such as --to scene.spz")
    targets = [Path(name) for name in names]
    # a typo is answered before the work
    formats = [DATASET if is_dataset(name) else find_format(name) for name in names]
    source = _load(scene, options)
    if DATASET in formats and not source.is_run:
        raise BridgeError(
            f"a dataset holds the photos that a scene was made of, and {source.source} has none; give a run folder"
        )
    for target in targets:
        target.absolute().parent.mkdir(parents=True, exist_ok=True)
    _refuse_overwriting(source, targets)
    ready = _prepare(source, options)
    reports = []
    with progress("exporting", len(targets)) as update:
        for done, (target, entry) in enumerate(zip(targets, formats, strict=True), start=1):
            if entry is DATASET:
                reports.append(_write_dataset(ready, target))
            else:
                reports.append(_write(ready, target, entry, options))
            update(done, target.name)
    note_exports(reports, ready.source, ready.frame, ready.left_out, ready.first, ready.backdrop)
    return ExportResult(tuple(reports), ready.frame, ready.left_out, source.notes)


def _load(scene: Path | str | Scene | Sequence[Path | str], options: ExportOptions) -> Scene:
    """One scene, or several merged into the frame that they share."""
    if isinstance(scene, Scene):
        return scene
    axes = None if options.input_axes == "auto" else Axes(options.input_axes)
    if isinstance(scene, str | Path):
        return load_scene(scene, axes=axes)
    if not scene:
        raise BridgeError("expected a scene to export: a run folder, a splat file or a folder of frames")
    parts = [load_scene(part, axes=axes) for part in scene]
    if len(parts) == 1:
        return parts[0]
    if any(part.moving for part in parts):
        raise SceneFileError(
            "moving scenes cannot be merged; choose a moment of each first (bridge4d export --at)"
        )
    merged = concatenate([part.gaussians for part in parts])
    notes = tuple(f"{part.source.name}: {note}" for part in parts for note in part.notes)
    return replace(parts[0], gaussians=merged, notes=notes, versions=())


def _refuse_overwriting(source: Scene, targets: list[Path]) -> None:
    for target in targets:
        if target.resolve() in (source.file.resolve(), source.source.resolve()):
            raise BridgeError(f"{target} is the scene that is exported; choose another name")


def _prepare(source: Scene, options: ExportOptions) -> _Ready:
    """Select in the scene's own frame, then carry it into the frame of the export."""
    frame = choose_frame(source, options)
    left_out: dict[str, int] = {}
    if source.moving is not None and options.at is None:
        moving = choose_moments(source.moving, options)
        moving = moving.mapped(lambda one: select(one, options.keep)[0])
        moving = replace(moving, identity=moving.identity and not _drops(options))
        moving = moving.mapped(lambda one: transform_gaussians(one, frame.out_from_scene))
        first = clean(moving.frames[0])[0]
        return _Ready(moving, first, torch.zeros(len(first), dtype=torch.bool), source, frame, left_out)
    whole = source.gaussians if source.moving is None else source.moving.at(options.at or 0.0)
    first, counts = clean(whole)
    if counts["dropped"]:
        left_out["not numbers"] = counts["dropped"]
    backdrop = torch.zeros(len(first), dtype=torch.bool)
    if source.backdrop is not None:
        backdrop = source.backdrop.rows(first)
    if not options.backdrop:
        left_out["backdrop"] = int(backdrop.sum())
        first, backdrop = first[~backdrop], backdrop[~backdrop]
    cameras = source.cameras() if options.keep.max_gaussians is not None else None
    part, rows, counts = select(first, options.keep, backdrop=backdrop, cameras=cameras)
    if len(part) == 0:
        reasons = ", ".join(f"{n:,} {why}" for why, n in (left_out | counts).items() if n)
        raise BridgeError(
            f"nothing is left of the {len(first):,} Gaussians ({reasons or 'the scene is empty'}); ask for less"
        )
    moved = transform_gaussians(part, frame.out_from_scene)
    return _Ready(moved, moved, backdrop[rows], source, frame, left_out | counts)


def _drops(options: ExportOptions) -> bool:
    """Whether Gaussians of a moving scene are left out frame by frame, so that rows no longer stay the same."""
    keep = options.keep
    return any((keep.box, keep.sphere, keep.min_opacity, keep.drop_floaters, keep.max_gaussians))


def _write(ready: _Ready, target: Path, entry: Format, options: ExportOptions) -> FileReport:
    axes = _file_axes(entry, options)
    began = time.perf_counter()
    written = write_scene(ready.scene, target, _write_options(ready, entry, axes, options))
    seconds = time.perf_counter() - began
    report = FileReport(
        path=target,
        format=entry,
        axes=axes,
        gaussians=len(ready.first) - written.dropped
        if isinstance(ready.scene, Gaussians)
        else len(ready.first),
        frames=len(ready.scene) if isinstance(ready.scene, GaussianFrames) else 1,
        written=written,
        bytes=_size(target),
        write_seconds=seconds,
        notes=(*written.notes, *_digits_note(ready.first)),
    )
    if not options.check or not entry.reads:
        return report
    began = time.perf_counter()
    errors = _read_back(ready, target, axes, written)
    return replace(report, errors=errors, check_seconds=time.perf_counter() - began)


def is_dataset(name: Path | str) -> bool:
    """Whether a name means a folder for other trainers: it ends in a slash, or has no ending."""
    return str(name).endswith("/") or (Path(name).suffix == "" and "#" not in Path(name).name)


def _write_dataset(ready: _Ready, target: Path) -> FileReport:
    """Photos, cameras and points of a run; the Gaussians stay behind."""
    from bridge4d.dataset import write_dataset

    began = time.perf_counter()
    about = write_dataset(ready.source.source, target, out_from_scene=ready.frame.out_from_scene)
    return FileReport(
        path=target,
        format=DATASET,
        axes=Axes.RDF,
        gaussians=0,
        frames=1,
        written=Written(),
        bytes=about["bytes"],
        write_seconds=time.perf_counter() - began,
        notes=tuple(about["notes"]),
    )


def _file_axes(entry: Format, options: ExportOptions) -> Axes:
    if options.axes == "auto":
        return entry.axes
    return Axes.RDF if options.axes == "raw" else Axes(options.axes)


def _write_options(ready: _Ready, entry: Format, axes: Axes, options: ExportOptions) -> WriteOptions:
    moved = _near_points(ready)
    low_high = torch.stack([moved.min(0).values, moved.max(0).values]) if len(moved) else None
    turn = axes_from_rdf(axes)
    if low_high is not None:
        corners = low_high.double() @ turn.T
        low_high = torch.stack([corners.min(0).values, corners.max(0).values])
    return WriteOptions(
        axes=axes,
        render_mode=ready.source.render_mode,
        spz_version=options.spz_version,
        sh_bits=options.sh_bits,
        viewpoint=_viewpoint(ready, turn) if entry.name == "html" else None,
        title=ready.source.source.resolve().name,
        bounds=low_high,
        seed=options.seed,
    )


def _near_points(ready: _Ready) -> Float[Tensor, "g 3"]:
    """Centres of all but the backdrop."""
    near = ready.first.means[~ready.backdrop]
    return near if len(near) else ready.first.means


def _viewpoint(ready: _Ready, turn: Float[Tensor, "3 3"]) -> Viewpoint:
    """Where a page starts: at a photo of the run, or where the scene shows most; in the axes of the file."""
    from bridge4d.viewpoints import start_view, viewpoint_of

    camera = start_view(ready.source)
    view = viewpoint_of(camera, ready.source)
    file_from_scene = replace(Sim3.identity(), rotation=turn).compose(ready.frame.out_from_scene)

    def place(point: tuple[float, float, float]) -> tuple[float, float, float]:
        x, y, z = file_from_scene.points(torch.tensor([point], dtype=torch.float64))[0].tolist()
        return x, y, z

    up = file_from_scene.rotation @ torch.tensor(view.up, dtype=torch.float64)
    return Viewpoint(
        place(view.position), place(view.target), (float(up[0]), float(up[1]), float(up[2])), view.fov_y_deg
    )


def _read_back(ready: _Ready, target: Path, axes: Axes, written: Written) -> dict[str, float]:
    """The largest errors of what the file holds, over all frames."""
    found = read_scene(target, axes=axes)
    pairs = [(ready.first, found.gaussians)]
    if isinstance(ready.scene, GaussianFrames):
        got = found.moving or GaussianFrames(torch.zeros(1, dtype=torch.float64), (found.gaussians,))
        if len(got) != len(ready.scene):
            raise SceneFileError(
                f"{target} reads back with {len(got)} of {len(ready.scene)} frames; it cannot be trusted"
            )
        pairs = list(zip(ready.scene.frames, got.frames, strict=True))
    errors: dict[str, float] = {}
    for wanted, got_frame in pairs:
        expected = clean(wanted)[0]
        if len(expected) != len(got_frame):
            raise SceneFileError(
                f"{target} reads back with {len(got_frame):,} of {len(expected):,} Gaussians; it cannot be trusted"
            )
        for name, value in attribute_errors(expected, got_frame, order=written.order).items():
            errors[name] = max(errors.get(name, 0.0), value)
    return errors


def _size(target: Path) -> int:
    """Bytes of a file, or of a folder's files."""
    folder = target.parent if target.name.endswith(".json") else target
    if folder.is_dir():
        return sum(
            p.stat().st_size
            for p in folder.rglob("*")
            if p.is_file() and not p.name.startswith("export.json")
        )
    return target.stat().st_size if target.is_file() else 0


def _digits_note(scene: Gaussians) -> tuple[str, ...]:
    far, size = float(scene.means.abs().max()), float((scene.means - scene.means.mean(0)).abs().median())
    if size > 0 and far > FLOAT32_DIGITS * size:
        return (
            f"its coordinates reach {far:,.0f} while it is {size:,.2f} wide: float32 keeps few digits of that; "
            "--georeference keeps a local origin instead",
        )
    return ()
