"""Large video models in this process, through diffusers; one file each. Their weights are never part of this package."""
