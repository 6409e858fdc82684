"""Mixing of the pictures of a view by weights that are a linear function of what is known of each pixel."""

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from recon.bounded import parse_number, parse_numbers, read_json
from recon.compute.files import atomic_write
from recon.errors import BridgeError
from worldgen.models.bridge.mixing.evidence import FEATURES, Evidence, Source

ROWS = (*(source.name.lower() for source in Source), "log_scale", "better")
"""What is stated of each pixel: a logit for each source, and see `Mixed`."""
FORMAT = "bridge4d/mixing/1"
"""Raised when files of an earlier version can no longer be read."""


@dataclass(frozen=True)
class Mixed:
    """n views, mixed."""

    image: Float[Tensor, "n h w 3"]
    """sRGB in [0, 1]."""
    scale: Float[Tensor, "n h w"]
    """Expected mean absolute error of the colour."""
    better: Float[Tensor, "n h w"]
    """Probability that the image is nearer to the truth than the scene's rendering, around a pixel."""


@dataclass(frozen=True)
class Mixer:
    """The learned weights."""

    weight: Float[Tensor, "7 f"]
    """A row for each of `ROWS`, a column for each feature of `Evidence.features`."""
    bias: Float[Tensor, "7"]
    story: dict[str, Any]
    """How they came to be: data, validation, licence."""

    @torch.no_grad()
    def mix(self, evidence: Evidence) -> Mixed:
        """Mix the pictures of each view."""
        stated = self.state(evidence)
        sources = len(Source)
        share = stated[:, :sources].softmax(dim=1)
        colour = (share[:, :, None] * evidence.pictures).sum(1)
        return Mixed(
            colour.permute(0, 2, 3, 1).clamp(0, 1).contiguous(),
            stated[:, sources].exp(),
            stated[:, sources + 1].sigmoid(),
        )

    def state(self, evidence: Evidence) -> Float[Tensor, "n 7 h w"]:
        """Each of `ROWS` for every pixel."""
        return torch.einsum("of,nfhw->nohw", self.weight, evidence.features()) + self.bias[:, None, None]


def shipped_mixer() -> Path:
    """The file that comes with the package."""
    return Path(str(files("worldgen.models.bridge.mixing") / "mixing.json"))


def save_mixer(mixer: Mixer, path: Path) -> None:
    """The file is whole or absent."""
    said = {
        "format": FORMAT,
        "features": list(FEATURES),
        "rows": {
            name: {"weight": [round(float(x), 6) for x in row], "bias": round(float(bias), 6)}
            for name, row, bias in zip(ROWS, mixer.weight, mixer.bias, strict=True)
        },
        "story": mixer.story,
    }
    with atomic_write(path) as beside:
        beside.write_text(json.dumps(said, indent=1) + "\n")


def load_mixer(path: Path | str | None = None) -> Mixer:
    """The shipped weights, or a file of one's own training.

    Raises:
        BridgeError: no such file, not one of these, or of other features than this version has.
    """
    path = Path(path or shipped_mixer())
    said = read_json(path)
    if not isinstance(said, dict) or said.get("format") != FORMAT or said.get("features") != list(FEATURES):
        raise BridgeError(
            f"expected weights of mixing (format {FORMAT}) in {path}, got another file; train them: "
            "python -m worldgen.models.bridge.mixing.train"
        )
    rows = said.get("rows")
    if not isinstance(rows, dict) or sorted(rows) != sorted(ROWS):
        raise BridgeError(f"expected rows {', '.join(ROWS)} in {path}, got others; train it again")
    weight, bias = [], []
    for name in ROWS:
        row = rows[name] if isinstance(rows[name], dict) else {}
        weight.append(
            parse_numbers(row.get("weight", ()), f"{path.name}: weight of {name}", count=len(FEATURES))
        )
        bias.append(parse_number(row.get("bias"), f"{path.name}: bias of {name}"))
    story = said.get("story")
    return Mixer(torch.tensor(weight), torch.tensor(bias), story if isinstance(story, dict) else {})
