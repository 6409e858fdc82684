"""Captures of hundreds of photos: pictures are read one at a time, give the same results, and memory hardly grows with them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from child_memory import memory_taken
from PIL import Image

from bridge4d.runs import store
from bridge4d.sample import write_sample
from recon.capture.read import read_capture
from recon.clip import Clip, PictureSet
from recon.depth import multiview_depth, surface_points
from recon.errors import RunFolderError
from recon.lens import Lens, undistort_clip
from recon.pictures.canvas import Box, confidence_of, find_boxes
from recon.sfm.features.keypoints import Features
from recon.sfm.retrieval import find_alike_photos

FEW, MANY = 8, 40
SIDE_PX = 1024
"""A picture of 1024x768 is 9.4 MB of floats and 2.4 MB of bytes."""


@pytest.fixture
def clip(generator: torch.Generator) -> Clip:
    """Four pictures on one canvas, two of which fill a part of it, as they are stored."""
    images = (torch.rand(4, 48, 64, 3, generator=generator) * 255).round() / 255
    boxes = [Box(0, 0, 64, 48), Box(14, 0, 36, 48), Box(0, 0, 64, 48), Box(14, 0, 36, 48)]
    return Clip(images, confidence=confidence_of(boxes, width=64, height=48), names=("a", "b", "c", "d"))


def assert_same(found: PictureSet, expected: PictureSet) -> None:
    ours, theirs = found.load(), expected.load()
    assert ours.names == theirs.names
    assert torch.equal(ours.images, theirs.images)
    assert (ours.confidence is None) == (theirs.confidence is None)
    if ours.confidence is not None and theirs.confidence is not None:
        assert torch.equal(ours.confidence, theirs.confidence)


def test_pictures_that_are_read_one_at_a_time_are_those_in_memory(clip: Clip, tmp_path: Path) -> None:
    store.save_clip(clip, tmp_path)
    opened = store.open_clip(tmp_path)
    assert not isinstance(opened, Clip)
    assert_same(opened, clip)
    assert find_boxes(opened) == find_boxes(clip)
    assert_same(opened.limit_size(24), clip.limit_size(24))
    assert_same(opened[[3, 1]], clip[[3, 1]])
    assert_same(opened[torch.tensor([False, True, True, False])], clip[1:3])
    assert_same(opened[[3, 1]].limit_size(24)[1], clip[[1]].limit_size(24))
    store.save_clip(opened[1:3], tmp_path / "again")
    assert_same(store.load_clip(tmp_path / "again"), clip[1:3])


def test_layers_of_confidence_are_read_one_at_a_time_too(clip: Clip, tmp_path: Path) -> None:
    store.save_clip(replace(clip, confidence=torch.full((4, 48, 64), 0.25)), tmp_path)
    opened = store.open_clip(tmp_path)
    assert opened.confidence is not None
    assert float((opened.confidence[2] - 0.25).abs().max()) < 1 / 65535


def test_a_picture_of_another_size_is_told_when_it_is_read(clip: Clip, tmp_path: Path) -> None:
    store.save_clip(clip, tmp_path)
    Image.new("RGB", (20, 20)).save(tmp_path / "c.png")
    opened = store.open_clip(tmp_path)
    assert opened.images[1].shape == (48, 64, 3)
    with pytest.raises(RunFolderError, match="its pictures are not those"):
        opened.images[2]


def test_undistortion_is_the_same(clip: Clip, tmp_path: Path) -> None:
    store.save_clip(clip, tmp_path)
    wide = Lens("SIMPLE_RADIAL", (50.0, 32.0, 24.0, 0.1), 64, 48)
    high = Lens("SIMPLE_RADIAL", (50.0, 18.0, 24.0, -0.1), 36, 48)
    lenses = [wide, high, Lens("SIMPLE_PINHOLE", (50.0, 32.0, 24.0), 64, 48), high]
    straight = undistort_clip(clip, lenses)
    assert not torch.equal(straight.images, clip.images)
    assert_same(undistort_clip(store.open_clip(tmp_path), lenses), straight)


def test_pictures_kept_in_files_are_read_as_those_kept_in_memory(tmp_path: Path) -> None:
    """Photos of two sizes, one of them deep."""
    random = np.random.default_rng(0)
    photos = tmp_path / "photos"
    photos.mkdir()
    for i, (h, w) in enumerate([(48, 64), (64, 48), (48, 64), (30, 40)]):
        Image.fromarray(random.integers(0, 256, (h, w, 3), dtype=np.uint8)).save(photos / f"{i}.png")
    deep = Image.fromarray(random.integers(0, 4096, (48, 64), dtype=np.uint16))
    deep.save(photos / "4.png")
    kept = read_capture(photos, scratch=tmp_path / "scratch")
    assert not isinstance(kept.photos, Clip)
    plain = read_capture(photos)
    assert_same(kept.photos, plain.clip)
    assert kept.levels == plain.levels is not None
    assert len(list((tmp_path / "scratch").iterdir())) == 5


def test_surface_points_of_photos_on_disk_are_the_same(room_photos: Path, tmp_path: Path) -> None:
    from worldgen.models.synthetic import SyntheticRoom

    cameras = SyntheticRoom().cameras(10, width=360, height=240)
    read = replace(read_capture(room_photos).clip, cameras=cameras)[::3]
    store.save_clip(read, tmp_path)
    found = []
    for photos in (read, store.open_clip(tmp_path)):
        maps = multiview_depth(photos.limit_size(120), planes=24)
        generator = torch.Generator().manual_seed(0)
        found.append((maps, surface_points(photos.limit_size(120), maps, count=500, generator=generator)))
    (a, in_a), (b, in_b) = found
    assert torch.equal(a.depth, b.depth)
    assert torch.equal(a.confidence, b.confidence)
    assert len(in_a) == 500
    assert torch.equal(in_a.xyz, in_b.xyz)
    assert torch.equal(in_a.rgb, in_b.rgb)


def test_frames_are_matched_with_the_photos_that_look_most_alike(generator: torch.Generator) -> None:
    places = torch.nn.functional.normalize(torch.randn(6, 60, 32, generator=generator), dim=2)

    def see(place: int) -> Features:
        """Half of the features are of the place, half of nothing."""
        rows = torch.cat([places[place], torch.randn(60, 32, generator=generator)])
        looks = rows + 0.05 * torch.randn(120, 32, generator=generator)
        return Features(
            torch.zeros(120, 2, dtype=torch.float64), torch.nn.functional.normalize(looks), 64, 64
        )

    photos, frames = [see(i % 6) for i in range(30)], [see(4), see(1)]
    alike = find_alike_photos(photos, frames, seed=0, alike=5)
    assert alike == [[4, 10, 16, 22, 28], [1, 7, 13, 19, 25]]
    assert find_alike_photos(photos, frames[1:], seed=0, alike=5) == alike[1:]


@pytest.fixture(scope="module")
def many_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Few and many photos of noise, as JPEG, in folders by their numbers."""
    folder = tmp_path_factory.mktemp("many")
    random = np.random.default_rng(0)
    for i in range(MANY):
        grain = random.integers(0, 256, (96, 128, 3), dtype=np.uint8)
        picture = Image.fromarray(grain).resize((1600, 1200))
        for count in (FEW, MANY):
            (folder / str(count)).mkdir(exist_ok=True)
            if i < count:
                picture.save(folder / str(count) / f"{i:03d}.jpg", quality=80)
    return folder


