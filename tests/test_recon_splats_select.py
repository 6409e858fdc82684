"""Parts of a scene are what was asked for, and the counts add up."""

import pytest
import torch

from benchmarks.odd_scenes import odd_scene
from recon.cameras import Cameras, intrinsics, look_at
from recon.errors import BridgeError
from recon.gaussians import Gaussians, concatenate
from recon.splats.render import render
from recon.splats.select import Selection, contributions, find_floaters, select


def cloud(
    count: int, size: float, sigma: float, generator: torch.Generator, opacity: float = 3.0
) -> Gaussians:
    """Gaussians spread over a cube."""
    quats = torch.zeros(count, 4)
    quats[:, 0] = 1
    return Gaussians(
        size * (torch.rand(count, 3, generator=generator) - 0.5),
        quats,
        torch.full((count, 3), sigma).log(),
        torch.full((count,), opacity),
        torch.rand(count, 1, 3, generator=generator),
    )


def test_nothing_is_left_out_unless_asked() -> None:
    scene = odd_scene(50)
    part, rows, counts = select(scene, Selection())
    assert part is scene
    assert rows.all()
    assert counts == {}


def test_a_box_and_a_sphere_keep_what_is_inside() -> None:
    scene = odd_scene(500)
    part, rows, counts = select(scene, Selection(box=(-1, -1, 0, 4, 1, 5), sphere=(0, 0, 2, 3)))
    x, y, z = scene.means.T
    inside = (x >= -1) & (x <= 4) & (y >= -1) & (y <= 1) & (z >= 0) & (z <= 5)
    near = (scene.means - torch.tensor([0.0, 0, 2])).norm(dim=1) <= 3
    assert torch.equal(rows, inside & near)
    assert 0 < len(part) == int(rows.sum())
    assert counts == {
        "outside the box": int((~inside).sum()),
        "outside the sphere": int((inside & ~near).sum()),
    }


def test_faint_gaussians_and_high_bands_go_when_asked() -> None:
    scene = odd_scene(200)
    part, _, counts = select(scene, Selection(min_opacity=0.5, sh_degree=1))
    assert part.opacity_logits.min() >= 0
    assert counts["too faint"] == int((scene.opacity_logits < 0).sum())
    assert part.sh.shape[1:] == (4, 3)


def test_floaters_are_those_that_stand_alone(generator: torch.Generator) -> None:
    wall = cloud(3000, 2.0, 0.02, generator)
    floaters = cloud(40, 12.0, 0.02, generator)
    floaters = floaters[floaters.means.abs().max(1).values > 2]
    large_and_far = Gaussians(
        torch.tensor([[4.0, 0, 0]]), torch.eye(4)[:1], torch.zeros(1, 3), torch.ones(1), torch.zeros(1, 1, 3)
    )
    scene = concatenate([wall, floaters, large_and_far])
    found = find_floaters(scene)
    assert found[: len(wall)].float().mean() < 0.01
    assert found[len(wall) : -1].float().mean() > 0.9
    assert not found[-1]  # its neighbours lie within four of its standard deviations
    _, rows, counts = select(
        scene, Selection(drop_floaters=True), backdrop=torch.arange(len(scene)) >= len(wall)
    )
    assert rows[len(wall) :].all()
    assert counts["floaters"] == int((~rows).sum())


def test_the_gaussians_that_add_most_stay(generator: torch.Generator) -> None:
    scene = cloud(300, 2.0, 0.05, generator)
    hidden = cloud(300, 1.0, 0.2, generator)  # large, but behind the camera
    hidden.means[:, 2] -= 20
    both = concatenate([scene, hidden])
    eye = torch.tensor([[0.0, 0, -4]]).double()
    pose = look_at(eye, torch.zeros(1, 3).double(), torch.tensor([[0.0, -1, 0]]).double())
    camera = Cameras(pose, intrinsics(focal_px=60, width=64, height=64), 64, 64)
    weights = contributions(both, camera)
    assert weights[300:].abs().max() == 0
    assert float(weights.sum()) == pytest.approx(float(render(both, camera).alpha.sum()), rel=1e-4)
    _, by_size, _ = select(both, Selection(max_gaussians=300))
    _, by_sight, counts = select(both, Selection(max_gaussians=300), cameras=camera)
    assert by_size[300:].all()
    assert by_sight[:300].float().mean() > 0.95
    assert counts == {"beyond the number asked for": 300}


@pytest.mark.parametrize(
    "wrong",
    [
        {"box": (0, 0, 0, 1, -1, 1)},
        {"sphere": (0, 0, 0, 0)},
        {"min_opacity": 1.5},
        {"max_gaussians": 0},
        {"sh_degree": 4},
    ],
)
def test_impossible_selections_are_one_sentence(wrong: dict) -> None:
    with pytest.raises(BridgeError, match="expected --"):
        Selection(**wrong)
