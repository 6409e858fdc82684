"""Mixing of generated frames with renderings: known truths, and the way from a request to an answer."""

import json
from dataclasses import replace

import pytest
import torch

from recon.cameras import Cameras, intrinsics
from recon.clip import Clip
from recon.errors import BridgeError
from recon.gaussians import from_points
from recon.scene import Scene
from worldgen.model import Request
from worldgen.models.bridge.mixing.evidence import DRAWS, FEATURES, Evidence, SceneView, Sign, Source
from worldgen.models.bridge.mixing.mixer import ROWS, Mixer, load_mixer, save_mixer
from worldgen.models.bridge.mixing.samples import load_place, save_place
from worldgen.models.bridge.mixing.train import find_better, fit_mixer, score
from worldgen.models.bridge.model import Bridge, BridgeOptions


def choose(source: Source) -> Mixer:
    """One that takes a single source everywhere."""
    bias = torch.zeros(len(ROWS))
    bias[source] = 50
    return Mixer(torch.zeros(len(ROWS), len(FEATURES)), bias, {})


def random_evidence(n: int = 2, *, seed: int = 0) -> Evidence:
    generator = torch.Generator().manual_seed(seed)
    pictures = torch.rand(n, len(Source), 3, 20, 30, generator=generator)
    return Evidence(pictures, torch.rand(n, len(Sign), 20, 30, generator=generator))


@pytest.mark.parametrize("source", list(Source))
def test_a_mixer_that_is_sure_of_a_source_shows_it(source: Source) -> None:
    evidence = random_evidence()

    mixed = choose(source).mix(evidence)

    torch.testing.assert_close(mixed.image, evidence.pictures[:, source].permute(0, 2, 3, 1))
    torch.testing.assert_close(mixed.better, torch.full((2, 20, 30), 0.5))
    torch.testing.assert_close(mixed.scale, torch.ones(2, 20, 30))


def test_it_learns_which_source_is_right_where_a_sign_tells() -> None:
    """The frame is the truth where it is seen, the rendering elsewhere; all else is noise."""
    places = []
    for seed in range(4):
        generator = torch.Generator().manual_seed(seed)
        truth = torch.rand(2, 3, 40, 60, generator=generator)
        noisy = (truth[:, None] + 0.3 * torch.randn(2, len(Source), 3, 40, 60, generator=generator)).clamp(
            0, 1
        )
        seen = torch.zeros(2, 40, 60)
        seen[:, :, :30] = 1
        noisy[:, Source.FRAME] = torch.where(seen[:, None] > 0, truth, noisy[:, Source.FRAME])
        noisy[:, Source.RENDERING] = torch.where(seen[:, None] > 0, noisy[:, Source.RENDERING], truth)
        signs = torch.zeros(2, len(Sign), 40, 60)
        signs[:, Sign.SEEN] = seen
        places.append((Evidence(noisy, signs), truth))

    mixer = fit_mixer(places[:3], 0, {})
    found = {name: sum(values) / len(values) for name, values in score(mixer, *places[3]).items()}

    assert found["mixture"] > found["mean"] + 3
    assert found["mixture"] > max(found["frame"], found["rendering"]) + 3
    better = mixer.mix(places[3][0]).better
    assert float(better[:, 5:-5, 5:25].mean()) > 0.9  # the rendering is noise there
    assert (
        float(better[:, 5:-5, 35:-5].mean()) < 0.3
    )  # and the truth here; the decay of weights keeps it from 0
    assert found["right about it"] > 0.9


def test_better_is_judged_around_a_pixel_and_ties_are_not_better() -> None:
    evidence = random_evidence(1)
    truth = evidence.pictures[:, Source.WARP]

    assert bool((find_better(truth, evidence, truth) == 1).all())
    assert bool((find_better(evidence.pictures[:, Source.RENDERING], evidence, truth) == 0).all())


