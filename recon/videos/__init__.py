"""Video files, read and written frame by frame."""
