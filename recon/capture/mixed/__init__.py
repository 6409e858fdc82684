"""Photos of several sizes and lenses."""
