"""Recipes on a room whose cameras are known: what they find, what they keep, and that none sees another's work."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pycolmap
import pytest
import torch

from eval.poses import mean_turn, rotation_angle_deg
from recon.cameras import Cameras
from recon.clip import Clip
from recon.colmap.mappers import is_credible
from recon.errors import MissingDependencyError, ReconstructionError, RecoveryStatus
from recon.recovery import Recovery
from recon.sfm.features import learned
from recon.sfm.features.describe import describe, match_pairs
from recon.sfm.pairs import all_pairs, sequential_pairs
from recon.sfm.recipes import AFFINE, FRAMES, Recipe
from recon.sfm.recoverer import Recoverer
from worldgen.models.synthetic import SyntheticRoom

N = 9
GLOBAL = Recipe(mapper="global", calibrate=True)
FIXED = Recipe(intrinsics="fixed", mapper="global", pairing="sequential")


@pytest.fixture(scope="module")
def cameras() -> Cameras:
    return SyntheticRoom().cameras(24, width=256, height=160)[7 : 7 + N]


@pytest.fixture(scope="module")
def clip(cameras: Cameras) -> Clip:
    return Clip(SyntheticRoom().render(cameras)[0])


@pytest.fixture(scope="module")
def shared(clip: Clip, cameras: Cameras, tmp_path_factory: pytest.TempPathFactory) -> Recoverer:
    """One that many tests ask, as a measurement does with many rules."""
    return Recoverer(clip, tmp_path_factory.mktemp("recipes"), K=cameras.K)


def worst_turn_deg(found: Recovery, truth: Cameras) -> float:
    assert found.cameras is not None
    truth = truth[found.registered]
    turned = mean_turn(found.cameras, truth) @ found.cameras.world_from_cam[:, :3, :3]
    return rotation_angle_deg(turned, truth.world_from_cam[:, :3, :3]).max().item()


def same(a: Recovery, b: Recovery) -> bool:
    """Bit for bit."""
    if a.cameras is None or b.cameras is None:
        return a.cameras is b.cameras and a.status is b.status
    return (
        a.status is b.status
        and a.model_sizes == b.model_sizes
        and a.lenses == b.lenses
        and torch.equal(a.registered, b.registered)
        and torch.equal(a.cameras.cam_from_world, b.cameras.cam_from_world)
        and torch.equal(a.cameras.K, b.cameras.K)
        and torch.equal(a.points.xyz, b.points.xyz)
        and torch.equal(a.inliers, b.inliers)
    )


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(),
        Recipe(calibrate=True),
        GLOBAL,
        Recipe(mapper="either"),
        Recipe(intrinsics="free"),
        Recipe(intrinsics="free", mapper="global", calibrate=True),
        Recipe(intrinsics="fixed"),
        FIXED,
        Recipe(pairing="sequential", seed=3),
    ],
    ids=lambda r: f"{r.mapper}-{r.intrinsics}-{r.pairing}{'-calibrated' * r.calibrate}",
)
def test_a_room_is_recovered(recipe: Recipe, shared: Recoverer, cameras: Cameras) -> None:
    found = shared.recover(recipe)
    assert found.status is RecoveryStatus.OK
    assert found.registered.all()
    assert (found.num_models, found.model_sizes) == (1, (N,))
    assert worst_turn_deg(found, cameras) < 0.5
    assert found.cameras is not None
    assert ((found.cameras.K[:, 0, 0] / cameras.K[:, 0, 0]).log().abs() < 0.08).all()
    lenses = len(set(found.lenses))
    assert lenses == (N if recipe.intrinsics == "free" else 1)
    assert len(found.points) > 300
    assert found.track_length is not None
    assert 2 < found.track_length <= N
    assert found.reprojection_error_px.max() < 1
    assert shared.recover(recipe) is found  # which costs nothing a second time


def test_centres_are_those_of_the_room(shared: Recoverer, cameras: Cameras) -> None:
    found = shared.recover(GLOBAL).cameras
    assert found is not None
    distances, expected = torch.pdist(found.centers), torch.pdist(cameras.centers)
    torch.testing.assert_close(distances / distances.max(), expected / expected.max(), atol=0.02, rtol=0)


def test_recipes_do_not_see_what_was_done_before_them(clip: Clip, cameras: Cameras, tmp_path: Path) -> None:
    """Databases are shared and copied; calibrating one must not reach the others, in any order."""
    free = Recipe(intrinsics="free", mapper="global", calibrate=True)
    recipes = [Recipe(), GLOBAL, Recipe(mapper="global"), FIXED, free]
    few, K = clip[2:6].resize(width=192, height=120), cameras[2:6].resize(width=192, height=120).K

    def recoverer(name: str) -> Recoverer:
        return Recoverer(few, tmp_path / name, K=K)

    alone = {recipe: recoverer(f"alone{i}").recover(recipe) for i, recipe in enumerate(recipes)}
    assert all(found.registered.all() for found in alone.values())
    assert not same(alone[Recipe()], alone[GLOBAL])
    for name, order in (("forth", recipes), ("back", recipes[::-1])):
        together = recoverer(name)
        for recipe in order:
            assert same(together.recover(recipe), alone[recipe])


def test_what_recipes_share_is_computed_once(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recon.sfm import recoverer

    calls = []

    def counted(module: object, name: str) -> None:
        original = getattr(module, name)

        def call(*args: object, **named: object) -> object:
            calls.append(name)
            return original(*args, **named)

        monkeypatch.setattr(module, name, call)

    counted(recoverer, "match_photos")
    counted(recoverer, "verify_matches")
    together = Recoverer(clip[::3], tmp_path)
    for recipe in (Recipe(), GLOBAL, Recipe(calibrate=True)):
        together.recover(recipe)
    assert calls == ["match_photos", "verify_matches"]
    together.recover(Recipe(seed=1))  # verification draws samples
    assert calls == ["match_photos", "verify_matches", "verify_matches"]
    assert set(together.seconds) == {"matching", "verification", "mapping"}


def test_seeds_differ_only_in_what_is_drawn(shared: Recoverer, cameras: Cameras) -> None:
    a, b = shared.recover(Recipe()), shared.recover(Recipe(seed=5))
    assert not same(a, b)
    assert worst_turn_deg(b, cameras) < 0.5


def test_fixed_intrinsics_are_kept_to_the_last_bit(clip: Clip, cameras: Cameras, tmp_path: Path) -> None:
    """Recovers squeezed pictures, each with a lens of its own that is a little off."""
    squeezed, truth = clip.resize(width=208, height=160), cameras.resize(width=208, height=160)
    K = truth.K.clone()
    K[:, 0, 0] *= torch.linspace(0.999, 1.001, N, dtype=torch.float64)
    for mapper in ("incremental", "global"):
        found = Recoverer(squeezed, tmp_path / mapper, K=K).recover(Recipe(intrinsics="fixed", mapper=mapper))
        assert found.cameras is not None
        assert torch.equal(found.cameras.K, K[found.registered])
        assert found.registered.all()
        assert worst_turn_deg(found, truth) < 0.5


def test_fixed_intrinsics_that_nobody_knows_are_refused(clip: Clip, tmp_path: Path) -> None:
    with pytest.raises(ReconstructionError, match="comes without; give cameras"):
        Recoverer(clip, tmp_path).recover(FIXED)


MAPPERS = ("incremental", "global", "either")


def nothing_found(found: Recovery, status: RecoveryStatus, n: int) -> bool:
    return (
        found.status is status
        and found.cameras is None
        and found.num_models == 0
        and found.model_sizes == ()
        and found.registered.tolist() == [False] * n
        and bool(found.reprojection_error_px.isnan().all())
        and len(found.points) == 0
    )


@pytest.mark.parametrize("mapper", MAPPERS)
def test_hopeless_clips_end_in_a_status(mapper: str, tmp_path: Path, generator: torch.Generator) -> None:
    noise = torch.rand(4, 48, 64, 3, generator=generator).repeat_interleave(2, 1).repeat_interleave(2, 2)
    one_feature_rich = torch.zeros(4, 96, 128, 3)
    one_feature_rich[2] = noise[0]
    recipe = replace(Recipe(), mapper=mapper)
    for name, images, status in (
        ("black", torch.zeros(4, 96, 128, 3), RecoveryStatus.TOO_FEW_FEATURES),
        ("one picture among black ones", one_feature_rich, RecoveryStatus.TOO_FEW_FEATURES),
        ("noise", noise, RecoveryStatus.NO_MATCHES),
        ("one frame", noise[:1], RecoveryStatus.TOO_FEW_IMAGES),
    ):
        found = Recoverer(Clip(images), tmp_path / name).recover(recipe)
        assert nothing_found(found, status, len(images)), name


@pytest.mark.parametrize("mapper", MAPPERS)
def test_frames_that_are_all_the_same_have_no_path(mapper: str, clip: Clip, tmp_path: Path) -> None:
    frozen = Clip(clip.images[:1].repeat(5, 1, 1, 1))
    found = Recoverer(frozen, tmp_path).recover(replace(Recipe(), mapper=mapper))
    assert nothing_found(found, RecoveryStatus.NO_INITIAL_PAIR, 5)


def test_two_frames_are_no_path(clip: Clip, tmp_path: Path) -> None:
    for mapper in ("incremental", "global"):
        found = Recoverer(clip[[0, 3]], tmp_path / mapper).recover(replace(Recipe(), mapper=mapper))
        assert nothing_found(found, RecoveryStatus.NO_INITIAL_PAIR, 2)


@pytest.mark.parametrize("mapper", MAPPERS)
def test_frames_of_something_else_are_left_out(
    mapper: str, clip: Clip, cameras: Cameras, tmp_path: Path, generator: torch.Generator
) -> None:
    """The second and the last of eight are noise: two in eight are too many for 'either' to stop at one mapper."""
    images = clip.images[:8].clone()
    images[[1, 7]] = torch.rand(2, 160, 256, 3, generator=generator)
    found = Recoverer(Clip(images), tmp_path).recover(replace(Recipe(), mapper=mapper))
    assert found.status is RecoveryStatus.PARTIAL
    assert found.registered.tolist() == [True, False, True, True, True, True, True, False]
    assert found.cameras is not None
    assert len(found.cameras) == len(found.lenses) == 6
    assert found.model_sizes == (6,)
    assert found.reprojection_error_px.isnan().tolist() == (~found.registered).tolist()
    assert found.inliers[[1, 7]].tolist() == [0, 0]
    assert worst_turn_deg(found, cameras[:8]) < 0.6


def test_either_takes_the_larger_result(
    shared: Recoverer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from recon.sfm import mapping

    whole = shared.recover(Recipe())
    part = replace(whole, registered=torch.arange(N) < 7, status=RecoveryStatus.PARTIAL)
    none = mapping.empty_recovery(shared.clip, RecoveryStatus.NO_INITIAL_PAIR)
    for results, expected, tried in (
        ({"global": whole, "incremental": part}, whole, ["global"]),
        ({"global": part, "incremental": whole}, whole, ["global", "incremental"]),
        ({"global": part, "incremental": none}, part, ["global", "incremental"]),
        ({"global": none, "incremental": none}, none, ["global", "incremental"]),
    ):
        asked: list[str] = []

        def mapped(*_: object, mapper: str, **__: object) -> Recovery:
            asked.append(mapper)  # noqa: B023
            return results[mapper]  # noqa: B023

        monkeypatch.setattr(mapping, "map_database", mapped)
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        found = Recoverer(shared.clip[::3], folder).recover(Recipe(mapper="either"))
        assert found is expected
        assert asked == tried


def lens(focal_px: float, *, cx: float = 128.0, k: float = 0.0) -> pycolmap.Camera:
    return pycolmap.Camera(model="SIMPLE_RADIAL", params=[focal_px, cx, 80.0, k], width=256, height=160)


@pytest.mark.parametrize(
    ("camera", "points", "credible"),
    [
        (lens(200), 100, True),
        (lens(200), 0, False),
        (lens(27), 100, True),
        (lens(24), 100, False),  # less than a tenth of the long side
        (lens(2500), 100, True),
        (lens(2700), 100, False),  # more than ten long sides
        (lens(-200), 100, False),
        (lens(200, k=0.9), 100, True),
        (lens(200, k=1.1), 100, False),
        (lens(200, k=-1.1), 100, False),
        (lens(200, cx=300), 100, False),  # principal point outside of the picture
    ],
)
def test_lenses_that_could_not_exist_are_refused(
    camera: pycolmap.Camera, points: int, credible: bool
) -> None:
    model = SimpleNamespace(
        cameras={1: lens(200), 2: camera}, num_points3D=lambda: points, num_reg_images=lambda: 3
    )
    assert is_credible(model, FRAMES.mapping) is credible


def tiny(n: int) -> Clip:
    """Frames of smooth noise that moves by a pixel a frame."""
    g = torch.Generator().manual_seed(2)
    wide = torch.nn.functional.avg_pool2d(torch.rand(3, 50, 66 + n, generator=g)[None], 3, 1)[0]
    frames = [wide[:, :, i : i + 64].permute(1, 2, 0) for i in range(n)]
    return Clip(((torch.stack(frames) - 0.5) * 2 + 0.5).clamp(0, 1).contiguous())


def test_some_pairs_of_all_are_the_same_as_those_pairs_alone(tmp_path: Path) -> None:
    clip = tiny(14)
    together, alone = Recoverer(clip, tmp_path / "a"), Recoverer(clip, tmp_path / "b")
    every = together.matches()
    assert every.pairs == tuple(all_pairs(14))
    some = together.matches(Recipe(pairing="sequential"))
    direct = match_pairs(describe(clip, "opencv", max_features=2048), "opencv", sequential_pairs(14))
    assert len(some.pairs) < len(every.pairs)
    for found in (some, alone.matches(Recipe(pairing="sequential"))):
        assert found.pairs == direct.pairs
        assert all(torch.equal(x, y) for x, y in zip(found.indices, direct.indices, strict=True))
        assert all(torch.equal(x, y) for x, y in zip(found.keypoints, direct.keypoints, strict=True))
    assert sum(map(len, some.indices)) > 100
    later = alone.matches(Recipe(pairing="exhaustive"))  # the other way round
    assert all(torch.equal(x, y) for x, y in zip(later.indices, every.indices, strict=True))


def test_verified_neighbours_are_taken_out_of_all_pairs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each pair is verified on its own, so the database holds what verifying the neighbours alone would give."""
    from recon.sfm import recoverer

    verified, verify = [], recoverer.verify_matches
    monkeypatch.setattr(recoverer, "verify_matches", lambda *a, **k: verified.append(a[0]) or verify(*a, **k))
    together, alone = Recoverer(tiny(14), tmp_path / "a"), Recoverer(tiny(14), tmp_path / "b")
    every, some, direct = (
        one._database(Recipe(pairing=pairing))
        for one, pairing in ((together, "exhaustive"), (together, "sequential"), (alone, "sequential"))
    )
    assert verified == [every, direct]
    inliers = {}
    for path in (every, some, direct):
        with pycolmap.Database.open(path) as db:
            ids, pairs = db.read_two_view_geometries()
            inliers[path] = {pair: one.inlier_matches.tolist() for pair, one in zip(ids, pairs, strict=True)}
    assert inliers[some] == inliers[direct]
    assert len(inliers[some]) == len(sequential_pairs(14)) < len(inliers[every])


