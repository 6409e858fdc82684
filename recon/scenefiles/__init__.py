"""Splat, mesh and page files: a registry by suffix, one file a format.

In memory every scene has the project's axes (RDF: +x right, +y down, +z forward); files have those of their format.
`read_scene` and `write_scene` turn between the two.
"""

from recon.scenefiles.axes import Axes
from recon.scenefiles.registry import FORMATS, find_format, read_scene, write_scene
from recon.scenefiles.scene_file import RenderMode, SceneFile, Viewpoint, WriteOptions, Written

__all__ = [
    "FORMATS",
    "Axes",
    "RenderMode",
    "SceneFile",
    "Viewpoint",
    "WriteOptions",
    "Written",
    "find_format",
    "read_scene",
    "write_scene",
]
