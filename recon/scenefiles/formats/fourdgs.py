"""`.4dgs` (avala-ai, version 1 draft): every Gaussian has a window of time in which it is there.

Written as `gaussian-birth`: a Gaussian that stays where it is over several frames is stored once, with a longer window.
Quantised by the library's `fine` profile: positions to 2% of the median size, rotations to 0.0005, colours and opacity to
half a step of 1/255, view-dependent colour to 1/32 within ±4. Colours outside [0, 1] are clamped. Axes are stated.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recon.bounded import decode_json
from recon.compute.files import atomic_write
from recon.compute.lazy import LazySequence
from recon.errors import BridgeError, SceneFileError
from recon.gaussians import SH_C0, Gaussians, sh_bases, unit_quats
from recon.scenefiles.axes import Axes
from recon.scenefiles.bounded import read_file
from recon.scenefiles.formats.windows import frame_ends, merge_frames
from recon.scenefiles.scene_file import SceneFile, WriteOptions, Written
from recon.sequence import GaussianFrames
from recon.splats.sh import MAX_DEGREE

PROFILE = "fine"
SH_LOW, SH_HIGH = -4.0, 4.0
"""Range of a byte of view-dependent colour, fixed by the format."""
SAMPLED_FPS = 24.0
"""Frames a second at which a continuous file is read."""
MOST_FRAMES = 10_000
"""Frames that are read at most: seven minutes at 24 a second."""
TIMES_KEY = "bridge4d"
"""Metadata of our files: when each frame begins, which windows alone do not tell where nothing changes."""
READ_ALONE = (
    "import sys, resource, fourdgs\n"
    "limit = int(sys.argv[2])\n"
    "try:\n"
    "    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))\n"
    "except (ValueError, OSError):  # some systems have no such limit\n"
    "    pass\n"
    "data = open(sys.argv[1], 'rb').read()\n"
    "if b'keyframe-delta' in data[:4096]:\n"
    "    from fourdgs.keyframe_delta_file import decode_streamed\n"
    "    decode_streamed(data)\n"
    "else:\n"
    "    fourdgs.read(data, recover_truncated=False)\n"
)
"""A stranger's file is first read by a process with a limit on its memory: the library grants each stream 512 MiB."""
BASE_MEMORY, MEMORY_FOR_EACH_BYTE = 2 << 30, 60
"""Bytes of address space: numpy takes 1 GiB of it, and streams grow 10 times and are held as 64-bit integers."""
LONGEST_S = 300.0
"""Seconds after which the process that reads a stranger's file is stopped."""
FRAMES = {Axes.RUB: (1, 5), Axes.RDF: (4, 2), Axes.Z_UP: (2, 1), Axes.LUF: (1, 2)}
"""Up and forward as the format numbers them: +x +y +z −x −y −z; forward is away from the viewer."""


def write(scene: Gaussians | GaussianFrames, path: Path, options: WriteOptions) -> Written:
    """Write a moving scene (or one moment, as a single frame).

    Raises:
        SceneFileError: frames whose colours have different degrees.
    """
    import fourdgs

    moving = scene
    if isinstance(moving, Gaussians):
        moving = GaussianFrames(torch.zeros(1, dtype=torch.float64), (moving,))
    ends = frame_ends(moving)
    rows = merge_frames(moving, ends)
    colors = 0.5 + SH_C0 * rows.scene.sh[:, 0]
    rest = rows.scene.sh[:, 1:].mT.flatten(1)  # all of red, then green, then blue
    count = len(rows.scene)
    quats = unit_quats(rows.scene.quats_wxyz)
    gaussians = fourdgs.GaussianSet(
        positions=_f32(rows.scene.means),
        scales=_f32(rows.scene.log_scales.exp()),
        rotations=_f32(quats[:, [1, 2, 3, 0]]),
        colors=_f32(torch.cat([colors.clamp(0, 1), rows.scene.opacity_logits.sigmoid()[:, None]], 1)),
        motions=np.zeros((count, 3), np.float32),
        mu_t=_f32(rows.begin),
        sigma_t=np.full(count, np.inf, np.float32),
        win_lo=rows.begin.numpy(),
        win_hi=rows.end.numpy(),
        sh=_sh_bytes(rest) if rest.shape[1] else None,
        sh_degree=rows.scene.sh_degree,
        source_group=np.zeros(count, np.int64),
        source_index=rows.row.numpy(),
    )
    up, forward = FRAMES[options.axes or Axes.RUB]
    frame = fourdgs.CoordinateFrame(handedness=1, up_axis=up, forward_axis=forward)
    begins = (moving.times_s - moving.times_s[0]).tolist()
    settings = fourdgs.WriteOptions(
        metadata={TIMES_KEY: json.dumps(begins)},
        profile=PROFILE,
        preserve_source_ids=True,
        verify=False,
        library="bridge4d",
        provenance=fourdgs.Provenance(frames=[frame]),
    )
    with atomic_write(path) as beside, open(beside, "wb") as file:
        fourdgs.write(file, gaussians, float(ends[-1]), options=settings)
    outside = int(((colors < 0) | (colors > 1)).any(1).sum())
    beyond = int((rest.abs() > SH_HIGH).any(1).sum()) if rest.shape[1] else 0
    return Written(
        clamped={"color": outside, "sh": beyond},
        notes=(f"{len(moving)} frames are stored as {count:,} Gaussians, each with its time",),
    )


