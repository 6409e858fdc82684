"""Scenes on the map: places from EXIF, metres from degrees, a similarity that survives wrong points."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from scipy.spatial.transform import Rotation

from recon.errors import CaptureError
from recon.pictures.gps import Place, enu_from_places, read_place
from recon.sim3 import Sim3
from recon.world.georeference import fit_robustly, georeference_photos, georeference_points

ORIGIN = Place(46.84, -91.99, 190.0)


def photo_at(place: Place, path: Path, *, height_ref: bytes = b"\0") -> Path:
    exif = Image.Exif()
    gps = exif.get_ifd(0x8825)
    for tag, value, letters in ((1, place.latitude_deg, "NS"), (3, place.longitude_deg, "EW")):
        size = abs(value)
        gps[tag] = letters[value < 0]
        gps[tag + 1] = (int(size), int(size * 60 % 60), round(size * 3600 % 60, 5))
    gps[5], gps[6] = height_ref, place.height_m
    Image.new("RGB", (8, 8)).save(path, exif=exif)
    return path


def a_similarity(seed: int = 0) -> Sim3:
    rotation = torch.from_numpy(Rotation.random(random_state=seed).as_matrix())
    return Sim3(torch.tensor(13.7, dtype=torch.float64), rotation, torch.tensor([30.0, -20.0, 5.0]).double())


def test_metres_agree_with_proj() -> None:
    pyproj = pytest.importorskip("pyproj", reason="the reference for geodesy is a development package")
    places = [Place(46.841, -91.99, 190.0), Place(46.84, -91.987, 250.0), Place(46.8395, -91.9905, 180.0)]
    pipeline = pyproj.Transformer.from_pipeline(
        f"+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad +step +proj=cart +ellps=WGS84 +step "
        f"+proj=topocentric +ellps=WGS84 +lat_0={ORIGIN.latitude_deg} +lon_0={ORIGIN.longitude_deg} +h_0={ORIGIN.height_m}"
    )
    expected = [pipeline.transform(p.longitude_deg, p.latitude_deg, p.height_m) for p in places]
    assert torch.allclose(enu_from_places(places, ORIGIN), torch.tensor(expected).double(), atol=1e-6)


def test_places_come_from_exif(tmp_path: Path) -> None:
    south = read_place(photo_at(Place(-33.5, 151.25, 12.0), tmp_path / "s.jpg", height_ref=b"\1"))
    assert south is not None
    assert (south.latitude_deg, south.longitude_deg) == pytest.approx((-33.5, 151.25), abs=1e-7)
    assert south.height_m == pytest.approx(-12)
    Image.new("RGB", (8, 8)).save(tmp_path / "plain.jpg")
    assert read_place(tmp_path / "plain.jpg") is None
    assert read_place(photo_at(Place(0.0, 0.0, 0.0), tmp_path / "nofix.jpg")) is None
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    assert read_place(tmp_path / "broken.jpg") is None


@pytest.mark.parametrize("wrong", [0, 1, 4])
def test_the_similarity_survives_wrong_points(generator: torch.Generator, wrong: int) -> None:
    truth = a_similarity()
    xyz = torch.randn(11, 3, generator=generator).double()
    enu = truth.points(xyz)
    enu[:wrong] += 200 * torch.randn(wrong, 3, generator=generator).double()
    found, used = fit_robustly(xyz, enu)
    assert used.tolist() == [False] * wrong + [True] * (11 - wrong)
    assert float(found.scale) == pytest.approx(13.7, rel=1e-9)
    assert torch.allclose(found.rotation, truth.rotation, atol=1e-9)


def test_points_in_a_line_need_the_vertical(generator: torch.Generator) -> None:
    truth = a_similarity(3)
    along = torch.tensor([[0.3, 1.0, 0.2]]).double()
    xyz = torch.linspace(0, 5, 6).double()[:, None] * along
    up = truth.rotation.T @ torch.tensor([0.0, 0.0, 1.0]).double()
    with pytest.raises(CaptureError, match="line"):
        fit_robustly(xyz, truth.points(xyz))
    found, _ = fit_robustly(xyz, truth.points(xyz), up=up)
    assert torch.allclose(found.rotation, truth.rotation, atol=1e-9)
    assert torch.allclose(found.points(xyz), truth.points(xyz), atol=1e-9)


def test_a_wrong_point_beside_a_line_does_not_tip_the_scene(generator: torch.Generator) -> None:
    truth = a_similarity(5)
    xyz = torch.linspace(0, 5, 8).double()[:, None] * torch.tensor([[0.3, 1.0, 0.2]]).double()
    xyz += 0.001 * torch.randn(8, 3, generator=generator).double()
    enu = truth.points(xyz) + 0.05 * torch.randn(8, 3, generator=generator).double()
    enu[7] += torch.tensor([80.0, -60.0, 90.0]).double()
    up = truth.rotation.T @ torch.tensor([0.0, 0.0, 1.0]).double()
    found, used = fit_robustly(xyz, enu, up=up)
    assert not used[7]
    assert float((found.rotation @ up)[2]) > 0.999


def test_hundreds_of_photos_are_no_burden(generator: torch.Generator) -> None:
    truth = a_similarity()
    xyz = torch.randn(2000, 3, generator=generator).double()
    found, _ = fit_robustly(xyz, truth.points(xyz))
    assert float(found.scale) == pytest.approx(13.7)


def test_heights_that_are_not_known_come_from_the_vertical(
    tmp_path: Path, generator: torch.Generator
) -> None:
    (tmp_path / "points.csv").write_text(
        "name,latitude,longitude,height,x,y,z\na,46.84,-91.99,,0,0,0\nb,46.8402,-91.99,,0,0,1\nc,46.84,-91.98971,,1,0,0\n"
    )
    with pytest.raises(CaptureError, match="heights"):
        georeference_points(tmp_path / "points.csv", {})
    found = georeference_points(tmp_path / "points.csv", {}, up=torch.tensor([0.0, -1.0, 0.0]).double())
    assert torch.allclose(
        found.enu_from_scene.rotation @ torch.tensor([0.0, -1, 0]).double(),
        torch.tensor([0.0, 0, 1]).double(),
    )
    assert float(found.enu_from_scene.scale) == pytest.approx(22.2, rel=0.01)


def test_photos_put_a_scene_on_the_map(tmp_path: Path, generator: torch.Generator) -> None:
    enu = torch.tensor([[0, 0, 0], [40, 0, 2], [0, 30, 4], [45, 35, 0], [20, 10, 8.0]]).double()
    degrees = torch.stack([enu[:, 1] / 111_170.0, enu[:, 0] / 76_200.0], 1)  # near enough at this latitude
    places = [
        Place(ORIGIN.latitude_deg + float(n), ORIGIN.longitude_deg + float(e), ORIGIN.height_m + float(u))
        for (n, e), u in zip(degrees, enu[:, 2], strict=True)
    ]
    photos = {f"{i}.jpg": photo_at(place, tmp_path / f"{i}.jpg") for i, place in enumerate(places)}
    truth = enu_from_places(places, ORIGIN)
    scene_from_enu = a_similarity().inverse()
    centers = {f"{i}.jpg": point for i, point in enumerate(scene_from_enu.points(truth))}
    found = georeference_photos(photos, centers)
    assert found.residuals_m.max() < 2e-3  # seconds of arc with five decimals
    assert float(found.enu_from_scene.scale) == pytest.approx(13.7, rel=1e-4)
    assert found.distances_m[1] < 5e-3
    said = found.as_json()
    assert said["residual_m"]["left_out"] == []
    pyproj = pytest.importorskip("pyproj", reason="the reference for geodesy is a development package")
    to_map = pyproj.Transformer.from_crs("EPSG:4326", pyproj.CRS.from_wkt(said["crs_wkt"]), always_xy=True)
    mapped = [to_map.transform(p.longitude_deg, p.latitude_deg) for p in places]
    ours = enu_from_places(places, found.origin)[:, :2]
    assert torch.allclose(torch.tensor(mapped).double(), ours, atol=2e-3)


def test_two_photos_with_gps_are_too_few(tmp_path: Path) -> None:
    photos = {f"{i}": photo_at(ORIGIN, tmp_path / f"{i}.jpg") for i in range(2)}
    with pytest.raises(CaptureError, match="at least 3 photos with GPS"):
        georeference_photos(photos, {n: torch.zeros(3).double() for n in photos})


def test_control_points_name_photos_or_say_where_they_are(tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text(
        "name,latitude,longitude,height,x,y,z\n"
        "door,46.84,-91.99,190,0,0,0\n"
        "gate,46.8401,-91.99,190,1,0,0\n"
        "a.jpg,46.84,-91.9899,191,,,\n"
    )
    found = georeference_points(tmp_path / "points.csv", {"a.jpg": torch.tensor([0.0, 0.7, 0.0]).double()})
    assert found.names == ("door", "gate", "a.jpg")
    (tmp_path / "bad.csv").write_text("name,latitude,longitude,height\nnobody,1,2,3\n")
    with pytest.raises(CaptureError, match="line 2"):
        georeference_points(tmp_path / "bad.csv", {})


@pytest.mark.parametrize("cell", ["nan", "1e999", "91", "", "x", "9" * 5000])
def test_control_points_that_are_nowhere_are_refused(tmp_path: Path, cell: str) -> None:
    lines = ["name,latitude,longitude,height,x,y,z", f"a,{cell},0,0,0,0,0", "b,0,0,0,1,0,0", "c,1,0,0,1,1,0"]
    (tmp_path / "points.csv").write_text("\n".join(lines))
    with pytest.raises(CaptureError, match=r"line 2: .*latitude: expected a"):
        georeference_points(tmp_path / "points.csv", {})
