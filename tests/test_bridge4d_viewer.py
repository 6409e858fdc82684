"""The viewer: where it opens, what a window shows, and at which address."""

import socket
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from viewed_run import colored_cloud, until, window, write_run

from bridge4d.cli import run
from bridge4d.commands.view import View
from bridge4d.scenes import LoadedScene, load_scene
from bridge4d.viewing import Viewer, serve, write_page
from bridge4d.viewing.playback import Playback
from bridge4d.viewing.server import find_free_port, start_server
from bridge4d.viewing.splats import colors_from, covariances
from bridge4d.viewing.versions import Versions
from bridge4d.viewpoints import start_view
from recon.errors import BridgeError, MissingDependencyError, SceneFileError
from recon.gaussians import Gaussians
from recon.scenefiles import WriteOptions, Written, read_scene
from recon.sequence import GaussianFrames
from recon.splats.sh import evaluate_sh


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("run"))


@pytest.fixture
def viewer(run_folder: Path) -> Iterator[Viewer]:
    pytest.importorskip("viser", reason="the viewer is an optional extra")
    serving = serve(load_scene(run_folder), port=18080)
    yield serving
    serving.stop()


def centers(viewer_window) -> np.ndarray:
    """Of the splats shown, in the world."""
    shown = torch.from_numpy(viewer_window.session.splats.node.centers.copy()).double()
    return viewer_window.session._stage.browser_from_world.inverse().points(shown).numpy()


def test_covariances_are_rotated_squares_of_the_scales() -> None:
    half = 0.5**0.5
    turned = replace(
        colored_cloud(1),
        quats_wxyz=torch.tensor([[half, 0.0, 0.0, half]]) * 3,  # 90 degrees about z, not normalised
        log_scales=torch.log(torch.tensor([[1.0, 2.0, 3.0]])),
    )
    assert np.allclose(covariances(turned)[0], np.diag([4.0, 1.0, 9.0]), atol=1e-5)
    assert np.allclose(covariances(turned, 2.0)[0], np.diag([16.0, 4.0, 36.0]), atol=1e-4)
    assert np.isfinite(covariances(turned, 1e4).astype(np.float16)).all()


def test_colors_are_those_that_the_eye_sees() -> None:
    cloud, eye = colored_cloud(sh_degree=3), torch.tensor([0.5, -3.0, 1.0])
    seen = (0.5 + evaluate_sh(cloud.sh, cloud.means - eye, 3)).clamp(0, 1) * 255
    assert np.abs(colors_from(cloud, eye) - seen.numpy()).max() <= 0.51
    assert np.abs(colors_from(cloud, -eye).astype(int) - colors_from(cloud, eye)).max() > 50


def test_versions_are_labelled_and_the_kept_one_comes_first(run_folder: Path) -> None:
    versions = Versions(load_scene(run_folder))
    assert versions.labels == ("photos only", "round 1 (kept)")
    assert versions.kept == "round 1 (kept)"
    photos_only = read_scene(run_folder / "splats" / "photos_only" / "scene.ply").gaussians
    assert torch.equal(versions.gaussians("photos only").means, photos_only.means)
    file = Versions(load_scene(run_folder / "exports" / "scene.ply"))
    assert file.labels == ("scene",)


def test_a_run_opens_at_its_photo_with_the_kept_scene(viewer: Viewer, run_folder: Path) -> None:
    scene = load_scene(run_folder)
    with window(viewer) as opened:
        assert torch.allclose(opened.session.eye, start_view(scene).centers[0], atol=1e-9)
        assert np.allclose(centers(opened), scene.gaussians.means.numpy(), atol=1e-4)
        expected = colors_from(scene.gaussians, opened.session.eye)
        assert np.array_equal(opened.session.splats.node.rgbs, expected)


def test_colors_follow_the_camera_when_it_rests(viewer: Viewer, run_folder: Path) -> None:
    with window(viewer) as opened:
        before = opened.session.splats.node.rgbs.copy()
        opened.look((3.0, -1.0, 4.0), (0.0, 0.0, 0.0))
        until(lambda: not np.array_equal(opened.session.splats.node.rgbs, before))
        opened.settle()
        expected = colors_from(load_scene(run_folder).gaussians, opened.session.eye)
        assert np.array_equal(opened.session.splats.node.rgbs, expected)


