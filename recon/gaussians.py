"""A scene of 3D Gaussians (3DGS, Kerbl et al. 2023)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

SH_C0 = 0.28209479177387814
"""Value of the constant spherical harmonic, 1 / (2 √π)."""


@dataclass(frozen=True)
class Gaussians:
    """g Gaussians in the parametrisation that is optimised."""

    means: Float[Tensor, "g 3"]
    """Centres in scene units."""
    quats_wxyz: Float[Tensor, "g 4"]
    """Rotations of the axes; need not be normalised."""
    log_scales: Float[Tensor, "g 3"]
    """Natural logarithms of the standard deviations along the axes, in scene units."""
    opacity_logits: Float[Tensor, "g"]
    """Opacity is their sigmoid."""
    sh: Float[Tensor, "g k 3"]
    """Colour in real spherical harmonics, k = (degree + 1)², as 3DGS: rgb = 0.5 + Σ sh · Y(direction)."""

    def __len__(self) -> int:
        return self.means.shape[0]

    def __getitem__(self, index: slice | Tensor) -> "Gaussians":
        return Gaussians(**{name: value[index] for name, value in self.tensors().items()})

    @property
    def sh_degree(self) -> int:
        """Degree of the spherical harmonics."""
        return round(self.sh.shape[1] ** 0.5) - 1

    def tensors(self) -> dict[str, Tensor]:
        """Its five tensors by name."""
        return {
            "means": self.means,
            "quats_wxyz": self.quats_wxyz,
            "log_scales": self.log_scales,
            "opacity_logits": self.opacity_logits,
            "sh": self.sh,
        }

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "Gaussians":
        """Move all tensors to a device or dtype."""
        return replace(self, **{name: value.to(device, dtype) for name, value in self.tensors().items()})

    def detach(self) -> "Gaussians":
        """The same Gaussians without gradients."""
        return replace(self, **{name: value.detach() for name, value in self.tensors().items()})


def unit_quats(quats: Float[Tensor, "g 4"]) -> Float[Tensor, "g 4"]:
    """Quaternions of length 1, float64; one of length 0 stays. Torch's `normalize` leaves those below 1e-12 short."""
    quats = quats.double()
    return quats / quats.norm(dim=1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)


def sh_bases(degree: int) -> int:
    """Number of coefficients a colour of spherical harmonics up to `degree`."""
    return (degree + 1) ** 2


def concatenate(parts: Sequence[Gaussians]) -> Gaussians:
    """One scene from several; colours of lower degree are filled up with zeros."""
    k = max(part.sh.shape[1] for part in parts)

    def pad_sh(sh: Float[Tensor, "g k 3"]) -> Float[Tensor, "g m 3"]:
        """Pad coefficients with zeros to the highest degree."""
        return torch.nn.functional.pad(sh, (0, 0, 0, k - sh.shape[1]))

    tensors = [{**part.tensors(), "sh": pad_sh(part.sh)} for part in parts]
    return Gaussians(**{name: torch.cat([t[name] for t in tensors]) for name in tensors[0]})


def nearest_distances(xyz: Float[Tensor, "p 3"], neighbours: int = 3) -> Float[Tensor, "p"]:
    """Root mean square distance of each point to its nearest neighbours; 3DGS's initial scale."""
    from scipy.spatial import cKDTree

    points = xyz.detach().cpu().double().numpy()
    k = min(neighbours + 1, len(points))
    if k < 2:
        return torch.full((len(points),), 0.01, dtype=xyz.dtype)
    distances, _ = cKDTree(points).query(points, k=k)
    return torch.from_numpy((distances[:, 1:] ** 2).mean(1) ** 0.5).to(xyz.dtype).clamp_min(1e-7)


def from_points(
    xyz: Float[Tensor, "p 3"], rgb: Float[Tensor, "p 3"], *, sh_degree: int = 3, opacity: float = 0.1
) -> Gaussians:
    """Isotropic Gaussians at points, as 3DGS starts from an SfM cloud. `rgb` in [0, 1]."""
    p = len(xyz)
    sh = torch.zeros(p, sh_bases(sh_degree), 3)
    sh[:, 0] = (rgb.float() - 0.5) / SH_C0
    quats = torch.zeros(p, 4)
    quats[:, 0] = 1
    return Gaussians(
        means=xyz.float(),
        quats_wxyz=quats,
        log_scales=nearest_distances(xyz.float()).log()[:, None].repeat(1, 3),
        opacity_logits=torch.full((p,), float(torch.logit(torch.tensor(opacity)))),
        sh=sh,
    )


def morton_order(xyz: Float[Tensor, "g 3"], *, bits: int = 10) -> Int[Tensor, "g"]:
    """A permutation that puts neighbours in space next to each other in memory, by Morton code.

    Args:
        xyz: finite positions.
        bits: of each axis, at most 21. Points in one cell of 2^−bits of the extent keep their order; 21 bits tell
            neighbours apart even where a point lies a thousand times as far away as the rest.
    """
    if len(xyz) == 0:
        return torch.zeros(0, dtype=torch.long)
    low, high = xyz.min(0).values, xyz.max(0).values
    top = (1 << bits) - 1
    cells = ((xyz - low) / (high - low).clamp_min(1e-12) * top).long().clamp(0, top)
    spread = [_spread_bits(cells[:, axis]) << axis for axis in range(3)]
    return torch.argsort(spread[0] | spread[1] | spread[2], stable=True)


def _spread_bits(cells: Int[Tensor, "g"]) -> Int[Tensor, "g"]:
    """Two zero bits before each of the lowest 21 bits, by halving the distance between groups of bits."""
    for shift, mask in (
        (32, 0x1F00000000FFFF),
        (16, 0x1F0000FF0000FF),
        (8, 0x100F00F00F00F00F),
        (4, 0x10C30C30C30C30C3),
        (2, 0x1249249249249249),
    ):
        cells = (cells | cells << shift) & mask
    return cells
