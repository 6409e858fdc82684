"""Safetensors files of strangers."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from recon.bounded.files import check_regular_file
from recon.errors import BridgeError


@contextmanager
def open_safetensors(path: Path, *, most: int, error: type[BridgeError] = BridgeError) -> Iterator[Any]:
    """An open safetensors file of at most `most` bytes, in the block; its header is checked against its size.

    Raises:
        BridgeError: no such file, not one of these, or (also in the block) a tensor that is not in it.
    """
    from safetensors import SafetensorError, safe_open

    check_regular_file(path, most=most, error=error)
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError) as e:
        reason = " ".join(str(e).split())[:160]
        raise error(f"expected a safetensors file in {path}, got {reason}; fetch or make it again") from e