def test_weights_survive_their_file_and_other_files_are_refused(tmp_path) -> None:
    weight = torch.arange(len(ROWS) * len(FEATURES)).reshape(len(ROWS), -1) / 64
    mixer = Mixer(weight, torch.arange(len(ROWS)) / 8, {"places": 3})
    file = tmp_path / "mixing.json"

    save_mixer(mixer, file)
    read = load_mixer(file)

    torch.testing.assert_close(read.weight, weight)
    torch.testing.assert_close(read.bias, mixer.bias)
    assert read.story == {"places": 3}
    said = json.loads(file.read_text())
    for broken, words in (
        ({**said, "format": "other"}, "train them"),
        ({**said, "features": said["features"][:-1]}, "train them"),
        ({**said, "rows": {}}, "expected rows frame"),
        ({**said, "rows": {**said["rows"], "frame": {"weight": [1.0], "bias": 0}}}, "expected 16 numbers"),
    ):
        file.write_text(json.dumps(broken))
        with pytest.raises(BridgeError, match=words):
            load_mixer(file)


def test_the_shipped_weights_take_the_rendering_where_it_is_surer_than_the_frame(wall: Request) -> None:
    """Where nobody sees anything but the scene, and where the scene has nothing."""
    mixer, evidence = load_mixer(), random_evidence(1)
    signs = torch.zeros(1, len(Sign), 20, 30)
    signs[:, Sign.ALPHA] = 1
    unseen = replace(evidence, signs=signs.clone())
    unseen.signs[:, Sign.SCALE] = 1.0
    seen = replace(evidence, signs=signs.clone())
    for sign in (Sign.SEEN, Sign.WARP_CONFIDENCE, Sign.TRUST, Sign.ANGLE):
        seen.signs[:, sign] = 1
    seen.signs[:, Sign.SPREAD] = 1

    share = {
        name: mixer.state(one)[:, : len(Source)].softmax(1)[:, Source.FRAME].mean()
        for name, one in (("seen", seen), ("unseen", unseen))
    }

    assert mixer.story["licence"] == "Apache-2.0"
    assert float(share["seen"]) > float(share["unseen"])


def test_a_place_survives_its_file(tmp_path) -> None:
    evidence = random_evidence()
    truth = torch.rand(2, 3, 20, 30, generator=torch.Generator().manual_seed(1))

    save_place(evidence, truth, tmp_path / "place.safetensors")
    read, shown = load_place(tmp_path / "place.safetensors")

    torch.testing.assert_close(read.pictures, evidence.pictures, atol=1 / 255, rtol=0)
    torch.testing.assert_close(read.signs, evidence.signs, atol=1 / 100, rtol=0)
    torch.testing.assert_close(shown, truth, atol=1 / 255, rtol=0)


def wall_request() -> Request:
    """Two photos of a textured wall two units ahead, a camera between them, and a scene that shows the wall in grey."""
    generator = torch.Generator().manual_seed(0)
    poses = torch.eye(4, dtype=torch.float64).repeat(3, 1, 1)
    poses[:, 0, 3] = torch.tensor([0.2, -0.2, 0.0])
    cameras = Cameras(poses, intrinsics(focal_px=60.0, width=64, height=48, n=3), 64, 48)
    texture = torch.nn.functional.interpolate(
        torch.rand(1, 3, 12, 24, generator=generator), (48, 96), mode="bicubic"
    )
    texture = texture[0].permute(1, 2, 0).clamp(0, 1)
    # 0.2 units to the side shift what is 2 units away by 6 pixels of focal length 60
    images = torch.stack([texture[:, 16 + shift : 80 + shift] for shift in (-6, 6)])
    x, y = torch.meshgrid(torch.linspace(-1.6, 1.6, 60), torch.linspace(-1.0, 1.0, 40), indexing="xy")
    wall = torch.stack([x.flatten(), y.flatten(), torch.full((2400,), 2.0)], dim=1).double()
    grey = from_points(wall, torch.full((2400, 3), 0.5), sh_degree=0, opacity=0.9)
    return Request(Clip(images, cameras[:2]), cameras[2:], scene=Scene(gaussians=grey))


