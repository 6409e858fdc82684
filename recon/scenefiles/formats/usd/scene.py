"""USD with ParticleField3DGaussianSplat (OpenUSD 26.03): .usdc and .usd (binary), .usda (text), .usdz (archive).

float32 throughout; upAxis says which axes it has, metersPerUnit its scale. A moving scene has a time sample of every
array for every frame. Reading happens in another process (`process`).
"""

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from recon.compute.files import atomic_write
from recon.errors import MissingDependencyError, SceneFileError
from recon.gaussians import Gaussians
from recon.scenefiles.axes import Axes
from recon.scenefiles.formats.usd.process import UsdReader, frames_of
from recon.scenefiles.formats.usd.worker import RENDER_MODE
from recon.scenefiles.linear import LinearGaussians, to_linear
from recon.scenefiles.ply_table import MODE_COMMENT, stated_render_mode
from recon.scenefiles.scene_file import SceneFile, WriteOptions, Written
from recon.sequence import GaussianFrames
from recon.splats.engines.reference import rotation_matrices

UP_AXES = {Axes.RUB: "Y", Axes.Z_UP: "Z"}
"""What upAxis can say."""
STILL_FPS = 24.0
"""OpenUSD's own rate, for a moving scene of one frame."""
SNAP = 1e-6
"""Time codes as near to a whole number are meant to be it: players step by whole ones."""
SIGMAS = 3.0
"""Standard deviations that an extent includes; what viewers draw of a Gaussian ends there."""
SAVE_EACH = 1 << 29
"""Bytes of frames that are held until they are written. Arrays that repeat within are stored once."""
LARGEST_LAYER = 2**32 - 1
"""Bytes of a file in a .usdz, a ZIP archive of the old kind; 18 million Gaussians at degree 3."""


def write(scene: Gaussians | GaussianFrames, path: Path, options: WriteOptions) -> Written:
    """Write a scene exactly, but for the rounding of scales and opacities.

    Raises:
        SceneFileError: axes that upAxis cannot say, frames of different degrees, or more than 4 GiB as .usdz.
        MissingDependencyError: OpenUSD is older than its Gaussians.
    """
    if options.axes not in UP_AXES:
        asked = options.axes.value if options.axes else "none"
        raise SceneFileError(f"USD holds rub or z-up axes, which its upAxis tells apart, not {asked}")
    suffix = path.suffix.lower()
    inside = ".usda" if suffix == ".usda" else ".usdc"
    with (
        atomic_write(path) as beside,
        TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder,
    ):
        layer = Path(folder) / f"scene{inside}"
        clamped = _author(scene, layer, options)
        if suffix == ".usdz":
            layer = _pack(layer, path)
        os.replace(layer, beside)
    notes: tuple[str, ...] = ()
    if options.metres_per_unit is None:
        notes = ("nobody knows the scene's unit, and metersPerUnit has to say something: it says 1",)
    if options.render_mode != "default":
        notes = (
            *notes,
            f"USD has no word for {options.render_mode}; it stands in customData, which few programs read",
        )
    return Written(clamped=clamped, notes=notes)


def _pack(layer: Path, path: Path) -> Path:
    """A .usdz beside a layer, with it inside."""
    from pxr import Sdf

    if layer.stat().st_size > LARGEST_LAYER:
        size = layer.stat().st_size / 2**30
        raise SceneFileError(f"{path.name} would hold {size:.1f} GiB, and a .usdz holds up to 4; write .usdc")
    package = layer.with_suffix(".usdz")
    with Sdf.ZipFileWriter.CreateNew(str(package)) as archive:
        archive.AddFile(str(layer), layer.name)
    return package


def _author(scene: Gaussians | GaussianFrames, layer: Path, options: WriteOptions) -> dict[str, int]:
    """Write a layer; returns how many values of each attribute were clamped."""
    from pxr import Tf, Usd, UsdGeom, UsdVol

    if not hasattr(UsdVol, "ParticleField3DGaussianSplat"):
        raise MissingDependencyError(
            "USD with Gaussians needs usd-core 26.3 or newer; run: pip install --upgrade 'bridge4d[usd]'"
        )
    stage = Usd.Stage.CreateNew(str(layer))
    UsdGeom.SetStageUpAxis(stage, UP_AXES[options.axes or Axes.RUB])
    UsdGeom.SetStageMetersPerUnit(stage, options.metres_per_unit or 1.0)
    stage.SetMetadata("customLayerData", {"creator": "bridge4d"})
    root = UsdGeom.Xform.Define(stage, "/World").GetPrim()
    stage.SetDefaultPrim(root)
    Usd.ModelAPI(root).SetKind("component")
    splats = UsdVol.ParticleField3DGaussianSplat.Define(
        stage, f"/World/{Tf.MakeValidIdentifier(options.title)}"
    )
    splats.CreateProjectionModeHintAttr("perspective")
    splats.CreateSortingModeHintAttr("cameraDistance")
    if options.render_mode != "default":
        splats.GetPrim().SetCustomDataByKey(RENDER_MODE, options.render_mode)
    if isinstance(scene, Gaussians):
        clamped = _set_arrays(splats, scene, None)
    else:
        clamped = _set_frames(stage, splats, scene)
    stage.Save()
    return clamped


