"""World models that a user brings: a class in a file or module, an installed package, or an object of Python."""
