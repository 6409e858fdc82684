"""Clips that exist already, as a world model: it answers with its own frames and cameras (docs/models.md)."""
