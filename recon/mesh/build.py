"""Splats to mesh, from beginning to end."""

import time
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from recon.cameras import Cameras, backproject
from recon.clip import Clip
from recon.clips.pairing import spread_indices
from recon.errors import BridgeError, ReconstructionError
from recon.gaussians import Gaussians
from recon.mesh.bake import MOST_FACES, bake_texture
from recon.mesh.cameras import find_core, place_cameras, place_ring
from recon.mesh.fuse import fuse
from recon.mesh.options import SurfaceOptions
from recon.mesh.tidy import drop_islands, simplify
from recon.mesh.types import Mesh
from recon.mesh.views import DepthViews, find_confirmed, find_edges, photo_depth, render_views
from recon.pictures.canvas import HALF
from recon.points import PointCloud
from recon.splats.start import backdrop_sphere

MOST_VIEWS = 100
"""Most cameras whose depth is fused, spread evenly over those there are. At 640 pixels they take 0.6 GB, the search for the
photos' depth 2 GB more."""
FAR_CORES = 3.0
"""Half diagonals from the middle of a file without cameras beyond which Gaussians count as backdrop."""


@dataclass(frozen=True)
class Meshed:
    """A mesh and how it came about."""

    mesh: Mesh
    voxel: float
    """Edge length of the grid, in units of the scene."""
    views: DepthViews
    """The views whose depth was fused."""
    from_photos: float
    """Share of the fused depth that photos gave; the rest is the scene's."""
    seconds: float
    notes: tuple[str, ...] = ()
    """What a person should know, whole sentences without a full stop."""


def mesh_gaussians(
    gaussians: Gaussians,
    *,
    photos: Clip | None = None,
    cameras: Cameras | None = None,
    points: PointCloud | None = None,
    in_backdrop: Bool[Tensor, "g"] | None = None,
    antialiased: bool = False,
    options: SurfaceOptions = SurfaceOptions(),
) -> Meshed:
    """The surface of a scene as triangles with colours.

    Depth of many views (what photos agree on, and elsewhere the scene's median depth that other views confirm) is fused
    into a truncated signed distance; marching cubes, loose pieces dropped, simplified and textured where asked.

    Args:
        gaussians: the scene, in the frame of the cameras.
        photos: those it was trained on, with cameras; None: cameras alone, or none.
        cameras: to look from, where there are no photos; None: placed around the scene.
        points: from structure from motion, which bound the search for the photos' depth.
        in_backdrop: which Gaussians are a shell far behind the scene, where that is known; else guessed.
        antialiased: whether the scene was trained so (Mip-Splatting).

    Raises:
        ReconstructionError: an empty scene, or nothing that two cameras agree on.
        BridgeError: depth from photos asked for, and no photos.

    Example:
        >>> mesh_gaussians(scene, photos=clip).mesh
    """
    began = time.perf_counter()
    notes: list[str] = []
    if photos is not None:
        photos = photos[_choose_views(len(photos))].limit_size(options.max_side)
        cameras = photos.require_cameras()
    elif options.depth == "photos":
        raise BridgeError("--depth photos needs a run folder with photos; a file of splats has none")
    elif cameras is not None:
        cameras = cameras[_choose_views(len(cameras))].limit_size(options.max_side)
    near = _without_backdrop(gaussians.detach().to("cpu", torch.float32), cameras, points, in_backdrop)
    if cameras is None:
        cameras = place_cameras(near, options.around, options.max_side)
        notes.append(_placement_note(len(cameras), options))
    views, sure = _gather_views(near, photos, cameras, points, antialiased, options, notes)
    if options.depth_max is not None:
        views = views.keep_where(views.depth <= options.depth_max)
    mesh, voxel = fuse(views, voxel=options.voxel)
    mesh, dropped = drop_islands(mesh, options.min_island)
    if dropped:
        notes.append(f"{dropped:,} loose pieces were left out (--min-island)")
    if options.faces is not None:
        mesh = simplify(mesh, options.faces)
    if len(mesh) == 0:
        raise ReconstructionError(
            "nothing to make a mesh of: the depth of the views lies in too few voxels; ask for a smaller --voxel"
        )
    share = float((sure & views.has_depth).sum() / views.has_depth.sum())
    return Meshed(mesh, voxel, views, share, time.perf_counter() - began, tuple(notes))