@pytest.fixture(scope="module")
def wall() -> Request:
    return wall_request()


def test_a_request_with_a_scene_is_mixed_and_one_without_is_not(wall: Request) -> None:
    model, plain = Bridge(), Bridge(BridgeOptions(mix=False))

    mixed = model.generate(wall, generator=torch.Generator().manual_seed(0))
    again = model.generate(wall, generator=torch.Generator().manual_seed(0))
    alone = model.generate(replace(wall, scene=Scene()), generator=torch.Generator().manual_seed(0))
    unmixed = plain.generate(wall, generator=torch.Generator().manual_seed(0))

    assert "scene" in model.spec.conditions_on
    assert "scene" not in plain.spec.conditions_on
    assert mixed.better is not None
    assert mixed.better.shape == (1, 48, 64)
    assert torch.equal(mixed.clip.images, again.clip.images)
    assert alone.better is None
    assert unmixed.better is None
    assert torch.equal(alone.clip.images, unmixed.clip.images)
    assert not torch.equal(mixed.clip.images, alone.clip.images)


def test_the_evidence_is_what_frame_and_scene_show(wall: Request) -> None:
    model = Bridge(BridgeOptions(mix=False))
    frame = model.generate(wall, generator=torch.Generator().manual_seed(0)).clip.images

    evidence = model.collect_evidence(wall, generator=torch.Generator().manual_seed(0))

    assert evidence.features().shape == (1, len(FEATURES), 48, 64)
    torch.testing.assert_close(evidence.pictures[0, Source.FRAME], frame[0].permute(2, 0, 1))
    middle = evidence.pictures[0, :, :, 10:-10, 10:-10]
    assert float((middle[Source.RENDERING] - 0.5).abs().max()) < 0.1  # the grey wall
    assert float(middle[Source.FRAME].std()) > 0.1  # the textured one
    assert float(evidence.signs[0, Sign.ALPHA].min()) > 0.5


def test_frames_are_the_same_with_and_without_a_scene_beside(wall: Request) -> None:
    alone = Bridge().generate(replace(wall, scene=Scene()), generator=torch.Generator().manual_seed(0))

    evidence = Bridge().collect_evidence(wall, generator=torch.Generator().manual_seed(0))

    torch.testing.assert_close(evidence.pictures[0, Source.FRAME], alone.clip.images[0].permute(2, 0, 1))


def test_what_lies_around_a_photo_on_its_canvas_is_never_looked_up(wall: Request) -> None:
    """The canvas is bright red, and no picture of the scene becomes so."""
    sure = torch.ones(2, 48, 64)
    sure[:, :, 40:] = 0
    images = torch.where(sure[..., None] > 0, wall.context.images, torch.tensor([1.0, 0.0, 0.0]))
    bordered = replace(wall, context=replace(wall.context, images=images, confidence=sure))

    evidence = Bridge().collect_evidence(bordered, generator=torch.Generator().manual_seed(0))

    red = evidence.pictures[0, Source.PHOTOS]
    assert not bool(((red[0] > 0.95) & (red[1] < 0.05) & (red[2] < 0.05)).any())


def test_weights_of_ones_own_need_mixing() -> None:
    with pytest.raises(BridgeError, match="mix=False"):
        BridgeOptions(mix=False, mixing_weights="mixing.json")


def test_draws_leave_out_about_a_third_of_the_gaussians(wall: Request) -> None:
    scene = wall.scene.gaussians
    assert scene is not None

    view = SceneView.of(scene, wall.context, torch.Generator().manual_seed(0))

    assert len(view.draws) == DRAWS
    for draw in view.draws:
        share = float((draw.opacity_logits < -20).float().mean())
        assert 0.27 < share < 0.33
    assert not torch.equal(view.draws[0].opacity_logits, view.draws[1].opacity_logits)
