"""Which clips there are, which frames of them are read, and which camera goes with which frame."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from recon.clips.clipset import ClipSet, ClipSource, find_clips
from recon.clips.models import source_word
from recon.clips.pairing import Sampling, pair_frames, spread_indices
from recon.clips.read import ReadClip, read_clip
from recon.errors import CameraError, CaptureError
from recon.pictures.shape import PictureShape
from recon.videos.read import VideoShape, decode_frames, video_shape

WIDTH, HEIGHT = 48, 32
CODECS = {".mp4": "libx264", ".mkv": "libx264", ".webm": "libvpx-vp9", ".mov": "mpeg4", ".avi": "mpeg4"}


def picture(level: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A grey frame whose brightness tells its number: 10 levels apart."""
    return np.full((height, width, 3), 20 + 10 * level, np.uint8)


def level_of(read: ReadClip) -> list[int]:
    """Which frames were read, by their brightness."""
    return [round((float(image.mean()) * 255 - 20) / 10) for image in read.clip.images]


def write_video(path: Path, n: int = 8) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gif":
        first, *rest = [Image.fromarray(picture(i)) for i in range(n)]
        first.save(path, save_all=True, append_images=rest, duration=100, loop=0)
        return path
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream(CODECS[path.suffix], rate=10)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for i in range(n):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture(i), format="rgb24")))
        out.mux(stream.encode())
    return path


def write_frames(folder: Path, n: int = 4, name: str = "frame_{}.png", width: int = WIDTH) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(n):
        Image.fromarray(picture(i, width)).save(folder / name.format(i))
    return folder


