"""Dense depth of every photo of a posed capture, from the photos alone."""

from pathlib import Path
from typing import Literal, get_args

from recon.clip import PictureSet
from recon.depth.learned import LearnedSearch, load_depth_weights
from recon.depth.maps import DepthMaps
from recon.depth.search import DepthSearch, Engine
from recon.errors import ReconstructionError
from recon.points import PointCloud

__all__ = ["DepthMaps", "Method", "multiview_depth"]

Method = Literal["search", "learned"]
"""How depth is filled in where photos do not agree: by an edge-aware filter, or by a trained network."""


def multiview_depth(
    clip: PictureSet,
    *,
    points: PointCloud | None = None,
    neighbours: int = 4,
    planes: int = 96,
    max_side: int = 640,
    passes: Literal[1, 2] = 1,
    engine: Engine = "auto",
    method: Method = "search",
    weights: Path | None = None,
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
        method: 'learned' leaves filling in to a network that is told all costs and what the photos agree on; its
            confidence there is 0.3 times the probability that the depth is within 2% of the truth. Needs 96 planes.
        weights: of that network; None for those that come with the package.
        engine: 'numba' on CPUs; 'torch' on CUDA where there is one, else slowly; 'auto': torch where CUDA is.

    Raises:
        CaptureError: a clip without cameras.
        ReconstructionError: fewer than two photos, or all from the same place; fewer than three planes or no
            neighbours; passes, an engine or a method that there is not.
        BridgeError: weights that are none of this network.
    """
    check_method(method)
    small = clip.limit_size(max_side)
    if method == "learned":
        search = LearnedSearch(
            small, points=points, neighbours=neighbours, planes=planes, passes=passes, engine=engine,
            weights=load_depth_weights(weights),
        )  # fmt: skip
    else:
        search = DepthSearch(
            small, points=points, neighbours=neighbours, planes=planes, passes=passes, engine=engine
        )
    return search.complete().resize(width=clip.width, height=clip.height)


def check_method(method: str) -> None:
    """Checks that there is such a way to fill in depth.

    Raises:
        ReconstructionError: there is not.
    """
    if method not in get_args(Method):
        raise ReconstructionError(f"expected the method search or learned, got {method!r}; pass one of these")
