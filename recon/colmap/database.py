"""COLMAP's database: features, matches, verified pairs. Each function opens it, and runs in COLMAP's process."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt32

from recon.colmap.elsewhere import elsewhere
from recon.colmap.model import Camera
from recon.errors import ReconstructionError


@elsewhere
def extract(
    database: Path,
    pictures: Path,
    files: Sequence[str],
    *,
    camera: Camera | None,
    one_camera: bool,
    threads: int,
    sift: dict[str, Any],
) -> list[int]:
    """Adds pictures with their SIFT features, and returns their image ids in the order of `files`.

    Without a `camera` each starts from COLMAP's guess; `sift` are options of `SiftExtractionOptions`. A file that
    COLMAP cannot take gets no id.
    """
    from recon.colmap.library import pycolmap

    extraction = pycolmap.FeatureExtractionOptions(use_gpu=False, num_threads=threads)
    for key, value in sift.items():
        setattr(extraction.sift, key, value)
    reader = pycolmap.ImageReaderOptions()
    if camera is not None:
        reader.camera_model = camera.model
        reader.camera_params = ",".join(repr(p) for p in camera.params)
    mode = pycolmap.CameraMode.SINGLE if one_camera else pycolmap.CameraMode.PER_IMAGE
    # entered in order first: extraction on several threads would number the images as they get ready
    pycolmap.Database.open(database).close()
    pycolmap.import_images(database, pictures, camera_mode=mode, image_names=list(files), options=reader)
    pycolmap.extract_features(
        database,
        pictures,
        image_names=list(files),
        camera_mode=mode,
        reader_options=reader,
        extraction_options=extraction,
        device=pycolmap.Device.cpu,
    )
    with pycolmap.Database.open(database) as db:
        ids = {image.name: image.image_id for image in db.read_all_images()}
    return [ids[file] for file in files]


@elsewhere
def set_cameras(database: Path, image_ids: Sequence[int], cameras: Sequence[Camera], *, known: bool) -> None:
    """Gives images, each with a camera of its own or all with one, intrinsics; `known` if they are to be believed."""
    from recon.colmap.library import pycolmap

    with pycolmap.Database.open(database) as db:
        for image_id, camera in zip(image_ids, cameras, strict=True):
            changed = camera.colmap(known=known)
            changed.camera_id = db.read_image(image_id).camera_id
            db.update_camera(changed)


@elsewhere
def enter_images(database: Path, cameras: Sequence[Camera], *, shared: bool, known: bool) -> list[int]:
    """Starts a database of images without files, each a frame of a rig of one camera; their ids, in order.

    There is a camera for each image in `cameras`; where they are `shared` the first is that of all.
    """
    from recon.colmap.library import pycolmap

    database.unlink(missing_ok=True)
    ids, rig_id, camera_id = [], None, None
    with pycolmap.Database.open(database) as db:
        for i, each in enumerate(cameras):
            if rig_id is None or not shared:
                camera = each.colmap(known=known)
                camera_id = camera.camera_id = db.write_camera(camera)
                rig = pycolmap.Rig()
                rig.add_ref_sensor(camera.sensor_id)
                rig_id = db.write_rig(rig)
            image = pycolmap.Image(name=f"{i:05d}", camera_id=camera_id)
            image.image_id = db.write_image(image)
            frame = pycolmap.Frame()
            frame.rig_id = rig_id
            frame.add_data_id(image.data_id)
            db.write_frame(frame)
            ids.append(image.image_id)
    return ids


@elsewhere
def write_matches(
    database: Path,
    keypoints: Sequence[tuple[int, Float[np.ndarray, "k 2"]]],
    matches: Sequence[tuple[int, int, UInt32[np.ndarray, "m 2"]]],
    *,
    width: int,
    height: int,
) -> None:
    """Adds keypoints (image id, pixels) and putative matches (two image ids, rows of features); all or nothing.

    Raises:
        ReconstructionError: an image that is not there, has keypoints already, or is not of `width` x `height`.
    """
    from recon.colmap.library import pycolmap

    with pycolmap.Database.open(database) as db:
        for image_id, _ in keypoints:
            _check_image(db, image_id, width, height)
        with pycolmap.DatabaseTransaction(db):
            for image_id, xy in keypoints:
                db.write_keypoints(image_id, xy)
            for a, b, rows in matches:
                db.write_matches(a, b, rows)


def _check_image(db, image_id: int, width: int, height: int) -> None:
    if not db.exists_image(image_id):
        raise ReconstructionError(
            f"image {image_id} is not in the database; enter the pictures first (pycolmap.import_images)"
        )
    if db.exists_keypoints(image_id):
        raise ReconstructionError(
            f"image {image_id} has keypoints in the database already, expected none; start a new database"
        )
    camera = db.read_camera(db.read_image(image_id).camera_id)
    if (camera.width, camera.height) != (width, height):
        raise ReconstructionError(
            f"image {image_id} is {camera.width}x{camera.height} in the database, its matches are of pictures of "
            f"{width}x{height}; match at the size that was entered"
        )


@elsewhere
def verify(database: Path, *, seed: int, threads: int) -> None:
    """Verifies geometrically every pair that has matches."""
    from recon.colmap.library import pycolmap

    geometry = pycolmap.TwoViewGeometryOptions()
    geometry.ransac.random_seed = seed
    verifier = pycolmap.GeometricVerifierOptions(num_threads=threads)
    pycolmap.geometric_verification(database, verifier_options=verifier, two_view_geometry_options=geometry)


@elsewhere
def match(
    database: Path,
    *,
    seed: int,
    sequential: bool = False,
    pairs: Sequence[tuple[str, str]] | None = None,
    guided: bool = False,
) -> None:
    """Matches features and verifies the pairs: the given pairs of files, neighbours in time, or all."""
    from recon.colmap.library import pycolmap

    # one thread: on several, COLMAP's approximate nearest neighbours now and then choose others for one pair (once in a
    # thousand, on small pictures), and a scene would not come out the same again; it takes a quarter longer on two cores
    matching = pycolmap.FeatureMatchingOptions(use_gpu=False, num_threads=1, guided_matching=guided)
    verification = pycolmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = seed
    common = {
        "matching_options": matching,
        "verification_options": verification,
        "device": pycolmap.Device.cpu,
    }
    if pairs is not None:
        listing = database.with_suffix(".pairs.txt")
        listing.write_text("".join(f"{a} {b}\n" for a, b in pairs))
        pairing = pycolmap.ImportedPairingOptions(match_list_path=str(listing))
        pycolmap.match_image_pairs(database, pairing_options=pairing, **common)
        listing.unlink()
    elif sequential:
        pairing = pycolmap.SequentialPairingOptions(overlap=8, quadratic_overlap=True, loop_detection=False)
        pycolmap.match_sequential(database, pairing_options=pairing, **common)
    else:
        pycolmap.match_exhaustive(database, **common)


@elsewhere
def keypoints(database: Path, image_ids: Sequence[int]) -> list[Float[np.ndarray, "_ 2"]]:
    """Pixels of the features of each image, float64, COLMAP's pixel centres."""
    from recon.colmap.library import pycolmap

    with pycolmap.Database.open(database) as db:
        return [
            db.read_keypoints(i)[:, :2].astype(np.float64)
            if db.num_keypoints_for_image(i)
            else np.zeros((0, 2))
            for i in image_ids
        ]


