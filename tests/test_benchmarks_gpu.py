"""The measurement on a GPU, as far as it goes without one: packages, steps that fail or hang, and all of it dry."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from benchmarks import gpu, gpu_pack, gpu_recipe, gpu_record
from recon.cameras import Cameras, intrinsics, look_at
from recon.clip import Clip
from recon.points import PointCloud

PROGRAM = """
import sys, time
sys.path.insert(0, {root!r})
from benchmarks.gpu_record import add_figures
from pathlib import Path
name, out = sys.argv[1], Path(sys.argv[2])
add_figures(out, name, {{"began": True}})
if name == "build":
    raise ValueError("no such card")
if name == "engines":
    time.sleep(60)
add_figures(out, name, {{"done": True}})
"""


@pytest.fixture
def other_steps(tmp_path, monkeypatch):
    """In the place of the real ones: "build" fails and "engines" hangs, each after a figure."""
    program = tmp_path / "step.py"
    program.write_text(PROGRAM.format(root=str(gpu.ROOT)))
    monkeypatch.setattr(gpu, "COMMAND", (sys.executable, str(program)))
    monkeypatch.setattr(gpu, "LIMITS_S", dict.fromkeys(gpu.LIMITS_S, 30.0) | {"engines": 6.0})


@pytest.mark.usefixtures("other_steps")
def test_a_step_that_fails_or_hangs_is_noted_and_the_next_goes_on(tmp_path, capsys):
    out = tmp_path / "out"
    assert gpu.main(["--dry", "--out", str(out), "--steps", "native", "build", "engines", "tests"]) == 1
    steps = json.loads((out / "gpu.json").read_text())["steps"]
    assert [steps[name]["ok"] for name in ("native", "build", "engines", "tests")] == [
        True,
        False,
        False,
        True,
    ]
    assert "ValueError: no such card" in steps["build"]["error"]
    assert "Traceback" in steps["build"]["error"]
    assert "took more than 6 s" in steps["engines"]["error"]
    assert all(step["figures"]["began"] for step in steps.values())
    assert "done" not in steps["engines"]["figures"]
    assert "no such card" in (out / "gpu.log").read_text()
    assert "no such card" in capsys.readouterr().out


@pytest.mark.usefixtures("other_steps")
def test_no_step_begins_when_time_is_up(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "ALL_S", 3.0)
    assert gpu.main(["--dry", "--out", str(tmp_path), "--steps", "native"]) == 1
    assert "no time was left" in gpu_record.read_record(tmp_path)["steps"]["native"]["error"]


def test_all_limits_have_a_step():
    from benchmarks.gpu_steps import STEPS

    assert list(STEPS) == list(gpu.LIMITS_S)
    assert gpu.ALL_S < 9 * 60


def test_it_begins_with_nothing_but_python():
    """What it imports before packages are there, a bare interpreter has."""
    code = f"import sys; sys.path.insert(0, {str(gpu.ROOT)!r}); import benchmarks.gpu"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)


def wheel(folder: Path, name: str = "little", body: str = "x = 1\n" * 5000) -> Path:
    """A package that pip installs."""
    path, info = folder / f"{name}-1.0-py3-none-any.whl", f"{name}-1.0.dist-info"
    files = {
        f"{name}/__init__.py": body,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for file, content in files.items():
            archive.writestr(file, content)
    return path


def test_a_repacked_wheel_is_smaller_and_installs(tmp_path):
    (tmp_path / "wheels").mkdir()
    path = wheel(tmp_path / "wheels")
    before = path.stat().st_size
    gpu_pack.repack(path)
    assert path.stat().st_size < before / 4
    gpu_pack.unpack(tmp_path / "wheels", tmp_path / "into")
    assert (tmp_path / "into" / "little" / "__init__.py").read_text().startswith("x = 1")


def test_packing_asks_for_no_torch_and_refuses_what_is_too_large(tmp_path, monkeypatch):
    asked = []

    def pip(command, check):
        asked.extend(command)
        wheel(tmp_path)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(gpu_pack.subprocess, "run", pip)
    assert [w.name for w in gpu_pack.pack(tmp_path)] == ["little-1.0-py3-none-any.whl"]
    assert "--no-deps" in asked
    assert asked[asked.index("--python-version") + 1] == "3.12"
    assert not any(part.startswith(("torch", "nvidia")) for part in asked)
    monkeypatch.setattr(gpu_pack, "MOST_BYTES", 100)
    with pytest.raises(SystemExit, match=r"expected at most 0\.0001 MB of wheels"):
        gpu_pack.pack(tmp_path)


def test_a_folder_without_wheels_is_named(tmp_path):
    with pytest.raises(SystemExit, match=r"got none; make them with --pack"):
        gpu_pack.unpack(tmp_path, tmp_path / "into")


def test_gsplat_s_recipe_learns_at_the_rates_of_its_authors():
    pytest.importorskip("gsplat")
    generator = torch.Generator().manual_seed(0)
    xyz = torch.rand(100, 3, generator=generator, dtype=torch.float64) - 0.5
    points = PointCloud(xyz, torch.full((100, 3), 0.5), torch.zeros(100, dtype=torch.float64))
    eyes = torch.tensor([[0.0, 0, -2], [0.5, 0, -2]], dtype=torch.float64)
    up = torch.tensor([[0.0, -1, 0]], dtype=torch.float64).expand(2, 3)
    K = intrinsics(focal_px=20.0, width=20, height=16, n=2)
    cameras = Cameras(look_at(eyes, torch.zeros_like(eyes), up), K, 20, 16)
    red = torch.tensor([0.9, 0.1, 0.1]).expand(2, 16, 20, 3).contiguous()
    told: list[int] = []
    scene = gpu_recipe.train(
        Clip(red, cameras), points, steps=10, device="cpu", generator=generator, watch=told.append
    )
    assert told == list(range(1, 11))
    # while the sign of a gradient stays, a step of Adam is as long as its rate
    assert float(scene.sh[:, 0, 0].median()) == pytest.approx(10 * 2.5e-3, rel=0.2)
    assert float(scene.sh[:, 0, 1].median()) == pytest.approx(-10 * 2.5e-3, rel=0.2)
    assert not scene.sh[:, 1:].any()  # of degree 0 until step 1000
    moved = (scene.means - xyz.float()).abs()
    assert 0 < float(moved.max()) <= 10 * 1.6e-4 * 1.1 * 0.26


@pytest.mark.slow
def test_all_of_it_runs_dry(tmp_path):
    assert gpu.main(["--dry", "--out", str(tmp_path)]) == 0
    record = gpu_record.read_record(tmp_path)
    steps = record["steps"]
    assert list(steps) == list(gpu.LIMITS_S)
    assert record["cpu_seconds"] < 90, "it took 55, and 79 where numba had compiled nothing yet"
    assert all(step["figures"] for step in steps.values())
    assert steps["loop"]["figures"]["loop on cpu"]["psnr_db"]
    assert all(found["within"] for found in steps["engines"]["figures"].values())
