"""What may be asked of structure from motion."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class SfmOptions:
    """The defaults were chosen on real captures of 3 to 60 photos with a long side of 384 to 1000 px."""

    mapper: Literal["incremental", "global"] = "incremental"
    """'global' (GLOMAP) is faster on hundreds of images and weaker on few."""
    matching: Literal["auto", "exhaustive", "sequential"] = "auto"
    """'auto' is exhaustive up to 60 images, and for unordered images always."""
    max_features: int = 4096
    """SIFT features an image, the largest first."""
    seed: int = 0
    threads: int = -1
    """For features and verification of imported matches, -1 for all cores. Matching and mapping run on one, so that equal seeds give equal results."""
