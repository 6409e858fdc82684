"""Pages in a real browser: what they show is what our renderer draws, and they ask for nothing."""

import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from chromium import Chromium, Page, chromium
from html_pages import still_scene
from splat_scenes import scene

from recon.cameras import Cameras, intrinsics, look_at
from recon.gaussians import Gaussians, concatenate
from recon.scenefiles import Viewpoint, WriteOptions, write_scene
from recon.scenefiles.formats.html import BACKGROUND
from recon.sequence import GaussianFrames
from recon.splats.render import render
from recon.splats.similarity import turn_gaussians

WIDTH, HEIGHT = 360, 240
VIEW = Viewpoint(position=(0.8, -0.9, -3.2), target=(0.1, 0.1, 0.2), up=(0.1, -0.95, 0.2), fov_y_deg=45.0)
LEAST_PSNR = 30
LOAD_S = 120
"""On a busy machine that draws in software; usually 2 seconds."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with chromium() as running:
        yield running


@pytest.fixture
def cloud(generator) -> Gaussians:
    """A solid cloud of degree 3 before a shell of background that is larger than the window."""
    near = scene(3000, generator, size=0.06).to(dtype=torch.float32)
    near = replace(
        near, opacity_logits=near.opacity_logits + 2, sh=near.sh * torch.tensor([1.5] + [0.4] * 15)[:, None]
    )
    far = scene(60, generator, size=6.0).to(dtype=torch.float32)
    return concatenate([near, replace(far, means=torch.nn.functional.normalize(far.means, dim=-1) * 30)])


def drawn(gaussians: Gaussians, *, antialiased: bool = False) -> torch.Tensor:
    """What our renderer makes of the view that the page opens at."""
    eye, at, up = (torch.tensor([p], dtype=torch.float64) for p in (VIEW.position, VIEW.target, VIEW.up))
    K = intrinsics(
        focal_px=HEIGHT / 2 / math.tan(math.radians(VIEW.fov_y_deg / 2)), width=WIDTH, height=HEIGHT
    )
    cameras = Cameras(look_at(eye, at, up), K, WIDTH, HEIGHT)
    behind = torch.tensor(BACKGROUND)
    return render(gaussians, cameras, background=behind, antialiased=antialiased).images[0].clamp(0, 1)


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(-10 * torch.log10((a - b).square().mean()))


def best_picture(page: Page, expected: torch.Tensor, *, seconds: float = 20) -> float:
    """PSNR of what is shown, once it is good enough; sorting on another thread may come a little after the picture."""
    found = []
    for _ in range(int(seconds)):
        found.append(psnr(page.picture(), expected))
        if found[-1] > LEAST_PSNR:
            break
        page.run("new Promise((done) => setTimeout(done, 1000))")
    return max(found)


def is_clean(page: Page) -> bool:
    """Whether the page asked for itself alone and complained of nothing."""
    complaints = [line for line in page.console if "error" in line.lower() or "refused" in line.lower()]
    assert complaints == []
    return len(page.requests) == 1


@pytest.mark.parametrize("sh_degree", [0, 2, 3])
def test_a_still_page_shows_what_the_renderer_draws(tmp_path, browser, cloud, sh_degree):
    cloud = replace(cloud, sh=cloud.sh[:, : (sh_degree + 1) ** 2])
    write_scene(cloud, tmp_path / "a.html", WriteOptions(viewpoint=VIEW, title="a & b"))
    with browser.open(tmp_path / "a.html", query="?noui&noanim", width=WIDTH, height=HEIGHT) as page:
        page.wait_for("window.viewer?.state.loaded", LOAD_S)
        assert best_picture(page, drawn(cloud)) > LEAST_PSNR
        assert page.run("document.title") == "a & b"
        assert is_clean(page)


def test_an_antialiased_still_page(tmp_path, browser, cloud):
    cloud = replace(cloud, log_scales=cloud.log_scales - 1.5)  # near a pixel, where antialiasing shows
    write_scene(cloud, tmp_path / "a.html", WriteOptions(viewpoint=VIEW, render_mode="mip"))
    with browser.open(tmp_path / "a.html", query="?noui&noanim", width=WIDTH, height=HEIGHT) as page:
        page.wait_for("window.viewer?.state.loaded", LOAD_S)
        found = best_picture(page, drawn(cloud, antialiased=True))
        assert found > LEAST_PSNR
        assert psnr(page.picture(), drawn(cloud)) < found - 3


def camera_now(page: Page) -> Cameras:
    """Where the viewer's camera is, in the axes of the file inside the page."""
    pose, fov, across = page.run(
        "(() => { const node = viewer.app.root.findByName('camera'); "
        "return [[...node.getWorldTransform().data], node.camera.fov, node.camera.horizontalFov] })()"
    )
    luf_from_node = torch.tensor(pose, dtype=torch.float64).reshape(4, 4).T
    rdf_from_luf = torch.diag(torch.tensor([-1.0, -1, 1, 1], dtype=torch.float64))
    node_from_camera = torch.diag(
        torch.tensor([1.0, -1, -1, 1], dtype=torch.float64)
    )  # a node looks along −z
    world_from_camera = rdf_from_luf @ luf_from_node @ node_from_camera
    side = WIDTH if across else HEIGHT
    K = intrinsics(focal_px=side / 2 / math.tan(math.radians(fov / 2)), width=WIDTH, height=HEIGHT)
    return Cameras(torch.linalg.inv(world_from_camera)[None], K, WIDTH, HEIGHT)


