"""Photos moved by their depth: what warping models share."""
