"""Structure from motion with COLMAP: where were these pictures taken from?"""

from recon.lens import Lens
from recon.sfm.anchor import Anchor, build_anchor
from recon.sfm.recipes import FRAMES, PHOTOS, Recipe
from recon.sfm.reconstruct import Reconstruction, reconstruct
from recon.sfm.recoverer import Recoverer
from recon.sfm.register import FrameMatch, Registration, register

__all__ = [
    "FRAMES",
    "PHOTOS",
    "Anchor",
    "FrameMatch",
    "Lens",
    "Recipe",
    "Reconstruction",
    "Recoverer",
    "Registration",
    "build_anchor",
    "reconstruct",
    "register",
]
