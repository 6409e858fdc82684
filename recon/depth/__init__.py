"""Dense depth from posed photos: plane sweep, semi-global aggregation, slanted refinement, completion."""

from recon.depth.multiview import DepthMaps, multiview_depth

__all__ = ["DepthMaps", "multiview_depth"]
