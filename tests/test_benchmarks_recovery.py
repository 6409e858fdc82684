"""The benchmark of pose recovery: paths, protocols on perfect frames, and what is counted."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks import recovery_protocols, view_recovery
from benchmarks.recovery_protocols import (
    PROTOCOLS,
    Found,
    Photos,
    Scene,
    aligned,
    frame_rows,
)
from benchmarks.recovery_table import published, summarise, table, verdicts
from benchmarks.view_paths import between, beyond, chain, focus, moved_right
from benchmarks.view_tasks import Task
from bridge4d.runs.run import open_run
from eval.poses import rotation_angle_deg
from recon.camera_files.formats.transforms_write import write_transforms
from recon.cameras import Cameras, intrinsics, look_at
from recon.clip import Clip
from recon.errors import BridgeError
from worldgen.models.synthetic import SyntheticRoom


def ring(*angles_deg: float, radius: float = 2.0) -> Cameras:
    """Around the origin and looking at it, +z up."""
    turns = torch.deg2rad(torch.tensor(angles_deg, dtype=torch.float64))
    eyes = torch.stack([radius * turns.cos(), radius * turns.sin(), torch.full_like(turns, 0.3)], dim=1)
    up = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64).expand_as(eyes)
    K = intrinsics(focal_px=100, width=96, height=64, n=len(eyes))
    return Cameras(look_at(eyes, torch.zeros_like(eyes), up), K, 96, 64)


def test_the_chain_goes_from_neighbour_to_neighbour():
    order = chain(ring(0, 40, 20, 60, 10).centers)
    assert order in ([0, 4, 2, 1, 3], [3, 1, 2, 4, 0])


def test_frames_between_contexts_are_at_none_of_them():
    contexts = ring(0, 40, 20, 60, 10)
    path = between(contexts, 12)
    assert len(path) == 12
    assert torch.cdist(path.centers, contexts.centers).min() > 0.01
    assert (path.centers[:, :2].norm(dim=1) - 2).abs().max() < 0.02
    turned = torch.atan2(path.centers[:, 1], path.centers[:, 0])
    assert (turned.diff() > 0).all() or (turned.diff() < 0).all()


def test_moved_to_the_right_of_each_camera():
    cameras = ring(0, 90)
    moved = moved_right(cameras, 0.5)
    assert torch.allclose(moved.cam_from_world[:, :3, :3], cameras.cam_from_world[:, :3, :3])
    in_camera = (cameras.cam_from_world[:, :3, :3] @ (moved.centers - cameras.centers)[..., None])[..., 0]
    assert torch.allclose(in_camera, torch.tensor([0.5, 0, 0], dtype=torch.float64), atol=1e-12)


def test_beyond_leads_away_from_the_contexts_by_the_angle_asked_for():
    contexts = ring(10, 0, 25, 60)
    path = beyond(contexts, float(contexts.centers[0].norm()), 15.0, 5)
    turned = torch.rad2deg(torch.atan2(path.centers[:, 1], path.centers[:, 0]))
    # about the mean of the cameras' own up, which on a ring that is not whole leans a little
    assert torch.allclose(turned, 60 + torch.tensor([3.0, 6, 9, 12, 15], dtype=torch.float64), atol=1.0)
    step = rotation_angle_deg(contexts.cam_from_world[[3], :3, :3], path.cam_from_world[[-1], :3, :3])
    assert float(step) == pytest.approx(15, abs=1e-6)


def test_the_focus_is_where_all_look():
    assert focus(ring(0, 30, 100)).abs().max() < 1e-9


def test_a_path_of_one_camera_is_turned_only():
    cameras = ring(0, 30)
    there, placed = aligned(cameras, cameras, cameras)
    assert placed
    assert torch.allclose(there.centers, cameras.centers)
    there, placed = aligned(cameras[0], cameras[0], cameras[1])
    assert not placed
    assert (
        rotation_angle_deg(there.cam_from_world[:, :3, :3], cameras.cam_from_world[[1], :3, :3]).item() < 1e-6
    )


@pytest.fixture(scope="module")
def room() -> Clip:
    """Nine posed pictures of the room: 0, 2, 4, 6, 8 are given, the others asked for."""
    drawn = SyntheticRoom()
    cameras = drawn.cameras(25, width=240, height=160)[list(range(9))]
    return Clip(drawn.render(cameras)[0], cameras, names=tuple(f"{i}.png" for i in range(9)))


@pytest.fixture
def scene(room: Clip, tmp_path: Path):
    write_transforms(tmp_path / "captures" / "room" / "transforms.json", room)
    with open_run(tmp_path / "run") as run:
        task = Task("room", room[[0, 2, 4, 6, 8]], room[[1, 3, 5, 7]], seed=0)
        yield Scene(run, task, Photos(run, task, tmp_path / "captures", 240))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_perfect_frames_are_found_where_they_are(scene: Scene, protocol: str):
    targets = scene.task.targets
    rows = frame_rows(
        PROTOCOLS[protocol](scene, targets, targets.require_cameras(), "targets"),
        targets.require_cameras(),
        scene,
    )
    assert [row["registered"] for row in rows] == [True] * 4
    assert max(row["rotation_deg"] for row in rows) < 0.5
    assert max(row["position_share"] for row in rows) < 0.02


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_noise_is_found_nowhere(scene: Scene, protocol: str):
    targets = scene.task.targets
    noise = torch.rand(targets.images.shape, generator=torch.Generator().manual_seed(0))
    found = PROTOCOLS[protocol](scene, Clip(noise), targets.require_cameras(), "targets")
    assert not found.registered.any()
    assert all(found.why)
    assert all(row["rotation_deg"] is None for row in frame_rows(found, targets.require_cameras(), scene))


@pytest.mark.parametrize("protocol", ["register", "joint", "photos"])
def test_the_photos_say_where_a_frame_is_and_not_the_request(scene: Scene, protocol: str):
    """Every frame shows what the next camera sees: all are off by a step, which alignment on them would hide."""
    wanted = scene.task.targets.require_cameras()[[1, 2, 3]]
    shown = scene.task.targets[[0, 1, 2]]
    other = Task(
        "room", scene.task.context, Clip(shown.images, wanted, names=("3.png", "5.png", "7.png")), seed=0
    )
    moved = Scene(scene.run, other, scene.photos)
    rows = frame_rows(PROTOCOLS[protocol](moved, shown, wanted, "targets"), wanted, moved)
    for row, step in zip(rows, (wanted.centers - shown.require_cameras().centers).norm(dim=1), strict=True):
        assert row["registered"]
        assert row["position_share"] == pytest.approx(float(step) / scene.extent, rel=0.05)


def test_a_photo_is_kept_from_its_own_target(scene: Scene):
    rest = scene.photos.without("3.png")
    assert rest.names == tuple(f"{i}.png" for i in range(9) if i != 3)
    assert len(rest.features) == len(rest.point_of_feature) == len(rest.cameras) == 8


def test_errors_are_of_the_frame_they_belong_to(scene: Scene):
    asked = scene.task.targets.require_cameras()
    pose = asked.cam_from_world.clone()
    pose[2, 0, 3] -= 0.1 * scene.extent
    found = Cameras(pose, asked.K, asked.width, asked.height)[[0, 2]]
    registered = torch.tensor([True, False, True, False])
    rows = frame_rows(Found(registered, found, True, ("", "lost", "", "lost"), "anchor"), asked, scene)
    assert [row["position_share"] for row in rows] == [
        pytest.approx(0, abs=1e-6), None, pytest.approx(0.1, abs=1e-5), None,
    ]  # fmt: skip
    assert rows[1]["why"] == "lost"
    assert rows[2]["direction_deg"] > 1
    rows = frame_rows(Found(registered, found, False, ("",) * 4, "frames"), asked, scene)
    assert (rows[2]["position_share"], rows[2]["rotation_deg"]) == (None, pytest.approx(0, abs=1e-6))


def rows_of(model: str, path: str, *rotations_deg: float | None) -> list[dict]:
    about = {"capture": "room", "contexts": 6, "model": model, "path": path, "protocol": "register"}
    return [
        about
        | {"frame": i, "registered": r is not None, "why": "", "aligned_on": "anchor"}
        | {"rotation_deg": r, "position_share": None if r is None else 0.01, "direction_deg": None}
        for i, r in enumerate(rotations_deg)
    ]


def test_summary_counts_what_was_asked_for_and_what_real_photos_lose_too():
    rows = [
        *rows_of("warp", "targets", 0.1, None, None, 0.7), *rows_of("warp", "orbit", 0.2),
        *rows_of("real", "targets", 0.1, None, 0.1, 0.1),
    ]  # fmt: skip
    summary = summarise(rows)
    by = {(line["capture"], line["path"], line["model"]): line for line in summary}
    line = by["room", "targets", "warp"]
    assert (line["recovered"], line["frames"], line["rate"]) == (2, 4, 0.5)
    assert line["rate_interval95"] == pytest.approx([0.15, 0.85], abs=0.01)
    assert (line["rotation_deg_median"], line["rotation_deg_worst"]) == (pytest.approx(0.4), 0.7)
    assert line["real"]["recovered"] == 3
    assert line["lost_as_real"] == 1
    assert by["all", "all", "warp"]["frames"] == 5
    assert by["all", "all", "warp"]["rotation_deg_median"] == 0.2
    assert ("all", "all", "real") not in by
    assert "| 6 | room | targets | register | warp | 2/4 | 50% [15%, 85%] | 0.400 | 0.70 | 1.00 |" in table(
        summary
    )
    json.dumps(summary, allow_nan=False)


@pytest.mark.parametrize(
    ("rotations", "verdict"),
    [
        ((0.4,) * 20, "met"),
        ((0.6,) * 20, "not met"),
        ((0.4,) * 18 + (None,) * 2, "not met"),
        ((None,), "not met"),
    ],
)
def test_the_bar(rotations, verdict):
    assert f"warp, 6 contexts, register: {verdict} (" in verdicts(
        summarise(rows_of("warp", "orbit", *rotations))
    )


def test_what_others_report_is_quoted_without_a_comparison():
    text = published()
    assert "82.0%" in text
    assert "1.646°" in text
    assert "0.038" in text
    assert "no comparison" in text


@pytest.mark.slow
def test_a_run_is_whole_and_continues(room: Clip, tmp_path: Path, monkeypatch):
    write_transforms(tmp_path / "captures" / "room" / "transforms.json", room)
    arguments = view_recovery.Arguments(
        captures=tmp_path / "captures", models="warp", contexts=(5,), limit=2, side=160, frames=3,
        protocols=("register", "joint"), raw=True, out=tmp_path / "out",
    )  # fmt: skip
    view_recovery.main(arguments)
    first = json.loads((tmp_path / "out" / "recovery.json").read_text())
    assert first["arguments"]["captures"] == "captures"
    assert [scene["points"] > 50 for scene in first["scenes"]] == [True]
    assert len(first["frames"]) == 2 * (
        3 * 2 + 2 * 3 * 3
    )  # protocols × (targets of three + paths of warp and raw)
    frames = sorted((tmp_path / "out" / "frames").rglob("*.png"))
    written = [file.stat().st_mtime_ns for file in frames]
    assert len([f for f in frames if f.parts[-2:] == ("orbit", "00002.png")]) == 2
    assert len(list((tmp_path / "out" / "frames").rglob("clip.json"))) == 3 + 2 * 3

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("made again")

    monkeypatch.setattr(recovery_protocols, "build_anchor", fail)
    monkeypatch.setattr(view_recovery, "ask_once", fail)
    view_recovery.main(arguments)
    assert [file.stat().st_mtime_ns for file in frames] == written
    assert json.loads((tmp_path / "out" / "recovery.json").read_text())["frames"] == first["frames"]


def test_an_unknown_model_is_refused_in_a_sentence(room: Clip, tmp_path: Path):
    write_transforms(tmp_path / "captures" / "room" / "transforms.json", room)
    arguments = view_recovery.Arguments(
        captures=tmp_path / "captures", models="nothing", out=tmp_path / "out"
    )
    with pytest.raises(BridgeError, match="expected one of the world models"):
        view_recovery.main(arguments)


def test_targets_alone_need_no_depth(scene: Scene, monkeypatch):
    monkeypatch.setattr(Scene, "median_depth", lambda self: None)
    assert scene.about["depth"] is None
    with pytest.raises(BridgeError, match="--paths targets alone"):
        scene.depth()


def test_all_photos_are_known_by_their_files(scene: Scene, tmp_path: Path):
    first = scene.photos.identity
    (tmp_path / "captures" / "room" / "more.txt").write_text("another file")
    assert Photos(scene.run, scene.task, tmp_path / "captures", 240).identity != first
