"""Clips that are measured: found in folders and manifests, and read."""
