"""Placement of a scene: its up direction, its extent, its position on Earth."""
