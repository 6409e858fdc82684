"""How alike pictures are, how sharp and how steady."""
