"""Point clouds of scenes: opaque centres, colours, a place on the map."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.odd_scenes import odd_scene
from bridge4d.exporting import ExportOptions, export
from recon.errors import SceneFileError
from recon.gaussians import SH_C0
from recon.scenefiles import read_scene, write_scene


def test_points_are_the_opaque_centres(tmp_path: Path) -> None:
    trimesh = pytest.importorskip("trimesh")
    scene = odd_scene(200)
    written = write_scene(scene, tmp_path / "points.ply")
    cloud = trimesh.load(tmp_path / "points.ply")
    solid = scene.opacity_logits >= 0
    assert np.array_equal(np.asarray(cloud.vertices, np.float32), scene.means[solid].numpy())
    colors = (0.5 + SH_C0 * scene.sh[solid, 0]) * 255
    assert np.abs(np.asarray(cloud.colors)[:, :3] - colors.numpy()).max() <= 0.51
    assert written.points == int(solid.sum())
    assert "have no point" in written.notes[0]
    with pytest.raises(SceneFileError, match=r"point cloud \(PLY\) is written here, not read"):
        read_scene(tmp_path / "points.ply")


@pytest.mark.parametrize("suffix", [".las", ".laz"])
def test_las_knows_where_it_lies(tmp_path: Path, suffix: str) -> None:
    laspy = pytest.importorskip("laspy", reason="the extra las")
    pyproj = pytest.importorskip("pyproj", reason="reads coordinate systems; a development package")
    scene = odd_scene(200)
    write_scene(scene, tmp_path / "scene.ply")
    (tmp_path / "points.csv").write_text(
        "name,latitude,longitude,height,x,y,z\na,46.84,-91.99,190,0,0,0\nb,46.8402,-91.99,190,0,0,1\n"
        "c,46.84,-91.9897,190,1,0,0\nd,46.84,-91.99,213,0,-1,0\n"
    )
    options = ExportOptions(georeference=str(tmp_path / "points.csv"))
    done = export(tmp_path / "scene.ply", tmp_path / f"a{suffix}", options)
    cloud = laspy.read(tmp_path / f"a{suffix}")
    solid = scene.opacity_logits >= 0
    found = done.frame.georeference
    assert found is not None
    enu = found.enu_from_scene.points(scene.means[solid].double())
    enu[:, 2] += found.origin.height_m
    assert torch.allclose(torch.from_numpy(np.asarray(cloud.xyz).copy()), enu, atol=2e-3)
    to_degrees = pyproj.Transformer.from_crs(cloud.header.parse_crs(), "EPSG:4326", always_xy=True)
    nearest = int((scene.means[solid]).norm(dim=1).argmin())
    longitude, latitude = to_degrees.transform(*np.asarray(cloud.xyz)[nearest, :2])
    assert abs(latitude - 46.84) < 0.002
    assert abs(longitude + 91.99) < 0.002
    assert int(np.asarray(cloud.red).max()) > 60_000


def test_far_strays_make_larger_steps(tmp_path: Path) -> None:
    laspy = pytest.importorskip("laspy", reason="the extra las")
    scene = odd_scene(50)
    scene.opacity_logits[:] = 3
    scene.means[0] = 5e6
    write_scene(scene, tmp_path / "a.las")
    cloud = laspy.read(tmp_path / "a.las")
    assert cloud.header.scales[0] == pytest.approx(0.01)
    assert float(np.asarray(cloud.x).max()) == pytest.approx(5e6, abs=0.01)
