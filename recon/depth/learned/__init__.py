"""Depth where photos do not agree, by a small network trained on procedural places that says how sure it is."""

from recon.depth.learned.search import LearnedSearch
from recon.depth.learned.weights import DepthWeights, load_depth_weights

__all__ = ["DepthWeights", "LearnedSearch", "load_depth_weights"]
