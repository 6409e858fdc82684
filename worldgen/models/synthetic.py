"""A furnished room with exact pictures, depth and poses: truth for tests, and a capture for demonstrations."""

import math
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial

import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras, intrinsics, look_at
from recon.clip import Clip
from worldgen.model import ModelSpec, Request, Views

SAMPLES = 2
"""Rays across a pixel, each way."""


class SyntheticRoom:
    """A ray-traced living room of 6 x 5 x 2.7 m: z up, the floor at z = 0, diffuse surfaces, static light.

    The same seed is the same room. It stands behind the world-model protocol as a generator that is never
    wrong; `render` also gives the truth about depth.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    @property
    def spec(self) -> ModelSpec:
        """What the model states of itself."""
        return ModelSpec(name="synthetic", conditions_on=("cameras",), gives_confidence=True)

    def generate(self, request: Request, *, generator: torch.Generator) -> Views:
        """Exact pictures and depth with confidence 1; context and generator do not matter."""
        images, depth = self.render(request.targets)
        clip = Clip(
            images=images,
            cameras=request.targets,
            times_s=request.times_s,
            confidence=torch.ones(images.shape[:3]),
        )
        return Views(clip, depth)

    def render(
        self, cameras: Cameras, *, samples: int = SAMPLES
    ) -> tuple[Float[Tensor, "n h w 3"], Float[Tensor, "n h w"]]:
        """Pictures, sRGB in [0, 1], and z-depth in metres through the pixel centres.

        Args:
            samples: rays across a pixel, each way; with 1 edges are jagged.
        """
        from worldgen.scenes.raytrace import render_rows

        scene = _room(self.seed)
        draw = partial(render_rows, *scene.arrays())
        images = torch.zeros(len(cameras), cameras.height, cameras.width, 3)
        depth = torch.zeros(len(cameras), cameras.height, cameras.width)
        poses, K = cameras.world_from_cam.double().numpy(), cameras.K.double().numpy()

        def trace(job: tuple[int, int]) -> None:
            """Render a band of rows of one camera."""
            i, top = job
            rows = slice(top, top + band)
            draw(poses[i], K[i], samples, top, images[i, rows].numpy(), depth[i, rows].numpy())

        band = 64
        jobs = [(i, top) for i in range(len(cameras)) for top in range(0, cameras.height, band)]
        with ThreadPoolExecutor(max_workers=torch.get_num_threads()) as pool:
            list(pool.map(trace, jobs))
        return images, depth

    def cameras(self, count: int, *, width: int, height: int) -> Cameras:
        """A handheld walk around the furniture: an arc of 100 degrees that rises, sinks and sways a little."""
        share = (
            torch.linspace(-1, 1, count, dtype=torch.float64)
            if count > 1
            else torch.zeros(1, dtype=torch.float64)
        )
        angle = math.radians(50) * share
        radius = 2.35 + 0.15 * torch.sin(5 * share + 1)
        eye = torch.stack(
            [
                -0.05 + radius * angle.sin(),
                0.95 - radius * angle.cos(),
                1.35 + 0.22 * torch.sin(4 * share + 0.5) + 0.06 * torch.sin(17 * share),
            ],
            dim=1,
        )
        gaze = torch.stack(
            [
                -0.1 + 0.35 * share + 0.05 * torch.sin(11 * share),
                1.25 + 0.05 * torch.sin(13 * share),
                0.62 + 0.05 * torch.sin(9 * share),
            ],
            dim=1,
        )
        up = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64) + 0.02 * torch.sin(7 * share)[:, None]
        return Cameras(
            cam_from_world=look_at(eye, gaze, up),
            K=intrinsics(focal_px=0.80 * max(width, height), width=width, height=height, n=count),
            width=width,
            height=height,
        )


@lru_cache(maxsize=2)
def _room(seed: int):
    """Furnished and lit once a process."""
    from worldgen.scenes.room import build_living_room

    return build_living_room(seed)
