"""One file a format: `read(path) -> SceneFile` and `write(scene, path, options) -> Written`, in the file's own axes."""
