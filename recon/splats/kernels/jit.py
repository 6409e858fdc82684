"""Settings with which all kernels are compiled."""

import inspect
from collections.abc import Callable
from typing import Any

import numba


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiles to machine code: no GIL, division as in IEEE 754, sums may be reordered but NaN stays NaN.

    A run-time type checker that tests wrap around functions is taken off first; numba cannot see through it.
    """
    return numba.njit(
        nogil=True,
        cache=True,
        error_model="numpy",
        fastmath={"contract", "nsz", "arcp", "reassoc"},
    )(inspect.unwrap(function))
