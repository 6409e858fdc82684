"""Files of networks of our own: safetensors with their shapes, and the story of their training, beside the weights."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from recon.bounded import open_safetensors, parse_integer, parse_json
from recon.compute.files import atomic_write
from recon.errors import BridgeError

N = TypeVar("N", bound=nn.Module)

MOST_CHANNELS, MOST_BLOCKS = 4096, 64
"""Of one level; the shipped networks have up to 160, and 2."""


def save_network_file(state: dict[str, Tensor], about: dict[str, Any], path: Path) -> None:
    """Half precision; the file is whole or absent. `about` holds the format and all that `read_network_file` gives back."""
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    halves = {name: x.half().contiguous() for name, x in state.items()}
    with atomic_write(path) as beside:
        save_file(halves, beside, metadata={"about": json.dumps(about)})


def read_network_file(
    path: Path, *, format: str, what: str, train: str, most: int
) -> tuple[dict, dict[str, Tensor]]:
    """What a file says about its networks, and the tensors.

    Args:
        format: that it has to state.
        what: the weights are of, for errors.
        train: module, and arguments, that train them, for errors.
        most: bytes.

    Raises:
        BridgeError: no such file, not one of these, or of another format.
    """
    if not path.exists():
        raise BridgeError(
            f"expected weights of {what} in {path}, got no such file; check the path, or train them: python -m {train}"
        )
    with open_safetensors(path, most=most) as file:
        about = parse_json((file.metadata() or {}).get("about", "{}"), path, nan=True)
        stated = about.get("format") if isinstance(about, dict) else None
        if stated != format:
            raise BridgeError(
                f"expected weights of format {format} ({what}) in {path}, got {str(stated)[:40]}; train them again"
            )
        return about, {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118


@contextmanager
def networks_as_stated(path: Path) -> Iterator[None]:
    """Says in one sentence whatever in the block does not fit what the file says of its networks.

    Raises:
        BridgeError: something did not fit.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, BridgeError) as error:
        kind = "" if isinstance(error, BridgeError) else f"{type(error).__name__}: "
        said = " ".join(f"{kind}{error}".split())
        raise BridgeError(
            f"expected networks in {path} that are as the file says, got {said[:200]}; fetch or train it again"
        ) from error


def fill_network(make: Callable[[], N], state: dict[str, Tensor]) -> N:
    """A network with its tensors; it takes memory only once its shapes are known to be those of the tensors."""
    with torch.device("meta"):
        wanted = {name: x.shape for name, x in make().state_dict().items()}
    there = {name: x.shape for name, x in state.items()}
    if wanted != there:
        odd = sorted(name for name in wanted | there if wanted.get(name) != there.get(name))
        raise ValueError(f"{len(odd)} tensors of other shapes, such as {odd[0][:60]}")
    net = make().eval()
    net.load_state_dict(state)
    return net


def parse_sizes(said: dict) -> dict[str, Any]:
    """Whole numbers of a size that networks have, tuples of them, and switches."""

    def size(key: str, value: Any) -> int | bool:
        """A switch, or a whole number in bounds."""
        most = MOST_BLOCKS if key == "blocks" else MOST_CHANNELS
        return value if isinstance(value, bool) else parse_integer(value, key, most=most)

    return {
        key: tuple(size(key, one) for one in value) if isinstance(value, list) else size(key, value)
        for key, value in said.items()
    }