def growth_mb(imports: str, work: str, folder: Path) -> float:
    """MB of memory that each more photo takes; `work` is told its folder, which is named by the number of photos."""
    few, many = (memory_taken(imports, work, folder / str(count)) for count in (FEW, MANY))
    return (many - few) / (MANY - FEW) / 1e6


def test_reading_takes_hardly_more_memory_for_more_photos(many_photos: Path, tmp_path: Path) -> None:
    """It took 12 MB a photo of this size."""
    imports = "\n".join(
        [
            "import av, cv2, torch, tempfile",
            "from bridge4d.stages import capture; from bridge4d.augmenting.options import ReconstructOptions",
        ]
    )
    work = "\n".join(
        [
            f"options = ReconstructOptions(sfm_side={SIDE_PX})",
            "with tempfile.TemporaryDirectory() as out: capture.read_photos(Path(sys.argv[1]), Path(out), options)",
        ]
    )
    assert growth_mb(imports, work, many_photos) < 1


@pytest.mark.slow
def test_structure_from_motion_takes_no_more_than_features_for_more_photos(tmp_path: Path) -> None:
    """4096 descriptors of a photo are 0.5 MB as bytes and 1 MB in half precision; it took 32 MB a photo of 1280x960."""
    for count in (FEW, MANY):
        photos = write_sample(tmp_path / "photos", photos=MANY, width=SIDE_PX, height=SIDE_PX * 3 // 4)
        (tmp_path / str(count)).mkdir()
        for i, photo in enumerate(sorted(photos.glob("*.jpg"))):
            if i % (MANY // count) == 0:
                (tmp_path / str(count) / photo.name).symlink_to(photo)
    imports = "\n".join(
        [
            "import av, cv2, pycolmap, torch, tempfile",
            "from bridge4d.stages import capture, depth, sfm",
            "from bridge4d.augmenting.options import ReconstructOptions",
        ]
    )
    work = "\n".join(
        [
            f"options = ReconstructOptions(sfm_side={SIDE_PX}, allow_outside=True)",
            "with tempfile.TemporaryDirectory() as out:",
            "    out = Path(out)",
            "    capture.read_photos(Path(sys.argv[1]), out / 'capture', options)",
            "    sfm.recover_cameras(out / 'capture', out / 'sfm', options.recipe, options.rungs)",
            "    depth.estimate_depth(out / 'sfm', out / 'depth', max_side=240, max_points=25_000, seed=0)",
        ]
    )
    assert growth_mb(imports, work, tmp_path) < 6
