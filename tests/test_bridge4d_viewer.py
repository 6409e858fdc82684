"""The viewer: finds the scene a person means, and hands it over unchanged."""

import urllib.request
from pathlib import Path

import numpy as np
import pytest
import torch

from bridge4d.viewer import covariances, find_scene, serve
from recon.errors import CaptureError
from recon.gaussians import Gaussians, from_points
from recon.scenefiles import write_scene


@pytest.fixture
def scene(generator: torch.Generator) -> Gaussians:
    return from_points(torch.randn(20, 3, generator=generator), torch.rand(20, 3, generator=generator))


def test_a_run_folder_means_its_exported_scene(tmp_path: Path, scene: Gaussians) -> None:
    (tmp_path / "exports").mkdir()
    write_scene(scene, tmp_path / "exports" / "scene.ply")
    assert find_scene(tmp_path) == tmp_path / "exports" / "scene.ply"
    assert find_scene(tmp_path / "exports" / "scene.ply").is_file()
    with pytest.raises(CaptureError, match="run folder"):
        find_scene(tmp_path / "nothing")


def test_covariances_are_rotated_squares_of_the_scales(scene: Gaussians) -> None:
    half = 0.5**0.5
    turned = Gaussians(
        scene.means[:1],
        torch.tensor([[half, 0.0, 0.0, half]]) * 3,  # 90 degrees about z, not normalised
        torch.log(torch.tensor([[1.0, 2.0, 3.0]])),
        scene.opacity_logits[:1],
        scene.sh[:1],
    )
    assert np.allclose(covariances(turned)[0], np.diag([4.0, 1.0, 9.0]), atol=1e-6)


def test_the_page_is_served(scene: Gaussians) -> None:
    pytest.importorskip("viser", reason="the viewer is an optional extra")
    server = serve(scene, port=8091)
    try:
        page = urllib.request.urlopen(f"http://localhost:{server.get_port()}", timeout=10).read()
        assert b"<html" in page.lower()
    finally:
        server.stop()
