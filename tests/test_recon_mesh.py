"""Splats become a surface: where it is, which side is out, what colour it has, and what is left out of it."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import normalize

from recon.cameras import Cameras, intrinsics, look_at
from recon.clip import Clip
from recon.errors import BridgeError, ReconstructionError
from recon.gaussians import Gaussians, concatenate, from_points
from recon.mesh import Mesh, SurfaceOptions, mesh_gaussians, mesh_with_texture
from recon.mesh.cameras import place_cameras, place_ring
from recon.mesh.fuse import fuse
from recon.mesh.tidy import drop_islands, simplify
from recon.mesh.views import DepthViews, find_confirmed, find_edges, render_views
from recon.points import PointCloud
from recon.sim3 import Sim3
from recon.splats.similarity import even_directions

COARSE = SurfaceOptions(voxel=0.06)


def around(count: int = 24, *, distance: float = 3.0, side: int = 96, at: tuple = (0.0, 0.0, 0.0)) -> Cameras:
    """Cameras on a sphere that look at its middle."""
    middle = torch.tensor(at, dtype=torch.float64).expand(count, 3)
    eye = middle + distance * even_directions(count)
    K = intrinsics(focal_px=1.2 * side, width=side, height=side, n=count)
    up = torch.tensor([0.0, -1.0, 0.0], dtype=torch.float64).expand(count, 3)
    return Cameras(look_at(eye, middle, up), K, side, side)


def ball_depth(cameras: Cameras, radius: float = 1.0) -> DepthViews:
    """The exact depth of a ball about the origin, coloured by place."""
    h, w = cameras.height, cameras.width
    v, u = torch.meshgrid(torch.arange(h).double() + 0.5, torch.arange(w).double() + 0.5, indexing="ij")
    rays = torch.stack([u, v, torch.ones_like(u)], -1) @ torch.linalg.inv(cameras.K.double()).mT[:, None]
    rays = rays @ cameras.cam_from_world[:, None, :3, :3].double()  # rows times R are Rᵀ times columns
    eye = cameras.centers.double()[:, None, None]
    a, b, c = (rays**2).sum(-1), (rays * eye).sum(-1), (eye**2).sum(-1) - radius**2
    inside = b * b - a * c
    depth = torch.where(inside > 0, (-b - inside.clamp_min(0).sqrt()) / a, 0.0)
    colors = ((eye + rays * depth[..., None]) / radius * 0.5 + 0.5).clamp(0, 1)
    return DepthViews(cameras, colors.float(), depth.float())


def ball_of_gaussians(count: int = 3000, radius: float = 1.0) -> Gaussians:
    """Flat discs on a sphere, coloured by place."""
    normals = even_directions(count)
    scene = from_points(radius * normals, (normals * 0.5 + 0.5).float(), sh_degree=0, opacity=0.95)
    thin = scene.log_scales - 0.7
    thin[:, 2] -= 3
    # the shortest turn from z to the normal
    z = torch.tensor([0.0, 0, 1]).double()
    quats = torch.cat([1 + normals[:, 2:], torch.linalg.cross(z.expand_as(normals), normals)], 1)
    return replace(scene, log_scales=thin, quats_wxyz=normalize(quats, dim=1).float())


def outwards(mesh: Mesh) -> torch.Tensor:
    """Cosine between each triangle's normal and the direction from the origin."""
    a, b, c = mesh.vertices.double()[mesh.faces].unbind(1)
    normal = normalize(torch.linalg.cross(b - a, c - a), dim=-1)
    return (normal * normalize((a + b + c) / 3, dim=-1)).sum(-1)


def test_exact_depth_gives_the_exact_surface_seen_from_its_outer_side() -> None:
    mesh, voxel = fuse(ball_depth(around()), voxel=0.06)
    off = mesh.vertices.double().norm(dim=-1) - 1
    assert voxel == 0.06
    assert off.abs().mean() < 0.15 * voxel
    assert off.abs().max() < voxel
    assert (outwards(mesh) > 0).double().mean() > 0.999
    assert float(mesh.areas().sum()) == pytest.approx(4 * math.pi, rel=0.03)
    expected = mesh.vertices * 0.5 + 0.5
    assert (mesh.colors - expected).abs().mean() < 0.02


