"""COLMAP in a process of its own, because it may abort, hang or take all memory.

COLMAP is a C++ library whose threads end the whole process on a full disk or a failed allocation, and whose reader of
models believes what they say of themselves. `run_in_child` marks a function that runs in the other process; there is
one, started when it is first needed and kept. What crosses over is plain: numbers, texts, paths, numpy arrays
(`recon.colmap.model`). Nothing here imports torch, so that the process starts in half a second.
"""

from recon.colmap.elsewhere import run_in_child

__all__ = ["run_in_child"]
