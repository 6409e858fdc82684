"""From a stage of textured meshes to pictures and depth."""

from worldgen.scenes.rendering.stage import Light, Stage
from worldgen.scenes.rendering.tracer import Tracer

__all__ = ["Light", "Stage", "Tracer"]