def test_pixels_are_counted_from_their_corner() -> None:
    """Half a pixel, read wrongly, would shift a surface that one camera sees at a slant."""
    n = 64
    K = intrinsics(focal_px=60, width=n, height=n)
    v, u = torch.meshgrid(torch.arange(n) + 0.5, torch.arange(n) + 0.5, indexing="ij")
    depth = 2 / (1 - 0.8 * (u - n / 2) / 60 - 0.4 * (v - n / 2) / 60)  # the plane z = 2 + 0.8 x + 0.4 y
    camera = Cameras(torch.eye(4).double()[None], K, n, n)
    mesh, voxel = fuse(DepthViews(camera, torch.zeros(1, n, n, 3), depth[None]), voxel=0.04)
    x, y, z = mesh.vertices.double().unbind(1)
    off = (z - 2 - 0.8 * x - 0.4 * y) / (1 + 0.8**2 + 0.4**2) ** 0.5
    half_a_pixel = 0.5 * 2 / 60 * 0.6
    assert abs(float(off.mean())) < 0.3 * half_a_pixel
    assert len(mesh) > 1000
    assert voxel == 0.04


def test_gaussians_on_a_sphere_become_a_sphere() -> None:
    made = mesh_gaussians(ball_of_gaussians(), cameras=around(), options=COARSE)
    off = made.mesh.vertices.double().norm(dim=-1) - 1
    assert off.abs().mean() < 0.02
    assert (outwards(made.mesh) > 0).double().mean() > 0.99
    assert float(made.mesh.areas().sum()) == pytest.approx(4 * math.pi, rel=0.1)
    assert (made.mesh.colors - (made.mesh.vertices * 0.5 + 0.5)).abs().mean() < 0.05
    assert made.from_photos == 0
    assert len(made.views) == 24


def test_the_same_scene_gives_the_same_mesh_wherever_it_lies() -> None:
    scene = ball_of_gaussians()
    options = SurfaceOptions(voxel=0.03, faces=800)
    here, *again = (mesh_gaussians(scene, cameras=around(12), options=options).mesh for _ in range(3))
    for mesh in again:
        assert torch.equal(here.vertices, mesh.vertices)
        assert torch.equal(here.faces, mesh.faces)
        assert torch.equal(here.colors, mesh.colors)
    far = replace(ball_depth(around(12)), cameras=around(12, at=(4000.0, -2000.0, 1000.0)))
    off = fuse(far, voxel=0.06)[0].vertices.double() - torch.tensor([4000.0, -2000.0, 1000.0]).double()
    assert (off.norm(dim=-1) - 1).abs().mean() < 0.01


def test_the_shell_far_behind_a_scene_is_left_out() -> None:
    shell = from_points(40 * even_directions(500), torch.zeros(500, 3), sh_degree=0, opacity=0.99)
    both = concatenate([ball_of_gaussians(), replace(shell, log_scales=shell.log_scales + 1)])
    rows = torch.arange(len(both)) >= 3000
    for known in (rows, None):
        mesh = mesh_gaussians(both, cameras=around(12), in_backdrop=known, options=COARSE).mesh
        assert mesh.vertices.norm(dim=-1).max() < 1.5


def test_what_is_farther_than_asked_is_left_out() -> None:
    made = mesh_gaussians(
        ball_of_gaussians(), cameras=around(1), options=SurfaceOptions(voxel=0.06, depth_max=2.3)
    )
    nearest = (made.mesh.vertices.double() - around(1).centers).norm(dim=-1)
    assert nearest.max() < 2.6
    assert nearest.min() < 2.1


def test_rows_that_are_no_numbers_do_not_matter() -> None:
    scene = ball_of_gaussians()
    means = scene.means.clone()
    means[::50] = torch.nan
    made = mesh_gaussians(replace(scene, means=means), cameras=around(8), options=COARSE)
    assert made.mesh.vertices.isfinite().all()


def test_nothing_to_make_a_mesh_of_is_one_sentence() -> None:
    scene, cameras = ball_of_gaussians(100), around(4)
    with pytest.raises(ReconstructionError, match="the scene has no Gaussians"):
        mesh_gaussians(scene[:0], cameras=cameras)
    with pytest.raises(ReconstructionError, match="no camera sees a surface"):
        mesh_gaussians(replace(scene, opacity_logits=scene.opacity_logits - 9), cameras=cameras)
    with pytest.raises(ReconstructionError, match=r"needs [\d,]+ blocks of the grid.*ask for one of 0\.\d+"):
        mesh_gaussians(ball_of_gaussians(), cameras=around(4, side=400), options=SurfaceOptions(voxel=0.0004))
    for voxel in (1e-9, math.inf):
        with pytest.raises(ReconstructionError, match="is no use for a scene"):
            mesh_gaussians(ball_of_gaussians(), cameras=around(4), options=SurfaceOptions(voxel=voxel))
    with pytest.raises(BridgeError, match="needs a run folder with photos"):
        mesh_gaussians(scene, cameras=cameras, options=SurfaceOptions(depth="photos"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"voxel": 0.0}, {"voxel": float("nan")}, {"depth_max": -1.0}, {"ring": -1}, {"max_side": 8},
        {"min_island": 2.0}, {"faces": 1}, {"texture": 5},
    ],
)  # fmt: skip
def test_options_out_of_range_are_refused(wrong: dict) -> None:
    with pytest.raises(BridgeError, match="expected --" + next(iter(wrong)).replace("_", "-")):
        SurfaceOptions(**wrong)


