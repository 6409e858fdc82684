"""Where a scene lies: which way is up, how large it is, where on Earth."""
