"""One browser window that looks at a scene."""

import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from bridge4d.scenes import LoadedScene, SceneView
from bridge4d.viewing.comparison import compare, placeholder
from bridge4d.viewing.controls import Controls
from bridge4d.viewing.frame import Pose
from bridge4d.viewing.frusta import Frusta, Thumbnails
from bridge4d.viewing.playback import Playback
from bridge4d.viewing.splats import Splats
from bridge4d.viewing.versions import Versions
from recon.cameras import Cameras
from recon.errors import BridgeError
from recon.gaussians import Gaussians
from recon.sim3 import Sim3

if TYPE_CHECKING:
    import viser

logger = logging.getLogger(__name__)

TICK_S = 1 / 30
"""How often a window is brought up to date: the frame rate that a moving scene can reach."""
REST_S = 0.15
"""A camera that sent nothing for so long rests; viser sends 50 positions a second while it moves."""
FLIGHT_S, FLIGHT_STEPS = 0.6, 24
"""Of the way to a picture: long enough to see where it leads."""


@dataclass(frozen=True)
class SharedState:
    """What all windows of a viewer share."""

    scene: LoadedScene
    versions: Versions
    start: Cameras
    """The camera that they open at."""
    browser_from_world: Sim3
    thumbnails: Thumbnails
    frusta: bool
    """Whether frusta are shown at first."""


class Session:
    """Keeps what a window shows equal to what its controls ask for, in a thread of its own."""

    def __init__(self, client: "viser.ClientHandle", stage: SharedState) -> None:
        self.client, self._stage = client, stage
        self.controls = Controls(
            client.gui,
            stage.scene,
            stage.versions.labels,
            stage.versions.kept,
            frusta=stage.frusta,
            choose=self.choose,
        )
        self.splats = Splats(client.scene, stage.browser_from_world)
        self.frusta: Frusta | None = None
        moving = stage.scene.moving
        self._playback = None if moving is None else Playback(moving)
        self._shown: tuple[str, int] | None = None
        self._colored_from: Float[Tensor, "3"] | None = None
        self._chosen: SceneView | None = None
        self._compared: tuple[SceneView, tuple[str, int]] | None = None
        self._flights = 0
        self._flying = False
        self._closed = threading.Event()
        client.camera.fov = self._pose(stage.start).fov_y_rad  # now the shape of the window is known
        threading.Thread(target=self._work, name="bridge4d view", daemon=True).start()

    def choose(self, view: SceneView) -> None:
        """Fly to a picture's camera and show it beside the scene."""
        self._chosen, self._compared = view, None
        self.controls.show_choice(view)
        self.controls.show_comparison(view, placeholder(view))
        self._fly(self._pose(view.camera))

    def close(self) -> None:
        """End the thread; the window is gone."""
        self._closed.set()

    @property
    def eye(self) -> Float[Tensor, "3"]:
        """Where the window's camera is, in the world."""
        return self._stage.browser_from_world.inverse().points(self._browser_eye[None])[0]

    def is_settled(self) -> bool:
        """Whether the window shows what is asked for, in the colours seen from where it is."""
        return (
            self._shown == self._wanted_frame
            and self._colored_from is not None
            and torch.equal(self._colored_from, self.eye)
            and not self._flying
            and (self._chosen is None or self._is_compared(self._chosen))
        )

    @property
    def _browser_eye(self) -> Float[Tensor, "3"]:
        return torch.tensor(np.asarray(self.client.camera.position), dtype=torch.float64)

    @property
    def _wanted_frame(self) -> tuple[str, int]:
        """Version and frame."""
        return self.controls.version, self.controls.frame

    def _work(self) -> None:
        while not self._closed.wait(TICK_S):
            try:
                self._play()
                self._update_splats()
                self._update_frusta()
                self._update_comparison()
            except (BridgeError, OSError) as error:
                logger.error("%s", error)
                self.client.add_notification("This cannot be shown", str(error), color="red")
                self._shown = self._wanted_frame  # asked for once, not at every tick
                self._compared = None if self._chosen is None else (self._chosen, self._wanted_frame)
            except Exception:
                if self._closed.is_set():  # the window went while it was written to
                    return
                raise

    def _play(self) -> None:
        moving = self._stage.scene.moving
        if self._playback is None or moving is None:
            return
        frame = self._playback.next_frame(self.controls.frame, playing=self.controls.playing)
        self.controls.show_frame(frame, float(moving.times_s[frame]))

    def _update_splats(self) -> None:
        wanted, eye = self._wanted_frame, self.eye
        if wanted != self._shown:
            self.splats.show(self._gaussians(), eye)
        elif not self._rests() or (self._colored_from is not None and torch.equal(eye, self._colored_from)):
            return
        else:
            self.splats.recolor(eye)
        self._shown, self._colored_from = wanted, eye

    def _update_frusta(self) -> None:
        stage = self._stage
        if not stage.scene.views:
            return
        if self.frusta is None:  # after the splats, which people wait for
            self.frusta = Frusta(
                self.client.scene,
                stage.scene.views,
                stage.thumbnails,
                stage.browser_from_world,
                self.choose,
            )
        for kind, visible in self.controls.kinds().items():
            self.frusta.show_kind(kind, visible)
        self.frusta.hide_near(self._browser_eye)

    def _update_comparison(self) -> None:
        view, wanted = self._chosen, self._wanted_frame
        if view is None or self._flying or self.controls.playing or self._is_compared(view):
            return
        content = compare(view, self._gaussians(), self._stage.scene.render_mode)
        if self._chosen is view:
            self.controls.show_comparison(view, content)
            self._compared = view, wanted

    def _is_compared(self, view: SceneView) -> bool:
        return (
            self._compared is not None
            and self._compared[0] is view
            and self._compared[1] == self._wanted_frame
        )

    def _gaussians(self) -> Gaussians:
        """What is asked for; reads files at first."""
        label, frame = self._wanted_frame
        moving = self._stage.scene.moving
        return self._stage.versions.gaussians(label) if moving is None else moving.frames[frame]

    def _rests(self) -> bool:
        return not self._flying and time.time() - self.client.camera.update_timestamp > REST_S

    def _pose(self, camera: Cameras) -> Pose:
        stage = self._stage
        return Pose.seeing(camera, stage.scene, stage.browser_from_world, aspect=self.client.camera.aspect)

    def _fly(self, end: Pose) -> None:
        """Move the window's camera; a later flight ends an earlier one."""
        self._flights += 1
        flight, self._flying = self._flights, True
        camera = self.client.camera
        start = Pose(
            *(torch.tensor(np.asarray(v)) for v in (camera.position, camera.look_at, camera.up_direction)),
            fov_y_rad=camera.fov,
        )
        for step in range(1, FLIGHT_STEPS + 1):
            if flight != self._flights or self._closed.is_set():
                return
            share = step / FLIGHT_STEPS
            now = start.toward(end, share * share * (3 - 2 * share))  # starts and ends gently
            with self.client.atomic():
                camera.position = now.position.numpy()
                camera.look_at = now.look_at.numpy()
                camera.up_direction = now.up.numpy()
                camera.fov = now.fov_y_rad
            time.sleep(FLIGHT_S / FLIGHT_STEPS)
        self._flying = False
