"""Views of a capture along a path, by a world model alone."""
