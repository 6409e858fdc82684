"""Positions of photos on Earth by EXIF."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

GPS_IFD = 0x8825
"""EXIF's pointer to the directory of GPS tags."""
EQUATOR_M, FLATTENING = 6378137.0, 1 / 298.257223563
"""The ellipsoid of WGS 84."""


@dataclass(frozen=True)
class Place:
    """A point on Earth: degrees north and east, metres above the ellipsoid (phones mostly mean sea level)."""

    latitude_deg: float
    longitude_deg: float
    height_m: float | None
    """None where a photo does not say."""


def read_place(photo: Path) -> Place | None:
    """Position of a photo by EXIF; None where it is absent, 0° 0°, or the file cannot be read."""
    from PIL import Image

    try:
        with Image.open(photo) as image:
            tags = image.getexif().get_ifd(GPS_IFD)
            latitude = _degrees(tags[2]) * (-1 if _letter(tags[1]) == "S" else 1)
            longitude = _degrees(tags[4]) * (-1 if _letter(tags[3]) == "W" else 1)
            below = tags.get(5, b"\0") in (b"\1", 1)
            height = float(tags[6]) * (-1 if below else 1) if 6 in tags else None
    except Exception:  # absent tags, and whatever Pillow raises on broken files
        return None
    place = Place(latitude, longitude, height)
    usable = all(math.isfinite(v) for v in (latitude, longitude, height or 0.0)) and abs(latitude) <= 90
    # cameras without a fix write zeros
    return place if usable and abs(longitude) <= 180 and (latitude, longitude) != (0.0, 0.0) else None


def _degrees(value) -> float:
    degrees, minutes, seconds = (float(v) for v in value)
    return degrees + minutes / 60 + seconds / 3600


def _letter(value) -> str:
    return (value.decode("latin-1") if isinstance(value, bytes) else str(value)).strip("\0 ").upper()[:1]


def enu_from_places(places: list[Place], origin: Place) -> Float[Tensor, "n 3"]:
    """Metres east, north and up of an origin, in the tangent plane of the ellipsoid; float64.

    Unknown heights count as 0.
    """
    lat, lon = math.radians(origin.latitude_deg), math.radians(origin.longitude_deg)
    east = [-math.sin(lon), math.cos(lon), 0.0]
    north = [-math.sin(lat) * math.cos(lon), -math.sin(lat) * math.sin(lon), math.cos(lat)]
    up = [math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)]
    turn = torch.tensor([east, north, up], dtype=torch.float64)
    return (torch.stack([_earth_centred(p) for p in places]) - _earth_centred(origin)) @ turn.T


def _earth_centred(place: Place) -> Float[Tensor, "3"]:
    lat, lon = math.radians(place.latitude_deg), math.radians(place.longitude_deg)
    squared_eccentricity = FLATTENING * (2 - FLATTENING)
    normal = EQUATOR_M / math.sqrt(1 - squared_eccentricity * math.sin(lat) ** 2)
    height = place.height_m or 0.0
    across = (normal + height) * math.cos(lat)
    return torch.tensor(
        [
            across * math.cos(lon),
            across * math.sin(lon),
            (normal * (1 - squared_eccentricity) + height) * math.sin(lat),
        ],
        dtype=torch.float64,
    )
