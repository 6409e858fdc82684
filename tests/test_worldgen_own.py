"""Models of a user: found by file, module and entry point or handed over, made, and refused in one sentence."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import test_docs
import torch

from bridge4d.augmenting.options import AugmentOptions
from bridge4d.cli import main, parse
from bridge4d.command_line.exit_status import BAD_INPUT
from bridge4d.command_line.model_arguments import describe_options
from bridge4d.generating.generate import generate
from bridge4d.generating.options import GenerateOptions
from bridge4d.runs.fingerprints import options_to_json
from recon.cameras import Cameras, intrinsics, nearest_camera
from recon.clip import Clip
from recon.errors import BridgeError
from recon.scene import Scene
from worldgen import registry
from worldgen.model import ChoosesCameras, ModelSpec, RecoversPoses, Request, Views
from worldgen.models.synthetic import SyntheticRoom
from worldgen.models.warp import Warp
from worldgen.rollout import rollout

HEAD = """
import torch
from dataclasses import dataclass
from pathlib import Path
from recon.clip import Clip
from worldgen.model import ModelSpec, Request, Views
SPEC = ModelSpec(name="grey", conditions_on=("cameras",))
"""
GREY = HEAD + """
class Grey:
    spec = SPEC
    level = 0.5
    def generate(self, request, *, generator):
        t = request.targets
        return Views(Clip(torch.full((len(t), t.height, t.width, 3), self.level), t))
