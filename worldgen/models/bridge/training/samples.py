"""Training samples: procedural shots through the real depth-and-warp pipeline, one file each.

A shot's context goes through `recon.depth` and `condition` exactly as a user's photos do, so the network
learns the mistakes that this pipeline makes. (Samples made by corrupting true depth by hand taught nothing.)
"""

from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras
from recon.clip import Clip
from recon.compute.files import atomic_write
from recon.compute.progress import track
from recon.errors import BridgeError
from recon.points import PointCloud
from recon.scene import Scene
from worldgen.geometry.context_depth import ContextDepth
from worldgen.model import Request
from worldgen.models.bridge.channels import FRAME_CHANNELS, RAYS, Channel, Cue, only
from worldgen.models.bridge.conditioning import GENERATED_TRUST, INVERSE_RANGE, Cache, Conditioning, condition

RAY_STEP = 8
"""Plücker rays are stored at every eighth pixel; they are smooth."""
IN_BYTES = [int(channel) for channel in Channel if channel != Channel.INVERSE_DEPTH]
"""What of `Conditioning.frame` is stored as bytes: neither inverse depth nor rays."""
GENERATED_SHARE = 0.3
"""Of the shots, whose cache holds a generated frame besides the photos."""


@dataclass(frozen=True)
class Sample:
    """One shot as the network sees it: t frames of one clip, or crops of them."""

    given: Conditioning
    truth: Float[Tensor, "t 3 h w"]
    """True colours, sRGB."""
    depth: Float[Tensor, "t 1 h w"]
    """True inverse depth in the units of `Conditioning.inverse_depth`; 0 where unknown."""
    cameras: Cameras
    scale: float
    """`Cache.scale`, world units."""


def make_sample(index: int, seed: int, *, width: int, height: int, targets: int, photographs: bool) -> Sample:
    """The shot number `index`; the same arguments give the same sample."""
    from worldgen.scenes import sample_shot

    generator = torch.Generator().manual_seed(seed * 1_000_003 + index)
    contexts = int(torch.randint(1, 10, (1,), generator=generator))
    shot = sample_shot(
        generator,
        width=width,
        height=height,
        contexts=max(2, contexts),
        targets=targets,
        photographs=photographs,
    )
    context = shot.context if contexts > 1 else shot.context[:1]
    cameras = shot.truth.require_cameras()
    cache = build_cache(context, shot.points, cameras)
    if float(torch.rand(1, generator=generator)) < GENERATED_SHARE:
        pick = int(torch.randint(targets, (1,), generator=generator))
        cache = with_warped_frame(cache, cameras[pick])
    times = shot.truth.times_s
    given = Conditioning.concatenate(
        [
            condition(cache, cameras[i], time_s=None if times is None else float(times[i]))
            for i in range(targets)
        ]
    )
    inverse = torch.where(shot.depth > 0, cache.scale / shot.depth.clamp_min(1e-9), 0.0) / INVERSE_RANGE
    truth = shot.truth.images.permute(0, 3, 1, 2).float()
    return Sample(given, truth, inverse.clamp(0, 1)[:, None].float(), cameras, cache.scale)


def build_cache(context: Clip, points: PointCloud | None, targets: Cameras) -> Cache:
    """The cache of photos alone."""
    maps = ContextDepth().of(Request(context, targets, scene=Scene(points=points)))
    return Cache(context, maps, torch.zeros(len(context), dtype=torch.bool))


def with_warped_frame(cache: Cache, camera: Cameras) -> Cache:
    """The cache after a rollout of the plain warp has passed `camera`: what a generated frame looks like at worst."""
    given = condition(cache, camera)
    image = given.base[0].permute(1, 2, 0).contiguous()
    sure = given.frame[:, Channel.CONFIDENCE]
    depth = cache.scale / (given.inverse_depth[0] * INVERSE_RANGE).clamp_min(1e-6)
    times = cache.clip.times_s
    frame = Clip(
        images=image[None], cameras=camera, times_s=None if times is None else times[:1], names=("generated",)
    )
    return cache.add_frames(frame, depth, GENERATED_TRUST * (0.2 + 0.8 * sure))


def save_sample(sample: Sample, path: Path) -> None:
    """The file is whole or absent."""
    from safetensors.torch import save_file

    given = sample.given
    cues = given.cues.clone()
    cues[:, :, Cue.DIFFERENCE] = (cues[:, :, Cue.DIFFERENCE] + 1) / 2
    tensors = {
        "views": _bytes(given.views),
        "cues": _bytes(cues),
        "base": _bytes(given.base),
        "frame": _bytes(given.frame[:, IN_BYTES]),
        "inverse": given.inverse_depth.half(),
        "rays": given.frame[:, RAYS, ::RAY_STEP, ::RAY_STEP].half(),
        "truth": _bytes(sample.truth),
        "depth": sample.depth.half(),
        "cam_from_world": sample.cameras.cam_from_world.double(),
        "K": sample.cameras.K.double(),
        "scale": torch.tensor([sample.scale], dtype=torch.float64),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as beside:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, beside)


