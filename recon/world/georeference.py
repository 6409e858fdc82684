"""Georeferencing of a scene from GPS or control points: metres east, north and up of an origin."""

from dataclasses import dataclass, replace
from itertools import combinations
from math import comb
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import normalize

from recon.bounded import parse_number, read_csv, read_text
from recon.errors import BridgeError, CaptureError
from recon.pictures.gps import Place, enu_from_places, read_place
from recon.sim3 import Sim3, fit_similarity

LEAST_POINTS = 3
"""Points that fix a similarity."""
LINE = 0.05
"""Points whose spread across their main direction is below this share of that along it leave the turn about the
line open; the vertical of the scene closes it."""
TRIALS = 500
"""Triples that are tried at most; with half of the points wrong, one in eight triples is right."""
OUTLIER = 2.5
"""Residuals beyond so many robust standard deviations are left out (Rousseeuw & Leroy 1987)."""

SMALLEST_OUTLIER = 1e-3
"""Share of the extent below which a residual is no outlier, however well the others fit."""
GPS_NOISE_M = 2.0
"""Usual error of GPS without corrections: smaller residuals are no outliers, however well the other photos fit. A drone's
return strips, a metre aside, are such photos."""


@dataclass(frozen=True)
class Georeference:
    """Position of a scene on Earth, and its residuals."""

    enu_from_scene: Sim3
    """Into metres east, north and up of `origin`."""
    origin: Place
    """Place on Earth where the metres are 0."""
    names: tuple[str, ...]
    """Photos or control points that were compared."""
    residuals_m: Float[Tensor, "n"]
    """How far each is from where the scene puts it."""
    used: Bool[Tensor, "n"]
    """False for those left out as outliers."""
    distances_m: tuple[float, float]
    """Median and largest difference between the distances of used pairs in the scene and on the map."""
    source: str
    """For people: '18 photos with GPS' …"""

    @property
    def wkt(self) -> str:
        """Coordinate system of the metres: a transverse Mercator projection about the origin, WKT 1.

        East and north agree with the tangent plane to a millimetre within 3 km; heights fall short by the Earth's
        curvature, 8 cm at 1 km.
        """
        return (
            'PROJCS["local metres about the scene",GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],'
            'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],'
            f'PARAMETER["latitude_of_origin",{self.origin.latitude_deg:.10f}],'
            f'PARAMETER["central_meridian",{self.origin.longitude_deg:.10f}],PARAMETER["scale_factor",1],'
            'PARAMETER["false_easting",0],PARAMETER["false_northing",0],UNIT["metre",1],AXIS["Easting",EAST],'
            'AXIS["Northing",NORTH]]'
        )

    def as_json(self) -> dict:
        """What the sidecar says."""
        return {
            "origin": {
                "latitude_deg": self.origin.latitude_deg,
                "longitude_deg": self.origin.longitude_deg,
                "height_m": self.origin.height_m,
            },
            "enu": "metres east, north and up of the origin (tangent plane to WGS 84)",
            "crs_wkt": self.wkt,
        } | self.residuals_as_json()

    def residuals_as_json(self) -> dict:
        """How well places on Earth and in the scene agree."""
        used = self.residuals_m[self.used]
        return {
            "source": self.source,
            "metres_per_scene_unit": float(self.enu_from_scene.scale),
            "residual_m": {
                "median": round(float(used.median()), 4),
                "largest": round(float(used.max()), 4),
                "left_out": [n for n, u in zip(self.names, self.used.tolist(), strict=True) if not u],
                "each": {n: round(r, 4) for n, r in zip(self.names, self.residuals_m.tolist(), strict=True)},
            },
            "distances_m": {
                "median_difference": round(self.distances_m[0], 4),
                "largest_difference": round(self.distances_m[1], 4),
            },
        }


def georeference_photos(
    photos: dict[str, Path], centers: dict[str, Float[Tensor, "3"]], *, up: Float[Tensor, "3"] | None = None
) -> Georeference:
    """From the GPS in photos' EXIF and where the scene has their cameras.

    Args:
        photos: files by name; those without GPS are passed over.
        centers: camera centres in the scene, by the same names.
        up: the scene's vertical; needed where the photos lie in a line.

    Raises:
        CaptureError: fewer than three photos with GPS, or all from one place.
    """
    places = {
        n: place for n, file in photos.items() if n in centers and (place := read_place(file)) is not None
    }
    return georeference_places(places, centers, up=up)


