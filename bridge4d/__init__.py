"""bridge4d closes the loop between generating 3D scenes and reconstructing them.

Notebooks need one import, ``import bridge4d as b4``; what a command does, these functions do.
Everything heavy is imported when it is first used.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_FACADE = {
    "augment": "bridge4d.augmenting.loop",
    "AugmentOptions": "bridge4d.augmenting.options",
    "AugmentResult": "bridge4d.augmenting.loop",
    "reconstruct_scene": "bridge4d.augmenting.loop",
    "ReconstructOptions": "bridge4d.augmenting.options",
    "measure_clips": "bridge4d.measuring.measure_clips",
    "MeasureOptions": "bridge4d.measuring.measure_options",
    "MeasureResult": "bridge4d.measuring.measure_clips",
    "measure_model": "bridge4d.asking.measure_model",
    "AskOptions": "bridge4d.asking.options",
    "mesh": "bridge4d.meshing.make_mesh",
    "MeshOptions": "bridge4d.meshing.options",
    "SurfaceOptions": "recon.mesh",
    "Mesh": "recon.mesh",
    "mesh_gaussians": "recon.mesh",
    "write_mesh": "recon.scenefiles.meshes.files",
    "render_path": "bridge4d.rendering.render_path",
    "RenderOptions": "bridge4d.rendering.options",
    "find_clips": "recon.clips.clipset",
    "read_clip": "recon.clips.read",
    "Recoverer": "recon.sfm.recoverer",
    "Recipe": "recon.sfm.recipes",
    "write_sample": "bridge4d.sample",
    "read_capture": "recon.capture.read",
    "Capture": "recon.capture.capture",
    "Cameras": "recon.cameras",
    "Clip": "recon.clip",
    "Gaussians": "recon.gaussians",
    "PointCloud": "recon.points",
    "BridgeError": "recon.errors",
    "export": "bridge4d.exporting.pipeline",
    "ExportOptions": "bridge4d.exporting.options",
    "inspect_scene": "bridge4d.inspecting",
    "load_scene": "bridge4d.scenes",
    "generate": "bridge4d.generating.generate",
    "GenerateOptions": "bridge4d.generating.options",
    "render": "recon.splats.render",
    "fit_gaussians": "recon.splats.fit",
    "FitOptions": "recon.splats.fit",
    "read_scene": "recon.scenefiles",
    "write_scene": "recon.scenefiles",
    "reconstruct": "recon.sfm.reconstruct",
    "FRAMES": "recon.sfm.recipes",
    "PHOTOS": "recon.sfm.recipes",
    "build_anchor": "recon.sfm.anchor",
    "register": "recon.sfm.register",
    "multiview_depth": "recon.depth",
    "surface_points": "recon.depth",
    "write_colmap": "recon.colmap.write",
    "write_dataset": "bridge4d.dataset",
    "write_transforms": "recon.camera_files.formats.transforms_write",
    "reconstruct_moving": "bridge4d.moving.run",
    "MovingOptions": "bridge4d.moving.options",
    "augment_moving": "bridge4d.moving.augment",
    "AugmentMovingOptions": "bridge4d.moving.options",
    "quality_options": "bridge4d.augmenting.options",
    "GateOptions": "eval.judging.gate",
    "summary": "eval.report.augment.summary",
    "examine": "bridge4d.doctor",
    "serve": "bridge4d.viewing",
    "show_progress": "bridge4d.console",
    "plan_cameras": "worldgen.plan",
    "rollout": "worldgen.rollout",
    "Request": "worldgen.model",
    "Scene": "recon.scene",
    "Views": "worldgen.model",
    "ModelSpec": "worldgen.model",
    "WorldModel": "worldgen.model",
    "load_model": "worldgen.registry",
    "available_models": "worldgen.registry",
}

__all__ = sorted(_FACADE)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name not in _FACADE:
        raise AttributeError(f"module 'bridge4d' has no attribute {name!r}")
    return getattr(importlib.import_module(_FACADE[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
