"""How many clips a comparison needs, before any is made."""
