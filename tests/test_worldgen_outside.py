"""Models that run elsewhere: what they are told, what is taken of their answer, and what is refused of it."""

import json
import struct
import subprocess
import sys
import time
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bridge4d.commands.models import Models
from bridge4d.stages.options import ModelChoice
from recon.camera_files.requested import read_path
from recon.cameras import Cameras, intrinsics, look_at
from recon.clip import Clip
from recon.depth import DepthMaps
from recon.errors import BridgeError
from recon.points import PointCloud
from recon.scene import Scene
from worldgen.model import FrameRule, ModelSpec, Request, SizeRule, Views
from worldgen.outside.options import OutsideOptions
from worldgen.outside.program import Program
from worldgen.outside.read_answer import read_answer
from worldgen.outside.server import Server
from worldgen.outside.unpack import unpack_answer
from worldgen.outside.write_request import write_request
from worldgen.registry import check_model, describe, load_model, model_files
from worldgen.rollout import rollout

THEIRS = '''
import os
import sys
from pathlib import Path
import numpy as np
import answer

def draw(pose, K, size):
    """The inside of a painted ball of radius 10 about the origin."""
    w, h = (int(side) for side in size)
    x, y = np.meshgrid(np.arange(w) + 0.5, np.arange(h) + 0.5)
    rays = np.stack([x, y, np.ones_like(x)], -1) @ np.linalg.inv(K).T @ pose[:3, :3]
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    eye = -pose[:3, :3].T @ pose[:3, 3]
    along = rays @ eye
    far = -along + np.sqrt(along ** 2 + 100 - eye @ eye)
    return np.round(255 * (0.5 + 0.5 * np.sin(1.5 * (eye + far[..., None] * rays)))).astype(np.uint8)

def make_frames(photos, cameras, said, request):
    for photo, pose, K, size in zip(photos, cameras["context_cam_from_world"], cameras["context_K"], cameras["context_size"]):
        off = np.abs(draw(pose, K, size).astype(float) - photo).mean()
        assert off < 1, f"the photo is not what its camera sees: {off}"
    asked = zip(cameras["target_cam_from_world"], cameras["target_K"])
    return {"frames": [draw(pose, K, cameras["target_size"]) for pose, K in asked]}

if __name__ == "__main__":
    with Path(__file__).with_name("calls").open("a") as calls:
        calls.write("one\\n")
    answer.make_frames = make_frames
    answer.answer(Path(sys.argv[1]), Path(sys.argv[2]))
'''  # fmt: skip


def draw(cameras: Cameras) -> torch.Tensor:
    names: dict = {}
    exec(THEIRS.split("def make_frames", maxsplit=1)[0].replace("import answer", ""), names)
    drawn = [
        names["draw"](pose.numpy(), K.numpy(), (cameras.width, cameras.height))
        for pose, K in zip(cameras.cam_from_world, cameras.K, strict=True)
    ]
    return torch.from_numpy(np.stack(drawn).astype(np.float32) / 255)


def walk(n: int, width: int = 48, height: int = 32) -> Cameras:
    share = torch.linspace(0, 1, n, dtype=torch.float64)
    eye = torch.stack([2 * share - 1, 0.3 * (4 * share).sin(), -share], 1)
    pose = look_at(
        eye,
        torch.tensor([[0.5, 0.1, 6.0]]).double().expand(n, 3),
        torch.tensor([[0, -1.0, 0]]).double().expand(n, 3),
    )
    K = intrinsics(focal_px=40, width=width, height=height, n=n)
    K[:, 0, 2] += 3
    return Cameras(pose, K, width, height)


