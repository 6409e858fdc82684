"""Wan between two photos: each view is looked for in the video where it would be at an even pace, and that is what is stated."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny_models
import torch
from known_views import ROOM, ask, elsewhere

from recon.cameras import Cameras
from recon.clip import Clip
from recon.errors import BridgeError
from worldgen.backends.wan_first_last import Config, WanFirstLast, find_place
from worldgen.door import as_frames
from worldgen.model import Request
from worldgen.registry import load_model
from worldgen.rollout import rollout
from worldgen.trajectories import interpolate

SMALL = Config(area=64 * 64, steps=2, guidance=1.0, max_frames=9)


class Camera:
    """Stands for the pipeline: films the room on the line between the cameras of the photos, which it knows by their pixels."""

    def __init__(self, photos: Clip) -> None:
        self.photos = photos
        self.calls: list[dict[str, Any]] = []

    def _taken_by(self, picture: Any) -> Cameras:
        size = self.photos.require_cameras().resize(width=picture.width, height=picture.height)
        cut = as_frames(self.photos, size)
        pixels = torch.from_numpy(np.asarray(picture) / 255)
        return cut.require_cameras()[int((cut.images - pixels).abs().mean((1, 2, 3)).argmin())]

    def __call__(self, **given: Any) -> SimpleNamespace:
        self.calls.append(given)
        ends = Cameras.concatenate([self._taken_by(given["image"]), self._taken_by(given["last_image"])])
        way = interpolate(ends, count=given["num_frames"])
        return SimpleNamespace(frames=ROOM.render(way)[0][None].numpy())


def between(request: Request, ends: tuple[int, int], shares: tuple[float, ...]) -> Request:
    """Targets on the line between two photos."""
    way = interpolate(request.context.require_cameras()[list(ends)], count=81)
    return replace(request, targets=way[[round(80 * share) for share in shares]])


def test_views_on_the_way_are_found_and_are_right(generator: torch.Generator) -> None:
    request = between(ask(1), (1, 2), (0.25, 0.5, 0.75))
    film = Camera(request.context)
    views = rollout(WanFirstLast(SMALL, film), request, generator=generator)
    assert len(film.calls) == 1, "one video for all views between the same two photos"
    assert views.drawn is not None
    truth = ROOM.render(request.targets)[0]
    assert (views.clip.images - truth).abs().mean() < 0.02
    assert (views.drawn.cam_from_world - request.targets.cam_from_world).abs().max() < 1e-6
    assert (views.clip.images[[2, 1, 0]] - truth).abs().mean() > 0.05, "each in its place"


def test_what_it_says_was_drawn_is_what_is_seen(generator: torch.Generator) -> None:
    """Targets beside the way, of another shape than the photos: pictures show what the stated cameras see."""
    request = ask(4, width=80, height=64)
    wide = request.targets.resize(width=96, height=64)
    K = wide.K.clone()
    K[:, 0, 0] = K[:, 1, 1]
    request = replace(request, targets=replace(wide, K=K))
    film = Camera(request.context)
    views = rollout(WanFirstLast(replace(SMALL, area=96 * 64), film), request, generator=generator)
    assert views.drawn is not None
    assert (views.drawn.width, views.drawn.height) == (96, 64)
    sized = film.calls[0]["image"]
    assert sized.size == (96, 64)
    error = (views.clip.images - ROOM.render(views.drawn)[0]).abs().mean()
    squeezed = interpolate(request.context.require_cameras().resize(width=96, height=64)[[0, 1]], count=9)[
        1:5
    ]
    assert error < 0.03
    assert (views.clip.images - ROOM.render(squeezed)[0]).abs().mean() > 2 * error, "cut, not squeezed"


def test_the_pair_is_the_one_around_the_target() -> None:
    cameras = ROOM.cameras(25, width=64, height=48)
    photos = cameras[[0, 8, 16, 24]]
    for i, ends in ((3, (0, 1)), (12, (1, 2)), (20, (2, 3))):
        place = find_place(photos, cameras[i], 81)
        assert place.ends == ends
        assert 20 < place.frame < 60
    here, there = (
        find_place(one.context.require_cameras(), one.targets, 81) for one in (ask(1), elsewhere(ask(1), 3.0))
    )
    assert here == there, "wherever the world lies, and however large it is"
    assert find_place(photos, photos[1], 81).frame in (1, 79), "the ends themselves are photos, not views"


@pytest.mark.parametrize("count", [1, 9, 10])
def test_as_many_come_back_as_were_asked_for(count: int, generator: torch.Generator) -> None:
    request = ask(count, width=48, height=32)
    film = Camera(request.context)
    assert len(rollout(WanFirstLast(SMALL, film), request, generator=generator)) == count
    assert {call["num_frames"] for call in film.calls} == {9}


def test_it_states_that_it_takes_no_cameras(generator: torch.Generator) -> None:
    assert "cameras" not in WanFirstLast().spec.conditions_on
    request = ask(1, photos=(0,))
    with pytest.raises(BridgeError, match="at least 2 context photos"):
        rollout(WanFirstLast(SMALL, Camera(request.context)), request, generator=generator)
    with pytest.raises(BridgeError, match=r"--model\.max-frames of 5, 9, 13"):
        Config(max_frames=8)


@pytest.mark.slow
@pytest.mark.parametrize("image_encoder", [False, True])
def test_the_photos_reach_the_frames_of_a_real_pipeline(tmp_path: Path, image_encoder: bool) -> None:
    """A tiny network of random weights, read from a folder; same seed, same frames; the last photo changes them."""
    weights = tiny_models.saved(
        tiny_models.wan_image_to_video(image_encoder=image_encoder), tmp_path / "weights"
    )
    options = {"weights": str(weights), "area": 64 * 64, "steps": 2, "guidance": 2.0, "max_frames": 9}
    model, request = load_model("wan-first-last", options), between(ask(1), (1, 2), (0.85,))

    def frames(asked: Request, seed: int = 0) -> torch.Tensor:
        return rollout(model, asked, generator=torch.Generator().manual_seed(seed)).clip.images

    base = frames(request)
    assert base.std() > 0.01
    assert torch.equal(base, frames(request))
    assert not torch.equal(base, frames(request, seed=1))
    images = request.context.images.clone()
    images[2] = 1 - images[2]
    # a random decoder passes on little, but repeats are equal to the bit
    assert not torch.equal(base, frames(replace(request, context=replace(request.context, images=images))))
