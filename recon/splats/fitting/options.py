"""Options and result of a training."""

from collections.abc import Callable
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor

from recon.gaussians import Gaussians
from recon.splats.density import Density
from recon.splats.mcmc import Mcmc
from recon.splats.parameters import LearningRates
from recon.splats.start import Backdrop

MOST_DROPOUT = 0.9
"""Above it opacities are raised more than tenfold, and one Gaussian in ten has to look like all of them."""

Watch = Callable[[int, float, Gaussians], None]
"""Called with the iterations done, the CPU-seconds spent and the scene as it is."""


@dataclass(frozen=True)
class FitOptions:
    """How to train. The defaults suit a few photos on a laptop; times are fractions of the training."""

    iterations: int = 1000
    cpu_seconds: float | None = None
    """Train for so much CPU time of this process, all threads together, instead of `iterations`. What comes out then
    depends on the machine, and is no longer the same bits for the same seed."""
    sh_degree: int = 2
    """Highest degree of view-dependent colour, 0 to 3."""
    cap: int = 40_000
    """The most Gaussians there will ever be, and the bound on memory: about 1 kB each at degree 3."""
    lambda_dssim: float = 0.2
    """Weight of SSIM in the loss, as in 3DGS."""
    rates: LearningRates = field(default_factory=LearningRates)
    density: Density | Mcmc = field(default_factory=Density)
    sh_degree_every: float = 0.2
    """The degree of colour rises by one after each such part of the training."""
    doublings: tuple[float, ...] = (0.1, 0.3)
    """When the pictures double in size; the training starts on pictures halved as often as there are entries."""
    antialiased: bool = False
    """Train for antialiased rendering (Mip-Splatting); render the scene so as well."""
    exposure_compensation: bool = False
    """Learn an affine colour map per image, so that the scene need not explain exposure."""
    dropout: float = 0.0
    """Share of the Gaussians, in [0, 0.9], that an iteration leaves out at the end of the training; it grows in proportion from 0.
    A few photos are then overfitted less (DropGaussian, Park et al. 2025); for many it is of no use."""
    background: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """sRGB behind the scene."""
    start_points: int = 5_000
    """Random points to start from where there are fewer than `few_points` given."""
    few_points: int = 50
    """Number of given points below which random ones are added."""
    backdrop: int = 500
    """Gaussians on a sphere far behind the scene, for what has no points: sky, plain walls; 0 for none."""
    device: str | None = None
    """cpu or cuda; None: the GPU where gsplat works, else the CPU."""


@dataclass(frozen=True)
class FitResult:
    """A trained scene and how it came about."""

    gaussians: Gaussians
    """Detached, on the CPU wherever it was trained."""
    losses: tuple[float, ...]
    """Mean loss of about every hundredth part of the training; while pictures still double, each of its own size."""
    seconds: float
    """Wall time."""
    cpu_seconds: float
    iterations: int
    peak_count: int
    """The most Gaussians there were."""
    exposure: Float[Tensor, "n 3 4"] | None
    """Per image: pictured = exposure[:, :3] @ rendered + exposure[:, 3]; None without compensation."""
    backdrop: Backdrop | None = None
    """Where its background shell began; None where there is none."""
