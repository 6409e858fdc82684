"""A run as a dataset: pictures, cameras, points with tracks, and which pictures are for training and which judge."""

import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from bridge4d.dataset.arrange import arrange
from bridge4d.dataset.describe import SCHEMA, describe_dataset
from bridge4d.dataset.originals import LostPhoto, find_originals, load_full_photos
from bridge4d.dataset.pictures import confidence_of, kept_share, write_grey, write_photo, write_stored
from bridge4d.dataset.views import (
    DatasetPicture,
    RunViews,
    read_tracks,
    read_views,
    start_points,
    transform_points,
)
from bridge4d.runs.stored_json import read_json, write_json
from bridge4d.scenes import GENERATED, HELDOUT, PHOTO, SceneView
from recon.camera_files.formats.transforms_write import build_transforms
from recon.colmap.write import write_colmap
from recon.compute.files import atomic_folder
from recon.compute.progress import progress
from recon.errors import BridgeError, SceneFileError, explain_os_error
from recon.scenefiles.formats.points import write_points_ply
from recon.sim3 import Sim3

ABOUT = "dataset.json"
MODEL = Path("sparse") / "0"
"""Where the readers of gsplat and the 3DGS code look for a COLMAP model."""
MASK_FROM = 0.5
"""Confidence from which a generated pixel is used by trainers that know only masks; of mixed frames, what is likelier better than the scene."""


def write_dataset(
    run: Path,
    out: Path,
    *,
    photos: Path | None = None,
    generated: bool = True,
    test_every: int | None = None,
    max_side: int | None = None,
    mask_from: float = MASK_FROM,
    out_from_scene: Sim3 | None = None,
) -> dict:
    """Lay a run out as a folder that gsplat's examples, the 3DGS code and nerfstudio train from.

    Args:
        run: a finished run of `bridge4d augment`.
        out: the folder to make; one that an earlier call made is replaced.
        photos: where the original photos are now; None: where the run found them.
        generated: whether the accepted generated frames come along.
        test_every: trainers that hold every n-th picture out shall find the held-out photos there, and nothing else;
            None: the n that fits best, stated in ``dataset.json``. What has no place stays out of the COLMAP model.
        max_side: long side in pixels to which larger pictures are shrunk; None: full resolution.
        mask_from: confidence in [0, 1] from which the masks let pixels of generated frames pass.
        out_from_scene: moves cameras and points into another frame.

    Returns:
        What ``dataset.json`` in the folder says.

    Raises:
        BridgeError: no finished run, a value out of range, or an `out` that holds other things.
    """
    started = time.perf_counter()
    _check_request(out, mask_from, max_side)
    views = read_views(run, generated=generated)
    places = arrange(views.with_role(HELDOUT), views.with_role(PHOTO), views.with_role(GENERATED), test_every)
    world = out_from_scene or Sim3.identity()
    try:
        with atomic_folder(out.resolve()) as folder:
            stems = _stems([*places.order, *places.left_over])
            pictures, notes = _write_pictures(views, stems, folder / "images", photos, max_side)
            pictures = [replace(picture, camera=world.cameras(picture.camera)) for picture in pictures]
            in_model = pictures[: len(places.order)]
            _write_masks(views, pictures, folder, mask_from)
            counts = _write_model(views, in_model, folder / MODEL, world)
            _write_lists(in_model, folder)
            _write_transforms(pictures, len(in_model), folder)
            about = describe_dataset(views, pictures, len(in_model), places.every, counts, mask_from, notes)
            _write_about(about, folder, started)
    except OSError as error:
        raise explain_os_error(error, out) from error
    return about


def _write_about(about: dict, folder: Path, started: float) -> None:
    """Complete what the dataset says of itself by its files, bytes and seconds, and write it."""
    about["files"] = sorted(_files(folder))
    about["bytes"] = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    about["seconds"] = round(time.perf_counter() - started, 2)
    write_json(folder / ABOUT, about)


def _check_request(out: Path, mask_from: float, max_side: int | None) -> None:
    """Refuse numbers out of range, and a folder with files that are not a dataset's."""
    if not 0 <= mask_from <= 1:
        raise BridgeError(f"expected a confidence from 0 to 1 from which pixels are used, got {mask_from}")
    if max_side is not None and max_side < 1:
        raise BridgeError(f"expected a long side of at least 1 pixel, got {max_side}")
    _refuse_foreign(out)


