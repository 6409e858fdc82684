"""Options and result of the training of a moving scene."""

from dataclasses import dataclass, field

from recon.sequence import GaussianSequence
from recon.splats.fitting.options import FitOptions
from recon.splats.parameters import LearningRates


@dataclass(frozen=True)
class MotionRates:
    """Learning rates of Adam for what moves, beside those of its Gaussians."""

    coefficients: float = 2e-3
    """Of the polynomials' coefficients of all degrees, in extents of the scene, for time in durations of the clip."""
    spin: float = 1e-2
    """Of the change of quaternions, per duration of the clip."""
    time_center_s: float = 2e-3
    """In durations of the clip."""
    log_duration_s: float = 1e-2


@dataclass(frozen=True)
class SequenceOptions:
    """How to train a moving scene. The defaults suit a second or two from a few cameras on a laptop."""

    static: FitOptions = field(default_factory=FitOptions)
    """Of the part that stands still, which is trained first, on what does not move."""
    iterations: int = 1500
    """Of both parts together."""
    moving_cap: int = 20_000
    """Most moving Gaussians, over all times."""
    degree: int = 3
    """Of the polynomials of positions in time."""
    sh_degree: int = 0
    """Of the colour of what moves: few cameras see a thing at a time, and view-dependence then hides motion."""
    duration_frames: float = 1.0
    """Duration that a moving Gaussian begins with, in times between frames. On one rig of six cameras and twelve times (600 steps) 1 gave
    25.9 dB of what moves, 2 gave 25.3 and 4 gave 24.1."""
    rates: LearningRates = field(default_factory=LearningRates)
    """Of the Gaussians of both parts; all fall as those of the means do, without a boost."""
    motion_rates: MotionRates = field(default_factory=MotionRates)
    rigidity: float = 0.02
    """Weight in the loss of how far velocities of neighbours differ, in extents of the scene per duration of the clip."""
    sparsity: float = 0.002
    """Weight of the mean speed in the same unit: what need not move should not."""


@dataclass(frozen=True)
class SequenceFit:
    """A trained moving scene and how it came about."""

    sequence: GaussianSequence
    static_losses: tuple[float, ...]
    losses: tuple[float, ...]
    """Mean loss of about every hundredth part of the joint training."""
    seconds: float
