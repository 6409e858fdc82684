"""SANA-WM is told the cameras that were asked for, in metres, as its network expects them."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny_models
import torch
from known_views import MISTAKES, ROOM, ask, elsewhere, rays

from recon.cameras import Cameras
from worldgen.backends.sana_wm import Config, SanaWM
from worldgen.model import Request
from worldgen.registry import load_model
from worldgen.rollout import rollout

SMALL = Config(size="128x64", steps=2, guidance=1.0, max_frames=9, turn_deg=90.0)


class Tracer:
    """Stands for the pipeline: ray-traces the room from the cameras that it is told, `start` being the true first one."""

    def __init__(self, start: Cameras | None = None) -> None:
        self.start = start
        self.calls: list[dict[str, Any]] = []

    def __call__(self, **given: Any) -> SimpleNamespace:
        self.calls.append(given)
        count, size = given["num_frames"], (given["width"], given["height"])
        if self.start is None:
            return SimpleNamespace(frames=np.zeros((count, *size[::-1], 3)))
        K = torch.eye(3, dtype=torch.float64).repeat(count, 1, 1)
        K[:, [0, 1, 0, 1], [0, 1, 2, 2]] = torch.from_numpy(given["intrinsics"]).double()
        pose = torch.linalg.inv(torch.from_numpy(given["c2w"]).double()) @ self.start.cam_from_world
        return SimpleNamespace(frames=ROOM.render(Cameras(pose, K, *size))[0].numpy())


def told(request: Request) -> dict[str, Any]:
    """What the pipeline is given in the first call."""
    tracer = Tracer()
    rollout(SanaWM(SMALL, tracer), request, generator=torch.Generator().manual_seed(0))
    return tracer.calls[0]


def conditioning(given: dict[str, Any]) -> dict[str, torch.Tensor]:
    """What the network gets of it."""
    from diffusers.pipelines.sana_wm.cam_utils import prepare_camera

    size = (given["height"], given["width"])
    return prepare_camera(given["c2w"], given["intrinsics"], target_size=size, vae_stride=(8, 32, 32))


def error_of_rays(given: dict[str, Any], cameras: Cameras) -> float:
    """Largest difference of the network's Plücker rays from those of the cameras: (d, o × d) at 1/32 of the size."""
    got = conditioning(given)["chunk_plucker"].double().reshape(8, 6, -1, 2, 4)
    small = cameras.resize(width=4, height=2)
    poses = cameras.cam_from_world[:1] @ torch.linalg.inv(cameras.cam_from_world)
    worst = 0.0
    for latent, first in ((0, 0), (1, 1)):  # eight frames of each latent one
        for j in (0, 3, 7):
            origin, d = rays(small[first + j], poses[first + j], centre=0.0)
            want = torch.cat([d, torch.linalg.cross(origin.expand_as(d), d)], -1).permute(2, 0, 1)
            worst = max(worst, float((got[j, :, latent] - want).abs().max()))
    return worst


def test_the_network_is_given_the_rays_of_the_cameras() -> None:
    """The photo's own camera first, then the targets; a wrong convention shows."""
    request = ask(8, width=128, height=64)
    photo = request.context.require_cameras()[0]
    given = told(request)
    right = Cameras.concatenate([photo, request.targets])
    assert len(given["c2w"]) == 9
    assert error_of_rays(given, right) < 1e-5
    for mistake in MISTAKES:
        assert error_of_rays(given, mistake(right)) > 1e-3, mistake.__name__


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_the_world_may_lie_anywhere_and_is_told_in_metres(scale: float) -> None:
    here, there = (
        conditioning(told(ask(8, width=128, height=64))),
        conditioning(told(elsewhere(ask(8, width=128, height=64), scale))),
    )
    assert all((here[name] - there[name]).abs().max() < 1e-4 for name in here)
    feet = elsewhere(ask(8, width=128, height=64), scale)
    unknown = replace(feet, scene=replace(feet.scene, metres_per_unit=2 / scale))
    assert (here["chunk_plucker"] - conditioning(told(unknown))["chunk_plucker"]).abs().max() > 1e-3


