"""How far a recovered camera path is from the requested one, in every convention that papers publish."""

from eval.trajectories.conventions import ERRORS, WORST
from eval.trajectories.errors import PathError, trajectory_errors

__all__ = ["ERRORS", "WORST", "PathError", "trajectory_errors"]
