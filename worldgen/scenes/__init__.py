"""Shots of procedural places, to train and test world models on.

`places` puts meshes (`shapes`) with `materials` on a stage and says how one would walk there with a camera;
`rendering` makes pictures and depth of it; the modules beside them choose viewpoints and take the photos.
"""

from worldgen.scenes.shot import Shot, sample_shot
from worldgen.scenes.visibility import seen_share

__all__ = ["Shot", "sample_shot", "seen_share"]
