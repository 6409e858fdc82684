"""The choice of how to train: what it tries, what it must not see, what it takes."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from recon.cameras import Cameras, intrinsics, look_at
from recon.clip import Clip
from recon.depth import DepthMaps
from recon.errors import ReconstructionError
from recon.gaussians import Gaussians
from recon.points import PointCloud
from recon.splats.fit import FitOptions
from recon.splats.fitting import choose
from recon.splats.fitting.choose import choose_training, estimate_choice, list_lengths
from recon.splats.fitting.start_cloud import StartCloud
from recon.splats.render import render
from recon.tracks import Tracks

W, H = 48, 40


@pytest.fixture(scope="module")
def clip() -> Clip:
    """Four photos of a bent sheet of blobs."""
    g = torch.Generator().manual_seed(3)
    x, y = (torch.rand(2, 200, generator=g) * 2 - 1) * 1.2
    sheet = Gaussians(
        means=torch.stack([x, y, 0.3 * (2 * x).sin() * y.cos()], -1),
        quats_wxyz=torch.randn(200, 4, generator=g),
        log_scales=torch.randn(200, 3, generator=g) * 0.3 + math.log(0.12),
        opacity_logits=torch.full((200,), 2.0),
        sh=torch.randn(200, 1, 3, generator=g),
    )
    angle = torch.linspace(-0.4, 0.4, 4, dtype=torch.float64)
    eye = 3 * torch.stack([angle.sin(), 0 * angle, -angle.cos()], -1)
    up = torch.tensor([[0.0, -1, 0]], dtype=torch.float64).expand(4, 3)
    pose = look_at(eye, torch.zeros_like(eye), up)
    cameras = Cameras(pose, intrinsics(focal_px=50.0, width=W, height=H, n=4), W, H)
    seen = render(sheet, cameras, engine="cpu")
    return Clip(seen.images.clamp(0, 1), cameras, names=("a", "b", "c", "d"))


@pytest.fixture(scope="module")
def start(clip: Clip) -> StartCloud:
    maps = DepthMaps(torch.full((4, H, W), 3.0), torch.full((4, H, W), 0.7))
    return StartCloud(PointCloud.empty(), None, maps, surface_count=400)


def choice_of(clip: Clip, start: StartCloud, options: FitOptions, seed: int = 0, **changes):
    return choose_training(clip, start, options, generator=torch.Generator().manual_seed(seed), **changes)


def test_points_of_a_photo_that_is_left_out_are_gone(clip):
    """Two of three points lie on surfaces, one photo each; of those of SfM each needs two photos that see it."""
    points = PointCloud(torch.eye(3).double(), torch.ones(3, 3), torch.zeros(3).double())
    tracks = Tracks(
        torch.tensor([0, 1, 1, 2, 0, 1, 2]), torch.tensor([0, 0, 1, 1, 2, 2, 2]), torch.zeros(7, 2).double()
    )
    confidence = torch.zeros(3, H, W)
    confidence[1:, 0, 0] = 1
    maps = DepthMaps(torch.full((3, H, W), 2.0), confidence)
    cloud = StartCloud(points, tracks, maps, surface_count=10)
    photos, generator = clip[:3], torch.Generator().manual_seed(0)
    assert len(cloud.draw(photos, [0, 1, 2], generator)) == 3 + 2
    kept = cloud.draw(photos, [0, 2], generator)
    assert torch.equal(kept.xyz[0], points.xyz[2]), "the only one that two of the others see"
    assert len(kept) == 1 + 1, "and the surface of the third photo"
    assert len(replace(cloud, maps=None).draw(photos, [0], generator)) == 0


def test_the_left_out_photo_decides_nothing_but_its_own_score(clip, start, monkeypatch):
    """Of two clips with another photo b, all scenes differ but those that are trained without it."""
    scenes = []

    def keep(scene, photo):
        scenes.append((photo.names[0], scene))
        return 0.0

    monkeypatch.setattr(choose, "measure_psnr", keep)
    options = FitOptions(iterations=100, cap=800)
    poisoned = clip.images.clone()
    poisoned[1] = 1 - poisoned[1]
    for photos in (clip, replace(clip, images=poisoned)):
        assert choice_of(photos, start, options).left_out == ("a", "b", "c", "d")
    before, after = scenes[:4], scenes[4:]
    same = {a[0]: torch.equal(a[1].sh, b[1].sh) for a, b in zip(before, after, strict=True)}
    assert same == {"a": False, "b": True, "c": False, "d": False}


def test_what_lies_around_a_photo_on_its_canvas_does_not_count(clip, start, monkeypatch):
    """One scene scores the same whatever the padding of the left-out photo shows."""
    blob = Gaussians(
        torch.zeros(1, 3),
        torch.tensor([[1.0, 0, 0, 0]]),
        torch.zeros(1, 3),
        torch.ones(1),
        torch.ones(1, 1, 3),
    )
    monkeypatch.setattr(choose, "fit_gaussians", lambda *_, **__: SimpleNamespace(gaussians=blob))
    sure = torch.ones(4, H, W)
    sure[:, :, 32:] = 0
    images = clip.images.clone()
    images[:, :, 32:] = 1 - images[:, :, 32:]
    options = FitOptions(iterations=100, cap=800)
    before, after = (
        choice_of(replace(clip, images=shown, confidence=sure), start, options).psnr
        for shown in (clip.images, images)
    )
    assert torch.equal(before, after)
    whole = choice_of(replace(clip, images=images), start, options).psnr
    assert not torch.isclose(before, whole).any(), "where the padding counts, the scores are others"


def test_longer_ones_are_tried_until_one_is_worse(clip, start, monkeypatch):
    """By scores that are given: the climb stops at the first fall, and dropout is tried at the best length."""
    scores = {100: 20.0, 200: 22.0, 400: 21.0, 800: 30.0}
    tried = []

    def fake(self, kind):
        tried.append((kind.iterations, kind.dropout))
        mean = scores[kind.iterations] + (0.5 if kind.dropout == 0 else 0)
        self.kinds.append(kind)
        self.columns.append([mean] * len(self.left_out))
        return mean

    monkeypatch.setattr(choose._Trial, "compare", fake)
    found = choice_of(clip, start, FitOptions(iterations=800, dropout=0.3))
    assert tried == [(100, 0.3), (200, 0.3), (400, 0.3), (200, 0.0)]
    assert (found.options.iterations, found.options.dropout) == (200, 0.0)
    assert "200 without dropout: 22.50" in found.reason
    tried.clear()
    scores[400] = 23.0
    assert choice_of(clip, start, FitOptions(iterations=800)).options.iterations == 800
    assert tried == [(100, 0.0), (200, 0.0), (400, 0.0), (800, 0.0)], (
        "without dropout there is nothing to try"
    )


def test_where_the_longest_compared_is_best_all_steps_are_taken(clip, start, monkeypatch):
    def fake(self, kind):
        self.kinds.append(kind)
        self.columns.append([kind.iterations + kind.dropout] * len(self.left_out))
        return self.columns[-1][0]

    monkeypatch.setattr(choose._Trial, "compare", fake)
    found = choice_of(clip, start, FitOptions(iterations=30_000, dropout=0.3))
    assert found.compared[-2].iterations == found.compared[-1].iterations == 3750
    assert (found.options.iterations, found.options.dropout) == (30_000, 0.3)


def test_what_learns_the_photos_is_taken_and_the_same_each_time(clip, start):
    found = choice_of(clip, start, FitOptions(iterations=200, cap=800, dropout=0.3), most_left_out=2)
    again = choice_of(clip, start, FitOptions(iterations=200, cap=800, dropout=0.3), most_left_out=2)
    assert torch.equal(found.psnr, again.psnr)
    assert found.left_out == ("a", "d")
    means = found.psnr.mean(0)
    assert found.options == found.compared[int(means.argmax())]
    assert means.max() > 15


def test_lengths_double_up_to_the_longest():
    assert list_lengths(800) == [100, 200, 400, 800]
    assert list_lengths(60) == [60]
    assert list_lengths(3000) == [187, 375, 750, 1500, 3000]
    assert list_lengths(30_000) == [117, 234, 468, 937, 1875, 3750], "the last stands for longer ones"


def test_two_photos_are_too_few(clip, start):
    with pytest.raises(ReconstructionError, match="at least 3 photos"):
        choice_of(clip[:2], start, FitOptions(iterations=100))


def test_the_estimate_of_choosing_counts_every_step_that_it_may_take(clip, start, monkeypatch):
    """Of four photos at lengths of 100, 200 and 400, and the longest once more."""
    asked = []
    monkeypatch.setattr(choose, "estimate_seconds", lambda *given: asked.append(given) or 7.0)
    options = FitOptions(iterations=400, dropout=0.3, cap=100_000)
    assert estimate_choice(clip, start, options, max_side=24) == 7.0
    pictures, points, counted = asked[0]
    assert (pictures.width, len(points)) == (24, 100)
    assert (counted.iterations, counted.cap, counted.dropout) == (4 * (100 + 200 + 400 + 400), 25_000, 0.3)
