"""Which recovered cameras to believe: checks that do not rest on the matches that the cameras came from."""
