"""The training of the built-in model: it goes on where it stopped, and begins with nothing that cannot end."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from bridge_shots import TINY, TINY_TEXTURE, ask, nine_pictures, three_frames

from recon.clip import Clip
from recon.errors import BridgeError
from worldgen.models.bridge.model import Bridge, BridgeOptions
from worldgen.models.bridge.net import BridgeNet
from worldgen.models.bridge.texture import TextureOptions
from worldgen.models.bridge.train import _check_same_options, check_options, train
from worldgen.models.bridge.training.batches import LARGE, Batch, TrainOptions
from worldgen.models.bridge.training.samples import Sample, save_sample
from worldgen.models.bridge.training.trainers import NetTrainer, TextureTrainer
from worldgen.models.bridge.weights import load_weights


@pytest.fixture(scope="module")
def room() -> Clip:
    return nine_pictures()


@pytest.fixture(scope="module")
def sample() -> Sample:
    return three_frames()


OPTIONS = TrainOptions(shots=4, width=64, height=48, targets=3, steps=4, detail_steps=3, batch=2, crop=48, workers=1,
                       net=TINY, texture=TINY_TEXTURE)  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory, sample) -> list[Path]:
    folder = tmp_path_factory.mktemp("samples")
    paths = [folder / f"{i}.safetensors" for i in range(2)]
    for path in paths:
        save_sample(sample, path)
    return paths


SMALL = replace(OPTIONS, width=168, height=120)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (replace(OPTIONS, shots=3), "at least 4 shots.*got 3"),
        (replace(OPTIONS, batch=0), "batch of 1 or more, got 0"),
        (replace(OPTIONS, workers=0), "workers of 1 or more, got 0"),
        (replace(OPTIONS, device="auto"), "device cpu, or cuda where there is one, got 'auto'"),
        (replace(OPTIONS, device="meta"), "device cpu, or cuda where there is one, got 'meta'"),
        (replace(OPTIONS, crop=64), "no larger than the pictures"),
        (replace(OPTIONS, crop=40), "multiple of 16 pixels, got 40; take 32"),
        (replace(OPTIONS, crop=0), "multiple of 16 pixels"),
        (replace(OPTIONS, clip=4), "clips of 1 to 3 frames"),
        (replace(OPTIONS, texture=TextureOptions(features=24)), "16 features of the network, got one for 24"),
    ],
)
def test_what_cannot_be_trained_is_said_before_anything_is_made(options: TrainOptions, said: str, tmp_path):
    with pytest.raises(BridgeError, match=said):
        train(replace(options, out=tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def have_gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


def test_both_configurations_can_be_trained(monkeypatch):
    have_gpus(monkeypatch, 1)
    check_options(TrainOptions())
    check_options(LARGE)


@pytest.mark.parametrize(("device", "count"), [("cuda", 0), ("cuda:0", 0), ("cuda:1", 1)])
def test_a_gpu_that_is_not_there_is_said_before_anything_is_made(monkeypatch, tmp_path, device, count):
    have_gpus(monkeypatch, count)
    with pytest.raises(BridgeError, match=f"cuda where there is one, got '{device}'"):
        train(replace(LARGE, out=tmp_path / "run", device=device))
    assert not (tmp_path / "run").exists()


def test_a_training_leaves_the_random_numbers_of_its_caller_alone(files, tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = NetTrainer(tmp_path, SMALL, files)
    TextureTrainer(tmp_path, SMALL, files, first.average)
    assert torch.equal(torch.rand(3), expected)
    again = NetTrainer(tmp_path, SMALL, files)
    for a, b in zip(first.net.parameters(), again.average.parameters(), strict=True):
        assert torch.equal(a, b), "the seed alone decides"
        assert a is not b


def test_training_resumes_to_the_same_weights(files, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = NetTrainer(tmp_path / "a", SMALL, files)
    whole.run()
    half = NetTrainer(tmp_path / "b", SMALL, files)
    half.take_step(0)
    half.take_step(1)
    half.step = 2
    half.save()
    rest = NetTrainer(tmp_path / "b", SMALL, files)
    assert rest.step == 2
    rest.run()
    for a, b in zip(whole.average.parameters(), rest.average.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_the_network_learns(files, tmp_path):
    options = replace(SMALL, steps=40, rate=3e-3)
    trainer = NetTrainer(tmp_path, options, files)
    losses = [trainer.take_step(k) for k in range(40)]
    assert sum(losses[-8:]) < 0.9 * sum(losses[:8])


def test_the_detail_head_learns(files, tmp_path):
    options = replace(SMALL, detail_steps=16, rate=3e-3)
    net = BridgeNet(TINY)
    trainer = TextureTrainer(tmp_path, options, files, net)
    before = sum(trainer.backward(k) for k in range(4))
    for k in range(16):
        trainer.take_step(k)
    assert sum(trainer.backward(k) for k in range(4)) < before, "the same crops and the same noise"


def test_a_step_draws_the_same_batch_again(files):
    first, again = (Batch.draw(files, SMALL, 7) for _ in range(2))
    assert torch.equal(first.truth[0], again.truth[0])
    assert not torch.equal(first.truth[0], Batch.draw(files, SMALL, 8).truth[0])


@pytest.mark.slow
def test_the_whole_training_from_scenes_to_weights(tmp_path, room):
    options = replace(OPTIONS, out=tmp_path, width=96, height=64)
    path = train(options)
    story = load_weights(path).story
    assert story["held_out"]["warp_psnr_all"] > 5
    assert story["shots"] == {
        "learning": "000000 to 000000", "fitting": "000001 to 000001",
        "choosing": "000002 to 000002", "judging": "000003 to 000003",
    }  # fmt: skip
    assert train(options) == path
    with pytest.raises(BridgeError, match="expected the options"):
        train(replace(options, seed=1))
    ask(room, Bridge(options=BridgeOptions(weights=path)))


def test_a_folder_begun_otherwise_says_what_differs(tmp_path):
    _check_same_options(tmp_path, OPTIONS)
    _check_same_options(tmp_path, replace(OPTIONS, workers=OPTIONS.workers + 1))
    with pytest.raises(BridgeError, match=rf"steps {OPTIONS.steps}\), got steps {OPTIONS.steps + 1};"):
        _check_same_options(tmp_path, replace(OPTIONS, steps=OPTIONS.steps + 1))