def test_the_grid_grows_coarser_where_memory_would_not_do(monkeypatch: pytest.MonkeyPatch) -> None:
    _, usual = fuse(ball_depth(around(8)))
    monkeypatch.setattr("recon.mesh.fuse.MOST_BLOCKS", 100)
    mesh, voxel = fuse(ball_depth(around(8)))
    assert voxel > 1.2 * usual
    assert (mesh.vertices.double().norm(dim=-1) - 1).abs().mean() < 0.2 * voxel


def test_a_depth_that_only_one_camera_sees_is_not_confirmed() -> None:
    views = ball_depth(around(24))
    true = find_confirmed(views) | ~views.has_depth
    assert true.double().mean() > 0.999
    wrong = views.depth.clone()
    wrong[3, 40:56, 40:56] *= 0.8
    kept = find_confirmed(replace(views, depth=wrong))
    assert not kept[3, 42:54, 42:54].any()
    assert kept[4][views.has_depth[4]].double().mean() > 0.98


def test_edges_are_where_depth_jumps_however_slanted_the_surface() -> None:
    x = torch.arange(40).float().expand(30, 40)
    slanted = 1 / (0.2 + 0.05 * x)[None]  # a plane: linear in inverse depth
    assert not find_edges(slanted).any()
    step = slanted.clone()
    step[..., 20:] *= 0.8
    edges = find_edges(step)[0]
    assert edges[:, 19:21].all()
    assert not edges[:, :18].any()
    assert not edges[:, 22:].any()


def test_photos_give_the_depth_where_they_agree(generator: torch.Generator) -> None:
    """A textured wall, seen by photos, of which the scene knows nothing but one corner at a wrong depth."""
    texture = torch.rand(60, 80, 3, generator=generator)
    picture = torch.nn.functional.interpolate(texture.permute(2, 0, 1)[None], scale_factor=8, mode="bicubic")[
        0
    ]
    n, w, h, focal = 4, 120, 90, 110.0
    cameras = Cameras(
        torch.eye(4).double().repeat(n, 1, 1), intrinsics(focal_px=focal, width=w, height=h, n=n), w, h
    )
    cameras.cam_from_world[:, 0, 3] = torch.linspace(0.3, -0.3, n)
    v, u = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
    images = []
    for i in range(n):
        x = 2 * (u - w / 2) / focal - float(cameras.cam_from_world[i, 0, 3])  # the wall z = 2
        y = 2 * (v - h / 2) / focal
        grid = torch.stack([x / 2.0, y / 1.5], -1)[None].float()
        images.append(torch.nn.functional.grid_sample(picture[None], grid, align_corners=False)[0])
    photos = Clip(torch.stack(images).permute(0, 2, 3, 1).clamp(0, 1), cameras)
    wrong = from_points(torch.tensor([[0.0, 0.0, 1.0]]), torch.zeros(1, 3), sh_degree=0)
    made = mesh_gaussians(wrong, photos=photos, options=SurfaceOptions(depth="photos", voxel=0.05))
    assert (made.mesh.vertices[:, 2] - 2).abs().median() < 0.02
    assert made.from_photos == 1
    # points that say that the scene ends long before it
    xyz = torch.tensor([[0.0, 0.0, 0.05], [0.01, 0.0, 0.05]]).double()
    near = PointCloud(xyz, torch.zeros(2, 3), torch.zeros(2).double())
    options = SurfaceOptions(depth="photos", voxel=0.05)
    with pytest.raises(ReconstructionError, match="no camera sees a surface"):
        mesh_gaussians(wrong, photos=photos, points=near, options=options)
    both = mesh_gaussians(wrong, photos=photos, options=SurfaceOptions(voxel=0.05))
    assert (both.mesh.vertices[:, 2] - 2).abs().median() < 0.02


def test_islands_go_by_their_area() -> None:
    big, _ = fuse(ball_depth(around()), voxel=0.1)
    small = replace(big, vertices=0.05 * big.vertices + 3)
    both = Mesh(
        torch.cat([small.vertices, big.vertices]),
        torch.cat([small.faces, big.faces + len(small.vertices)]),
        torch.cat([small.colors, big.colors]),
    )
    kept, dropped = drop_islands(both, 0.01)
    assert dropped == 1
    assert torch.equal(kept.vertices, big.vertices)
    assert torch.equal(kept.faces, big.faces)
    assert drop_islands(both, 0.001)[1] == 0
    assert drop_islands(both, 0)[1] == 0
    assert len(drop_islands(both, 1)[0]) == len(big)
    assert drop_islands(Mesh.empty(), 0.5)[1] == 0