def _f32(values: Tensor) -> np.ndarray:
    return values.detach().numpy().astype(np.float32)


def _sh_bytes(rest: Tensor) -> np.ndarray:
    return ((rest - SH_LOW) / (SH_HIGH - SH_LOW) * 255).round().clamp(0, 255).numpy().astype(np.uint8)


def read(path: Path) -> SceneFile:
    """A scene of either of the format's models; a continuous one is sampled where a window begins, or 24 times a second.

    Raises:
        SceneFileError: not such a file, damaged, or of a newer version.
    """
    import fourdgs

    data = read_file(path)
    _check_alone(path, len(data))
    try:
        if b"keyframe-delta" in data[:4096]:
            return _read_keyframes(data, path)
        scene = fourdgs.read(data, recover_truncated=False)
        return _read_births(scene, path)
    except BridgeError:
        raise
    except (Exception, RecursionError) as error:  # the library raises whatever its parsing trips over
        raise SceneFileError(f"{path} cannot be read as .4dgs ({type(error).__name__}: {error})") from error


def _check_alone(path: Path, size: int) -> None:
    """Have another process read the file within limits, so that reading it here is known to stay within them."""
    command = [
        sys.executable,
        "-c",
        READ_ALONE,
        str(path.absolute()),
        str(BASE_MEMORY + MEMORY_FOR_EACH_BYTE * size),
    ]
    # numpy's threads reserve address space
    settings = os.environ | {"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, timeout=LONGEST_S, env=settings, text=True
        )
    except subprocess.TimeoutExpired:
        raise SceneFileError(f"{path} takes more than {LONGEST_S:.0f} s to read; it is damaged") from None
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise SceneFileError(f"{path} cannot be read as .4dgs ({said[:200]})")


def _stated_times(scene: Any) -> np.ndarray:
    """Begin of each frame in our own files; empty for other files."""
    try:
        times = np.array(decode_json(scene.header.attributes[TIMES_KEY]), dtype=np.float64)
    except (KeyError, TypeError, ValueError, RecursionError):
        return np.zeros(0)
    good = times.ndim == 1 and 0 < len(times) <= MOST_FRAMES and np.isfinite(times).all()
    return times if good and (np.diff(times) > 0).all() else np.zeros(0)


