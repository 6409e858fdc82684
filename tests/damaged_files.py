"""Files with a few bytes changed, cut off or put in, which a reader must read or refuse in one sentence."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

from recon.errors import BridgeError
from recon.scenefiles import read_scene


def damaged(whole: bytes, count: int, *, seed: int = 0) -> Iterator[bytes]:
    """`count` variants; half of the changes are among the first 200 bytes, where headers are."""
    rng = random.Random(seed)
    for _ in range(count):
        data = bytearray(whole)
        kind = rng.random()
        if kind < 0.15:
            del data[rng.randrange(len(data)) :]
        elif kind < 0.25:
            at = rng.randrange(len(data))
            data[at:at] = rng.randbytes(rng.randrange(1, 20))
        else:
            for _ in range(rng.randrange(1, 5)):
                at = rng.randrange(len(data) if rng.random() < 0.5 else min(200, len(data)))
                data[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        yield bytes(data)


def read_or_refused(path: Path, variants: Iterator[bytes], wrap: Callable[[bytes], bytes] = bytes) -> int:
    """How many variants are refused; any other failure of a reader is raised."""
    refused = 0
    for variant in variants:
        path.write_bytes(wrap(variant))
        try:
            scene = read_scene(path).gaussians
        except BridgeError:
            refused += 1
        else:
            assert all(value.isfinite().all() for value in scene.tensors().values())
    return refused
