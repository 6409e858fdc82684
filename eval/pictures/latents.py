"""Distance of pictures in the features of a pretrained encoder (DINOv2, DINOv3, V-JEPA 2), beside random features."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from recon.compute.pretrained import draw_network, load_network, normalise_colours, read_config
from recon.errors import BridgeError

SHORT_SIDE_PX = 224
"""Short side at which pictures are looked at: what most of these encoders were trained at; features of a patch of 14 or 16 px."""
SEEN_SHARE = 0.75
"""Share of a patch's pixels that the photos must show for it to count; the rest of the patch is the frame's own."""
BATCH = 4
"""Pictures at a time: a large encoder takes about 1 GB for so many."""
WHAT, EXAMPLE = "an encoder", "facebook/dinov2-small"
KNOWN = ("dinov2", "dinov2_with_registers", "dinov3_vit", "vjepa2")
"""Kinds of models, as their config.json names them."""


@dataclass(frozen=True)
class LatentEncoder:
    """Patch features of pictures; use `load_encoder`."""

    model: nn.Module
    kind: str
    """One of `KNOWN`."""
    patch: int
    """Pixels."""
    skipped: int
    """Leading tokens that belong to no patch: the class and registers."""
    square: int | None
    """Side in pixels of the only pictures that it takes; None: any whose sides are multiples of `patch`."""

    @torch.no_grad()
    def features(self, images: Float[Tensor, "n h w 3"]) -> Float[Tensor, "n gh gw c"]:
        """Features of length 1 of every patch.

        Args:
            images: sRGB in [0, 1].
        """
        rows, columns = self.grid(images.shape[1], images.shape[2])
        found = [self._encode(batch, rows, columns) for batch in images.split(BATCH)]
        return nn.functional.normalize(torch.cat(found), dim=-1)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Patches (down, across) of pictures of a size."""
        if self.square is not None:
            return self.square // self.patch, self.square // self.patch
        scale = SHORT_SIDE_PX / min(height, width) / self.patch
        return max(1, round(height * scale)), max(1, round(width * scale))

    def _encode(self, images: Tensor, rows: int, columns: int) -> Tensor:
        size = (rows * self.patch, columns * self.patch)
        x = nn.functional.interpolate(
            images.permute(0, 3, 1, 2).float(), size=size, mode="bilinear", antialias=True
        ).clamp(0, 1)
        x = normalise_colours(x).to(next(self.model.parameters()))
        if self.kind == "vjepa2":  # of clips: a picture that stands still for as long as one token lasts
            tubelet = int(self.model.config.tubelet_size)  # type: ignore[union-attr, arg-type]
            tokens = self.model.get_vision_features(  # type: ignore[operator]
                pixel_values_videos=x[:, None].repeat(1, tubelet, 1, 1, 1)
            )
        else:
            tokens = self.model(x).last_hidden_state
        return tokens[:, self.skipped :].float().cpu().unflatten(1, (rows, columns))


def check_encoder(name: str) -> Any:
    """Refuse what `load_encoder` would refuse, by its configuration alone, which is returned.

    Raises:
        MissingDependencyError: transformers is not installed.
        BridgeError: no such model, or one of another kind.
    """
    config = read_config(name, WHAT, EXAMPLE)
    if config.model_type not in KNOWN:
        raise BridgeError(
            f"expected an encoder of the kind {', '.join(KNOWN)}, got {config.model_type} from {name}"
        )
    return config


def load_encoder(
    name: str, *, untrained: torch.Generator | None = None, device: str = "cpu"
) -> LatentEncoder:
    """Load an encoder from a folder or the hub of transformers.

    Args:
        name: such as 'facebook/dinov2-small', or a folder with a config.json and weights in safetensors.
        untrained: draws random weights instead: what the architecture alone tells.

    Raises:
        MissingDependencyError, BridgeError: as `check_encoder`.
    """
    config = check_encoder(name)
    if untrained is None:
        model = load_network(name, WHAT, EXAMPLE, device=device)
    else:
        model = draw_network(config, untrained, device=device)
    video = config.model_type == "vjepa2"
    return LatentEncoder(
        model,
        config.model_type,
        int(config.patch_size),
        0 if video else 1 + int(getattr(config, "num_register_tokens", 0)),
        int(config.crop_size) if video else None,
    )


def latent_distances(
    encoder: LatentEncoder,
    frames: Float[Tensor, "n h w 3"],
    warped: Float[Tensor, "n h w 3"],
    seen: Float[Tensor, "n h w"],
) -> list[float | None]:
    """Mean cosine distance between the patches of each frame and of the photos moved to it; None where these show too little.

    Where the photos show nothing, both pictures are the frame, so that every patch has the same surroundings.

    Args:
        seen: 1 where the photos show the surface, 0 where not.
    """
    inside = seen > 0.5
    mixed = torch.where(inside[..., None], warped, frames)
    distance = 1 - (encoder.features(frames) * encoder.features(mixed)).sum(-1)
    share = nn.functional.adaptive_avg_pool2d(
        inside[:, None].float(), (distance.shape[1], distance.shape[2])
    )[:, 0]
    counted = share >= SEEN_SHARE
    return [
        float(one[kept].mean()) if kept.any() else None for one, kept in zip(distance, counted, strict=True)
    ]
