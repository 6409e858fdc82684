"""Agreement of halves of a picture, on scenes whose halves agree, disagree by a known angle, or cannot be asked."""

import itertools

import torch

from eval.geometry.measured import Measured
from eval.geometry.regions import SGC, region_agreement
from recon.cameras import Cameras, intrinsics, project
from recon.sfm.matches import Matches

WIDTH, HEIGHT, FRAMES = 320, 240, 9


def turn(axis: int, degrees: float) -> torch.Tensor:
    vector = torch.zeros(3, dtype=torch.float64)
    vector[axis] = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
    x, y, z = vector.tolist()
    return torch.matrix_exp(torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64))


def path(*, turn_deg: float = 0.0, aside_deg: float = 0.0, step: float = 0.15) -> Cameras:
    """Sideways and forward. Every frame turns by `turn_deg` more about y; the path is bent by `aside_deg`."""
    poses = torch.eye(4, dtype=torch.float64).repeat(FRAMES, 1, 1)
    for i in range(FRAMES):
        R = turn(1, 1.0 * i + turn_deg * i)
        center = turn(1, aside_deg) @ torch.tensor([step * i, 0.05 * step * i, 0.2 * step * i]).double()
        poses[i, :3, :3], poses[i, :3, 3] = R, -R @ center
    return Cameras(poses, intrinsics(focal_px=250.0, width=WIDTH, height=HEIGHT, n=FRAMES), WIDTH, HEIGHT)


def scene(
    left: Cameras, right: Cameras, *, points: int = 500, noise_px: float = 0.2, wrong: float = 0.1
) -> Matches:
    """Points seen by `left` where they start in the left half of the first frame, by `right` elsewhere."""
    generator = torch.Generator().manual_seed(1)
    uv = torch.rand(points, 2, generator=generator).double() * torch.tensor([WIDTH, HEIGHT])
    depth = 3 + 4 * torch.rand(points, 1, generator=generator).double()
    rays = torch.nn.functional.pad(uv, (0, 1), value=1.0) @ torch.linalg.inv(left.K[0]).mT
    world = rays * depth
    seen_left, seen_right = project(world, left)[0], project(world, right)[0]
    seen = torch.where(uv[:, :1] < WIDTH / 2, seen_left, seen_right)
    seen = seen + noise_px * torch.randn(seen.shape, generator=generator).double()
    stray = torch.rand(seen.shape[:2], generator=generator) < wrong
    seen[stray] += 40 * torch.randn(int(stray.sum()), 2, generator=generator).double()
    pairs = tuple((a, b) for a in range(FRAMES) for b in range(a + 1, FRAMES) if b - a in (1, 2))
    return Matches(
        WIDTH, HEIGHT, tuple(seen), pairs, (torch.arange(points)[:, None].repeat(1, 2),) * len(pairs)
    )


def agreement(matches: Matches, **options: str) -> dict[str, Measured]:
    K = path().K[0]
    return region_agreement(matches, K, generator=torch.Generator().manual_seed(0), **options)


def values(matches: Matches) -> tuple[float, float]:
    found = agreement(matches)
    rotation, translation = found["sgc_rotation_deg"].value, found["sgc_translation_deg"].value
    assert rotation is not None
    assert translation is not None
    return rotation, translation


def test_a_rigid_scene_agrees() -> None:
    exact = values(scene(path(), path(), noise_px=0.0, wrong=0.0))
    assert max(exact) < 0.01
    rotation, translation = values(scene(path(), path()))
    assert rotation < 0.5
    assert translation < 6.0


def test_rotation_rises_with_what_the_halves_are_turned_by() -> None:
    found = [values(scene(path(), path(turn_deg=d), noise_px=0.05))[0] for d in (0.0, 0.5, 1.0, 2.0, 4.0)]
    assert all(a < b for a, b in itertools.pairwise(found))
    # left and right are 4° and 8° apart (pairs of 1 and 2 frames), top and bottom, which both hold both, near 0
    assert 2.0 < found[-1] < 8.0


def test_translation_rises_with_the_angle_between_the_halves_paths() -> None:
    found = [values(scene(path(), path(aside_deg=d), noise_px=0.05))[1] for d in (0.0, 5.0, 10.0, 20.0, 40.0)]
    assert all(a < b for a, b in itertools.pairwise(found))
    # as above: top against bottom takes away half of it
    assert 10.0 < found[-1] < 40.0


def test_halves_of_one_motion_disagree_where_the_lens_is_not_the_one_given() -> None:
    matches = scene(path(), path(), noise_px=0.0, wrong=0.0)
    found = region_agreement(
        matches,
        intrinsics(focal_px=500.0, width=WIDTH, height=HEIGHT)[0],
        generator=torch.Generator().manual_seed(0),
    )
    value = found["sgc_rotation_deg"].value
    assert value is not None
    assert value > 0.1


def test_without_parallax_the_direction_is_undefined_and_the_rotation_is_not() -> None:
    found = agreement(scene(path(step=0.005), path(step=0.005), noise_px=0.05))
    assert found["sgc_translation_deg"].value is None
    assert found["sgc_translation_deg"].undefined_because == "too little parallax"
    rotation = found["sgc_rotation_deg"].value
    assert rotation is not None
    assert rotation < 0.5


def test_undefined_where_it_cannot_be_asked() -> None:
    matches = scene(path(), path())
    few = scene(path(), path(), points=30)
    none = Matches(WIDTH, HEIGHT, (torch.zeros(0, 2, dtype=torch.float64),) * 3, (), ())
    for found, because in (
        (agreement(matches, undefined_because="static"), "static"),
        (region_agreement(matches, None, generator=torch.Generator()), "no intrinsics"),
        (agreement(few), "too few matches in half a picture"),
        (agreement(none), "too few matches in half a picture"),
        (agreement(all_at_one_place(matches)), "too few matches in half a picture"),
    ):
        assert set(found) == set(SGC)
        assert {(m.value, m.undefined_because) for m in found.values()} == {(None, because)}


def all_at_one_place(matches: Matches) -> Matches:
    """Degenerate: as many matches as before, all between one point and itself."""
    still = torch.tensor([[50.0, 60.0], [270.0, 180.0]], dtype=torch.float64).repeat(250, 1)
    return Matches(WIDTH, HEIGHT, (still,) * FRAMES, matches.pairs, matches.indices)


def test_same_seed_same_result_and_the_generator_moves_on_alike() -> None:
    matches = scene(path(), path(turn_deg=1.0), noise_px=0.5, wrong=0.3)
    assert agreement(matches) == agreement(matches)
    used, unused = (torch.Generator().manual_seed(3) for _ in range(2))
    region_agreement(matches, path().K[0], generator=used)
    region_agreement(matches, None, generator=unused)
    assert torch.equal(used.get_state(), unused.get_state())
