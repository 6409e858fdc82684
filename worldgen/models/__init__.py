"""World models that come with bridge4d: one file or folder a model."""
