"""World models that run elsewhere: a request goes out as a folder, an answer comes back as one (docs/models.md)."""
