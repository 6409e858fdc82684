"""The compiled engine as Python sees it: what it refuses, and what else goes on in the process."""

import ctypes
import math
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import jaxtyping
import pytest
import torch
from splat_scenes import layers, leaves, orbit, scene

from recon.cameras import Cameras
from recon.errors import BridgeError
from recon.gaussians import Gaussians
from recon.splats.kernels.threads import kernels_alone
from recon.splats.native import layout, library, loading, rasterize
from recon.splats.native.trainer import NativeTrainer
from recon.splats.parameters import LearningRates
from recon.splats.pyramid import View
from recon.splats.render import render
from recon.splats.trainer import Moment

pytestmark = pytest.mark.skipif(
    loading.unavailable() is not None, reason=f"there is no compiled engine: {loading.unavailable()}"
)

HEADER = Path(rasterize.__file__).parent / "src" / "splats.h"


def single(g: int, generator: torch.Generator, **options: int) -> Gaussians:
    return scene(g, generator, **options).to(dtype=torch.float32)


@pytest.mark.parametrize("g", [0, 1, 15, 16, 17, 100])
@pytest.mark.parametrize("bases", [1, 9])
def test_a_scene_comes_back_from_the_engine_s_layout(generator, g, bases):
    gaussians = single(g, generator, sh_degree=2)
    groups = layout.pack(gaussians, bases)
    assert groups.shape == (-(-g // 16), 11 + 3 * bases, 16)
    assert g == 0 or groups.data_ptr() % 64 == 0
    back = layout.unpack(groups, g)
    assert torch.equal(back.sh, gaussians.sh[:, :bases])
    for name in ("means", "quats_wxyz", "log_scales", "opacity_logits"):
        assert torch.equal(back.tensors()[name], gaussians.tensors()[name])
    groups.fill_(7)
    assert not (back.means == 7).any()


def test_the_layout_is_that_of_the_header(generator):
    gaussians = single(20, generator)
    groups = layout.pack(gaussians, 16)
    assert torch.equal(groups[1, 0:3, 3], gaussians.means[19])
    assert torch.equal(groups[0, 3:7, 5], gaussians.quats_wxyz[5])
    assert torch.equal(groups[1, 7:10, 0], gaussians.log_scales[16])
    assert groups[0, 10, 15] == gaussians.opacity_logits[15]
    assert groups[0, 11 + 3 * 4 + 2, 6] == gaussians.sh[6, 4, 2]


@pytest.mark.parametrize(
    ("struct", "size"),
    [
        (library.Camera, 96),
        (library.Style, 16),
        (library.Scene, 24),
        (library.Pictures, 40),
        (library.PictureGradients, 32),
        (library.SceneGradients, 24),
        (library.Adam, 96),
        (library.Comparison, 40),
        (library.Statistics, 24),
    ],
)
def test_structures_have_the_fields_of_the_header(struct, size):
    name = "splats_" + re.sub(r"(?<!^)([A-Z])", r"_\1", struct.__name__).lower()
    body = next(part for part in HEADER.read_text().split("typedef struct") if f"}} {name};" in part)
    body = re.sub(r"/\*.*?\*/", "", body[body.index("{") + 1 : body.index("}")], flags=re.S)
    fields = [
        re.sub(r"\[\d+\]", "", word.split()[-1].strip("*"))
        for word in re.split(r"[;,]", body)
        if word.strip()
    ]
    assert [field for field, _ in struct._fields_] == fields
    assert ctypes.sizeof(struct) == size


@pytest.mark.parametrize(
    "tensor",
    [torch.zeros(3, dtype=torch.float64), torch.zeros(4, 4).T[1:], torch.zeros(3, device="meta")],
    ids=["float64", "strided", "elsewhere"],
)
def test_only_contiguous_float32_on_the_cpu_has_an_address(tensor):
    with pytest.raises(BridgeError, match="contiguous float32"):
        library.pointer(tensor)


@pytest.fixture
def shapes_unchecked() -> Iterator[None]:
    """As outside of tests."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize(
    ("target", "weight", "gradient"),
    [
        ((7, 5, 3), None, None),
        ((5, 7, 4), None, None),
        ((5, 7), None, None),
        ((5, 7, 3), (5, 6), None),
        ((5, 7, 3), (5, 7, 1), None),
        ((5, 7, 3), None, (5, 7, 4)),
        ((5, 7, 3), None, (4, 7, 3)),
    ],
)
def test_the_engine_compares_no_pictures_but_those_of_one_shape(shapes_unchecked, target, weight, gradient):
    wrong = [None if shape is None else torch.zeros(shape) for shape in (weight, gradient)]
    with pytest.raises(BridgeError, match=r"expected .*\(5, 7, 3\), got|got image \(5, 7, 3\)"):
        library.engine().loss(torch.rand(5, 7, 3), torch.rand(target), wrong[0], 0.2, wrong[1])


@pytest.mark.parametrize("shape", [(5, 7, 4), (5, 7, 1), (5, 7)])
def test_the_engine_compares_only_pictures_of_three_colours(shapes_unchecked, shape):
    with pytest.raises(BridgeError, match=r"\(h, w, 3\)"):
        library.engine().loss(torch.rand(shape), torch.rand(shape), None, 0.2, torch.empty(shape))


def test_a_picture_too_large_is_refused(generator):
    view = replace(orbit(), width=70_000, height=1)
    with pytest.raises(BridgeError, match="65,536"):
        render(single(2, generator), view, engine="cpu")


def test_derivatives_by_intrinsics_are_refused_rather_than_left_out(generator):
    view = orbit()
    view.K.requires_grad_()
    with pytest.raises(BridgeError, match="engine='reference'"):
        render(single(2, generator), view, engine="cpu")


def test_second_derivatives_are_refused(generator):
    gaussians = leaves(single(20, generator))
    loss = render(gaussians, orbit(), engine="cpu").images.square().sum()
    (first,) = torch.autograd.grad(loss, gaussians.means, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


def test_a_kept_graph_gives_the_same_gradient_again(generator):
    gaussians, others = leaves(single(200, generator)), single(300, generator)
    loss = render(gaussians, orbit(2), engine="cpu").images.square().sum()
    first = torch.autograd.grad(loss, list(gaussians.tensors().values()), retain_graph=True)
    render(others, orbit(3), engine="cpu")  # takes the frames that the backward pass gave away
    second = torch.autograd.grad(loss, list(gaussians.tensors().values()))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_drawing_between_forward_and_backward_changes_nothing(generator):
    gaussians, others = leaves(single(200, generator)), single(300, generator)

    def gradient(*, between: bool) -> torch.Tensor:
        loss = render(gaussians, orbit(), engine="cpu").images.square().sum()
        if between:
            render(others, orbit(), engine="cpu")
        return torch.autograd.grad(loss, gaussians.means)[0]

    assert torch.equal(gradient(between=False), gradient(between=True))


def test_a_scene_changed_in_place_after_drawing_does_not_change_its_gradient(generator):
    gaussians = leaves(single(50, generator))
    expected = torch.autograd.grad(render(gaussians, orbit(), engine="cpu").images.sum(), gaussians.means)[0]
    loss = render(gaussians, orbit(), engine="cpu").images.sum()
    with torch.no_grad():
        gaussians.means.add_(1)
    assert torch.equal(torch.autograd.grad(loss, gaussians.means)[0], expected)


def test_python_threads_may_draw_at_the_same_time(generator):
    scenes = [single(g, generator) for g in (100, 200, 300, 400)] * 5
    expected = [render(gaussians, orbit(), engine="cpu").images for gaussians in scenes]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda gaussians: render(gaussians, orbit(), engine="cpu").images, scenes))
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_the_engine_has_torch_s_threads_also_where_kernels_are_alone():
    threads = torch.get_num_threads()
    assert library.engine().threads == threads
    with kernels_alone():
        assert library.engine() is library._engine(threads)
    assert f"threads: {threads}" in library.description()


def test_statistics_count_what_was_drawn():
    frame, gaussians, view = (
        library.Frame(),
        layers([1.0, 2.0], [0.5, 0.5], scale=50.0),
        orbit(width=40, height=20),
    )
    groups, image = layout.pack(gaussians, 1), torch.empty(20, 40, 3)
    library.engine().forward(
        frame,
        library.Scene(library.pointer(groups), 2, groups.shape[1], 1),
        library.camera_struct(view, 0, 0.01, 1e10),
        library.Style((0.0, 0.0, 0.0), 0),
        library.Pictures(library.pointer(image)),
    )
    found = frame.statistics()
    assert (found.seen, found.intersections, found.bands) == (2, 2 * 3 * 2, 1)


FORK = """
import os, sys, torch
from recon.cameras import Cameras, intrinsics
from recon.gaussians import from_points
from recon.splats.render import render
from recon.splats.trainer import Moment

torch.set_num_threads(2)
generator = torch.Generator().manual_seed(0)
gaussians = from_points(torch.randn(200, 3, generator=generator) + torch.tensor([0, 0, 4.0]), torch.rand(200, 3))
view = Cameras(torch.eye(4)[None], intrinsics(focal_px=50.0, width=64, height=64), 64, 64)
before = render(gaussians, view, engine="cpu").images
child = os.fork()
after = render(gaussians, view, engine="cpu").images
same = torch.equal(before, after)
if child == 0:
    sys.exit(0 if same else 1)  # through everything that happens at exit
print(same, os.waitpid(child, 0)[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_draws_and_ends():
    done = subprocess.run(
        [sys.executable, "-c", FORK], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.split() == ["True", "0"], done.stderr


HELD = """
import os, torch
from recon.errors import BridgeError
from recon.splats.native import library

torch.set_num_threads(2)
held, image = library.engine(), torch.rand(100, 100, 3)
before = held.loss(image, image, None, 0.2, None)
child = os.fork()
try:
    same = held.loss(image, image, None, 0.2, None) == before
except BridgeError as error:
    same = "forked" in str(error)
if child == 0:
    same = same and library.engine().loss(image, image, None, 0.2, None) == before
    os._exit(0 if same else 1)
print(same, os.waitpid(child, 0)[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_an_engine_held_across_a_fork_says_so_in_the_child():
    done = subprocess.run(
        [sys.executable, "-c", HELD], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split() == ["True", "0"], done.stderr


LAYERS = 40_000


def slow_view(rows: int) -> tuple[Gaussians, Cameras]:
    """Thousands of faint layers over a picture of less than 4 megapixels: few of each, but they all overlap."""
    depths = torch.linspace(2, 5, LAYERS).tolist()
    gaussians = layers(depths, [0.005] * LAYERS, scale=math.exp(2.0)).to(dtype=torch.float32)
    return gaussians, orbit(width=1900, height=rows)


def draw(rows: int) -> None:
    gaussians, view = slow_view(rows)
    render(gaussians, view, engine="cpu")


def train(rows: int) -> None:
    gaussians, view = slow_view(rows)
    trainer = NativeTrainer(
        gaussians, LearningRates(), 1.0, background=(0.0, 0.0, 0.0), lambda_dssim=0.2, exposure=None
    )
    shot = View(torch.zeros(rows, 1900, 3), None, view)
    trainer.step(0, shot, Moment(1, 0.0, 0.1), 0, (0.0, 0.0))


def seconds(work: Callable[[int], None], rows: int) -> float:
    started = time.perf_counter()
    work(rows)
    return time.perf_counter() - started


@pytest.mark.parametrize("work", [draw, train])
def test_ctrl_c_ends_what_is_slow_within_a_second_and_the_next_call_is_whole(generator, work):
    small = single(50, generator)
    expected = render(small, orbit(), engine="cpu").images
    whole = (seconds(work, 128) - seconds(work, 16)) / 112 * 2000
    pressed: list[float] = []

    def press() -> None:
        pressed.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(1.0, press)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            work(2000)
        took = time.perf_counter() - pressed[0]
    finally:
        timer.cancel()
    assert whole > 3  # so that it did not end by itself
    assert took < 1.5
    assert torch.equal(render(small, orbit(), engine="cpu").images, expected)


@pytest.fixture
def in_the_engine() -> Callable[[FrameType | None], bool]:
    """Whether a call is being waited for."""

    def inside(frame: FrameType | None) -> bool:
        while frame is not None:
            if frame.f_code.co_filename == library.__file__ and frame.f_code.co_name == "_stoppable":
                return True
            frame = frame.f_back
        return False

    return inside


def test_an_interruption_at_any_instruction_waits_for_the_call(in_the_engine):
    engine, running = library.engine(), threading.Event()
    steps = left = 0

    def call(handle: int) -> int:
        running.set()
        time.sleep(0.01)
        running.clear()
        return 0

    def interrupt(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal left
        frame.f_trace_opcodes = in_the_engine(frame)
        if event == "opcode":
            left -= 1
            if left == 0:
                sys.settrace(None)
                raise KeyboardInterrupt
        return interrupt

    engine._call(call)
    while left <= 0:  # until the call is through before its turn
        steps += 1
        left = steps
        before = sys.gettrace()
        sys.settrace(interrupt)
        try:
            engine._call(call)
        except KeyboardInterrupt:
            left = 0
        finally:
            sys.settrace(before)
        time.sleep(0.002)  # for a call that nobody waited for to begin
        assert not running.is_set(), steps
    assert steps > 20


def test_however_often_ctrl_c_is_pressed_the_call_is_waited_for(in_the_engine):
    over, presses = threading.Event(), 0

    def press() -> None:
        for _ in range(100):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.001)

    presser = threading.Thread(target=press)

    def call(handle: int) -> int:
        presser.start()
        presser.join()
        time.sleep(0.05)
        over.set()
        return 0

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal presses
        if in_the_engine(frame):
            presses += 1
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            library.engine()._call(call)
        assert over.is_set()
        presser.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert presses > 5


def test_what_ctypes_refuses_is_raised_where_the_call_is_made():
    with pytest.raises(ctypes.ArgumentError):
        library.engine()._call(library.load().splats_explore, "no address", 1, 14, 0.1, 0)
