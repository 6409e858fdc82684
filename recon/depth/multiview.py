"""Dense depth of every photo of a posed capture, from the photos alone."""

from typing import Literal

from recon.clip import PictureSet
from recon.depth.maps import DepthMaps
from recon.depth.search import DepthSearch, Engine
from recon.points import PointCloud

__all__ = ["DepthMaps", "multiview_depth"]


def multiview_depth(
    clip: PictureSet,
    *,
    points: PointCloud | None = None,
    neighbours: int = 4,
    planes: int = 96,
    max_side: int = 640,
    passes: Literal[1, 2] = 1,
    engine: Engine = "auto",
) -> DepthMaps:
    """Depth by plane sweep over each photo's best neighbours, made dense and checked between photos.

    Planes in inverse depth are compared by normalised cross-correlation, aggregated along eight paths
    (semi-global matching), refined below the plane spacing, kept where another photo's depth agrees within
    2%, and completed elsewhere by an edge-aware filter.

    Args:
        clip: at least two posed photos.
        points: SfM points, which bound the search; without them the parallax of the cameras does.
        neighbours: photos to compare each photo with, at least one.
        planes: inverse depths to try, at least three.
        max_side: larger photos are searched at this long side and the depth is enlarged.
        passes: with 2 photos are searched again: the neighbours' surfaces are tried, a depth that they do not
            confirm costs more, and depths that agree within 1% are averaged. Half as long again, and closer.
        engine: 'numba' on CPUs; 'torch' on CUDA where there is one, else slowly; 'auto': torch where CUDA is.

    Raises:
        CaptureError: a clip without cameras.
        ReconstructionError: fewer than two photos, or all from the same place; fewer than three planes or no
            neighbours; passes or an engine that there is not.
    """
    small = clip.limit_size(max_side)
    search = DepthSearch(
        small, points=points, neighbours=neighbours, planes=planes, passes=passes, engine=engine
    )
    return search.complete().resize(width=clip.width, height=clip.height)
