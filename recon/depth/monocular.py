"""Depth in metres of single photos, by a pretrained network of transformers: Depth Pro or a metric Depth Anything."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from recon.compute.pretrained import load_network, normalise_colours, read_config
from recon.errors import BridgeError

SHORT_SIDE_PX = 518
"""Short side at which Depth Anything looks at pictures, as in its training."""
WHAT, EXAMPLE = "a network of depth", "apple/DepthPro-hf"
LEAST_INVERSE = 1e-4
"""Least inverse depth that counts, 1/m: 10 km, as Depth Pro's own code has it."""


@dataclass(frozen=True)
class MetricDepth:
    """Depth of single photos in metres; use `load_metric_depth`."""

    model: nn.Module
    name: str

    @torch.no_grad()
    def estimate(self, image: Float[Tensor, "h w 3"], *, focal_px: float) -> Float[Tensor, "h w"]:
        """z-depth, metres, of every pixel.

        Args:
            image: sRGB in [0, 1].
            focal_px: along x; Depth Pro takes it into account, Depth Anything does not.
        """
        height, width = image.shape[:2]
        config: Any = self.model.config
        x = image.permute(2, 0, 1)[None].float()
        if config.model_type == "depth_pro":
            side = round(config.patch_size / min(config.scaled_images_ratios))
            out = self._predict(_resize(x, side, side) * 2 - 1)
            # canonical inverse depth: of a lens whose focal length is the width of the picture
            inverse = _resize(out, height, width)[0, 0] * width / focal_px
            return 1 / inverse.clamp_min(LEAST_INVERSE)
        patch = config.patch_size
        scale = SHORT_SIDE_PX / min(height, width) / patch
        rows, columns = (max(1, round(side * scale)) for side in (height, width))
        x = normalise_colours(_resize(x, rows * patch, columns * patch))
        return _resize(self._predict(x), height, width)[0, 0]

    def _predict(self, x: Tensor) -> Tensor:
        weight = next(self.model.parameters())
        return self.model(x.to(weight)).predicted_depth.float().cpu()[:, None]


def check_metric_depth(name: str) -> None:
    """Refuse what `load_metric_depth` would refuse, by its configuration alone.

    Raises:
        MissingDependencyError: transformers is not installed.
        BridgeError: no such network, or one whose depth is in no unit.
    """
    config = read_config(name, WHAT, EXAMPLE)
    relative = config.model_type == "depth_anything" and config.depth_estimation_type != "metric"
    if config.model_type not in ("depth_pro", "depth_anything") or relative:
        raise BridgeError(
            f"expected a network of depth in metres (Depth Pro, or a Depth Anything whose depth_estimation_type is metric), got "
            f"{config.model_type}{' of relative depth' * relative} from {name}"
        )


def load_metric_depth(name: str, *, device: str = "cpu") -> MetricDepth:
    """Load a network from a folder or the hub of transformers.

    Args:
        name: such as 'apple/DepthPro-hf', or a folder with a config.json and weights in safetensors.

    Raises:
        MissingDependencyError, BridgeError: as `check_metric_depth`.
    """
    check_metric_depth(name)
    model = load_network(name, WHAT, EXAMPLE, kind="AutoModelForDepthEstimation", device=device)
    return MetricDepth(model, name)


def _resize(x: Tensor, height: int, width: int) -> Tensor:
    return nn.functional.interpolate(x, size=(height, width), mode="bilinear", align_corners=False)
