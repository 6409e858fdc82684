"""Cameras of pictures as frusta that can be clicked."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from bridge4d.scenes import SceneView
from bridge4d.viewing.frame import TARGET_DISTANCE
from bridge4d.viewing.pictures import KINDS, kind_of
from bridge4d.viewpoints import fov_y_deg
from recon.cameras import Cameras
from recon.sim3 import Sim3

if TYPE_CHECKING:
    import viser

LARGEST, SMALLEST = 0.03 * TARGET_DISTANCE, 0.012 * TARGET_DISTANCE
"""Sizes in the browser's units; a frustum is a bit over two sizes long."""
NEAR_SIZES = 5.0
"""A camera this near to a frustum's tip, in sizes, would see its picture hang before the scene: it is hidden."""
LINE_PX = 2.0
"""Width of the frusta's lines on the screen, pixels."""

OnClick = Callable[[SceneView], None]
Thumbnails = Callable[[SceneView], UInt8[np.ndarray, "h w 3"] | None]


class Frusta:
    """The frusta of one browser window.

    Args:
        scene: of a client.
        views: what is drawn.
        thumbnails: the small picture of a view, None where there is none.
        browser_from_world: into the units of the browser.
        on_click: called with the view that was clicked.
    """

    def __init__(
        self,
        scene: "viser.SceneApi",
        views: Sequence[SceneView],
        thumbnails: Thumbnails,
        browser_from_world: Sim3,
        on_click: OnClick,
    ) -> None:
        self._kinds = [kind_of(view) for view in views]
        self.groups = {
            kind: scene.add_frame(f"/{kind}", show_axes=False) for kind in dict.fromkeys(self._kinds)
        }
        cameras = [browser_from_world.cameras(view.camera) for view in views]
        self._tips = torch.cat([camera.centers for camera in cameras]) if cameras else torch.zeros(0, 3)
        self._size = frustum_size(self._tips)
        self.nodes = [
            self._add(scene, f"/{kind}/{i:04d}", kind, camera, thumbnails(view))
            for i, (kind, camera, view) in enumerate(zip(self._kinds, cameras, views, strict=True))
        ]
        for node, view in zip(self.nodes, views, strict=True):
            node.on_click(lambda _, view=view: on_click(view))

    def show_kind(self, kind: str, visible: bool) -> None:
        """All of one kind, or none."""
        if self.groups[kind].visible != visible:
            self.groups[kind].visible = visible

    def hide_near(self, eye: Float[Tensor, "3"]) -> None:
        """Hide what stands right before the camera; `eye` in the browser's units."""
        if len(self.nodes):
            near = (self._tips - eye).norm(dim=-1) < NEAR_SIZES * self._size
            for node, hidden in zip(self.nodes, near.tolist(), strict=True):
                if node.visible == hidden:
                    node.visible = not hidden

    def _add(
        self,
        scene: "viser.SceneApi",
        name: str,
        kind: str,
        camera: Cameras,
        picture: UInt8[np.ndarray, "h w 3"] | None,
    ) -> "viser.CameraFrustumHandle":
        from viser.transforms import SO3

        pose = camera.world_from_cam[0].numpy()
        return scene.add_camera_frustum(
            name,
            fov=float(np.radians(fov_y_deg(camera))),
            aspect=camera.width / camera.height,
            scale=self._size,
            thickness=LINE_PX,
            thickness_units="screen",
            color=KINDS[kind].color,
            image=picture,
            wxyz=SO3.from_matrix(pose[:3, :3]).wxyz,
            position=pose[:3, 3],
        )


def frustum_size(tips: Float[Tensor, "n 3"]) -> float:
    """Small enough that neighbours do not hide each other, large enough to be hit."""
    if len(tips) < 2:
        return LARGEST
    apart = torch.cdist(tips.double(), tips.double()).fill_diagonal_(float("inf")).amin(1).median()
    return min(max(0.4 * float(apart), SMALLEST), LARGEST)
