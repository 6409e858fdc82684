"""Fits against the truth that events were drawn from."""

import math

import pytest
import torch

from eval.events.background import Background, Basis
from eval.events.fit import Estimate, Fitted, fit_hawkes, fit_poisson
from eval.events.intensity import Excitation, Intensity
from eval.events.residuals import check_times, rescale_times
from eval.events.simulate import simulate
from eval.events.window import Events, EventsError, Window
from recon.compute.seeds import make_generator

WINDOW = Window(120.0, width=320, height=240)
TRUE = {"background_per_s": 1.0, "alpha": 0.5, "beta_per_s": 2.0, "sigma_px": 15.0}
HAWKES = Intensity.constant(WINDOW, 1.0, Excitation.of(0.5, beta_per_s=2.0, sigma_px=15.0))
BASIS = Basis(time=1, space=1)
WAVED = Background(WINDOW, BASIS, torch.tensor([0.8, 0.6, -0.7, 0.4], dtype=torch.float64))


def covers(estimate: Estimate, truth: float) -> bool:
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.low <= truth <= estimate.high


@pytest.fixture(scope="module")
def bursts() -> Events:
    return simulate(HAWKES, generator=make_generator(3))


@pytest.fixture(scope="module")
def fitted(bursts: Events) -> Fitted:
    return fit_hawkes(bursts)


def test_a_hawkes_process_is_recovered(fitted: Fitted) -> None:
    assert fitted.undefined == fitted.intervals_undefined == ""
    for name, truth in TRUE.items():
        found = fitted.estimates[name]
        assert covers(found, truth), name
        assert found.value == pytest.approx(truth, rel=0.35)
        assert found.standard_error is not None
        assert found.low == pytest.approx(
            found.value * math.exp(-1.96 * found.standard_error / found.value), rel=1e-3
        )


def test_at_the_maximum_as_many_events_are_expected_as_came(fitted: Fitted, bursts: Events) -> None:
    """Scaling all rates by one factor is among the parameters, so the likelihood's slope along it is n − ∫λ = 0."""
    assert fitted.intensity is not None
    assert fitted.intensity.integral(bursts).item() == pytest.approx(len(bursts), rel=1e-4)
    assert rescale_times(fitted.intensity, bursts).sum().item() < len(bursts)
    likelier = fitted.log_likelihood
    assert likelier is not None
    assert likelier > HAWKES.log_likelihood(bursts).item()


def test_a_waved_poisson_process_is_recovered() -> None:
    events = simulate(Intensity(WAVED), generator=make_generator(5))
    found = fit_poisson(events, basis=BASIS)
    assert all(covers(c, t) for c, t in zip(found.coefficients, WAVED.coefficients.tolist(), strict=True))
    assert covers(found.estimates["background_per_s"], WAVED.per_s().item())
    # of a constant rate all is known: the mean is n/T, its error √n/T
    constant = fit_poisson(events, basis=Basis()).estimates["background_per_s"]
    assert constant.value == pytest.approx(len(events) / 120, rel=1e-6)
    assert constant.standard_error == pytest.approx(math.sqrt(len(events)) / 120, rel=1e-6)


def test_a_hawkes_process_over_a_waved_background_is_recovered() -> None:
    background = Background(WINDOW, Basis(space=1), torch.tensor([0.5, -0.7, 0.4], dtype=torch.float64))
    truth = Intensity(background, HAWKES.excitation)
    found = fit_hawkes(simulate(truth, generator=make_generator(6)), basis=Basis(space=1))
    assert all(covers(found.estimates[name], TRUE[name]) for name in ("alpha", "beta_per_s", "sigma_px"))
    assert all(
        covers(c, t) for c, t in zip(found.coefficients, background.coefficients.tolist(), strict=True)
    )


def test_time_rescaling_accepts_the_truth_and_refuses_a_poisson_process(
    fitted: Fitted, bursts: Events
) -> None:
    p_values = [check_times(x, bursts).p_value for x in (HAWKES, fitted.intensity)]
    assert all(p is not None and p > 0.2 for p in p_values)
    for basis in (Basis(), Basis(time=2, space=2)):
        refused = check_times(fit_poisson(bursts, basis=basis).intensity, bursts).p_value
        assert refused is not None
        assert refused < 0.01


def test_rescaled_gaps_by_hand() -> None:
    """Deep inside of a large picture nothing of a kernel is lost."""
    window = Window(10.0, width=2000, height=2000)
    truth = Intensity.constant(window, 3.0, Excitation.of(0.5, beta_per_s=2.0, sigma_px=5.0))
    events = Events(torch.tensor([1.0, 2.0, 2.0, 4.0]), torch.full((4, 2), 1000.0), window)
    decayed = 0.5 * (1 - math.exp(-2.0))
    last = 6.0 + 0.5 * (1 - math.exp(-4.0)) * (math.exp(-2.0) + 2)
    assert rescale_times(truth, events).tolist() == pytest.approx([3.0, 3.0 + decayed, 0.0, last])


