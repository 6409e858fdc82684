"""The weights file of the depth network: safetensors with its shape, its calibration and the training's story."""

from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path

from recon.bounded import parse_number
from recon.compute.network_files import (
    fill_network,
    networks_as_stated,
    parse_sizes,
    read_network_file,
    save_network_file,
)
from recon.depth.learned.net import DepthNet, DepthNetOptions

FORMAT = "bridge4d/depth/1"
"""Raised when weights of an earlier version can no longer be read."""
LARGEST_FILE = 256 << 20
"""Bytes; the shipped weights have 7 MB."""


@dataclass(frozen=True)
class DepthWeights:
    """All that the network has learned."""

    net: DepthNet
    temperature: float = 1.0
    """Logits are divided by it, so that the stated probabilities hold on places that were held out."""
    story: dict = field(default_factory=dict)
    """How they came to be: configuration, data, compute, licence."""


def shipped_weights() -> Path:
    """The file that comes with the package."""
    return Path(str(files("recon.depth.learned") / "learned_depth.safetensors"))


def save_depth_weights(weights: DepthWeights, path: Path) -> None:
    """Half precision; the file is whole or absent."""
    about = {
        "format": FORMAT,
        "net": asdict(weights.net.options),
        "temperature": weights.temperature,
        "story": weights.story,
    }
    save_network_file(weights.net.state_dict(), about, path)


def load_depth_weights(path: Path | str | None = None) -> DepthWeights:
    """The shipped weights, or a file of one's own training.

    Raises:
        BridgeError: no such file, not one of these, or one whose network does not fit what it says of it.
    """
    path = Path(path or shipped_weights())
    about, state = read_network_file(
        path,
        format=FORMAT,
        what="the depth network",
        train="worldgen.depth_training.train",
        most=LARGEST_FILE,
    )
    with networks_as_stated(path):
        options = DepthNetOptions(**parse_sizes(about["net"]))
        net = fill_network(lambda: DepthNet(options), state)
        temperature = parse_number(about["temperature"], "temperature", least=0.01, most=100)
        return DepthWeights(net, temperature, dict(about["story"]))
