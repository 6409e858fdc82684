"""Events, onsets of masks, and the intensity against what it must be by hand and by brute force."""

import math
from dataclasses import replace

import pytest
import torch

from eval.events.background import Background, Basis
from eval.events.fit import Fitted
from eval.events.intensity import Excitation, Intensity, Pairs
from eval.events.onsets import find_onsets, spread_events
from eval.events.predict import predict
from eval.events.window import Events, EventsError, Window

WINDOW = Window(10.0, width=64, height=48)
KERNEL = Excitation.of(0.6, beta_per_s=0.7, sigma_px=9.0)
THREE = Events(
    torch.tensor([1.0, 2.5, 6.0], dtype=torch.float64),
    torch.tensor([[3.0, 5.0], [60.0, 47.0], [30.0, 20.0]], dtype=torch.float64),
    WINDOW,
)


def waved(generator: torch.Generator, scale: float = 0.7) -> Background:
    """A background with every cosine of a basis."""
    basis = Basis(time=2, space=2)
    return Background(
        WINDOW, basis, scale * torch.randn(basis.size, generator=generator, dtype=torch.float64)
    )


@pytest.mark.parametrize(
    ("times", "xy", "message"),
    [
        ([2.0, 1.0], [[1.0, 1.0], [1.0, 1.0]], "to rise"),
        ([1.0, 11.0], [[1.0, 1.0], [1.0, 1.0]], "one at 11 s"),
        ([1.0], [[65.0, 1.0]], "within 10 s of 64x48"),
        ([1.0], [[1.0, math.nan]], "within 10 s of 64x48"),
    ],
)
def test_events_out_of_order_or_window_are_refused(times: list, xy: list, message: str) -> None:
    with pytest.raises(EventsError, match=message):
        Events(torch.tensor(times), torch.tensor(xy), WINDOW)


@pytest.mark.parametrize("duration_s", [0.0, -1.0, math.nan, math.inf])
def test_a_window_without_duration_is_refused(duration_s: float) -> None:
    with pytest.raises(EventsError, match="positive, finite duration"):
        replace(WINDOW, duration_s=duration_s)


def test_onsets_of_masks_by_hand() -> None:
    """A cell starts, goes on and starts again; another is at work from the first frame on; a third has too few pixels."""
    masks = torch.zeros(
        5, 6, 10, dtype=torch.bool
    )  # cells of 4: two rows (4 and 2 px), three columns (4, 4 and 2)
    masks[1:3, 0:4, 4:8] = True
    masks[4, 0:4, 4:8] = True
    masks[:, 0:4, 0:4] = True
    masks[2, 4, 0] = True  # one of 8 pixels is more than a tenth
    masks[3, 0, 8] = True  # so is one of 8
    masks[3, 4:6, 4:8] = False
    times = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.5])
    found = find_onsets(masks, times, 4)
    assert found.times_s.tolist() == [0.5, 1.0, 1.5, 2.5]
    assert found.xy.tolist() == [[6.0, 2.0], [2.0, 5.0], [9.0, 2.0], [6.0, 2.0]]
    assert found.window == Window(2.5, width=10, height=6)
    assert find_onsets(masks, times, 4, share=0.2).times_s.tolist() == [0.5, 2.5]
    assert len(find_onsets(torch.zeros_like(masks), times, 4)) == 0


def test_masks_need_times_that_rise_from_zero() -> None:
    masks = torch.zeros(2, 4, 4, dtype=torch.bool)
    for times in ([0.5, 1.0], [0.0, 0.0]):
        with pytest.raises(EventsError, match="rise from 0"):
            find_onsets(masks, torch.tensor(times), 2)


def test_spread_events_stay_in_their_cell_and_frame(generator) -> None:
    times = torch.arange(40, dtype=torch.float64) / 8
    masks = torch.rand(40, 30, 50, generator=generator) < 0.1
    found = find_onsets(masks, times, 8)
    spread = spread_events(found, times, 8, generator=generator)
    assert len(spread) == len(found) > 100
    assert len(spread.times_s.unique()) == len(found)
    assert (spread.xy[:, 0].max() > 48) & (spread.xy[:, 0].max() <= 50)

    def census(events: Events) -> list:
        """Frames and cells, sorted."""
        frame = (events.times_s * 8).ceil().long()
        cell = (events.xy / 8).long().clamp(max=torch.tensor([6, 3]))
        return sorted(torch.cat([frame[:, None], cell], 1).tolist())

    assert census(spread) == census(found)


