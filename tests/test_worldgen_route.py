"""Models of videos see a camera that never jumps; what comes back is what was asked for, in its order."""

from dataclasses import replace

import pytest
import torch
from known_views import ROOM, ask

from recon.cameras import Cameras
from recon.clip import Clip
from worldgen.model import FrameRule, ModelSpec, Request, SizeRule, Views
from worldgen.models.synthetic import SyntheticRoom
from worldgen.rollout import rollout
from worldgen.route import view_changes

SPEC = ModelSpec("film", ("cameras", "images"), frame_rule=FrameRule(4, 1, 9), largest_turn_deg=4.0)
DEPTH = 2.5


class Film:
    """Draws what its cameras see, and remembers them."""

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.calls: list[Request] = []

    def generate(self, request: Request, *, generator: torch.Generator) -> Views:
        self.calls.append(request)
        return Views(Clip(ROOM.render(request.targets)[0]))

    def largest_jump(self) -> float:
        jumps = []
        for call in self.calls:
            changes = view_changes(call.targets[:-1], call.targets[1:], DEPTH).diagonal()
            jumps.append(float(changes.max()))
        return max(jumps)


def scattered() -> Request:
    request = ask(1, width=48, height=32, photos=(0, 12))
    targets = SyntheticRoom().cameras(25, width=48, height=32)[[5, 14, 1, 9, 3]]
    times = torch.tensor([5.0, 14, 1, 9, 3], dtype=torch.float64)
    return replace(request, targets=targets, times_s=times)


@pytest.mark.parametrize("first_frame", [False, True])
@pytest.mark.parametrize("size", [SizeRule(), SizeRule(fixed=(64, 32))])
def test_scattered_views_are_visited_smoothly_and_come_back_in_order(
    first_frame: bool, size: SizeRule, generator: torch.Generator
) -> None:
    film, request = Film(replace(SPEC, first_frame_is_context=first_frame, size=size)), scattered()
    views = rollout(film, request, generator=generator)
    truth = ROOM.render(request.targets)[0]
    assert len(views) == 5
    sure = torch.ones(truth.shape[:3]) if views.clip.confidence is None else views.clip.confidence
    error = (views.clip.images - truth).abs().mean(-1)
    limit = 1e-3 if size == SizeRule() else 0.05
    assert all(error[i][sure[i] == 1].mean() < limit for i in range(5))
    assert torch.equal(views.clip.require_cameras().K, request.targets.K)
    assert film.largest_jump() < 4.0 * 1.3, "the depth of the scene is an estimate"
    assert sum(len(call.targets) for call in film.calls) > 12
    assert all(len(call.targets) % 4 == 1 for call in film.calls)


def test_the_same_views_jump_without_it(generator: torch.Generator) -> None:
    """So that the test above cannot pass by views that lie close together."""
    film = Film(replace(SPEC, largest_turn_deg=None))
    rollout(film, scattered(), generator=generator)
    assert film.largest_jump() > 20


def test_a_path_keeps_its_order_and_gets_nothing_between(generator: torch.Generator) -> None:
    walk = SyntheticRoom().cameras(120, width=48, height=32)[40:47]
    film, request = Film(SPEC), replace(scattered(), targets=walk, times_s=None)
    rollout(film, request, generator=generator)
    (call,) = film.calls
    assert torch.equal(call.targets.cam_from_world[:7], walk.cam_from_world)


def test_a_path_begins_at_the_photo_that_is_like_its_beginning(generator: torch.Generator) -> None:
    """Not at the photo that is like its end, though that one is nearer."""
    walk = SyntheticRoom().cameras(25, width=48, height=32)
    request = replace(scattered(), targets=walk[[4, 6, 8, 10, 12]], times_s=None)
    film = Film(replace(SPEC, first_frame_is_context=True))
    views = rollout(film, request, generator=generator)
    assert torch.equal(film.calls[0].targets.cam_from_world[0], walk.cam_from_world[0])
    assert film.largest_jump() < 4.0 * 1.3
    assert (views.clip.images - ROOM.render(request.targets)[0]).abs().mean() < 1e-3


def test_times_run_along(generator: torch.Generator) -> None:
    film = Film(SPEC)
    rollout(film, scattered(), generator=generator)
    walk = SyntheticRoom().cameras(25, width=48, height=32)
    for call in film.calls:
        assert call.times_s is not None
        for i, time in enumerate(call.times_s.tolist()):
            low = int(min(time, 23))
            ends = Cameras.concatenate([walk[low], walk[low + 1]])
            assert view_changes(call.targets[i], ends, DEPTH).min() < 6, "between the views of these times"


def test_one_view_needs_no_way(generator: torch.Generator) -> None:
    film = Film(SPEC)
    rollout(film, replace(scattered(), targets=scattered().targets[:1], times_s=None), generator=generator)
    assert [len(call.targets) for call in film.calls] == [1]
