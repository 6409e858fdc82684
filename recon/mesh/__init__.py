"""Splats to mesh: depth from many cameras, fused into a surface, cleaned, coloured."""

from recon.mesh.build import Meshed, mesh_gaussians, mesh_with_texture
from recon.mesh.options import SurfaceOptions
from recon.mesh.types import Mesh

__all__ = ["Mesh", "Meshed", "SurfaceOptions", "mesh_gaussians", "mesh_with_texture"]
