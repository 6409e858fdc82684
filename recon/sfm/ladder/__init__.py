"""Structure from motion by one recipe after another, until the pixels confirm every photo."""
