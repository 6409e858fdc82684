"""What does matching the frames that see the same again buy on an orbit, and what does it cost?

    python -m benchmarks.orbit_loops [--frames 56] [--width 352]

The built-in room is drawn from a circle about its furniture, which nearly closes. Cameras are recovered by `measure`'s recipe with the
true lens kept, on one thread, from neighbours in time alone, with the loops that 'auto' finds, and from all pairs.
"""

import math
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from benchmarks.output import Table, command
from eval.geometry.pairwise import pose_auc
from eval.judging.rules import PRIMARY
from eval.trajectories import trajectory_errors
from recon.cameras import Cameras, intrinsics, look_at
from recon.clip import Clip
from recon.sfm.recoverer import Recoverer
from worldgen.models.synthetic import SyntheticRoom

CENTRE, RADIUS, HEIGHT, AIM = (-0.05, 0.95), 1.5, 1.5, 0.6
"""Metres; the middle of the furniture, and a circle that stays within the walls."""
TURN_DEG = 350.0


@dataclass(frozen=True)
class Arguments:
    frames: int = 56
    width: int = 352
    """Pixels; the height is two thirds of it, and a bit."""


def main(arguments: Arguments) -> None:
    torch.set_num_threads(1)
    clip = draw_orbit(arguments.frames, width=arguments.width, height=arguments.width * 240 // 352)
    cameras = clip.require_cameras()
    table = Table(("pairs", "matched", "registered", "rotation °", "position", "auc@5", "CPU s"))
    for pairing in ("sequential", "auto", "exhaustive"):
        recipe = replace(PRIMARY, pairing=pairing, intrinsics="fixed")
        with tempfile.TemporaryDirectory() as folder:
            started = time.process_time()
            recoverer = Recoverer(Clip(clip.images), Path(folder), K=cameras.K)
            found = recoverer.recover(recipe)
            seconds = time.process_time() - started
        errors = trajectory_errors(found.cameras, found.registered, cameras)
        rotation, position = errors["rotation_deg"].value, errors["position_share"].value
        auc = pose_auc(found.cameras, found.registered, cameras, (5.0,))[0]
        table.add(
            pairing,
            str(len(recoverer.matches(recipe).pairs)),
            f"{int(found.registered.sum())} of {len(clip)}",
            "–" if rotation is None else f"{rotation:.3f}",
            "–" if position is None else f"{position:.4f}",
            "–" if auc is None else f"{auc:.3f}",
            f"{seconds:.1f}",
        )
    print(table)


def draw_orbit(frames: int, *, width: int, height: int) -> Clip:
    """Pictures and cameras of the circle."""
    angle = torch.linspace(0, math.radians(TURN_DEG), frames, dtype=torch.float64)
    x, y = CENTRE
    eye = torch.stack([x + RADIUS * angle.sin(), y - RADIUS * angle.cos(), torch.full_like(angle, HEIGHT)], 1)
    target = torch.tensor([[x, y, AIM]], dtype=torch.float64).expand(frames, 3)
    up = torch.tensor([[0.0, 0, 1]], dtype=torch.float64).expand(frames, 3)
    K = intrinsics(focal_px=0.8 * width, width=width, height=height, n=frames)
    cameras = Cameras(look_at(eye, target, up), K, width, height)
    return Clip(SyntheticRoom().render(cameras)[0].clamp(0, 1), cameras)


if __name__ == "__main__":
    command(main, Arguments, __doc__)
