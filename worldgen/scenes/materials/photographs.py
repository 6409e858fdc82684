"""Real photographs as textures, out of scikit-image's public-domain ones."""

import numpy as np
from numpy.random import Generator

from recon.errors import MissingDependencyError
from worldgen.scenes.textures import Picture

PHOTOGRAPHS = ("brick", "grass", "gravel", "coffee", "chelsea", "camera", "rocket", "astronaut")
"""Pictures of scikit-image in the public domain (CC0, or NASA's)."""


def photograph(rng: Generator, size: int) -> Picture:
    """A square of `size` texels out of one of scikit-image's public-domain photographs, perhaps mirrored.

    Raises:
        MissingDependencyError: scikit-image is not installed.
    """
    import cv2

    try:
        from skimage import data  # pyright: ignore[reportMissingImports]  # optional
    except ImportError as error:
        raise MissingDependencyError(
            "photographs=True needs scikit-image, which is not installed; run pip install scikit-image"
        ) from error
    image = np.asarray(getattr(data, PHOTOGRAPHS[int(rng.integers(len(PHOTOGRAPHS)))])())
    image = np.repeat(image[..., None], 3, 2) if image.ndim == 2 else image[..., :3]
    side = int(min(image.shape[:2]) * rng.uniform(0.5, 1))
    top, left = (int(rng.integers(0, extent - side + 1)) for extent in image.shape[:2])
    crop = np.ascontiguousarray(image[top : top + side, left : left + side][:, :: rng.choice([-1, 1])])
    return cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