def _read_births(scene: Any, path: Path) -> SceneFile:
    gaussians = scene.gaussians
    if gaussians is None or not gaussians.count:
        raise SceneFileError(f"{path} holds no Gaussians")
    begins = np.unique(np.asarray(gaussians.win_lo, dtype=np.float64))
    still = bool(np.isinf(gaussians.sigma_t).all()) and not np.any(gaussians.motions)
    notes: list[str] = []
    times = _stated_times(scene)
    if not len(times) and still:
        times = begins[(begins >= 0) & (begins < max(float(scene.duration_sec), 1e-9))]
    if not len(times):
        count = min(MOST_FRAMES, max(1, int(np.ceil(float(scene.duration_sec) * SAMPLED_FPS))))
        times = np.arange(count) / SAMPLED_FPS
        notes.append(f"its motion is continuous; it was read at {SAMPLED_FPS:g} frames a second")
    if len(times) > MOST_FRAMES:
        raise SceneFileError(f"{path} has {len(times)} moments, more than the {MOST_FRAMES} that are read")

    def moment(index: int) -> Gaussians:
        """Gaussians of a frame."""
        # a nanosecond in: windows are compared exactly, and times may be rounded
        state = scene.state_at(float(times[index]) + 1e-9)
        order = np.arange(len(state["indices"]))
        if gaussians.source_index is not None:
            order = np.argsort(gaussians.source_index[state["indices"]], kind="stable")
        picks = state["indices"][order]
        return _gaussians(
            state["centers"][order],
            gaussians.scales[picks],
            state["orientations"][order],
            gaussians.colors[picks, :3],
            state["opacity"][order],
            None if gaussians.sh is None else gaussians.sh[picks],
            gaussians.sh_degree,
        )

    identity = gaussians.source_index is not None
    lazy = LazySequence(_guard_frames(moment, path), range(len(times)))
    frames = GaussianFrames(torch.from_numpy(times.astype(np.float64)), lazy, identity)
    axes, stated = _axes(scene.provenance.frame)
    first = frames.frames[0]
    return SceneFile(first, axes, stated, notes=tuple(notes), moving=frames if len(frames) > 1 else None)


def _read_keyframes(data: bytes, path: Path) -> SceneFile:
    from fourdgs.keyframe_delta_file import decode_streamed, render_at

    decoded = decode_streamed(data)
    times = sorted({float(chunk.t0) for chunk in decoded.chunks})
    if not times or len(times) > MOST_FRAMES:
        raise SceneFileError(f"expected 1 to {MOST_FRAMES} moments in the file, got {len(times)}")

    def moment(index: int) -> Gaussians:
        """Gaussians of a frame."""
        # half a microsecond in: the library compares windows exactly, and their ends are rounded
        state = render_at(decoded, times[index] + 5e-7)
        return _gaussians(
            state["centers"], state["scales"], state["rotations"], state["rgb"], state["opacity"], None, 0
        )

    lazy = LazySequence(_guard_frames(moment, path), range(len(times)))
    frames = GaussianFrames(torch.tensor(times, dtype=torch.float64), lazy)
    return SceneFile(frames.frames[0], Axes.RUB, moving=frames if len(frames) > 1 else None)


def _guard_frames(moment: Callable[[int], Gaussians], path: Path) -> Callable[[int], Gaussians]:
    """A frame, or one sentence: the library raises whatever a damaged file makes it trip over."""

    def read_frame(index: int) -> Gaussians:
        """Gaussians of a frame; a damaged one is refused."""
        try:
            return moment(index)
        except Exception as error:
            raise SceneFileError(
                f"frame {index} of {path} cannot be read ({type(error).__name__}: {error})"
            ) from error

    return read_frame


def _gaussians(centers, scales, rotations_xyzw, rgb, opacity, sh, degree: int) -> Gaussians:
    def tensor(values) -> Tensor:
        """Convert to a float32 tensor."""
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is left out as such
            return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))

    degree = min(degree, MAX_DEGREE)
    colors = (tensor(rgb)[:, None] - 0.5) / SH_C0
    if sh is not None and degree:
        values = torch.from_numpy(sh.astype(np.float32)) / 255 * (SH_HIGH - SH_LOW) + SH_LOW
        rest = values.view(len(values), 3, sh.shape[1] // 3).mT[:, : sh_bases(degree) - 1]
        colors = torch.cat([colors, rest], 1)
    opacity = torch.from_numpy(np.asarray(opacity, dtype=np.float64))
    return Gaussians(
        tensor(centers),
        tensor(rotations_xyzw)[:, [3, 0, 1, 2]],
        tensor(scales).clamp_min(1e-12).log(),
        torch.logit(opacity.clamp(1e-6, 1 - 1e-6)).float(),
        colors.contiguous(),
    )


def _axes(frame: Any) -> tuple[Axes, bool]:
    """What a coordinate frame states, and whether it is one of ours."""
    if frame is None:
        return Axes.RUB, False
    for axes, (up, forward) in FRAMES.items():
        if (frame.up_axis, frame.forward_axis) == (up, forward):
            return axes, True
    return Axes.RUB, False
