"""The viewer in a real browser: it draws what our renderer draws, and a frustum can be clicked."""

import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from chromium import Page, chromium
from viewed_run import HEIGHT, WIDTH, until, write_run

from bridge4d.scenes import LoadedScene, load_scene
from bridge4d.viewing import Viewer, serve
from bridge4d.viewing.session import Session
from bridge4d.viewpoints import start_view
from eval.pictures.images import psnr
from recon.splats.render import render


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> LoadedScene:
    return load_scene(write_run(tmp_path_factory.mktemp("run")))


@pytest.fixture(scope="module")
def opened(scene: LoadedScene) -> Iterator[tuple[Viewer, Session, Page]]:
    pytest.importorskip("viser", reason="the viewer is an optional extra")
    viewer = serve(scene, port=18090)
    try:
        with chromium() as browser, browser.open(viewer.address, width=900, height=600) as page:
            until(lambda: bool(viewer.sessions))
            session = next(iter(viewer.sessions.values()))
            until(session.is_settled)
            yield viewer, session, page
    finally:
        viewer.stop()


def test_the_browser_draws_the_start_view_in_the_colors_seen_from_there(
    scene: LoadedScene, opened: tuple[Viewer, Session, Page]
) -> None:
    _, session, _ = opened
    camera = start_view(scene).resize(width=6 * WIDTH, height=6 * HEIGHT).to(dtype=torch.float32)
    ours = render(scene.gaussians, camera).images.clamp(0, 1)
    plain = render(scene.gaussians, camera, sh_degree=0).images.clamp(0, 1)
    boxes = session.controls.pictures.boxes.values()
    for box in boxes:
        box.value = False  # frusta stand in the picture
    likeness = 0.0

    def alike() -> bool:  # the first pictures still fade in
        nonlocal likeness
        pixels = session.client.get_render(6 * HEIGHT, 6 * WIDTH, transport_format="png", timeout=60)
        over_black = pixels[..., :3] / 255.0 * (pixels[..., 3:] / 255.0)
        likeness = float(psnr(torch.from_numpy(over_black)[None].float(), ours))
        return likeness > 25

    until(alike)
    for box in boxes:
        box.value = True
    assert likeness > float(psnr(plain, ours)) + 3


def test_a_frustum_is_clicked_with_the_mouse(
    scene: LoadedScene, opened: tuple[Viewer, Session, Page]
) -> None:
    from viser.transforms import SO3

    _, session, page = opened
    until(lambda: session.frusta is not None)
    camera = session.client.camera
    with session.client.atomic():
        camera.position = np.array([1.0, -3.0, -12.0])
        camera.look_at = np.array([0.0, 0.0, -4.0])
    node = next(node for node in session.frusta.nodes if node.name.startswith("/refused"))
    until(lambda: node.visible and session.is_settled())
    middle = np.array(node.position) + SO3(np.array(node.wxyz)).as_matrix()[:, 2] * 2 * node.scale
    x, y, z = SO3(camera.wxyz).as_matrix().T @ (middle - camera.position)
    focal = camera.image_height / 2 / np.tan(camera.fov / 2)
    pixel = camera.image_width / 2 + focal * x / z, camera.image_height / 2 + focal * y / z

    def clicked() -> bool:  # again, where the browser had not drawn the frustum yet
        page.click(*pixel)
        time.sleep(2)
        return session.controls.comparison.content != ""

    until(clicked)
    until(lambda: "PSNR" in session.controls.comparison.content)
    page.wait_for("document.querySelectorAll('figure img').length === 3", timeout_s=60)
    assert "r1-001" in page.run("document.body.innerText")
    assert torch.allclose(session.eye, scene.views[5].camera.centers[0], atol=1e-4)
