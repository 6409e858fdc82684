"""Shapes in signatures are checked while tests run."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")

from jaxtyping import install_import_hook

install_import_hook(["recon", "worldgen", "eval", "bridge4d"], "typecheck.check")

from pathlib import Path

import pytest
import torch

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real captures beside the project; tests that need it are skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("needs the real captures in ../shared, which only developers have")
    return SHARED


@pytest.fixture(scope="session")
def room_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten photos of the synthetic room, as `bridge4d sample` writes them."""
    from bridge4d.sample import write_sample

    return write_sample(tmp_path_factory.mktemp("room") / "photos", photos=10, width=360, height=240)
