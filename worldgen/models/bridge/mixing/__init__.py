"""Mixing of generated frames with renderings of the scene that they are to improve."""
