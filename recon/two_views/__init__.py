"""Two pictures of one scene: epipolar distances to known cameras, and robust fits to matches."""
