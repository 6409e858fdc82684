import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bridge4d.augmenting.loop import augment
from bridge4d.augmenting.options import AugmentOptions
from recon.cameras import Cameras, intrinsics
from recon.clip import Clip
from recon.errors import BridgeError, MissingDependencyError
from recon.gaussians import from_points
from worldgen import registry
from worldgen.model import FrameRule, ModelSpec, Request, SizeRule, Views, WorldModel
from worldgen.models.bridge import model as bridge_model
from worldgen.rollout import rollout


def cameras(n: int, width: int = 16, height: int = 12) -> Cameras:
    pose = torch.eye(4, dtype=torch.float64).repeat(n, 1, 1)
    pose[:, 0, 3] = torch.arange(n)
    return Cameras(pose, intrinsics(focal_px=20, width=width, height=height, n=n), width, height)


class Recorder:
    """Paints each target's x position, and remembers what it was asked."""

    def __init__(self, **spec) -> None:
        self.spec = ModelSpec(name="recorder", gives_confidence=True, **spec)
        self.calls: list[Request] = []

    def generate(self, request: Request, *, generator: torch.Generator) -> Views:
        self.calls.append(request)
        t = request.targets
        x = t.cam_from_world[:, 0, 3].float()[:, None, None]
        images = (x / 10)[..., None].expand(-1, t.height, t.width, 3)
        return Views(Clip(images, t, confidence=torch.ones(len(t), t.height, t.width)))


def test_every_entry_can_be_described_and_loaded() -> None:
    scene = from_points(torch.arange(30.0).reshape(10, 3), torch.zeros(10, 3))
    for model in registry.available_models():
        assert set(model) == {"name", "description", "needs", "missing", "license", "note"}
        if registry.MODELS[model["name"]].argument:
            with pytest.raises(BridgeError, match="needs more behind a colon"):
                registry.load_model(model["name"])
            continue
        loaded = registry.load_model(model["name"], gaussians=scene)
        assert isinstance(loaded, WorldModel)
        assert loaded.spec.name == model["name"]


def test_unknown_name_lists_the_known_and_suggests() -> None:
    with pytest.raises(BridgeError, match=r"splat, synthetic, .*warp.*did you mean warp"):
        registry.load_model("wrap")


def test_names_are_checked_without_a_model_or_torch() -> None:
    code = (
        "import sys\n"
        "from worldgen.registry import MODELS, available_models, check_model\n"
        "for model in available_models():\n"
        "    if not MODELS[model['name']].argument:\n"
        "        check_model(model['name'], has_scene=True)\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert "worldgen.registry" in loaded
    assert not loaded & {"torch", "numpy", "recon.scenefiles", *(e.module for e in registry.MODELS.values())}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("wrap", "did you mean warp"),
        ("bridge:room.ply", "'bridge' takes no scene file, got 'room.ply'"),
        ("splat", "'splat' cannot run without a splat scene"),
        ("splat:", "'splat' cannot run without a splat scene"),
    ],
)
def test_a_name_is_refused_alike_whether_checked_or_loaded(name: str, said: str) -> None:
    for refuse in (registry.check_model, registry.load_model):
        with pytest.raises(BridgeError, match=said):
            refuse(name)


def test_a_run_that_cannot_begin_loads_no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[object] = []
    load_weights = bridge_model.load_weights
    monkeypatch.setattr(
        bridge_model, "load_weights", lambda path=None: loads.append(path) or load_weights(path)
    )
    registry.load_model("bridge")
    assert len(loads) == 1, "this is how they are counted"
    with pytest.raises(BridgeError, match="nowhere"):
        augment(tmp_path / "nowhere", tmp_path / "run", AugmentOptions(model="bridge"))
    assert len(loads) == 1


def test_missing_package_gives_the_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = registry.ModelEntry(
        "nowhere", "Nothing", "", packages=("surely_not_installed",), extra="diffusion"
    )
    monkeypatch.setitem(registry.MODELS, "big", entry)
    assert registry.describe("big")["missing"] == "pip install 'bridge4d[diffusion]'"
    with pytest.raises(MissingDependencyError, match=r"pip install 'bridge4d\[diffusion\]'"):
        registry.load_model("big")
    with pytest.raises(MissingDependencyError, match=r"pip install 'bridge4d\[diffusion\]'"):
        registry.check_model("big")


def test_splat_without_a_scene_is_refused() -> None:
    with pytest.raises(BridgeError, match=r"cannot run without a splat scene.*splat:scene\.ply"):
        registry.load_model("splat")


def test_rollout_cuts_keeps_order_and_carries_context(generator: torch.Generator) -> None:
    model = Recorder(
        conditions_on=("images", "cameras"), frame_rule=FrameRule(max_frames=3), size=SizeRule(fixed=(8, 6))
    )
    context = Clip(torch.zeros(2, 12, 16, 3), cameras(2), names=("a", "b"))
    targets = cameras(7)
    clip = rollout(model, Request(context, targets), generator=generator, overlap=2).clip
    assert [len(call.targets) for call in model.calls] == [3, 3, 1]
    assert [len(call.context) for call in model.calls] == [2, 4, 4]
    assert model.calls[1].context.images[2:, 0, 0, 0].tolist() == pytest.approx([0.1, 0.2])
    assert (model.calls[0].targets.width, clip.width) == (8, 16)
    assert clip.cameras is targets
    assert clip.images[:, 0, 0, 0].tolist() == pytest.approx([i / 10 for i in range(7)], abs=1e-6)
    assert clip.confidence is not None
    assert clip.confidence.shape == (7, 12, 16)


def test_rollout_refuses_what_cannot_work(generator: torch.Generator) -> None:
    nothing = Clip(torch.zeros(0, 4, 4, 3))
    with pytest.raises(BridgeError, match="at least 1 context"):
        rollout(
            Recorder(conditions_on=("images",), min_context=1),
            Request(nothing, cameras(2)),
            generator=generator,
        )
    with pytest.raises(BridgeError, match="at least one target"):
        rollout(Recorder(conditions_on=()), Request(nothing, cameras(0)), generator=generator)


def test_options_of_a_model_reach_it_and_others_are_refused() -> None:
    assert registry.load_model("warp", {"photos": 3}).options.photos == 3
    with pytest.raises(BridgeError, match=r"'warp' has no option 'photo'; did you mean photos\?"):
        registry.load_model("warp", {"photo": 3})
    with pytest.raises(BridgeError, match="'synthetic' has no option 'photos'; it has none"):
        registry.load_model("synthetic", {"photos": 3})
