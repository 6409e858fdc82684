"""Meshes of scenes."""
