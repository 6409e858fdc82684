"""Wan-VACE is shown the photos where they belong in the new views, paints the rest, and says which is which."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny_models
import torch
from known_views import MISTAKES, ROOM, ask, elsewhere

from recon.clip import Clip
from recon.errors import BridgeError
from recon.gaussians import from_points
from worldgen.backends.wan_vace import GREY, INVENTED, Config, WanVace
from worldgen.model import Request
from worldgen.registry import load_model
from worldgen.rollout import rollout

SMALL = Config(area=64 * 64, steps=2, guidance=1.0, turn_deg=90.0)


class Painter:
    """Stands for the pipeline: keeps what it is told to, and paints the rest red; remembers what it was given."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def __call__(self, **given: Any) -> SimpleNamespace:
        self.calls.append(given)
        video, hole = (np.stack([np.asarray(one) for one in given[name]]) / 255 for name in ("video", "mask"))
        return SimpleNamespace(frames=(video * (1 - hole) + np.array([1.0, 0, 0]) * hole)[None])


def error_of_kept(request: Request, truth: torch.Tensor) -> float:
    control = WanVace(SMALL, Painter()).control(request)
    return float((control.images - truth).abs().mean(-1)[control.keep].mean())


def test_what_is_kept_is_what_the_cameras_see() -> None:
    request = ask(5)
    truth = ROOM.render(request.targets)[0]
    right = error_of_kept(request, truth)
    assert right < 0.03
    for mistake in MISTAKES:
        wrong = error_of_kept(replace(request, targets=mistake(request.targets)), truth)
        assert not wrong < 1.3 * right, (
            f"{mistake.__name__}: {wrong} and {right}"
        )  # NaN where nothing is kept


def test_the_world_may_lie_anywhere_and_have_any_scale() -> None:
    model = WanVace(SMALL, Painter())
    here, there = (model.control(request) for request in (ask(5), elsewhere(ask(5), 2.5)))
    assert (here.keep != there.keep).float().mean() < 0.005
    assert (here.images - there.images).abs().mean() < 1e-3


def test_it_is_asked_as_it_was_trained(generator: torch.Generator) -> None:
    """White in the mask is painted, holes are grey, frames are 4k + 1, sides multiples of 16, words are never absent."""
    painter = Painter()
    views = rollout(WanVace(SMALL, painter), ask(2, width=90, height=60), generator=generator)
    (given,) = painter.calls
    assert (given["num_frames"], given["width"], given["height"], len(given["video"])) == (5, 80, 48, 5)
    video, mask = (np.stack([np.asarray(one) for one in given[name]]) for name in ("video", "mask"))
    assert set(np.unique(mask)) <= {0, 255}
    hole = mask[..., 0] == 255
    assert hole.any()
    assert (video[hole] == 128).all()
    assert round(GREY * 255) == 128
    assert given["prompt"]
    assert len(given["reference_images"]) >= 1
    assert given["reference_images"][0].size[0] > 0
    assert (len(views), views.clip.width, views.clip.height) == (2, 90, 60)


@pytest.mark.parametrize("count", [1, 5, 6])
def test_as_many_come_back_as_were_asked_for(count: int, generator: torch.Generator) -> None:
    painter = Painter()
    views = rollout(
        WanVace(replace(SMALL, max_frames=5), painter), ask(count, width=48, height=32), generator=generator
    )
    assert len(views) == count
    assert [call["num_frames"] for call in painter.calls] == {1: [1], 5: [5], 6: [5, 1]}[count]


def test_its_pictures_come_back_to_their_places_with_its_doubts(generator: torch.Generator) -> None:
    """Photos of another shape than the model's multiples: what is kept is the truth, what is painted is not trusted."""
    request = ask(6, width=88, height=56)
    views = rollout(WanVace(SMALL, Painter()), request, generator=generator)
    truth, sure = ROOM.render(request.targets)[0], views.clip.confidence
    assert sure is not None
    assert views.seen is not None
    kept = (sure >= 0.5) & (views.seen == 1)
    assert kept.float().mean() > 0.25
    error, off = (
        (images - truth).abs().mean(-1)[kept].mean()
        for images in (views.clip.images, views.clip.images.roll(1, 2))
    )
    assert error < 0.06
    assert off > 1.2 * error, "a pixel to the side"
    painted = views.seen == 0
    assert (sure[painted] <= 0.5).float().mean() > 0.95, "all but the rims of what is kept"
    assert sure[painted].median() == pytest.approx(INVENTED)


