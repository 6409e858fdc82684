"""Options of a world model reach it from the command line, and what is wrong with them is one sentence."""

import sys
from dataclasses import fields
from pathlib import Path

import pytest

from bridge4d.augmenting.loop import augment
from bridge4d.augmenting.options import AugmentOptions
from bridge4d.cli import main, parse
from bridge4d.command_line.exit_status import BAD_INPUT
from bridge4d.command_line.model_arguments import describe_options, split_model_arguments
from recon.errors import BridgeError
from worldgen.models.bridge.model import BridgeOptions
from worldgen.models.warp import Warp


def test_values_are_those_of_the_models_config() -> None:
    given = (
        "photos --model.detail-steps 8 --out runs/a --model.no-extend --model.weights=w.safetensors --json"
    )
    rest, options = split_model_arguments(given.split(), "bridge")
    assert rest == ["photos", "--out", "runs/a", "--json"]
    assert options == {"weights": Path("w.safetensors"), "detail_steps": 8, "extend": False}


def test_a_switch_swallows_no_path() -> None:
    assert split_model_arguments(["--model.no-detail", "photos"], "bridge") == (["photos"], {"detail": False})


@pytest.mark.parametrize("command", ["augment", "generate"])
def test_the_command_hands_them_to_the_model(command: str) -> None:
    parsed = parse(command, ["photos", "--out", "run", "--model", "warp", "--model.photos", "3"])
    options = getattr(parsed, "loop", None) or parsed.generating  # type: ignore[union-attr]
    assert options.model_options == {"photos": 3}
    assert options.model_key == {"model": "warp", "model_options": {"photos": "3"}}
    model = options.load_model()
    assert isinstance(model, Warp)
    assert (model.options.photos, model.options.sources) == (3, 3)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("--model.detail-step 3", "the world model bridge has no option --model.detail-step; did you mean --model.detail-steps?"),
        ("--model warp --model.photos three", "expected a whole number after --model.photos, got 'three'"),
        ("--model warp --model.photos", "expected a value after --model.photos, got none"),
        ("--model synthetic --model.photos 3", "the world model 'synthetic' has no options, got --model.photos"),
        ("--model wrap --model.photos 3", "did you mean warp?"),
        ("--model.precision half", "expected the precision auto, float32 or bfloat16, got 'half'"),
        ("--model.detail=False", "--model.detail takes no value; expected --model.detail or its opposite alone"),
        ("--model-options {}", "bridge4d augment has no option --model-options"),
        ("--model.zzz 1", "bridge4d models bridge lists them"),
    ],
)  # fmt: skip
def test_bad_ones_are_refused_in_one_sentence(
    given: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bridge4d", "augment", "photos", "--out", "run", *given.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == BAD_INPUT
    assert said in capsys.readouterr().err


def test_every_option_of_a_model_is_listed_with_its_meaning() -> None:
    listed = describe_options("bridge")
    assert [row["option"].split(",")[0] for row in listed] == [
        f"--model.{field.name.replace('_', '-')}" for field in fields(BridgeOptions)
    ]
    assert all(row["meaning"] for row in listed)
    assert {row["option"]: row["default"] for row in listed}["--model.detail-steps"] == "4"
    assert describe_options("splat") == []
    with pytest.raises(BridgeError, match="did you mean bridge"):
        describe_options("brige")


def test_help_beside_them_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse("augment", ["--model.detail-steps", "8", "--help"])
    assert ended.value.code == 0
    assert "bridge4d augment photos/" in capsys.readouterr().out


def test_what_cannot_work_is_refused_before_the_long_work(room_photos: Path, tmp_path: Path) -> None:
    options = AugmentOptions(model_options={"weights": str(tmp_path / "none.safetensors")})
    with pytest.raises(BridgeError, match="expected a file for an option of the world model 'bridge'"):
        augment(room_photos, tmp_path / "run", options)
    assert not (tmp_path / "run").exists()


def test_weights_named_by_a_string_are_files_of_the_run(tmp_path: Path) -> None:
    weights = tmp_path / "own.safetensors"
    weights.write_bytes(b"")
    assert AugmentOptions(model_options={"weights": str(weights)}).model_files == (weights,)
    assert AugmentOptions(model_options={"detail": False}).model_files == ()
    assert hash(AugmentOptions()) == hash(AugmentOptions())
