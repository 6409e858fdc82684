"""A small run folder to look at, and a browser without a screen that speaks viser's protocol."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from bridge4d.runs import store
from bridge4d.viewing import Viewer
from bridge4d.viewing.session import Session
from recon.cameras import Cameras, intrinsics, look_at
from recon.clip import Clip
from recon.gaussians import Gaussians, sh_bases
from recon.scenefiles import write_scene

WIDTH, HEIGHT = 96, 64


def colored_cloud(g: int = 400, *, sh_degree: int = 2, seed: int = 3) -> Gaussians:
    """Solid Gaussians between z = 3 and 7 whose colours depend on where they are seen from."""
    generator = torch.Generator().manual_seed(seed)
    means = torch.rand(g, 3, generator=generator) * torch.tensor([6.0, 4.0, 4.0]) + torch.tensor(
        [-3.0, -2, 3]
    )
    sh = 0.6 * torch.randn(g, sh_bases(sh_degree), 3, generator=generator)
    sh[:, 1:] *= 0.3  # colours mostly stay within [0, 1], where browsers cut them off
    return Gaussians(
        means,
        torch.nn.functional.normalize(torch.randn(g, 4, generator=generator), dim=-1),
        torch.rand(g, 3, generator=generator) * 0.8 - 2.2,
        torch.full((g,), 4.0),
        sh,
    )


def ring(n: int, *, radius: float = 1.0, z: float = 0.0) -> Cameras:
    """n level cameras side by side that look at (0, 0, 5)."""
    x = torch.linspace(-radius, radius, n, dtype=torch.float64)
    eye = torch.stack([x, torch.full_like(x, -0.2), torch.full_like(x, z)], -1)
    target = torch.tensor([0.0, 0.0, 5.0], dtype=torch.float64).expand(n, 3)
    pose = look_at(eye, target, torch.tensor([0.0, -1.0, 0.0], dtype=torch.float64).expand(n, 3))
    return Cameras(pose, intrinsics(focal_px=80, width=WIDTH, height=HEIGHT, n=n), WIDTH, HEIGHT)


def write_run(folder: Path) -> Path:
    """Three photos, a held-out one, an accepted and a refused frame; photos only and one round, which was kept."""
    generator = torch.Generator().manual_seed(0)

    def clip(names: tuple[str, ...], cameras: Cameras, *, sure: bool = False) -> Clip:
        images = torch.rand(len(names), HEIGHT, WIDTH, 3, generator=generator)
        confidence = torch.rand(len(names), HEIGHT, WIDTH, generator=generator) if sure else None
        return Clip(images, cameras, None, names, confidence)

    store.save_clip(clip(("a.png", "b.png", "c.png"), ring(3)), folder / "sfm" / "photos")
    store.save_clip(clip(("h.png",), ring(1, radius=2, z=0.5)), folder / "heldout" / "photos")
    store.save_clip(
        clip(("r1-000", "r1-001"), ring(2, radius=0.7, z=1), sure=True), folder / "generated" / "round-1"
    )
    verdicts = [
        {"name": "r1-000", "accepted": True, "reason": "agrees with the photos"},
        {"name": "r1-001", "accepted": False, "reason": "turned by 7° <b>more</b> than asked"},
    ]
    recovery = folder / "recovery" / "round-1"
    recovery.mkdir(parents=True)
    (recovery / "frames.json").write_text(json.dumps(verdicts))
    for place, seed in (("splats/photos_only", 4), ("splats/round-1", 3), ("exports", 3)):
        (folder / place).mkdir(parents=True)
        write_scene(colored_cloud(seed=seed), folder / place / "scene.ply")
    return folder


@dataclass
class Window:
    """A browser window as the server sees one."""

    socket: Any
    session: Session

    def send(self, kind: str, **values: Any) -> None:
        """One message of the browser."""
        import msgspec

        self.socket.send(msgspec.msgpack.encode({"type": kind, **values}))

    def look(self, position: tuple[float, ...], target: tuple[float, ...]) -> None:
        """Where the camera is now, in the browser's units, −y up."""
        eye, at = (torch.tensor([v], dtype=torch.float64) for v in (position, target))
        pose = look_at(eye, at, torch.tensor([[0.0, -1.0, 0.0]], dtype=torch.float64))
        self.send("ViewerCameraMessage", **camera_message(pose[0], position, target))

    def set(self, handle: Any, value: Any) -> None:
        """A person sets a control."""
        self.send("GuiUpdateMessage", uuid=handle._impl.uuid, updates={"value": value})

    def click(self, name: str) -> None:
        """A person clicks something in the scene."""
        nothing = {"instance_index": None, "modifier": None, "owner": str(self.session.client.client_id)}
        ray = {"ray_origin": (0, 0, 0), "ray_direction": (0, 0, 1), "screen_pos": (0, 0)}
        self.send("SceneNodeClickMessage", name=name, **ray, **nothing)

    def settle(self) -> None:
        until(self.session.is_settled)


def camera_message(
    pose: torch.Tensor, position: tuple[float, ...], target: tuple[float, ...]
) -> dict[str, Any]:
    from viser.transforms import SO3

    return {
        "wxyz": SO3.from_matrix(pose[:3, :3].T.numpy()).wxyz.tolist(),
        "position": position,
        "fov": 1.0,
        "near": 0.01,
        "far": 1000.0,
        "image_height": 480,
        "image_width": 640,
        "look_at": target,
        "up_direction": (0.0, -1.0, 0.0),
    }


@contextlib.contextmanager
def window(viewer: Viewer) -> Iterator[Window]:
    """A window that has opened and shows the scene."""
    import msgspec
    import viser
    from websockets.sync.client import connect

    known = set(viewer.sessions)
    protocol = f"viser-v{viser.__version__}"
    with connect(f"ws://127.0.0.1:{viewer.port}", subprotocols=[protocol], max_size=None) as socket:  # type: ignore[list-item]
        threading.Thread(target=_drain, args=(socket,), daemon=True).start()
        first = viewer.server.initial_camera
        eye, at, up = (tuple(map(float, v)) for v in (first.position, first.look_at, first.up))
        pose = look_at(*(torch.tensor([v], dtype=torch.float64) for v in (eye, at, up)))
        content = {"type": "ViewerCameraMessage", **camera_message(pose[0], eye, at)}
        socket.send(msgspec.msgpack.encode(content))
        until(lambda: bool(set(viewer.sessions) - known))
        opened = Window(socket, viewer.sessions[max(set(viewer.sessions) - known)])
        opened.settle()
        yield opened


def _drain(socket: Any) -> None:
    from websockets.exceptions import ConnectionClosed

    with contextlib.suppress(ConnectionClosed):
        for _ in socket:
            pass


def until(condition: Callable[[], bool], timeout_s: float = 120) -> None:
    """Wait for what another thread does."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"still not so after {timeout_s:g} s")
        time.sleep(0.02)
