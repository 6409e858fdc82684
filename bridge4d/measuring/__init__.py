"""Pose recovery of many clips: one clip, all clips, and which models they are of."""
