"""Depth from swept photos by a small network, trained on procedural places, that says how sure it is."""

from recon.depth.learned.weights import DepthWeights, load_depth_weights

__all__ = ["DepthWeights", "load_depth_weights"]