def ask(n: int = 2) -> Request:
    cameras = walk(n + 3)
    photos = [0, n // 2, n + 2]
    rest = [i for i in range(n + 3) if i not in photos]
    xyz = torch.tensor([[0.5, 0.1, 6.0], [0.4, 0.0, 4.0]], dtype=torch.float64)
    known = Scene(points=PointCloud(xyz, torch.zeros(2, 3), torch.zeros(2)), metres_per_unit=0.5)
    return Request(Clip(draw(cameras[photos]), cameras[photos]), cameras[rest], prompt="a ball", scene=known)


def go(model: Program | Server, request: Request) -> Views:
    return rollout(model, request, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with answer.py, as bridge4d writes it, and a model that uses it."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in ("answer.py", "serve.py"):
        assert Models(example=name).run() == 0  # type: ignore[arg-type]
    (folder / "their.py").write_text(THEIRS)
    return folder


@pytest.fixture(scope="module")
def other_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with numpy and Pillow alone."""
    place = tmp_path_factory.mktemp("other") / "venv"
    venv.create(place, with_pip=False, symlinks=True)
    packages = next(place.glob("lib/python*/site-packages"))
    for package in ("numpy", "PIL"):
        spec = find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        there = Path(spec.origin).parent
        (packages / package).symlink_to(there)
        for libraries in there.parent.glob(f"{ {'PIL': 'pillow'}.get(package, package) }.libs"):
            (packages / libraries.name).symlink_to(libraries)
    return place / "bin" / "python"


def test_a_program_of_another_environment_draws_exactly_what_is_asked(
    theirs: Path, other_python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    command = f"{other_python} {theirs / 'their.py'} {{request}} {{answer}}"
    alone = subprocess.run([other_python, "-c", "import torch"], check=False, capture_output=True)
    assert alone.returncode, "the other environment has no torch, and so no bridge4d"
    request = ask(5)
    model = load_model(f"program:{command}", {"max_frames": 3}, folder=tmp_path / "asked")
    views = go(model, request)  # type: ignore[arg-type]
    assert len(views) == 5
    assert (views.clip.images - draw(request.targets)).abs().max() < 1e-6
    folders = sorted((tmp_path / "asked").iterdir())
    assert len(folders) == 2, "a call each"
    asked = min((f / "request" for f in folders), key=lambda f: len(list((f / "images").iterdir())))
    said = json.loads((asked / "request.json").read_text())
    assert (said["format"], said["version"], said["prompt"]) == ("bridge4d-request", 1, "a ball")
    assert (said["context"], said["targets"], said["width"], said["height"]) == (3, 3, 48, 32)
    assert said["metres_per_unit"] == 0.5
    assert 4 < said["median_depth"] < 8
    for name, cameras in (
        ("transforms.json", request.context.require_cameras()),
        ("targets.json", request.targets[:3]),
    ):
        found = read_path(asked / name, width=48, height=32).cameras
        torch.testing.assert_close(found.cam_from_world, cameras.cam_from_world, rtol=0, atol=1e-9)
        torch.testing.assert_close(found.K, cameras.K, rtol=0, atol=1e-9)
    go(model, request)  # type: ignore[arg-type]
    assert (theirs / "calls").read_text().count("one") == 2, "finished answers are read again"


def test_what_decides_an_answer_is_asked_anew(theirs: Path, tmp_path: Path) -> None:
    command, kept = f"{sys.executable} their.py {{request}} {{answer}}", tmp_path / "asked"

    def calls(options: OutsideOptions, request: Request) -> int:
        go(Program(command, options, folder=kept), request)
        return (theirs / "calls").read_text().count("one")

    request = ask()
    assert calls(OutsideOptions(), request) == calls(OutsideOptions(), request) == 1
    assert calls(OutsideOptions(key="weights 2"), request) == 2
    assert calls(OutsideOptions(), replace(request, prompt="another")) == 3
    assert model_files(f"program:{command}", {}) == [Path("their.py")]
    choice = ModelChoice(model=f"program:{command}")
    assert choice.model_files == (Path("their.py"),)
    assert choice.model_scenes == ()
    assert describe(choice.model)["license"] == ""
    assert describe(choice.model, {"license": "MIT"})["license"] == "MIT"
    for frame in kept.glob("*/answer/frames/00000.png"):
        frame.write_bytes(b"damaged")
    assert calls(OutsideOptions(), request) == 4
    with (theirs / "their.py").open("a") as file:
        file.write("# changed\n")
    assert calls(OutsideOptions(), request) == 5


def test_depth_and_warped_photos_come_along_where_they_are_asked_for(tmp_path: Path) -> None:
    request = ask()
    photos = request.context
    maps = DepthMaps(torch.full((3, 32, 48), 5.0), torch.ones(3, 32, 48))
    request = replace(request, context=photos[[2, 0, 1]], scene=replace(request.scene, depth=(photos, maps)))
    write_request(tmp_path / "r", request, seed=1, options=OutsideOptions(depth=True, warped=True))
    with np.load(tmp_path / "r" / "depth.npz") as stored:
        assert stored["index"].tolist() == [1, 2, 0]
        assert stored["depth"].shape == (3, 32, 48)
    mask = np.asarray(Image.open(tmp_path / "r" / "mask" / "00001.png"))
    warped = np.asarray(Image.open(tmp_path / "r" / "warped" / "00001.png"))
    assert set(np.unique(mask)) <= {0, 255}
    assert (mask == 0).any()
    assert (warped[mask == 255] == 128).all()
    write_request(tmp_path / "again", request, seed=1, options=OutsideOptions(depth=True, warped=True))
    for file in (path for path in (tmp_path / "r").rglob("*") if path.is_file()):
        assert file.read_bytes() == (tmp_path / "again" / file.relative_to(tmp_path / "r")).read_bytes(), file


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("sys.exit('no GPU here')", "failed: its process ended (exit code 1); its log"),
        ("print('half'); sys.exit(3)", "ends: half"),
        ("pass", "expected an answer.json in"),
        ("(out / 'error.json').write_text('{\"message\": \"out of memory\"}'); sys.exit(1)", "outside says: out of memory"),
        ("(out / 'error.json').write_text('{')", "error.json is not JSON"),
        ("done(version=2)", "expected format 'bridge4d-answer' and version 1"),
        ("done(format='x')", "expected format 'bridge4d-answer' and version 1"),
        ("done()", "00000.png is not there"),
        ("frames(1); done()", "00001.png is not there"),
        ("frames(2, (40, 32)); done()", "expected frames in the shape of 48x32 from outside, got 40x32"),
        ("frames(1); frames(2, (96, 64), 1); done()", "expected frames of one size from outside, got 48x32"),
        ("frames(2); (out / 'frames/00001.png').write_text('x'); done()", "cannot be decoded"),
        ("frames(2); np.savez(out / 'cameras.npz', target_K=np.eye(3)); done()", "expected target_cam_from_world of the shape [2, 4, 4]"),
        ("frames(2); np.savez(out / 'cameras.npz', target_cam_from_world=np.full((2,4,4), np.nan), target_K=np.ones((2,3,3))); done()", "cameras.npz of outside: camera 0 has NaN"),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_one_sentence(tmp_path: Path, lines: str, said: str) -> None:
    head = (
        "import sys, json\nfrom pathlib import Path\nimport numpy as np\nfrom PIL import Image\nout = Path(sys.argv[2])\n"
        "def frames(n, size=(48, 32), first=0):\n    (out / 'frames').mkdir(exist_ok=True)\n"
        "    for i in range(first, n): Image.new('RGB', size).save(out / 'frames' / f'{i:05d}.png')\n"
        "def done(format='bridge4d-answer', version=1, **more):\n"
        "    (out / 'answer.json').write_text(json.dumps({'format': format, 'version': version, 'unknown': 1}))\n"
    )
    (tmp_path / "bad.py").write_text(head + lines)
    program = Program(f"{sys.executable} {tmp_path / 'bad.py'} {{request}} {{answer}}", OutsideOptions())
    with pytest.raises(BridgeError) as raised:
        go(program, ask())
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_answer_beside_an_error_is_not_taken_the_next_time(tmp_path: Path) -> None:
    (tmp_path / "twice.py").write_text(
        "import sys, json\nfrom pathlib import Path\nfrom PIL import Image\nout = Path(sys.argv[2])\n"
        "(out / 'frames').mkdir()\n"
        "for i in range(2): Image.new('RGB', (48, 32)).save(out / 'frames' / f'{i:05d}.png')\n"
        "(out / 'answer.json').write_text(json.dumps({'format': 'bridge4d-answer', 'version': 1}))\n"
        "(out / 'error.json').write_text(json.dumps({'message': 'weights are corrupt'}))\n"
    )
    command = f"{sys.executable} {tmp_path / 'twice.py'} {{request}} {{answer}}"
    program = Program(command, OutsideOptions(), folder=tmp_path / "asked")
    for _ in range(2):
        with pytest.raises(BridgeError, match="weights are corrupt"):
            go(program, ask())


def test_a_program_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    (tmp_path / "hang.py").write_text(
        "import os, subprocess, sys, time\nfrom pathlib import Path\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"Path({str(tmp_path)!r}, 'pid').write_text(str(child.pid))\nprint('loading', flush=True)\ntime.sleep(600)\n"
    )
    command = f"{sys.executable} {tmp_path / 'hang.py'} {{request}} {{answer}}"
    with pytest.raises(
        BridgeError, match=r"took longer than 6 seconds and was ended.*its log .* ends: loading"
    ):
        go(Program(command, OutsideOptions(seconds=6.0), folder=tmp_path / "asked"), ask())
    pid = int((tmp_path / "pid").read_text())
    for _ in range(100):
        if not _runs(pid):
            return
        time.sleep(0.1)
    raise AssertionError("the child still runs")


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("program", {}, "needs more behind a colon, as in --model \"program:python answer.py {request} {answer}\""),
        ("program:python their.py", {}, "expected a command with {request} and {answer}"),
        ("program:python 'their {request} {answer}", {}, "No closing quotation"),
        ("program:surely-not-there {request} {answer}", {}, "expected a program at 'surely-not-there'"),
        ("program:python {request} {answer}", {"frames": "5"}, "expected --model.frames any or a rule such as 4k+1, got '5'"),
        ("program:python {request} {answer}", {"size": "big"}, "expected --model.size any or a size such as 1280x704, got 'big'"),
        ("program:python {request} {answer}", {"unit": "feet"}, "expected --model.unit metre, scene or free"),
        ("program:python {request} {answer}", {"seconds": 0.0}, "expected --model.seconds of at least 0.001"),
        ("program:python {request} {answer}", {"spec": Path("none.json")}, "expected a file for an option"),
        ("http://", {}, "expected a URL as --model http://host:port/"),
        ("http://localhost:99999/", {}, "expected a URL as --model http://host:port/"),
        ("http://localhost:1/", {}, "no world model answers at http://localhost:1/"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused_before_the_long_work(name: str, options: dict, said: str) -> None:
    with pytest.raises(BridgeError) as raised:
        check_model(name.replace("python", sys.executable), options)
    assert said in str(raised.value)


def test_what_a_model_takes_is_stated_by_options_and_by_its_spec(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text(
        '{"frames": "4k+1", "max_frames": 81, "size": "832x480", "unit": "metre", "first_frame_is_context": true, "other": 1}'
    )
    spec = OutsideOptions(spec=tmp_path / "spec.json", max_frames=49).with_spec_file().model_spec()
    assert spec.frame_rule == FrameRule(4, 1, 49)
    assert spec.size == SizeRule((832, 480))
    assert spec.first_frame_is_context
    assert spec.unit == "metre"
    for text, said in (
        ("[]", "expected a JSON object"),
        ('{"frames": 4}', "expected a value of the kind str for frames"),
    ):
        (tmp_path / "spec.json").write_text(text)
        with pytest.raises(BridgeError, match=said):
            OutsideOptions(spec=tmp_path / "spec.json").with_spec_file()


def test_frames_of_another_size_and_a_confidence_fit_the_request(tmp_path: Path) -> None:
    request = ask()
    truth = draw(request.targets.resize(width=145, height=96))
    for i in range(2):
        for name, pixels in (
            ("frames", truth[i].numpy() * 255),
            ("confidence", np.full((32, 48), 51 * (i + 1))),
        ):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / name / f"{i:05d}.png")
    (tmp_path / "answer.json").write_text('{"format": "bridge4d-answer", "version": 1}')
    views = read_answer(tmp_path, request, "it")
    assert (views.clip.width, views.clip.height) == (48, 32)
    assert (views.clip.images - draw(request.targets)).abs().mean() < 0.01
    assert views.clip.confidence is not None
    assert views.clip.confidence.mean((1, 2)).tolist() == pytest.approx([0.2, 0.4])
    assert views.drawn is None
    K = request.targets.resize(width=145, height=96).K.numpy()
    np.savez(
        tmp_path / "cameras.npz", target_cam_from_world=request.targets.cam_from_world.numpy(), target_K=K
    )
    drawn = read_answer(tmp_path, request, "it").drawn
    assert drawn is not None
    torch.testing.assert_close(drawn.K, request.targets.K)


def test_cameras_that_were_drawn_come_back_through_size_and_unit() -> None:
    """A model of a fixed size, in metres, that draws a longer lens half a metre to the side, and says so."""

    class Other:
        spec = ModelSpec(
            "other",
            ("cameras", "images"),
            size=SizeRule((40, 40)),
            unit="metre",
            frame_rule=FrameRule(max_frames=2),
        )

        def generate(self, request: Request, *, generator: torch.Generator) -> Views:
            asked = request.targets
            drawn = replace(
                asked.place_at(asked.centers + 0.5),
                K=asked.K * torch.tensor([2.0, 2.0, 1.0]).double()[:, None],
            )
            return Views(Clip(torch.zeros(len(asked), 40, 40, 3)), drawn=drawn)

    request = ask(3)
    views = rollout(Other(), request, generator=torch.Generator())
    assert views.drawn is not None
    assert (views.drawn.width, views.drawn.height) == (48, 32)
    torch.testing.assert_close(views.drawn.centers, request.targets.centers + 0.5 / 0.5)
    torch.testing.assert_close(views.drawn.K[:, 0, 0], 2 * request.targets.K[:, 0, 0])
    assert views.clip.cameras is request.targets


@contextmanager
def serving(folder: Path, script: str = "serve.py") -> Iterator[str]:
    server = subprocess.Popen([sys.executable, script, "0"], cwd=folder, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait()


def test_a_server_answers_the_same_and_states_what_it_takes(theirs: Path) -> None:
    text = (
        (theirs / "serve.py")
        .read_text()
        .replace("SPEC: dict = {}", 'SPEC: dict = {"max_frames": 2, "name": "ball"}')
    )
    (theirs / "serve.py").write_text(
        text.replace(
            "from answer import answer",
            "import their\nfrom answer import answer\nimport answer as a\na.make_frames = their.make_frames",
        )
    )
    request = ask(3)
    with serving(theirs) as url:
        model = load_model(url)
        assert (model.spec.name, model.spec.frame_rule.max_frames) == ("ball", 2)
        views = go(model, request)  # type: ignore[arg-type]
        assert (views.clip.images - draw(request.targets)).abs().max() < 1e-6
        wrong = replace(request, context=replace(request.context, images=request.context.images.flip(2)))
        with pytest.raises(
            BridgeError, match="ball says: AssertionError: the photo is not what its camera sees"
        ):
            go(model, wrong)  # type: ignore[arg-type]


BROKEN = """
import sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer
class Door(BaseHTTPRequestHandler):
    def do_GET(self): self.send_error(404)
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        kind = self.path.strip("/")
        if kind == "slow": time.sleep(5)
        if kind == "refuses":
            self.send_response(503); self.end_headers(); self.wfile.write(b"the model is loading"); return
        if kind == "trickles":
            self.send_response(200); self.end_headers()
            for _ in range(50): self.wfile.write(b"x"); self.wfile.flush(); time.sleep(0.1)
            return
        self.send_response(200); self.end_headers(); self.wfile.write(b"hello")
    def log_message(self, *_): pass
server = HTTPServer(("127.0.0.1", 0), Door)
print(f"http://127.0.0.1:{server.server_port}/", flush=True)
server.serve_forever()
"""


def test_a_server_that_answers_wrongly_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    for kind, said, seconds in (
        ("plain", "answered with no zip archive", 60.0),
        ("refuses", r"refused the request \(503 .*the model is loading", 60.0),
        ("slow", "took longer than 1 seconds", 1.0),
        ("trickles", "took longer than 1 seconds", 1.0),
    ):
        with serving(tmp_path, "broken.py") as url, pytest.raises(BridgeError, match=said):
            go(Server(url.removeprefix("http:") + kind, OutsideOptions(seconds=seconds)), ask())


def test_an_archive_writes_only_an_answer_and_no_more_than_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, out = tmp_path / "a.zip", tmp_path / "in" / "out"
    out.mkdir(parents=True)
    strange = [
        "../evil.txt",
        "/tmp/evil-of-bridge4d",
        "frames/../../evil.png",
        "frames/a.png",
        "notes.txt",
        "frames/00000.png/x",
    ]
    with zipfile.ZipFile(archive, "w") as z:
        for name in (*strange, "frames/00000.png", "answer.json"):
            z.writestr(name, b"x")
    unpack_answer(archive, out, "it")
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()) == [
        "a.zip", "in/out/answer.json", "in/out/frames/00000.png",
    ]  # fmt: skip
    assert not Path("/tmp/evil-of-bridge4d").exists()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("frames/00000.png", bytes(3 << 20))
    monkeypatch.setattr("worldgen.outside.unpack.LARGEST_ANSWER", 2 << 20)
    with pytest.raises(BridgeError, match="answered with more than"):
        unpack_answer(archive, out, "it")
    assert (out / "frames" / "00000.png").stat().st_size <= 2 << 20
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65535, 65535, 1 << 30, 0, 0)
    for content, said in (
        (end, "directory has 1,073,741,824 bytes"),
        (b"", "no zip archive"),
        (b"PK\5\6", "it has no end"),
        (b"PK\6\7" + bytes(16) + end[:12] + bytes(10), "zip64 archive; write a plain one"),
    ):
        archive.write_bytes(content)
        with pytest.raises(BridgeError, match=said):
            unpack_answer(archive, out, "it")


def test_the_example_runs_as_it_is_and_is_never_written_over(theirs: Path) -> None:
    request = ask()
    views = go(Program(f"{sys.executable} answer.py {{request}} {{answer}}", OutsideOptions()), request)
    photos = (request.context.images * 255).round() / 255
    assert all(min((frame - photo).abs().max() for photo in photos) < 1e-6 for frame in views.clip.images)
    with pytest.raises(BridgeError, match=r"answer\.py is there already"):
        Models(example="answer.py").run()


@pytest.mark.slow
def test_augment_takes_frames_of_a_program_that_draws_the_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gate accepts what another process draws at the cameras that it was given."""
    from bridge4d.augmenting.loop import augment
    from bridge4d.augmenting.options import AugmentOptions
    from recon.camera_files.formats.transforms_write import write_transforms
    from worldgen.models.synthetic import SyntheticRoom

    cameras = SyntheticRoom().cameras(10, width=240, height=160)
    photos = Clip(SyntheticRoom().render(cameras)[0], cameras)
    write_transforms(tmp_path / "capture" / "transforms.json", photos)
    (tmp_path / "room.py").write_text(
        "import sys\nfrom pathlib import Path\nimport torch\nimport answer\nfrom recon.cameras import Cameras\n"
        "from worldgen.models.synthetic import SyntheticRoom\n"
        "def make_frames(photos, cameras, said, request):\n"
        "    pose, K = (torch.from_numpy(cameras[n]) for n in ('target_cam_from_world', 'target_K'))\n"
        "    asked = Cameras(pose, K, *map(int, cameras['target_size']))\n"
        "    return {'frames': (SyntheticRoom().render(asked)[0] * 255).round().byte().numpy()}\n"
        "answer.make_frames = make_frames\nanswer.answer(Path(sys.argv[1]), Path(sys.argv[2]))\n"
    )
    monkeypatch.chdir(tmp_path)
    Models(example="answer.py").run()
    options = AugmentOptions(
        model=f"program:{sys.executable} room.py {{request}} {{answer}}",
        rounds=1,
        novel=4,
        max_side=240,
        iterations=60,
    )
    done = augment(tmp_path / "capture", tmp_path / "run", options)
    accepted = [frame for frame in done.report.generated.frames if frame.accepted]
    assert len(accepted) >= 3, [frame.reason for frame in done.report.generated.frames]
    assert done.report.world_model is not None
    assert done.report.world_model.scale_from == "assumed: the median depth of the photos is 3 m"
    assert done.report.world_model.metres_per_unit is not None
    assert 0.5 < done.report.world_model.metres_per_unit < 3, (
        "the room is in metres, its points about 2.5 m away"
    )
    logs = list((tmp_path / "run" / "asked").glob("*/log.txt"))
    groups = set(done.report.decisions[0].groups)
    assert len(logs) == 1 + len(groups), "asked once, and once without each group of photos that decides"