def test_a_window_switches_to_the_photos_only_scene_and_others_do_not(
    viewer: Viewer, run_folder: Path
) -> None:
    photos_only = read_scene(run_folder / "splats" / "photos_only" / "scene.ply").gaussians
    with window(viewer) as one, window(viewer) as other:
        one.set(one.session.controls.versions, "photos only")
        until(lambda: one.session.controls.version == "photos only")
        one.settle()
        assert np.allclose(centers(one), photos_only.means.numpy(), atol=1e-4)
        assert np.allclose(centers(other), colored_cloud().means.numpy(), atol=1e-4)


def test_frusta_are_colored_by_verdict_and_hidden_before_the_camera(viewer: Viewer) -> None:
    with window(viewer) as opened:
        until(lambda: opened.session.frusta is not None)
        nodes = {node.name: node for node in opened.session.frusta.nodes}
        assert [name.split("/")[1] for name in nodes] == ["photo"] * 3 + ["heldout", "accepted", "refused"]
        assert len({node.color for node in nodes.values()}) == 4
        red, green = nodes["/refused/0005"].color, nodes["/accepted/0004"].color
        assert red[0] > 150 > red[1]
        assert green[1] > 150 > green[0]
        until(lambda: sum(not node.visible for node in nodes.values()) == 1)  # the one it opens at
        opened.look((0.0, -2.0, -30.0), (0.0, 0.0, 0.0))
        until(lambda: all(node.visible for node in nodes.values()))
        opened.set(opened.session.controls.pictures.boxes["refused"], False)
        until(lambda: not opened.session.frusta.groups["refused"].visible)
        assert opened.session.frusta.groups["accepted"].visible


def test_a_clicked_frustum_is_flown_to_and_shown_beside_the_scene(viewer: Viewer, run_folder: Path) -> None:
    views = load_scene(run_folder).views
    with window(viewer) as opened:
        until(lambda: opened.session.frusta is not None)
        opened.click("/refused/0005")
        until(lambda: "PSNR" in opened.session.controls.comparison.content)
        opened.settle()
        assert torch.allclose(opened.session.eye, views[5].camera.centers[0], atol=1e-6)
        content = opened.session.controls.comparison.content
        assert content.count("<img") == 3  # frame, scene, confidence
        assert "refused: turned by 7° &lt;b&gt;more" in content
        pictures = opened.session.controls.pictures
        assert pictures.list.value.startswith("r1-001")
        opened.set(pictures.list, next(o for o in pictures.list.options if o.startswith("b.png")))
        until(lambda: "b.png" in opened.session.controls.comparison.content)
        opened.settle()
        assert opened.session.controls.comparison.content.count("<img") == 2
        assert torch.allclose(opened.session.eye, views[1].camera.centers[0], atol=1e-6)
        opened.set(pictures.steps, "next")
        until(lambda: pictures.list.value.startswith("c.png"))


def test_the_picture_stays_upright_and_whole_in_any_window(viewer: Viewer, run_folder: Path) -> None:
    view = load_scene(run_folder).views[0]
    with window(viewer) as opened:
        opened.session.choose(view)
        camera = opened.session.client.camera
        from viser.transforms import SO3

        turned = SO3(camera.wxyz).as_matrix()
        assert np.allclose(turned.T, view.camera.cam_from_world[0, :3, :3].numpy(), atol=1e-6)
        # the window is 4:3 and the picture 3:2: its width decides
        assert np.isclose(np.tan(camera.fov / 2) * 4 / 3, 48 / 80)


def moving_scene(frames: int = 10, fps: float = 10.0) -> LoadedScene:
    clouds = [
        replace(colored_cloud(50), means=colored_cloud(50).means + torch.tensor([0.1 * i, 0, 0]))
        for i in range(frames)
    ]
    moving = GaussianFrames(torch.arange(frames, dtype=torch.float64) / fps + 2, clouds, identity=True)
    return LoadedScene(Path("walk"), Path("walk"), clouds[0], moving)


def test_a_moving_scene_has_a_slider_and_plays() -> None:
    pytest.importorskip("viser", reason="the viewer is an optional extra")
    scene = moving_scene()
    viewer = serve(scene, port=18080)
    try:
        with window(viewer) as opened:
            controls = opened.session.controls
            opened.set(controls.frames, 7)
            until(lambda: controls.frame == 7)
            opened.settle()
            assert np.allclose(centers(opened), scene.moving.frames[7].means.numpy(), atol=1e-4)
            assert controls._time.value == "2.70 s"
            opened.set(controls.play, True)
            until(lambda: controls.frame not in (7, 8, 9))  # it began again
            opened.set(controls.play, False)
            until(lambda: not controls.playing)
            opened.settle()
            shown = scene.moving.frames[controls.frame].means.numpy()
            assert np.allclose(centers(opened), shown, atol=1e-4)
    finally:
        viewer.stop()


