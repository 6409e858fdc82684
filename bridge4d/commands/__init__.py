"""One file a command: its options, its examples, and a body that reads as the recipe."""
