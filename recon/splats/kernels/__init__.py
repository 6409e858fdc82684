"""How loops are compiled by numba, and on how many threads compiled code runs."""
