"""The built-in learned world model: posed photos in, posed video out."""
