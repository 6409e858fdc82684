"""The viewer as one HTML file."""

from pathlib import Path

from bridge4d.scenes import Scene
from bridge4d.viewpoints import start_view, viewpoint_of
from recon.errors import SceneFileError
from recon.scenefiles import FORMATS, WriteOptions, Written, write_scene


def write_page(scene: Scene, page: Path | str) -> Written:
    """Write a page that opens from disk, at the view where `serve` would open.

    Raises:
        SceneFileError: a name that is not that of a page.

    Example:
        >>> write_page(load_scene("runs/demo"), "demo.html")
    """
    page = Path(page)
    if page.suffix.lower() not in FORMATS["html"].suffixes:
        raise SceneFileError(f"expected the name of a page, such as scene.html, got {page.name}")
    options = WriteOptions(
        render_mode=scene.render_mode,
        viewpoint=viewpoint_of(start_view(scene), scene),
        title=scene.source.resolve().name or "scene",
    )
    return write_scene(scene.moving or scene.gaussians, page, options)
