"""One-file pages: what is inside looks from the page's first camera as the scene does from the one asked for."""

import gzip
import hashlib
import html
import json
import math
import re
from dataclasses import replace

import pytest
import torch
from html_pages import parts, still_scene
from splat_scenes import scene

from recon.cameras import Cameras, intrinsics, look_at
from recon.errors import SceneFileError
from recon.gaussians import Gaussians, concatenate, from_points
from recon.scenefiles import Axes, Viewpoint, WriteOptions, read_scene, write_scene
from recon.scenefiles.axes import axes_from_rdf
from recon.scenefiles.formats.html import PAGES
from recon.sequence import GaussianFrames
from recon.sim3 import Sim3
from recon.splats.render import render
from recon.splats.similarity import transform_gaussians, turn_gaussians

VIEW = Viewpoint(position=(0.5, -0.4, -4.0), target=(0.1, 0.0, 0.2), up=(0.0, -1.0, 0.0), fov_y_deg=40.0)


@pytest.fixture
def cloud(generator) -> Gaussians:
    """700 Gaussians about the origin, of which a few are a shell fifty units away."""
    near = scene(700, generator).to(dtype=torch.float32)
    far = scene(7, generator, size=5).to(dtype=torch.float32)
    return concatenate([near, replace(far, means=torch.nn.functional.normalize(far.means, dim=-1) * 50)])


def picture(gaussians: Gaussians, view: Viewpoint | dict, *, up=(0.0, -1.0, 0.0)) -> torch.Tensor:
    """What a viewer shows at its first camera, small."""
    if isinstance(view, Viewpoint):
        position, target, up, fov_y_deg = view.position, view.target, view.up, view.fov_y_deg
    else:
        position, target, fov_y_deg = view["position"], view["target"], view["fovYDeg"]
    eye, at, above = (torch.tensor([p], dtype=torch.float64) for p in (position, target, up))
    K = intrinsics(focal_px=24 / math.tan(math.radians(fov_y_deg / 2)), width=64, height=48)
    return render(gaussians, Cameras(look_at(eye, at, above), K, 64, 48)).images[0].clamp(0, 1)


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(-10 * torch.log10((a - b).square().mean()))


def test_a_page_shows_the_scene_from_the_viewpoint(tmp_path, cloud):
    written = write_scene(cloud, tmp_path / "a.html", WriteOptions(viewpoint=VIEW))
    told, inside = still_scene(tmp_path / "a.html")
    assert len(inside) == len(cloud)
    assert (
        psnr(picture(cloud, VIEW), picture(inside, told["camera"])) > 30
    )  # the shell costs its neighbours digits
    assert written.notes == ()


def test_the_up_of_the_viewpoint_is_up_in_the_page(tmp_path, cloud):
    tilted = replace(VIEW, up=(0.5, -0.8, 0.1))
    write_scene(cloud, tmp_path / "a.html", WriteOptions(viewpoint=tilted))
    told, inside = still_scene(tmp_path / "a.html")
    assert psnr(picture(cloud, tilted), picture(inside, told["camera"])) > 30
    assert psnr(picture(cloud, VIEW), picture(inside, told["camera"])) < 25


@pytest.mark.parametrize("axes", [Axes.RUB, Axes.Z_UP])
def test_viewpoint_and_bounds_are_in_the_axes_of_the_file(tmp_path, cloud, axes):
    def turned(point):
        return tuple((axes_from_rdf(axes) @ torch.tensor(point, dtype=torch.float64)).tolist())

    view = Viewpoint(turned(VIEW.position), turned(VIEW.target), turned(VIEW.up), VIEW.fov_y_deg)
    box = torch.tensor([[-1.0, -0.5, -0.4], [0.9, 0.6, 0.3]], dtype=torch.float64)
    corners = box @ axes_from_rdf(axes).T
    bounds = torch.stack([corners.min(0).values, corners.max(0).values])
    write_scene(cloud, tmp_path / "a.html", WriteOptions(axes=axes, viewpoint=view, bounds=bounds))
    told, inside = still_scene(tmp_path / "a.html")
    assert psnr(picture(cloud, VIEW), picture(inside, told["camera"])) > 30
    assert torch.allclose(torch.tensor(told["bounds"], dtype=torch.float64), box - box.mean(0))


