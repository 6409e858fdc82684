"""Paths of what moves lie where it goes."""

import torch

from bridge4d.moving.trails import DIM, draw_trails, find_trails
from recon.cameras import Cameras, intrinsics
from recon.gaussians import Gaussians
from recon.sequence import GaussianSequence, Motion

WIDTH, HEIGHT = 64, 48
CAMERA = Cameras(
    torch.eye(4, dtype=torch.float64)[None],
    intrinsics(focal_px=50.0, width=WIDTH, height=HEIGHT, n=1),
    WIDTH,
    HEIGHT,
)


def scene(places: list[list[float]], speeds: list[float], opacities: list[float]) -> GaussianSequence:
    """Gaussians that go to the right, there for half a second before and after 0.5 s."""
    g = len(places)
    moving = Gaussians(
        torch.tensor(places),
        torch.tensor([[1.0, 0, 0, 0]]).expand(g, 4),
        torch.full((g, 3), -3.0),
        torch.tensor(opacities).logit(),
        torch.zeros(g, 1, 3),
    )
    coefficients = torch.zeros(g, 3, 3)
    coefficients[:, 0, 0] = torch.tensor(speeds)
    motion = Motion(torch.full((g,), 0.5), torch.full((g,), 0.5).log(), coefficients, torch.zeros(g, 4))
    return GaussianSequence(
        moving[:0], moving, motion, torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0], dtype=torch.float64)
    )


def test_a_path_goes_where_its_gaussian_does() -> None:
    paths = find_trails(scene([[0.0, 0.0, 2.0]], [0.8], [0.9]), CAMERA, 0.5)
    assert len(paths) == 1
    # half a second at 0.8 a second, 2 in front of a lens of 50 px, is 10 px either way
    assert torch.allclose(paths[0][[0, 4, 8], 0], torch.tensor([21.5, 31.5, 41.5]), atol=1e-3)
    assert torch.allclose(paths[0][:, 1], torch.full((9,), 23.5), atol=1e-3)


def test_what_is_faint_slow_or_behind_has_no_path() -> None:
    places = [[0.0, 0.0, 2.0], [0.0, 0.0, 2.0], [0.0, 0.0, -2.0]]
    assert len(find_trails(scene(places, [0.8, 0.01, 0.8], [0.1, 0.9, 0.9]), CAMERA, 0.5)) == 0


def test_paths_are_drawn_over_a_darker_picture() -> None:
    picture = torch.full((HEIGHT, WIDTH, 3), 0.5)
    drawn = draw_trails(scene([[0.0, 0.0, 2.0]], [0.8], [0.9]), CAMERA, picture, 0.5)
    changed = (drawn - DIM * 0.5).abs().amax(2) > 0.02
    rows, columns = changed.nonzero().T
    assert 22 <= int(rows.min()) <= int(rows.max()) <= 25
    assert 20 <= int(columns.min()) <= 22
    assert 41 <= int(columns.max()) <= 43
    assert drawn[23:25, 38, 0].max() > drawn[23:25, 38, 2].max(), "where it goes is yellow"