def test_playing_keeps_time_and_goes_on_from_where_the_slider_is_put() -> None:
    now = 100.0
    play = Playback(moving_scene().moving, clock=lambda: now)
    assert play.next_frame(3, playing=False) == 3
    assert play.next_frame(3, playing=True) == 3
    now += 0.25
    assert play.next_frame(3, playing=True) == 5
    now += 0.5
    assert play.next_frame(5, playing=True) == 0
    assert play.next_frame(8, playing=True) == 8
    now += 0.1
    assert play.next_frame(8, playing=True) == 9


def test_a_version_whose_file_has_gone_is_one_message_and_not_the_end(
    viewer: Viewer, run_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lost = run_folder / "splats" / "photos_only" / "scene.ply"
    with window(viewer) as opened:
        lost.rename(lost.with_suffix(".gone"))
        try:
            opened.set(opened.session.controls.versions, "photos only")
            until(lambda: "photos_only" in caplog.text)
            opened.set(opened.session.controls.versions, "round 1 (kept)")
            opened.look((0.0, 0.0, -9.0), (0.0, 0.0, 0.0))
            until(lambda: opened.session.eye[2] < -1)
            opened.settle()
            assert caplog.text.count("photos_only") == 1
        finally:
            lost.with_suffix(".gone").rename(lost)


def test_the_page_is_served_on_loopback_at_the_address_that_is_said(run_folder: Path) -> None:
    pytest.importorskip("viser", reason="the viewer is an optional extra")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        viewer = serve(load_scene(run_folder / "exports" / "scene.ply"), port=port)
        try:
            assert viewer.port != port
            assert viewer.address == f"http://127.0.0.1:{viewer.port}"
            page = urllib.request.urlopen(viewer.address, timeout=10).read()
            assert b"<html" in page.lower()
            mine = [c for c in psutil.Process().net_connections() if c.laddr.port == viewer.port]
            assert {c.laddr.ip for c in mine if c.status == "LISTEN"} == {"127.0.0.1"}
        finally:
            viewer.stop()


def test_unusable_addresses_are_one_sentence() -> None:
    for port in (0, 65536, -1):
        with pytest.raises(BridgeError, match="port from 1 to 65535"):
            find_free_port("127.0.0.1", port)
    for host in ("203.0.113.7", "no.such.host.invalid", "not a host"):
        with pytest.raises(BridgeError, match="no address of this machine"):
            find_free_port(host, 18080)


def test_a_missing_viser_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "viser", None)
    with pytest.raises(MissingDependencyError, match=r"bridge4d\[view\]"):
        start_server()


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("viser", reason="the viewer is an optional extra")
    assert run(View(tmp_path / "nothing.ply")) == 2
    assert "nothing.ply" in capsys.readouterr().err
    write_run(tmp_path / "run")
    assert run(View(tmp_path / "run", port=99999)) == 2
    assert "port from 1 to 65535" in capsys.readouterr().err
    assert run(View(tmp_path / "run", axes="rub")) == 2
    assert "--axes" in capsys.readouterr().err
    assert run(View(tmp_path / "run", html=tmp_path / "page.png")) == 2
    assert "page.png" in capsys.readouterr().err


def test_a_page_begins_at_the_start_view(
    tmp_path: Path, run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = {}

    def keep(scene: Gaussians, page: Path, options: WriteOptions) -> Written:
        written.update(scene=scene, options=options)
        page.write_text("")
        return Written()

    monkeypatch.setattr("bridge4d.exporting.pipeline.write_scene", keep)
    scene = load_scene(run_folder)
    (tmp_path / "export.json").write_text("of another program")
    page = write_page(scene, tmp_path / "a.html")
    assert (tmp_path / "export.json").read_text() == "of another program"
    assert len(written["scene"]) == len(scene.gaussians)
    start = page.frame.out_from_scene.points(start_view(scene).centers)[0]  # upright
    assert written["options"].viewpoint.position == pytest.approx(tuple(start.tolist()))
    with pytest.raises(SceneFileError, match="name of a page"):
        write_page(scene, tmp_path / "a.ply")
