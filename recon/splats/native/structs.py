"""The structures of `src/splats.h`, field by field; what they mean is said there."""

import ctypes
from ctypes import c_double, c_float, c_int32, c_int64, c_uint64

import torch
from torch import Tensor

from recon.errors import BridgeError

ABI = 2
"""SPLATS_ABI of the header that this file mirrors."""
OK, STOPPED, OUT_OF_MEMORY, BAD_ARGUMENT = range(4)
"""Statuses of the engine's calls, in the order of `splats.h`."""

FloatPointer = ctypes.POINTER(c_float)


def pointer(tensor: Tensor) -> FloatPointer:
    """The address of a tensor's numbers. It keeps nothing alive: hold the tensor until the call is over.

    Raises:
        BridgeError: not float32, not on the CPU or not contiguous.
    """
    if tensor.dtype != torch.float32 or tensor.device.type != "cpu" or not tensor.is_contiguous():
        layout = "contiguous" if tensor.is_contiguous() else "strided"
        raise BridgeError(
            f"the CPU engine expects contiguous float32 tensors on the CPU, got {layout} {tensor.dtype} on "
            f"{tensor.device}; call .to('cpu', torch.float32).contiguous()"
        )
    return ctypes.cast(tensor.data_ptr(), FloatPointer)


class Camera(ctypes.Structure):
    _fields_ = (
        ("rotation", c_float * 9),
        ("translation", c_float * 3),
        ("focal_x", c_float),
        ("focal_y", c_float),
        ("center_x", c_float),
        ("center_y", c_float),
        ("limit_x", c_float * 2),
        ("limit_y", c_float * 2),
        ("near_plane", c_float),
        ("far_plane", c_float),
        ("width", c_int32),
        ("height", c_int32),
    )


class Style(ctypes.Structure):
    _fields_ = (("background", c_float * 3), ("antialiased", c_int32))


class Scene(ctypes.Structure):
    _fields_ = (("parameters", FloatPointer), ("count", c_int64), ("rows", c_int32), ("bases", c_int32))


class Pictures(ctypes.Structure):
    _fields_ = (
        ("image", FloatPointer),
        ("alpha", FloatPointer),
        ("depth_sum", FloatPointer),
        ("depth_median", FloatPointer),
        ("radii", FloatPointer),
    )


class PictureGradients(ctypes.Structure):
    _fields_ = (
        ("image", FloatPointer),
        ("alpha", FloatPointer),
        ("depth_sum", FloatPointer),
        ("depth_median", FloatPointer),
    )


class SceneGradients(ctypes.Structure):
    _fields_ = (("parameters", FloatPointer), ("means2d", FloatPointer), ("camera", FloatPointer))


class Adam(ctypes.Structure):
    _fields_ = (
        ("parameters", FloatPointer),
        ("first_moments", FloatPointer),
        ("second_moments", FloatPointer),
        ("count", c_int64),
        ("rows", c_int32),
        ("bases", c_int32),
        ("step", c_int32),
        ("rates", FloatPointer),
        ("beta1", c_float),
        ("beta2", c_float),
        ("epsilon", c_float),
        ("opacity_regularisation", c_float),
        ("scale_regularisation", c_float),
        ("gradient_sum", FloatPointer),
        ("visits", FloatPointer),
    )


class Comparison(ctypes.Structure):
    _fields_ = (
        ("target", FloatPointer),
        ("weight", FloatPointer),
        ("lambda_dssim", c_float),
        ("exposure", FloatPointer),
        ("exposure_gradient", FloatPointer),
    )


class Statistics(ctypes.Structure):
    _fields_ = (("seen", c_int64), ("intersections", c_int64), ("bands", c_int64))


def declare(library: ctypes.CDLL) -> None:
    """Tells ctypes what the functions take and return."""
    handle, at = ctypes.c_void_p, ctypes.POINTER
    signatures: dict[str, tuple[object, tuple[object, ...]]] = {
        "splats_abi": (c_int32, ()),
        "splats_build": (ctypes.c_char_p, ()),
        "splats_cpu_level": (ctypes.c_char_p, ()),
        "splats_engine_create": (handle, (c_int32,)),
        "splats_engine_destroy": (None, (handle,)),
        "splats_stop": (None, (handle,)),
        "splats_frame_create": (handle, ()),
        "splats_frame_destroy": (None, (handle,)),
        "splats_frame_statistics": (None, (handle, at(Statistics))),
        "splats_forward": (c_int32, (handle, handle, at(Scene), at(Camera), at(Style), at(Pictures))),
        "splats_backward": (
            c_int32,
            (
                *(handle, handle, at(Scene), at(Camera), at(Style), at(Pictures)),
                *(at(PictureGradients), at(SceneGradients)),
            ),
        ),
        "splats_loss": (
            c_int32,
            (
                *(handle, FloatPointer, FloatPointer, FloatPointer),
                *(c_int32, c_int32, c_float, at(c_double), FloatPointer),
            ),
        ),
        "splats_train_step": (
            c_int32,
            (handle, handle, at(Camera), at(Style), at(Comparison), at(Adam), at(c_double)),
        ),
        "splats_explore": (c_int32, (handle, FloatPointer, c_int64, c_int32, c_float, c_uint64)),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
