"""Training of the depth network of `recon.depth.learned` on procedural places alone."""
