"""The compiled engine from Python: handles, calls, and statuses turned into exceptions.

The C interface, with the layout of everything, is `src/splats.h`.
"""

import ctypes
import os
import threading
import time
import weakref
from collections.abc import Callable
from functools import cache

from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras
from recon.errors import BridgeError
from recon.splats.engines.screen import jacobian_limits
from recon.splats.kernels.threads import kernel_threads
from recon.splats.native.calls import Outcome, call_queue
from recon.splats.native.loading import EngineUnavailable, describe_build, load, unavailable
from recon.splats.native.structs import (
    BAD_ARGUMENT,
    OUT_OF_MEMORY,
    STOPPED,
    Adam,
    Camera,
    Comparison,
    PictureGradients,
    Pictures,
    Scene,
    SceneGradients,
    Statistics,
    Style,
    pointer,
)

__all__ = [
    "Adam",
    "Camera",
    "Comparison",
    "Engine",
    "EngineUnavailable",
    "Frame",
    "PictureGradients",
    "Pictures",
    "Scene",
    "SceneGradients",
    "Statistics",
    "Style",
    "camera_struct",
    "check_comparable",
    "description",
    "engine",
    "load",
    "pointer",
    "unavailable",
]


def description() -> str:
    """Instruction set, compiler and threads of the engine, for people.

    Raises:
        EngineUnavailable: there is no compiled engine.
    """
    name, compiler = describe_build()
    return f"{name}, compiled by {compiler}, threads: {kernel_threads()}"


def camera_struct(cameras: Cameras, index: int, near: float, far: float) -> Camera:
    """The engine's struct of one camera; it draws z-depths between `near` and `far`."""
    one = cameras[index]
    pose, K = one.cam_from_world[0].detach().double(), one.K[0].detach().double()
    left, right, top, bottom = jacobian_limits(one)[0].tolist()
    return Camera(
        rotation=tuple(pose[:3, :3].flatten().tolist()),
        translation=tuple(pose[:3, 3].tolist()),
        focal_x=float(K[0, 0]),
        focal_y=float(K[1, 1]),
        center_x=float(K[0, 2]),
        center_y=float(K[1, 2]),
        limit_x=(left, right),
        limit_y=(top, bottom),
        near_plane=near,
        far_plane=far,
        width=one.width,
        height=one.height,
    )


class Frame:
    """What a backward pass needs of its forward pass, and the memory of both; used again, it allocates nothing."""

    def __init__(self) -> None:
        self._library = load()
        self.handle = self._library.splats_frame_create()
        if not self.handle:
            raise _out_of_memory()
        weakref.finalize(self, self._library.splats_frame_destroy, self.handle)

    def statistics(self) -> Statistics:
        """Sizes of what was drawn last."""
        found = Statistics()
        self._library.splats_frame_statistics(self.handle, found)
        return found


