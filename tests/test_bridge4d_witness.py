"""`bridge4d measure --witness`: a model tells the poses of clips, blind, and the report sets them beside COLMAP's."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.kill_and_resume import write_room_clips
from bridge4d.measuring.checking.check_report import check_report
from bridge4d.measuring.measure_clips import check_measuring, measure_clips
from bridge4d.measuring.measure_options import MeasureOptions
from eval.report.measure.page import summary_text
from recon.clip import Clip
from recon.errors import BridgeError
from worldgen.model import RecoversPoses
from worldgen.models.synthetic import SyntheticRoom
from worldgen.registry import load_model

TELLER = '''
"""Tells the poses of the room's walk, the last frame turned; it never sees a camera."""
from pathlib import Path

import numpy as np
import torch

from worldgen.model import ModelSpec


class Teller:
    spec = ModelSpec(name="teller", conditions_on=("images",))

    def generate(self, request, *, generator):
        raise NotImplementedError

    def recover_poses(self, clip, *, generator):
        assert clip.cameras is None, "blind"
        with (Path(__file__).parent / "asked.txt").open("a") as log:
            log.write("asked\\n")
        poses = torch.from_numpy(np.load(Path(__file__).parent / "truth.npy"))
        poses[:, :3, 3] *= 3  # its unit is its own
        poses[-1, :3, :3] = poses[-1, :3, :3] @ torch.tensor(TURN, dtype=torch.float64)
        return poses
'''
FRAMES = 8
TURNED_DEG = 8.0


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    return write_room_clips(tmp_path / "clips", frames=FRAMES, width=160, height=112)


@pytest.fixture
def teller(clips: Path) -> str:
    """A model that tells the true walk, but for the last frame's turn."""
    folder = clips.parent
    room = SyntheticRoom(0)
    walk = room.cameras(4 * FRAMES, width=160, height=112)[: 2 * FRAMES : 2]
    np.save(folder / "truth.npy", walk.world_from_cam.double().numpy())
    c, s = math.cos(math.radians(TURNED_DEG)), math.sin(math.radians(TURNED_DEG))
    (folder / "teller.py").write_text(TELLER.replace("TURN", f"[[{c}, {-s}, 0], [{s}, {c}, 0], [0, 0, 1]]"))
    return f"{folder / 'teller.py'}:Teller"


def test_the_witness_is_asked_blind_and_stands_beside_colmap(
    clips: Path, teller: str, tmp_path: Path
) -> None:
    """One of eight frames is turned by 8 degrees: after the best common turn, a degree, seven are off by 1 and one by 7."""
    options = MeasureOptions(witness=teller, rules=("share@90",), metrics="none", workers=1)
    done = measure_clips(clips, tmp_path / "run", options)
    assert set(done.report.witnesses) == {"walk", "exchanged", "noise"}
    walk = done.report.witnesses["walk"]
    assert walk.rotation_deg == pytest.approx((7 * 1 + 7) / 8, abs=0.02)
    assert walk.position_share is not None
    assert walk.position_share < 0.02
    said = summary_text(done.report)
    assert "median rotation error over" in said
    assert "° by COLMAP, 1.75° by" in said
    assert "1.75° by" in done.report_html.read_text()
    rows = {row["name"]: row for row in csv.DictReader(done.clips_csv.open())}
    assert float(rows["walk"]["witness:rotation_deg"]) == pytest.approx(1.75, abs=0.02)
    assert check_report(done.run).agrees
    report = done.run / "report.json"
    kept = report.read_text()
    report.write_text(kept.replace(str(walk.rotation_deg), "0.01"))
    assert [name for name, table in check_report(done.run).tables.items() if table.differences] == ["witness"]
    report.write_text(kept)
    again = measure_clips(clips, tmp_path / "run", options)
    assert again.report.witnesses == done.report.witnesses
    assert (tmp_path / "asked.txt").read_text().count("asked") == 3, "kept"


def test_a_clip_that_the_witness_fails_on_does_not_stop_the_others(clips: Path, tmp_path: Path) -> None:
    """It is undefined there, and the report is written."""
    fails = "        if float(clip.images.std()) > 0.25: raise ValueError('too bright')\n        return torch.zeros(8, 4, 4)\n"
    (tmp_path / "bad.py").write_text(TELLER.partition("        assert")[0] + fails)
    options = MeasureOptions(
        witness=f"{tmp_path / 'bad.py'}:Teller", rules=("share@90",), metrics="none", workers=1
    )
    done = measure_clips(clips, tmp_path / "run", options)
    assert "too bright" in done.report.witnesses["noise"].undefined_because
    assert "is not a rotation" in done.report.witnesses["walk"].undefined_because
    assert done.report_html.exists()


def test_weights_of_a_witness_are_looked_for_before_clips_are_measured(tmp_path: Path) -> None:
    """A name of the hub is one, and a folder that is not there is told."""
    pytest.importorskip("diffusers")
    check_measuring(MeasureOptions(witness="cosmos3", witness_weights="somebody/weights"))
    with pytest.raises(BridgeError, match="expected"):
        check_measuring(
            MeasureOptions(witness="cosmos3", witness_weights=str(tmp_path / "none" / "at" / "all"))
        )


def test_clips_without_request_leave_it_undefined(clips: Path, teller: str, tmp_path: Path) -> None:
    (clips / "walk" / "transforms.json").unlink()
    options = MeasureOptions(witness=teller, rules=("share@90",), metrics="none", workers=1)
    done = measure_clips(clips / "walk", tmp_path / "run", options)
    (one,) = done.report.witnesses.values()
    assert (one.rotation_deg, one.undefined_because) == (None, "no requested cameras")
    assert "no requested cameras" in summary_text(done.report)


def test_a_witness_that_tells_no_poses_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BridgeError, match="expected --witness to be a model that tells the poses"):
        check_measuring(MeasureOptions(witness="warp"))
    with pytest.raises(BridgeError, match="--witness-weights needs --witness"):
        check_measuring(MeasureOptions(witness_weights=str(tmp_path)))
    with pytest.raises(BridgeError, match="expected one of the world models"):
        check_measuring(MeasureOptions(witness="nobody"))


@pytest.mark.parametrize(("does", "said"), [
    ("raise ValueError('no frames')", "failed in recover_poses: ValueError: no frames"),
    ("return torch.zeros(2, 4, 4)", r"expected 8 finite matrices \[n, 4, 4\] from recover_poses"),
    ("return torch.full((8, 4, 4), torch.nan)", "expected 8 finite matrices"),
])  # fmt: skip
def test_a_witness_that_fails_says_so(does: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(TELLER.partition("        assert")[0] + f"        {does}\n")
    model = load_model(f"{tmp_path / 'bad.py'}:Teller")
    assert isinstance(model, RecoversPoses)
    with pytest.raises(BridgeError, match=said):
        model.recover_poses(Clip(torch.zeros(8, 4, 4, 3)), generator=torch.Generator())
