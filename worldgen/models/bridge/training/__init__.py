"""What trains the built-in model: shots, batches, losses."""
