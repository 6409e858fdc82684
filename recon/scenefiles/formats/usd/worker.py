"""Reads one USD file in a process of its own; `process` starts it and says why. Imports nothing of this project.

Arguments: the file, bytes of memory that are always granted, further ones for each byte of a file that is opened.
Answers on stdout, each a line of JSON and the arrays it announces: first what the file holds, then, for each line with
the number of a frame on stdin, its Gaussians.
"""

import json
import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

import numpy as np

SUFFIXES = (".usd", ".usda", ".usdc", ".usdz")
"""Other layers would be read by plug-ins that are none of our business."""
MAX_BANDS = 4
"""Bands of spherical harmonics that are kept: degree 3."""
MOST_TIMES = 1_000_000
"""Nine hours at 30 frames a second."""
FARTHEST_TIME = 1e12
"""Time codes beyond are damage: a millennium at 30 frames a second."""
SPHERICAL_HARMONICS = "radiance:sphericalHarmonicsCoefficients"
"""Attribute of the coefficients, constant one first."""
RENDER_MODE = "SplatRenderMode"
"""A key of customData, as PLY files have it in a comment."""


class RefusedError(Exception):
    """What the file is told not to be; completes a sentence that begins with its name."""


class Memory:
    """The limit of this process, raised with every file that is opened."""

    def __init__(self, base: int, for_each_byte: int) -> None:
        self.bytes, self.for_each_byte = base, for_each_byte

    def grant(self, path: str) -> None:
        """Raise the memory limit by what a file of this size may take."""
        self.bytes += self.for_each_byte * os.path.getsize(path)
        try:
            import resource
        except ImportError:  # Windows has no such limit
            return
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        wanted = self.bytes if hard == resource.RLIM_INFINITY else min(self.bytes, hard)
        with suppress(ValueError, OSError):  # macOS has the name of it, not always the thing
            resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))


class Scene:
    """An open stage and what of it is read."""

    def __init__(self, path: str, memory: Memory) -> None:
        from pxr import Sdf, Usd, UsdVol

        if not hasattr(UsdVol, "ParticleField3DGaussianSplat"):
            raise ImportError(f"usd-core {'.'.join(map(str, Usd.GetVersion()[1:]))}")
        memory.grant(path)
        root = Sdf.Layer.FindOrOpen(path)
        if not root:
            raise RefusedError("is no USD file")
        checked = check_layers(root, path, memory)
        self.stage = Usd.Stage.Open(root)
        for layer in self.stage.GetUsedLayers():
            if not layer.anonymous and layer.identifier not in checked:
                raise RefusedError(
                    f"opens {os.path.basename(layer.identifier)}, which was not to be expected"
                )
        prims = list(self.stage.Traverse(Usd.TraverseInstanceProxies()))
        self.splats = [prim for prim in prims if prim.IsA(UsdVol.ParticleField3DGaussianSplat)]
        if not self.splats:
            refuse_others(prims)
        self.others = count_others(prims)
        self.codes = time_codes(self.splats)

    def describe(self) -> dict[str, Any]:
        """Axes, unit, times and notes of the scene, for the parent."""
        from pxr import UsdGeom

        stage = self.stage
        rate = stage.GetTimeCodesPerSecond()
        rate = rate if 0 < rate < float("inf") else 24.0
        metres = UsdGeom.GetStageMetersPerUnit(stage) if stage.HasAuthoredMetadata("metersPerUnit") else None
        modes = {str(prim.GetCustomDataByKey(RENDER_MODE)) for prim in self.splats}
        return {
            "up_axis": str(UsdGeom.GetStageUpAxis(stage)),
            "axes_stated": bool(stage.HasAuthoredMetadata("upAxis")),
            "metres_per_unit": metres,
            "times_s": [code / rate for code in self.codes],
            "render_mode": modes.pop() if len(modes) == 1 else "",
            "others": self.others,
        }

    def frame(self, index: int) -> list[tuple[dict[str, Any], list[np.ndarray]]]:
        """What the prims hold at a frame: matrices, counts and arrays."""
        from pxr import Usd, UsdGeom

        time = Usd.TimeCode(self.codes[index]) if self.codes else Usd.TimeCode.Default()
        self.stage.SetInterpolationType(Usd.InterpolationTypeHeld)
        placed = UsdGeom.XformCache(time)
        parts = []
        for prim in self.splats:
            shown = UsdGeom.Imageable(prim)
            if shown.ComputeVisibility(time) == "invisible" or shown.ComputePurpose() in ("proxy", "guide"):
                continue
            arrays = gaussians_of(prim, time)
            # USD multiplies rows by matrices
            matrix = np.array(placed.GetLocalToWorldTransform(prim)).T
            says = {"matrix": matrix.tolist(), "count": len(arrays[0]), "coefficients": arrays[-1].shape[1]}
            parts.append((says, arrays))
        return parts


