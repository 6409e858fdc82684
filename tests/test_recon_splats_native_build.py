"""The engine is compiled with whatever there is, and what is wrong is said in one sentence."""

import ctypes
import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from splat_scenes import leaves, orbit, relative, scene

from recon.splats.loss import photometric_loss
from recon.splats.native import build, library, loading, rasterize
from recon.splats.native.loading import EngineUnavailable
from recon.splats.native.trainer import NativeTrainer
from recon.splats.parameters import LearningRates
from recon.splats.pyramid import View
from recon.splats.render import render
from recon.splats.trainer import Exposure, Moment

TINY = ("info.cpp", "splats.h")
"""Sources that compile in a second."""


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    folder = tmp_path / "src"
    folder.mkdir()
    for name in TINY:
        shutil.copy(build.SOURCES / name, folder)
    return folder


@pytest.fixture
def compiler() -> build.Compiler:
    found = build.find_compiler()
    if found is None or "ziglang" in found.command:
        pytest.skip("needs a C++ compiler on the machine")
    return found


def forget() -> None:
    """What was loaded, and all that lives in it."""
    loading.load.cache_clear()
    library._engine.cache_clear()
    rasterize._spare_frames.clear()


@pytest.fixture
def fresh_load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Loads anew, with the libraries of another folder or for another instruction set."""

    def load(*, folder: Path | None = None, instruction_set: str = "") -> None:
        monkeypatch.setenv(loading.FOLDER, str(folder or ""))
        monkeypatch.setenv(loading.INSTRUCTION_SET, instruction_set)
        forget()

    yield load
    forget()


@pytest.fixture
def compiled() -> Path:
    """The folder of the engine that the other tests use."""
    reason = loading.unavailable()
    if reason:
        pytest.skip(reason)
    return build.LIBRARIES


def stamp(path: Path) -> list[str]:
    opened = ctypes.CDLL(str(path))
    opened.splats_build.restype = ctypes.c_char_p
    return opened.splats_build().decode().split("; ")


def test_every_instruction_set_gets_a_library_that_knows_its_sources(tmp_path, sources, compiler):
    report = build.build(tmp_path / "lib", sources=sources)
    assert report.built == tuple(build.instruction_sets())
    assert compiler.description in report.sentence
    for name in report.built:
        found, _, version = stamp(build.library_path(name, tmp_path / "lib"))
        assert (found, version) == (name, build.source_hash(sources))
    left = {path.name for path in (tmp_path / "lib").iterdir()}
    assert left == {build.REPORT} | {build.library_path(name).name for name in report.built}
    assert (tmp_path / "lib" / build.REPORT).read_text().strip() == report.sentence


def test_the_hash_follows_every_source(sources):
    before = build.source_hash(sources)
    header = sources / "splats.h"
    header.write_text(header.read_text() + "\n")
    assert build.source_hash(sources) != before


@pytest.mark.skipif(len(build.instruction_sets()) == 1, reason="this machine has one instruction set")
def test_what_fails_for_one_instruction_set_fails_for_that_alone(tmp_path, sources, compiler):
    (sources / "picky.cpp").write_text("#ifdef __AVX512F__\n#error not here\n#endif\n")
    old = build.library_path("x86-64-v4", tmp_path)
    old.write_text("an old library")
    report = build.build(tmp_path, sources=sources)
    assert report.built == ("generic", "x86-64-v3")
    assert "x86-64-v4 failed" in report.sentence
    assert "not here" in report.sentence
    assert not old.exists()


def test_an_error_in_the_sources_is_quoted_by_the_loader(tmp_path, sources, compiler, fresh_load):
    (sources / "broken.cpp").write_text("int f() { return nonsense; }\n")
    report = build.build(tmp_path, sources=sources)
    assert report.built == ()
    assert "nonsense" in report.sentence
    assert "\n" not in report.sentence
    fresh_load(folder=tmp_path)
    assert loading.unavailable() == report.sentence


def test_without_a_compiler_a_sentence_says_what_to_install(tmp_path, monkeypatch, fresh_load):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    (tmp_path / "lib").mkdir()
    for name in ("generic", "x86-64-v4", "of-another-machine"):
        build.library_path(name, tmp_path / "lib").write_text("an old library")
    report = build.build(tmp_path / "lib")
    assert report.built == ()
    assert not build.libraries(tmp_path / "lib")
    assert "apt install g++" in report.sentence
    assert build.REBUILD in report.sentence
    fresh_load(folder=tmp_path / "lib")
    with pytest.raises(EngineUnavailable) as caught:
        render(scene(1, torch.Generator()), orbit(), engine="cpu")
    assert str(caught.value) == report.sentence


@pytest.fixture
def half_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A c++ that stops at every source but the probe."""
    fake = tmp_path / "bin" / "c++"
    fake.parent.mkdir()
    fake.write_text(
        '#!/bin/sh\ncase "$*" in *probe.cpp*|--version) exit 0;; esac\necho "error: broken" >&2; exit 1\n'
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    monkeypatch.delenv("CXX", raising=False)
    return fake


def test_ziglang_is_tried_where_the_system_s_compiler_makes_nothing(
    tmp_path, sources, compiler, half_a_compiler, monkeypatch
):
    monkeypatch.setattr(build, "_zig", lambda: compiler)
    report = build.build(tmp_path / "lib", sources=sources)
    assert report.built == tuple(build.instruction_sets())
    assert compiler.description in report.sentence
    monkeypatch.setenv("CXX", str(half_a_compiler))
    assert build.build(tmp_path / "lib", sources=sources).built == ()


def test_where_both_fail_the_system_s_compiler_is_quoted(tmp_path, sources, half_a_compiler, monkeypatch):
    zig = build.Compiler(("/nowhere/zig",), "zig")
    monkeypatch.setattr(build, "_zig", lambda: zig)
    report = build.build(tmp_path / "lib", sources=sources)
    assert report.built == ()
    assert "stopped at error: broken" in report.sentence


class Shown:
    """What an installer shows, which is little."""

    def display_info(self, sentence: str) -> None: ...

    display_warning = display_info


@pytest.mark.parametrize("kept", [False, True])
def test_a_wheel_is_tagged_by_the_libraries_that_it_packs(tmp_path, monkeypatch, kept):
    """Old ones stay where they cannot be removed."""
    interface = pytest.importorskip("hatchling.builders.hooks.plugin.interface")
    hook = import_by_path(build.SOURCES.parents[3] / "hatch_build.py")
    assert issubclass(hook.SplatsBuildHook, interface.BuildHookInterface)
    native = tmp_path / hook.BUILD.parent
    (native / "lib").mkdir(parents=True)
    shutil.copy(build.__file__, native)
    build.library_path("generic", native / "lib").write_text("an old library")
    monkeypatch.setenv("CXX", "/nowhere/g++")
    if kept:
        monkeypatch.setattr(Path, "unlink", refuse)
    made: dict[str, Any] = {}
    hook.SplatsBuildHook(str(tmp_path), {}, None, None, "", "wheel", Shown()).initialize("standard", made)
    assert (native / "lib" / build.REPORT).read_text().startswith(build._not_compiled("CXX="))
    assert build.library_path("generic", native / "lib").exists() == kept
    assert ("tag" in made) == kept


def import_by_path(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def refuse(path: Path, missing_ok: bool = False) -> None:
    raise PermissionError(13, "Permission denied", str(path))


def test_a_compiler_asked_for_that_does_not_work_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "/nowhere/g++ --flag")
    report = build.build(tmp_path)
    assert report.built == ()
    assert "CXX=/nowhere/g++ --flag" in report.sentence


def test_a_folder_that_cannot_be_written_ends_in_a_sentence(tmp_path, sources, compiler):
    (tmp_path / "lib").write_text("a file where the folder should be")
    report = build.build(tmp_path / "lib", sources=sources)
    assert report.built == ()
    assert str(tmp_path / "lib") in report.sentence


def test_other_machines_get_one_library():
    assert list(build.instruction_sets("aarch64")) == ["generic"]
    assert list(build.instruction_sets("AMD64")) == ["generic", "x86-64-v3", "x86-64-v4"]


def test_a_library_of_other_sources_is_refused(compiled, monkeypatch, fresh_load):
    monkeypatch.setattr(build, "source_hash", lambda: "0123456789abcdef")
    fresh_load()
    with pytest.raises(EngineUnavailable, match=f"other sources than these; run {build.REBUILD}"):
        loading.load()


def test_a_library_that_is_none_is_refused(tmp_path, fresh_load):
    build.library_path("generic", tmp_path).write_text("nothing")
    fresh_load(folder=tmp_path)
    assert "cannot be loaded" in (loading.unavailable() or "")


def test_an_instruction_set_that_the_machine_lacks_is_refused(compiled, fresh_load):
    fresh_load(instruction_set="x86-64-v9")
    with pytest.raises(EngineUnavailable, match=r"x86-64-v9.*it runs generic"):
        loading.load()


def test_auto_falls_back_to_the_reference_and_says_so_once(tmp_path, fresh_load, generator, caplog):
    fresh_load(folder=tmp_path)
    gaussians = scene(3, generator)
    for _ in range(2):
        drawn = render(gaussians, orbit())
    assert torch.equal(drawn.images, render(gaussians, orbit(), engine="reference").images)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert str(tmp_path) in caplog.text


def draw_and_derive() -> dict[str, torch.Tensor]:
    """All that the engine computes, by name."""
    found = {}
    for antialiased in (False, True):
        drawn = drawn_and_derived(antialiased)
        found |= {f"{name}, antialiased: {antialiased}": value for name, value in drawn.items()}
    return found | compared() | learnt()


def drawn_and_derived(antialiased: bool) -> dict[str, torch.Tensor]:
    gaussians = leaves(scene(300, torch.Generator().manual_seed(0)).to(dtype=torch.float32))
    view = orbit(2)
    view.cam_from_world.requires_grad_()
    drawn = render(gaussians, view, engine="cpu", antialiased=antialiased, median_depth=True)
    assert drawn.depth_median is not None
    (drawn.images.square().sum() + drawn.depth.sum() + 0.1 * drawn.depth_median.square().sum()).backward()
    by = gaussians.tensors() | {"pose": view.cam_from_world}
    gradients = {f"by {name}": value.grad for name, value in by.items() if value.grad is not None}
    assert len(gradients) == len(by)
    pictures = {"images": drawn.images, "depth": drawn.depth, "median depth": drawn.depth_median}
    return gradients | {name: value.detach() for name, value in pictures.items()}


def compared() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    image, target = torch.rand(2, 37, 53, 3, generator=generator)
    weight = (torch.rand(37, 53, generator=generator) - 0.3).clamp_min(0)
    image.requires_grad_()
    loss = photometric_loss(image, target, weight)
    loss.backward()
    assert image.grad is not None
    return {"loss": loss.detach(), "by image": image.grad}


def learnt() -> dict[str, torch.Tensor]:
    """A few steps of training and one of the random walk, as changes."""
    start = scene(300, torch.Generator().manual_seed(0)).to(dtype=torch.float32)
    generator, view, exposure = torch.Generator().manual_seed(2), orbit(), Exposure(1, 1e-3)
    trainer = NativeTrainer(
        start,
        LearningRates(),
        1.0,
        background=(0.1, 0.2, 0.3),
        lambda_dssim=0.2,
        exposure=exposure,
        antialiased=True,
    )
    shot = View(torch.rand(37, 53, 3, generator=generator), torch.rand(37, 53, generator=generator), view)
    losses = [
        trainer.step(0, shot, Moment(i + 1, i / 5, (i + 1) / 5), min(i, 3), (1e-4, 1e-4)) for i in range(5)
    ]
    trained, sums = trainer.parameters.gaussians().detach(), trainer.take_sums()
    trainer.explore(1.0, generator)
    walked = trainer.parameters.gaussians().means - trained.means
    changes = {f"learnt {k}": v - start.tensors()[k] for k, v in trained.tensors().items()}
    return changes | {
        "losses": torch.tensor(losses),
        "exposure": exposure.matrices.detach() - torch.eye(3, 4),
        "sums": sums.gradient,
        "visits": sums.visits,
        "walk": walked,
    }


@pytest.mark.parametrize("instruction_set", list(build.instruction_sets())[1:])
def test_instruction_sets_draw_and_derive_alike(compiled, fresh_load, instruction_set):
    level = loading.load().splats_cpu_level().decode()
    if list(build.instruction_sets()).index(level) < list(build.instruction_sets()).index(instruction_set):
        pytest.skip(f"this machine runs up to {level}")
    if not build.library_path(instruction_set).exists():
        pytest.skip(f"was not compiled for {instruction_set}")
    fresh_load(instruction_set="generic")
    assert library.description().startswith("generic")
    expected = draw_and_derive()
    fresh_load(instruction_set=instruction_set)
    assert library.description().startswith(instruction_set)
    assert_alike(draw_and_derive(), expected)


def assert_alike(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert relative(found[name], value) < 1e-3, name


@pytest.mark.slow
def test_the_compiler_from_pypi_makes_the_same_engine(tmp_path, compiled, fresh_load):
    zig = build._zig()
    if zig is None:
        pytest.skip("needs the PyPI package ziglang")
    expected = draw_and_derive()
    report = build.build(tmp_path, compiler=zig)
    assert report.built == tuple(build.instruction_sets())
    assert "zig" in report.sentence
    level = loading.load().splats_cpu_level()
    fresh_load(folder=tmp_path)
    assert loading.load().splats_cpu_level() == level
    assert_alike(draw_and_derive(), expected)


@pytest.mark.slow
def test_the_sanitized_engine_is_made_apart(tmp_path, sources, compiler):
    report = build.build(tmp_path, sources=sources, sanitize=True)
    if not report.built:
        pytest.skip(report.sentence)
    assert b"__asan" in build.library_path("generic", tmp_path).read_bytes()
