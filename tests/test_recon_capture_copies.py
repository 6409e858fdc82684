"""Held-out copies are found whatever re-encoded them; other views of the same thing never are taken for copies."""

import io
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
from PIL import Image

from recon.capture import read_capture
from recon.capture.copies import find_copied
from recon.errors import CaptureError

N = 12


def views(kind: str) -> list[np.ndarray]:
    """Photos side by side: of a wall, of a small thing that turns on white ground, or of the wall in 10 of 16 bits."""
    rng = np.random.default_rng(0)
    wall = cv2.resize(
        rng.integers(0, 256, (30, 90, 3), dtype=np.uint8), (960, 320), interpolation=cv2.INTER_CUBIC
    )
    seen = [np.ascontiguousarray(wall[40:280, 40 * i : 40 * i + 320]) for i in range(N)]
    if kind == "on white":
        for i, view in enumerate(seen):
            seen[i] = np.full_like(view, 255)
            seen[i][90:150, 120:200] = view[90:150, 120:200]
    return seen


def held_out(names) -> set[str]:
    return set(sorted(names)[::8])


@pytest.mark.parametrize("kind", ["wall", "on white", "ten bits"])
def test_other_views_are_no_copies(kind: str, tmp_path: Path) -> None:
    for i, view in enumerate(views(kind)):
        if kind == "ten bits":  # and dim: values up to 1023 of 65535
            cv2.imwrite(str(tmp_path / f"{i:02d}.png"), view.astype(np.uint16) * 4)
        else:
            Image.fromarray(view).save(tmp_path / f"{i:02d}.png")
    read = read_capture(tmp_path, hold_out=held_out)
    assert read.skipped == ()
    assert read.heldout == ("00.png", "08.png")


def reencoded(how: str, picture: np.ndarray) -> np.ndarray:
    image = Image.fromarray(picture)
    if how == "half the size":
        return np.asarray(
            image.resize((picture.shape[1] // 2, picture.shape[0] // 2), Image.Resampling.LANCZOS)
        )
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=50)
    return np.asarray(Image.open(stream))


@pytest.mark.parametrize("how", ["JPEG of quality 50", "half the size"])
@pytest.mark.parametrize("kind", ["wall", "on white"])
def test_another_encoding_of_a_training_photo_judges_nothing(kind: str, how: str, tmp_path: Path) -> None:
    seen = views(kind)
    seen[8] = reencoded(how, seen[3])
    for i, view in enumerate(seen):
        Image.fromarray(view).save(tmp_path / f"{i:02d}.png")
    read = read_capture(tmp_path, hold_out=held_out)
    assert dict(read.skipped) == {"08.png": "the same picture as 03.png, so that it judges nothing"}
    assert read.heldout == ("00.png",)


def test_real_photos_and_their_copies_are_told_apart(shared: Path) -> None:
    """All photos of all sets as held-out ones: none is a copy of another, and each is found again in JPEG of quality 50."""
    from recon.pictures.images import decode

    for name in ("banana", "lund_door", "llff_flower", "pi3_room"):
        folder = shared / "captures" / name / "images"
        photos = [decode(file, 320)[0] for file in sorted(folder.iterdir())]
        photos = [photo for photo in photos if photo.shape == photos[0].shape]
        for start in range(4):
            judged, training = photos[start::4], [p for i, p in enumerate(photos) if i % 4 != start]
            assert find_copied(judged, training) == [None] * len(judged), name
            copies = [reencoded("JPEG of quality 50", photo) for photo in training]
            assert find_copied(copies, training) == list(range(len(training))), name


def test_photos_are_counted_before_any_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from recon.capture import decoded

    for i, view in enumerate(views("wall")):
        Image.fromarray(view).save(tmp_path / f"{i:02d}.png")
    Image.fromarray(views("wall")[0][:120]).save(tmp_path / "low.png")
    memory = psutil.virtual_memory()._replace(total=2 * 12 * 320 * 240 * N)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(decoded, "decode", lambda *_, **__: pytest.fail("decoded"))
    with pytest.raises(CaptureError, match=r"^13 pictures of 320x240 in .* take .* --max-side$"):
        read_capture(tmp_path)
