"""Scenes that move: numbered frames, .4dgs, SpacetimeGaussians."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.odd_scenes import odd_scene
from recon.errors import BridgeError, SceneFileError
from recon.gaussians import SH_C0, Gaussians
from recon.scenefiles import Axes, WriteOptions, read_scene, write_scene
from recon.scenefiles.compare import attribute_errors
from recon.scenefiles.formats.spacetime import write_spacetime
from recon.sequence import GaussianFrames, GaussianSequence, Motion


def swaying(frames: int = 5, g: int = 120, *, sh_degree: int = 3) -> GaussianFrames:
    """A third of the scene moves, the rest stands still."""
    still = odd_scene(g, sh_degree=sh_degree)
    moved = []
    for i in range(frames):
        means = still.means.clone()
        means[: g // 3, 0] += 0.1 * i
        moved.append(replace(still, means=means))
    return GaussianFrames(torch.arange(frames, dtype=torch.float64) / 10, tuple(moved), identity=True)


def worst(wanted: GaussianFrames, found: GaussianFrames) -> dict[str, float]:
    assert torch.allclose(found.times_s, wanted.times_s, atol=1e-6)
    errors: dict[str, float] = {}
    for a, b in zip(wanted.frames, found.frames, strict=True):
        for name, value in attribute_errors(a, b).items():
            errors[name] = max(errors.get(name, 0), value)
    return errors


def test_a_frame_lasts_until_the_next() -> None:
    scene = swaying(3)
    assert [scene.index_at(t) for t in (-1, 0, 0.05, 0.1, 0.19, 0.2, 9)] == [0, 0, 0, 1, 1, 2, 2]
    assert scene.fps == pytest.approx(10)
    with pytest.raises(SceneFileError, match="rise"):
        GaussianFrames(torch.tensor([0.0, 0.0]).double(), scene.frames[:2])
    with pytest.raises(SceneFileError, match="one time"):
        GaussianFrames(torch.zeros(0).double(), ())


@pytest.mark.parametrize("name", ["room_####.ply", "room_#.spz", "room_##.compressed.ply"])
def test_numbered_frames_come_back_with_their_times(tmp_path: Path, name: str) -> None:
    scene = swaying()
    write_scene(scene, tmp_path / name)
    said = json.loads((tmp_path / "manifest.json").read_text())
    assert said["fps"] == pytest.approx(10)
    files = [row["file"] for row in said["frames"]]
    assert files[0] == name.replace("####", "0000").replace("##", "00").replace("#", "0")
    found = read_scene(tmp_path)
    assert found.moving is not None
    assert len(found.moving) == 5
    assert found.axes is (Axes.RUB if name.endswith("spz") else Axes.RDF)
    assert found.axes_stated
    if name.endswith("compressed.ply"):
        assert not found.moving.identity  # its rows are sorted anew in every frame
        return
    errors = worst(scene, found.moving)
    assert errors["position_units"] < (1e-6 if name.endswith("ply") else 3e-4)
    assert found.moving.identity


def test_a_shorter_scene_leaves_no_stale_frames(tmp_path: Path) -> None:
    write_scene(swaying(5), tmp_path / "a_##.ply")
    (tmp_path / "mine.ply").write_bytes((tmp_path / "a_00.ply").read_bytes())
    write_scene(swaying(2), tmp_path / "a_##.ply")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a_00.ply", "a_01.ply", "manifest.json", "mine.ply"]


def test_a_folder_of_another_program_is_read_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    scene = swaying(12)
    for i in range(12):
        write_scene(scene.frames[i], tmp_path / f"frame{i}.ply")
    write_scene(scene.frames[0], tmp_path / "other1.ply")
    found = read_scene(tmp_path)
    assert found.moving is not None
    assert len(found.moving) == 12
    assert torch.equal(found.moving.frames[10].means, scene.frames[10].means)
    assert any("without a manifest" in note for note in found.notes)
    assert any("1 numbered files" in note for note in found.notes)


@pytest.mark.parametrize("kind", ["ply", "spz"])
@pytest.mark.parametrize("listed", [True, False])
def test_frames_tell_their_format_whatever_name_they_are_read_by(
    tmp_path: Path, kind: str, listed: bool
) -> None:
    write_scene(swaying(), tmp_path / f"f_#.{kind}")
    if not listed:
        (tmp_path / "manifest.json").unlink()
    for name in (".", f"f_#.{kind}", *(["manifest.json"] if listed else [])):
        assert read_scene(tmp_path / name).format == f"{kind}-sequence"
    frame = next(tmp_path.glob(f"f_*.{kind}"))
    assert read_scene(frame).format == kind


@pytest.mark.parametrize(
    "manifest",
    [
        "[]",
        "{}",
        '{"frames": []}',
        '{"frames": [{"time_s": 0, "file": "../a.ply"}]}',
        '{"frames": [{"time_s": 0, "file": "/etc/passwd"}]}',
        '{"frames": [{"time_s": 0, "file": "a.txt"}]}',
        '{"frames": [{"time_s": "nan", "file": "a.ply"}]}',
        '{"frames": [{"time_s": 0, "file": "a.ply"}], "axes": "left"}',
        '{"frames": [{"time_s": 0, "file": "gone.ply"}]}',
        "no json",
    ],
)
def test_a_bad_manifest_is_one_sentence(tmp_path: Path, manifest: str) -> None:
    write_scene(odd_scene(3), tmp_path / "a.ply")
    (tmp_path / "manifest.json").write_text(manifest)
    with pytest.raises(BridgeError):
        read_scene(tmp_path)


def test_static_formats_ask_for_a_moment(tmp_path: Path) -> None:
    with pytest.raises(SceneFileError, match="--at"):
        write_scene(swaying(), tmp_path / "a.ply")


@pytest.mark.parametrize("axes", [Axes.RUB, Axes.RDF, Axes.Z_UP])
def test_4dgs_keeps_frames_colours_and_axes(tmp_path: Path, axes: Axes) -> None:
    pytest.importorskip("fourdgs", reason="the extra 4d")
    scene = swaying()
    written = write_scene(scene, tmp_path / "a.4dgs", WriteOptions(axes=axes))
    found = read_scene(tmp_path / "a.4dgs")
    assert found.axes is axes
    assert found.axes_stated
    assert found.moving is not None
    errors = worst(scene, found.moving)
    typical = float(torch.cat([f.log_scales for f in scene.frames]).exp().median())
    assert errors["position_units"] < 0.05 * typical
    assert errors["log_scale"] < 0.006
    assert errors["angle_deg"] < 0.15
    assert errors["opacity"] < 0.003
    assert errors["color"] < 0.003
    assert errors["view_color_rms"] < 0.02
    assert "5 frames are stored as 280 Gaussians" in written.notes[0]  # 80 stand still, 40 move in 5 frames


def test_4dgs_keeps_a_pause(tmp_path: Path) -> None:
    pytest.importorskip("fourdgs", reason="the extra 4d")
    scene = swaying(3)
    frames = (scene.frames[0], scene.frames[0], scene.frames[1], scene.frames[1])
    paused = GaussianFrames(torch.arange(4, dtype=torch.float64) / 10, frames, identity=True)
    write_scene(paused, tmp_path / "a.4dgs")
    found = read_scene(tmp_path / "a.4dgs").moving
    assert found is not None
    assert worst(paused, found)["position_units"] < 0.01


def test_4dgs_holds_a_single_moment_too(tmp_path: Path) -> None:
    pytest.importorskip("fourdgs", reason="the extra 4d")
    scene = odd_scene(50, sh_degree=0)
    write_scene(scene, tmp_path / "a.4dgs")
    found = read_scene(tmp_path / "a.4dgs")
    assert found.moving is None
    assert attribute_errors(scene, found.gaussians)["opacity"] < 0.003


def test_4dgs_of_another_writer(tmp_path: Path) -> None:
    """Keyframes and deltas, written by the format's own library."""
    fourdgs = pytest.importorskip("fourdgs", reason="the extra 4d")
    from fourdgs.keyframe_delta_file import Sample, write_sequence

    scene = swaying(4, sh_degree=0)

    def sample(i: int):
        frame, g = scene.frames[i], len(scene.frames[i])
        colors = torch.cat([(0.5 + SH_C0 * frame.sh[:, 0]), frame.opacity_logits.sigmoid()[:, None]], 1)
        return Sample(
            i / 10,
            np.arange(g),
            fourdgs.GaussianSet(
                positions=frame.means.numpy(),
                scales=frame.log_scales.exp().numpy(),
                rotations=frame.quats_wxyz[:, [1, 2, 3, 0]].numpy().copy(),
                colors=colors.numpy(),
                motions=np.zeros((g, 3), np.float32),
                mu_t=np.full(g, i / 10, np.float32),
                sigma_t=np.full(g, 1e4, np.float32),
                win_lo=np.zeros(g),
                win_hi=np.full(g, 0.4),
            ),
        )

    (tmp_path / "kd.4dgs").write_bytes(write_sequence([sample(i) for i in range(4)], 0.4))
    found = read_scene(tmp_path / "kd.4dgs", axes=Axes.RDF)
    assert found.moving is not None
    errors = worst(scene, found.moving)
    assert errors["position_units"] < 0.01
    assert errors["color"] < 0.005


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_damaged_4dgs_is_one_sentence(tmp_path: Path, seed: int) -> None:
    pytest.importorskip("fourdgs", reason="the extra 4d")
    write_scene(swaying(2, 30), tmp_path / "a.4dgs")
    whole = (tmp_path / "a.4dgs").read_bytes()
    random = np.random.default_rng(seed)
    for _ in range(60):
        data = bytearray(whole)
        for at in random.integers(0, len(data), random.integers(1, 4)):
            data[at] = random.integers(256)
        (tmp_path / "b.4dgs").write_bytes(bytes(data[: random.integers(1, len(data) + 1)]))
        try:
            moving = read_scene(tmp_path / "b.4dgs").moving
            for frame in moving.frames if moving else ():
                assert isinstance(frame, Gaussians)
        except BridgeError:
            pass


