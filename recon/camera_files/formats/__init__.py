"""One reader a camera file format, and the writer of transforms.json."""