def test_far_from_the_origin_no_step_is_lost() -> None:
    """A path of centimetres a thousand kilometres away, as georeferenced scenes have it."""
    request = ask(8, width=128, height=64)

    def far(cameras: Cameras) -> Cameras:
        return cameras.place_at(cameras.centers + torch.tensor([1e6, 2e6, 0], dtype=torch.float64))

    context = replace(request.context, cameras=far(request.context.require_cameras()))
    moved = replace(request, context=context, targets=far(request.targets))
    assert np.abs(told(moved)["c2w"] - told(request)["c2w"]).max() < 1e-6


@pytest.mark.parametrize("size", [(128, 64), (90, 60), (60, 90)])
def test_a_pipeline_that_draws_its_cameras_answers_the_targets(
    size: tuple[int, int], generator: torch.Generator
) -> None:
    request = ask(8, width=size[0], height=size[1])
    tracer = Tracer(request.context.require_cameras()[0])
    views = rollout(SanaWM(SMALL, tracer), request, generator=generator)
    shown = ROOM.render(Cameras.concatenate([tracer.start, request.targets]))[0] if tracer.start else None
    assert shown is not None
    assert views.clip.confidence is not None or size == (128, 64)
    sure = torch.ones(8, *size[::-1]) if views.clip.confidence is None else views.clip.confidence
    error = (views.clip.images - shown[1:]).abs().mean(-1)[sure == 1]
    off = (views.clip.images.roll(1, 2) - shown[1:]).abs().mean(-1)[sure == 1]
    assert sure.mean() > 0.3
    assert error.mean() < 0.05
    assert error.mean() < 0.8 * off.mean()
    photo = np.asarray(tracer.calls[0]["image"]) / 255
    first = ROOM.render(Cameras(tracer.start.cam_from_world, *_first_lens(tracer.calls[0])))[0][0].numpy()
    assert np.abs(photo - first).mean() < 0.05, "the photo is what its camera sees"


def _first_lens(given: dict[str, Any]) -> tuple[torch.Tensor, int, int]:
    fx, fy, cx, cy = given["intrinsics"][0].tolist()
    K = torch.tensor([[[fx, 0, cx], [0, fy, cy], [0, 0, 1]]], dtype=torch.float64)
    return K, given["width"], given["height"]


@pytest.mark.parametrize(("count", "frames"), [(1, [9]), (8, [9]), (9, [9, 9])])
def test_as_many_come_back_as_were_asked_for(
    count: int, frames: list[int], generator: torch.Generator
) -> None:
    tracer = Tracer()
    views = rollout(SanaWM(SMALL, tracer), ask(count, width=128, height=64), generator=generator)
    assert len(views) == count
    assert [call["num_frames"] for call in tracer.calls] == frames


@pytest.mark.slow
def test_the_path_reaches_the_frames_of_a_real_pipeline(tmp_path: Path) -> None:
    """A tiny network of random weights, read from a folder; same seed, same frames; path and lens change them."""
    weights = tiny_models.saved(tiny_models.sana_wm(), tmp_path / "weights")
    options = {"weights": str(weights), "size": "128x64", "steps": 2, "guidance": 2.0, "turn_deg": 90.0}
    model, request = load_model("sana-wm", options), ask(8, width=128, height=64)

    def frames(asked: Request, seed: int = 0) -> torch.Tensor:
        return rollout(model, asked, generator=torch.Generator().manual_seed(seed)).clip.images

    base = frames(request)
    assert base.std() > 0.01
    assert torch.equal(base, frames(request))
    assert not torch.equal(base, frames(request, seed=1))
    backwards = replace(request, targets=request.targets[[7, 6, 5, 4, 3, 2, 1, 0]])
    assert (base - frames(backwards)).abs().mean() > 1e-5
    K = request.targets.K.clone()
    K[:, [0, 1], [0, 1]] *= 2
    assert (base - frames(replace(request, targets=replace(request.targets, K=K)))).abs().mean() > 1e-5