def test_the_integral_is_that_of_a_fine_grid(generator) -> None:
    """Midpoints of pixels and of 200 steps of time, at whose edges the events lie; the kernel is written out."""
    intensity = Intensity(waved(generator), KERNEL)
    steps = 200
    times = (torch.arange(steps, dtype=torch.float64) + 0.5) * WINDOW.duration_s / steps
    x = torch.arange(WINDOW.width, dtype=torch.float64) + 0.5
    y = torch.arange(WINDOW.height, dtype=torch.float64) + 0.5
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(-1, 2)
    total = 0.0
    for time in times.tolist():
        rate = intensity.background.log_rate(torch.full((len(grid),), time, dtype=torch.float64), grid).exp()
        for at, xy in zip(THREE.times_s.tolist(), THREE.xy, strict=True):
            if at < time:
                squared = (grid - xy).square().sum(1)
                rate += 0.6 * 0.7 * math.exp(-0.7 * (time - at)) * torch.exp(-squared / 162) / (162 * math.pi)
        total += rate.sum().item() * WINDOW.duration_s / steps
    assert intensity.integral(THREE).item() == pytest.approx(total, rel=2e-4)
    assert intensity.background.per_s().item() * 10 < total - 0.5, "the kernels count for something"


def test_rates_by_hand_and_none_of_one_time_excite_each_other() -> None:
    intensity = Intensity.constant(WINDOW, 3.0, KERNEL)
    base = 3.0 / (64 * 48)
    twins = Events(torch.tensor([1.0, 1.0, 2.0]), torch.tensor([[3.0, 5.0], [4.0, 5.0], [3.0, 8.0]]), WINDOW)
    late = 0.42 * math.exp(-0.7) / (162 * math.pi) * (math.exp(-9 / 162) + math.exp(-10 / 162))
    assert intensity.rates(twins).tolist() == pytest.approx([base, base, base + late])


def test_the_gradient_is_that_of_finite_differences(generator) -> None:
    start = torch.cat([waved(generator).coefficients, KERNEL.logs])
    pairs, k = Pairs.of(THREE), Basis(2, 2).size

    def log_likelihood(theta: torch.Tensor) -> torch.Tensor:
        background = Background(WINDOW, Basis(2, 2), theta[:k])
        return Intensity(background, Excitation(theta[k:])).log_likelihood(THREE, pairs)

    assert torch.autograd.gradcheck(log_likelihood, start.requires_grad_(True), eps=1e-6, atol=1e-6)


def test_the_map_is_what_one_computes_by_hand() -> None:
    fitted = Fitted(3, Intensity.constant(WINDOW, 3.0, KERNEL))
    found = predict(fitted, THREE, 2.5, (2, 4))  # the event at 2.5 s is not before it

    def normal(z: float) -> float:
        return 0.5 * (1 + math.erf(z / math.sqrt(2)))

    for row in range(2):
        for column in range(4):
            x = normal((16 * column + 13) / 9) - normal((16 * column - 3) / 9)
            y = normal((24 * row + 19) / 9) - normal((24 * row - 5) / 9)
            wanted = 3.0 / 8 + 0.6 * 0.7 * math.exp(-0.7 * 1.5) * x * y
            assert found[row, column].item() == pytest.approx(wanted, rel=1e-12)
    assert found.argmax() == 0


def test_cells_of_a_waved_background_add_up_to_the_whole_and_match_points(generator) -> None:
    intensity = Intensity(waved(generator))
    fine = intensity.in_cells(THREE, 4.0, 48, 64)
    assert intensity.in_cells(THREE, 4.0, 1, 1).item() == pytest.approx(fine.sum().item(), rel=1e-9)
    assert torch.allclose(
        intensity.in_cells(THREE, 4.0, 6, 4), fine.reshape(6, 8, 4, 16).sum((1, 3)), rtol=1e-9
    )
    center = torch.tensor([[20.5, 30.5]], dtype=torch.float64)
    rate = intensity.background.log_rate(torch.tensor([4.0], dtype=torch.float64), center).exp()
    assert fine[30, 20].item() == pytest.approx(rate.item(), rel=1e-3)  # a pixel is nearly a point


def test_a_map_without_a_fit_or_of_another_picture() -> None:
    assert predict(Fitted(0, undefined="no events"), THREE, 1.0, (2, 3)).isnan().sum() == 6
    other = Events(THREE.times_s, THREE.xy, replace(WINDOW, width=640))
    fitted = Fitted(3, Intensity.constant(WINDOW, 3.0))
    with pytest.raises(EventsError, match="640x48; scale"):
        predict(fitted, other, 1.0, (2, 3))
    with pytest.raises(EventsError, match="time from 0 on"):
        predict(fitted, THREE, -1.0, (2, 3))


def test_what_makes_no_model_is_refused() -> None:
    for wrong in ({"alpha": 0.0}, {"beta_per_s": -1.0}, {"sigma_px": math.nan}):
        with pytest.raises(EventsError, match="positive alpha, beta and sigma"):
            Excitation.of(**({"alpha": 0.5, "beta_per_s": 1.0, "sigma_px": 3.0} | wrong))
    with pytest.raises(EventsError, match="half-waves"):
        Basis(time=5)
    with pytest.raises(EventsError, match="expected 1 coefficients"):
        Background(WINDOW, Basis(), torch.zeros(2))
