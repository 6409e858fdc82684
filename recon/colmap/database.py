"""COLMAP's database of features, matches and verified pairs; each function runs in COLMAP's process."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8, UInt32

from recon.colmap.elsewhere import run_in_child
from recon.colmap.model import Camera

LEAST_TRIALS = 20
"""Samples drawn of every pair, however well the first ones agree. COLMAP's 100 are most of the time of pairs that match well, whose
inliers stay the same; of others its confidence of 0.999 asks for more anyway, from an inlier ratio of 0.95 for seven points."""


@run_in_child
def extract(
    database: Path,
    pictures: Path,
    files: Sequence[str],
    *,
    one_camera: bool,
    threads: int,
    sift: dict[str, Any],
    masks: Path | None = None,
) -> list[int]:
    """Adds pictures with their SIFT features, and returns their image ids in the order of `files`.

    Cameras start from COLMAP's guess; `sift` are options of `SiftExtractionOptions`. A file that COLMAP cannot take gets
    no id. No feature is taken where a picture's mask is black, which lies in the folder `masks` as the picture's name with ``.png``.
    """
    from recon.colmap.library import pycolmap

    extraction = pycolmap.FeatureExtractionOptions(use_gpu=False, num_threads=threads)
    for key, value in sift.items():
        setattr(extraction.sift, key, value)
    mode = pycolmap.CameraMode.SINGLE if one_camera else pycolmap.CameraMode.PER_IMAGE
    reader = pycolmap.ImageReaderOptions()
    if masks is not None:
        reader.mask_path = str(masks)
    # entered in order first: extraction on several threads would number the images as they get ready
    pycolmap.Database.open(database).close()
    pycolmap.import_images(database, pictures, camera_mode=mode, image_names=list(files))
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


@run_in_child
def read_features(
    database: Path, image_ids: Sequence[int]
) -> list[tuple[Float[np.ndarray, "_ 2"], UInt8[np.ndarray, "_ 128"]]]:
    """Pixels (float64, COLMAP's pixel centres) and RootSIFT descriptors of the features of each image."""
    from recon.colmap.library import pycolmap

    found = []
    with pycolmap.Database.open(database) as db:
        for image_id in image_ids:
            if not db.num_keypoints_for_image(image_id):
                found.append((np.zeros((0, 2)), np.zeros((0, 128), np.uint8)))
                continue
            xy = db.read_keypoints(image_id)[:, :2].astype(np.float64)
            found.append((xy, np.array(db.read_descriptors(image_id).data, dtype=np.uint8)))
    return found


@run_in_child
def set_cameras(database: Path, image_ids: Sequence[int], cameras: Sequence[Camera], *, known: bool) -> None:
    """Set the intrinsics of images with one camera each or one for all; `known` ones are exact."""
    from recon.colmap.library import pycolmap

    with pycolmap.Database.open(database) as db:
        for image_id, camera in zip(image_ids, cameras, strict=True):
            changed = camera.colmap(known=known)
            changed.camera_id = db.read_image(image_id).camera_id
            db.update_camera(changed)


@run_in_child
def enter_images(
    database: Path, cameras: Sequence[Camera], *, groups: Sequence[int], known: Sequence[bool]
) -> list[int]:
    """Starts a database of images without files, each a frame of a rig of one camera; their ids, in order.

    There is a camera, a group and whether its focal length is exact for each image; the first image of a group says what the camera of
    the group is.
    """
    from recon.colmap.library import pycolmap

    database.unlink(missing_ok=True)
    ids: list[int] = []
    made: dict[int, tuple[int, int]] = {}
    with pycolmap.Database.open(database) as db:
        for i, (each, group, exact) in enumerate(zip(cameras, groups, known, strict=True)):
            if group not in made:
                camera = each.colmap(known=exact)
                camera.camera_id = db.write_camera(camera)
                rig = pycolmap.Rig()
                rig.add_ref_sensor(camera.sensor_id)
                made[group] = camera.camera_id, db.write_rig(rig)
            camera_id, rig_id = made[group]
            image = pycolmap.Image(name=f"{i:05d}", camera_id=camera_id)
            image.image_id = db.write_image(image)
            frame = pycolmap.Frame()
            frame.rig_id = rig_id
            frame.add_data_id(image.data_id)
            db.write_frame(frame)
            ids.append(image.image_id)
    return ids


@run_in_child
def write_matches(
    database: Path,
    keypoints: Sequence[tuple[int, Float[np.ndarray, "k 2"]]],
    matches: Sequence[tuple[int, int, UInt32[np.ndarray, "m 2"]]],
) -> None:
    """Adds keypoints (image id, pixels) and putative matches (two image ids, rows of features); all or nothing."""
    from recon.colmap.library import pycolmap

    with pycolmap.Database.open(database) as db, pycolmap.DatabaseTransaction(db):
        for image_id, xy in keypoints:
            db.write_keypoints(image_id, xy)
        for a, b, rows in matches:
            db.write_matches(a, b, rows)


@run_in_child
def verify(database: Path, *, seed: int, threads: int) -> None:
    """Verifies geometrically every pair that has matches."""
    from recon.colmap.library import pycolmap

    geometry = pycolmap.TwoViewGeometryOptions()
    geometry.ransac.random_seed = seed
    geometry.ransac.min_num_trials = LEAST_TRIALS
    verifier = pycolmap.GeometricVerifierOptions(num_threads=threads)
    pycolmap.geometric_verification(database, verifier_options=verifier, two_view_geometry_options=geometry)


@run_in_child
def keep_pairs(database: Path, pairs: Sequence[tuple[int, int]]) -> None:
    """Removes the matches of all pairs of images but these, verified ones included."""
    from recon.colmap.library import pycolmap

    kept = {frozenset(pair) for pair in pairs}
    with pycolmap.Database.open(database) as db, pycolmap.DatabaseTransaction(db):
        ids = sorted(image.image_id for image in db.read_all_images())
        for i, a in enumerate(ids):
            for b in ids[i + 1 :]:
                if frozenset((a, b)) not in kept:
                    if db.exists_matches(a, b):
                        db.delete_matches(a, b)
                    if db.exists_two_view_geometry(a, b):
                        db.delete_two_view_geometry(a, b)


@run_in_child
def match_guided(database: Path, *, seed: int, sequential: bool) -> None:
    """Matches the features of COLMAP, neighbours in time or all pairs, verifies them, and matches anew along the
    epipolar lines that were found."""
    from recon.colmap.library import pycolmap

    # one thread: on several, COLMAP's approximate nearest neighbours now and then choose others for one pair (once in a
    # thousand, on small pictures), and a scene would not come out the same again; it takes a quarter longer on two cores
    matching = pycolmap.FeatureMatchingOptions(use_gpu=False, num_threads=1, guided_matching=True)
    verification = pycolmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = seed
    common = {
        "matching_options": matching,
        "verification_options": verification,
        "device": pycolmap.Device.cpu,
    }
    if sequential:
        pairing = pycolmap.SequentialPairingOptions(overlap=8, quadratic_overlap=True, loop_detection=False)
        pycolmap.match_sequential(database, pairing_options=pairing, **common)
    else:
        pycolmap.match_exhaustive(database, **common)


@run_in_child
def image_ids(database: Path) -> list[int]:
    """Ids of all images, ascending."""
    from recon.colmap.library import pycolmap

    with pycolmap.Database.open(database) as db:
        return sorted(image.image_id for image in db.read_all_images())


@run_in_child
def count_verified_pairs(database: Path) -> int:
    """Counts the pairs of images that passed verification."""
    from recon.colmap.library import pycolmap

    with pycolmap.Database.open(database) as db:
        return db.num_verified_image_pairs()


@run_in_child
def read_verified_pairs(database: Path) -> list[tuple[int, int]]:
    """Pairs of images that passed verification, by their rank among all ids."""
    from recon.colmap.library import pycolmap

    with pycolmap.Database.open(database) as db:
        ids = sorted(image.image_id for image in db.read_all_images())
        pairs, inliers = db.read_two_view_geometry_num_inliers()
    rank = {image_id: i for i, image_id in enumerate(ids)}
    verified = [pycolmap.pair_id_to_image_pair(pair) for pair, n in zip(pairs, inliers, strict=True) if n]
    return sorted((rank[min(pair)], rank[max(pair)]) for pair in verified)


@run_in_child
def read_verified_matches(
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
