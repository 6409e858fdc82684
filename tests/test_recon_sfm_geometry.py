"""A program that tells cameras: what it is given, what is made of its answer, and how it is refused."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_recon_sfm_given import relative_errors_deg, shake
from test_recon_sfm_scene import box_scene

from bridge4d.stages.options import CaptureOptions
from recon.clip import Clip
from recon.errors import BridgeError
from recon.sfm.ladder.climb import climb
from recon.sfm.ladder.geometry import GeometryProgram
from recon.sfm.ladder.rungs import Rung, choose_rungs
from recon.sfm.recipes import PHOTOS

FAST = replace(PHOTOS, features="opencv", max_features=600)

PROGRAM = """
import json, sys, time
from pathlib import Path
import numpy as np
request, answer = map(Path, sys.argv[1:3])
said = json.loads((request / "request.json").read_text())
assert (said["format"], said["version"]) == ("bridge4d-geometry", 1)
photos = sorted((request / "images").iterdir())
assert [one.name for one in photos] == [f"{i:05d}.png" for i in range(said["photos"])]
print("looked at", len(photos), "photos")
known = np.load(sys.argv[3])
"""


@pytest.fixture
def photos() -> Clip:
    return box_scene(5)


def program(folder: Path, ending: str, **arrays: np.ndarray) -> GeometryProgram:
    """A script that runs `ending` with the arrays in `known`."""
    (folder / "program.py").write_text(PROGRAM + ending)
    np.savez(folder / "known.npz", **arrays)
    return GeometryProgram(
        f"program:{sys.executable} {folder / 'program.py'} {{request}} {{answer}} {folder / 'known.npz'}"
    )


TELL = 'np.savez(answer / "cameras.npz", cam_from_world=known["pose"], K=known["K"])'


def test_its_cameras_are_adjusted_and_judged(
    photos: Clip, tmp_path: Path, generator: torch.Generator
) -> None:
    truth = photos.require_cameras()
    rough = shake(truth, 2.0, generator)
    tells = program(tmp_path, TELL, pose=rough.cam_from_world.numpy(), K=rough.K.numpy())
    found = climb(photos, tmp_path / "sfm", rungs=[Rung("network", FAST, geometry=tells)])
    assert [(one.registered, one.trusted) for one in found.attempts] == [(5, 5)]
    cameras = found.reconstruction.recovery.cameras
    assert cameras is not None
    assert float(relative_errors_deg(cameras, truth).max()) < 0.2
    assert "looked at 5 photos" in (tmp_path / "geometry" / "log.txt").read_text()
    assert not (tmp_path / "geometry" / "request").exists()


def test_cameras_that_are_grossly_wrong_are_not_believed(photos: Clip, tmp_path: Path) -> None:
    truth = photos.require_cameras()
    pose = truth.cam_from_world[[2, 4, 1, 0, 3]].numpy()
    tells = program(tmp_path, TELL, pose=pose, K=truth.K.numpy())
    found = climb(photos, tmp_path / "sfm", rungs=[Rung("network", FAST, geometry=tells)])
    cameras = found.reconstruction.recovery.cameras
    if cameras is not None:  # the matches may have led them back
        names = found.reconstruction.recovery.registered_names
        rows = [photos.names.index(name) for name in names]
        assert float(relative_errors_deg(cameras, truth[rows]).max()) < 2


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        ("pass", r"to write .*cameras.npz, it did not; its log .* ends: looked at 5 photos"),
        ("(answer / 'error.json').write_text('{\"message\": \"no weights\"}')", "says: no weights"),
        ("raise SystemExit(3)", r"failed: .*exit code 3.*looked at 5 photos"),
        ("np.savez(answer / 'cameras.npz', K=known['K'])", r"cam_from_world of the shape \[5, 4, 4\]"),
        ("np.savez(answer / 'cameras.npz', cam_from_world=known['pose'][:2], K=known['K'])", r"got \[2, 4, 4\]"),
        ("np.savez(answer / 'cameras.npz', cam_from_world=2 * known['pose'], K=known['K'])", "cameras.npz"),
        ("np.save(answer / 'cameras.npz', 1); (answer / 'cameras.npz.npy').rename(answer / 'cameras.npz')", "."),
        ("np.savez(answer / 'cameras.npz', cam_from_world=np.array([{}], object), K=known['K'])", "."),
    ],
)  # fmt: skip
def test_failures_are_told_in_one_sentence(ending: str, said: str, photos: Clip, tmp_path: Path) -> None:
    cameras = photos.require_cameras()
    tells = program(tmp_path, ending, pose=cameras.cam_from_world.numpy(), K=cameras.K.numpy())
    with pytest.raises(BridgeError, match=said) as error:
        tells.find_cameras(photos, tmp_path / "work")
    assert "\n" not in str(error.value)


def test_a_program_that_hangs_is_ended(photos: Clip, tmp_path: Path) -> None:
    tells = replace(program(tmp_path, "time.sleep(60)"), seconds=2.0)
    with pytest.raises(BridgeError, match="took longer than 2 seconds"):
        tells.find_cameras(photos, tmp_path / "work")


def test_commands_that_cannot_run_are_refused_before_work() -> None:
    with pytest.raises(BridgeError, match=r"with \{request\} and \{answer\}"):
        CaptureOptions(geometry="program:python vggt.py")
    with pytest.raises(BridgeError, match="none that can be run"):
        CaptureOptions(geometry="program:no-such-thing {request} {answer}")
    with pytest.raises(BridgeError, match="No closing quotation"):
        CaptureOptions(geometry="program:'python {request} {answer}")


def test_it_is_asked_last(tmp_path: Path) -> None:
    tells = program(tmp_path, TELL)
    assert choose_rungs(None, None, tells)[-1].geometry == tells
    assert choose_rungs("colmap", None, tells)[-1].recipe.features == "colmap"
    before = tells.key
    (tmp_path / "program.py").write_text("changed")
    assert tells.key != before


def test_its_failure_loses_nothing_that_was_found(photos: Clip, tmp_path: Path) -> None:
    blank = torch.full_like(photos.images[:1], 0.4)
    mixed = Clip(torch.cat([photos.images, blank]))  # so that the recipe leaves one out
    tells = program(tmp_path, "raise SystemExit(3)")
    rungs = [Rung("plain", FAST), Rung("network", FAST, geometry=tells)]
    found = climb(mixed, tmp_path / "sfm", rungs=rungs)
    assert [(one.rung, one.trusted) for one in found.attempts] == [("plain", 5), ("network", 0)]
    assert int(found.reconstruction.recovery.registered.sum()) == 5
    with pytest.raises(BridgeError, match="exit code 3"):
        climb(mixed, tmp_path / "sfm", rungs=rungs[1:])


def test_cameras_in_one_place_are_a_status(photos: Clip, tmp_path: Path) -> None:
    truth = photos.require_cameras()
    pose = truth.cam_from_world[[0] * 5].numpy()
    tells = program(tmp_path, TELL, pose=pose, K=truth.K.numpy())
    climb(photos, tmp_path / "sfm", rungs=[Rung("network", FAST, geometry=tells)])


def test_files_behind_flags_count(tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_text("1")
    tells = GeometryProgram(f"{sys.executable} --weights={tmp_path / 'w.pt'} {{request}} {{answer}}")
    before = tells.key
    (tmp_path / "w.pt").write_text("2")
    assert tells.key != before