def _set_frames(stage: Any, splats: Any, moving: GaussianFrames) -> dict[str, int]:
    """Every frame at its time; the first also as the default, for programs without time."""
    rate = moving.fps or STILL_FPS
    codes = moving.times_s * rate
    whole = codes.round()
    codes = torch.where((codes - whole).abs() < SNAP, whole, codes).tolist()
    stage.SetTimeCodesPerSecond(rate)
    stage.SetFramesPerSecond(rate)
    stage.SetStartTimeCode(codes[0])
    stage.SetEndTimeCode(codes[-1])
    clamped: dict[str, int] = {}
    held, degree = 0, None
    for index, code in enumerate(codes):
        frame = moving.frames[index]
        if degree not in (None, frame.sh_degree):
            raise SceneFileError(
                f"USD holds one degree of spherical harmonics for all frames, and these have {degree} and {frame.sh_degree}"
            )
        if index == 0:
            degree = frame.sh_degree
            _set_arrays(splats, frame, None)
        for name, count in _set_arrays(splats, frame, code).items():
            clamped[name] = clamped.get(name, 0) + count
        held += sum(tensor.nbytes for tensor in frame.tensors().values())
        if held > SAVE_EACH:
            stage.Save()
            held = 0
    return clamped


def _set_arrays(splats: Any, scene: Gaussians, code: float | None) -> dict[str, int]:
    """Author the arrays of a scene, at a time or as default; returns how many values were clamped."""
    from pxr import Usd, Vt

    linear, clamped = to_linear(scene)
    time = Usd.TimeCode.Default() if code is None else Usd.TimeCode(code)

    def points(values: Float32[Tensor, "n 3"]) -> Any:
        """Convert to USD's array of points."""
        return Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(values.numpy()))

    # in memory, and so from numpy, Gf.Quatf has its real part last
    quats = Vt.QuatfArray.FromNumpy(np.roll(linear.quats_wxyz.numpy(), -1, 1))
    splats.CreatePositionsAttr().Set(points(linear.means), time)
    splats.CreateOrientationsAttr().Set(quats, time)
    splats.CreateScalesAttr().Set(points(linear.scales), time)
    splats.CreateOpacitiesAttr().Set(Vt.FloatArray.FromNumpy(linear.opacities.numpy()), time)
    splats.CreateRadianceSphericalHarmonicsDegreeAttr().Set(scene.sh_degree)
    splats.CreateRadianceSphericalHarmonicsCoefficientsAttr().Set(points(linear.sh.flatten(0, 1)), time)
    if len(scene):
        splats.CreateExtentAttr().Set(points(_extent(linear)), time)
    return clamped


def _extent(linear: LinearGaussians) -> Float32[Tensor, "2 3"]:
    """Low and high corner of all ellipsoids of `SIGMAS` standard deviations."""
    axes = rotation_matrices(linear.quats_wxyz) * linear.scales[:, None]
    reach = SIGMAS * axes.norm(dim=2)
    return torch.stack([(linear.means - reach).amin(0), (linear.means + reach).amax(0)])


def read(path: Path) -> SceneFile:
    """All Gaussians of a file in the places of their prims; time samples become frames that are read one by one.

    Raises:
        SceneFileError: no such file, no USD, no Gaussians in it, damaged, or leading out of its folder.
    """
    reader = UsdReader(path)
    says = reader.says
    axes = {up: axes for axes, up in UP_AXES.items()}.get(says["up_axis"])
    if axes is None:
        raise SceneFileError(f"{path} is damaged: its upAxis is {says['up_axis']!r:.40}, expected Y or Z")
    scene, notes = reader.frame(0)
    if says["metres_per_unit"] is not None:
        notes.append(f"one of its units is {says['metres_per_unit']:g} m (metersPerUnit)")
    if says["others"]:
        notes.append(f"it holds {says['others']} other shapes beside its Gaussians, which were left out")
    moving = None
    if len(says["times_s"]) > 1:
        moving = GaussianFrames(*frames_of(reader))
    else:
        reader.close()
    return SceneFile(
        scene,
        axes,
        axes_stated=says["axes_stated"],
        render_mode=stated_render_mode([f"{MODE_COMMENT} {says['render_mode']}"]),
        notes=tuple(notes),
        moving=moving,
    )
