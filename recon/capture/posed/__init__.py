"""Photos that come with cameras: one module a source."""
