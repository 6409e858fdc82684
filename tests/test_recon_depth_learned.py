"""Depth that a network fills in: known truth, scale, repetition, what it states, and weights of strangers."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from recon.cameras import backproject
from recon.clip import Clip
from recon.depth import multiview_depth
from recon.depth.complete import complete_from_guess
from recon.depth.learned import load_depth_weights
from recon.depth.learned.inputs import CHANNELS, PLANES
from recon.depth.learned.net import DepthAnswer, DepthNet, DepthNetOptions
from recon.depth.learned.weights import FORMAT, DepthWeights, save_depth_weights
from recon.depth.multiview import check_method
from recon.errors import BridgeError, ReconstructionError
from recon.points import PointCloud
from recon.sim3 import Sim3
from worldgen.models.synthetic import SyntheticRoom

TINY = DepthNetOptions(widths=(8, 8), blocks=(1, 1))


@pytest.fixture(scope="module")
def capture() -> tuple[Clip, torch.Tensor, PointCloud]:
    """Three views of the room, their exact depth and a sparse cloud on its surfaces."""
    room = SyntheticRoom()
    cameras = room.cameras(9, width=160, height=112)[[2, 4, 6]]
    images, depth = room.render(cameras)
    xyz = backproject(depth.double(), cameras).reshape(-1, 3)[::173]
    cloud = PointCloud(xyz, torch.zeros(len(xyz), 3), torch.zeros(len(xyz), dtype=torch.float64))
    return Clip(images, cameras), depth, cloud


def test_filled_in_depth_of_a_room_is_closer_than_the_filter_s(capture) -> None:
    clip, depth, cloud = capture
    plain, learned = (multiview_depth(clip, points=cloud, method=how) for how in ("search", "learned"))
    errors = [((maps.depth - depth).abs() / depth) for maps in (plain, learned)]
    assert errors[1].median() < 0.02
    filled = learned.confidence < 0.5
    assert torch.equal(filled, plain.confidence < 0.5)
    assert errors[1][filled].clamp(max=1).mean() < errors[0][filled].clamp(max=1).mean()
    assert torch.equal(plain.depth[~filled], learned.depth[~filled])


def test_another_unit_and_frame_of_the_world_give_the_same_depth_in_that_unit(capture) -> None:
    clip, _, cloud = capture
    turn = torch.tensor([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]], dtype=torch.float64)
    world = Sim3(
        torch.tensor(40.0, dtype=torch.float64), turn, torch.tensor([3.0, -2, 9], dtype=torch.float64)
    )
    moved = replace(clip, cameras=world.cameras(clip.require_cameras()))
    there = multiview_depth(moved, points=replace(cloud, xyz=world.points(cloud.xyz)), method="learned")
    here = multiview_depth(clip, points=cloud, method="learned")
    assert (there.depth / (40 * here.depth) - 1).abs().quantile(0.99) < 1e-3
    assert (there.confidence - here.confidence).abs().quantile(0.99) < 0.01


def test_the_same_photos_give_the_same_depth(capture) -> None:
    clip, _, cloud = capture
    pair = [multiview_depth(clip[:2], points=cloud, method="learned") for _ in range(2)]
    assert torch.equal(pair[0].depth, pair[1].depth)
    assert torch.equal(pair[0].confidence, pair[1].confidence)
    assert (pair[0].depth > 0).all()


def test_a_method_or_planes_that_there_are_not_are_refused(capture) -> None:
    with pytest.raises(ReconstructionError, match="method search or learned, got 'guess'"):
        check_method("guess")
    with pytest.raises(ReconstructionError, match=r"expected 96 planes.*got 32"):
        multiview_depth(capture[0], method="learned", planes=32)


def test_the_network_begins_as_semi_global_matching() -> None:
    net = DepthNet(TINY)
    channels = torch.zeros(1, CHANNELS, 10, 13)
    channels[:, CHANNELS - PLANES - 18 + 30] = 1.0  # no cost at plane 30 alone, full cost elsewhere
    answer = net(channels)
    assert answer.logits.shape == (1, PLANES, 10, 13)
    assert (answer.median() * (PLANES - 1) - 30).abs().max() < 0.6


def test_the_chance_of_an_answer_is_the_share_of_probability_within_2_percent() -> None:
    logits = torch.full((1, PLANES, 1, 1), -20.0)
    logits[:, [40, 80]] = torch.tensor([0.75, 0.25]).log()[None, :, None, None]
    answer = DepthAnswer(logits, torch.zeros(1, 1, 1))
    at_40 = torch.full((1, 1, 1), 40 / 95)
    # two thirds of plane 40 lie below the median
    assert answer.median()[0, 0, 0] * 95 == pytest.approx(40 - 0.5 + 2 / 3, abs=0.01)
    # planes of 1/95 from inverse depth 10 to 11: 2% are nineteen planes, and the other surface is forty away
    assert answer.chance_within(at_40, 10.0, 11.0, 0.02)[0, 0, 0] == pytest.approx(0.75, abs=1e-3)
    # from 0.1 to 10: 2% of 4.27 are 0.8 of a plane, which holds 1 - 0.2² of the hat
    assert answer.chance_within(at_40, 0.1, 10.0, 0.02)[0, 0, 0] == pytest.approx(0.75 * 0.965, abs=0.01)
    beyond = torch.full((1, PLANES, 1, 1), -20.0)
    beyond[:, 0] = 0.0
    assert DepthAnswer(beyond, at_40).chance_within(0 * at_40, 1.0, 2.0, 0.02)[0, 0, 0] < 1e-3


def test_a_guess_fills_in_where_photos_do_not_agree() -> None:
    truth = np.full((40, 60), 0.5, np.float32)
    agreeing = np.zeros(truth.shape, np.int64)
    agreeing[:, :30] = 2
    dense, confidence = complete_from_guess(truth, agreeing, truth * 1.1, np.full_like(truth, 0.8))
    assert dense[:, :30] == pytest.approx(0.5)
    assert dense[:, 31:] == pytest.approx(0.55)
    assert (confidence[:, :29] == 1).all()
    assert confidence[:, 31:] == pytest.approx(0.24)


def test_weights_come_back_as_they_were(tmp_path: Path) -> None:
    weights = DepthWeights(DepthNet(TINY).eval(), 1.3, {"seed": 3})
    save_depth_weights(weights, tmp_path / "w.safetensors")
    back = load_depth_weights(tmp_path / "w.safetensors")
    assert (back.temperature, back.story) == (1.3, {"seed": 3})
    given = torch.rand(1, CHANNELS, 8, 8)
    assert torch.allclose(back.net(given).logits, weights.net(given).logits, atol=0.05)


def test_shipped_weights_are_small_and_tell_their_story() -> None:
    from recon.depth.learned.weights import shipped_weights

    assert shipped_weights().stat().st_size < 20 << 20
    assert load_depth_weights().story["license"] == "Apache-2.0"


def spoilt_file(path: Path, about: object, **instead: torch.Tensor | None) -> Path:
    """Weights of the tiny network; tensors are replaced, or left out, as `instead` says."""
    from safetensors.torch import save_file

    state = DepthNet(TINY).state_dict() | instead
    kept = {name: x.contiguous() for name, x in state.items() if x is not None}
    save_file(kept, path, metadata={"about": json.dumps(about)})
    return path


def test_weights_of_strangers_are_refused_in_one_sentence(tmp_path: Path, capture) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "w.safetensors"
    with pytest.raises(BridgeError, match="no such file"):
        multiview_depth(capture[0], method="learned", weights=path)
    path.write_bytes(b"x" * 40)
    with pytest.raises(BridgeError, match="expected a safetensors file"):
        load_depth_weights(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(BridgeError, match="expected weights of format"):
        load_depth_weights(path)
    about = {"format": FORMAT, "net": asdict(TINY), "temperature": 1.0, "story": {}}
    assert load_depth_weights(spoilt_file(path, about)).temperature == 1
    for said, instead in (
        (about, {"free.weight": torch.zeros(2, 2)}),
        (about, {"free.weight": None}),
        (about | {"net": None}, {}),
        (about | {"net": {"widths": [8, 8], "blocks": [1]}}, {}),
        # these would take hours or all memory to build
        (about | {"net": {"widths": [2**20, 8], "blocks": [1, 1]}}, {}),
        (about | {"net": {"widths": [8, 8], "blocks": [2**31, 1]}}, {}),
        (about | {"net": {"widths": [4096, 4096], "blocks": [64, 64]}}, {}),
        (about | {"temperature": 0}, {}),
        (about | {"temperature": "1e999"}, {}),
        ({key: value for key, value in about.items() if key != "story"}, {}),
    ):
        with pytest.raises(BridgeError, match=r"w\.safetensors .* fetch or train it again") as caught:
            load_depth_weights(spoilt_file(path, said, **instead))
        assert "\n" not in str(caught.value)
