"""What moves in a clip: masks from geometry alone, without a network."""

from recon.moving.blind import find_movers_blind
from recon.moving.masks import MovingMasks, find_movers
from recon.moving.recovered import find_movers_recovered

__all__ = ["MovingMasks", "find_movers", "find_movers_blind", "find_movers_recovered"]
