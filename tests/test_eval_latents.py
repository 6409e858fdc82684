"""Distances in the features of encoders: of the same picture nothing, of another more, where the photos look."""

from pathlib import Path

import pytest
import torch

from eval.pictures.latents import latent_distances, load_encoder
from recon.errors import BridgeError

transformers = pytest.importorskip("transformers")

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}


def save(kind: str, folder: Path) -> str:
    torch.manual_seed(0)
    if kind == "dinov2":
        config = transformers.Dinov2Config(**SMALL, mlp_ratio=2, image_size=56, patch_size=14)
        model = transformers.Dinov2Model(config)
    elif kind == "dinov3":
        config = transformers.DINOv3ViTConfig(
            **SMALL, intermediate_size=64, image_size=64, patch_size=16, num_register_tokens=4
        )
        model = transformers.DINOv3ViTModel(config)
    else:
        config = transformers.VJEPA2Config(
            **SMALL, patch_size=16, crop_size=64, frames_per_clip=8, tubelet_size=2, in_chans=3, mlp_ratio=2.0,
            pred_hidden_size=24, pred_num_attention_heads=2, pred_num_hidden_layers=1, pred_num_mask_tokens=2,
        )  # fmt: skip
        model = transformers.VJEPA2Model(config)
    model.save_pretrained(folder)
    return str(folder)


@pytest.fixture(params=["dinov2", "dinov3", "vjepa2"])
def encoder_folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return save(request.param, tmp_path / request.param)


def pictures(n: int = 2) -> torch.Tensor:
    return torch.rand(n, 60, 90, 3, generator=torch.Generator().manual_seed(3))


def test_a_patch_is_a_place_of_the_picture(encoder_folder: str) -> None:
    encoder = load_encoder(encoder_folder)
    grey = torch.full((1, 64, 64, 3), 0.5)
    marked = grey.clone()
    marked[:, 40:, 40:] = 1.0
    away = 1 - (encoder.features(grey) * encoder.features(marked)).sum(-1)[0]
    rows, columns = away.shape
    assert divmod(int(away.argmax()), columns) >= (rows // 2, 0)
    assert int(away.argmax()) % columns >= columns // 2


def test_the_same_picture_is_at_no_distance_and_another_is(encoder_folder: str) -> None:
    encoder = load_encoder(encoder_folder)
    frames = pictures()
    everywhere = torch.ones(frames.shape[:3])
    same = latent_distances(encoder, frames, frames, everywhere)
    other = latent_distances(encoder, frames, frames.flip(0), everywhere)
    assert all(one is not None and abs(one) < 1e-5 for one in same)
    assert all(one is not None and one > 1e-3 for one in other)


def test_only_what_the_photos_show_counts(encoder_folder: str) -> None:
    encoder = load_encoder(encoder_folder)
    frames = pictures(1)
    left = torch.zeros(frames.shape[:3])
    left[..., :45] = 1
    warped = frames.clone()
    warped[..., 45:, :] = 0  # where no photo looks, whatever stands there
    (distance,) = latent_distances(encoder, frames, warped, left)
    assert distance == pytest.approx(0, abs=1e-5)
    assert latent_distances(encoder, frames, warped, torch.zeros_like(left)) == [None]


def test_an_untrained_encoder_is_another_one_and_the_same_by_its_seed(encoder_folder: str) -> None:
    def distance(seed: int | None) -> float | None:
        drawn = None if seed is None else torch.Generator().manual_seed(seed)
        frames = pictures()
        encoder = load_encoder(encoder_folder, untrained=drawn)
        return latent_distances(encoder, frames, frames.flip(0), torch.ones(frames.shape[:3]))[0]

    assert distance(1) == distance(1)
    assert len({distance(None), distance(1), distance(2)}) == 3


def test_what_is_no_encoder_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BridgeError, match="cannot be loaded as an encoder"):
        load_encoder(str(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(BridgeError, match="got bert"):
        load_encoder(str(tmp_path))
