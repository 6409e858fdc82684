"""Training of moving scenes on a place whose movement is known."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from recon.cameras import Cameras
from recon.errors import ReconstructionError, SceneFileError
from recon.gaussians import from_points
from recon.points import PointCloud
from recon.scenefiles import find_format, read_scene, write_scene
from recon.scenefiles.formats.motion_tensors import load_sequence, save_sequence
from recon.sequence import GaussianSequence, Motion
from recon.splats.fitting.options import FitOptions
from recon.splats.moving.fit import fit_sequence
from recon.splats.moving.options import SequenceOptions
from recon.splats.moving.penalties import Neighbours
from recon.splats.moving.start import find_points
from recon.splats.render import draw_views
from worldgen.scenes.moving_place import Film, MovingPlace

W, H, TIMES = 96, 72, 4
OPTIONS = SequenceOptions(static=FitOptions(iterations=150, cap=6000), iterations=80, moving_cap=2000)


@pytest.fixture(scope="module")
def film() -> Film:
    place = MovingPlace(1)
    rig = place.rig(4, width=W, height=H, spread_deg=24.0)
    times = torch.arange(TIMES, dtype=torch.float64) / 12
    return place.film(Cameras.concatenate([rig] * TIMES), times.repeat_interleave(4))


def a_sequence(m: int = 5) -> GaussianSequence:
    g = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.rand(*shape, generator=g)  # noqa: E731
    motion = Motion(draw(m), draw(m).log(), draw(m, 3, 3), draw(m, 4))
    static, moving = from_points(draw(7, 3), draw(7, 3), sh_degree=1), from_points(draw(m, 3), draw(m, 3))
    return GaussianSequence(static, moving, motion, torch.tensor([0.0, 0.1, 0.4], dtype=torch.float64))


def test_points_of_what_moves_go_where_their_surface_goes(film: Film) -> None:
    generator = torch.Generator().manual_seed(0)
    still, timed = find_points(film.clip, film.moving, count=3000, generator=generator)
    assert len(still) > 500
    assert len(timed) > 200
    times = timed.time_s.unique()
    now = timed.time_s == times[0]
    moved = timed.cloud.xyz[now] + timed.velocity[now] * (times[1] - times[0])
    later = timed.cloud.xyz[timed.time_s == times[1]]
    staying = torch.cdist(timed.cloud.xyz[now], later).min(1).values
    going = torch.cdist(moved, later).min(1).values
    assert timed.velocity[now].norm(dim=1).median() > 0.1
    assert going.median() < 0.7 * staying.median()


def test_a_moving_scene_shows_what_moves_better_than_one_that_stands_still(film: Film) -> None:
    generator = torch.Generator().manual_seed(0)
    still, timed = find_points(film.clip, film.moving, count=6000, generator=generator)
    fitted = fit_sequence(film.clip, film.moving, still, timed, options=OPTIONS, generator=generator)
    cameras, times = film.clip.require_cameras(), film.clip.times_s
    assert times is not None
    errors = {}
    for name, scene in (("moving", fitted.sequence), ("still", None)):
        drawn = [
            draw_views(
                fitted.sequence.static if scene is None else scene.at(float(t)), cameras[i : i + 1]
            ).images[0]
            for i, t in enumerate(times)
        ]
        errors[name] = ((torch.stack(drawn) - film.clip.images) ** 2)[film.moving].mean()
    assert errors["moving"] < 0.3 * errors["still"]
    again = torch.Generator().manual_seed(0)
    still, timed = find_points(film.clip, film.moving, count=6000, generator=again)
    same = fit_sequence(film.clip, film.moving, still, timed, options=OPTIONS, generator=again)
    assert torch.equal(same.sequence.motion.coefficients, fitted.sequence.motion.coefficients)


def test_pictures_of_cameras_that_are_not_synchronous_have_times_between_the_frames(film: Film) -> None:
    times = film.clip.times_s
    assert times is not None
    own = times + torch.tensor([0.0, 0.01, 0.02, 0.03]).repeat(TIMES)
    short = replace(OPTIONS, static=FitOptions(iterations=5, cap=6000), iterations=2)
    generator = torch.Generator().manual_seed(0)
    still, timed = find_points(film.clip, film.moving, count=1000, generator=generator)
    fitted = fit_sequence(
        replace(film.clip, times_s=own), film.moving, still, timed,
        times_s=times, options=short, generator=generator,
    )  # fmt: skip
    assert fitted.sequence.times_s.tolist() == times.double().unique().tolist()
    # it lasts a time between frames, not between pictures
    assert fitted.sequence.motion.log_duration_s.exp().median() == pytest.approx(1 / 12, rel=0.1)


def test_pictures_without_times_or_with_other_masks_are_refused(film: Film) -> None:
    none, generator = PointCloud.empty(), torch.Generator()
    _, timed = find_points(film.clip[:1], film.moving[:1], count=10, generator=generator)
    assert len(timed) == 0
    for clip, moving, said in (
        (replace(film.clip, times_s=None), film.moving, "got none with times"),
        (film.clip[:4], film.moving[:4], "got one time"),
        (film.clip, film.moving[:, :5], "expected a mask for each of 16 pictures of 96x72"),
    ):
        with pytest.raises(ReconstructionError, match=said):
            fit_sequence(clip, moving, none, timed, options=OPTIONS, generator=generator)


def test_a_stored_moving_scene_is_the_same_to_the_bit(tmp_path: Path) -> None:
    sequence, file = a_sequence(), tmp_path / "scene.safetensors"
    save_sequence(sequence, file)
    found = load_sequence(file)
    for part in ("static", "moving", "motion"):
        for name, value in vars(getattr(sequence, part)).items():
            assert torch.equal(getattr(getattr(found, part), name), value)
    assert find_format(file).name == "motion"
    read = read_scene(file)
    assert read.moving is not None
    assert torch.allclose(read.moving.at(0.4).means, sequence.at(0.4).means)
    with pytest.raises(SceneFileError, match="reconstruct --moving writes it"):
        write_scene(sequence.static, tmp_path / "other.safetensors")


def test_other_tensors_are_no_moving_scene(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    file = tmp_path / "scene.safetensors"
    save_sequence(a_sequence(), file)
    right = load_file(file)
    for name, value, said in (
        ("motion.spin", None, "lacks motion.spin"),
        ("motion.spin", torch.zeros(4, 4), "one length"),
        ("moving.means", torch.zeros(5, 2), "shape"),
        ("moving.means", torch.zeros(5, 3).double(), "float32"),
        ("static.sh", torch.zeros(7, 3, 3), "coefficients of colour"),
        ("moving.means", torch.full((5, 3), torch.inf), "finite"),
        ("times_s", torch.tensor([0.0, float("nan")]), "times in seconds"),
        ("times_s", torch.tensor([0.0, 0.0]), "times that rise"),
        ("times_s", torch.arange(20_000.0), "1 to 10000 times"),
    ):
        wrong = {n: v for n, v in right.items() if n != name} | ({} if value is None else {name: value})
        save_file(wrong, file, {"format": "bridge4d/motion/1"})
        with pytest.raises(SceneFileError, match=said):
            load_sequence(file)
    save_file(right, file)
    with pytest.raises(SceneFileError, match="it says None"):
        load_sequence(file)
    file.write_bytes(b"no tensors")
    with pytest.raises(SceneFileError, match="safetensors"):
        load_sequence(file)


def test_neighbours_that_go_together_cost_nothing_but_their_speed() -> None:
    means, times = torch.rand(20, 3, generator=torch.Generator().manual_seed(0)), torch.zeros(20)
    near = Neighbours(means, times, extent=2.0, span_s=4.0)
    together = Motion(times, times, torch.ones(20, 2, 3), torch.zeros(20, 4))
    penalty = near.penalise(together, torch.arange(20))
    assert penalty.rigidity == 0
    assert penalty.speed == pytest.approx(3 * 4.0 / 2.0)  # |(1, 1, 1)| summed, in extents per span
    apart = replace(together, coefficients=torch.arange(120.0).reshape(20, 2, 3))
    assert near.penalise(apart, torch.arange(20)).rigidity > 0
    assert near.penalise(apart, torch.tensor([3])).rigidity == 0  # none of its neighbours is there
