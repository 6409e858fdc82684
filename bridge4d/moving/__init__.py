"""Scenes that move, from several cameras: read, find cameras and masks, fit, judge, report."""
