"""Put the world of a reconstruction from scratch in metres and upright, by the GPS of its photos."""

from dataclasses import replace

import torch

from bridge4d.stages.capture import CaptureRecord
from recon.clip import PictureSet
from recon.errors import CaptureError
from recon.pictures.gps import Place
from recon.scenefiles.axes import Axes, axes_from_rdf
from recon.sim3 import Sim3
from recon.world.georeference import GPS_NOISE_M, Georeference, georeference_places
from recon.world.upright import estimate_up

LEAST_PHOTOS = 5
"""Photos with GPS without which it is not used: of three places the seven numbers of a similarity leave two to check it by."""
LEAST_EXTENT_M = 10 * GPS_NOISE_M
"""Extent of the places below which their noise would tell more of the scale than they do: it then errs by about a tenth over it."""
MAX_RESIDUAL_SHARE = 0.05
"""Median residual, as a share of the extent, above which places and reconstruction tell of different paths."""


def find_metric_world(posed: PictureSet, record: CaptureRecord) -> tuple[Sim3, Georeference] | None:
    """The similarity from the world of reconstructed photos to metres: x east, y down, z north of their median place.

    None where too few photos have GPS, they stand too close to each other, or their places contradict the reconstruction.
    """
    cameras = posed.require_cameras()
    places = {name: Place(*place) for name, place in record["places"].items()}
    centers = dict(zip(posed.names, cameras.centers.double(), strict=True))
    up = estimate_up(cameras)
    try:
        found = georeference_places(places, centers, up=None if up is None else up.direction)
    except CaptureError:  # too few, or all in one place
        return None
    used = found.enu_from_scene.points(
        torch.stack([centers[n] for n, kept in zip(found.names, found.used.tolist(), strict=True) if kept])
    )
    extent = float(torch.cdist(used, used).max()) if len(used) else 0.0
    residual = float(found.residuals_m[found.used].median()) if len(used) else float("inf")
    if len(used) < LEAST_PHOTOS or extent < LEAST_EXTENT_M or residual > MAX_RESIDUAL_SHARE * extent:
        return None
    rdf_from_enu = replace(Sim3.identity(), rotation=axes_from_rdf(Axes.Z_UP).T.contiguous())
    return rdf_from_enu.compose(found.enu_from_scene), found
