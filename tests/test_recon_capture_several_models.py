"""COLMAP workspaces with more than one model: which is read, and what is said of the others."""

from pathlib import Path

import pytest
import torch

from recon.camera_files.formats.colmap import load_model
from recon.cameras import Cameras, look_at
from recon.colmap.write import write_colmap
from recon.errors import CaptureError


def cameras(n: int) -> Cameras:
    eyes = torch.randn(n, 3, generator=torch.Generator().manual_seed(n), dtype=torch.float64) * 3
    up = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).expand(n, 3)
    K = torch.tensor([[51.0, 0, 24.0], [0, 51.0, 16.0], [0, 0, 1]], dtype=torch.float64).repeat(n, 1, 1)
    return Cameras(look_at(eyes, torch.zeros_like(eyes), up), K, 48, 32)


def write_model(place: Path, n: int, *, text: bool = False) -> None:
    write_colmap(place, cameras(n), tuple(f"{i}.png" for i in range(n)), text=text)


def test_a_damaged_model_gives_way_to_the_next_largest(tmp_path: Path) -> None:
    for name, n in (("0", 3), ("1", 6), ("2", 4)):
        write_model(tmp_path / "sparse" / name, n)
    file = tmp_path / "sparse" / "1" / "images.bin"
    file.write_bytes(file.read_bytes()[:100])
    model = load_model(tmp_path)
    assert model.place.name == "2"
    assert len(model.images) == 4
    assert model.notes[0].startswith("the model 1 is passed over: the COLMAP model in")
    assert (
        model.notes[1]
        == "the largest of 3 models, as far as they can be read, is read, 2 with 4 images; the others: 0 (3)"
    )
    for name in ("0", "2"):
        (tmp_path / "sparse" / name / "images.bin").write_bytes(b"")
    with pytest.raises(CaptureError, match="COLMAP model"):
        load_model(tmp_path)


def test_of_a_binary_and_a_text_model_the_binary_one_is_read_and_named(tmp_path: Path) -> None:
    write_model(tmp_path, 5, text=True)
    write_model(tmp_path, 3)
    model = load_model(tmp_path)
    assert len(model.images) == 3
    assert model.notes == (f"{tmp_path} holds a model in .bin and one in .txt; the binary one is read",)
