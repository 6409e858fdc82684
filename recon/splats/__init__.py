"""Gaussian splatting: training, rendering, and changes of a scene."""