def georeference_places(
    places: dict[str, Place], centers: dict[str, Float[Tensor, "3"]], *, up: Float[Tensor, "3"] | None = None
) -> Georeference:
    """As `georeference_photos`, from the places of photos; those without a camera in `centers` are passed over."""
    places = {n: place for n, place in places.items() if n in centers}
    if len(places) < LEAST_POINTS:
        raise CaptureError(
            f"expected at least {LEAST_POINTS} photos with GPS in their EXIF to georeference the scene, found "
            f"{len(places)} of {len(centers)}; give control points instead (--georeference points.csv)"
        )
    source = f"GPS of {len(places)} photos"
    return _georeference(places, {n: centers[n] for n in places}, up, source, GPS_NOISE_M)


def georeference_points(
    file: Path, centers: dict[str, Float[Tensor, "3"]], *, up: Float[Tensor, "3"] | None = None
) -> Georeference:
    """From control points: a CSV with `name`, `latitude`, `longitude`, `height` and, unless the name is that of a
    photo, `x`, `y`, `z` in the scene.

    Raises:
        CaptureError: not such a file, fewer than three points, or points that coincide.
    """
    places: dict[str, Place] = {}
    scene: dict[str, Tensor] = {}
    if not file.exists():
        raise CaptureError(f"expected a CSV of control points at {file}, found nothing")
    table = read_csv(read_text(file, error=CaptureError), file, error=CaptureError)
    for line, cells in enumerate(table[1:], start=2):
        row = dict(zip(table[0], cells, strict=False))
        if not any(cells):
            continue
        try:
            name = row["name"]
            if name in places:
                raise ValueError(f"{name} is there twice")
            places[name] = Place(
                parse_number(row["latitude"], "latitude", least=-90, most=90),
                parse_number(row["longitude"], "longitude", least=-360, most=360),
                parse_number(row["height"], "height") if row.get("height") else None,
            )
            if row.get("x"):
                scene[name] = torch.tensor([parse_number(row[k], k) for k in "xyz"], dtype=torch.float64)
            else:
                scene[name] = centers[name]
        except (KeyError, ValueError, BridgeError) as error:
            raise CaptureError(
                f"{file}, line {line}: expected name, latitude, longitude, height and x, y, z, or the name of a photo "
                f"of the scene ({error})"
            ) from error
    if len(places) < LEAST_POINTS:
        raise CaptureError(f"expected at least {LEAST_POINTS} control points in {file}, found {len(places)}")
    return _georeference(places, scene, up, f"{len(places)} control points", 0.0)


def _georeference(
    places: dict[str, Place],
    scene: dict[str, Tensor],
    up: Float[Tensor, "3"] | None,
    source: str,
    noise_m: float,
) -> Georeference:
    places, flat = _with_heights(places)
    names = tuple(places)
    origin = _origin(list(places.values()))
    enu = enu_from_places([places[n] for n in names], origin)
    xyz = torch.stack([scene[n].double() for n in names])
    found, used = fit_robustly(xyz, enu, up=up, noise_m=noise_m, flat=flat)
    residuals = (found.points(xyz) - enu).norm(dim=-1)
    pairs = torch.combinations(torch.arange(len(names))[used], 2)
    ours = float(found.scale) * (xyz[pairs[:, 0]] - xyz[pairs[:, 1]]).norm(dim=-1)
    theirs = (enu[pairs[:, 0]] - enu[pairs[:, 1]]).norm(dim=-1)
    off = (ours - theirs).abs()
    return Georeference(
        found, origin, names, residuals, used, (float(off.median()), float(off.max())), source
    )


def _with_heights(places: dict[str, Place]) -> tuple[dict[str, Place], bool]:
    """Places with a known height, if enough; else all, at height 0, and True."""
    known = {name: place for name, place in places.items() if place.height_m is not None}
    if len(known) >= LEAST_POINTS:
        return known, False
    return {name: replace(place, height_m=0.0) for name, place in places.items()}, True


def _origin(places: list[Place]) -> Place:
    """The median place: an outlier does not move it, and coordinates near it keep their digits."""
    each = torch.tensor([[p.latitude_deg, p.longitude_deg, p.height_m] for p in places], dtype=torch.float64)
    return Place(*each.median(0).values.tolist())


