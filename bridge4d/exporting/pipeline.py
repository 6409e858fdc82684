"""The export: choose what and where, write, read back, compare, note."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from bridge4d.command_line.scene_input import parse_input_axes
from bridge4d.exporting.frame import ExportFrame, choose_frame
from bridge4d.exporting.options import ExportOptions, choose_output_axes
from bridge4d.exporting.selecting import PreparedScene, prepare_scene
from bridge4d.exporting.sidecar import FileReport, record_export, sidecar_folder
from bridge4d.exporting.targets import SIDECAR, read_sidecar, refuse_duplicates, refuse_source
from bridge4d.scenes import LoadedScene, load_scene, merge_scenes
from recon.compute.progress import progress
from recon.errors import BridgeError, SceneFileError
from recon.scenefiles import Axes, Viewpoint, WriteOptions, Written, find_format, read_scene, write_scene
from recon.scenefiles.axes import axes_from_rdf
from recon.scenefiles.clean import clean
from recon.scenefiles.compare import attribute_errors
from recon.scenefiles.registry import Format, check_writable
from recon.sequence import GaussianFrames
from recon.sim3 import Sim3
from recon.splats.select import Selection

NOTHING_TO_EXPORT = "expected a scene to export: a run folder, a splat file or a folder of frames"
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


def export(
    scene: Path | str | LoadedScene | Sequence[Path | str],
    to: Path | str | Sequence[Path | str],
    options: ExportOptions | None = None,
    *,
    noted: bool = True,
) -> ExportResult:
    """Write a scene as any number of files; each name says its format.

    Nothing is left out unless `options` asks for it. An `export.json` beside the files says what was written, how far it
    lies from the scene, and in which frame.

    Args:
        scene: a run folder, a file, a folder of frames; several are merged.
        to: names of files, such as `room.spz`; a name that ends in a slash is a dataset for other trainers.
        options: see `ExportOptions`.
        noted: whether an `export.json` is written.

    Raises:
        BridgeError: nothing that can be read, a name of no format, or something that a format cannot hold.

    Example:
        >>> export("runs/kitchen", ["kitchen.spz", "kitchen.html"])
    """
    options = options or ExportOptions()
    targets = _find_formats([to] if isinstance(to, str | Path) else list(to), options)
    source = _load(scene, options)
    moments = 1 if source.moving is None or options.at is not None else len(source.moving)
    for target, entry in targets.items():
        _check_target(source, target, entry, options, moments)
        if noted:
            read_sidecar(sidecar_folder(target) / SIDECAR)
    source = replace(source, notes=(*source.notes, *_explain_cuts(source, options)))
    ready = prepare_scene(source, choose_frame(source, options), options)
    reports = []
    with progress("exporting", len(targets)) as update:
        for done, (target, entry) in enumerate(targets.items(), start=1):
            target.absolute().parent.mkdir(parents=True, exist_ok=True)
            report = (
                _write_dataset(ready, target, options)
                if entry is DATASET
                else _write(ready, target, entry, options)
            )
            if noted:
                record_export(
                    report, source, ready.frame, ready.left_out, ready.foreground_means(), ready.in_backdrop
                )
            reports.append(report)
            update(done, target.name)
    return ExportResult(tuple(reports), ready.frame, ready.left_out, source.notes)


def _find_formats(names: Sequence[Path | str], options: ExportOptions) -> dict[Path, Format]:
    """The format of each file; a typo is answered before the scene is read."""
    if not names:
        raise BridgeError("expected at least one file to write, such as --to scene.spz")
    refuse_duplicates(names)
    targets = {Path(name): DATASET if is_dataset(name) else find_format(name, to="write") for name in names}
    for_datasets = not options.generated or options.test_every is not None or options.photos is not None
    if DATASET not in targets.values() and for_datasets:
        raise BridgeError(
            "--no-generated, --test-every and --photos are for datasets, and none is to be written; leave them out"
        )
    return targets


def _explain_cuts(source: LoadedScene, options: ExportOptions) -> list[str]:
    """What a person should know of a cut that no count tells."""
    notes = []
    keep, degree = options.keep, source.gaussians.sh_degree
    if keep.sh_degree is not None and keep.sh_degree < degree:
        notes.append(f"view-dependent colour was cut from degree {degree} to {keep.sh_degree}")
    if (keep.box is not None or keep.sphere is not None) and len(source.gaussians):
        means = source.gaussians.means
        low, high = means.min(0).values.tolist(), means.max(0).values.tolist()
        ranges = ", ".join(f"{name} {a:.4g} to {b:.4g}" for name, a, b in zip("xyz", low, high, strict=True))
        notes.append(
            f"--box and --sphere are in the frame of {source.source} (right, down, front), not of what is written: {ranges}"
        )
    return notes


def is_dataset(name: Path | str) -> bool:
    """Whether a name means a folder for other trainers: it ends in a slash, or has no ending."""
    return str(name).endswith("/") or (Path(name).suffix == "" and "#" not in Path(name).name)


def _load(scene: Path | str | LoadedScene | Sequence[Path | str], options: ExportOptions) -> LoadedScene:
    """One scene, or several merged into the frame that they share."""
    if isinstance(scene, LoadedScene):
        return scene
    axes = parse_input_axes(options.input_axes)
    paths = [scene] if isinstance(scene, str | Path) else list(scene)
    if not paths:
        raise BridgeError(NOTHING_TO_EXPORT)
    return merge_scenes([load_scene(path, axes=axes) for path in paths])


def _check_target(
    source: LoadedScene, target: Path, entry: Format, options: ExportOptions, moments: int
) -> None:
    """Refuse what would lose something or cannot be written, before anything is."""
    refuse_source(source, target)
    if entry is not DATASET:
        check_writable(target, axes=choose_output_axes(options.axes, entry.axes), moments=moments)
        return
    if source.parts:
        raise BridgeError(
            f"a dataset holds the photos of one run, and {len(source.parts)} scenes are merged; give one of them"
        )
    if not source.is_run:
        raise BridgeError(
            f"a dataset holds the photos that a scene was made of, and {source.source} has none; give a run folder, or "
            f"give {target} an ending such as .spz"
        )
    if options.keep != Selection() or not options.backdrop or options.axes not in ("auto", "raw", "rdf"):
        raise BridgeError(
            "a dataset holds no Gaussians that could be left out, and rdf axes; leave these options away"
        )


def _write(ready: PreparedScene, target: Path, entry: Format, options: ExportOptions) -> FileReport:
    axes = choose_output_axes(options.axes, entry.axes)
    began = time.perf_counter()
    written = write_scene(ready.scene, target, _write_options(ready, entry, axes, options))
    report = FileReport(
        path=target,
        format=entry,
        axes=axes,
        gaussians=len(ready.first) if written.points is None else 0,
        frames=len(ready.scene) if isinstance(ready.scene, GaussianFrames) else 1,
        written=written,
        bytes=sum(file.stat().st_size for file in written.files or (target,)),
        write_seconds=time.perf_counter() - began,
        notes=(*written.notes, *_warn_of_float32(ready.foreground_means())),
    )
    if not options.check or not entry.reads:
        return report
    began = time.perf_counter()
    errors = _read_back(ready, target, axes, written)
    return replace(report, errors=errors, check_seconds=time.perf_counter() - began)


def _write_dataset(ready: PreparedScene, target: Path, options: ExportOptions) -> FileReport:
    """Photos, cameras and points of a run; the Gaussians stay behind."""
    from bridge4d.dataset import write_dataset

    began = time.perf_counter()
    about = write_dataset(
        ready.source.source,
        target,
        photos=options.photos,
        generated=options.generated,
        test_every=options.test_every,
        out_from_scene=ready.frame.out_from_scene,
    )
    return FileReport(
        path=target,
        format=DATASET,
        axes=Axes.RDF,
        gaussians=0,
        frames=1,
        written=Written(),
        bytes=about["bytes"],
        write_seconds=time.perf_counter() - began,
        notes=(
            f"{about['photos']} photos, {about['heldout']} held out, {about['generated']} generated frames that were accepted",
            *about["notes"],
        ),
    )


def _write_options(ready: PreparedScene, entry: Format, axes: Axes, options: ExportOptions) -> WriteOptions:
    turn = axes_from_rdf(axes)
    near = ready.foreground_means().double() @ turn.T
    georeference = ready.frame.georeference
    return WriteOptions(
        axes=axes,
        render_mode=ready.source.render_mode,
        spz_version=options.spz_version,
        sh_bits=options.sh_bits,
        metres_per_unit=ready.frame.metres_per_unit,
        viewpoint=_viewpoint(ready, turn) if entry.name == "html" else None,
        title=ready.source.source.resolve().name,
        bounds=torch.stack([near.min(0).values, near.max(0).values]) if len(near) else None,
        crs_wkt=None if georeference is None else georeference.wkt,
        origin_height_m=0.0 if georeference is None else georeference.origin.height_m or 0.0,
        seed=options.seed,
    )


def _viewpoint(ready: PreparedScene, turn: Float[Tensor, "3 3"]) -> Viewpoint:
    """Where a page starts: at a photo of the run, or where the scene shows most; in the axes of the file."""
    from bridge4d.viewpoints import start_view, viewpoint_of

    view = viewpoint_of(start_view(ready.source), ready.source)
    file_from_scene = replace(Sim3.identity(), rotation=turn).compose(ready.frame.out_from_scene)

    position, target = file_from_scene.points(torch.tensor([view.position, view.target], dtype=torch.float64))
    up = file_from_scene.rotation @ torch.tensor(view.up, dtype=torch.float64)
    return Viewpoint.of(position, target, up, view.fov_y_deg)


def _read_back(ready: PreparedScene, target: Path, axes: Axes, written: Written) -> dict[str, float]:
    """The largest errors of what the file holds, over all frames."""
    found = read_scene(target, axes=axes)
    wanted = ready.scene if isinstance(ready.scene, GaussianFrames) else _one_frame(ready.scene)
    got = found.moving or _one_frame(found.gaussians)
    if len(got) != len(wanted):
        raise SceneFileError(
            f"{target} reads back with {len(got)} of {len(wanted)} frames; it cannot be trusted"
        )
    orders = written.order if isinstance(written.order, tuple) else (written.order,) * len(wanted)
    errors: dict[str, float] = {}
    for scene, back, order in zip(wanted.frames, got.frames, orders, strict=True):
        expected = clean(scene)[0]
        if len(expected) != len(back):
            raise SceneFileError(
                f"{target} reads back with {len(back):,} of {len(expected):,} Gaussians; it cannot be trusted"
            )
        for name, value in attribute_errors(expected, back, order=order).items():
            errors[name] = max(errors.get(name, 0.0), value)
    return errors


def _one_frame(scene) -> GaussianFrames:
    return GaussianFrames(torch.zeros(1, dtype=torch.float64), (scene,))


def _warn_of_float32(near: Float[Tensor, "g 3"]) -> tuple[str, ...]:
    if len(near) == 0:
        return ()
    far, size = float(near.abs().max()), float((near - near.mean(0)).abs().median())
    if size > 0 and far > FLOAT32_DIGITS * size:
        return (
            f"its coordinates reach {far:,.0f} while it is {size:,.2f} wide: float32 keeps few digits of that; "
            "--georeference keeps a local origin instead",
        )
    return ()