def test_a_solid_rendering_is_kept_instead_of_the_photos(generator: torch.Generator) -> None:
    """A wall of blue Gaussians in the left half of the view."""
    request = ask(1)
    camera = request.targets[0]
    at = torch.rand(4000, 2, generator=generator) * torch.tensor([0.5, 1.0])
    there = (
        torch.stack([at[:, 0] * 64, at[:, 1] * 64, torch.ones(4000)], 1).double()
        @ torch.linalg.inv(camera.K[0]).T
    )
    world = (there * 1.5) @ camera.world_from_cam[0, :3, :3].T + camera.world_from_cam[0, :3, 3]
    wall = from_points(
        world.float(), torch.tensor([[0.0, 0.0, 1.0]]).expand(4000, 3), sh_degree=0, opacity=0.99
    )
    shown = replace(request, scene=replace(request.scene, gaussians=wall))
    before, after = (WanVace(SMALL, Painter()).control(one) for one in (request, shown))
    left, right = slice(4, 28), slice(40, 64)
    assert after.images[0, 8:56, left].mean((0, 1)).tolist() == pytest.approx([0, 0, 1], abs=0.1)
    assert after.keep[0, 8:56, left].all()
    assert (after.confidence[0, 8:56, left] == INVENTED).all(), "a scene is no evidence for itself"
    assert torch.equal(after.images[0, :, right], before.images[0, :, right])
    assert torch.equal(after.confidence[0, :, right], before.confidence[0, :, right])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"weights": "nowhere"}, "expected a folder of weights or a name such as owner/model"),
        ({"steps": 0}, "expected --model.steps of at least 1, got 0"),
        ({"keep_above": 0.0}, "expected --model.area of at least 256"),
        ({"stepz": 3}, "did you mean steps"),
    ],
)
def test_what_cannot_work_is_refused_before_it_is_loaded(options: dict[str, Any], said: str) -> None:
    with pytest.raises(BridgeError, match=said):
        load_model("wan-vace", options)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BridgeError, match=r"expected a folder with a model_index\.json"):
        load_model("wan-vace", {"weights": str(tmp_path)})


def test_a_pipeline_that_fails_is_told_in_one_sentence(generator: torch.Generator) -> None:
    def broken(**given: Any) -> None:
        raise ValueError("two\nlines")

    with pytest.raises(BridgeError, match="the world model wan-vace failed: ValueError: two lines"):
        WanVace(SMALL, broken).generate(ask(1), generator=generator)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.saved(tiny_models.wan_vace(), tmp_path_factory.mktemp("wan-vace"))


@pytest.mark.slow
def test_the_path_reaches_the_frames_of_a_real_pipeline(weights: Path) -> None:
    """A tiny network of random weights, read from a folder; same seed, same frames; photos and path change them."""
    options = {"weights": str(weights), "area": 64 * 64, "steps": 2, "guidance": 2.0, "turn_deg": 90.0}
    model, request = load_model("wan-vace", options), ask(5)

    def frames(asked: Request, seed: int = 0) -> torch.Tensor:
        return rollout(model, asked, generator=torch.Generator().manual_seed(seed)).clip.images

    base = frames(request)
    assert base.std() > 0.01
    assert torch.equal(base, frames(request))
    assert torch.equal(
        base,
        rollout(
            load_model("wan-vace", options), request, generator=torch.Generator().manual_seed(0)
        ).clip.images,
    )
    other = frames(replace(request, targets=request.targets[[4, 3, 2, 1, 0]]))
    assert (base - other).abs().mean() > 1e-4
    assert not torch.equal(base, frames(request, seed=1))
    dark = Clip(request.context.images * 0.2, request.context.cameras)
    unseen = replace(request, context=dark, scene=replace(request.scene, depth=None))
    assert not torch.equal(base, frames(unseen))
