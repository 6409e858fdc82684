"""What pictures and cameras say of one rigid world."""
