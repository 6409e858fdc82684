"""Dense depth from posed photos: plane sweep, semi-global aggregation, slanted refinement, completion."""

from recon.depth.multiview import DepthMaps, multiview_depth
from recon.depth.surfaces import surface_points

__all__ = ["DepthMaps", "multiview_depth", "surface_points"]
