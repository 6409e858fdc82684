"""SPZ (Niantic, Adobe): the scene and its container."""