@elsewhere
def image_files(database: Path, image_ids: Sequence[int] | None = None) -> list[tuple[int, str]]:
    """(id, file) of these images, or of all in the order of their ids."""
    from recon.colmap.library import pycolmap

    with pycolmap.Database.open(database) as db:
        if image_ids is None:
            return sorted((image.image_id, image.name) for image in db.read_all_images())
        return [(i, db.read_image(i).name) for i in image_ids]


@elsewhere
def verified_pairs(database: Path) -> int:
    """How many pairs of images passed verification."""
    from recon.colmap.library import pycolmap

    with pycolmap.Database.open(database) as db:
        return db.num_verified_image_pairs()


@elsewhere
def verified_matches(
    database: Path, photo_ids: Sequence[int], frame_ids: Sequence[int]
) -> list[dict[int, Int[np.ndarray, "_ 2"]]]:
    """For each frame: row of a photo to features (of the photo, of the frame) of geometrically verified matches."""
    from recon.colmap.library import pycolmap

    found = []
    with pycolmap.Database.open(database) as db:
        for frame_id in frame_ids:
            pairs = {}
            for photo, photo_id in enumerate(photo_ids):
                if db.exists_two_view_geometry(photo_id, frame_id):
                    inliers = np.asarray(db.read_two_view_geometry(photo_id, frame_id).inlier_matches)
                    if len(inliers):
                        pairs[photo] = inliers.astype(np.int64)
            found.append(pairs)
    return found