def check_layers(root: Any, path: str, memory: Memory) -> set[str]:
    """Open every layer that composition would, and refuse those outside the folder; which they are.

    Nothing is composed before: composing opens layers without asking.
    """
    from pxr import Ar, Sdf

    folder = os.path.dirname(os.path.realpath(path))
    checked: set[str] = set()
    waiting = [root]
    while waiting:
        layer = waiting.pop()
        if layer.identifier in checked:
            continue
        checked.add(layer.identifier)
        refuse_clips(layer)
        for asset in layer.GetCompositionAssetDependencies():
            found = (
                Ar.GetResolver().Resolve(Sdf.ComputeAssetPathRelativeToLayer(layer, asset)).GetPathString()
            )
            name = f"{asset:.100}"
            if not found:
                raise RefusedError(f"refers to {name!r}, which is not beside it; it is not opened without")
            outer, inner = Ar.SplitPackageRelativePathOuter(found)
            outer = os.path.realpath(outer)
            if os.path.commonpath([outer, folder]) != folder:
                raise RefusedError(f"refers to {name!r}, which leads out of its folder; it is not opened")
            if os.path.splitext(inner or outer)[1].lower() not in SUFFIXES:
                raise RefusedError(f"refers to {name!r}, which is no USD file; it is not opened")
            if not inner:
                memory.grant(outer)
            waiting.append(Sdf.Layer.FindOrOpen(found))
    return checked


def refuse_clips(layer: Any) -> None:
    """Value clips name files that are opened when a value is asked for."""

    def look(path: Any) -> None:
        """Note a path with value clips."""
        spec = layer.GetPrimAtPath(path) if path.IsPrimPath() or path.IsPrimVariantSelectionPath() else None
        if spec and spec.HasInfo("clips"):
            found.append(str(path))

    found: list[str] = []
    layer.Traverse("/", look)
    if found:
        raise RefusedError(f"plays value clips from other files ({found[0]:.100}), which are not opened")


def refuse_others(prims: list[Any]) -> NoReturn:
    """Say what is in a file without Gaussians."""
    for prim in prims:
        if any(name.startswith("omni:nurec") for name in prim.GetPropertyNames()):
            raise RefusedError(
                "holds NuRec, which is deprecated; 3dgrut's transcode script turns it into USD or PLY"
            )
    kinds = sorted({str(prim.GetTypeName()) for prim in prims} - {"", "Xform", "Scope"})
    what = f"only {', '.join(kinds)[:100]}" if kinds else "nothing that is shown"
    raise RefusedError(f"holds {what} and no Gaussians (ParticleField3DGaussianSplat)")


def count_others(prims: list[Any]) -> int:
    """Number of prims that draw something else than Gaussians."""
    from pxr import UsdGeom, UsdVol

    return sum(
        prim.IsA(UsdGeom.Gprim) and not prim.IsA(UsdVol.ParticleField3DGaussianSplat) for prim in prims
    )


