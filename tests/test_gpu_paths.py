"""What runs on a GPU beside splats: depth, planning and world models, with tensors that pretend to be on one.

No step may mix devices, and results, on the CPU again, are those of the CPU.
"""

import pytest
import torch
from bridge_shots import nine_pictures, tiny
from pretended_cuda import pretend_gsplat, pretended_cuda

from recon.cameras import backproject
from recon.clip import Clip
from recon.depth import search, slanted, torch_sweep
from recon.depth.search import DepthSearch
from recon.gaussians import Gaussians, from_points
from worldgen.model import Request
from worldgen.models.bridge.model import Bridge, BridgeOptions
from worldgen.models.splat import SplatModel
from worldgen.models.synthetic import SyntheticRoom
from worldgen.plan import plan_cameras


class OneThread:
    """In the place of a pool: what pretends to be a GPU does so in one thread alone."""

    def __init__(self, **_) -> None:
        self.map = map

    def __enter__(self) -> "OneThread":
        return self

    def __exit__(self, *_) -> None: ...


@pytest.fixture(autouse=True)
def one_thread():
    """On busy machines two threads wait for each other at every small operation, of which there are many here."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def room() -> tuple[Clip, Gaussians]:
    """Three small pictures, and splats on what they see."""
    synthetic = SyntheticRoom()
    cameras = synthetic.cameras(9, width=48, height=32)[[2, 4, 6]]
    images, depth = synthetic.render(cameras)
    xyz = backproject(depth.double(), cameras).reshape(-1, 3)[::31]
    return Clip(images, cameras), from_points(xyz, images.reshape(-1, 3)[::31], opacity=0.9, sh_degree=0)


def test_depth_is_searched_on_the_gpu(monkeypatch, room):
    photos, _ = room
    monkeypatch.setattr(search, "ThreadPoolExecutor", OneThread)
    # every kind of step is taken, few of each: what pretends is slow
    monkeypatch.setattr(slanted, "SIDE", 3)
    monkeypatch.setattr(torch_sweep, "AROUND", ((1, 0),))
    monkeypatch.setattr(torch_sweep, "ROUNDS_FOR_ONE", 1)
    expected = DepthSearch(photos, planes=4, passes=2, engine="torch").raw()
    with pretended_cuda(monkeypatch):
        on_gpu = DepthSearch(photos, planes=4, passes=2)
        assert on_gpu.torch_device == torch.device("cuda")
        found = on_gpu.raw()
    assert torch.equal(found.depth, expected.depth)
    assert torch.equal(found.confidence, expected.confidence)


def test_the_built_in_model_runs_on_the_gpu(monkeypatch):
    room = nine_pictures()
    options = BridgeOptions(precision="float32")
    request = Request(room[[0, 4]], room.require_cameras()[[1, 2, 6]].resize(width=84, height=60))
    expected = Bridge(weights=tiny(), options=options).generate(
        request, generator=torch.Generator().manual_seed(0)
    )
    monkeypatch.setattr(search, "torch_device", lambda engine: None)  # of depth another test tells
    with pretended_cuda(monkeypatch):
        model = Bridge(weights=tiny(), options=options)
        assert model.device == torch.device("cuda")
        found = model.generate(request, generator=torch.Generator().manual_seed(0))
    for name in ("depth", "colour_std", "seen"):
        torch.testing.assert_close(getattr(found, name), getattr(expected, name), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.clip.images, expected.clip.images, rtol=1e-4, atol=1e-4)


def test_views_are_planned_and_drawn_on_the_gpu(monkeypatch, room):
    photos, scene = room
    drawn = []

    def plan():
        return plan_cameras(scene, photos, count=3, points=None, generator=torch.Generator().manual_seed(0))

    expected = plan()
    request = Request(photos, expected)
    picture = SplatModel(scene).generate(request, generator=torch.Generator()).clip
    pretend_gsplat(monkeypatch)
    monkeypatch.setattr(
        "recon.splats.engines.cuda.render",
        lambda *a, real=_gsplat_render(): drawn.append(a[0].means.device) or real(*a),
    )
    with pretended_cuda(monkeypatch):
        found = plan()
        there = SplatModel(scene).generate(request, generator=torch.Generator()).clip
    assert len(drawn) > 3
    assert set(drawn) == {torch.device("cuda:0")}
    torch.testing.assert_close(found.cam_from_world, expected.cam_from_world)
    assert there.images.device == torch.device("cpu")
    torch.testing.assert_close(there.images, picture.images, rtol=0, atol=2e-3)


def _gsplat_render():
    from recon.splats.engines.cuda import render

    return render