def mesh_with_texture(meshed: Meshed, *, side: int = 2048) -> Mesh:
    """The mesh with a texture, simplified as far as unwrapping asks for.

    Args:
        side: of the texture in pixels.

    Raises:
        MissingDependencyError: xatlas is not installed.
    """
    return bake_texture(simplify(meshed.mesh, MOST_FACES), meshed.views, side=side)


def _choose_views(count: int) -> list[int]:
    return spread_indices(count, min(count, MOST_VIEWS))


def _without_backdrop(
    gaussians: Gaussians,
    cameras: Cameras | None,
    points: PointCloud | None,
    in_backdrop: Bool[Tensor, "g"] | None,
) -> Gaussians:
    """Drops Gaussians that are not finite, and the backdrop.

    Raises:
        ReconstructionError: no Gaussian is left.
    """
    if in_backdrop is not None:
        gaussians = gaussians[~in_backdrop]
    finite = torch.ones(len(gaussians), dtype=torch.bool)
    for values in gaussians.tensors().values():
        finite &= values.isfinite().flatten(1).all(1) if values.ndim > 1 else values.isfinite()
    scene = gaussians if bool(finite.all()) else gaussians[finite]
    if len(scene) == 0:
        raise ReconstructionError("nothing to make a mesh of: the scene has no Gaussians")
    if in_backdrop is not None:
        return scene
    if cameras is not None:
        far = backdrop_sphere(cameras, PointCloud.empty() if points is None else points).rows(scene)
    else:
        center, half = find_core(scene)
        far = (scene.means.double() - center).norm(dim=-1) > FAR_CORES * half.norm()
    return scene if bool(far.all()) else scene[~far]


def _placement_note(count: int, options: SurfaceOptions) -> str:
    if options.around == "inside":
        return f"the file has no cameras; {count} were placed inside it, looking out"
    return (
        f"the file has no cameras; {count} were placed on a sphere around it, looking in, −y taken for up; for a room seen "
        "from within give --around inside"
    )


def _gather_views(
    scene: Gaussians,
    photos: Clip | None,
    cameras: Cameras,
    points: PointCloud | None,
    antialiased: bool,
    options: SurfaceOptions,
    notes: list[str],
) -> tuple[DepthViews, Tensor]:
    """The views to fuse, and a mask of the pixels whose depth comes from photos."""
    from_photos = None
    if photos is not None and options.depth != "scene":
        try:
            from_photos = photo_depth(photos, points)
            if points is not None and len(points):  # which say how large the scene is
                # far pixels that agree by chance are no part of it
                beyond = backdrop_sphere(cameras, points).holds(backproject(from_photos.double(), cameras))
                from_photos = from_photos.masked_fill(beyond, 0.0)
        except ReconstructionError as error:
            if options.depth == "photos":
                raise
            notes.append(f"depth is the scene's alone ({error})")
    if options.ring:
        generator = torch.Generator().manual_seed(0)
        cameras = Cameras.concatenate(
            [cameras.to(dtype=torch.float64), place_ring(cameras, options.ring, generator)]
        )
    views = render_views(scene, cameras, antialiased=antialiased)
    sure = torch.zeros_like(views.has_depth)
    if from_photos is not None:
        sure[: len(from_photos)] = from_photos > 0
        known = torch.where(from_photos > 0, from_photos, views.depth[: len(from_photos)])
        views = replace(views, depth=torch.cat([known, views.depth[len(from_photos) :]]))
    if photos is not None:
        views = replace(
            views, images=torch.cat([_without_padding(photos, views), views.images[len(photos) :]])
        )
    keep = sure if options.depth == "photos" else sure | find_confirmed(views)
    return views.keep_where(keep & ~find_edges(views.depth)), sure


def _without_padding(photos: Clip, views: DepthViews) -> Float[Tensor, "n h w 3"]:
    """Pictures of the photos; around those that do not fill their canvas, of the scene from there."""
    if photos.confidence is None:
        return photos.images
    return torch.where(photos.confidence[..., None] >= HALF, photos.images, views.images[: len(photos)])