@pytest.mark.parametrize("bounded", [False, True])
def test_without_a_viewpoint_the_scene_fills_the_view_and_the_far_shell_does_not_count(
    tmp_path, cloud, bounded
):
    everything = torch.stack([cloud.means.min(0).values, cloud.means.max(0).values])
    write_scene(cloud, tmp_path / "a.html", WriteOptions(bounds=everything if bounded else None))
    told, inside = still_scene(tmp_path / "a.html")
    low, high = torch.tensor(told["bounds"])
    assert (high - low).max() < 8
    distance = math.dist(told["camera"]["position"], told["camera"]["target"])
    assert 3 < distance < 20
    near = inside[inside.means.norm(dim=-1) < 10]
    assert (picture(near, told["camera"]) > 0.02).any(-1).float().mean() > 0.15


@pytest.mark.parametrize("scale", [1e-3, 1e4])
def test_tiny_and_huge_scenes_get_a_size_that_viewers_are_made_for(tmp_path, cloud, scale):
    b_from_a = Sim3(
        torch.tensor(scale, dtype=torch.float64),
        torch.eye(3, dtype=torch.float64),
        torch.tensor([500.0, -20, 3], dtype=torch.float64) * scale,
    )

    def carried(point):
        return tuple(b_from_a.points(torch.tensor([point], dtype=torch.float64))[0].tolist())

    view = replace(VIEW, position=carried(VIEW.position), target=carried(VIEW.target))
    write_scene(transform_gaussians(cloud, b_from_a), tmp_path / "a.html", WriteOptions(viewpoint=view))
    told, inside = still_scene(tmp_path / "a.html")
    assert math.dist(*told["bounds"]) == pytest.approx(10)
    assert psnr(picture(cloud, VIEW), picture(inside, told["camera"])) > 30


def moving(cloud: Gaussians) -> GaussianFrames:
    """The first 300 Gaussians turn about the vertical; the rest stands still."""
    frames = []
    for angle in (0.0, 0.3, 0.6):
        turn = torch.tensor(
            [[math.cos(angle), 0, math.sin(angle)], [0, 1, 0], [-math.sin(angle), 0, math.cos(angle)]],
            dtype=torch.float64,
        )
        frames.append(concatenate([turn_gaussians(cloud[:300], turn), cloud[300:]]))
    return GaussianFrames(torch.tensor([2.0, 2.1, 2.3], dtype=torch.float64), frames)


def test_a_moving_page_holds_what_moves_for_each_frame_and_the_rest_once(tmp_path, cloud):
    frames = moving(cloud)
    write_scene(frames, tmp_path / "a.html", WriteOptions(viewpoint=VIEW))
    told, files = parts(tmp_path / "a.html")
    assert told["times"] == pytest.approx([0.0, 0.1, 0.3])
    assert told["files"] == ["0.spz", "1.spz", "2.spz", "3.spz"]
    inside = []
    for name, data in zip(told["files"], files, strict=True):
        (tmp_path / name).write_bytes(data)
        inside.append(
            read_scene(tmp_path / name, axes=Axes.RDF).gaussians
        )  # as it is, for told's axes are its
    assert [len(one) for one in inside] == [300, 300, 300, 407]
    for i in range(3):
        shown = picture(concatenate([inside[i], inside[3]]), told["camera"], up=(0.0, 1.0, 0.0))
        assert (
            psnr(picture(frames.frames[i], VIEW), shown) > 30
        )  # SPZ has 5 and 4 bits for view-dependent colour


