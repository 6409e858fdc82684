"""Features of every kind: found in pictures and matched between them."""
