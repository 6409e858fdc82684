"""A GPU that is none: tensors "on cuda" hold their numbers on the CPU, and complain as those of a GPU would.

Code runs as it would on a GPU, with real numbers: what mixes devices, or asks a tensor there for numpy's, fails. To
torch's C++ such a tensor is on its device "meta", which needs no driver; Python is told "cuda:0".
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from recon.cameras import Cameras
from recon.gaussians import Gaussians
from recon.splats.engines import probe, reference
from recon.splats.engines.screen import Style

TOLD, STORED = torch.device("cuda:0"), torch.device("meta")
TAKES_BOTH = ("copy_", "_to_copy", "index", "index_put_", "_index_put_impl_")
"""Operations that copy from one device to the other, or take indices from the CPU."""


class OnGpu(torch.Tensor):
    """A tensor that is said to be on the GPU; `here` are its numbers."""

    here: torch.Tensor

    @staticmethod
    def __new__(cls, here: torch.Tensor) -> "OnGpu":
        return torch.Tensor._make_wrapper_subclass(
            cls, here.shape, strides=here.stride(), storage_offset=here.storage_offset(),
            dtype=here.dtype, device=STORED,
        )  # fmt: skip

    def __init__(self, here: torch.Tensor) -> None:
        self.here = here

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})


class _Dispatch(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})


class _Devices(TorchFunctionMode):
    """Says "meta" to torch where Python says "cuda", and the other way round."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.Tensor.tolist and isinstance(args[0], OnGpu):
            return args[0].here.tolist()  # torch has it for no subclass
        args, kwargs = _mapped(_stored, args), _mapped(_stored, kwargs or {})
        if func in (torch.tensor, torch.Tensor.new_tensor):  # made before anybody is asked
            given = args[1] if func is torch.Tensor.new_tensor else args[0]
            device = kwargs.pop("device", args[0].device if func is torch.Tensor.new_tensor else None)
            if func is torch.Tensor.new_tensor:
                kwargs.setdefault("dtype", args[0].dtype)
            return torch.tensor(given, **kwargs).to(device or "cpu")
        found = func(*args, **kwargs)
        return TOLD if isinstance(found, torch.device) and found == STORED else found


def _mapped(change: Callable, value: Any) -> Any:
    """Arguments with each that is no container changed; torch's own tree_map takes ten times as long."""
    if isinstance(value, dict):
        return {key: _mapped(change, part) for key, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_mapped(change, part) for part in value)
    return change(value)


def _stored(value: Any) -> Any:
    named = isinstance(value, torch.device) or (isinstance(value, str) and value.startswith("cuda"))
    return STORED if named and torch.device(value).type == "cuda" else value


def _run(func: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
    there: list[OnGpu] = []
    plain: list[torch.Tensor] = []

    def inner(value: Any) -> Any:
        if isinstance(value, OnGpu):
            there.append(value)
            return value.here
        if isinstance(value, torch.Tensor):
            plain.append(value)
        return value

    args, kwargs = _mapped(inner, args), _mapped(inner, kwargs)
    on_gpu, name = bool(there), func.overloadpacket.__name__
    if on_gpu and name not in TAKES_BOTH and any(t.ndim for t in plain):
        raise RuntimeError(f"expected all tensors of {name} on one device, found cuda:0 and cpu")
    if kwargs.get("device") is not None:
        on_gpu = kwargs["device"] == STORED
        kwargs = kwargs | {"device": torch.device("cpu")}
    elif name == "copy_":
        on_gpu = args[0] is there[0].here if there else False
    if not on_gpu:
        return func(*args, **kwargs)
    known = {id(t.here): t for t in there}

    def outer(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        return known[id(value)] if id(value) in known else OnGpu(value)

    return _mapped(outer, func(*args, **kwargs))


@contextmanager
def pretended_cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Within, torch has a GPU."""
    with monkeypatch.context() as within, _Dispatch(), _Devices():
        within.setattr(torch.cuda, "is_available", lambda: True)
        within.setattr(torch.cuda, "is_bf16_supported", lambda: True)
        within.setattr(torch.cuda, "get_device_name", lambda *_: "a pretended GPU")
        yield


@contextmanager
def _without_modes() -> Iterator[None]:
    """For what has nothing to do with the GPU, which then takes a tenth of the time."""
    with torch._C.DisableTorchFunction(), _disable_current_modes():
        yield


def rasterization(
    means, quats, scales, opacities, colors, viewmats, Ks, width, height, *, near_plane, far_plane,
    sh_degree, render_mode, rasterize_mode, backgrounds, packed,
):  # fmt: skip
    """gsplat's, by the reference; takes tensors on the GPU alone, as its kernels do."""
    given = (means, quats, scales, opacities, colors, viewmats, Ks, backgrounds)
    assert all(t.device.type == "cuda" and t.dtype == torch.float32 for t in given)
    assert (render_mode, packed) == ("RGB+ED", False)
    centres = torch.zeros(len(viewmats), len(means), 2, device=means.device)
    centres.requires_grad_(torch.is_grad_enabled() and means.requires_grad)
    means, quats, scales, opacities, colors, viewmats, Ks, backgrounds = (t.cpu() for t in given)
    scene = Gaussians(means, quats, scales.log(), opacities.logit(), colors)
    cameras = Cameras(viewmats, Ks, width, height)
    how = Style(backgrounds[0], sh_degree, rasterize_mode == "antialiased", near_plane, far_plane)
    offsets = centres.cpu()
    with patch.object(reference, "screen_offsets", lambda *_: offsets), _without_modes():
        drawn, screen = reference.render(scene, cameras, how)
    pictures = torch.cat([drawn.images, drawn.depth[..., None]], -1)
    radii = screen.radii_px.ceil().int()[..., None].expand(-1, -1, 2)
    info = {"means2d": centres, "radii": radii.to("cuda")}
    return pictures.to("cuda"), drawn.alpha[..., None].to("cuda"), info


def pretend_gsplat(monkeypatch: pytest.MonkeyPatch, draw: Callable = rasterization) -> None:
    """A compiled gsplat that draws as `draw` does, and a machine where none was tried yet."""
    module = ModuleType("gsplat")
    module.rasterization = draw  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gsplat", module)
    monkeypatch.setattr(probe, "_is_built", lambda: True)
    monkeypatch.setattr(probe, "_try_gsplat", cache(probe._try_gsplat.__wrapped__))
