"""Clips take the memory that they are said to take, and no more."""

from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from child_memory import memory_taken

from recon.errors import CaptureError
from recon.pictures.batch import check_batch, stack_pictures
from recon.pictures.images import as_unit


def test_a_batch_is_what_stacking_gives() -> None:
    random = np.random.default_rng(0)
    pictures = [
        random.integers(0, 256, (5, 7, 3), dtype=np.uint8),
        random.random((5, 7, 3), dtype=np.float32),
    ]
    expected = torch.stack([as_unit(picture) for picture in pictures])
    assert torch.equal(stack_pictures(pictures, "clip"), expected)


def test_more_than_half_of_the_memory_is_refused_before_it_is_taken() -> None:
    there = psutil.virtual_memory().total
    frames = there // (12 * 640 * 352)
    check_batch({(640, 352): frames // 3}, "a.mp4")
    with pytest.raises(CaptureError, match=r"pictures of 640x352 in a\.mp4 would take .* --max-side$"):
        check_batch({(640, 352): frames}, "a.mp4")
    with pytest.raises(CaptureError, match=r"^1 picture of \d+x352 in a\.mp4 would take "):
        check_batch({(640 * frames, 352): 1}, "a.mp4")


def test_a_video_of_many_frames_takes_its_floats_and_its_bytes_once(tmp_path: Path) -> None:
    """300 frames of 640x352 are 811 MB of floats; two copies and the bytes took 1.9 GB."""
    import av

    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 640, 352, "yuv420p"
        black = av.VideoFrame.from_ndarray(np.zeros((352, 640, 3), np.uint8), format="rgb24").reformat(
            format="yuv420p"
        )
        for i in range(300):
            black.pts = i
            for packet in stream.encode(black):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    peak = memory_taken(
        "import av, cv2, torch\n"
        "from recon.clips.source import ClipSource; from recon.clips.read import read_clip",
        "clip = read_clip(ClipSource('x', Path(sys.argv[1]), None, 'm')).clip\n"
        "assert clip.images.shape == (300, 352, 640, 3)",
        tmp_path / "a.mp4",
    )
    assert peak < 1.4 * 300 * 640 * 352 * 12


@pytest.mark.parametrize("mode", ["RGBA", "RGB", "I;16"])
def test_a_large_picture_is_in_memory_once(tmp_path: Path, mode: str) -> None:
    """36 million pixels; with copies in every form that they pass through they took 0.7 to 0.9 GB."""
    from PIL import Image

    Image.new(mode, (6000, 6000)).save(tmp_path / "a.png", compress_level=1)
    imports = "import cv2; from PIL import Image; from recon.pictures.images import decode"
    assert memory_taken(imports, "decode(Path(sys.argv[1]), 100)", tmp_path / "a.png") < 9 * 6000 * 6000


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "1", "RGB", "CMYK"])
def test_bands_do_not_show(tmp_path: Path, mode: str) -> None:
    from PIL import Image

    from recon.pictures import pillow_pixels

    random = np.random.default_rng(0)
    image = Image.fromarray(random.integers(0, 256, (1300, 20, 4), dtype=np.uint8))
    image = image.convert(mode) if mode != "P" else image.convert("RGB").convert("P")
    if mode == "P":
        image.info["transparency"] = 3
    whole = pillow_pixels._on_white(image)
    assert np.array_equal(pillow_pixels.read_pixels(image), whole)


def test_a_picture_of_more_pixels_than_are_decoded_is_refused(tmp_path: Path) -> None:
    import cv2

    from recon.pictures.images import decode

    header = b"II*\0" + (8).to_bytes(4, "little")
    tags = [(256, 4, 40000), (257, 4, 40000), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 4, 200), (277, 3, 1),
            (278, 4, 40000), (279, 4, 100)]  # fmt: skip
    entries = b"".join(
        tag.to_bytes(2, "little")
        + kind.to_bytes(2, "little")
        + (1).to_bytes(4, "little")
        + value.to_bytes(4, "little")
        for tag, kind, value in tags
    )
    (tmp_path / "a.tif").write_bytes(header + len(tags).to_bytes(2, "little") + entries + bytes(400))
    with pytest.raises(Exception, match=r"(?i)pixels|size"):
        decode(tmp_path / "a.tif", 100)
    with pytest.raises(cv2.error, match=r"CV_IO_MAX_IMAGE_PIXELS|pixels"):
        cv2.imdecode(np.fromfile(tmp_path / "a.tif", np.uint8), cv2.IMREAD_UNCHANGED)


def test_videos_that_ffmpeg_opens_and_cannot_decode_are_refused(tmp_path: Path) -> None:
    """Found by fuzzing: a stream without a decoder has no size, and metadata may be no UTF-8."""
    import av

    from recon.capture.read import read_capture

    for name in ("unknown.mkv", "metadata.mkv"):
        with av.open(str(tmp_path / name), "w") as container:
            container.metadata["title"] = "title-of-it"
            stream = container.add_stream("libx264", rate=10)
            stream.width, stream.height, stream.pix_fmt = 32, 24, "yuv420p"
            for value in (0, 255, 0):
                for packet in stream.encode(
                    av.VideoFrame.from_ndarray(np.full((24, 32, 3), value, np.uint8))
                ):
                    container.mux(packet)
            for packet in stream.encode():
                container.mux(packet)
    whole = (tmp_path / "metadata.mkv").read_bytes()
    assert whole.count(b"title-of-it") == 1
    assert whole.count(b"V_MPEG4/ISO/AVC") == 1
    (tmp_path / "metadata.mkv").write_bytes(whole.replace(b"title-of-it", b"title-\xff\xfeof"))
    (tmp_path / "unknown.mkv").write_bytes(whole.replace(b"V_MPEG4/ISO/AVC", b"V_MPEG9/ISO/ZZZ"))
    assert len(read_capture(tmp_path / "metadata.mkv").clip) >= 2
    with pytest.raises(CaptureError, match="in a format that cannot be decoded"):
        read_capture(tmp_path / "unknown.mkv")
