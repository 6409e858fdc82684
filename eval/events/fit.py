"""Poisson and Hawkes processes fitted to events by maximum likelihood, with intervals from the observed information.

Standard errors are those of the inverse Hessian of the (penalised) negative log-likelihood at its minimum (Ogata, The asymptotic
behaviour of maximum likelihood estimators for stationary point processes, Annals of the Institute of Statistical Mathematics 30,
1978), for positive parameters in the logarithm (delta method), so that their intervals are positive too.
"""

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from eval.events.background import Background, Basis
from eval.events.intensity import Excitation, Intensity, Pairs
from eval.events.minimum import Minimum, find_minimum
from eval.events.window import Events, EventsError

RIDGE = 0.1
"""Weight of ½ Σ c² over all coefficients but the constant: a normal prior of standard deviation 3.2, by which a cosine changes the
rate twenty-five-fold either way. It is there for bases that the events hardly fill, and gives way to a few dozen events."""
LEAST_PER_PARAMETER = 5
"""Events for each parameter below which no fit is made. A choice: of 20 to 24 events of a Hawkes process (12 draws) the upper end of an
interval was in the median already 3.2 (background), 4.6 (alpha), 7.7 (beta) and 2.4 (sigma) times the lower."""
MAX_EVENTS = 5000
"""Of 4500 the pairs of a fit take over a gigabyte, and it takes half a minute."""
LEAST_TRIGGERED = 1.0
"""Events put down to earlier ones below which nothing is known of how soon and how near they follow."""
LEAST_SIGMA = 1e-3
"""Of the picture's shorter side: a narrower kernel only finds events that lie on top of one another."""
START_ALPHA = 0.3
START_DECAYS = (0.3, 1.0, 3.0, 10.0)
"""Starts of 1/beta, in mean times between events; videos have few onsets a second, and those set off come within some of them."""
START_SIGMAS = (0.02, 0.06, 0.2)
"""Starts of sigma, in shorter sides of the picture: a cell or two, a person, a crowd."""
NO_MAXIMUM = "the likelihood has no finite maximum: events lie on top of one another; spread them"
PARAMETERS = ("alpha", "beta_per_s", "sigma_px")
_Z95 = 1.959963984540054


@dataclass(frozen=True)
class Estimate:
    """A parameter with its 95% interval; None where the information says nothing of it."""

    value: float
    standard_error: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Fitted:
    """A process fitted to events, or the reason why there is none."""

    count: int
    """Events that it was fitted to."""
    intensity: Intensity | None = None
    estimates: dict[str, Estimate] = field(default_factory=dict)
    """`background_per_s`, the mean over the window of background events a second in the whole picture; of a Hawkes process also
    `alpha`, `beta_per_s` and `sigma_px`."""
    coefficients: tuple[Estimate, ...] = ()
    """Of the background, as `Background` has them; intervals are symmetric."""
    log_likelihood: float | None = None
    """Without the ridge, in nats."""
    undefined: str = ""
    """Why there is no fit; '' where there is one."""
    intervals_undefined: str = ""
    """Why there are no intervals; '' where there are."""


def fit_poisson(events: Events, *, basis: Basis = Basis(time=2, space=2), ridge: float = RIDGE) -> Fitted:
    """An inhomogeneous Poisson process: a log-linear rate over time and space."""
    return _fit(events, basis, ridge, excited=False)


def fit_hawkes(events: Events, *, basis: Basis = Basis(), ridge: float = RIDGE) -> Fitted:
    """A self-exciting process over a background that is constant, or of a smooth basis.

    A basis of time competes with self-excitation, for both explain why events come in bursts. The likelihood may have several
    maxima: the search starts from the best of a few kernels of different length and width. The interval of alpha never holds 0,
    for it is one of the logarithm: whether events set off others at all is told by `log_likelihood` beside that of the Poisson
    process of the same basis, against simulations of the latter (beta and sigma mean nothing without excitation, so that the usual
    table for a likelihood ratio does not hold).

    Raises:
        EventsError: more than `MAX_EVENTS` events.
    """
    return _fit(events, basis, ridge, excited=True)