def test_simpler_meshes_keep_their_shape_and_colours() -> None:
    mesh, _ = fuse(ball_depth(around()), voxel=0.06)
    small = simplify(mesh, 1000)
    assert 800 < len(small) <= 1000
    assert (small.vertices.double().norm(dim=-1) - 1).abs().mean() < 0.01
    assert (small.colors - (small.vertices * 0.5 + 0.5)).abs().mean() < 0.05
    assert (outwards(small) > 0).double().mean() > 0.99
    assert simplify(small, 5000) is small


def test_a_texture_shows_what_the_pictures_show() -> None:
    pytest.importorskip("xatlas")
    views = ball_depth(around(24, side=160))
    checks = ((12 * views.images).floor().sum(-1, keepdim=True) % 2) * 0.8 + 0.1  # finer than the triangles
    views = replace(views, images=checks.expand(-1, -1, -1, 3).contiguous())
    made = mesh_gaussians(ball_of_gaussians(), cameras=views.cameras, options=COARSE)
    mesh, _ = fuse(views, voxel=0.06)
    baked = mesh_with_texture(replace(made, mesh=simplify(mesh, 1500), views=views), side=512)
    assert baked.uv is not None
    assert baked.texture is not None
    assert bool(((baked.uv >= 0) & (baked.uv <= 1)).all())
    centers = baked.vertices[baked.faces].mean(1)
    h, w, _ = baked.texture.shape
    uv = baked.uv[baked.faces].mean(1)
    seen = baked.texture[((1 - uv[:, 1]) * h).long(), (uv[:, 0] * w).long(), 0]
    place = normalize(centers, dim=-1) * 0.5 + 0.5
    expected = ((12 * place).floor().sum(-1) % 2) * 0.8 + 0.1
    by_vertex = baked.colors[baked.faces].mean(1)[:, 0]
    right = ((seen > 0.5) == (expected > 0.5)).double().mean()
    assert right > 0.85
    assert right > ((by_vertex > 0.5) == (expected > 0.5)).double().mean()


def test_cameras_are_placed_around_or_inside_a_scene() -> None:
    scene = ball_of_gaussians()
    outside = place_cameras(scene, "outside", 64)
    distance = outside.centers.norm(dim=-1)
    assert len(outside) >= 40
    assert distance.min() > 1.5
    assert ((outside.forward * -normalize(outside.centers, dim=-1)).sum(-1) > 0.999).all()
    lowest = outside.centers[:, 1].max()  # y points down
    assert 0 < float(lowest) < 0.27 * float(distance.max())
    seen = render_views(scene, outside[:3]).has_depth
    assert not seen[:, 0].any()  # the whole of it is in the picture
    assert not seen[:, :, 0].any()
    inside = place_cameras(scene, "inside", 64)
    assert inside.centers.norm(dim=-1).max() < 0.6
    made = mesh_gaussians(scene, options=SurfaceOptions(voxel=0.08, around="inside", max_side=64))
    assert (outwards(made.mesh) < 0).double().mean() > 0.98  # seen from within
    assert "48 were placed inside it" in made.notes[0]


def test_a_ring_looks_where_the_photos_look(generator: torch.Generator) -> None:
    photos = around(6)[[0, 1, 2]]
    more = place_ring(photos, 20, generator)
    assert len(more) == 20
    to_ball = torch.nn.functional.normalize(-more.centers, dim=-1)
    along = (more.forward.double() * to_ball).sum(-1)
    assert along.median() > 0.95
    assert along.min() > 0.5
    # chords of the photos' circle come nearer to the ball, and sway leads away from it
    away = more.centers.norm(dim=-1) / photos.centers.norm(dim=-1).mean()
    assert 0.3 < away.min() < away.max() < 2
    assert more.validate() is more
    made = mesh_gaussians(ball_of_gaussians(), cameras=around(6), options=SurfaceOptions(voxel=0.08, ring=5))
    assert len(made.views) == 11


def test_a_mesh_moves_with_its_frame() -> None:
    mesh = Mesh(torch.eye(3), torch.tensor([[0, 1, 2]]), torch.zeros(3, 3))
    moved = mesh.transform(Sim3(torch.tensor(2.0).double(), torch.eye(3).double(), torch.ones(3).double()))
    assert torch.equal(moved.vertices, 2 * torch.eye(3) + 1)
    assert float(moved.areas()) == pytest.approx(4 * float(mesh.areas()))
