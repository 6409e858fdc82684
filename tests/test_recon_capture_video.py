"""Videos: sharp frames, spread over the motion; broken ones give what they have."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from recon.capture import read_capture
from recon.capture.video import FrameStats, choose, read_video
from recon.errors import CaptureError


def write_video(path: Path, frames: list[np.ndarray], rate: int = 10) -> None:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=rate, options={"crf": "12", "g": "10"})
        stream.width, stream.height, stream.pix_fmt = frames[0].shape[1], frames[0].shape[0], "yuv420p"
        for frame in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        out.mux(stream.encode())


def pan(offsets: list[float], blurred: tuple[int, ...] = ()) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    world = cv2.resize(
        rng.integers(0, 256, (30, 120, 3), dtype=np.uint8), (960, 240), interpolation=cv2.INTER_CUBIC
    )
    frames = []
    for i, x in enumerate(offsets):
        frame = cv2.getRectSubPix(world, (320, 240), (160 + x, 120))
        frames.append(cv2.GaussianBlur(frame, (0, 0), 3) if i in blurred else frame)
    return frames


def test_frames_follow_the_motion_not_the_clock(tmp_path: Path) -> None:
    """The camera rests for half of the video: the rest gives one frame or two, not half of them."""
    write_video(tmp_path / "v.mp4", pan([0.0] * 20 + [10.0 * i for i in range(1, 21)]))
    capture = read_capture(tmp_path / "v.mp4", max_frames=8)
    assert capture.ordered
    assert capture.kind == "video"
    assert not capture.skipped
    picks = [int(name) for name in capture.clip.names]
    assert capture.notes == (f"{len(picks)} of the 40 frames of v.mp4 were taken, spread over its motion",)
    assert 6 <= len(picks) <= 8
    assert sum(p < 19 for p in picks) <= 1
    assert capture.clip.times_s is not None
    assert capture.clip.times_s.tolist() == pytest.approx([p / 10 for p in picks])


def test_blurred_frames_are_passed_over(tmp_path: Path) -> None:
    blurred = (3, 7, 8, 12, 15)
    write_video(tmp_path / "v.mp4", pan([6.0 * i for i in range(20)], blurred))
    picks = {int(name) for name in read_video(tmp_path / "v.mp4", max_frames=6).clip.names}
    assert not picks & set(blurred)


def test_every_frame_and_its_pixels(tmp_path: Path) -> None:
    frames = pan([3.0 * i for i in range(8)])
    write_video(tmp_path / "v.mp4", frames)
    clip = read_video(tmp_path / "v.mp4", every_frame=True).clip
    assert len(clip) == 8
    for i, frame in enumerate(frames):
        assert float(np.abs(clip.images[i].numpy() - frame / 255).mean()) < 0.03
    assert read_video(tmp_path / "v.mp4", every_frame=True, max_side=160).clip.images.shape == (
        8,
        120,
        160,
        3,
    )


def test_a_still_video_gives_two_frames(tmp_path: Path) -> None:
    write_video(tmp_path / "v.mp4", pan([0.0] * 12))
    assert len(read_video(tmp_path / "v.mp4").clip) == 2


def test_a_truncated_video_gives_what_it_has_and_says_so(tmp_path: Path) -> None:
    write_video(tmp_path / "whole.mkv", pan([5.0 * i for i in range(40)]))
    data = (tmp_path / "whole.mkv").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[:100])
    with pytest.raises(CaptureError):
        read_video(tmp_path / "cut.mp4")
    fast = tmp_path / "fast.mp4"
    with av.open(str(fast), "w", options={"movflags": "faststart"}) as out:
        stream = out.add_stream("libx264", rate=10, options={"g": "5"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for frame in pan([5.0 * i for i in range(40)]):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        out.mux(stream.encode())
    whole = fast.read_bytes()
    fast.write_bytes(whole[: len(whole) * 6 // 10])
    capture = read_video(fast, every_frame=True)
    assert 10 < len(capture.clip) < 40
    (name, reason) = capture.skipped[0]
    assert name == "fast.mp4"
    assert "frames" in reason


def test_no_video_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_text("no video at all")
    with pytest.raises(CaptureError, match="not a video") as said:
        read_capture(tmp_path / "v.mp4")
    assert str(said.value).count("v.mp4") == 1
    assert "[Errno" not in str(said.value)
    write_video(tmp_path / "one.mp4", pan([0.0]))
    with pytest.raises(CaptureError, match="only 1 frames"):
        read_video(tmp_path / "one.mp4")


def test_choose_spreads_over_travel_and_prefers_the_sharp() -> None:
    stats = [FrameStats(i / 10, 1.0 + (i % 5 == 2), 0.02 * i) for i in range(50)]
    picks = choose(stats, 10)
    assert len(picks) == 10
    assert all(p % 5 == 2 for p in picks)
    assert choose(stats[:1] * 5, 10) == [0, 4]