def load_crop(path: Path, *, frames: slice, top: int, left: int, size: int) -> Sample:
    """A square crop of some frames; only its bytes are read. `top` and `left` are multiples of `RAY_STEP`.

    Raises:
        BridgeError: a file that is no sample.
    """
    from safetensors import SafetensorError, safe_open

    rows, columns = slice(top, top + size), slice(left, left + size)
    coarse = (
        slice(top // RAY_STEP, (top + size) // RAY_STEP),
        slice(left // RAY_STEP, (left + size) // RAY_STEP),
    )
    try:
        with safe_open(path, framework="pt") as file:
            views = file.get_slice("views")[frames, :, :, rows, columns].float() / 255
            cues = file.get_slice("cues")[frames, :, :, rows, columns].float() / 255
            base = file.get_slice("base")[frames, :, rows, columns].float() / 255
            frame = file.get_slice("frame")[frames, :, rows, columns].float() / 255
            inverse = file.get_slice("inverse")[frames, :, rows, columns].float()
            rays = file.get_slice("rays")[frames, :, coarse[0], coarse[1]].float()
            truth = file.get_slice("truth")[frames, :, rows, columns].float() / 255
            depth = file.get_slice("depth")[frames, :, rows, columns].float()
            poses, K = file.get_tensor("cam_from_world")[frames], file.get_tensor("K")[frames].clone()
            scale = float(file.get_tensor("scale")[0])
    except (SafetensorError, OSError) as error:
        raise BridgeError(
            f"expected a training sample in {path}, got {error}; delete it and start again"
        ) from error
    cues[:, :, Cue.DIFFERENCE] = cues[:, :, Cue.DIFFERENCE] * 2 - 1
    K[:, 0, 2] -= left
    K[:, 1, 2] -= top
    whole = frame.new_empty(len(frame), FRAME_CHANNELS, *frame.shape[2:])
    whole[:, IN_BYTES], whole[:, RAYS], whole[:, only(Channel.INVERSE_DEPTH)] = (
        frame,
        _upsample_rays(rays),
        inverse,
    )
    return Sample(Conditioning(views, cues, base, whole), truth, depth, Cameras(poses, K, size, size), scale)


def _upsample_rays(rays: Float[Tensor, "t 6 n m"]) -> Float[Tensor, "t 6 h w"]:
    """Rays of every pixel from those of every `RAY_STEP`th: linear between, and on past the last."""
    rays = torch.cat([rays, 2 * rays[:, :, -1:] - rays[:, :, -2:-1]], dim=2)
    rays = torch.cat([rays, 2 * rays[:, :, :, -1:] - rays[:, :, :, -2:-1]], dim=3)
    size = [RAY_STEP * (side - 1) + 1 for side in rays.shape[2:]]
    return torch.nn.functional.interpolate(rays, size=size, mode="bilinear", align_corners=True)[
        ..., :-1, :-1
    ]


def sample_files(
    folder: Path,
    count: int,
    *,
    seed: int,
    width: int,
    height: int,
    targets: int,
    photographs: bool,
    workers: int,
) -> list[Path]:
    """Makes what is missing of samples 0 … count - 1 in `folder`; gives all their paths in order."""
    paths = [folder / f"{index:06d}.safetensors" for index in range(count)]
    missing = [index for index, path in enumerate(paths) if not path.exists()]
    settings = dict(width=width, height=height, targets=targets, photographs=photographs)
    with ProcessPoolExecutor(max_workers=workers, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(_make_file, index, seed, paths[index], settings) for index in missing]
        try:
            for job in track(as_completed(jobs), "making training samples", len(jobs)):
                job.result()
        except BaseException:
            pool.shutdown(
                wait=False, cancel_futures=True
            )  # what went wrong is told now, not after all others
            raise
    return paths


def _make_file(index: int, seed: int, path: Path, settings: dict) -> None:
    torch.set_num_threads(1)
    save_sample(make_sample(index, seed, **settings), path)


def flip(sample: Sample) -> Sample:
    """Mirrored left to right, cameras and rays with it."""
    mirror = torch.diag(torch.tensor([-1.0, 1, 1, 1], dtype=torch.float64))
    K = sample.cameras.K.clone()
    K[:, 0, 2] = sample.cameras.width - K[:, 0, 2]
    given = sample.given
    sign = torch.ones(given.frame.shape[1])
    sign[RAYS] = torch.tensor([-1.0, 1, 1, 1, -1, -1])  # direction x; the moment is an axial vector
    return Sample(
        Conditioning(
            given.views.flip(-1), given.cues.flip(-1), given.base.flip(-1),
            given.frame.flip(-1) * sign[:, None, None],
        ),
        sample.truth.flip(-1),
        sample.depth.flip(-1),
        replace(sample.cameras, cam_from_world=mirror @ sample.cameras.cam_from_world @ mirror, K=K),
        sample.scale,
    )  # fmt: skip


def permute_colours(sample: Sample, order: list[int]) -> Sample:
    """With its colour channels in another order."""
    given = sample.given
    return replace(
        sample,
        given=replace(given, views=given.views[:, :, order], base=given.base[:, order]),
        truth=sample.truth[:, order],
    )


def _bytes(x: Tensor) -> Tensor:
    return (x.clamp(0, 1) * 255 + 0.5).to(torch.uint8)