def _refuse_foreign(out: Path) -> None:
    """Refuse a folder with files that no earlier dataset lists."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    strangers = [ABOUT] if out.is_file() else sorted(_files(out) - _read_file_list(out))
    if strangers:
        raise SceneFileError(
            f"{out} holds other things than a dataset of bridge4d ({strangers[0]}); choose a new or empty folder"
        )


def _files(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if not file.is_dir()}


def _read_file_list(folder: Path) -> set[str]:
    """What an earlier dataset says it consists of; nothing where there was none."""
    try:
        said = read_json(folder / ABOUT)
        return {ABOUT, *map(str, said["files"])} if said["schema"] == SCHEMA else set()
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return set()


def _stems(views: list[SceneView]) -> dict[str, SceneView]:
    """File names without endings, in the order of `views`, by which they sort wherever they are read.

    The 3DGS code ends a name at its first dot, so there is none.
    """
    digits = max(4, len(str(len(views))))
    return {
        f"{i:0{digits}d}_{view.role}_{re.sub('[^A-Za-z0-9_-]', '_', Path(view.name).stem)}": view
        for i, view in enumerate(views)
    }


def _write_pictures(
    views: RunViews, stems: dict[str, SceneView], folder: Path, photos: Path | None, max_side: int | None
) -> tuple[list[DatasetPicture], list[str]]:
    """Pictures in the order of `stems`, with cameras in the scene's frame, and what went wrong."""
    folder.mkdir(parents=True)
    stem_of = {(view.role, view.name): stem for stem, view in stems.items()}
    taken = [view for view in stems.values() if view.role != GENERATED]
    pictures: dict[str, DatasetPicture] = {}
    notes: list[str] = []
    try:
        originals = find_originals(views.run, photos)
    except BridgeError as error:
        if photos is not None:
            raise
        originals = {}
        notes.append(f"{error}; the pictures that the run keeps are used")
    with progress("writing pictures", len(stems)) as update:
        for photo in load_full_photos(taken, originals):
            stem = stem_of[photo.view.role, photo.view.name]
            if isinstance(photo, LostPhoto):
                pictures[stem] = write_stored(photo.view, folder, stem, max_side)
                if originals:
                    notes.append(f"{photo.view.name}: {photo.reason}; the picture that the run keeps is used")
            else:
                pictures[stem] = write_photo(photo, folder, stem, max_side)
            update(len(pictures), stem)
        for stem, view in stems.items():
            if view.role == GENERATED:
                pictures[stem] = write_stored(view, folder, stem, max_side)
                update(len(pictures), stem)
    return [pictures[stem] for stem in stems], notes


def _write_masks(views: RunViews, pictures: list[DatasetPicture], folder: Path, mask_from: float) -> None:
    """Masks of all pictures or of none, as nerfstudio wants it, and loss weights of generated frames."""
    if not views.with_role(GENERATED):
        return
    for picture in pictures:
        sure = confidence_of(picture.view, picture.camera)
        kept = np.ones_like(sure)
        if picture.view.role == GENERATED:
            kept = kept_share(views.contradicted_file(picture.view), picture.camera)
            write_grey(kept * views.loss_weight(sure), folder / "weights" / picture.grey_file)
        used = (sure >= mask_from) & (kept >= 0.5)
        write_grey(used.astype(sure.dtype), folder / "masks" / picture.grey_file)


def _write_model(views: RunViews, pictures: list[DatasetPicture], folder: Path, world: Sim3) -> dict:
    """The COLMAP model, the list of held-out photos that the 3DGS code takes, and the points to start from."""
    tracks = read_tracks(views, pictures)
    points = transform_points(views.points, world)
    write_colmap(folder, [picture.camera for picture in pictures], [p.file for p in pictures], points, tracks)
    held = [picture.file for picture in pictures if picture.view.role == HELDOUT]
    (folder / "test.txt").write_text("".join(f"{name}\n" for name in held))
    start = start_points(views, world)
    write_points_ply(start, folder / "points3D.ply")
    seeing = set(tracks.image.tolist())
    return {
        "triangulated": len(points),
        "observations": len(tracks),
        "pictures_that_see_none": [picture.file for i, picture in enumerate(pictures) if i not in seeing],
        "to_start_from": len(start),
    }


def _write_lists(pictures: list[DatasetPicture], folder: Path) -> None:
    """The split as nerfstudio's reader of COLMAP models takes it; it splits by itself where there is no list."""
    held = [picture.file for picture in pictures if picture.view.role == HELDOUT]
    if not held:
        return
    train = [picture.file for picture in pictures if picture.view.role != HELDOUT]
    for split, names in (("train", train), ("val", held), ("test", held)):
        (folder / f"{split}_list.txt").write_text("".join(f"{name}\n" for name in names))


def _write_transforms(pictures: list[DatasetPicture], in_model: int, folder: Path) -> None:
    frames = []
    for i, picture in enumerate(pictures):
        frame = build_transforms(picture.camera, [f"images/{picture.file}"])["frames"][0]
        frame |= {"name": picture.view.name, "role": picture.view.role}
        if i < in_model:
            frame["colmap_im_id"] = i + 1
        if (folder / "masks").is_dir():
            frame["mask_path"] = f"masks/{picture.grey_file}"
        if picture.view.role == GENERATED:
            frame |= {"round": picture.view.round, "weight_path": f"weights/{picture.grey_file}"}
        frames.append(frame)
    data = {"camera_model": "OPENCV", "ply_file_path": str(MODEL / "points3D.ply")}
    held = [frame["file_path"] for frame in frames if frame["role"] == HELDOUT]
    train = [frame["file_path"] for frame in frames if frame["role"] != HELDOUT]
    if held:  # nerfstudio wants all three lists or none
        data |= {"train_filenames": train, "val_filenames": held, "test_filenames": held}
    write_json(folder / "transforms.json", data | {"frames": frames})
