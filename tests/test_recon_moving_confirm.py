"""What seems to move is borne out by tracked features, or counts as still."""

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from recon.moving import MovingMasks
from recon.moving.confirm import confirm_movers
from recon.sfm.matches import Matches

WIDTH, HEIGHT, FRAMES = 320, 240, 3
PATCHES = {"walker": (20, 60), "wall": (150, 60), "sky": (250, 60)}
"""Left upper corners of squares of 40 pixels that seem to move in every frame; there are no features in the sky."""
SIDE = 40


def make_masks() -> MovingMasks:
    moving = torch.zeros(FRAMES, HEIGHT, WIDTH, dtype=torch.bool)
    for x, y in PATCHES.values():
        moving[:, y : y + SIDE, x : x + SIDE] = True
    return MovingMasks(moving, moving.float())


def make_matches(frames: int = FRAMES) -> tuple[Matches, Float[Tensor, "p"]]:
    """Ten features on the walker and on the wall, each matched with all other frames; and how far they are off."""
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.tensor([PATCHES[name][axis] for name in ("walker", "wall")]) for axis in (0, 1))
    within = torch.rand(2, 10, 2, generator=generator, dtype=torch.float64) * SIDE
    xy = (within + torch.stack([x, y], -1)[:, None]).reshape(-1, 2)
    pairs = tuple((a, b) for a in range(frames) for b in range(a + 1, frames))
    rows = torch.arange(20)[:, None].expand(20, 2)
    off_px = torch.cat([torch.full((10,), 9.0), torch.full((10,), 0.4)]).double()
    return Matches(WIDTH, HEIGHT, (xy,) * frames, pairs, (rows,) * len(pairs)), off_px


def shown(masks: MovingMasks) -> set[str]:
    return {
        name for name, (x, y) in PATCHES.items() if bool(masks.moving[:, y : y + SIDE, x : x + SIDE].all())
    }


def test_only_patches_whose_features_leave_a_scene_at_rest_are_kept() -> None:
    matches, off_px = make_matches()
    found = confirm_movers(make_masks(), matches, lambda number: off_px)
    assert shown(found) == {"walker"}
    assert float(found.share.mean()) == pytest.approx(SIDE * SIDE / (WIDTH * HEIGHT))


def test_a_few_wrong_matches_on_a_wall_do_not_make_it_move() -> None:
    matches, off_px = make_matches()
    off_px[10:13] = 50.0
    assert shown(confirm_movers(make_masks(), matches, lambda number: off_px)) == {"walker"}


def test_features_that_one_frame_alone_speaks_of_are_not_asked() -> None:
    matches, off_px = make_matches(frames=2)
    masks = make_masks()
    pair = MovingMasks(masks.moving[:2], masks.confidence[:2])
    assert shown(confirm_movers(pair, matches, lambda number: off_px)) == set()


def test_residuals_that_are_unknown_say_nothing() -> None:
    matches, off_px = make_matches()
    nothing = torch.full_like(off_px, torch.nan)
    assert shown(confirm_movers(make_masks(), matches, lambda number: nothing)) == set()
