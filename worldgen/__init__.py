"""What makes views: the world-model protocol, trajectories, the models behind it."""

import zlib  # noqa: F401  (before pycolmap: see recon/__init__.py)
