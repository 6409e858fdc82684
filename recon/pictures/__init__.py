"""Picture files: names, headers, decoding, levels."""