def spacetime_ply(path: Path, columns: dict[str, np.ndarray]) -> None:
    header = "ply\nformat binary_little_endian 1.0\n" + f"element vertex {len(columns['x'])}\n"
    header += "".join(f"property float {name}\n" for name in columns) + "end_header\n"
    path.write_bytes(header.encode() + np.stack(list(columns.values()), 1).astype("<f4").tobytes())


def spacetime_columns(g: int = 4) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    names = ["x", "y", "z", "trbf_center", "trbf_scale", "nx", "ny", "nz", *(f"motion_{i}" for i in range(9))]
    names += ["f_dc_0", "f_dc_1", "f_dc_2", "opacity", "scale_0", "scale_1", "scale_2"]
    names += [*(f"rot_{i}" for i in range(4)), *(f"omega_{i}" for i in range(4))]
    return {name: random.uniform(0.1, 0.9, g) for name in names}


def test_spacetime_gaussians_move_along_their_polynomials(tmp_path: Path) -> None:
    columns = spacetime_columns()
    spacetime_ply(tmp_path / "lite.ply", columns)
    found = read_scene(tmp_path / "lite.ply")
    assert found.moving is not None
    assert len(found.moving) == 50
    t = 30 / 50
    frame = found.moving.frames[30]
    for row in range(4):
        c = {name: float(np.float32(values[row])) for name, values in columns.items()}
        d = t - c["trbf_center"]
        x = c["x"] + c["motion_0"] * d + c["motion_3"] * d**2 + c["motion_6"] * d**3
        assert float(frame.means[row, 0]) == pytest.approx(x, rel=1e-5)
        assert float(frame.quats_wxyz[row, 2]) == pytest.approx(c["rot_2"] + c["omega_2"] * d, rel=1e-5)
        presence = np.exp(-((d / np.exp(c["trbf_scale"])) ** 2)) / (1 + np.exp(-c["opacity"]))
        assert float(frame.opacity_logits[row].sigmoid()) == pytest.approx(presence, rel=1e-4)
        assert float(0.5 + SH_C0 * frame.sh[row, 0, 1]) == pytest.approx(c["f_dc_1"], rel=1e-5)
    del columns["omega_3"]
    spacetime_ply(tmp_path / "broken.ply", columns)
    with pytest.raises(SceneFileError, match="omega_3"):
        read_scene(tmp_path / "broken.ply")


