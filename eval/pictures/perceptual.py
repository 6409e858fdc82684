"""LPIPS (Zhang et al. 2018): how far apart two pictures look to a network trained on human judgements.

AlexNet trunk in plain torch. The weights are other people's work and are not shipped: the trunk comes from
torch hub's cache, the linear heads from the installed ``lpips`` package, which is not imported (it needs
torchvision). Nothing is ever downloaded; where a file is missing the answer is `Unavailable`.
"""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from eval.results.metric import Metric

NETWORK = "LPIPS (AlexNet, v0.1)"

_TRUNK_FILE = "alexnet-owt-7be5be79.pth"
_TRUNK_URL = f"https://download.pytorch.org/models/{_TRUNK_FILE}"
_CONVOLUTIONS = ("features.0", "features.3", "features.6", "features.8", "features.10")
_MIN_SIDE = 31
"""Below this the deepest layer has no pixels left."""


@dataclass(frozen=True)
class Unavailable:
    """The distance cannot be measured on this machine."""

    reason: str
    """For people: what is missing and how to get it."""


class PerceptualDistance(nn.Module):
    """LPIPS v0.1 on AlexNet. Frozen; deterministic on a CPU."""

    # ImageNet's mean and deviation, as seen from pictures in [-1, 1]
    _shift: Tensor
    _scale: Tensor

    def __init__(self, trunk: Mapping[str, Tensor], heads: Mapping[str, Tensor]) -> None:
        """Weights by the names of torchvision's AlexNet (``features.0.weight`` …) and of lpips
        (``lin0.model.1.weight`` …)."""
        super().__init__()
        self.layers = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU()),
                nn.Sequential(nn.MaxPool2d(3, stride=2), nn.Conv2d(64, 192, 5, padding=2), nn.ReLU()),
                nn.Sequential(nn.MaxPool2d(3, stride=2), nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
                nn.Sequential(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
                nn.Sequential(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()),
            ]
        )
        convolutions = [m for m in self.layers.modules() if isinstance(m, nn.Conv2d)]
        for name, convolution in zip(_CONVOLUTIONS, convolutions, strict=True):
            convolution.load_state_dict({"weight": trunk[f"{name}.weight"], "bias": trunk[f"{name}.bias"]})
        self.heads = nn.ParameterList([heads[f"lin{i}.model.1.weight"] for i in range(len(_CONVOLUTIONS))])
        self.register_buffer("_shift", torch.tensor([-0.030, -0.088, -0.188])[:, None, None])
        self.register_buffer("_scale", torch.tensor([0.458, 0.448, 0.450])[:, None, None])
        self.requires_grad_(False).eval()

    @torch.no_grad()
    def forward(self, a: Float[Tensor, "n h w 3"], b: Float[Tensor, "n h w 3"]) -> Float[Tensor, "n"]:
        """Distances of pictures in [0, 1]; 0 for identical ones."""
        x, y = self._normalise(a), self._normalise(b)
        total = torch.zeros(len(a), device=x.device)
        for layer, head in zip(self.layers, self.heads, strict=True):
            x, y = layer(x), layer(y)
            difference = (_unit(x) - _unit(y)).square()
            total = total + nn.functional.conv2d(difference, head).mean((1, 2, 3))
        return total

    def _normalise(self, images: Float[Tensor, "n h w 3"]) -> Float[Tensor, "n 3 h w"]:
        return (images.float().permute(0, 3, 1, 2) * 2 - 1 - self._shift) / self._scale


def perceptual_distance(
    a: Float[Tensor, "n h w 3"],
    b: Float[Tensor, "n h w 3"],
    *,
    network: PerceptualDistance | Unavailable | None = None,
) -> Metric | Unavailable:
    """LPIPS of pictures in [0, 1], one value per image, lower is better; or why it cannot be measured.

    Args:
        network: from `load`, to read the weights once for many calls; None loads it.

    """
    network = load() if network is None else network
    if isinstance(network, Unavailable):
        return network
    if min(a.shape[1:3]) < _MIN_SIDE:
        return Unavailable(
            f"Perceptual distance was not measured: it needs pictures of at least {_MIN_SIDE}x{_MIN_SIDE} pixels, "
            f"these have {a.shape[2]}x{a.shape[1]}."
        )
    values = [network(a[i : i + 1], b[i : i + 1]).item() for i in range(len(a))]
    return Metric.of(NETWORK, "", values, higher_is_better=False)


def load() -> PerceptualDistance | Unavailable:
    """The network with the weights that are on this machine, or a sentence that says what is missing."""
    trunk, heads = trunk_path(), heads_path()
    missing = []
    if not trunk.is_file():
        missing.append(f"the AlexNet weights (download {_TRUNK_URL} to {_for_people(trunk)})")
    if heads is None:
        missing.append("the LPIPS heads (pip install --no-deps lpips)")
    if heads is None or missing:
        return Unavailable(f"Perceptual distance was not measured: it needs {' and '.join(missing)}.")
    try:
        return PerceptualDistance(
            torch.load(trunk, map_location="cpu", weights_only=True),
            torch.load(heads, map_location="cpu", weights_only=True),
        )
    except Exception as error:  # torch.load has no common base for what a damaged file makes it raise
        return Unavailable(
            f"Perceptual distance was not measured: {trunk} or {heads} cannot be read ({error}); "
            "download them again."
        )


def trunk_path() -> Path:
    """Where torch hub keeps AlexNet."""
    return Path(torch.hub.get_dir()) / "checkpoints" / _TRUNK_FILE


def heads_path() -> Path | None:
    """The linear heads inside the lpips package, found without importing it; None where it is not installed."""
    spec = importlib.util.find_spec("lpips")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "weights" / "v0.1" / "alex.pth"
    return path if path.is_file() else None


def _for_people(path: Path) -> str:
    """A path with the home folder shortened to ~, because reports are shown to others."""
    return f"~/{path.relative_to(Path.home())}" if path.is_relative_to(Path.home()) else str(path)


def _unit(features: Float[Tensor, "n c u v"]) -> Float[Tensor, "n c u v"]:
    return features / (features.square().sum(1, keepdim=True).sqrt() + 1e-10)
