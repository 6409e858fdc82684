"""Captures of what moves: several cameras that filmed it at the same times, or one."""

from recon.capture.moving.capture import MovingCapture
from recon.capture.moving.read import read_moving_capture

__all__ = ["MovingCapture", "read_moving_capture"]
