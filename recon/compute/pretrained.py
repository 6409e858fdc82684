"""Pretrained networks of transformers, from a folder or its hub; no code of theirs runs, and weights are safetensors."""

import contextlib
import importlib
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from recon.compute.files import stamp_folder
from recon.errors import BridgeError, MissingDependencyError

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's colours, by which most networks take their pictures."""


def normalise_colours(pixels: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
    """sRGB in [0, 1] as networks take it that were trained on ImageNet."""
    mean, std = (torch.tensor(part)[:, None, None] for part in (MEAN, STD))
    return (pixels - mean) / std


def read_config(name: str, what: str, example: str) -> Any:
    """The configuration of a network.

    Args:
        name: a folder with a config.json, or a name of the hub.
        what: the network should be, with an article, for errors.
        example: such a name.

    Raises:
        MissingDependencyError: transformers is not installed.
        BridgeError: nothing there that can be read.
    """
    with _explained(name, what, example):
        return _transformers().AutoConfig.from_pretrained(name, trust_remote_code=False)


def load_network(
    name: str, what: str, example: str, *, kind: str = "AutoModel", device: str = "cpu"
) -> nn.Module:
    """A network with its weights, not to be trained.

    Args:
        kind: class of transformers that makes it.

    Raises:
        MissingDependencyError, BridgeError: as `read_config`.
    """
    with _explained(name, what, example):
        made = getattr(_transformers(), kind).from_pretrained(
            name, trust_remote_code=False, use_safetensors=True
        )
    return made.to(device).eval()


def network_key(name: str) -> dict[str, Any]:
    """What a result of a network depends on, as JSON can say it: its name, the files of its folder, the version of transformers.

    Raises:
        MissingDependencyError: transformers is not installed.
    """
    folder = Path(name).expanduser()
    files = {"files": stamp_folder(folder)} if folder.is_dir() else {}
    return {"network": name, "transformers": _transformers().__version__, **files}


def draw_network(config: Any, generator: torch.Generator, *, device: str = "cpu") -> nn.Module:
    """A network of a configuration with random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))
        return _transformers().AutoModel.from_config(config, trust_remote_code=False).to(device).eval()


def _transformers() -> Any:
    try:
        return importlib.import_module("transformers")
    except ImportError as error:
        raise MissingDependencyError(
            "pretrained networks need transformers, not installed here; run: pip install 'bridge4d[world]'"
        ) from error


@contextlib.contextmanager
def _explained(name: str, what: str, example: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        said = textwrap.shorten(str(error), 200, placeholder=" …")
        raise BridgeError(
            f"{name} cannot be loaded as {what} ({said}); expected a folder with config.json and model.safetensors, or a name of the "
            f"hub such as {example}"
        ) from error