def test_frames_of_long_videos_have_half_the_features(tmp_path: Path) -> None:
    for n, most in ((40, 60), (41, 30)):
        found = Recoverer(tiny(n), tmp_path / str(n), max_features=60).matches()
        assert max(map(len, found.keypoints)) == most
    photos = Recoverer(tiny(41), tmp_path / "photos", max_features=60, ordered=False).matches()
    assert max(map(len, photos.keypoints)) == 60


@pytest.mark.parametrize(("n", "pairs"), [(40, all_pairs(40)), (41, sequential_pairs(41))])
def test_long_clips_are_matched_along_time(n: int, pairs: list[tuple[int, int]], tmp_path: Path) -> None:
    blank = Clip(torch.zeros(n, 16, 16, 3))
    assert Recoverer(blank, tmp_path).matches().pairs == tuple(pairs)


def test_a_camera_that_comes_back_is_matched_with_its_beginning(tmp_path: Path) -> None:
    """Forward over 30 frames and back again: frame i shows what frame 60 − i shows."""
    there = tiny(31).images
    back = Clip(torch.cat([there, there.flip(0)[1:]]))
    assert len(back) == 61
    matches = Recoverer(back, tmp_path).matches()
    added = set(matches.pairs) - set(sequential_pairs(61))
    same = {(a, 60 - a) for a in range(30)} - set(sequential_pairs(61))
    assert len(same & added) >= 0.8 * len(same) >= 15
    assert len(added) <= 2 * 61
    found = dict(matches.by_pair())
    assert min(len(found[pair]) for pair in added) >= 6
    assert Recoverer(back, tmp_path / "along").matches(Recipe(pairing="sequential")).pairs == tuple(
        sequential_pairs(61)
    )


