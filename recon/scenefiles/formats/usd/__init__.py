"""USD: the scene, and the process that reads files of strangers."""