def write_kitti(file: Path, n: int) -> Path:
    """Camera i stands at (i, 0, 0)."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"1 0 0 {i} 0 1 0 0 0 0 1 0\n" for i in range(n)))
    return file


def write_transforms(file: Path, names: Sequence[str]) -> Path:
    """The camera of the i-th name stands at (i, 0, 0)."""
    frames = [
        {"file_path": name, "transform_matrix": [[1, 0, 0, i], [0, -1, 0, 0], [0, 0, -1, 0], [0, 0, 0, 1]]}
        for i, name in enumerate(names)
    ]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"fl_x": 40, "w": WIDTH, "h": HEIGHT, "frames": frames}))
    return file


def source(path: Path, cameras: Path | None = None) -> ClipSource:
    return ClipSource("clip", path, cameras, "model")


def camera_numbers(read: ReadClip) -> list[int]:
    return [round(float(x)) for x in read.clip.require_cameras().centers[:, 0]]


def names(found: ClipSet) -> list[str]:
    return [s.name for s in found.sources]


# ---- frames ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".mov", ".avi", ".gif"])
def test_every_frame_of_a_video(suffix: str, tmp_path: Path) -> None:
    read = read_clip(source(write_video(tmp_path / f"v{suffix}"), write_kitti(tmp_path / "v.txt", 8)))
    assert level_of(read) == list(range(8))
    assert camera_numbers(read) == list(range(8))
    assert read.indices == tuple(range(8))
    assert read.clip.images.shape == (8, HEIGHT, WIDTH, 3)
    assert read.clip.times_s is not None
    assert read.clip.times_s.tolist() == pytest.approx([i / 10 for i in range(8)], abs=0.002)
    assert not read.intrinsics_known
    assert read.notes == ("the request does not state the intrinsics",)


def test_only_the_chosen_frames_are_kept(tmp_path: Path) -> None:
    video = write_video(tmp_path / "v.mp4", 10)
    decoded = decode_frames(video, {1, 7}, max_side=24)
    assert sorted(decoded.pixels) == [1, 7]
    assert decoded.pixels[1].shape == (16, 24, 3)
    assert (decoded.total, decoded.stated, decoded.ended) == (10, 10, "")
    assert video_shape(video).packets == 10
    cameras = write_kitti(tmp_path / "v.txt", 10)
    read = read_clip(source(video, cameras), sampling=Sampling(every=2, frames=3), max_side=24)
    assert read.indices == (0, 4, 8)
    assert level_of(read) == camera_numbers(read) == [0, 4, 8]
    assert read.clip.names == ("00000", "00004", "00008")
    assert (read.clip.require_cameras().width, read.clip.require_cameras().height) == (24, 16)


@pytest.mark.parametrize("packets", [0, 20, 27])
def test_frames_are_counted_as_decoded(packets: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packets only foretell the frames: VP8 has packets that are never shown."""
    monkeypatch.setattr(
        "recon.clips.read.video_shape", lambda _: VideoShape(PictureShape(WIDTH, HEIGHT), packets)
    )
    video, cameras = write_video(tmp_path / "v.webm", 24), write_kitti(tmp_path / "v.txt", 24)
    read = read_clip(source(video, cameras), sampling=Sampling(frames=4))
    assert level_of(read) == camera_numbers(read) == list(read.indices) == [0, 8, 15, 23]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_video_that_breaks_off_keeps_its_pairing(suffix: str, tmp_path: Path) -> None:
    """Faststart puts the index first, so that a cut file can be opened: it states 20 frames and has fewer."""
    rng = np.random.default_rng(0)
    whole = tmp_path / f"whole{suffix}"
    with av.open(str(whole), "w", options={"movflags": "faststart"} if suffix == ".mp4" else {}) as out:
        stream: Any = out.add_stream("libx264", rate=10, options={"g": "1", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for _ in range(20):
            noise = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")))
        out.mux(stream.encode())
    data = whole.read_bytes()
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(data[: len(data) * 6 // 10])
    cameras = write_kitti(tmp_path / "c.txt", 20)
    read = read_clip(source(cut, cameras))
    assert 5 < len(read.clip) < 16
    assert camera_numbers(read) == list(range(len(read.clip)))
    assert len(read.notes) == 2
    assert f"cut{suffix}" in read.notes[1]
    assert len(read_clip(source(cut)).clip) == len(read.clip)
    frames = 20 if suffix == ".mp4" else len(read.clip)  # Matroska does not say how many it had
    with pytest.raises(CameraError, match=f"{frames} frames and 9 cameras"):
        read_clip(source(cut, write_kitti(tmp_path / "d.txt", 9)))


def test_a_cut_gif_and_what_is_no_video(tmp_path: Path) -> None:
    """A GIF states no number of frames; it lacks its last byte."""
    whole, cut = write_video(tmp_path / "whole.gif"), tmp_path / "cut.gif"
    assert read_clip(source(whole)).notes == ()
    cut.write_bytes(whole.read_bytes()[:-200])
    read = read_clip(source(cut))
    assert 2 <= len(read.clip) < 8
    assert read.notes == (f"cut.gif has no end after {len(read.clip)} frames; those are used",)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    with pytest.raises(CaptureError, match="not a video") as caught:
        read_clip(source(broken))
    assert str(caught.value).count("broken.mp4") == 1
    assert "Errno" not in str(caught.value)


@pytest.mark.parametrize("inside", ["", "images", "frames"])
def test_a_folder_of_frames_is_sorted_as_people_count(inside: str, tmp_path: Path) -> None:
    write_frames(tmp_path / "clip" / inside, 12)
    read = read_clip(source(tmp_path / "clip", write_kitti(tmp_path / "c.txt", 12)))
    assert level_of(read) == camera_numbers(read) == list(range(12))
    assert read.clip.names[9:] == ("frame_9.png", "frame_10.png", "frame_11.png")
    picked = read_clip(source(tmp_path / "clip"), sampling=Sampling(frames=2))
    assert level_of(picked) == [0, 11]
    assert picked.clip.cameras is None


def test_cameras_that_name_frames_go_with_these(tmp_path: Path) -> None:
    """In the file the cameras stand backwards, one frame has none, and one camera has no frame."""
    write_frames(tmp_path / "clip", 5)
    cameras = write_transforms(tmp_path / "t.json", [f"images/frame_{i}.jpg" for i in (7, 4, 2, 1, 0)])
    read = read_clip(source(tmp_path / "clip", cameras))
    assert level_of(read) == list(read.indices) == [0, 1, 2, 4]
    assert camera_numbers(read) == [4, 3, 2, 1]
    assert read.intrinsics_known
    assert read.notes == (
        "1 of 5 frames has no camera and is left out; 1 of 5 cameras of t.json has no frame",
    )
    other = write_transforms(tmp_path / "o.json", [f"other_{i}" for i in range(5)])
    assert camera_numbers(read_clip(source(tmp_path / "clip", other))) == [0, 1, 2, 3, 4]


def test_corrupt_frames_go_with_their_cameras(tmp_path: Path) -> None:
    write_frames(tmp_path / "clip", 5)
    (tmp_path / "clip" / "frame_0.png").write_bytes(b"")
    (tmp_path / "clip" / "frame_2.png").write_bytes(b"not a picture")
    read = read_clip(source(tmp_path / "clip", write_kitti(tmp_path / "c.txt", 5)))
    assert level_of(read) == camera_numbers(read) == list(read.indices) == [1, 3, 4]
    assert [note.split()[0] for note in read.notes[-2:]] == ["frame_0.png", "frame_2.png"]
    for i in (1, 3, 4):
        (tmp_path / "clip" / f"frame_{i}.png").write_bytes(b"")
    for cameras in (None, tmp_path / "c.txt"):
        with pytest.raises(CaptureError, match=r"expected (at least two )?frames in"):
            read_clip(source(tmp_path / "clip", cameras))


def test_clips_that_are_none(tmp_path: Path) -> None:
    write_frames(tmp_path / "mixed", 3)
    write_frames(tmp_path / "mixed", 1, "other_{}.png", width=50)
    with pytest.raises(CaptureError, match=r"one size in .*mixed, got 48x32 \(3\), 50x32 \(1\)"):
        read_clip(source(tmp_path / "mixed"))
    with pytest.raises(CaptureError, match=r"at least two frames in .*one.mp4, got 1"):
        read_clip(source(write_video(tmp_path / "one.mp4", 1)))
    with pytest.raises(CaptureError, match=r"at least two frames in .*one, got 1"):
        read_clip(source(write_frames(tmp_path / "one", 1)))
    with pytest.raises(CaptureError, match="does not exist"):
        read_clip(source(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(CaptureError, match="found no videos"):
        read_clip(source(tmp_path / "empty"))
    with pytest.raises(CaptureError, match="every 0"):
        Sampling(every=0)
    with pytest.raises(CaptureError, match="at least 2 frames"):
        Sampling(frames=1)


def test_frozen_and_black_frames_are_frames(tmp_path: Path) -> None:
    (tmp_path / "clip").mkdir()
    for i in range(3):
        Image.new("RGB", (8, 8)).save(tmp_path / "clip" / f"{i}.png")
    assert len(read_clip(source(tmp_path / "clip")).clip) == 3


def test_options_are_defaults_and_what_a_source_states_is_not(tmp_path: Path) -> None:
    """One set of options serves a control of one format and clips of another."""
    clip = write_frames(tmp_path / "clip", 3)
    kitti = write_kitti(tmp_path / "kitti.txt", 3)
    npz = tmp_path / "m.npz"
    world_from_cam = np.stack([np.eye(4)] * 3)
    world_from_cam[:, 0, 3] = range(3)
    np.savez(npz, poses=np.linalg.inv(world_from_cam))
    re10k = tmp_path / "re10k.txt"
    re10k.write_text("".join(f"{i} .5 .75 .5 .5 0 0 1 0 0 {-i} 0 1 0 0 0 0 1 0\n" for i in range(3)))
    w2c = "cam_from_world/opencv"
    assert camera_numbers(read_clip(source(clip, npz), convention=w2c)) == [0, 1, 2]
    assert camera_numbers(read_clip(source(clip, npz), convention=w2c, format="tum")) == [0, 1, 2]
    for convention in (w2c, "world_from_cam/opengl"):
        read = read_clip(source(clip, re10k), convention=convention, format="matrices")
        assert camera_numbers(read) == [0, 1, 2]
    # 12 numbers a line may be either: said to be matrices of the other direction, they are these.
    with pytest.raises(CameraError, match=r"KITTI.*'matrices'"):
        read_clip(source(clip, kitti), convention=w2c)
    assert camera_numbers(read_clip(source(clip, kitti), convention=w2c, format="matrices")) == [0, -1, -2]
    assert camera_numbers(read_clip(source(clip, kitti), convention=w2c, format="kitti")) == [0, 1, 2]
    with pytest.raises(CameraError, match="realestate10k, which is"):
        read_clip(ClipSource("c", clip, re10k, "m", convention="world_from_cam/opengl"))
    with pytest.raises(CameraError, match="expected 8 numbers"):
        read_clip(ClipSource("c", clip, re10k, "m", format="tum"))
    with pytest.raises(CameraError, match="expected a format out of"):
        read_clip(source(clip, re10k), format="re10k")


# ---- as many cameras as frames --------------------------------------------------------------------------


def test_count_rules(tmp_path: Path) -> None:
    video = write_video(tmp_path / "v.mp4", 9)
    few, many = write_kitti(tmp_path / "few.txt", 5), write_kitti(tmp_path / "many.txt", 17)
    for cameras, n in ((few, 5), (many, 17)):
        with pytest.raises(
            CameraError, match=rf"9 frames and {n} cameras; .*`--count-rule first` .*`--count-rule spread`"
        ):
            read_clip(source(video, cameras))
    first = read_clip(source(video, few), count_rule="first")
    assert level_of(first) == camera_numbers(first) == [0, 1, 2, 3, 4]
    spread_frames = read_clip(source(video, few), count_rule="spread")
    assert level_of(spread_frames) == [0, 2, 4, 6, 8]
    assert camera_numbers(spread_frames) == [0, 1, 2, 3, 4]
    spread_cameras = read_clip(source(video, many), count_rule="spread")
    assert level_of(spread_cameras) == list(range(9))
    assert camera_numbers(spread_cameras) == list(range(0, 17, 2))


def test_the_rule_comes_before_sampling(tmp_path: Path) -> None:
    video, cameras = write_video(tmp_path / "v.mp4", 9), write_kitti(tmp_path / "c.txt", 5)
    sampled = read_clip(source(video, cameras), count_rule="first", sampling=Sampling(frames=2))
    assert level_of(sampled) == camera_numbers(sampled) == [0, 4]
    with pytest.raises(CameraError, match="9 frames and 5 cameras"):
        read_clip(source(video, cameras), sampling=Sampling(frames=5))


def test_spread_holds_both_ends() -> None:
    assert spread_indices(49, 16) == [0, 3, 6, 10, 13, 16, 19, 22, 26, 29, 32, 35, 38, 42, 45, 48]
    assert (spread_indices(7, 1), spread_indices(7, 0), spread_indices(3, 3)) == ([0], [], [0, 1, 2])
    assert pair_frames(3, 5, "spread") == [(0, 0), (1, 2), (2, 4)]


# ---- which clips there are ------------------------------------------------------------------------------


def test_a_folder_of_videos_with_cameras_beside(tmp_path: Path) -> None:
    folder = tmp_path / "wan"
    for name in ("clip_10.mp4", "clip_2.webm", "clip_3.gif"):
        write_video(folder / name, 2)
    write_kitti(folder / "clip_2.txt", 2)
    (folder / "clip_3.txt").write_text("A cat on a mat.")
    np.save(folder / "clip_3.npy", np.eye(4)[None])
    (folder / "README.md").write_text("x")
    (folder / "notes.doc").write_text("x")
    (folder / ".hidden.mp4").write_bytes(b"")
    found = find_clips(folder)
    assert names(found) == ["clip_2", "clip_3", "clip_10"]
    assert [s.cameras and s.cameras.name for s in found.sources] == ["clip_2.txt", "clip_3.npy", None]
    assert {s.model for s in found.sources} == {"wan"}
    reasons = dict(found.skipped)
    assert set(reasons) == {"clip_3.txt", "notes.doc"}
    assert "no numbers of cameras" in reasons["clip_3.txt"]
    assert {s.model for s in find_clips(folder, model="v2").sources} == {"v2"}
    single = find_clips(folder / "clip_2.webm")
    assert names(single) == ["clip_2"]
    assert (single.sources[0].cameras, single.sources[0].model) == (folder / "clip_2.txt", "wan")


def test_folders_of_frames_and_two_levels(tmp_path: Path) -> None:
    write_frames(tmp_path / "a" / "one")
    write_transforms(tmp_path / "a" / "one" / "transforms.json", ["frame_0", "frame_1"])
    write_frames(tmp_path / "a" / "two" / "frames")
    write_kitti(tmp_path / "a" / "two" / "cameras.txt", 4)
    write_frames(tmp_path / "b" / "one")
    write_kitti(tmp_path / "b" / "one.txt", 4)
    write_video(tmp_path / "top.mp4", 2)
    write_video(tmp_path / "deep" / "er" / "est" / "x.mp4", 2)
    write_frames(tmp_path / "lone", 1)
    found = find_clips(tmp_path)
    assert names(found) == ["a/one", "a/two", "b/one", "top"]
    assert [s.model for s in found.sources] == ["a", "a", "b", tmp_path.name]
    assert [s.cameras and s.cameras.name for s in found.sources] == [
        "transforms.json",
        "cameras.txt",
        "one.txt",
        None,
    ]
    assert found.sources[0].file_name == "a__one"
    assert {name for name, _ in found.skipped} == {"deep", "lone"}
    for s in found.sources:
        assert len(read_clip(s, count_rule="first").clip) >= 2
    assert names(find_clips(tmp_path / "a" / "one")) == ["one"]
    assert find_clips(tmp_path / "a" / "one" / "transforms.json").sources[0].path == tmp_path / "a" / "one"


def test_real_and_generated_clips_in_one_folder_are_two_models(tmp_path: Path) -> None:
    for name in ("real_a", "real_b", "gen_a", "gen_b", "other"):
        write_frames(tmp_path / "mine" / name)
    write_frames(tmp_path / "wan" / "c")
    found = find_clips(tmp_path)
    assert {s.name: s.model for s in found.sources} == {
        "mine/real_a": "real", "mine/real_b": "real", "mine/gen_a": "gen", "mine/gen_b": "gen", "mine/other": "mine",
        "wan/c": "wan",
    }  # fmt: skip
    assert found.notes == (
        "The clips of mine are taken for 3 models, gen, mine, real, because their names state different sources.",
    )
    assert {s.model for s in find_clips(tmp_path, model="ours").sources} == {"ours"}
    write_frames(tmp_path / "wan" / "c_real")  # two folders of both: whose real clips these are must be seen
    models = {s.name: s.model for s in find_clips(tmp_path).sources}
    assert (models["mine/real_a"], models["wan/c_real"], models["wan/c"]) == ("mine/real", "wan/real", "wan")


def test_clips_whose_names_all_state_one_source_are_one_model(tmp_path: Path) -> None:
    for name in ("real_a", "real-b", "c-real"):
        write_frames(tmp_path / "ours" / name)
    found = find_clips(tmp_path / "ours")
    assert ({s.model for s in found.sources}, found.notes) == ({"ours"}, ())


@pytest.mark.parametrize(
    ("name", "word"),
    [("real_3", "real"), ("x/Real-a", "real"), ("kitchen_gen", "gen"), ("gen01", "gen"), ("gt", "gt")]
    + [
        ("generated.b", "generated"),
        ("realism_1", ""),
        ("the_real_thing", ""),
        ("general", ""),
        ("real/a", ""),
    ]
    + [("real_estate_4", ""), ("realestate10k_7", ""), ("12", ""), ("", "")],
)
def test_words_that_state_a_source(name: str, word: str) -> None:
    assert source_word(name) == word


def test_a_clip_of_one_frame_is_named_and_not_measured(tmp_path: Path) -> None:
    write_frames(tmp_path / "a")
    write_frames(tmp_path / "b", 1)
    write_kitti(tmp_path / "b.txt", 1)
    write_frames(tmp_path / "c", 1)
    found = find_clips(tmp_path)
    assert names(found) == ["a", "b"]
    assert found.skipped == (("c", "a single frame"),)
    with pytest.raises(CaptureError, match="at least two frames"):
        read_clip(found.sources[1])


def test_frames_and_videos_in_one_folder(tmp_path: Path) -> None:
    """With cameras the frames are the clip; without, the pictures belong to the videos."""
    clip = tmp_path / "clip"
    write_frames(clip / "images")
    write_video(clip / "input.mp4", 2)
    assert names(find_clips(clip)) == ["input"]
    assert find_clips(clip).skipped == (("images", "pictures beside videos, taken to belong to these"),)
    write_transforms(clip / "transforms.json", ["frame_0", "frame_1"])
    for path, prefix in ((clip, "clip"), (tmp_path, "clip")):
        found = find_clips(path)
        assert names(found) == ["clip"]
        assert found.skipped == ((f"{prefix}/input.mp4", "a video beside frames; the frames are read"),)


def test_one_camera_file_for_all_or_a_folder_of_them(tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    for name in ("m/a.mp4", "m/b.mp4", "n/a.mp4"):
        write_video(clips / name, 2)
    one = write_kitti(tmp_path / "path.txt", 2)
    assert {s.cameras for s in find_clips(clips, cameras=one).sources} == {one}
    folder = tmp_path / "cameras"
    write_kitti(folder / "a.txt", 2)
    write_kitti(folder / "n" / "a.txt", 2)
    found = find_clips(clips, cameras=folder)
    assert [s.cameras for s in found.sources] == [folder / "a.txt", None, folder / "n" / "a.txt"]
    assert [what for what, _ in found.skipped] == ["cameras of m/b"]
    (tmp_path / "none").mkdir()
    with pytest.raises(CaptureError, match="named as the clips"):
        find_clips(clips, cameras=tmp_path / "none")
    with pytest.raises(CaptureError, match=r"cameras, but .* does not exist"):
        find_clips(clips, cameras=tmp_path / "nowhere")


def test_names_are_unique_and_safe(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.webm", "A.mkv", "what? a: cat.gif"):
        write_video(tmp_path / name, 2)
    found = names(find_clips(tmp_path))
    assert sorted(found) == ["A.mkv", "a.mp4", "a.webm", "what_a_cat"]


def test_links_name_clips_and_models(tmp_path: Path) -> None:
    """Real and generated clips that lie in one place and are linked from two are of two models."""
    for name in ("x1", "x2"):
        write_frames(tmp_path / "store" / name, 2)
    for model, target in (("real", "x1"), ("wan", "x2")):
        (tmp_path / "set" / model).mkdir(parents=True)
        (tmp_path / "set" / model / "clip").symlink_to(tmp_path / "store" / target)
    (tmp_path / "alias").symlink_to(tmp_path / "store")
    found = find_clips(tmp_path / "set", allow_outside=True)
    assert [(s.name, s.model) for s in found.sources] == [("real/clip", "real"), ("wan/clip", "wan")]
    assert {s.model for s in find_clips(tmp_path / "alias").sources} == {"alias"}
    rows = [{"clip": f"set/{model}/clip"} for model in ("real", "wan")]
    (tmp_path / "m.json").write_text(json.dumps(rows))
    listed = find_clips(tmp_path / "m.json")
    assert [(s.name, s.model) for s in listed.sources] == [("real/clip", "real"), ("wan/clip", "wan")]
    assert find_clips(tmp_path / "alias" / ".." / "set", allow_outside=True).sources == found.sources


def test_paths_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video, cameras = write_video(tmp_path / "m" / "a.mp4", 2), write_kitti(tmp_path / "c.txt", 2)
    (tmp_path / "m.csv").write_text("clip,cameras\nm/a.mp4,c.txt\n")
    monkeypatch.chdir(tmp_path)
    for path, given in (("m", "c.txt"), ("m/../m", "m/../c.txt"), ("m.csv", None), ("m.csv", "c.txt")):
        (found,) = find_clips(Path(path), cameras=None if given is None else Path(given)).sources
        assert (found.path, found.cameras, found.model) == (video, cameras, "m")
    monkeypatch.chdir(tmp_path / "m")
    assert find_clips(Path()).sources[0].model == "m"


def test_links_that_lead_astray_are_skipped(tmp_path: Path) -> None:
    write_video(tmp_path / "b" / "a.mp4", 2)
    (tmp_path / "b" / "loop").symlink_to("loop")
    (tmp_path / "b" / "gone.mp4").symlink_to("nowhere.mp4")
    (tmp_path / "b" / "up").symlink_to("..")
    (tmp_path / "here").symlink_to(".")
    found = find_clips(tmp_path)
    assert names(found) == ["b/a"]
    assert dict(found.skipped) == {
        "b/loop": "a link that leads nowhere",
        "b/gone.mp4": "a link that leads nowhere",
        "b/up": "a link back to a folder that it lies in",
        "here": "a link back to a folder that it lies in",
    }
    with pytest.raises(CaptureError, match="does not exist"):
        find_clips(tmp_path / "b" / "loop")
    (tmp_path / "m.csv").write_text("clip,cameras\nb/loop,b/loop\n")
    (looped,) = find_clips(tmp_path / "m.csv").sources
    with pytest.raises(CaptureError, match="does not exist"):
        read_clip(looped)


def test_long_names(tmp_path: Path) -> None:
    """A stem of 251 bytes leaves no room for the suffix of a camera file."""
    stems = ["ü" * 125 + end for end in ("a", "b")]
    for stem in stems:
        write_video(tmp_path / "v.mp4", 2).rename(tmp_path / f"{stem}.mp4")
    write_frames(tmp_path / ("f" * 255), 2)
    (tmp_path / "cameras").mkdir()
    write_kitti(tmp_path / "cameras" / "v.txt", 2)
    found = find_clips(tmp_path)
    files = [s.file_name for s in found.sources]
    assert len(set(files)) == len(files) == 3
    assert all(190 < len(os.fsencode(file)) <= 200 for file in files)
    assert all(s.cameras is None and len(read_clip(s).clip) == 2 for s in found.sources)
    with pytest.raises(CaptureError, match="named as the clips"):
        find_clips(tmp_path, cameras=tmp_path / "cameras")
    (tmp_path / "m.csv").write_text(f"clip,cameras\n{stems[0]}.mp4,{'c' * 300}.txt\n{'d' * 300}.mp4,\n")
    present, absent = find_clips(tmp_path / "m.csv").sources
    for s in (present, absent):
        with pytest.raises(CaptureError, match="does not exist"):
            read_clip(s)
    with pytest.raises(CaptureError, match="does not exist"):
        find_clips(tmp_path / ("e" * 300))


def test_nothing_to_find(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="does not exist"):
        find_clips(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CaptureError, match="it is empty"):
        find_clips(tmp_path / "empty")
    (tmp_path / "empty" / "a.doc").write_text("x")
    with pytest.raises(CaptureError, match=r"it holds a\.doc"):
        find_clips(tmp_path / "empty")
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(CaptureError, match="give the folder"):
        find_clips(tmp_path / "a.png")


# ---- manifests ------------------------------------------------------------------------------------------


@pytest.fixture
def two_clips(tmp_path: Path) -> Path:
    write_video(tmp_path / "v" / "a.mp4", 2)
    write_kitti(tmp_path / "v" / "a.txt", 2)
    write_frames(tmp_path / "v" / "b" / "images")
    return tmp_path


def test_a_csv_manifest(two_clips: Path) -> None:
    file = two_clips / "clips.csv"
    file.write_text(
        "\ufeffClip,cameras,model,group,prompt,format,convention,_remark\n"
        'v/b/images,v/a.txt,real,kitchen,"a cat, on a mat",matrices,cam_from_world/opencv,x\n\n'
        "v/a.mp4,,,,,,,\n"
        "v/lost.mp4,v/lost.txt,m/1,,,,,\n"
    )
    b, a, lost = find_clips(file, model="wan").sources
    assert (b.name, b.model, b.group, b.prompt) == ("real/b", "real", "kitchen", "a cat, on a mat")
    assert (b.cameras, b.format, b.convention) == (two_clips / "v/a.txt", "matrices", "cam_from_world/opencv")
    assert (a.name, a.model, a.cameras, a.format) == ("wan/a", "wan", None, None)
    assert lost.name == "m_1/lost"
    with pytest.raises(CaptureError, match=r"lost.mp4 does not exist"):
        read_clip(lost)
    with pytest.raises(CameraError, match="4 frames and 2 cameras"):
        read_clip(b)
    fallback = find_clips(file, cameras=two_clips / "v" / "a.txt").sources[1]
    assert (fallback.cameras, fallback.model) == (two_clips / "v/a.txt", "v")


def test_rows_without_a_model_are_told_apart_by_their_names_and_those_with_one_are_not(
    tmp_path: Path,
) -> None:
    for name in ("real_a", "gen_a", "gen_b"):
        write_frames(tmp_path / name)
    manifest = tmp_path / "clips.csv"
    manifest.write_text("clip,model\nreal_a,\ngen_a,\ngen_b,real\n")
    found = find_clips(manifest)
    assert [s.model for s in found.sources] == ["real", "gen", "real"]
    assert len(found.notes) == 1
    manifest.write_text("clip\ngen_a\ngen_b\n")
    assert [s.model for s in find_clips(manifest).sources] == [tmp_path.name] * 2


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_json_manifest_without_cameras_looks_beside(wrapped: bool, two_clips: Path) -> None:
    rows = [{"clip": "v/a.mp4"}, {"clip": "v/b", "name": "other", "prompt": None}]
    file = two_clips / "m.json"
    file.write_text(json.dumps({"clips": rows} if wrapped else rows))
    a, b = find_clips(file).sources
    assert (a.name, a.cameras, a.model) == ("a", two_clips / "v/a.txt", "v")
    assert (b.name, b.cameras, b.prompt) == ("other", None, "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clip,camera\nv/a.mp4,x\n", "unknown column 'camera'; did you mean 'cameras'"),
        ("video\nv/a.mp4\n", "expected a first line with the columns clip"),
        ("clip,group\n,x\n", "row 1: expected the path of a clip"),
        ("clip\n", "found no rows"),
        ("", "expected a first line"),
        ("clip,prompt\nv/a.mp4,a cat, a mat\n", "row 1: expected 2 cells, got 3"),
        ("clip\nv/a.mp4\nv/../v/a.mp4\n", "row 1: the clip 'v/a.mp4' is listed twice"),
        ("clip,name\nv/a.mp4,x\nv/b,X\n", "row 1: the name 'x' is given twice"),
    ],
)
def test_manifests_that_are_none(text: str, message: str, two_clips: Path) -> None:
    (two_clips / "clips.csv").write_text(text)
    with pytest.raises(CaptureError, match=message):
        find_clips(two_clips / "clips.csv")


@pytest.mark.parametrize("text", ["{broken", '{"pairs": []}', "[1, 2]"])
def test_json_that_is_no_manifest(text: str, two_clips: Path) -> None:
    (two_clips / "clips.json").write_text(text)
    with pytest.raises(CaptureError, match=r"not JSON|expected a manifest"):
        find_clips(two_clips / "clips.json")


# ---- what people have -----------------------------------------------------------------------------------


def test_real_and_generated_clips(shared: Path) -> None:
    clips = shared / "clips"
    paths = find_clips(clips / "cameractrl")
    assert len(paths.sources) == 15
    assert all(s.cameras is not None and s.model == s.name.partition("_")[0] for s in paths.sources)
    flower = find_clips(clips / "ex4d_flower")
    assert names(flower) == ["ex4d_flower"]
    assert {what for what, _ in flower.skipped} == {"ex4d_flower/generated.mp4", "ex4d_flower/input.mp4"}
    everything = find_clips(clips)
    assert len(everything.sources) == 16
    assert {s.model for s in everything.sources} == {"real", "gen", "clips"}
    read = read_clip(paths.sources[0], sampling=Sampling(frames=4), max_side=192)
    assert read.indices == (0, 5, 10, 15)
    assert read.intrinsics_known
    assert read.clip.images.shape == (4, 128, 192, 3)
    assert read.notes == ()


def test_frames_are_counted_before_any_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil
    from PIL import Image

    from recon.clips import read

    for i in range(10):
        Image.new("RGB", (32, 24), (20 * i, 0, 0)).save(tmp_path / f"{i}.png")
    memory = psutil.virtual_memory()._replace(total=2 * 12 * 32 * 24 * 9)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(read, "decode", lambda *_, **__: pytest.fail("decoded"))
    with pytest.raises(CaptureError, match=r"^10 pictures of 32x24 in .* take .* --max-side$"):
        read_clip(ClipSource("c", tmp_path, None, "model"))
    with pytest.raises(BaseException, match="decoded"):
        read_clip(ClipSource("c", tmp_path, None, "model"), sampling=Sampling(frames=5))