def test_features_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recoverer = Recoverer(tiny(2), tmp_path)
    monkeypatch.setattr(learned, "available", lambda kind: f"{kind} needs a package; install it")
    with pytest.raises(MissingDependencyError, match="aliked needs a package"):
        recoverer.recover(Recipe(features="aliked"))


def test_affine_features_of_black_frames(tmp_path: Path) -> None:
    black = Clip(torch.zeros(3, 64, 96, 3))
    found = Recoverer(black, tmp_path).recover(Recipe(guided=True))
    assert nothing_found(found, RecoveryStatus.TOO_FEW_FEATURES, 3)


def test_affine_features_recover_a_room_and_are_computed_once(
    clip: Clip, cameras: Cameras, tmp_path: Path
) -> None:
    """Guided matching takes what lies within 4 px of an epipolar line, which makes the places rougher by far: of
    four small frames they do not tell the focal length, and with the true one the bound is wider."""
    few, truth = (x[2:6].resize(width=192, height=120) for x in (clip, cameras))
    assert isinstance(few, Clip)
    assert isinstance(truth, Cameras)
    together = Recoverer(few, tmp_path / "a", K=truth.K)
    found = together.recover(AFFINE)
    assert found.registered.all()
    fixed = together.recover(replace(AFFINE, intrinsics="fixed"))
    assert fixed.registered.all()
    assert worst_turn_deg(fixed, truth) < 3
    described = tmp_path / "a" / "affine" / "features.db"
    before = described.read_bytes()
    trial = together.recover(replace(AFFINE, seed=1))  # as CamCo repeats it
    assert trial.registered.all()
    assert described.read_bytes() == before  # other seeds start from the same features
    again = Recoverer(few, tmp_path / "b", K=truth.K).recover(replace(AFFINE, seed=1))
    assert same(again, trial)
