"""The .splat files of antimatter15: 32 bytes a Gaussian and nothing else.

Three floats of position, three of (linear) scale, bytes of red, green, blue and opacity, bytes of the rotation w x y z.
Programs read a byte b of the rotation as b / 127.5 − 1 (SuperSplat, Babylon) or as (b − 128) / 128 (antimatter15,
Spark), and most writers cut 128 · q + 128 off to a whole number, which suits the first reading.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from recon.compute.files import atomic_write
from recon.errors import SceneFileError
from recon.gaussians import Gaussians, unit_quats
from recon.scenefiles.axes import Axes
from recon.scenefiles.bounded import read_file
from recon.scenefiles.quantize import (
    color_bytes,
    color_coefficients,
    opacity_bytes,
    opacity_logits,
    to_levels,
)
from recon.scenefiles.scene_file import SceneFile, WriteOptions, Written

RECORD = np.dtype([("position", "<f4", 3), ("scale", "<f4", 3), ("color", "u1", 3), ("opacity", "u1"), ("rotation", "u1", 4)])  # fmt: skip
"""32 bytes."""


def write(scene: Gaussians, path: Path, options: WriteOptions) -> Written:
    """Write large, opaque Gaussians first, as viewers that show a file while it loads expect.

    Raises:
        SceneFileError: an empty scene, whose file would be empty.
    """
    if len(scene) == 0:
        raise SceneFileError("a .splat file cannot hold an empty scene; choose another format")
    # by volume times opacity, in logarithms
    weight = scene.log_scales.sum(1) + torch.nn.functional.logsigmoid(scene.opacity_logits)
    order = torch.argsort(weight, descending=True, stable=True)
    scene = replace(scene, sh=scene.sh[:, :1])[order]
    quats = unit_quats(scene.quats_wxyz).float().numpy()
    records = np.zeros(len(scene), RECORD)
    records["position"] = scene.means.numpy()
    records["scale"] = scene.log_scales.exp().numpy()
    records["color"], outside = color_bytes(scene.sh[:, 0].numpy())
    records["opacity"] = opacity_bytes(scene.opacity_logits.numpy())
    records["rotation"] = to_levels(quats, 127.5, 127.5)[0]
    with atomic_write(path) as beside, open(beside, "wb") as file:
        file.write(records.data)
    return Written(clamped={"color": outside} if outside else {}, order=order)


def read(path: Path) -> SceneFile:
    """A scene without view dependence.

    Raises:
        SceneFileError: no such file, empty, or not a whole number of records.
    """
    data = read_file(path)
    if len(data) == 0 or len(data) % RECORD.itemsize:
        raise SceneFileError(
            f"{path} is no .splat file or cut short: it has {len(data):,} bytes, expected a multiple of {RECORD.itemsize}"
        )
    records = np.frombuffer(data, RECORD)
    quats = records["rotation"].astype(np.float32) / np.float32(127.5) - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        log_scales = np.log(records["scale"])
    return SceneFile(
        Gaussians(
            means=torch.from_numpy(records["position"].astype(np.float32)),
            quats_wxyz=unit_quats(torch.from_numpy(quats)).float(),
            log_scales=torch.from_numpy(log_scales.astype(np.float32)),
            opacity_logits=torch.from_numpy(opacity_logits(records["opacity"])),
            sh=torch.from_numpy(color_coefficients(records["color"]))[:, None],
        ),
        Axes.RDF,
    )
