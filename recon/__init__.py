"""The ground floor: cameras, clips, structure from motion, depth, splats and their files.

Conventions, once and for the whole project:

- OpenCV axes: +x right, +y down, +z forward. A transform is named ``target_from_source``, so that
  neighbours cancel: ``b_from_world @ world_from_a``.
- The centre of the top-left pixel is (0.5, 0.5), as in COLMAP and gsplat. A library that counts integer
  centres (OpenCV, kornia, Open3D) is shifted in the module that calls it.
- Quaternions are wxyz. Sizes are ``width`` and ``height``, by keyword.
- Suffixes carry units and spaces: ``_deg _rad _px _m _s log_ _logits _wxyz``.
"""

# pycolmap 4.1 and 4.2 corrupt the heap when they are the first to load zlib: PNG writing then aborts.
# Whoever imports anything of recon has zlib first.
import os
import zlib  # noqa: F401

# OpenCV asks when it is imported: pixels of the largest picture that it decodes, as Pillow has it; its own limit is 2³⁰
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", "178956970")