def fit_robustly(
    xyz: Float[Tensor, "n 3"],
    enu: Float[Tensor, "n 3"],
    *,
    up: Float[Tensor, "3"] | None = None,
    noise_m: float = 0.0,
    flat: bool = False,
) -> tuple[Sim3, Bool[Tensor, "n"]]:
    """The similarity ``enu_from_scene`` from pairs of which up to half may be wrong, and which were used.

    Least median of squares over triples (all of them, or 500 spread evenly), outliers left out by their robust
    deviation, then least squares on the rest. Residuals below `noise_m` are never outliers. `flat`:
    heights are not known, so that `up` has to tell the vertical.

    Raises:
        CaptureError: points that coincide, or lie in a line while `up` is not known.
    """
    spread = torch.linalg.svdvals(enu - enu.mean(0))
    if float(spread[0]) < 1e-6:
        raise CaptureError(
            "all points of the georeference lie in one place, so that neither scale nor direction follows"
        )
    fit = _upright_fit(up) if flat or _in_a_line(enu) else fit_similarity
    best: tuple[float, Sim3] | None = None
    for triple in _triples(len(xyz)):
        found = fit(xyz[triple], enu[triple])
        if found is None:
            continue
        median = float((found.points(xyz) - enu).norm(dim=-1).median())
        if best is None or median < best[0]:
            best = (median, found)
    if best is None:
        raise CaptureError(
            "the points of the georeference contradict each other: no similarity maps the scene onto them"
        )
    # 1.4826 makes the median absolute residual a standard deviation; the bracket is Rousseeuw's for few points
    deviation = 1.4826 * (1 + 5 / max(1, len(xyz) - LEAST_POINTS)) * best[0]
    extent = float(torch.cdist(enu, enu).max())
    used = (best[1].points(xyz) - enu).norm(dim=-1) <= max(
        OUTLIER * deviation, SMALLEST_OUTLIER * extent, noise_m
    )
    if int(used.sum()) < LEAST_POINTS:
        return best[1], used
    if flat or _in_a_line(enu[used]):  # what lay beside it was wrong
        fit = _upright_fit(up)
    found = fit(xyz[used], enu[used])
    return (best[1], used) if found is None else (found, used)


def _in_a_line(points: Float[Tensor, "n 3"]) -> bool:
    spread = torch.linalg.svdvals(points - points.mean(0))
    return bool(spread[1] < LINE * spread[0])


def _triples(n: int) -> list[list[int]]:
    """All triples, or `TRIALS` drawn ones where there are more; the same each time."""
    if comb(n, LEAST_POINTS) <= TRIALS:
        return [list(triple) for triple in combinations(range(n), LEAST_POINTS)]
    generator = torch.Generator().manual_seed(0)
    return [torch.randperm(n, generator=generator)[:LEAST_POINTS].tolist() for _ in range(TRIALS)]


def _upright_fit(up: Float[Tensor, "3"] | None):
    """A fit for points in a line: heading and scale from them, the vertical from the scene."""
    if up is None:
        raise CaptureError(
            "the points of the georeference lie in a line, or have no heights, and the scene's vertical is not known; add "
            "points beside the line, with heights"
        )
    vertical = normalize(up.double(), dim=0)
    return lambda a, b: _fit_heading(a, b, vertical)


def _fit_heading(a: Tensor, b: Tensor, up: Tensor) -> Sim3 | None:
    """Similarity whose turn brings `up` to +z; the heading is fitted (Umeyama in the plane)."""
    side = torch.linalg.cross(up, torch.eye(3, dtype=torch.float64)[int(up.abs().argmin())])
    side = normalize(side, dim=0)
    level = torch.stack([side, torch.linalg.cross(up, side), up])
    da, db = (a - a.mean(0)) @ level.T, b - b.mean(0)
    cosine = float((da[:, 0] * db[:, 0] + da[:, 1] * db[:, 1]).sum())
    sine = float((da[:, 0] * db[:, 1] - da[:, 1] * db[:, 0]).sum())
    size = (cosine * cosine + sine * sine) ** 0.5
    if size == 0:
        return None
    heading = torch.eye(3, dtype=torch.float64)
    heading[:2, :2] = torch.tensor([[cosine, -sine], [sine, cosine]], dtype=torch.float64) / size
    rotation = heading @ level
    # scale from the plane alone: heights may be unknown, and then they are all 0
    scale = torch.tensor(size, dtype=torch.float64) / da[:, :2].square().sum()
    return Sim3(scale, rotation, b.mean(0) - scale * (rotation @ a.mean(0)))
