"""Depth of single photos in metres, and the length of a unit that is learnt from it."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from bridge4d.generating.generate import generate
from bridge4d.generating.options import GenerateOptions
from bridge4d.stages import scale
from recon.camera_files.formats.transforms_write import write_transforms
from recon.cameras import Cameras
from recon.clip import Clip
from recon.compute.pretrained import network_key
from recon.depth.monocular import MetricDepth, check_metric_depth, load_metric_depth
from recon.errors import BridgeError
from recon.sim3 import Sim3
from worldgen.models.synthetic import SyntheticRoom

transformers = pytest.importorskip("transformers")

SMALL = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "mlp_ratio": 2}
METRES = 2.5
"""Of a unit of the capture below."""


class Constant(torch.nn.Module):
    """Says the same everywhere."""

    def __init__(self, value: float, **config: object) -> None:
        super().__init__()
        self.value = torch.nn.Parameter(torch.tensor(value))
        self.config = SimpleNamespace(**config)

    def forward(self, x: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(predicted_depth=self.value.expand(len(x), *x.shape[2:]))


def depth_anything(kind: str, folder: Path) -> str:
    torch.manual_seed(0)
    backbone = transformers.Dinov2Config(
        **SMALL, image_size=56, patch_size=14, out_features=["stage1", "stage2", "stage3", "stage4"],
        reshape_hidden_states=False, apply_layernorm=True,
    )  # fmt: skip
    config = transformers.DepthAnythingConfig(
        backbone_config=backbone, patch_size=14, reassemble_hidden_size=32, neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8, head_hidden_size=8, depth_estimation_type=kind, max_depth=20,
    )  # fmt: skip
    transformers.DepthAnythingForDepthEstimation(config).save_pretrained(folder)
    return str(folder)


def test_depth_pro_says_inverse_depth_of_a_lens_as_wide_as_the_picture() -> None:
    pro = Constant(0.5, model_type="depth_pro", patch_size=32, scaled_images_ratios=[0.5, 1.0])
    depth = MetricDepth(pro, "stub").estimate(torch.rand(60, 80, 3), focal_px=160.0)
    assert depth.shape == (60, 80)
    # inverse depth 0.5 / m where focal length and width are equal: half of it at twice the focal length
    assert torch.allclose(depth, torch.tensor(4.0))


def test_a_metric_depth_anything_is_read_from_a_folder_and_a_relative_one_refused(tmp_path: Path) -> None:
    folder = depth_anything("metric", tmp_path / "metric")
    depth = load_metric_depth(folder).estimate(torch.rand(56, 70, 3), focal_px=50.0)
    assert depth.shape == (56, 70)
    assert 0 < float(depth.min()) <= float(depth.max()) < 20
    with pytest.raises(BridgeError, match="got depth_anything of relative depth"):
        check_metric_depth(depth_anything("relative", tmp_path / "relative"))
    with pytest.raises(BridgeError, match="cannot be loaded as a network of depth"):
        check_metric_depth(str(tmp_path))


@pytest.fixture
def capture(tmp_path: Path) -> tuple[Path, Cameras]:
    """Photos of the room whose cameras are in units of `METRES`."""
    cameras = SyntheticRoom().cameras(21, width=160, height=112)[::3]
    images, _ = SyntheticRoom().render(cameras)
    shrink = replace(Sim3.identity(), scale=torch.tensor(1 / METRES, dtype=torch.float64))
    names = tuple(f"{i:02d}.png" for i in range(len(images)))
    write_transforms(
        tmp_path / "photos" / "transforms.json", Clip(images, shrink.cameras(cameras), names=names)
    )
    return tmp_path / "photos", cameras


def test_a_network_that_knows_metres_tells_the_length_of_a_unit(
    capture: tuple[Path, Cameras], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, cameras = capture
    true_images, true_depth = SyntheticRoom().render(cameras)

    class Oracle:
        """Knows the room."""

        def estimate(self, image: torch.Tensor, *, focal_px: float) -> torch.Tensor:
            off = (true_images - image).abs().mean((1, 2, 3))
            return true_depth[int(off.argmin())]

    monkeypatch.setattr(scale, "load_metric_depth", lambda name: Oracle())
    monkeypatch.setattr("bridge4d.augmenting.prepare.check_metric_depth", lambda name: None)
    options = GenerateOptions(model="warp", max_side=160, frames=2, metric_depth="oracle")
    done = generate(photos, tmp_path / "run", options)
    told = json.loads((done.run / "generate.json").read_text())["world_model"]
    frame = json.loads((done.run / "capture" / "capture.json").read_text()).get("capture_from_scene")
    expected = METRES * (1.0 if frame is None else frame["scale"])
    assert told["metres_per_unit"] == pytest.approx(expected, rel=0.03)
    assert told["scale_from"] == "depth of the photos by oracle"
    by_photo = json.loads((done.run / "scale" / "scale.json").read_text())["photos"]
    assert len(by_photo) >= 3


def test_a_result_of_a_network_depends_on_its_files(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"one")
    before = network_key(str(tmp_path))
    assert network_key(str(tmp_path)) == before
    (tmp_path / "model.safetensors").write_bytes(b"other")
    assert network_key(str(tmp_path)) != before
    assert before["transformers"] == transformers.__version__