def test_frames_may_differ_in_size_and_be_empty(tmp_path, cloud):
    frames = GaussianFrames(torch.tensor([0.0, 1, 2], dtype=torch.float64), [cloud[:0], cloud, cloud[:50]])
    write_scene(frames, tmp_path / "a.html")
    _, files = parts(tmp_path / "a.html")
    assert [bool(data) for data in files] == [False, True, True]


def test_frames_that_are_all_the_same_make_a_still_page(tmp_path, cloud):
    frames = GaussianFrames(torch.tensor([0.0, 1], dtype=torch.float64), [cloud, cloud])
    write_scene(frames, tmp_path / "a.html")
    assert len(still_scene(tmp_path / "a.html")[1]) == len(cloud)


def test_nothing_to_show_is_refused(tmp_path, cloud):
    with pytest.raises(SceneFileError, match="no Gaussians"):
        write_scene(cloud[:0], tmp_path / "a.html")
    assert list(tmp_path.iterdir()) == []


def test_one_gaussian_is_a_page(tmp_path):
    one = from_points(torch.tensor([[3.0, 4, 5]]), torch.ones(1, 3), opacity=0.9)
    write_scene(one, tmp_path / "a.html")
    told, inside = still_scene(tmp_path / "a.html")
    assert picture(inside, told["camera"]).max() > 0.5


def test_a_title_cannot_break_the_page(tmp_path, cloud):
    title = 'kitchen </title><script>alert("1")</script> & <b>more</b>'
    write_scene(cloud, tmp_path / "a.html", WriteOptions(title=title))
    text = (tmp_path / "a.html").read_text()
    assert "alert" in text
    assert "<script>alert" not in text
    shown = re.search(r"<title>(.*?)</title>", text)
    assert shown
    assert html.unescape(shown[1]) == title


def test_the_same_scene_gives_the_same_page(tmp_path, cloud):
    for frames in (cloud, moving(cloud)):
        write_scene(frames, tmp_path / "a.html")
        write_scene(frames, tmp_path / "b.html")
        assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_a_page_too_large_for_browsers_says_what_to_do(tmp_path, cloud, monkeypatch):
    monkeypatch.setattr("recon.scenefiles.formats.html.LARGEST_PAGE", 1_000_000)
    (note,) = write_scene(cloud, tmp_path / "a.html").notes
    assert "--max-gaussians" in note
    assert "--sh-degree" in note
    assert "--fps" not in note
    (note,) = write_scene(moving(cloud), tmp_path / "a.html").notes
    assert "--fps" in note


def test_an_antialiased_scene_says_so(tmp_path, cloud):
    for mode, expected in (("default", False), ("mip", True)):
        write_scene(cloud, tmp_path / "a.html", WriteOptions(render_mode=mode))
        assert parts(tmp_path / "a.html")[0]["antialiased"] is expected


@pytest.mark.parametrize("kind", ["static", "moving"])
def test_templates_are_what_the_sources_build_and_ask_for_nothing_from_outside(kind):
    built = json.loads((PAGES / "built.json").read_text())
    packed = (PAGES / f"{kind}.html.gz").read_bytes()
    assert built["outputs"][f"{kind}.html.gz"] == hashlib.sha256(packed).hexdigest()
    for name, digest in built["sources"].items():
        assert hashlib.sha256((PAGES / "source" / name).read_bytes()).hexdigest() == digest, (
            f"build {name} again"
        )
    page = gzip.decompress(packed).decode()
    assert not re.findall(r"<(?:script|link|img|iframe)[^>]*\s(?:src|href)=", page.split("<script type=")[0])
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    assert policy[1].startswith("default-src 'none'; ")
    assert "http" not in policy[1]
    assert "MIT License" in page[:3000]


def test_packages_are_pinned_and_come_from_the_public_registry():
    packages = json.loads((PAGES / "source" / "package-lock.json").read_text())["packages"]
    for name, entry in packages.items():
        assert entry.get("resolved", "https://registry.npmjs.org/").startswith(
            "https://registry.npmjs.org/"
        ), name
        assert not name or entry["integrity"].startswith("sha512-"), name
