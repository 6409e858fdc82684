"""Dense depth of photos, with its confidence."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class DepthMaps:
    """Dense z-depth of n photos."""

    depth: Float[Tensor, "n h w"]
    """In world units, positive everywhere: where the photos did not say, it is completed from around."""
    confidence: Float[Tensor, "n h w"]
    """In [0, 1]: 1 where three photos agree, 0.7 where two do, below 0.3 where the depth was filled in; 0 around photos that
    do not fill their canvas."""

    def resize(self, *, width: int, height: int) -> "DepthMaps":
        """The maps at another size, read at the nearest pixel, so that edges stay edges."""
        if self.depth.shape[1:] == (height, width):
            return self

        def nearest(x: Tensor) -> Tensor:
            """Resize [n,h,w] to the nearest pixel."""
            return torch.nn.functional.interpolate(x[:, None], size=(height, width), mode="nearest-exact")[
                :, 0
            ]

        return DepthMaps(nearest(self.depth), nearest(self.confidence))
