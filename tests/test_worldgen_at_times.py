"""Views at a camera and a time: what moves is shown where it is then, and who knows no time says so."""

from dataclasses import replace

import pytest
import torch
from notes import Notes

from eval.pictures.images import psnr
from recon.cameras import Cameras
from recon.clip import Clip
from recon.compute.progress import use_reporter
from recon.errors import BridgeError
from recon.gaussians import from_points
from recon.scene import Scene
from recon.sequence import GaussianSequence, Motion
from recon.splats.render import draw_views
from worldgen.model import ModelSpec, Request, Views
from worldgen.models.bridge.model import Bridge
from worldgen.models.splat import SplatModel
from worldgen.models.synthetic_moving import SyntheticMoving, SyntheticMovingOptions
from worldgen.registry import load_model
from worldgen.rollout import rollout
from worldgen.scenes.moving_place import Film, MovingPlace
from worldgen.units import scale_request

W, H = 96, 72
SEED = 1
TIMES = torch.tensor([0.0, 0.4, 0.8], dtype=torch.float64)
JUDGE = 2


@pytest.fixture(scope="module")
def place() -> MovingPlace:
    return MovingPlace(SEED)


@pytest.fixture(scope="module")
def rig(place: MovingPlace) -> Cameras:
    return place.rig(5, width=W, height=H)


@pytest.fixture(scope="module")
def takes(place: MovingPlace, rig: Cameras) -> Clip:
    """All cameras but the one that judges, at all times."""
    others = [k for k in range(len(rig)) if k != JUDGE]
    return film(place, rig[others * len(TIMES)], TIMES.repeat_interleave(len(others))).clip


def film(place: MovingPlace, cameras: Cameras, times_s: torch.Tensor) -> Film:
    made = place.film(cameras, times_s)
    return replace(made, clip=replace(made.clip, times_s=times_s))


@pytest.fixture
def sequence() -> GaussianSequence:
    """A point that goes 1 unit a second to the right, before a wall."""
    wall = from_points(
        torch.tensor([[0.0, 0, 5], [0.5, 0, 5], [-0.5, 0, 5]]), torch.full((3, 3), 0.2), sh_degree=0
    )
    point = from_points(torch.tensor([[-0.5, 0, 3]]), torch.ones(1, 3), sh_degree=0, opacity=0.9)
    motion = Motion(torch.zeros(1), torch.full((1,), 3.0), torch.tensor([[[1.0, 0, 0]]]), torch.zeros(1, 4))
    return GaussianSequence(wall, point, motion, torch.tensor([0.0, 1.0], dtype=torch.float64))


def camera(count: int = 1) -> Cameras:
    K = torch.tensor([[40.0, 0, 20], [0, 40, 15], [0, 0, 1]]).expand(count, 3, 3)
    return Cameras(torch.eye(4).expand(count, 4, 4), K, 40, 30)


def nothing() -> Clip:
    return Clip(torch.zeros(0, 30, 40, 3))


class Spy:
    """Answers with grey, and keeps what it was asked."""

    def __init__(self, *conditions_on: str) -> None:
        self.spec = ModelSpec(name="spy", conditions_on=conditions_on)
        self.asked: list[Request] = []

    def generate(self, request: Request, *, generator: torch.Generator) -> Views:
        self.asked.append(request)
        targets = request.targets
        shown = request.context.images.mean() if len(request.context) else 0.5
        images = torch.full((len(targets), targets.height, targets.width, 3), float(shown))
        return Views(Clip(images, targets, request.times_s))


def test_a_moving_splat_scene_is_shown_at_the_times_of_the_request(
    sequence: GaussianSequence, generator: torch.Generator
) -> None:
    times = torch.tensor([1.0, 0.25])
    asked = Request(nothing(), camera(2), times_s=times)
    for model, request in (
        (SplatModel(sequence), asked),
        (SplatModel(), replace(asked, scene=Scene(moving=sequence))),
    ):
        assert model.spec.takes_times
        shown = rollout(model, request, generator=generator).clip
        for i, time_s in enumerate(times.tolist()):
            truth = draw_views(sequence.at(time_s), camera(), background=torch.full((3,), 0.5)).images[0]
            torch.testing.assert_close(shown.images[i], truth.clamp(0, 1))
        assert shown.times_s is not None
        assert shown.times_s.tolist() == times.tolist()
    bright = shown.images.mean(-1).amax(1).argmax(1)
    assert bright[0] > bright[1] + 5, "it went to the right"
    first = SplatModel(sequence).generate(replace(asked, times_s=None), generator=generator).clip.images
    torch.testing.assert_close(
        first[0],
        draw_views(sequence.at(0.0), camera(), background=torch.full((3,), 0.5)).images[0].clamp(0, 1),
    )
    with pytest.raises(BridgeError, match=r"times from 0 to 1 seconds.*got 2"):
        SplatModel(sequence).generate(replace(asked, times_s=torch.tensor([0.5, 2.0])), generator=generator)