"""  # fmt: skip


def small() -> Request:
    pose = torch.eye(4, dtype=torch.float64).repeat(5, 1, 1)
    pose[:, 0, 3] = torch.tensor([0.0, 1.0, 2.0, 0.9, 2.2])
    cameras = Cameras(pose, intrinsics(focal_px=20, width=24, height=16, n=5), 24, 16)
    images = torch.rand(3, 16, 24, 3, generator=torch.Generator().manual_seed(1))
    return Request(Clip(images, cameras[:3]), cameras[3:])


def answer(name: str, request: Request | None = None) -> Views:
    generator = torch.Generator().manual_seed(0)
    return rollout(registry.load_model(name), request or small(), generator=generator)


def write(file: Path, text: str) -> str:
    file.write_text(text)
    return str(file)


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory; what is imported from it is forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def test_the_model_of_the_docs_runs_and_is_described(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert mine / "nearest.py" in test_docs.write_files(mine)
    request = small()
    views = answer("nearest.py:Nearest", request)
    photos = request.context.require_cameras()
    picks = [nearest_camera(photos, request.targets[i]) for i in range(2)]
    assert torch.equal(views.clip.images, request.context.images[picks])
    options = parse(
        "generate", ["photos", "--out", "run", "--model", "nearest.py:Nearest", "--model.sure", "0.9"]
    ).generating  # type: ignore[union-attr]
    assert options.model_options == {"sure": 0.9}
    made = options.load_model().generate(request, generator=torch.Generator())
    assert float(made.clip.confidence.min()) == pytest.approx(0.9)
    assert describe_options("nearest.py:Nearest") == [
        {"option": "--model.sure", "default": "0.5", "meaning": "Confidence of every pixel."}
    ]
    assert registry.describe("nearest.py:Nearest")["license"] == "MIT"
    with pytest.raises(BridgeError, match=r"'nearest.py:Nearest' has no option 'sur'; did you mean sure\?"):
        registry.check_model("nearest.py:Nearest", {"sur": 1.0})


def test_a_module_a_function_and_an_object_are_models_too(mine: Path) -> None:
    text = (
        GREY
        + "MADE = Grey()\nMADE.level = 0.25\ndef make():\n    return MADE\nclass Box:\n    inner = Grey\n"
    )
    write(mine / "greys.py", text)
    for name, level in (
        ("greys:Grey", 0.5),
        ("greys:MADE", 0.25),
        ("greys:make", 0.25),
        ("greys:Box.inner", 0.5),
    ):
        assert float(answer(name).clip.images.mean()) == pytest.approx(level), name


def test_a_changed_file_is_read_again_and_changes_what_a_run_is_made_of(mine: Path) -> None:
    write(mine / "level.py", "LEVEL = 0.25\n")
    text = GREY.replace("level = 0.5", "level = LEVEL").replace(
        "import torch", "import torch\nfrom level import LEVEL"
    )
    for name, place in (("grey_a:Grey", "grey_a.py"), (f"{mine}/grey_b.py:Grey", "grey_b.py")):
        write(mine / "level.py", "LEVEL = 0.25\n")
        file = Path(write(mine / place, text)).resolve()
        options = AugmentOptions(model=name)
        assert set(options.model_files) == {file, (mine / "level.py").resolve()}
        assert options.model_key == {"model": name.rpartition("/")[2]}, "a run may move with its model"
        assert float(answer(name).clip.images.mean()) == 0.25
        write(mine / "level.py", "LEVEL = 0.125\n")
        assert float(answer(name).clip.images.mean()) == 0.125
    write(mine / "keyed.py", GREY.replace("level = 0.5", "level, key = 0.5, 'weights 3'"))
    assert AugmentOptions(model="keyed.py:Grey").model_key["model_key"] == "weights 3"


def test_files_that_options_name_belong_to_the_run(mine: Path) -> None:
    text = GREY.replace(
        "class Grey:",
        "@dataclass\nclass Config:\n    weights: Path = Path('w.pt')\n    n: int = 1\nclass Grey:\n    def __init__(self, config: Config): pass",
    )
    write(mine / "heavy.py", text)
    with pytest.raises(BridgeError, match=r"expected a file for an option of .*'w.pt'"):
        registry.check_model("heavy.py:Grey")
    write(mine / "w.pt", "")
    assert Path("w.pt") in AugmentOptions(model="heavy.py:Grey").model_files


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        (GREY, "gray.py:Grey", "expected a file of Python at gray.py"),
        (GREY, "m.py", "expected the name of a model behind the file, as in m.py:MyModel"),
        (GREY, "m.py:Gray", "there is no 'Gray' in m.py; did you mean Grey?"),
        (GREY, "nowhere.models:Grey", "there is no module 'nowhere' for the world model nowhere.models:Grey"),
        (GREY, "wrap", "or a model of your own as file.py:Name, got 'wrap'; did you mean warp?"),
        ("import surely_not_there\n", "m.py:Grey", "m.py cannot be imported: ModuleNotFoundError: No module named 'surely_not_there'"),
        ("def (\n", "m.py:Grey", "m.py cannot be imported: SyntaxError"),
        ("X = 3\n", "m.py:X", "expected a world model behind m.py:X, an object or class with spec and generate, got a int"),
        ("class X:\n    pass\n", "m.py:X", "m.py:X lacks generate; expected generate(request, *, generator)"),
        ("class X:\n    def generate(self, request, *, generator): ...\n", "m.py:X", "m.py:X lacks spec; expected a ModelSpec of worldgen.model, got nothing"),
        ("class X:\n    spec = {}\n    def generate(self, request, *, generator): ...\n", "m.py:X", "got a dict"),
        (HEAD + "class X:\n    spec = SPEC\n    def generate(self, request): ...\n", "m.py:X", "takes (request), expected (request, *, generator)"),
        (GREY.replace("level = 0.5", "def __init__(self, size): ..."), "m.py:Grey", "m.py:Grey cannot be made: TypeError"),
        (GREY.replace("level = 0.5", "def __init__(self): raise OSError('no weights here')"), "m.py:Grey", "cannot be made: OSError: no weights here (m.py, line 11)"),
        (GREY.replace("level = 0.5", "@dataclass\n    class Config:\n        n: int = 1"), "m.py:Grey", "has a Config, and nothing takes it"),
        (GREY.replace("level = 0.5", "def __init__(self, config: Config): ...").replace("class Grey", "@dataclass\nclass Config:\n    big_n: int\nclass Grey"), "m.py:Grey", "'m.py:Grey' needs --model.big-n"),
    ],
)  # fmt: skip
def test_what_is_no_model_is_refused_in_one_sentence(mine: Path, text: str, name: str, said: str) -> None:
    write(mine / "m.py", text)
    for refuse in (registry.check_model, registry.load_model):
        with pytest.raises(BridgeError) as raised:
            refuse(name)
        assert said in str(raised.value)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return torch.zeros(2, 16, 24, 3)", "expected Views from generate of the world model m.py:Grey, got Tensor"),
        ("return Views(Clip(torch.zeros(1, 16, 24, 3), t[:1]))", "expected 2 frames from grey, got 1"),
        ("return Views(Clip(torch.zeros(2, 16, 16, 3)))", "expected pictures of 24x16 from grey, got 16x16"),
        ("return Views(Clip(torch.full((2, 16, 24, 3), float('nan'))))", "expected colours from 0 to 1 from grey, got nan"),
        ("return Views(Clip(torch.full((2, 16, 24, 3), 255.0)))", "expected colours from 0 to 1 from grey, got 255 to 255"),
        ("return Views(Clip(torch.zeros(2, 16, 24, 3), confidence=torch.full((2, 16, 24), 2.0)))", "expected confidence from 0 to 1"),
        ("return Views(Clip(torch.zeros(2, 16, 24, 3)), torch.zeros(2, 8, 12))", "expected depth of the shape [2, 16, 24]"),
        ("return 1 / 0", "m.py:Grey failed in generate: ZeroDivisionError: division by zero (m.py, line "),
    ],
)  # fmt: skip
def test_a_wrong_answer_is_refused_in_one_sentence(mine: Path, body: str, said: str) -> None:
    start = GREY.index("        return Views")
    write(mine / "m.py", GREY[:start] + f"        {body}\n")
    with pytest.raises(BridgeError) as raised:
        answer("m.py:Grey")
    assert said in str(raised.value)


def test_entry_points_of_installed_packages_are_models(
    mine: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(mine / "greys.py", GREY)
    about = mine / "greys-1.2.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: greys\nVersion: 1.2\n")
    (about / "entry_points.txt").write_text("[bridge4d.models]\nplain-grey = greys:Grey\n")
    monkeypatch.syspath_prepend(str(mine))
    assert float(answer("plain-grey").clip.images.mean()) == 0.5
    monkeypatch.setattr(sys, "argv", ["bridge4d", "models"])
    with pytest.raises(SystemExit):
        main()
    assert "plain-grey     greys:Grey of the installed package greys 1.2" in capsys.readouterr().out
    with pytest.raises(BridgeError, match="did you mean plain-grey"):
        registry.check_model("plain-gray")


@dataclass
class Tinted:
    """Grey of one level."""

    level: float = 0.5
    spec = ModelSpec(name="tinted", conditions_on=("cameras",))

    def generate(self, request: Request, *, generator: torch.Generator) -> Views:
        t: Cameras = request.targets
        return Views(Clip(torch.full((len(t), t.height, t.width, 3), self.level), t))


def test_an_object_is_a_model_and_a_changed_one_another_run(room_photos: Path, tmp_path: Path) -> None:
    options = GenerateOptions(model=Tinted(0.25), max_side=96, frames=2, path="still")
    done = generate(room_photos, tmp_path / "run", options)
    first = (done.frames / "00000.png").read_bytes()
    made = json.loads((done.run / "generate.json").read_text())["world_model"]
    assert (made["name"], made["description"]) == ("test_worldgen_own:Tinted", "Grey of one level.")
    again = generate(room_photos, tmp_path / "run", replace(options, model=Tinted(0.75)))
    assert (again.frames / "00000.png").read_bytes() != first


def test_what_an_object_is_made_of() -> None:
    known = AugmentOptions(model=Tinted(0.25))
    assert known.model_key == {"model": "test_worldgen_own:Tinted", "model_key": {"level": 0.25}}
    assert Path(__file__) in known.model_files
    assert known == replace(known, rounds=known.rounds)
    assert options_to_json(known)["model"] == "test_worldgen_own:Tinted"
    assert AugmentOptions(model=Warp()).model_key["model_key"]["options"]["photos"] == 5
    keyed = Tinted()
    keyed.key = ["weights", 3]  # type: ignore[attr-defined]
    assert AugmentOptions(model=keyed).model_key["model_key"] == ["weights", 3]
    namespace: dict = {}
    exec("class Typed: ...", {"__name__": "notebook"}, namespace)
    with pytest.raises(BridgeError, match="give it an attribute key, such as key = 'version 1'"):
        AugmentOptions(model=namespace["Typed"]())
    with pytest.raises(BridgeError, match="expected a world model behind test_worldgen_own:Keyed"):
        AugmentOptions(model=Keyed()).load_model()


class Keyed:
    key = 1


def test_the_command_refuses_a_wrong_model_before_the_long_work(
    mine: Path, room_photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(mine / "m.py", "class X: ...\n")
    monkeypatch.setattr(
        sys, "argv", ["bridge4d", "augment", str(room_photos), "--out", "run", "--model", "m.py:X"]
    )
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == BAD_INPUT
    assert "lacks generate" in capsys.readouterr().err
    assert not (mine / "run").exists()


def test_an_own_model_may_choose_its_cameras(tmp_path: Path) -> None:
    """It is asked from these; what it raises, or returns instead of cameras, is told in one sentence."""
    photos = SyntheticRoom().cameras(3, width=32, height=24)
    for does, said in (
        ("return context.cameras[:2]", ""),
        ("return 3", "got int"),
        ("1 / 0", "failed in choose_targets"),
    ):
        (tmp_path / "chooser.py").write_text(
            "from worldgen.model import ModelSpec\n\n\nclass Chooser:\n"
            '    spec = ModelSpec(name="chooser", conditions_on=())\n\n'
            "    def generate(self, request, *, generator): ...\n\n"
            f"    def choose_targets(self, context, scene, *, count, part=1):\n        {does}\n"
        )
        model = registry.load_model(f"{tmp_path / 'chooser.py'}:Chooser")
        assert isinstance(model, ChoosesCameras)
        assert not isinstance(model, RecoversPoses)
        context = Clip(torch.zeros(3, 24, 32, 3), photos)
        if not said:
            assert len(model.choose_targets(context, Scene(), count=2)) == 2
            continue
        with pytest.raises(BridgeError, match=said):
            model.choose_targets(context, Scene(), count=None)
