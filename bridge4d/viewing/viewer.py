"""Serve a scene to browsers."""

import time
from functools import lru_cache
from typing import TYPE_CHECKING

from bridge4d.scenes import LoadedScene
from bridge4d.viewing.frame import Pose, browser_frame
from bridge4d.viewing.pictures import thumbnail
from bridge4d.viewing.server import LOOPBACK, address_of, silence_viser, start_server
from bridge4d.viewing.session import Session, SharedState
from bridge4d.viewing.versions import Versions
from bridge4d.viewpoints import start_view, up_of, viewpoint_of

if TYPE_CHECKING:
    import viser

NEAR, FAR = 0.01, 10_000.0
"""In the browser's units: a five-hundredth of the first distance, and beyond any backdrop or sky."""


class Viewer:
    """A scene that is being served; every browser window looks at it on its own."""

    def __init__(self, server: "viser.ViserServer", stage: SharedState) -> None:
        self.server, self._stage = server, stage
        self.sessions: dict[int, Session] = {}
        server.on_client_connect(self._open)
        server.on_client_disconnect(self._close)

    @property
    def address(self) -> str:
        """What to type into a browser."""
        return address_of(self.server)

    @property
    def port(self) -> int:
        """The port that is served."""
        return self.server.get_port()

    def wait(self) -> None:
        """Until Ctrl-C."""
        try:
            while True:
                time.sleep(0.2)
        except KeyboardInterrupt:
            pass

    def stop(self) -> None:
        """Stop serving."""
        for session in self.sessions.values():
            session.close()
        with silence_viser():
            self.server.stop()

    def _open(self, client: "viser.ClientHandle") -> None:
        session = Session(client, self._stage)
        self.sessions[client.client_id] = session
        if client.client_id not in self.server.get_clients():  # left before it was greeted
            self._close(client)

    def _close(self, client: "viser.ClientHandle") -> None:
        session = self.sessions.pop(client.client_id, None)
        if session is not None:
            session.close()


def serve(scene: LoadedScene, *, host: str = LOOPBACK, port: int = 8080, frusta: bool = True) -> Viewer:
    """Serve a scene to browsers until `Viewer.stop`.

    It opens at a training photo, or for a bare file at the view with most detail.

    Args:
        scene: of a run, with its pictures and versions, or of a file.
        host: the address to serve at; the default is reachable from this machine alone.
        port: the first that is tried; `Viewer.port` is the one that is served.
        frusta: show the cameras of the pictures at first.

    Raises:
        MissingDependencyError: viser is not installed.
        BridgeError: an address or port that cannot be served.

    Example:
        >>> viewer = serve(load_scene("runs/demo"))
        >>> print(viewer.address)
    """
    server = start_server(host=host, port=port)
    start = start_view(scene)
    seen = viewpoint_of(start, scene)
    browser_from_world = browser_frame(seen)
    pose = Pose.seeing(start, scene, browser_from_world, aspect=None)
    server.scene.set_up_direction(up_of(scene).numpy())
    first = server.initial_camera
    first.position, first.look_at, first.up = (v.numpy() for v in (pose.position, pose.look_at, pose.up))
    first.fov, first.near, first.far = pose.fov_y_rad, NEAR, FAR
    server.gui.configure_theme(dark_mode=True, show_logo=False, show_share_button=False)
    server.gui.set_panel_label(f"bridge4d view: {scene.source.name or scene.source}")
    return Viewer(
        server,
        SharedState(
            scene, Versions(scene), start, browser_from_world, lru_cache(maxsize=None)(thumbnail), frusta
        ),
    )
