"""The compiled engine behind one autograd function: scene and cameras in, pictures out."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from recon.cameras import Cameras
from recon.errors import BridgeError
from recon.gaussians import Gaussians, sh_bases
from recon.splats.engines.screen import Rendering, Screen, Style, screen_offsets
from recon.splats.native import library
from recon.splats.native.layout import empty_groups, pack, unpack
from recon.splats.native.library import Frame, pointer

MOST_SPARE_FRAMES = 2
"""Frames whose memory is kept for the next drawings; each holds all that a backward pass needs."""

_spare_frames: list[Frame] = []


def render(gaussians: Gaussians, cameras: Cameras, style: Style) -> tuple[Rendering, Screen]:
    """Pictures of all cameras in float32; one after the other, each on all threads.

    Differentiable once in the scene, in `Screen.means2d`, in the cameras' poses and in the background.

    Raises:
        EngineUnavailable: there is no compiled engine.
        BridgeError: derivatives by intrinsics wanted, a picture too large, or no memory.
    """
    if cameras.K.requires_grad:
        raise BridgeError(
            "the cpu engine has no derivatives by a camera's K; use engine='reference' or cameras.K.detach()"
        )
    scene = gaussians.to(dtype=torch.float32)
    means2d = screen_offsets(scene, cameras)
    inputs = (*scene.tensors().values(), means2d, cameras.cam_from_world, style.background.float())
    learns = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs)
    images, depth_sum, alpha, median, radii = _Rasterize.apply(*inputs, cameras, style, learns)
    return Rendering.from_sums(images, depth_sum, alpha, median), Screen(means2d, radii)


class _Drawing:
    """A scene and cameras as the engine takes them, and the frames of views that wait for their backward pass."""

    def __init__(self, gaussians: Gaussians, cameras: Cameras, style: Style) -> None:
        self._groups = pack(gaussians, sh_bases(style.sh_degree))
        self._scene = library.Scene(
            pointer(self._groups), len(gaussians), self._groups.shape[1], sh_bases(style.sh_degree)
        )
        self._style = library.Style(tuple(style.background.tolist()), style.antialiased)
        self._cameras = [
            library.camera_struct(cameras, i, style.near, style.far) for i in range(len(cameras))
        ]
        self._frames: dict[int, Frame] = {}

    def __len__(self) -> int:
        return len(self._cameras)

    @property
    def count(self) -> int:
        """Number of Gaussians."""
        return self._scene.count

    def empty_gradient(self) -> Float[Tensor, "groups rows 16"]:
        """Room for the derivatives by the scene."""
        return empty_groups(self._groups.shape[1], self.count)

    def draw(self, view: int, pictures: library.Pictures, *, keep: bool) -> None:
        """Draws one view; with `keep` it can be derived."""
        frame = _spare_frames.pop() if _spare_frames else Frame()
        library.engine().forward(frame, self._scene, self._cameras[view], self._style, pictures)
        if keep:
            self._frames[view] = frame
        else:
            _give_back(frame)

    def derive(
        self,
        view: int,
        drawn: library.Pictures,
        gradients: library.PictureGradients,
        out: library.SceneGradients,
    ) -> None:
        """The backward pass of one view. It gives the frame away; for a second one (retain_graph) all is drawn again."""
        if view not in self._frames:
            self.draw(view, drawn, keep=True)
        frame = self._frames.pop(view)
        library.engine().backward(frame, self._scene, self._cameras[view], self._style, drawn, gradients, out)
        _give_back(frame)


class _Rasterize(torch.autograd.Function):
    """Gaussians to images, Σ weight · depth, alpha, median depth and radii."""

    @staticmethod
    def forward(
        ctx: Any,
        means: Tensor,
        quats: Tensor,
        log_scales: Tensor,
        logits: Tensor,
        sh: Tensor,
        means2d: Tensor,
        poses: Tensor,
        background: Tensor,
        cameras: Cameras,
        style: Style,
        learns: bool,
    ) -> tuple[Tensor | None, ...]:
        """Draw the pictures."""
        n, h, w = len(cameras), cameras.height, cameras.width
        drawing = _Drawing(Gaussians(means, quats, log_scales, logits, sh), cameras, style)
        images, radii = _room(n, h, w, 3), _room(n, drawing.count)
        alpha, depth_sum = _room(n, h, w), _room(n, h, w)
        median = _room(n, h, w) if style.median_depth else None
        for i in range(n):
            pictures = library.Pictures(*_pointers(i, images, alpha, depth_sum, median, radii))
            drawing.draw(i, pictures, keep=learns)
        ctx.drawing, ctx.pose_dtype, ctx.coefficients = drawing, poses.dtype, sh.shape[1]
        ctx.save_for_backward(images, alpha, depth_sum, median)
        ctx.mark_non_differentiable(radii)
        ctx.set_materialize_grads(False)
        return images, depth_sum, alpha, median, radii

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any,
        v_images: Tensor | None,
        v_depth_sum: Tensor | None,
        v_alpha: Tensor | None,
        v_median: Tensor | None,
        v_radii: Tensor | None,
    ) -> tuple[Tensor | None, ...]:
        """Gradients of the scene and the poses."""
        drawing: _Drawing = ctx.drawing
        images, alpha, depth_sum, median = ctx.saved_tensors
        given = [v if v is None else v.contiguous() for v in (v_images, v_alpha, v_depth_sum, v_median)]
        n, wanted = len(drawing), ctx.needs_input_grad
        means2d = _room(n, drawing.count, 2) if wanted[5] else None
        camera = _room(n, 12) if wanted[6] else None
        total = None
        for i in range(n):
            found = drawing.empty_gradient() if any(wanted[:5]) else None
            drawing.derive(
                i,
                library.Pictures(*_pointers(i, images, alpha, depth_sum, median)),
                library.PictureGradients(*_pointers(i, *given)),
                library.SceneGradients(
                    None if found is None else pointer(found), *_pointers(i, means2d, camera)
                ),
            )
            if found is not None:
                total = found if total is None else total.add_(found)
        scene = (None,) * 5 if total is None else _scene_gradient(total, drawing.count, ctx.coefficients)
        v_poses = None if camera is None else _pose_gradient(camera).to(ctx.pose_dtype)
        v_background = None
        if wanted[7] and v_images is not None:
            v_background = (v_images * (1 - alpha)[..., None]).sum((0, 1, 2))
        return *scene, means2d, v_poses, v_background, None, None, None


def _scene_gradient(
    groups: Float[Tensor, "groups rows 16"], count: int, coefficients: int
) -> tuple[Tensor, ...]:
    """By a scene's tensors; colour that was not in use has none."""
    found = unpack(groups, count).tensors()
    missing = coefficients - found["sh"].shape[1]
    if missing:
        found["sh"] = torch.nn.functional.pad(found["sh"], (0, 0, 0, missing))
    return tuple(found.values())


def _pose_gradient(camera: Float[Tensor, "n 12"]) -> Float[Tensor, "n 4 4"]:
    """By rotation and translation, laid out as `Cameras.cam_from_world`."""
    out = torch.zeros(len(camera), 4, 4, dtype=torch.float32)
    out[:, :3, :3], out[:, :3, 3] = camera[:, :9].view(-1, 3, 3), camera[:, 9:]
    return out


def _room(*shape: int) -> Tensor:
    """For the engine to write to: float32, whatever torch's default is."""
    return torch.empty(*shape, dtype=torch.float32)


def _pointers(index: int, *batches: Tensor | None) -> list[Any]:
    """Pointers to item `index` of each batch; null for a tensor that is None."""
    return [None if batch is None else pointer(batch[index]) for batch in batches]


def _give_back(frame: Frame) -> None:
    if len(_spare_frames) < MOST_SPARE_FRAMES:
        _spare_frames.append(frame)
