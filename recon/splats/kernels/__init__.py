"""The inner loops of the CPU engine, compiled by numba on first use and cached on disk.

Plain loops over plain arrays. They release the GIL; `recon.splats.kernels.threads` runs them over chunks.
Every chunk writes to places of its own, so results do not depend on the number of threads.
"""
