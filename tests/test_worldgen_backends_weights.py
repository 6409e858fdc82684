"""Weights of back ends: where they are read from, that they run nothing, are loaded once, and decide what is made anew."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch
from known_views import ask

from bridge4d.stages.options import ModelChoice
from recon.compute.progress import Silent, use_reporter
from recon.errors import BridgeError, MissingDependencyError
from worldgen import registry
from worldgen.backends import pipelines
from worldgen.backends.cosmos3 import Cosmos3
from worldgen.backends.sana_wm import Config, SanaWM


class Notes(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


class Pipeline:
    """Stands for a loaded one."""

    def __init__(self) -> None:
        self.done: list[tuple[str, Any]] = []

    def set_progress_bar_config(self, **given: Any) -> None:
        pass

    def to(self, device: str) -> "Pipeline":
        self.done.append(("to", device))
        return self

    def enable_model_cpu_offload(self, device: str) -> None:
        self.done.append(("model", device))

    def enable_sequential_cpu_offload(self, device: str) -> None:
        self.done.append(("sequential", device))


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What from_pretrained of diffusers was asked for."""
    import diffusers

    asked: list[tuple[str, dict[str, Any]]] = []
    for kind in (SanaWM.kind, Cosmos3.kind):
        monkeypatch.setattr(
            getattr(diffusers, kind), "from_pretrained",
            staticmethod(lambda name, **given: asked.append((name, given)) or Pipeline()),
        )  # fmt: skip
    monkeypatch.setattr(pipelines, "_loaded", {})
    return asked


def test_they_are_loaded_once_and_the_last_alone_is_kept(loads: list[tuple[str, dict[str, Any]]]) -> None:
    first = SanaWM(Config(weights="some/model")).load()
    assert SanaWM(Config(weights="some/model", steps=3)).load() is first
    assert len(loads) == 1
    assert SanaWM(Config(weights="other/model")).load() is not first
    assert len(pipelines._loaded) == 1
    assert [name for name, _ in loads] == ["some/model", "other/model"]


def test_they_run_no_code(loads: list[tuple[str, dict[str, Any]]]) -> None:
    SanaWM().load()
    Cosmos3().load()
    for _, given in loads:
        assert given["use_safetensors"] is True
        assert given["trust_remote_code"] is False
    assert loads[1][1]["enable_safety_checker"] is False
    assert loads[1][1]["safety_checker"] is None


@pytest.mark.parametrize(
    ("options", "done", "dtype"),
    [
        ({}, ("to", "cpu"), torch.float32),
        ({"device": "cuda"}, ("model", "cuda"), torch.bfloat16),
        ({"device": "cuda:1", "offload": "sequential"}, ("sequential", "cuda:1"), torch.bfloat16),
        ({"device": "cuda", "offload": "none", "dtype": "float16"}, ("to", "cuda"), torch.float16),
    ],
)
def test_they_go_where_they_are_wanted(
    options: dict[str, Any], done: tuple[str, str], dtype: torch.dtype, loads: list[tuple[str, dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    pipe = SanaWM(replace(Config(), **options)).load()
    assert pipe.done == [done]
    assert loads[0][1]["dtype"]["default"] == dtype


def test_what_cannot_be_had_is_told_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import diffusers

    def offline(name: str, **given: Any) -> None:
        raise OSError("no such host\nnor anything cached")

    monkeypatch.setattr(diffusers.SanaWMPipeline, "from_pretrained", staticmethod(offline))
    monkeypatch.setattr(pipelines, "_loaded", {})
    said = r"the weights some/model of sana-wm cannot be loaded: OSError: no such host nor anything cached; name a folder"
    with pytest.raises(BridgeError, match=said):
        SanaWM(Config(weights="some/model")).load()


def test_too_little_memory_is_told_with_what_takes_less(generator: torch.Generator) -> None:
    def full(**given: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    notes = Notes()
    with use_reporter(notes), pytest.raises(torch.OutOfMemoryError):
        SanaWM(pipeline=full).generate(ask(1), generator=generator)
    assert any("--model.offload sequential" in one for one in notes.said)


def test_frames_are_made_anew_where_the_weights_change(tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "model_index.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"one")
    choice = ModelChoice(model="sana-wm", model_options={"weights": str(folder)})
    before = choice.model_key
    assert choice.model_key == before
    assert set(before["packages"]) == {"diffusers", "transformers"}
    (folder / "model.safetensors").write_bytes(b"three")
    assert choice.model_key != before
    assert "weights" not in ModelChoice(model="sana-wm", model_options={"weights": "some/model"}).model_key
    assert ModelChoice(model="bridge").model_key == {"model": "bridge"}, "runs of before keep theirs"


def test_a_missing_extra_is_named_before_the_long_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_missing_packages", lambda entry: ["diffusers"] if entry.extra else [])
    assert registry.describe("sana-wm")["missing"] == "pip install 'bridge4d[world]'"
    for ask_for in (registry.check_model, registry.load_model, registry.model_key):
        with pytest.raises(MissingDependencyError, match=r"pip install 'bridge4d\[world\]'"):
            ask_for("sana-wm")


@pytest.mark.slow
def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    """A pickle runs what it says when it is read."""
    from safetensors.torch import load_file

    folder = tiny_models.saved(tiny_models.wan_vace(), tmp_path / "weights")
    for part, name in (("text_encoder", "model"), ("transformer", "diffusion_pytorch_model")):
        kept = folder / part / f"{name}.safetensors"
        pickled = kept.with_name("pytorch_model.bin" if name == "model" else f"{name}.bin")
        torch.save(load_file(kept), pickled)
        moved = kept.rename(tmp_path / f"{part}.safetensors")
        model = registry.load_model("wan-vace", {"weights": str(folder), "area": 64 * 64, "steps": 1})
        with pytest.raises(BridgeError, match="cannot be loaded"):
            model.generate(ask(1), generator=torch.Generator())
        moved.rename(kept)


def test_weights_that_are_not_here_are_told_before_long_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transformers.utils.cached_file", lambda *_, **given: None)
    said = registry.warn_early("sana-wm")
    assert said.startswith(
        "sana-wm: the weights Efficient-Large-Model/SANA-WM_bidirectional-diffusers are not"
    )
    assert "hf download Efficient-Large-Model/SANA-WM_bidirectional-diffusers" in said
    monkeypatch.setattr("transformers.utils.cached_file", lambda *_, **given: "/somewhere/model_index.json")
    assert "hf download" not in registry.warn_early("sana-wm")
    assert registry.warn_early("warp") == ""
