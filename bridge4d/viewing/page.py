"""The viewer as one HTML file."""

from pathlib import Path

from bridge4d.exporting.pipeline import ExportResult, export
from bridge4d.scenes import LoadedScene
from recon.errors import SceneFileError
from recon.scenefiles import FORMATS


def write_page(scene: LoadedScene, page: Path | str) -> ExportResult:
    """Write a page that opens from disk, at the view where `serve` would open; nothing is noted beside it.

    Raises:
        SceneFileError: a name that is not that of a page.

    Example:
        >>> write_page(load_scene("runs/demo"), "demo.html")
    """
    page = Path(page)
    if page.suffix.lower() not in FORMATS["html"].suffixes:
        raise SceneFileError(f"expected the name of a page, such as scene.html, got {page.name}")
    return export(scene, page, noted=False)