def _fit(events: Events, basis: Basis, ridge: float, *, excited: bool) -> Fitted:
    if not 0 <= ridge < math.inf:
        raise EventsError(f"expected a ridge from 0 on, got {ridge:g}")
    n, parameters = len(events), basis.size + 3 * excited
    least = LEAST_PER_PARAMETER * parameters
    if n < least:
        return Fitted(n, undefined=f"{n} events, {least} are needed for {parameters} parameters")
    if excited and n > MAX_EVENTS:
        raise EventsError(
            f"expected at most {MAX_EVENTS} events, got {n}; fit parts of the window, or larger cells"
        )
    pairs = Pairs.of(events) if excited else None

    def intensity_of(theta: Float[Tensor, "p"]) -> Intensity:
        background = Background(events.window, basis, theta[: basis.size])
        return Intensity(background, Excitation(theta[basis.size :]) if excited else None)

    def loss(theta: Float[Tensor, "p"]) -> Float[Tensor, ""]:
        penalty = ridge / 2 * theta[1 : basis.size].square().sum()
        return penalty - intensity_of(theta).log_likelihood(events, pairs)

    starts = _starts(events, basis, excited=excited)
    found = find_minimum(loss, min(starts, key=lambda start: loss(start).item()))
    if found is None:
        return Fitted(
            n, undefined=NO_MAXIMUM if excited else "the likelihood has no finite maximum; raise the ridge"
        )
    intensity, narrow = (
        intensity_of(found.theta),
        LEAST_SIGMA * min(events.window.width, events.window.height),
    )
    if intensity.excitation is not None and intensity.excitation.sigma_px < narrow:
        return Fitted(n, undefined=NO_MAXIMUM)
    return _summarise(events, intensity, found, pairs)


def _starts(events: Events, basis: Basis, *, excited: bool) -> list[Float[Tensor, "p"]]:
    """Where a search may begin: a constant background, and kernels of several lengths and widths."""
    window, n = events.window, len(events)
    theta = torch.zeros(basis.size, dtype=torch.float64)
    theta[0] = math.log(n / window.duration_s)
    if not excited:
        return [theta]
    theta[0] += math.log(1 - START_ALPHA)
    kernels = [
        Excitation.of(
            START_ALPHA,
            beta_per_s=n / (window.duration_s * gaps),
            sigma_px=share * min(window.width, window.height),
        )
        for gaps in START_DECAYS
        for share in START_SIGMAS
    ]
    return [torch.cat([theta, kernel.logs]) for kernel in kernels]


def _summarise(events: Events, intensity: Intensity, found: Minimum, pairs: Pairs | None) -> Fitted:
    covariance, because = found.covariance, found.because
    excitation, background = intensity.excitation, intensity.background
    if excitation is not None:
        rates = intensity.rates(events, pairs)
        triggered = (1 - background.log_rate(events.times_s, events.xy).exp() / rates).sum().item()
        if triggered < LEAST_TRIGGERED:
            covariance = None
            because = f"{triggered:.2g} of {len(events)} events are put down to earlier ones"

    def log_background(coefficients: Float[Tensor, "k"]) -> Float[Tensor, ""]:
        return Background(background.window, background.basis, coefficients).per_s().log()

    k = background.basis.size
    slope = torch.autograd.functional.jacobian(log_background, background.coefficients)
    assert isinstance(slope, Tensor)
    errors: list[float | None] = [None] * 4
    if covariance is not None:
        of_background = (slope @ covariance[:k, :k] @ slope).sqrt().item()
        errors = [of_background, *covariance.diagonal()[k:].sqrt().tolist()]
    estimates = {"background_per_s": _positive(background.per_s().item(), errors[0])}
    if excitation is not None:
        for name, log, error in zip(PARAMETERS, excitation.logs.tolist(), errors[1:], strict=True):
            estimates[name] = _positive(math.exp(log), error)
    of_coefficients: list[float | None] = [None] * k
    if covariance is not None:
        of_coefficients = covariance.diagonal()[:k].sqrt().tolist()
    return Fitted(
        len(events),
        intensity,
        estimates,
        tuple(
            _symmetric(c, e) for c, e in zip(background.coefficients.tolist(), of_coefficients, strict=True)
        ),
        intensity.log_likelihood(events, pairs).item(),
        intervals_undefined=because,
    )


def _positive(value: float, log_error: float | None) -> Estimate:
    """Of a parameter whose logarithm is about normal."""
    if log_error is None:
        return Estimate(value)
    factor = math.exp(min(_Z95 * log_error, 700.0))  # near the largest power of e that a float holds
    return Estimate(value, value * log_error, value / factor, value * factor)


def _symmetric(value: float, error: float | None) -> Estimate:
    if error is None:
        return Estimate(value)
    return Estimate(value, error, value - _Z95 * error, value + _Z95 * error)