def test_the_gaps_of_a_waved_background_add_up_to_its_integral() -> None:
    truth = Intensity(WAVED, HAWKES.excitation)
    events = simulate(truth, generator=make_generator(8))
    ended = Window(events.times_s[-1].item(), width=320, height=240)
    # the background keeps its own window, of which this is the first part
    after = WAVED.between(events.times_s[-1:], torch.tensor([120.0], dtype=torch.float64)).item()
    left = Intensity(WAVED).integral(events).item() - after
    kernels = (
        Intensity.constant(ended, 1e-9, HAWKES.excitation)
        .integral(Events(events.times_s, events.xy, ended))
        .item()
    )
    assert rescale_times(truth, events).sum().item() == pytest.approx(left + kernels, rel=1e-6)


def test_too_few_events_are_no_exception() -> None:
    for n in (0, 1, 4, 19):
        few = Events(torch.linspace(1, 100, n), torch.full((n, 2), 50.0), WINDOW)
        found = fit_hawkes(few)
        assert found.undefined == f"{n} events, 20 are needed for 4 parameters"
        assert (found.intensity, found.estimates, found.log_likelihood) == (None, {}, None)
        assert check_times(found.intensity, few).undefined == "there is no fit"
        assert "needed for 8 parameters" in fit_poisson(few).undefined
    assert check_times(HAWKES, few.before(20.0)).undefined == "4 events, 5 are needed"


def test_events_on_top_of_one_another_have_no_width() -> None:
    place = torch.rand(10, 2, generator=make_generator(0), dtype=torch.float64) * 200
    stacked = Events(torch.linspace(1, 100, 30, dtype=torch.float64), place.repeat_interleave(3, 0), WINDOW)
    assert "on top of one another" in fit_hawkes(stacked).undefined


def test_events_that_set_off_nothing_have_no_intervals() -> None:
    """A draw of a Poisson process that no kernel explains better; in about half of the draws one does, by chance."""
    found = fit_hawkes(simulate(Intensity.constant(WINDOW, 1.5), generator=torch.Generator().manual_seed(1)))
    assert "of 153 events are put down to earlier ones" in found.intervals_undefined
    assert found.estimates["sigma_px"].low is None
    assert found.estimates["background_per_s"].value == pytest.approx(153 / 120, rel=1e-4)


def test_simulation_is_as_often_as_expected_and_repeats() -> None:
    """Counts of many windows; a branching process without losses would have 1/(1 − alpha) as many as the background."""
    counts = torch.tensor([len(simulate(HAWKES, generator=make_generator(9, i))) for i in range(60)]).double()
    wide = counts.mean().item()
    assert 0.85 * 240 < wide < 240, "what leaves the picture or the window is not seen"
    # the integral given the events is a martingale's compensator: its mean is that of the counts
    expected = [HAWKES.integral(simulate(HAWKES, generator=make_generator(9, i))).item() for i in range(60)]
    gap = counts - torch.tensor(expected, dtype=torch.float64)
    assert abs(gap.mean().item()) < 3 * gap.std().item() / math.sqrt(60)
    again = [simulate(Intensity(WAVED, HAWKES.excitation), generator=make_generator(1)) for _ in range(2)]
    assert torch.equal(again[0].xy, again[1].xy)
    poisson = torch.tensor(
        [len(simulate(Intensity(WAVED), generator=make_generator(2, i))) for i in range(60)]
    )
    mean = 120 * WAVED.per_s().item()
    assert poisson.double().mean().item() == pytest.approx(mean, abs=3 * math.sqrt(mean / 60))


def test_endless_processes_are_not_simulated() -> None:
    endless = Intensity.constant(WINDOW, 1.0, Excitation.of(1.0, beta_per_s=2.0, sigma_px=15.0))
    with pytest.raises(EventsError, match="alpha below 1, got 1"):
        simulate(endless, generator=make_generator(0))
    with pytest.raises(EventsError, match="at most 1000000 events"):
        simulate(Intensity.constant(WINDOW, 1e5), generator=make_generator(0))


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """60 windows: of a true 95%, fewer than 51 hits have a chance of less than 0.1% for each parameter."""
    hits = dict.fromkeys(TRUE, 0)
    for i in range(60):
        found = fit_hawkes(simulate(HAWKES, generator=make_generator(20, i)))
        for name, truth in TRUE.items():
            hits[name] += covers(found.estimates[name], truth)
    assert min(hits.values()) >= 51, hits
