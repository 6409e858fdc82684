"""What moves in a clip: masks from geometry alone, without a network, and by how much the clocks of cameras differ."""

from recon.moving.blind import find_movers_blind
from recon.moving.masks import MovingMasks, find_movers
from recon.moving.offsets import Offsets, find_offsets
from recon.moving.recovered import find_movers_recovered

__all__ = [
    "MovingMasks",
    "Offsets",
    "find_movers",
    "find_movers_blind",
    "find_movers_recovered",
    "find_offsets",
]
