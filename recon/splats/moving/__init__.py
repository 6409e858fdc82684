"""Scenes that move, from pictures with cameras and times."""
