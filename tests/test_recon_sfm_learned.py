"""Features and matches that COLMAP did not make: learned ones, and the way of any into its database."""

import itertools
from dataclasses import replace
from pathlib import Path

import pycolmap
import pytest
import torch

from recon.cameras import Cameras, intrinsics, look_at, project
from recon.capture.colmap_model import pose_matrix
from recon.capture.lens import Lens
from recon.clip import Clip
from recon.errors import ReconstructionError
from recon.matches import Matches
from recon.sfm import SfmOptions, features
from recon.sfm.imported import verify, write_matches
from recon.sfm.reconstruct import incremental_options

WIDTH, HEIGHT = 160, 112


def arc(n: int) -> Cameras:
    """Cameras on an arc that look at the origin."""
    angle = torch.linspace(-0.4, 0.4, n, dtype=torch.float64)
    eye = torch.stack([4 * angle.sin(), 0.3 * angle, -4 * angle.cos()], 1)
    up = torch.tensor([[0.0, -1.0, 0.0]], dtype=torch.float64).expand(n, 3)
    K = intrinsics(focal_px=150.0, width=WIDTH, height=HEIGHT, n=n)
    return Cameras(look_at(eye, torch.zeros_like(eye), up), K, WIDTH, HEIGHT)


def exact_matches(cameras: Cameras, points: torch.Tensor, generator: torch.Generator) -> Matches:
    """Every point in every picture, features in an order of their own."""
    pixels, _ = project(points, cameras)
    orders = [torch.randperm(len(points), generator=generator) for _ in range(len(cameras))]
    feature_of_point = [order.argsort() for order in orders]
    pairs = tuple(itertools.combinations(range(len(cameras)), 2))
    return Matches(
        WIDTH,
        HEIGHT,
        keypoints=tuple(xy[order] for xy, order in zip(pixels, orders, strict=True)),
        pairs=pairs,
        indices=tuple(torch.stack([feature_of_point[a], feature_of_point[b]], 1) for a, b in pairs),
    )


@pytest.fixture
def cameras() -> Cameras:
    return arc(5)


@pytest.fixture
def matches(cameras: Cameras, generator: torch.Generator) -> Matches:
    points = 1.6 * torch.rand(150, 3, dtype=torch.float64, generator=generator) - 0.8
    return exact_matches(cameras, points, generator)


@pytest.fixture
def entered(cameras: Cameras, tmp_path: Path) -> tuple[Path, list[int]]:
    """A database with pictures of nothing, and their image ids."""
    clip = Clip(torch.zeros(len(cameras), HEIGHT, WIDTH, 3))
    files = features.write_pictures(clip, tmp_path / "pictures", "frame-")
    lens = Lens.pinhole(cameras.K[0], width=WIDTH, height=HEIGHT)
    database = tmp_path / "database.db"
    pycolmap.Database.open(database).close()
    reader = pycolmap.ImageReaderOptions(
        camera_model=lens.model, camera_params=",".join(map(repr, lens.params))
    )
    pycolmap.import_images(
        database, tmp_path / "pictures", pycolmap.CameraMode.SINGLE, image_names=files, options=reader
    )
    with pycolmap.Database.open(database) as db:
        ids = {image.name: image.image_id for image in db.read_all_images()}
    return database, [ids[file] for file in files]


def test_colmap_maps_written_matches(
    entered: tuple[Path, list[int]], matches: Matches, cameras: Cameras, tmp_path: Path
) -> None:
    database, ids = entered
    write_matches(database, ids, matches)
    verify(database)
    models = pycolmap.incremental_mapping(
        database,
        tmp_path / "pictures",
        tmp_path / "sparse",
        incremental_options(SfmOptions(), fixed_lens=True),
    )
    assert len(models) == 1
    poses = torch.stack([pose_matrix(models[0].image(i).cam_from_world()) for i in ids])
    truth = cameras.cam_from_world
    for a, b in itertools.combinations(range(len(ids)), 2):
        R = poses[b, :3, :3] @ poses[a, :3, :3].T
        R_truth = truth[b, :3, :3] @ truth[a, :3, :3].T
        assert (R - R_truth).norm() / 2**0.5 < torch.deg2rad(torch.tensor(0.1))
    centers = torch.stack([-p[:3, :3].T @ p[:3, 3] for p in poses])
    distances, expected = torch.pdist(centers), torch.pdist(cameras.centers)
    torch.testing.assert_close(distances / distances.max(), expected / expected.max(), atol=1e-3, rtol=0)


def test_what_is_written_is_read_back(entered: tuple[Path, list[int]], matches: Matches) -> None:
    database, ids = entered
    nothing = torch.zeros(0, 2, dtype=torch.long)
    matches = replace(
        matches,
        keypoints=(*matches.keypoints[:4], torch.zeros(0, 2, dtype=torch.float64)),
        indices=tuple(
            nothing if 4 in pair else rows for pair, rows in zip(matches.pairs, matches.indices, strict=True)
        ),
    )
    ids = ids[::-1]  # whatever order the database has them in
    write_matches(database, ids, matches)
    for written, given in zip(features.keypoints(database, ids), matches.keypoints, strict=True):
        torch.testing.assert_close(written, given, atol=1e-4, rtol=0)
    with pycolmap.Database.open(database) as db:
        for (a, b), rows in zip(matches.pairs, matches.indices, strict=True):
            assert db.exists_matches(ids[a], ids[b])
            assert db.read_matches(ids[a], ids[b]).tolist() == rows.tolist()


def test_nothing_is_written_of_matches_that_do_not_fit(
    entered: tuple[Path, list[int]], matches: Matches
) -> None:
    database, ids = entered
    wrong = replace(matches, indices=(matches.indices[0] + 1, *matches.indices[1:]))
    for ids_given, given, words in (
        (ids[:-1], matches, "one image id"),
        ([*ids[:-1], ids[0]], matches, "one image id"),
        ([*ids[:-1], 99], matches, "image 99 is not in the database"),
        (ids, replace(matches, width=80), "80x112"),
        (ids, wrong, "150 and 150 features"),
    ):
        with pytest.raises(ReconstructionError, match=words):
            write_matches(database, ids_given, given)
    with pycolmap.Database.open(database) as db:
        assert db.num_keypoints() == 0
        assert db.num_matches() == 0
    write_matches(database, ids, matches)
    with pytest.raises(ReconstructionError, match="has keypoints in the database already"):
        write_matches(database, ids, matches)
