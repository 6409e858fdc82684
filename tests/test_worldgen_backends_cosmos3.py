"""Cosmos 3 is told the steps of the camera, in its own frame and unit, and tells them of a video."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny_models
import torch
from known_views import ROOM, ask, elsewhere, inverted, opengl

from recon.cameras import Cameras, intrinsics
from recon.clip import Clip
from recon.errors import BridgeError, MissingDependencyError
from worldgen.backends.cosmos3 import Config, Cosmos3
from worldgen.backends.poses import actions_to_poses, camera_actions, relative_poses
from worldgen.model import Request
from worldgen.registry import load_model
from worldgen.rollout import rollout

SMALL = Config(size="320x192", steps=2, max_frames=9, turn_deg=90.0)


class Walker:
    """Stands for the pipeline: takes the steps that it is told from a camera that it knows, and draws the room with that one's lens.

    Of a video it tells the steps of the cameras `taken`.
    """

    def __init__(self, start: Cameras | None = None, taken: Cameras | None = None) -> None:
        self.start, self.taken = start, taken
        self.calls: list[Any] = []
        self.at = 0

    def __call__(self, **given: Any) -> SimpleNamespace:
        action = given["action"]
        self.calls.append(action)
        if action.mode == "inverse_dynamics":
            assert self.taken is not None
            steps = camera_actions(self.taken, 1.0)[self.at : self.at + action.chunk_size]
            self.at += len(steps)
            missing = action.chunk_size - len(steps)
            return SimpleNamespace(action=[torch.cat([steps, torch.full((missing, 9), torch.nan)])])
        poses = torch.linalg.inv(actions_to_poses(action.raw_actions, 1.0))
        size = action.image.size
        if self.start is None:
            return SimpleNamespace(video=np.zeros((len(poses), *size[::-1], 3)))
        lens = self.start.K.double().repeat(len(poses), 1, 1)
        return SimpleNamespace(
            video=ROOM.render(Cameras(poses @ self.start.cam_from_world, lens, *size))[0].numpy()
        )


def told(request: Request, config: Config = SMALL) -> torch.Tensor:
    walker = Walker()
    rollout(Cosmos3(config, walker), request, generator=torch.Generator().manual_seed(0))
    return walker.calls[0].raw_actions


def test_steps_are_those_of_the_cameras() -> None:
    """The photo first; a step forward is along z; there and back gives the same poses; wrong poses give others."""
    request = ask(8, width=80, height=48)
    right = Cameras.concatenate([request.context.require_cameras()[0], request.targets])
    actions = told(request)
    assert actions.shape == (8, 9)
    wanted = relative_poses(right)
    assert (actions_to_poses(actions, 1.0) - wanted).abs().max() < 1e-5
    for mistake in (inverted, opengl):  # of half a pixel nothing is told
        assert (camera_actions(mistake(right), 1.0) - actions).abs().max() > 0.01, mistake.__name__
    ahead = torch.eye(4, dtype=torch.float64).repeat(2, 1, 1)
    ahead[1, 2, 3] = -0.1  # cam_from_world of a camera that went 0.1 forward
    lens = intrinsics(focal_px=10, width=8, height=8, n=2)
    step = camera_actions(Cameras(ahead, lens, 8, 8), 2.0)[0]
    assert step.tolist() == pytest.approx([0, 0, 0.2, 1, 0, 0, 0, 1, 0])


def test_the_world_may_lie_anywhere_and_is_told_in_metres() -> None:
    here = told(ask(8, width=80, height=48))
    assert (told(elsewhere(ask(8, width=80, height=48), 3.0)) - here).abs().max() < 1e-5
    twice = told(ask(8, width=80, height=48), replace(SMALL, units_per_metre=2.0))
    assert torch.allclose(twice[:, :3], 2 * here[:, :3], atol=1e-6)
    assert torch.allclose(twice[:, 3:], here[:, 3:], atol=1e-6)


@pytest.mark.parametrize("size", [(80, 48), (80, 60)])
def test_a_pipeline_that_takes_the_steps_answers_the_targets(
    size: tuple[int, int], generator: torch.Generator
) -> None:
    """Targets with a longer lens: the frames have that of the photo, and say so."""
    request = ask(4, width=size[0], height=size[1])
    K = request.targets.K.clone()
    K[:, [0, 1], [0, 1]] *= 1.3
    request = replace(request, targets=replace(request.targets, K=K))
    from worldgen.door import as_frames

    model = Cosmos3(SMALL, Walker())
    photo = as_frames(request.context, ROOM.cameras(1, width=320, height=192)).require_cameras()[0]
    model._given = Walker(photo)
    views = rollout(model, request, generator=generator)
    assert views.drawn is not None
    assert (views.drawn.width, views.drawn.height) == size
    assert torch.allclose(views.drawn.K, request.context.require_cameras().K[:1].expand(4, 3, 3), atol=0.35)
    truth = ROOM.render(views.drawn)[0]
    sure = torch.ones(truth.shape[:3]) if views.clip.confidence is None else views.clip.confidence
    assert sure.mean() > 0.7
    error = (views.clip.images - truth).abs().mean(-1)[sure == 1].mean()
    assert error < 0.05
    assert (views.clip.images - ROOM.render(request.targets)[0]).abs().mean(-1)[
        sure == 1
    ].mean() > 1.5 * error


@pytest.mark.parametrize(("count", "steps"), [(1, [4]), (8, [8]), (9, [8, 4])])
def test_as_many_come_back_as_were_asked_for(
    count: int, steps: list[int], generator: torch.Generator
) -> None:
    walker = Walker()
    views = rollout(Cosmos3(SMALL, walker), ask(count, width=80, height=48), generator=generator)
    assert len(views) == count
    assert [action.chunk_size for action in walker.calls] == steps


@pytest.mark.parametrize("count", [2, 5, 9, 12])
def test_it_tells_the_poses_of_a_video(count: int, generator: torch.Generator) -> None:
    """In pieces of 4k + 1 frames, the last of each the first of the next; what was padded does not count."""
    taken = ROOM.cameras(count, width=320, height=192)
    walker = Walker(taken=taken)
    found = Cosmos3(SMALL, walker).recover_poses(Clip(torch.zeros(count, 60, 100, 3)), generator=generator)
    assert (found - relative_poses(taken)).abs().max() < 1e-5
    assert all(
        action.chunk_size % 4 == 0 and len(action.video) == action.chunk_size + 1 for action in walker.calls
    )
    assert walker.calls[0].video[0].size == (320, 192)


def test_noisy_steps_become_rotations(generator: torch.Generator) -> None:
    poses = actions_to_poses(torch.randn(5, 9, generator=generator), 1.0)
    R = poses[:, :3, :3]
    assert (R @ R.mT - torch.eye(3)).abs().max() < 1e-9
    assert (torch.linalg.det(R) - 1).abs().max() < 1e-9


def test_what_cannot_work_is_refused(generator: torch.Generator) -> None:
    with pytest.raises(BridgeError, match=r"expected --model\.size to be one of 256x256"):
        Config(size="1000x500")
    with pytest.raises(BridgeError, match=r"expected --model\.max-frames of at least 5, got 4"):
        Config(max_frames=4)
    with pytest.raises(MissingDependencyError, match="pip install cosmos_guardrail"):
        Config(guardrail=True)
    with pytest.raises(BridgeError, match="at least two frames"):
        Cosmos3(SMALL, Walker()).recover_poses(Clip(torch.zeros(1, 8, 8, 3)), generator=generator)


@pytest.mark.slow
def test_the_steps_reach_the_frames_of_a_real_pipeline(tmp_path: Path) -> None:
    """A tiny network of random weights, read from a folder; same seed, same frames; the path changes them."""
    weights = tiny_models.saved(tiny_models.cosmos3(), tmp_path / "weights")
    options = {"weights": str(weights), "size": "320x192", "steps": 2, "turn_deg": 90.0}
    model, request = load_model("cosmos3", options), ask(4, width=320, height=192)

    def frames(asked: Request, seed: int = 0) -> torch.Tensor:
        return rollout(model, asked, generator=torch.Generator().manual_seed(seed)).clip.images

    base = frames(request)
    assert base.std() > 0.01
    assert torch.equal(base, frames(request))
    assert not torch.equal(base, frames(request, seed=1))
    assert not torch.equal(base, frames(replace(request, targets=request.targets[[3, 2, 1, 0]])))
    assert isinstance(model, Cosmos3)
    found = model.recover_poses(request.context, generator=torch.Generator().manual_seed(0))
    assert found.shape == (3, 4, 4)
    assert torch.isfinite(found).all()
