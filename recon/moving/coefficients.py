"""Coefficients of the logistics of `recon.moving.decide`, fitted to procedural places of seeds 100 to 128.

Cross entropy over pixels of 29 films of `worldgen.scenes.moving_place` (13 with a still camera, 16 with one that moves, five without
movers), with noise of 1% and true cameras. The order is that of `recon.moving.decide.logistic`.
"""

OF_EVIDENCE = (
    -3.74, 0.52, 0.64, -0.70, 0.99, 0.70, -0.20, -0.35, 0.90, 0.00, 0.44, 0.79,
    0.56, 0.41, 0.19, 0.64, 0.00, 0.35, 0.28, 0.28, -0.35, -0.60, 0.38, 0.23,
    -0.52, 0.19, 0.76, 0.56, 0.71, -0.27, 0.43, 0.49, -0.19, -0.23, 0.25, -0.36,
)  # fmt: skip
"""Of residual, unknown, share known, disagreement, that of the better side, frames looked at, contrast."""
OF_SURROUNDINGS = (
    1.39, 0.46, 0.57, 0.73, 1.28, -0.21, -0.51, 0.18, 0.08, -0.05, -0.40, 0.16,
    0.26, 0.04, -0.08, -0.43, 0.16, 0.28, -0.14, -0.50, 0.17, 0.29, -0.99, 0.28,
    0.48, -0.02, -0.08, -0.15,
)  # fmt: skip
"""Of log odds: the pixel's, the mean along the flow, near by, farther; and how sure these are near by, farther."""
