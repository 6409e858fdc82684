"""What the built-in model says of its own errors, and the file that its weights are in."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from bridge_shots import padded, three_frames, tiny

from recon.errors import BridgeError
from worldgen.models.bridge import calibrate
from worldgen.models.bridge.calibrate import (
    Arguments,
    Shots,
    Stated,
    calibrate_networks,
    calibration_error,
    fit_calibration,
    judge_weights,
    split_shots,
)
from worldgen.models.bridge.training.samples import Sample
from worldgen.models.bridge.weights import Calibration, confidence, load_weights, remoteness, save_weights


@pytest.fixture(scope="module")
def sample() -> Sample:
    return three_frames()


def test_confidence_is_the_share_of_errors_below_a_tenth():
    generator = torch.Generator().manual_seed(0)
    errors = -0.07 * torch.log(torch.rand(200_000, generator=generator))
    assert (errors < 0.1).float().mean() == pytest.approx(float(confidence(torch.tensor(0.07))), abs=0.01)


def test_calibration_mends_a_scale_that_is_off():
    generator = torch.Generator().manual_seed(0)
    true = 0.02 + 0.2 * torch.rand(40_000, generator=generator)
    errors = -true * torch.log(torch.rand(40_000, generator=generator))
    stated = Stated((true / 3).log(), torch.zeros(40_000), errors)
    before = calibration_error(stated, Calibration())
    after = calibration_error(stated, fit_calibration(stated))
    assert before > 0.1
    assert after < 0.02


@pytest.mark.parametrize("count", [4, 5, 39, 60, 240, 6000])
def test_every_shot_has_one_purpose(count):
    paths = [Path(str(i)) for i in range(count)]
    shots = split_shots(paths)
    assert [path for part in shots for path in part] == paths
    assert all(shots)
    assert len(shots.learning) >= count - 2 * max(2, count // 20)


def pixels(stated_over_true: float) -> Stated:
    """Errors of many sizes, with a scale stated that is so many times the true one."""
    generator = torch.Generator().manual_seed(0)
    true = 0.02 + 0.2 * torch.rand(20_000, generator=generator)
    errors = -true * torch.log(torch.rand(20_000, generator=generator))
    return Stated((true * stated_over_true).log(), torch.zeros(20_000), errors)


@pytest.mark.parametrize(("choosing", "judging"), [(1.0, 1 / 3), (1.0, 1.0), (1 / 3, 1 / 3), (1 / 3, 1.0)])
def test_shots_that_judge_decide_nothing(monkeypatch, choosing, judging):
    """A calibration fitted to a scale three times too small is kept exactly where the choosing shots call for it."""
    parts = {"fitting": 1 / 3, "choosing": choosing, "judging": judging}

    def look(net, texture, paths, **sizes):
        return pixels(parts[paths[0].stem]), {"psnr": float([*parts].index(paths[0].stem))}

    monkeypatch.setattr(calibrate, "held_out_pixels", look)
    shots = Shots(*([Path(name)] for name in ("learning", *parts)))
    weights = tiny()
    assert weights.texture is not None
    calibration, how, figures = calibrate_networks(weights.net, weights.texture, shots, frames=1, size=16)
    assert (calibration == Calibration()) == how.startswith("none:") == (choosing == 1)
    assert figures == {
        "psnr": 2.0,
        "calibration_error": pytest.approx(calibration_error(pixels(judging), calibration), abs=1e-4),
    }


def test_weights_are_not_judged_on_what_they_learned_from(tmp_path):
    save_weights(replace(tiny(), story={"options": {"seed": 7}}), tmp_path / "w.safetensors")
    with pytest.raises(BridgeError, match=r"got those of seed 7.*choose another seed"):
        judge_weights(Arguments(tmp_path / "w.safetensors", seed=7, out=tmp_path))
    with pytest.raises(BridgeError, match="at least 2 shots"):
        judge_weights(Arguments(tmp_path / "w.safetensors", shots=1, out=tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


def test_remoteness_grows_away_from_what_is_seen():
    seen = torch.ones(20, 100)
    seen[:, 50:] = 0
    remote = remoteness(seen)
    assert (remote[:, :50] == 0).all()
    assert 0 < remote[10, 51] < remote[10, 80] < 1
    assert (remoteness(torch.zeros(4, 4)) == 1).all()


def test_weights_come_back_as_they_were(tmp_path, sample):
    weights = replace(tiny(), calibration=Calibration(0.1, 0.9), story={"seed": 3})
    save_weights(weights, tmp_path / "w.safetensors")
    back = load_weights(tmp_path / "w.safetensors")
    assert back.calibration == weights.calibration
    assert back.story == {"seed": 3}
    given = padded(sample)
    assert torch.allclose(back.net(given).colour, weights.net(given).colour, atol=0.01)


def test_missing_or_strange_weights_are_named(tmp_path):
    with pytest.raises(BridgeError, match="no such file"):
        load_weights(tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"x" * 40)
    with pytest.raises(BridgeError, match="expected a safetensors file"):
        load_weights(tmp_path / "bad.safetensors")
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(BridgeError, match="expected weights of format"):
        load_weights(tmp_path / "other.safetensors")


def spoilt_file(path: Path, about: object, **instead: torch.Tensor | None) -> Path:
    """Weights of the tiny networks; tensors are replaced, or left out, as `instead` says."""
    from safetensors.torch import save_file

    weights = tiny()
    state = {f"net.{name}": x for name, x in weights.net.state_dict().items()}
    kept = {name: x.contiguous() for name, x in (state | instead).items() if x is not None}
    save_file(kept, path, metadata={"about": json.dumps(about)})
    return path


def test_weights_that_do_not_fit_what_is_said_of_them_are_named(tmp_path):
    from safetensors.torch import save_file

    about = {
        "format": "bridge4d/bridge/2", "net": asdict(tiny().net.options), "texture": None,
        "calibration": asdict(Calibration()), "story": {},
    }  # fmt: skip
    path = tmp_path / "w.safetensors"
    assert load_weights(spoilt_file(path, about)).texture is None
    without = {key: value for key, value in about.items() if key != "calibration"}
    unknown = about | {"net": about["net"] | {"depth": 3}}
    for said, instead in (
        (about, {"net.head.weight": torch.zeros(2, 2)}),
        (about, {"net.head.weight": None}),
        (without, {}),
        (unknown, {}),
        (about | {"net": None}, {}),
        # each would take hours or all memory to build, and the file has 200 kB
        (about | {"net": about["net"] | {"blocks": [1, 1, 1, 2**31]}}, {}),
        (about | {"net": about["net"] | {"widths": [2**20] * 4}}, {}),
        (about | {"net": about["net"] | {"view_width": 4096}}, {}),
        (about | {"net": about["net"] | {"key_width": 10**400}}, {}),
        (about | {"texture": {"widths": [4096] * 3}}, {}),
        (about | {"calibration": {"shift": "1e999"}}, {}),
    ):
        with pytest.raises(BridgeError, match=r"w\.safetensors .* fetch or train it again"):
            load_weights(spoilt_file(path, said, **instead))
    with pytest.raises(BridgeError, match="expected weights of format"):
        load_weights(spoilt_file(path, [about]))
    save_file({"a": torch.zeros(1)}, path, metadata={"about": "[" * 100_000})
    with pytest.raises(BridgeError, match="nested too deeply"):
        load_weights(path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(BridgeError, match="found a folder"):
        load_weights(tmp_path / "folder")