def time_codes(prims: list[Any]) -> list[float]:
    """Times at which an array of the Gaussians is stored, or a transform or visibility above them."""
    from pxr import UsdGeom

    codes: set[float] = set()
    for prim in prims:
        for name in ("positions", "orientations", "scales", "opacities", SPHERICAL_HARMONICS):
            for attribute in (prim.GetAttribute(name), prim.GetAttribute(name + "h")):
                codes.update(attribute.GetTimeSamples() if attribute else ())
        above = prim
        while above:
            if above.IsA(UsdGeom.Xformable):
                codes.update(UsdGeom.Xformable(above).GetTimeSamples())
            if above.IsA(UsdGeom.Imageable):
                codes.update(UsdGeom.Imageable(above).GetVisibilityAttr().GetTimeSamples())
            above = above.GetParent()
    finite = sorted(code for code in codes if abs(code) < FARTHEST_TIME)
    if len(finite) > MOST_TIMES:
        raise RefusedError(f"has {len(finite):,} times; up to {MOST_TIMES:,} are read")
    return finite


def gaussians_of(prim: Any, time: Any) -> list[np.ndarray]:
    """Positions, rotations (wxyz), linear scales, linear opacities, spherical harmonics; float32."""

    def values(name: str, *shape: int) -> np.ndarray:
        """Read an attribute at a time, float before half."""
        # float where both are there, as the schema has it
        for attribute in (prim.GetAttribute(name), prim.GetAttribute(name + "h")):
            value = attribute.Get(time) if attribute else None
            if value is not None and len(value):
                return np.asarray(value).astype("<f4", copy=False).reshape(-1, *shape)
        return np.zeros((0, *shape), "<f4")

    where = str(prim.GetPath())[:100]
    positions = values("positions", 3)
    n = len(positions)
    arrays = [positions, values("orientations", 4)[:, [3, 0, 1, 2]], values("scales", 3), values("opacities")]
    for name, array in zip(("orientations", "scales", "opacities"), arrays[1:], strict=True):
        if len(array) != n:
            raise RefusedError(f"has {n:,} positions and {len(array):,} {name} at {where}, expected as many")
    degree = prim.GetAttribute("radiance:sphericalHarmonicsDegree").Get()
    sh = values(SPHERICAL_HARMONICS, 3)
    bands = degree + 1 if isinstance(degree, int) and 0 <= degree < 100 else 0
    if n and len(sh) != n * bands**2:
        # the fallback of a degree that is not written is 3; the arrays are surer
        bands = round((len(sh) / n) ** 0.5)
        if bands == 0 or len(sh) != n * bands**2:
            raise RefusedError(f"has {len(sh):,} colour coefficients for {n:,} positions at {where}")
    sh = sh.reshape(n, bands**2, 3) if n else np.zeros((0, max(bands, 1) ** 2, 3), "<f4")
    return [*arrays, sh[:, : MAX_BANDS**2]]


def explain(error: BaseException, path: str) -> str:
    """The rest of a sentence that begins with the name of the file."""
    if isinstance(error, RefusedError):
        return str(error)
    if isinstance(error, MemoryError):
        return "needs more memory than a scene of its size may take; it is damaged"
    try:
        message = str(error)
    except UnicodeDecodeError:  # it quotes the file, which need not be text
        message = ""
    # OpenUSD says where in its source it was, then what was wrong, in quotes
    said = re.sub(r"\s+", " ", message.partition(" : '")[2] or f"{type(error).__name__}: {message}")
    return f"is damaged or no USD file ({said.replace(path, os.path.basename(path)).strip():.200})"


def serve(path: str, memory: Memory, answer: Callable[[dict[str, Any], list[np.ndarray]], None]) -> None:
    """Describe the scene, then answer the frames asked for on standard input."""
    scene = Scene(path, memory)
    answer(scene.describe(), [])
    for line in sys.stdin:
        parts = scene.frame(int(line))
        answer({"parts": [says for says, _ in parts]}, [array for _, arrays in parts for array in arrays])


def main() -> None:
    """Serve the file that the command line names."""
    path, base, for_each_byte = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    # what libraries print must not get between the answers
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    def answer(says: dict[str, Any], arrays: list[np.ndarray]) -> None:
        """Write an answer and its arrays to the parent."""
        out.write(json.dumps(says).encode() + b"\n")
        for array in arrays:
            out.write(np.ascontiguousarray(array).data)
        out.flush()

    try:
        serve(path, Memory(base, for_each_byte), answer)
    except ImportError as error:
        answer({"missing": str(error)}, [])
    except Exception as error:
        answer({"error": explain(error, path)}, [])


if __name__ == "__main__":
    main()
