"""Pictures of any shape reach a model of one size, and what it draws comes back where it belongs."""

from dataclasses import replace

import pytest
import torch

from recon.clip import Clip
from recon.errors import BridgeError
from recon.points import PointCloud
from recon.scene import Scene
from recon.sim3 import Sim3
from worldgen.door import longest_call, padded_indices, size_door
from worldgen.model import FrameRule, ModelSpec, Request, SizeRule, Views
from worldgen.models.synthetic import SyntheticRoom
from worldgen.rollout import rollout

SPEC = ModelSpec(
    "traced", ("images", "cameras"), frame_rule=FrameRule(4, 1, max_frames=6), size=SizeRule(fixed=(128, 64))
)


class Traced:
    """Draws exactly what its cameras say, and checks what it is given."""

    def __init__(self, room: SyntheticRoom, spec: ModelSpec) -> None:
        self.room, self.spec = room, spec
        self.counts: list[int] = []
        self.requests: list[Request] = []
        self.size = (0, 0)
        self.squeezed = 0.0
        self.context_error = 0.0

    def generate(self, request: Request, *, generator: torch.Generator) -> Views:
        self.counts.append(len(request.targets))
        self.requests.append(request)
        self.size = (request.targets.width, request.targets.height)
        for cameras in (request.targets, request.context.require_cameras()):
            aspect = cameras.K[:, 0, 0] / cameras.K[:, 1, 1]
            self.squeezed = max(self.squeezed, float((aspect - 1).abs().max()))
        shown = self.room.render(request.context.require_cameras())[0]
        self.context_error = max(
            self.context_error, float((shown - request.context.images).abs().mean(dim=(1, 2, 3)).max())
        )
        images = self.room.render(request.targets)[0]
        return Views(Clip(images, request.targets, names=tuple(map(str, range(len(images))))))


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
    traced = Traced(room, replace(SPEC, size=SizeRule(fixed=model)))
    answer = rollout(traced, Request(photos, cameras[2:]), generator=generator).clip
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
    door = size_door(replace(SPEC, size=SizeRule(fixed=(64, 48))), 64, 48)
    assert door.pictures(photos) is photos
    assert torch.equal(door.cameras(cameras).K, cameras.K)
    assert torch.equal(door.answer(Views(photos), cameras).clip.images, photos.images)


def test_stated_confidence_survives(generator: torch.Generator) -> None:
    door = size_door(replace(SPEC, size=SizeRule(fixed=(64, 64))), 120, 60)
    stated = Clip(torch.rand(1, 64, 64, 3, generator=generator), confidence=torch.full((1, 64, 64), 0.5))
    found = door.answer(Views(stated), SyntheticRoom().cameras(1, width=120, height=60)).clip.confidence
    assert found is not None
    assert sorted({round(v, 3) for v in found.unique().tolist()}) == [0.0, 0.5]


@pytest.mark.parametrize(
    ("rule", "most", "count", "call", "sent"),
    [
        ((1, 0), None, 7, 7, 7), ((1, 0), 3, 7, 3, 3), ((4, 1), 6, 7, 5, 5), ((4, 1), 6, 2, 2, 5), ((4, 1), None, 6, 6, 9),
        ((1, 25), None, 3, 3, 25), ((8, 0), 16, 9, 9, 16),
    ],
)  # fmt: skip
def test_calls_obey_the_rule_of_frame_counts(
    rule: tuple[int, int], most: int | None, count: int, call: int, sent: int
) -> None:
    spec = replace(SPEC, frame_rule=FrameRule(*rule, max_frames=most))
    assert longest_call(spec, count) == call
    indices = padded_indices(spec, call)
    assert len(indices) == sent
    assert indices[:call] == list(range(call))
    assert set(indices[call:]) <= {call - 1}


def test_a_rule_that_allows_no_call_is_refused() -> None:
    with pytest.raises(BridgeError, match=r"takes 25 \+ k·1 frames, and at most 8"):
        longest_call(replace(SPEC, frame_rule=FrameRule(1, 25, max_frames=8)), 3)


def test_an_answer_of_another_size_is_refused(generator: torch.Generator) -> None:
    class Wrong(Traced):
        def generate(self, request: Request, *, generator: torch.Generator) -> Views:
            return Views(super().generate(request, generator=generator).clip.resize(width=32, height=32))

    room = SyntheticRoom()
    cameras = room.cameras(4, width=64, height=48)
    photos = Clip(room.render(cameras)[0][:2], cameras[:2])
    with pytest.raises(BridgeError, match="expected pictures of 128x64 from traced, got 32x32"):
        rollout(Wrong(room, SPEC), Request(photos, cameras[2:]), generator=generator)


def test_sizes_are_brought_to_the_nearest_multiple_and_back(generator: torch.Generator) -> None:
    room, spec = SyntheticRoom(), replace(SPEC, size=SizeRule(multiple_of=16))
    cameras = room.cameras(4, width=97, height=61)
    photos = Clip(room.render(cameras)[0][:2], cameras[:2])
    traced = Traced(room, spec)
    answer = rollout(traced, Request(photos, cameras[2:]), generator=generator).clip
    assert traced.size == (96, 64)
    assert (answer.width, answer.height) == (97, 61)