def test_a_stored_moving_scene_is_asked_between_its_frames(sequence: GaussianSequence, tmp_path) -> None:
    from recon.scenefiles.formats.motion_tensors import save_sequence

    (tmp_path / "exports").mkdir()
    save_sequence(sequence, tmp_path / "exports" / "scene.safetensors")
    for name in (tmp_path, tmp_path / "exports" / "scene.safetensors"):
        model = load_model(f"splat:{name}")
        assert isinstance(model, SplatModel)
        assert model.moving is not None
        torch.testing.assert_close(model.moving.at(0.5).means, sequence.at(0.5).means)


def test_a_scaled_moving_scene_is_the_same_at_every_time(sequence: GaussianSequence) -> None:
    known = Scene(moving=sequence, metres_per_unit=2.0)
    request = Request(nothing(), camera().to(dtype=torch.float64), scene=known)
    scaled = scale_request(request, 2.0).scene.moving
    assert scaled is not None
    torch.testing.assert_close(scaled.at(0.7).means, 2 * sequence.at(0.7).means)


def test_the_synthetic_place_is_filmed_at_the_times_of_the_request(
    place: MovingPlace, rig: Cameras, generator: torch.Generator
) -> None:
    model = load_model("synthetic-moving", {"seed": SEED})
    truth = place.film(rig[[0, 3]], TIMES[[2, 1]])
    shown = rollout(model, Request(nothing(), rig[[0, 3]], times_s=TIMES[[2, 1]]), generator=generator)
    assert torch.equal(shown.clip.images, truth.clip.images)
    assert shown.depth is not None
    assert torch.equal(shown.depth, truth.depth)
    with pytest.raises(BridgeError, match="a seed from 0 on, got -1"):
        SyntheticMovingOptions(seed=-1)
    assert SyntheticMoving().spec.takes_times


def test_each_view_is_made_of_the_frames_of_its_time(
    takes: Clip, rig: Cameras, sequence: GaussianSequence, generator: torch.Generator
) -> None:
    times = torch.tensor([0.7, 0.1, 0.75, 0.1], dtype=torch.float64)
    model, noted = Spy("cameras", "images"), Notes()
    request = Request(takes, rig[[0, 1, 2, 3]], times_s=times, scene=Scene(moving=sequence))
    with use_reporter(noted):
        answer = rollout(model, request, generator=generator).clip
    assert [one.context.times_s.unique().tolist() for one in model.asked] == [[0.0], [0.8], [0.8]]  # type: ignore[union-attr]
    assert [len(one.context) for one in model.asked] == [4, 4, 4]
    assert [len(one.targets) for one in model.asked] == [2, 1, 1]
    held = model.asked[1].scene.gaussians
    assert held is not None
    torch.testing.assert_close(held.means, sequence.at(0.7).means)
    assert answer.times_s is not None
    assert answer.times_s.tolist() == times.tolist()
    torch.testing.assert_close(answer.require_cameras().cam_from_world, request.targets.cam_from_world)
    shades = answer.images.mean((1, 2, 3))
    late, early = (takes.images[takes.times_s == t].mean() for t in (0.8, 0.0))
    torch.testing.assert_close(shades, torch.stack([late, early, late, early]))
    assert noted.said == [
        "spy takes no times: each view is made of the frames that were taken nearest to its time, one of 3"
    ]


def test_a_model_that_takes_no_times_and_no_frames_says_so(
    takes: Clip, rig: Cameras, generator: torch.Generator
) -> None:
    for conditions, told in (
        (("cameras",), True),
        (("cameras", "time"), False),
        (("cameras", "images", "time"), False),
    ):
        noted = Notes()
        with use_reporter(noted):
            rollout(
                Spy(*conditions),
                Request(takes, rig[:2], times_s=torch.tensor([0.0, 0.8])),
                generator=generator,
            )
        assert any("takes no times: all views show the same moment" in said for said in noted.said) == told
    noted = Notes()
    with use_reporter(noted):
        rollout(Spy("cameras"), Request(takes, rig[:2]), generator=generator)
    assert not noted.said


def test_bridge_shows_what_moves_where_it_is(
    place: MovingPlace, rig: Cameras, takes: Clip, generator: torch.Generator
) -> None:
    """On six times of this place at 192 x 144 it is 24.8 dB with times and 15.4 dB without."""
    truth = film(place, rig[[JUDGE] * 2], TIMES[[0, 2]])
    asked = Request(takes, truth.clip.require_cameras(), times_s=TIMES[[0, 2]])
    scores = {}
    for name, request in (("with", asked), ("without", replace(asked, times_s=None))):
        shown = rollout(Bridge(), request, generator=generator).clip
        scores[name] = float(psnr(shown.images, truth.clip.images, truth.moving).mean())
    assert scores["with"] > scores["without"] + 3