def a_moving_scene(degree: int = 0) -> GaussianSequence:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    def scene(g: int) -> Gaussians:
        return Gaussians(draw(g, 3), draw(g, 4), draw(g, 3), draw(g), 0.3 * draw(g, (degree + 1) ** 2, 3))

    motion = Motion(3 + draw(4), 0.3 * draw(4), draw(4, 3, 3), draw(4, 4))
    return GaussianSequence(scene(3), scene(4), motion, 2.5 + torch.arange(7, dtype=torch.float64) / 12)


def test_a_moving_scene_comes_back_from_spacetime_gaussians(tmp_path: Path) -> None:
    sequence = a_moving_scene()
    written = write_spacetime(sequence, tmp_path / "scene.ply")
    assert written.notes == ()
    found = read_scene(tmp_path / "scene.ply").moving
    assert found is not None
    assert torch.allclose(found.times_s, sequence.times_s - 2.5, atol=1e-6)
    for stored, frame in zip(found.frames, sequence.frames().frames, strict=True):
        for name, values in frame.tensors().items():
            assert torch.allclose(stored.tensors()[name], values, rtol=1e-4, atol=2e-4), name


def test_what_spacetime_gaussians_cannot_hold_is_said(tmp_path: Path) -> None:
    sequence = a_moving_scene(degree=1)
    uneven = replace(sequence, times_s=torch.tensor([0.0, 0.1, 0.5], dtype=torch.float64))
    notes = write_spacetime(uneven, tmp_path / "scene.ply").notes
    assert ["view-dependent" in notes[0], "evenly" in notes[1]] == [True, True]
    with pytest.raises(SceneFileError, match="2 to 10000 times"):
        write_spacetime(replace(sequence, times_s=sequence.times_s[:1]), tmp_path / "one.ply")


def test_a_length_that_cannot_be_is_not_believed(tmp_path: Path) -> None:
    write_spacetime(a_moving_scene(), tmp_path / "scene.ply")
    data = (tmp_path / "scene.ply").read_bytes()
    for said in (b"99999 frames in 0.583333333 s", b"7 frames in 0.000000000 s"):
        (tmp_path / "lie.ply").write_bytes(data.replace(b"7 frames in 0.583333333 s", said))
        found = read_scene(tmp_path / "lie.ply")
        assert found.moving is not None
        assert len(found.moving) == 50


def test_a_folder_of_single_scenes_is_no_film(tmp_path: Path) -> None:
    for name in ("chair", "room-v2", "room-v3", "lamp", "table", "door"):
        write_scene(odd_scene(3), tmp_path / f"{name}.ply")
    with pytest.raises(SceneFileError, match="expected a scene in"):
        read_scene(tmp_path)