def test_maps_come_back_to_their_places(generator: torch.Generator) -> None:
    """A model that states the depth of its cut; around the cut nothing is stated."""
    room = SyntheticRoom()
    cameras = room.cameras(3, width=120, height=60)
    photos = Clip(room.render(cameras)[0][:2], cameras[:2])
    _, truth = room.render(cameras[2:])

    class WithDepth(Traced):
        def generate(self, request: Request, *, generator: torch.Generator) -> Views:
            depth = self.room.render(request.targets)[1]
            return replace(
                super().generate(request, generator=generator), depth=depth, seen=torch.ones_like(depth)
            )

    spec = replace(SPEC, size=SizeRule(fixed=(64, 64)))
    views = rollout(WithDepth(room, spec), Request(photos, cameras[2:]), generator=generator)
    assert views.depth is not None
    assert views.seen is not None
    assert float(views.seen.mean()) == pytest.approx(0.5, abs=0.05)
    inside = views.seen > 0
    assert ((views.depth - truth).abs()[inside] / truth[inside]).median() < 0.02
    assert (views.depth[~inside] == 0).all()


def test_a_model_that_starts_at_a_photo_gets_it_as_its_first_frame(generator: torch.Generator) -> None:
    """The nearest photo leads the first call, the last generated frame each later one; neither is in the answer."""
    room = SyntheticRoom()
    cameras = room.cameras(9, width=64, height=48)
    truth = room.render(cameras)[0]
    taken_s = torch.tensor([0.0, 0.8], dtype=torch.float64)
    photos = Clip(truth[[0, 8]], cameras[[0, 8]], taken_s, names=("a", "b"))
    traced = Traced(room, replace(SPEC, first_frame_is_context=True, size=SizeRule()))
    asked, times_s = cameras[[7, 6, 5, 4, 3, 2]], torch.tensor([0.7, 0.6, 0.5, 0.4, 0.3, 0.2]).double()
    answer = rollout(traced, Request(photos, asked, times_s=times_s), generator=generator).clip
    assert traced.counts == [5, 5]
    first, second = traced.requests
    assert first.context.names[0] == "b"
    assert torch.equal(first.targets.cam_from_world[0], cameras.cam_from_world[8])
    assert first.times_s is not None
    assert first.times_s.tolist()[:2] == pytest.approx([0.8, 0.7]), "the photo at its own time"
    assert answer.times_s is not None
    torch.testing.assert_close(answer.times_s, times_s)
    assert second.context.names[0] == "generated-00003"
    assert torch.equal(second.targets.cam_from_world[0], cameras.cam_from_world[4])
    assert len(answer) == 6
    assert torch.equal(answer.images, truth[[7, 6, 5, 4, 3, 2]])


def test_a_photo_that_fills_a_part_of_its_canvas_is_shown_without_the_rim(generator: torch.Generator) -> None:
    """Tall photos on a wide canvas before a model that begins at one: what it is shown is what its camera sees."""
    room, spec = SyntheticRoom(), replace(SPEC, first_frame_is_context=True)
    tall = room.cameras(2, width=48, height=64)
    canvas, sure = torch.zeros(2, 64, 96, 3), torch.zeros(2, 64, 96)
    canvas[:, :, 24:72], sure[:, :, 24:72] = room.render(tall)[0], 1.0
    K = tall.K.clone()
    K[:, 0, 2] += 24
    photos = Clip(canvas, replace(tall, K=K, width=96), confidence=sure)
    traced = Traced(room, spec)
    rollout(traced, Request(photos, room.cameras(4, width=96, height=64)[1:3]), generator=generator)
    (asked,) = traced.requests
    assert (asked.context.width, asked.context.height) == (128, 64)
    assert traced.context_error < 0.06
    assert (asked.context.images > 0.02).any(-1).float().mean() > 0.99, "no black rim"


def test_a_model_in_metres_is_asked_in_metres(generator: torch.Generator) -> None:
    """The room in feet: the model draws what the camera sees, and its depth comes back in feet."""
    room = SyntheticRoom()
    cameras = room.cameras(4, width=64, height=48)
    feet = replace(Sim3.identity(), scale=torch.tensor(1 / 0.3048, dtype=torch.float64))
    images, depth = room.render(cameras)
    photos = Clip(images[:2], feet.cameras(cameras[:2]))

    class Metric:
        spec = replace(SPEC, unit="metre", frame_rule=FrameRule(), size=SizeRule())

        def generate(self, request: Request, *, generator: torch.Generator) -> Views:
            assert request.scene.points is not None
            assert float(request.scene.points.xyz[0, 0]) == pytest.approx(1.0)
            return room.generate(request, generator=generator)

    points = PointCloud(
        torch.full((1, 3), 1 / 0.3048, dtype=torch.float64), torch.zeros(1, 3), torch.zeros(1)
    )
    known = Request(photos, feet.cameras(cameras[2:]), scene=Scene(points=points, metres_per_unit=0.3048))
    views = rollout(Metric(), known, generator=generator)
    assert views.depth is not None
    assert (views.clip.images - images[2:]).abs().mean() < 1e-4
    torch.testing.assert_close(views.depth, depth[2:] / 0.3048, rtol=1e-3, atol=1e-3)
    with pytest.raises(BridgeError, match="works in metres, and the scale of this scene is not known"):
        rollout(Metric(), replace(known, scene=Scene()), generator=generator)