def test_a_still_page_frames_the_scene_and_sorts_it_anew(tmp_path, browser, cloud):
    write_scene(cloud, tmp_path / "a.html", WriteOptions(viewpoint=VIEW))
    told, inside = still_scene(tmp_path / "a.html")
    distance = math.dist(*told["bounds"]) / 2 / math.sin(math.radians(VIEW.fov_y_deg / 2))
    assert 5 < distance < 15  # outside the cloud, inside the shell at 30
    with browser.open(tmp_path / "a.html", query="?noui&noanim", width=WIDTH, height=HEIGHT) as page:
        page.wait_for("window.viewer?.state.loaded", LOAD_S)
        page.press("f", "KeyF", 70)
        place = "viewer.app.root.findByName('camera').getPosition().length()"
        page.wait_for(f"Math.abs({place} / {distance} - 1) < 1e-3", LOAD_S)
        now = camera_now(page)
        behind = torch.tensor(BACKGROUND)
        assert best_picture(page, render(inside, now, background=behind).images[0].clamp(0, 1)) > LEAST_PSNR


def moving(cloud: Gaussians) -> GaussianFrames:
    frames = []
    for angle in (0.0, 0.5, 1.0):
        turn = torch.tensor(
            [[math.cos(angle), 0, math.sin(angle)], [0, 1, 0], [-math.sin(angle), 0, math.cos(angle)]],
            dtype=torch.float64,
        )
        frames.append(concatenate([turn_gaussians(cloud[:1500], turn), cloud[1500:]]))
    frames.append(cloud[1500:])  # a moment without what moves, of another size
    return GaussianFrames(torch.tensor([0.0, 0.5, 1.0, 1.5], dtype=torch.float64), frames)


def test_a_moving_page_shows_each_frame_and_obeys_keys(tmp_path, browser, cloud):
    frames = moving(cloud)
    write_scene(frames, tmp_path / "a.html", WriteOptions(viewpoint=VIEW))
    with browser.open(tmp_path / "a.html", query="?noui&noplay", width=WIDTH, height=HEIGHT) as page:
        page.wait_for("window.viewer?.settled()", LOAD_S)
        assert best_picture(page, drawn(frames.frames[0])) > LEAST_PSNR
        page.press("ArrowRight", "ArrowRight", 39)
        page.press("ArrowRight", "ArrowRight", 39)
        page.wait_for("window.viewer.settled()", LOAD_S)
        assert best_picture(page, drawn(frames.frames[2])) > LEAST_PSNR
        page.press("End", "End", 35)
        page.wait_for("window.viewer.settled()", LOAD_S)
        assert best_picture(page, drawn(frames.frames[3])) > LEAST_PSNR
        page.press(" ", "Space", 32)
        page.wait_for("window.viewer.player.state.seconds < 1", LOAD_S)  # it plays, and begins again
        page.press(" ", "Space", 32)
        assert page.run("window.viewer.player.state.playing") is False
        assert is_clean(page)


def test_a_moving_page_where_only_a_part_moves(tmp_path, browser, cloud):
    frames = moving(cloud)
    frames = GaussianFrames(frames.times_s[:3], frames.frames[:3])
    write_scene(frames, tmp_path / "a.html", WriteOptions(viewpoint=VIEW, render_mode="mip"))
    with browser.open(tmp_path / "a.html", query="?noui&noplay", width=WIDTH, height=HEIGHT) as page:
        page.wait_for("window.viewer?.settled()", LOAD_S)
        assert best_picture(page, drawn(frames.frames[0], antialiased=True)) > LEAST_PSNR
        page.press("ArrowRight", "ArrowRight", 39)
        page.wait_for("window.viewer.settled()", LOAD_S)
        assert best_picture(page, drawn(frames.frames[1], antialiased=True)) > LEAST_PSNR
        assert is_clean(page)


def test_a_browser_without_webgl_says_so(tmp_path, cloud):
    write_scene(cloud, tmp_path / "a.html")
    with chromium("--disable-3d-apis") as bare, bare.open(tmp_path / "a.html") as page:
        page.wait_for("document.getElementById('message').textContent.includes('WebGL 2')", LOAD_S)
