"""Coefficients of the logistics of `recon.moving.decide`, fitted to procedural places of seeds 100 to 116.

Cross entropy over pixels of 17 films of `worldgen.scenes.moving_place` (7 with a still camera, 10 with one that moves, three of these
without movers), with noise of 1% and true cameras. The order is that of `recon.moving.decide.logistic`.
"""

OF_EVIDENCE = (
    -3.44, 0.56, 0.56, -0.63, 0.90, 0.64, -0.33, -0.56, 0.84, 0.00, 0.64, 0.68,
    0.48, 0.42, 0.05, 0.56, 0.00, 0.30, 0.25, 0.21, -0.37, -0.50, 0.34, 0.21,
    -0.59, 0.05, 0.68, 0.49, 0.76, -0.15, 0.37, 0.51, -0.21, -0.34, 0.54, -0.45,
)  # fmt: skip
"""Of residual, unknown, share known, disagreement, that of the better side, frames looked at, contrast."""
OF_SURROUNDINGS = (
    1.61, 0.30, 0.50, 0.75, 1.42, -0.15, -0.59, 0.19, 0.07, -0.05, -0.33, 0.15,
    0.25, 0.01, -0.11, -0.40, 0.16, 0.27, -0.22, -0.57, 0.17, 0.32, -1.21, 0.17,
    0.49, -0.02, -0.05, -0.14,
)  # fmt: skip
"""Of log odds: the pixel's, the mean along the flow, near by, farther; and how sure these are near by, farther."""
