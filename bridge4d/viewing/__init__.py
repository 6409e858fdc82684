"""A live viewer of splat scenes in the browser."""

from bridge4d.viewing.page import write_page
from bridge4d.viewing.viewer import Viewer, serve

__all__ = ["Viewer", "serve", "write_page"]
