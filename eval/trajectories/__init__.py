"""How far a recovered camera path is from the requested one, in every convention that papers publish."""

from eval.trajectories.conventions import ERRORS, WORST
from eval.trajectories.errors import ROTATION_ERRORS, PathError, trajectory_errors

__all__ = ["ERRORS", "ROTATION_ERRORS", "WORST", "PathError", "trajectory_errors"]
