"""Folders of photos as people have them: turned, deep, transparent, broken, copied, mixed."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from recon.capture import read_capture
from recon.compute.files import NotRegularError
from recon.compute.progress import use_reporter
from recon.errors import CaptureError
from recon.pictures.canvas import find_boxes
from recon.pictures.headers import photo_shape
from recon.pictures.images import decode

EXIF_IFD = 0x8769


def photo(seed: int, width: int = 48, height: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(folder: Path, n: int, **size: int) -> list[np.ndarray]:
    folder.mkdir(parents=True, exist_ok=True)
    pixels = [photo(i, **size) for i in range(n)]
    for i, p in enumerate(pixels):
        Image.fromarray(p).save(folder / f"{i}.png")
    return pixels


def test_pixels_names_and_order(tmp_path: Path) -> None:
    pixels = save(tmp_path / "images", 3)
    (tmp_path / "images" / "notes.txt").write_text("not a photo")
    (tmp_path / "images" / ".hidden.png").write_bytes(b"")
    capture = read_capture(tmp_path)
    assert capture.kind == "images"
    assert capture.clip.names == ("0.png", "1.png", "2.png")
    assert capture.clip.cameras is None
    assert not any(capture.focals_px)
    assert not capture.ordered
    torch.testing.assert_close(capture.clip.images, torch.from_numpy(np.stack(pixels)).float() / 255)


def test_orientation_is_applied_and_the_focal_length_follows_the_size(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90° clockwise to see it upright
    exif.get_ifd(EXIF_IFD)[0xA405] = 36
    for i in range(2):
        Image.fromarray(photo(i, 400, 300)).save(tmp_path / f"{i}.jpg", exif=exif, quality=95)
    capture = read_capture(tmp_path, max_side=200)
    assert (capture.clip.width, capture.clip.height) == (150, 200)
    assert capture.focals_px[0] == pytest.approx(250 * 36 / 43.2666)
    upright = np.rot90(photo(0, 400, 300), -1)
    small = torch.from_numpy(
        cv2.resize(np.ascontiguousarray(upright), (150, 200), interpolation=cv2.INTER_AREA)
    )
    assert float((capture.clip.images[0] - small.float() / 255).abs().mean()) < 0.05


def test_focal_plane_resolution_counts_pixels_of_the_original(tmp_path: Path) -> None:
    exif = Image.Exif()
    ifd = exif.get_ifd(EXIF_IFD)
    ifd[0x920A], ifd[0xA20E], ifd[0xA210], ifd[0xA002] = 50.0, 1000.0, 3, 4000  # 100 px a mm: 5000 px of 4000
    for i in range(2):
        Image.fromarray(photo(i, 400, 300)).save(tmp_path / f"{i}.jpg", exif=exif)
    assert read_capture(tmp_path).focals_px[0] == pytest.approx(500)


@pytest.mark.parametrize("tag", [0xA002, 0x920A, 0xA20E, 0xA405])
def test_fractions_over_zero_are_no_focal_length(tag: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(EXIF_IFD).update({0x920A: 50.0, 0xA20E: 1000.0, 0xA210: 3, 0xA002: 4000})
    exif.get_ifd(EXIF_IFD)[tag] = IFDRational(1, 0)
    for i in range(2):
        Image.fromarray(photo(i, 400, 300)).save(tmp_path / f"{i}.jpg", exif=exif)
    assert read_capture(tmp_path).focals_px[0] == (pytest.approx(500) if tag == 0xA405 else None)


def test_depth_and_channels(tmp_path: Path) -> None:
    """16-bit grey, 16-bit colour TIFF, 8-bit grey, transparency: all in [0, 1] and where they belong."""
    deep = np.linspace(0, 65535, 48 * 32).reshape(32, 48).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "a_deep.png")
    Image.fromarray((deep // 257).astype(np.uint8)).save(tmp_path / "b_grey.png")
    clear = np.zeros((32, 48, 4), np.uint8)
    clear[:, :24] = (255, 0, 0, 255)
    Image.fromarray(clear).save(tmp_path / "c_clear.png")
    cv2.imwrite(str(tmp_path / "d_colour.tif"), np.stack([deep * 0, deep, deep // 2], 2))  # BGR
    capture = read_capture(tmp_path)
    assert not capture.skipped
    expected = torch.from_numpy(deep / 65535).float()
    images = capture.clip.images
    torch.testing.assert_close(images[0], expected[..., None].expand(-1, -1, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(images[1], images[0], atol=1 / 255, rtol=0)
    assert images[2, 0, 0].tolist() == [1, 0, 0]
    assert images[2, 0, -1].tolist() == [1, 1, 1]
    torch.testing.assert_close(images[3, ..., 1], expected, atol=1 / 255, rtol=0)
    torch.testing.assert_close(images[3, ..., 0], expected / 2, atol=1 / 255, rtol=0)


def test_heic(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    for i in range(2):
        smooth = cv2.resize(photo(i, 4, 3), (64, 48), interpolation=cv2.INTER_CUBIC)
        try:
            Image.fromarray(smooth).save(tmp_path / f"{i}.heic", quality=95)
        except (OSError, RuntimeError):
            pytest.skip("this build of libheif cannot write HEIC")
    assert read_capture(tmp_path).clip.names == ("0.heic", "1.heic")


def test_broken_and_copied_photos_are_named_and_left_out(tmp_path: Path) -> None:
    save(tmp_path, 3)
    whole = (tmp_path / "0.png").read_bytes()
    (tmp_path / "broken.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "copy.png").write_bytes(whole)
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("I am no photo")
    capture = read_capture(tmp_path)
    assert capture.clip.names == ("0.png", "1.png", "2.png")
    reasons = dict(capture.skipped)
    assert set(reasons) == {"broken.png", "copy.png", "empty.jpg", "text.jpg"}
    assert "same picture as 0.png" in reasons["copy.png"]
    assert "empty" in reasons["empty.jpg"]


def test_photos_of_several_sizes_share_a_canvas(tmp_path: Path) -> None:
    pixels = save(tmp_path, 3)
    Image.fromarray(photo(9, 32, 48)).save(tmp_path / "upright.png")
    capture = read_capture(tmp_path)
    assert capture.clip.images.shape == (4, 48, 48, 3)
    boxes = find_boxes(capture.clip)
    assert boxes == ((0, 8, 48, 32),) * 3 + ((8, 0, 32, 48),)
    for box, image, shown in zip(boxes, capture.clip.images, [*pixels, photo(9, 32, 48)], strict=True):
        torch.testing.assert_close(box.crop(image), torch.from_numpy(shown).float() / 255)
    assert capture.lens_groups == (0, 0, 0, 1)
    assert capture.notes == (
        "photos of several sizes: 48x32 (3), 32x48 (1); all are brought to a long side of 48 px and, uncropped, onto a canvas of 48x48",
        "photos by 2 lenses, each of which is found on its own: 48x32 (3), 32x48 (1)",
    )


def test_lenses_are_told_apart_by_exif(tmp_path: Path) -> None:
    """A phone, its wide lens, and an old photo of the same size without EXIF; two photos without any of another size."""
    told = [("0", 26), ("1", 13), ("2", 26), ("3", None), ("4", 13)]
    for name, focal in told:
        exif = Image.Exif()
        if focal is not None:
            exif[0x110] = "phone"
            exif.get_ifd(EXIF_IFD)[0xA405] = focal
        Image.fromarray(photo(int(name))).save(tmp_path / f"{name}.jpg", exif=exif)
    for name in ("5", "6"):
        Image.fromarray(photo(int(name), 96, 64)).save(tmp_path / f"{name}.jpg")
    capture = read_capture(tmp_path, max_side=48)
    assert capture.lens_groups == (0, 1, 0, 2, 1, 3, 3)
    assert capture.lens_names[:2] == ("48x32 phone 26 mm (35 mm film)", "48x32 phone 13 mm (35 mm film)")
    for name in ("1", "4"):
        (tmp_path / f"{name}.jpg").unlink()
    # of one phone and a size, a photo without EXIF is the phone's
    assert read_capture(tmp_path, max_side=48).lens_groups == (0, 0, 0, 1, 1)


@pytest.mark.parametrize("states", ["phone", "another", None])
def test_what_a_heldout_photo_states_moves_no_other_to_another_lens(
    states: str | None, tmp_path: Path
) -> None:
    """Photo 3 says nothing, and counts as one by the phone of its size; photos 4 and 5 say nothing either, in two sizes of a shape."""
    sizes = [(48, 32)] * 4 + [(96, 64), (192, 128)] * 2
    for i, size in enumerate(sizes):
        exif = Image.Exif()
        camera = states if i in (0, 6, 7) else "phone" if i < 3 else None
        if camera is not None:
            exif[0x110] = camera
        Image.fromarray(photo(i, *size)).save(tmp_path / f"{i}.jpg", exif=exif)
    capture = read_capture(tmp_path, max_side=48, hold_out=lambda names: {"0.jpg", "6.jpg", "7.jpg"})
    groups = capture.lens_groups
    assert groups[1:6] == (0, 0, 0, 1, 2)
    assert groups[6:] == (1, 2), "they judge by the lenses of their sizes"
    assert (groups[0] == 0) == (states != "another")


def test_one_shape_at_two_resolutions_is_one_size_once_limited(tmp_path: Path) -> None:
    save(tmp_path, 2)
    Image.fromarray(photo(9, 96, 64)).save(tmp_path / "large.png")
    assert read_capture(tmp_path, max_side=48).clip.images.shape == (3, 32, 48, 3)


def test_shrinking_averages_areas(tmp_path: Path) -> None:
    checker = (np.indices((32, 48)).sum(0) % 2)[..., None].repeat(3, 2) * 255
    for i in range(2):
        checker[0, 0] = 200 * i
        Image.fromarray(checker.astype(np.uint8)).save(tmp_path / f"{i}.png")
    images = read_capture(tmp_path, max_side=24).clip.images
    torch.testing.assert_close(images[:, 1:, 1:], torch.full((2, 15, 23, 3), 0.5), atol=1 / 255, rtol=0)


@pytest.mark.parametrize("broken_at", ["header", "pixels"])
def test_unreadable_photos_are_named_while_the_others_are_read(broken_at: str, tmp_path: Path) -> None:
    class Lines:
        def __init__(self) -> None:
            self.said: list[str] = []

        def start(self, description: str, total: int | None):
            return lambda done, text: self.said.append(f"{done}/{total}")

        def finish(self, description: str, ended: str = "") -> None:
            self.said.append(f"{description} ended")

        def note(self, text: str) -> None:
            self.said.append(text)

    save(tmp_path, 3)
    whole = (tmp_path / "1.png").read_bytes()
    (tmp_path / "1.png").write_bytes(whole[: 2000 if broken_at == "pixels" else 20])
    lines = Lines()
    with use_reporter(lines):
        assert read_capture(tmp_path).clip.names == ("0.png", "2.png")
    (told,) = (
        i for i, line in enumerate(lines.said) if line.startswith("1.png is left out: cannot be decoded")
    )
    assert told < lines.said.index("reading photos ended")


@pytest.mark.parametrize("content", ["missing", "empty", "text", "one", "black", "model.obj"])
def test_nothing_to_work_with_is_said_in_words(content: str, tmp_path: Path) -> None:
    folder = tmp_path / "capture"
    if content != "missing":
        folder.mkdir()
    if content == "text":
        (folder / "notes.txt").write_text("hello")
    if content == "one":
        save(folder, 1)
    if content == "black":
        for i in range(3):
            Image.fromarray(np.full((8, 8, 3), i // 2, np.uint8)).save(folder / f"{i}.png")
    if content == "model.obj":
        folder = folder / content
        folder.write_text("v 0 0 0")
    expected = {
        "missing": "does not exist",
        "empty": "it is empty",
        "text": "notes.txt",
        "one": "at least two usable photos",
        "black": "black",
        "model.obj": "got model.obj",
    }
    with pytest.raises(CaptureError, match=expected[content]):
        read_capture(folder)


def test_a_pipe_is_no_picture_and_does_not_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(NotRegularError, match="expected a file"):
        photo_shape(tmp_path / "a.png")
    with pytest.raises(NotRegularError, match="expected a file"):
        decode(tmp_path / "a.png")


@pytest.mark.parametrize("hole", [np.nan, np.inf])
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_with_holes_are_left_out(channels: int, hole: float, tmp_path: Path) -> None:
    """Scanners leave NaN where they saw nothing; one such value in a loss ends a fit."""
    for i in range(3):
        pixels = photo(i)[..., :channels].astype(np.float32).squeeze() / 255
        if i == 1:
            pixels[2:4, 2:4] = hole
        cv2.imwrite(str(tmp_path / f"{i}.tif"), pixels)
    capture = read_capture(tmp_path, max_side=24)
    assert capture.clip.names == ("0.tif", "2.tif")
    values = 4 * channels
    assert capture.skipped == (
        ("1.tif", f"cannot be decoded ({values} of its values are NaN or infinite; fill them)"),
    )
    assert bool(capture.clip.images.isfinite().all())


def test_photos_in_sub_folders_are_read(tmp_path: Path) -> None:
    """In natural order, folder by folder; masks, thumbnails, smaller versions and captures of their own stay out."""
    for i, name in enumerate(("left/2", "left/10", "right/1", "left2/1", "deep/er/1")):
        file = tmp_path / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo(i)).save(file)
    others = (
        "masks/1",
        "thumbs/1",
        "left_2/2",
        "my_depth/1",
        ".hidden/1",
        "other/transforms.json",
        "other/1",
    )
    for i, name in enumerate(others):
        file = tmp_path / (name if "." in Path(name).name else f"{name}.png")
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo(10 + i)).save(file, format="png")
    capture = read_capture(tmp_path)
    assert capture.clip.names == ("deep/er/1.png", "left/2.png", "left/10.png", "left2/1.png", "right/1.png")
    folders, skipped = capture.notes
    assert folders == "the photos are those of 4 folders: deep/er (1), left (2), left2 (1), right (1)"
    assert skipped.startswith(
        "5 pictures are not taken for photos: left_2/2.png is in a smaller version of left, by its name"
    )


def test_versions_of_photos_in_sub_folders_are_no_photos(tmp_path: Path) -> None:
    save(tmp_path, 3)
    for i in range(2):
        (tmp_path / "edited").mkdir(exist_ok=True)
        Image.fromarray(photo(20 + i)).save(tmp_path / "edited" / f"{i}.jpg")
    save(tmp_path / "more", 5)
    capture = read_capture(tmp_path)
    assert capture.clip.names[:3] == ("0.png", "1.png", "2.png")
    assert not any(name.startswith("edited") for name in capture.clip.names)
    assert "edited/0.jpg is another version of 0.png, by its name, as are all beside it" in capture.notes[-1]


def test_photos_of_one_sub_folder_have_bare_names(tmp_path: Path) -> None:
    save(tmp_path / "2024" / "kitchen", 2)
    capture = read_capture(tmp_path)
    assert capture.clip.names == ("0.png", "1.png")
    assert capture.notes == ("the photos are those of 2024/kitchen",)
