"""Structure from motion with COLMAP: where were these pictures taken from?"""

from recon.lens import Lens
from recon.sfm.anchor import Anchor, build_anchor
from recon.sfm.options import SfmOptions
from recon.sfm.reconstruct import Reconstruction, reconstruct
from recon.sfm.register import FrameMatch, Registration, register

__all__ = [
    "Anchor",
    "FrameMatch",
    "Lens",
    "Reconstruction",
    "Registration",
    "SfmOptions",
    "build_anchor",
    "reconstruct",
    "register",
]
