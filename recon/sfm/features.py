"""Pictures into a COLMAP database: features, matches, verified pairs."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from recon.capture.lens import Lens
from recon.clip import Clip
from recon.sfm.options import SfmOptions
from recon.sfm.worker import interruptible

SMALL_PICTURE_PX = 1024
"""Up to this long side SIFT starts at double resolution: three times the features where there are few to begin with."""


def start_database(folder: Path) -> Path:
    """Where a database is filled before it gets its name; what an interrupted run left there is removed."""
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob("database.partial.db*"):  # SQLite's -wal and -shm with it
        leftover.unlink()
    return folder / "database.partial.db"


def finish_database(partial: Path) -> Path:
    """Gives a complete database its name, ``database.db``."""
    return partial.replace(partial.with_name("database.db"))


def write_pictures(clip: Clip, folder: Path, prefix: str) -> list[str]:
    """Writes every picture losslessly (8-bit PNG) and returns their file names, in order."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for i, (name, image) in enumerate(zip(clip.names, clip.images, strict=True)):
        files.append(f"{prefix}{i:05d}-{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}.png")
        pixels = (image * 255).round().clamp(0, 255).to(torch.uint8).numpy()
        Image.fromarray(pixels).save(folder / files[-1], compress_level=1)
    return files


def extract(
    database: Path,
    pictures: Path,
    files: Sequence[str],
    *,
    lens: Lens | None,
    one_lens: bool,
    options: SfmOptions,
) -> list[int]:
    """Adds pictures with their SIFT features to a database, and returns their image ids in the order of `files`.

    Without a `lens` each camera starts from COLMAP's guess. A file that COLMAP cannot take gets no id; none such
    come out of `write_pictures`.
    """
    import pycolmap

    extraction = pycolmap.FeatureExtractionOptions(use_gpu=False, num_threads=options.threads)
    extraction.sift.max_num_features = options.max_features
    extraction.sift.first_octave = -1 if _long_side(pictures / files[0]) <= SMALL_PICTURE_PX else 0
    reader = pycolmap.ImageReaderOptions()
    if lens is not None:
        reader.camera_model = lens.model
        reader.camera_params = ",".join(repr(p) for p in lens.params)
    mode = pycolmap.CameraMode.SINGLE if one_lens else pycolmap.CameraMode.PER_IMAGE
    return _extract(database, pictures, files, extraction, mode, reader)


def extract_with(
    database: Path, pictures: Path, files: Sequence[str], extraction, *, one_lens: bool = True
) -> list[int]:
    """`extract` with COLMAP's own options for the features; cameras start from COLMAP's guess."""
    import pycolmap

    mode = pycolmap.CameraMode.SINGLE if one_lens else pycolmap.CameraMode.PER_IMAGE
    return _extract(database, pictures, files, extraction, mode, pycolmap.ImageReaderOptions())


def _extract(database: Path, pictures: Path, files: Sequence[str], extraction, mode, reader) -> list[int]:
    import pycolmap

    # entered in order first: extraction on several threads would number the images as they get ready
    pycolmap.Database.open(database).close()
    pycolmap.import_images(database, pictures, camera_mode=mode, image_names=list(files), options=reader)
    interruptible(
        lambda token: pycolmap.extract_features(
            database,
            pictures,
            image_names=list(files),
            camera_mode=mode,
            reader_options=reader,
            extraction_options=extraction,
            device=pycolmap.Device.cpu,
            cancellation_token=token,
        )
    )
    with pycolmap.Database.open(database) as db:
        ids = {image.name: image.image_id for image in db.read_all_images()}
    return [ids[file] for file in files]


def set_intrinsics(database: Path, image_ids: Sequence[int], lenses: Sequence[Lens]) -> None:
    """Gives images of a database, each with a camera of its own, intrinsics that are known."""
    import pycolmap

    with pycolmap.Database.open(database) as db:
        for image_id, lens in zip(image_ids, lenses, strict=True):
            camera = lens.camera()
            camera.camera_id = db.read_image(image_id).camera_id
            camera.has_prior_focal_length = True
            db.update_camera(camera)


def match(
    database: Path,
    options: SfmOptions,
    *,
    sequential: bool = False,
    pairs: Iterable[tuple[str, str]] | None = None,
    guided: bool = False,
) -> None:
    """Matches features and verifies the pairs geometrically: the given pairs of files, or those of a strategy.

    `guided` matches each verified pair once more, along its epipolar lines."""
    import pycolmap

    # one thread: on several, COLMAP's approximate nearest neighbours now and then choose others for one pair (once in a
    # thousand, on small pictures), and a scene would not come out the same again; it takes a quarter longer on two cores
    matching = pycolmap.FeatureMatchingOptions(use_gpu=False, num_threads=1, guided_matching=guided)
    verification = pycolmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = options.seed
    common = {
        "matching_options": matching,
        "verification_options": verification,
        "device": pycolmap.Device.cpu,
    }
    if pairs is not None:
        listing = database.with_suffix(".pairs.txt")
        listing.write_text("".join(f"{a} {b}\n" for a, b in pairs))
        pairing = pycolmap.ImportedPairingOptions(match_list_path=str(listing))
        interruptible(
            lambda token: pycolmap.match_image_pairs(
                database, pairing_options=pairing, cancellation_token=token, **common
            )
        )
        listing.unlink()
    elif sequential:
        pairing = pycolmap.SequentialPairingOptions(overlap=8, quadratic_overlap=True, loop_detection=False)
        interruptible(
            lambda token: pycolmap.match_sequential(
                database, pairing_options=pairing, cancellation_token=token, **common
            )
        )
    else:
        interruptible(lambda token: pycolmap.match_exhaustive(database, cancellation_token=token, **common))


def keypoints(database: Path, image_ids: Sequence[int]) -> list[Float[Tensor, "k 2"]]:
    """Pixel positions of the features of each image, float64, COLMAP's pixel centres."""
    import pycolmap

    with pycolmap.Database.open(database) as db:
        return [
            torch.from_numpy(db.read_keypoints(i)[:, :2].astype("float64"))
            if db.num_keypoints_for_image(i)
            else torch.zeros(0, 2, dtype=torch.float64)
            for i in image_ids
        ]


def _long_side(file: Path) -> int:
    from PIL import Image

    with Image.open(file) as image:
        return max(image.size)
