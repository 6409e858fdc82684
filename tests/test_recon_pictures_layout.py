"""What a picture file says of its pixels: turns, black and white, and the shape of a pixel, each obeyed once."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiff_files import ORIENTATION, PHOTOMETRIC, X_RESOLUTION, Y_RESOLUTION, tiff_bytes

from recon.capture import read_capture
from recon.clips.read import read_clip
from recon.clips.source import ClipSource
from recon.pictures.headers import photo_shape
from recon.pictures.images import as_unit, decode
from recon.pictures.shape import Layout

WIDTH, HEIGHT = 6, 4
KINDS = ("8-bit grey", "8-bit", "16-bit grey", "16-bit", "float grey", "float")


def pixels_of(kind: str, seed: int = 0) -> np.ndarray:
    shape = (HEIGHT, WIDTH) if "grey" in kind else (HEIGHT, WIDTH, 3)
    unit = np.random.default_rng(seed).random(shape, dtype=np.float32)
    if kind.startswith("float"):
        return unit
    white, dtype = (255, np.uint8) if kind.startswith("8") else (65535, np.uint16)
    return (unit * white).astype(dtype)


def in_colour(pixels: np.ndarray) -> torch.Tensor:
    """As [h, w, 3] in [0, 1]."""
    white = {"u1": 255, "u2": 65535, "f4": 1}[f"{pixels.dtype.kind}{pixels.dtype.itemsize}"]
    unit = torch.from_numpy(np.ascontiguousarray(pixels).astype(np.float32) / white)
    return unit if unit.ndim == 3 else unit[..., None].expand(-1, -1, 3)


def as_shown(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Where EXIF 2.3 says that the first row and column of the file are to be seen."""
    first_row, first_column = {
        1: ("top", "left"), 2: ("top", "right"), 3: ("bottom", "right"), 4: ("bottom", "left"),
        5: ("left", "top"), 6: ("right", "top"), 7: ("right", "bottom"), 8: ("left", "bottom"),
    }[orientation]  # fmt: skip
    if first_row in ("left", "right"):
        pixels = pixels.swapaxes(0, 1)
        first_row, first_column = first_column, first_row
    pixels = pixels[::-1] if first_row == "bottom" else pixels
    return pixels[:, ::-1] if first_column == "right" else pixels


@pytest.mark.parametrize("layout", ["stored", "shown"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", KINDS)
def test_a_tiff_is_turned_once(kind: str, orientation: int, layout: Layout, tmp_path: Path) -> None:
    """Pillow and OpenCV turn TIFFs while they decode them, and no other format."""
    stored = pixels_of(kind)
    file = tmp_path / "a.tif"
    file.write_bytes(tiff_bytes(stored, tags={ORIENTATION: orientation}))
    expected = in_colour(stored if layout == "stored" else as_shown(stored, orientation))
    shape = photo_shape(file)
    assert (shape.width, shape.height, shape.orientation) == (WIDTH, HEIGHT, orientation)
    pixels, size, _ = decode(file, layout=layout)
    assert size == (expected.shape[1], expected.shape[0])
    torch.testing.assert_close(as_unit(pixels), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("kind", ["8-bit grey", "16-bit grey", "float grey"])
def test_white_is_zero_where_a_tiff_says_so(kind: str, big_endian: bool, tmp_path: Path) -> None:
    stored = pixels_of(kind)
    (tmp_path / "a.tif").write_bytes(tiff_bytes(stored, big_endian=big_endian, tags={PHOTOMETRIC: 0}))
    pixels, _, _ = decode(tmp_path / "a.tif")
    torch.testing.assert_close(as_unit(pixels), 1 - in_colour(stored), atol=1e-4, rtol=0)


def write_with_density(file: Path, pixels: np.ndarray, across: int, down: int) -> None:
    """A picture that states how many pixels an inch has; a PNG, a JPEG by JFIF or by EXIF alone, or a TIFF."""
    if file.suffix == ".tif":
        tags: dict[int, int | tuple[int, int]] = {X_RESOLUTION: (across, 1), Y_RESOLUTION: (down, 1)}
        file.write_bytes(tiff_bytes(pixels, tags=tags))
        return
    Image.fromarray(pixels).save(file, dpi=(across, down), quality=100)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
@pytest.mark.parametrize(("across", "down", "shown"), [(100, 200, (12, 4)), (300, 150, (6, 8))])
def test_pixels_of_photos_are_made_square(
    suffix: str, across: int, down: int, shown: tuple[int, int], tmp_path: Path
) -> None:
    """Twice as many pixels an inch down as across: each is twice as wide as high."""
    for i in range(3):
        write_with_density(tmp_path / f"{i}{suffix}", pixels_of("8-bit", i), across, down)
    capture = read_capture(tmp_path)
    assert (capture.clip.width, capture.clip.height) == shown
    (note,) = capture.notes
    assert f"shown as {shown[0]}x{shown[1]}, stored as 6x4" in note
    assert decode(tmp_path / f"0{suffix}", layout="stored")[1] == (WIDTH, HEIGHT)
    frames = read_clip(ClipSource("c", tmp_path, None, "model"))
    torch.testing.assert_close(frames.clip.images, capture.clip.images)
    assert frames.notes == (note.replace("photos", "frames"),)


@pytest.mark.parametrize(("across", "down"), [(72, 72), (2833, 2835), (1, 100), (0, 72)])
def test_square_pixels_and_damaged_densities_change_nothing(across: int, down: int, tmp_path: Path) -> None:
    """Scanners round the two densities apart from one another; a hundred to one is no pixel."""
    for i in range(2):
        write_with_density(tmp_path / f"{i}.tif", pixels_of("8-bit", i), across, down)
    capture = read_capture(tmp_path)
    assert (capture.clip.width, capture.clip.height) == (WIDTH, HEIGHT)
    assert capture.notes == ()


def test_cameras_that_count_stored_pixels_get_them(tmp_path: Path) -> None:
    lens = {"fl_x": 5, "fl_y": 10, "cx": 3, "cy": 2, "w": WIDTH, "h": HEIGHT}
    frames = [{"file_path": f"{i}.png", "transform_matrix": np.eye(4).tolist()} for i in range(2)]
    for i in range(2):
        write_with_density(tmp_path / f"{i}.png", pixels_of("8-bit", i), 100, 200)
    (tmp_path / "transforms.json").write_text(json.dumps(lens | {"frames": frames}))
    capture = read_capture(tmp_path)
    assert (capture.clip.width, capture.clip.height) == (WIDTH, HEIGHT)
    torch.testing.assert_close(capture.clip.images[0], in_colour(pixels_of("8-bit", 0)))
    (note,) = capture.notes
    assert "as stored" in note
    assert "2 times as wide as high" in note