class Engine:
    """Threads that draw, derive and train; see `src/splats.h` for what every call does.

    Calls from several threads wait for each other. A call in the main thread ends soon after Ctrl-C. An engine does
    not outlive a fork: the child has to take one of its own.

    Raises:
        EngineUnavailable: there is no compiled engine.
        BridgeError: no memory or threads to be had; by every call, that the engine is that of a parent process.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._library = load()
        self._lock = threading.Lock()
        self._owner = os.getpid()
        self._handle = self._library.splats_engine_create(threads)
        if not self._handle:
            raise BridgeError(
                f"the CPU splatting engine gets no memory or no {threads} threads from the system"
            )
        weakref.finalize(self, _destroy, self._library, self._handle, self._owner)

    def forward(self, frame: Frame, scene: Scene, camera: Camera, style: Style, pictures: Pictures) -> None:
        """Draws into `pictures`."""
        self._call(self._library.splats_forward, frame.handle, scene, camera, style, pictures)

    def backward(
        self,
        frame: Frame,
        scene: Scene,
        camera: Camera,
        style: Style,
        drawn: Pictures,
        gradients: PictureGradients,
        out: SceneGradients,
    ) -> None:
        """Derivatives of a loss by scene and camera, from those by the pictures; other arguments as in `forward`."""
        self._call(
            self._library.splats_backward,
            *(frame.handle, scene, camera, style, drawn, gradients, out),
        )

    def loss(
        self,
        image: Float[Tensor, "h w 3"],
        target: Float[Tensor, "h w 3"],
        weight: Float[Tensor, "h w"] | None,
        lambda_dssim: float,
        gradient: Float[Tensor, "h w 3"] | None,
    ) -> float:
        """`recon.splats.loss.photometric_loss`; its derivative by `image` is written into `gradient`.

        Raises:
            BridgeError: not of these shapes.
        """
        check_comparable(image, target, weight)
        if gradient is not None and gradient.shape != image.shape:
            raise BridgeError(
                f"expected room for a gradient of {tuple(image.shape)}, got {tuple(gradient.shape)}"
            )
        height, width, _ = image.shape
        found = ctypes.c_double()
        self._call(
            self._library.splats_loss,
            pointer(image),
            pointer(target),
            None if weight is None else pointer(weight),
            *(width, height, lambda_dssim, found),
            None if gradient is None else pointer(gradient),
        )
        return found.value

    def train_step(
        self, frame: Frame, camera: Camera, style: Style, comparison: Comparison, adam: Adam
    ) -> float:
        """Takes one training step; returns the loss before it."""
        found = ctypes.c_double()
        self._call(self._library.splats_train_step, frame.handle, camera, style, comparison, adam, found)
        return found.value

    def explore(
        self, groups: Float[Tensor, "groups rows 16"], count: int, strength: float, seed: int
    ) -> None:
        """The random walk of MCMC splatting; moves the means in place."""
        self._call(self._library.splats_explore, pointer(groups), count, groups.shape[1], strength, seed)

    def _call(self, function: Callable[..., int], *arguments: object) -> None:
        if os.getpid() != self._owner:
            raise BridgeError(
                "this CPU splatting engine was made before the process forked, and its threads stayed behind; make "
                "what holds it, a trainer for example, after the fork"
            )
        with self._lock:
            if threading.current_thread() is threading.main_thread():
                status = self._stoppable(function, *arguments)
            else:
                status = function(self._handle, *arguments)
        if status == STOPPED:
            raise KeyboardInterrupt
        if status == OUT_OF_MEMORY:
            raise _out_of_memory()
        if status == BAD_ARGUMENT:
            raise BridgeError(
                "the CPU splatting engine expects pictures of 1 to 65,536 px a side, a near plane above 0 and "
                "spherical harmonics of degree 0 to 3, and got something else"
            )

    def _stoppable(self, function: Callable[..., int], *arguments: object) -> int:
        """Python hears of Ctrl-C only between its own instructions, so another thread makes the call.

        An interruption, also a second one, leaves here only when the call is over: it uses the caller's memory.
        """
        calls, outcome = call_queue(), Outcome()
        try:
            calls.put((function, (self._handle, *arguments), outcome))
            found = outcome.get()
        except BaseException:
            while True:
                try:  # around all that the loop does, because the next interruption may come anywhere
                    over = Outcome()
                    calls.put((int, (), over))  # its turn comes after the call, which may not have been put
                    while over.empty():
                        self._library.splats_stop(self._handle)  # again: the call may not have begun
                        time.sleep(0.005)
                    break
                except BaseException:
                    continue
            raise
        if isinstance(found, Exception):
            raise found
        return found


def engine() -> Engine:
    """The engine with as many threads as torch uses, or as `kernels_alone` set free for it.

    Raises:
        EngineUnavailable: there is no compiled engine.
    """
    return _engine(kernel_threads())


@cache
def _engine(threads: int) -> Engine:
    return Engine(threads)


# A forked child inherits the engine but not its threads: it makes one of its own.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_engine.cache_clear)


def check_comparable(
    image: Float[Tensor, "h w 3"], target: Float[Tensor, "h w 3"], weight: Float[Tensor, "h w"] | None
) -> None:
    """Checks that pictures can be compared pixel by pixel.

    Raises:
        BridgeError: pictures that are not (h, w, 3) of one size, or a weight that is not (h, w).
    """
    height, width = image.shape[:2] if image.ndim == 3 else (0, 0)
    picture = (height, width, 3)
    fits = weight is None or weight.shape == (height, width)
    if image.shape != picture or target.shape != picture or not fits:
        weighed = "" if weight is None else f", weight {tuple(weight.shape)}"
        raise BridgeError(
            "expected an image and a target of one shape (h, w, 3) and a weight (h, w), got image "
            f"{tuple(image.shape)}, target {tuple(target.shape)}{weighed}"
        )


def _destroy(library: ctypes.CDLL, handle: int, owner: int) -> None:
    if os.getpid() == owner:  # else the threads that it would wait for are in another process
        library.splats_engine_destroy(handle)


def _out_of_memory() -> BridgeError:
    return BridgeError(
        "the CPU splatting engine ran out of memory; draw smaller pictures or fewer Gaussians, or close other programs"
    )
