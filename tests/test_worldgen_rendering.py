"""The scene as it is now reaches models that mend renderings, at their size and in their unit, and nobody else."""

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from known_views import ROOM, ask, elsewhere
from PIL import Image

from bridge4d.stages import options as stage_options
from bridge4d.stages.options import ModelChoice
from bridge4d.stages.views import ask_model
from recon.camera_files.formats.transforms_write import write_transforms
from recon.clip import Clip
from recon.compute.progress import Silent, use_reporter
from recon.errors import BridgeError
from recon.gaussians import Gaussians, from_points
from worldgen.model import FrameRule, ModelSpec, Request, SizeRule, Views
from worldgen.outside.options import OutsideOptions
from worldgen.outside.write_request import write_request
from worldgen.rollout import rollout


def painted_room(request: Request) -> Gaussians:
    """Gaussians on the surfaces that the photos show."""
    from recon.cameras import backproject

    assert request.scene.depth is not None
    photos, maps = request.scene.depth
    points = backproject(maps.depth.double(), photos.require_cameras()).reshape(-1, 3)
    return from_points(points.float(), photos.images.reshape(-1, 3), sh_degree=0, opacity=0.99)


class Mender:
    """Answers with the rendering that it is shown."""

    def __init__(self, **spec) -> None:
        self.spec = ModelSpec("mender", ("cameras", "rendering"), **spec)
        self.shown: list[bool] = []

    def generate(self, request: Request, *, generator: torch.Generator) -> Views:
        drawn = request.rendering
        self.shown.append(drawn is not None)
        if drawn is None:
            return Views(
                Clip(torch.zeros(len(request.targets), request.targets.height, request.targets.width, 3))
            )
        assert drawn.images.shape[:3] == drawn.alpha.shape == drawn.depth.shape
        return Views(Clip(drawn.images.clamp(0, 1)), depth=drawn.depth, seen=(drawn.alpha > 0.9).float())


@pytest.mark.parametrize("unit", ["scene", "metre"])
def test_it_fits_what_the_model_is_asked(unit: str, generator: torch.Generator) -> None:
    """Cut, padded, begun at a photo and in metres: what comes back is the scene at the targets."""
    request = elsewhere(ask(4, width=60, height=48), 2.0)
    shown = replace(request, scene=replace(request.scene, gaussians=painted_room(request)))
    straight = shown.rendering
    assert straight is not None
    model = Mender(
        frame_rule=FrameRule(4, 1, 5), size=SizeRule(fixed=(96, 64)), unit=unit, first_frame_is_context=True
    )
    views = rollout(model, shown, generator=generator)
    assert views.depth is not None
    assert views.seen is not None
    assert views.clip.confidence is not None
    inside = (views.clip.confidence == 1) & (views.seen == 1) & (straight.alpha > 0.9)
    assert inside.float().mean() > 0.4
    assert (views.clip.images - straight.images).abs().mean(-1)[inside].mean() < 0.05
    assert ((views.depth - straight.depth).abs() / straight.depth)[inside].median() < 0.02


def test_there_is_none_without_a_scene() -> None:
    assert ask(1).rendering is None


def test_an_outside_model_gets_it_as_pictures_where_it_wants_them(tmp_path: Path) -> None:
    request = ask(2)
    shown = replace(request, scene=replace(request.scene, gaussians=painted_room(request)))
    drawn = shown.rendering
    assert drawn is not None
    write_request(tmp_path / "a", shown, seed=0, options=OutsideOptions(rendering=True))
    read = np.asarray(Image.open(tmp_path / "a" / "rendering" / "00001.png")) / 255
    assert np.abs(read - drawn.images[1].clamp(0, 1).numpy()).max() < 0.003
    opaque = np.asarray(Image.open(tmp_path / "a" / "alpha" / "00001.png")) / 255
    assert np.abs(opaque - drawn.alpha[1].numpy()).max() < 0.003
    for name, asked, options in (
        ("b", shown, OutsideOptions()),
        ("c", request, OutsideOptions(rendering=True)),
    ):
        write_request(tmp_path / name, asked, seed=0, options=options)
        assert not (tmp_path / name / "rendering").exists()
    assert "rendering" in OutsideOptions(rendering=True).model_spec().conditions_on
    assert "rendering" not in OutsideOptions().model_spec().conditions_on


