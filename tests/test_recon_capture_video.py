"""Videos: sharp frames, spread over the motion; broken ones give what they have."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from recon.capture import read_capture
from recon.capture.video import FrameStats, choose_frames, read_video
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
    with pytest.raises(CaptureError, match="only 1 frame of"):
        read_video(tmp_path / "one.mp4")


def test_choose_spreads_over_travel_and_prefers_the_sharp() -> None:
    stats = [FrameStats(i / 10, 1.0 + (i % 5 == 2), 0.02 * i) for i in range(50)]
    picks = choose_frames(stats, 10)
    assert len(picks) == 10
    assert all(p % 5 == 2 for p in picks)
    assert choose_frames(stats[:1] * 5, 10) == [0, 4]


def write_grey_12(path: Path, frames: list[np.ndarray]) -> None:
    """Twelve bits in sixteen, as cameras of machines write them; lossless."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = frames[0].shape[1], frames[0].shape[0], "gray16le"
        for frame in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray16le")))
        out.mux(stream.encode())


def first_and_ninth(names) -> set[str]:
    return set(sorted(names)[::8])


@pytest.mark.parametrize("spoilt", [0, 8])
def test_held_out_frames_of_a_video_decide_nothing(spoilt: int, tmp_path: Path) -> None:
    """Sixteen bits of noise in place of a held-out frame would set the levels of all."""
    frames = [f[..., 0].astype(np.uint16) * 8 for f in pan([20.0 * i for i in range(10)])]
    write_grey_12(tmp_path / "a.mkv", frames)
    frames[spoilt] = np.random.default_rng(1).integers(0, 65536, frames[0].shape).astype(np.uint16)
    write_grey_12(tmp_path / "b.mkv", frames)
    a, b = (
        read_video(tmp_path / name, every_frame=True, hold_out=first_and_ninth) for name in ("a.mkv", "b.mkv")
    )
    assert a.heldout == b.heldout == ("00000", "00008")
    training = [i for i in range(10) if i % 8]
    assert a.levels == b.levels
    assert a.levels is not None
    assert np.array_equal(a.clip.images[training], b.clip.images[training])


def eighth(names) -> set[str]:
    return set(sorted(names)[::8])


def test_held_out_frames_do_not_decide_which_others_are_taken(tmp_path: Path) -> None:
    """Noise in their places is the sharpest of all, and moves from nowhere to nowhere."""
    frames = [f[..., 0].astype(np.uint16) * 256 for f in pan([4.0 * i for i in range(48)])]
    write_grey_12(tmp_path / "a.mkv", frames)
    clean = read_capture(tmp_path / "a.mkv", max_frames=16, hold_out=eighth)
    assert 1 <= len(clean.heldout) <= 2
    assert len(clean.clip) > 8
    for name in clean.heldout:
        frames[int(name)] = (
            np.random.default_rng(int(name)).integers(0, 65536, frames[0].shape).astype(np.uint16)
        )
    write_grey_12(tmp_path / "b.mkv", frames)
    noise = read_capture(tmp_path / "b.mkv", max_frames=16, hold_out=eighth)
    assert noise.heldout == clean.heldout
    assert noise.clip.names == clean.clip.names
    rows = [i for i, name in enumerate(clean.clip.names) if name not in clean.heldout]
    assert np.array_equal(noise.clip.images[rows], clean.clip.images[rows])
    times = [abs(int(j) - int(clean.clip.names[i])) for j in clean.heldout for i in rows]
    assert min(times) <= 3


def test_a_video_that_hardly_moves_has_as_many_judges_as_its_few_frames_are_due(tmp_path: Path) -> None:
    write_video(tmp_path / "v.mp4", pan([0.5 * i for i in range(48)]))
    still = read_capture(tmp_path / "v.mp4", max_frames=40, hold_out=eighth)
    assert len(still.heldout) == 1
    assert len(still.clip) < 10


def test_a_held_out_frame_that_a_training_frame_repeats_is_left_out(tmp_path: Path) -> None:
    """A camera that rests shows one picture twice; one that moves slowly does not."""
    write_video(tmp_path / "rests.mp4", pan([6.0 * min(i, 8) for i in range(10)]))
    write_video(tmp_path / "slow.mp4", pan([2.0 * i for i in range(10)]))
    rests, slow = (
        read_video(tmp_path / name, every_frame=True, hold_out=first_and_ninth)
        for name in ("rests.mp4", "slow.mp4")
    )
    assert rests.skipped == (("00008", "the same picture as 00009, so that it judges nothing"),)
    assert rests.heldout == ("00000",)
    assert "00008" not in rests.clip.names
    assert slow.skipped == ()
    assert slow.heldout == ("00000", "00008")


def test_a_video_holds_out_what_a_capture_holds_out(tmp_path: Path) -> None:
    write_video(tmp_path / "v.mp4", pan([12.0 * i for i in range(10)]))
    assert read_capture(tmp_path / "v.mp4", hold_out=first_and_ninth).heldout[0] == "00000"


def test_frames_are_counted_before_they_are_decoded_to_be_kept(tmp_path: Path, monkeypatch) -> None:
    import psutil

    from recon.capture import video

    write_video(tmp_path / "v.mp4", pan([5.0 * i for i in range(10)]))
    memory = psutil.virtual_memory()._replace(total=2 * 12 * 320 * 240 * 9)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(video, "read_wanted_frames", lambda *_: pytest.fail("decoded"))
    with pytest.raises(CaptureError, match=r"^10 pictures of 320x240 in v\.mp4 would take"):
        read_video(tmp_path / "v.mp4", every_frame=True)
