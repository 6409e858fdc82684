"""Models of videos see a camera that never jumps; what comes back is what was asked for, in its order."""

from dataclasses import replace

import pytest
import torch
from known_views import ROOM, ask
from notes import Notes

from recon.cameras import Cameras
from recon.clip import Clip
from recon.compute.progress import use_reporter
from worldgen.model import FrameRule, ModelSpec, Request, SizeRule, Views
from worldgen.models.synthetic import SyntheticRoom
from worldgen.rollout import rollout
from worldgen.route import MOST_BETWEEN, plan_route, view_changes

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
        """By the turn, or the shift of what is as far away as the scene, degrees; from call to call, too."""
        known = self.calls[0].scene.depth
        assert known is not None
        way = Cameras.concatenate([call.targets for call in self.calls])
        gaze = way.cam_from_world[:, :3, :3].double()
        turns = torch.linalg.matrix_norm(gaze[1:] - gaze[:-1]) / 8**0.5  # the sine of half of it
        steps = (way.centers[1:] - way.centers[:-1]).double().norm(dim=1)
        shifts = torch.arctan(steps / known[1].depth.median())
        return float(torch.maximum(2 * torch.arcsin(turns), shifts).max().rad2deg())


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
    assert film.largest_jump() < 4.0 + 1e-6
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
    assert film.largest_jump() < 4.0 + 1e-6
    assert (views.clip.images - ROOM.render(request.targets)[0]).abs().mean() < 1e-3


def far_apart(depths: float) -> Request:
    """Two cameras of one gaze, so many depths of the scene from each other; the photo is where the first one is."""
    request = ask(1, width=48, height=32, photos=(0,))
    assert request.scene.depth is not None
    photo, depth = request.context.require_cameras(), float(request.scene.depth[1].depth.median())
    there = photo.place_at(photo.centers + torch.tensor([[depths * depth, 0, 0]]).double())
    return replace(request, targets=Cameras.concatenate([photo, there]))


def test_views_far_apart_get_enough_between(generator: torch.Generator) -> None:
    """Angles do not add up along the way: that of 3 depths is 72 degrees, that of the first half alone 56."""
    film = Film(replace(SPEC, largest_turn_deg=2.5))
    rollout(film, far_apart(3), generator=generator)
    assert 2 < film.largest_jump() < 2.5 + 1e-6


def test_a_way_too_long_is_cut_short_and_said() -> None:
    told = Notes()
    with use_reporter(told):
        route = plan_route(replace(SPEC, largest_turn_deg=2.5), far_apart(100))
    assert route.stops == [0, MOST_BETWEEN]
    assert len(route.request.targets) == MOST_BETWEEN + 1
    assert "would take 2292 frames; it makes 240" in told.said[0]


@pytest.mark.parametrize("limit", [None, 1.0])
def test_the_photo_shown_is_the_one_that_the_way_begins_at(
    limit: float | None, generator: torch.Generator
) -> None:
    """Without a depth, too: a photo far off with the same gaze, and one close by that is turned a little."""
    walk = SyntheticRoom().cameras(25, width=48, height=32)
    aside = walk[3].place_at(walk[3].centers + torch.tensor([[0.0, 0, -2]]).double())
    photos = Cameras.concatenate([aside, walk[2]])
    request = Request(Clip(ROOM.render(photos)[0], photos), walk[[3, 4]])
    film = Film(replace(SPEC, first_frame_is_context=True, largest_turn_deg=limit))
    rollout(film, request, generator=generator)
    call = film.calls[0]
    for shown in (call.targets, call.context.require_cameras()):
        assert torch.equal(shown.cam_from_world[0], walk.cam_from_world[2])
    gaze = torch.arccos((call.targets.forward[1:] * call.targets.forward[:-1]).sum(1).clamp(-1, 1)).rad2deg()
    assert limit is None or gaze.max() < limit + 1e-6


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
