"""Compilation of loops by numba, and the number of threads of compiled code."""