class Weigher:
    """States that the left half of each picture is better than the scene."""

    def __init__(self, shrink: int = 1, stated: float = 0.75, **spec) -> None:
        self.spec = ModelSpec("weigher", ("cameras", "scene"), gives_confidence=True, **spec)
        self.shrink, self.stated = shrink, stated

    def generate(self, request: Request, *, generator: torch.Generator) -> Views:
        n = len(request.targets)
        h, w = (side // self.shrink for side in (request.targets.height, request.targets.width))
        better = torch.zeros(n, h, w)
        better[:, :, : w // 2] = self.stated
        clip = Clip(torch.full((n, h, w, 3), 0.5), confidence=torch.ones(n, h, w))
        return Views(clip, better=better)


@pytest.mark.parametrize(
    "model", [Weigher(size=SizeRule(fixed=(30, 24))), Weigher(shrink=2)], ids=["fixed", "any"]
)
def test_what_is_better_than_the_scene_becomes_the_confidence(
    model: Weigher, generator: torch.Generator
) -> None:
    """At the targets' size, whatever size the model answers at."""
    request = ask(2, width=60, height=48)

    answer = ask_model(
        request.context, request.scene, model=model, targets=request.targets, generator=generator
    )

    assert answer.confidence is not None
    assert answer.confidence.shape == (2, 48, 60)
    assert bool((answer.confidence[:, 2:-2, 2:28] == 0.75).all())
    assert bool((answer.confidence[:, 2:-2, 32:-2] == 0).all())


@pytest.mark.parametrize("stated", [float("nan"), 1.5])
def test_what_is_no_probability_is_refused(stated: float, generator: torch.Generator) -> None:
    request = ask(1, width=60, height=48)

    with pytest.raises(BridgeError, match="better from 0 to 1"):
        rollout(Weigher(stated=stated), request, generator=generator)


class Notes(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


class Restricted:
    """A model of which not everything is allowed."""

    spec = ModelSpec("restricted", (), license="CC BY-NC 4.0; no commercial use")

    def generate(self, request: Request, *, generator: torch.Generator) -> Views:
        raise NotImplementedError


def test_a_licence_that_forbids_something_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        stage_options, "_tell_license", functools.cache(stage_options._tell_license.__wrapped__)
    )
    notes = Notes()
    with use_reporter(notes):
        for model in (Restricted(), "warp", Restricted()):
            ModelChoice(model=model).load_model()
    assert [one for one in notes.said if "licence" in one] == [
        "licence of the world model test_worldgen_rendering:Restricted: CC BY-NC 4.0; no commercial use"
    ]


class Painter:
    """Draws the room, and remembers whether it was shown the scene."""

    key = "1"

    def __init__(self, takes: str) -> None:
        self.spec = ModelSpec("painter", ("cameras", takes))
        self.shown: list[bool] = []

    def generate(self, request: Request, *, generator: torch.Generator) -> Views:
        self.shown.append(request.scene.gaussians is not None)
        return Views(Clip(ROOM.render(request.targets)[0]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("takes", "shown"), [("rendering", [False, True]), ("scene", [True, True]), ("images", [False, False])]
)
def test_the_loop_shows_the_scene_to_models_that_take_it(
    takes: str, shown: list[bool], tmp_path: Path
) -> None:
    """Models that mend renderings are shown it from the second round on, models that weigh the scene from the first."""
    from bridge4d.augmenting.loop import augment
    from bridge4d.augmenting.options import AugmentOptions

    cameras = ROOM.cameras(10, width=240, height=160)
    write_transforms(tmp_path / "capture" / "transforms.json", Clip(ROOM.render(cameras)[0], cameras))
    model = Painter(takes)
    options = AugmentOptions(
        model=model, rounds=2, keep="augmented", novel=4, max_side=240, iterations=60, baselines="none"
    )
    done = augment(tmp_path / "capture", tmp_path / "run", options)
    assert done.report.rounds, "frames of the room are accepted"
    assert model.shown == shown
