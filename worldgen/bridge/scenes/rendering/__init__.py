"""From a stage of textured meshes to pictures and depth."""

from worldgen.bridge.scenes.rendering.stage import Light, Stage
from worldgen.bridge.scenes.rendering.tracer import Tracer

__all__ = ["Light", "Stage", "Tracer"]
