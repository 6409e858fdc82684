"""Mesh files. Written only."""
