"""Pictures of any shape reach a model of one size, and what it draws comes back where it belongs."""

from dataclasses import replace

import pytest
import torch

from recon.clip import Clip
from recon.errors import BridgeError
from worldgen.door import longest_call, padded_indices, size_door
from worldgen.model import ModelSpec, Request
from worldgen.rollout import rollout
from worldgen.synthetic import SyntheticRoom

SPEC = ModelSpec("traced", ("images", "cameras"), frames_per_call=6, frame_rule=(4, 1), resolution=(128, 64))


class Traced:
    """Draws exactly what its cameras say, and checks what it is given."""

    def __init__(self, room: SyntheticRoom, spec: ModelSpec) -> None:
        self.room, self.spec = room, spec
        self.counts: list[int] = []
        self.squeezed = 0.0
        self.context_error = 0.0

    def generate(self, request: Request, *, generator: torch.Generator) -> Clip:
        self.counts.append(len(request.targets))
        for cameras in (request.targets, request.context.posed()):
            aspect = cameras.K[:, 0, 0] / cameras.K[:, 1, 1]
            self.squeezed = max(self.squeezed, float((aspect - 1).abs().max()))
        shown = self.room.render(request.context.posed())[0]
        self.context_error = max(
            self.context_error, float((shown - request.context.images).abs().mean(dim=(1, 2, 3)).max())
        )
        images = self.room.render(request.targets)[0]
        return Clip(images, request.targets, names=tuple(map(str, range(len(images)))))


@pytest.mark.parametrize(
    ("size", "model"),
    [((120, 90), (128, 64)), ((90, 120), (128, 64)), ((160, 90), (64, 64)), ((97, 61), (128, 64))],
)
def test_a_model_that_draws_its_cameras_exactly_answers_the_targets(
    size: tuple[int, int], model: tuple[int, int], generator: torch.Generator
) -> None:
    room = SyntheticRoom()
    width, height = size
    cameras = room.cameras(9, width=width, height=height)
    truth = room.render(cameras)[0]
    photos = Clip(truth[:2], cameras[[0, 1]], names=("a", "b"))
    traced = Traced(room, replace(SPEC, resolution=model))
    answer = rollout(traced, Request(photos, cameras[2:]), generator=generator)
    assert traced.counts == [5, 5], "seven targets in calls of 4k + 1, the second one padded"
    assert traced.squeezed < 0.02, "square pixels, but for whole pixels of the scaled size"
    assert traced.context_error < 0.06, "photos and own frames lie where their cameras say"
    assert answer.cameras is not None
    assert (len(answer), answer.width, answer.height) == (7, width, height)
    assert torch.equal(answer.cameras.K, cameras[2:].K)
    assert answer.confidence is not None
    sure = answer.confidence > 0
    error = (answer.images - truth[2:]).abs().mean(-1)
    assert error[sure].mean() < 0.04
    covered = min(width / height, model[0] / model[1]) / max(width / height, model[0] / model[1])
    assert float(sure.double().mean()) == pytest.approx(covered, abs=0.06)


def test_the_same_size_passes_unchanged(generator: torch.Generator) -> None:
    room = SyntheticRoom()
    cameras = room.cameras(3, width=64, height=48)
    photos = Clip(room.render(cameras)[0], cameras)
    door = size_door(replace(SPEC, resolution=(64, 48)), 64, 48)
    assert door.pictures(photos) is photos
    assert torch.equal(door.cameras(cameras).K, cameras.K)
    assert torch.equal(door.answer(photos, cameras).images, photos.images)


def test_stated_confidence_survives(generator: torch.Generator) -> None:
    door = size_door(replace(SPEC, resolution=(64, 64)), 120, 60)
    stated = Clip(torch.rand(1, 64, 64, 3, generator=generator), confidence=torch.full((1, 64, 64), 0.5))
    found = door.answer(stated, SyntheticRoom().cameras(1, width=120, height=60)).confidence
    assert found is not None
    assert sorted({round(v, 3) for v in found.unique().tolist()}) == [0.0, 0.5]


@pytest.mark.parametrize(
    ("rule", "most", "count", "call", "sent"),
    [
        (None, None, 7, 7, 7), (None, 3, 7, 3, 3), ((4, 1), 6, 7, 5, 5), ((4, 1), 6, 2, 2, 5), ((4, 1), None, 6, 6, 9),
        ((1, 25), None, 3, 3, 25), ((8, 0), 16, 9, 9, 16),
    ],
)  # fmt: skip
def test_calls_obey_the_rule_of_frame_counts(
    rule: tuple[int, int] | None, most: int | None, count: int, call: int, sent: int
) -> None:
    spec = replace(SPEC, frame_rule=rule, frames_per_call=most)
    assert longest_call(spec, count) == call
    indices = padded_indices(spec, call)
    assert len(indices) == sent
    assert indices[:call] == list(range(call))
    assert set(indices[call:]) <= {call - 1}


def test_a_rule_that_allows_no_call_is_refused() -> None:
    with pytest.raises(BridgeError, match=r"takes 25 \+ k·1 frames, and at most 8"):
        longest_call(replace(SPEC, frame_rule=(1, 25), frames_per_call=8), 3)


def test_an_answer_of_another_size_is_refused(generator: torch.Generator) -> None:
    class Wrong(Traced):
        def generate(self, request: Request, *, generator: torch.Generator) -> Clip:
            return super().generate(request, generator=generator).resized(width=32, height=32)

    room = SyntheticRoom()
    cameras = room.cameras(4, width=64, height=48)
    photos = Clip(room.render(cameras)[0][:2], cameras[:2])
    with pytest.raises(BridgeError, match="expected pictures of 128x64 from traced, got 32x32"):
        rollout(Wrong(room, SPEC), Request(photos, cameras[2:]), generator=generator)
