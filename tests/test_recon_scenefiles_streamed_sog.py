"""Streamed SOG: the finest level that is whole, all its chunks, and a sentence about what is missing."""

import json
import math
import shutil
import zipfile
from pathlib import Path

import pytest
import torch

from benchmarks.odd_scenes import odd_scene
from recon.errors import BridgeError, SceneFileError
from recon.gaussians import Gaussians, concatenate
from recon.scenefiles import WriteOptions, read_scene, write_scene


def streamed(folder: Path, *, version: int | None = 1) -> dict[str, Gaussians]:
    """Two levels of detail: the finer in two files, whose runs two nodes name in turns; and an environment."""
    parts = {
        "0_0": odd_scene(40, seed=1),
        "0_1": odd_scene(30, seed=2),
        "1_0": odd_scene(20, sh_degree=1, seed=3),
    }
    for name, part in (parts | {"env": odd_scene(5, seed=4)}).items():
        (folder / name).mkdir(parents=True)
        write_scene(part, folder / name / "meta.json")
        parts[name] = read_scene(folder / name).gaussians
    bound = {"min": [-100, -100, -100], "max": [100, 100, 100]}
    meta = {
        "lodLevels": 2,
        "environment": "env/meta.json",
        "filenames": ["1_0/meta.json", "0_1/meta.json", "0_0/meta.json"],
        "tree": {
            "bound": bound,
            "children": [
                {
                    "bound": bound,
                    "lods": {
                        "0": {"file": 2, "offset": 25, "count": 15},
                        "1": {"file": 0, "offset": 0, "count": 12},
                    },
                },
                {
                    "bound": bound,
                    "children": [
                        {"bound": bound, "lods": {"0": {"file": 2, "offset": 0, "count": 25}}},
                        {
                            "bound": bound,
                            "lods": {
                                "0": {"file": 1, "offset": 0, "count": 30},
                                "1": {"file": 0, "offset": 12, "count": 8},
                            },
                        },
                    ],
                },
            ],
        },
    }
    if version is not None:
        meta |= {"version": version, "asset": {"generator": "test"}, "count": 90, "counts": [70, 20]}
    (folder / "lod-meta.json").write_text(json.dumps(meta))
    return parts


def pack(folder: Path, path: Path, inside: str = "") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, f"{inside}{file.relative_to(folder)}")
    return path


def same(a: Gaussians, b: Gaussians) -> bool:
    return all(torch.equal(value, b.tensors()[name]) for name, value in a.tensors().items())


@pytest.mark.parametrize("version", [None, 1])
def test_all_chunks_of_the_finest_level(tmp_path, version) -> None:
    parts = streamed(tmp_path / "scene", version=version)
    found = read_scene(tmp_path / "scene")
    assert same(found.gaussians, concatenate([parts["0_1"], parts["0_0"]]))  # in the order of the files
    assert "finest of 2 levels" in found.notes[0]
    assert "env/meta.json' was left out" in found.notes[1]
    assert same(read_scene(tmp_path / "scene" / "lod-meta.json").gaussians, found.gaussians)


@pytest.mark.parametrize("inside", ["", "scene/"])
def test_an_archive_holds_the_same(tmp_path, inside) -> None:
    streamed(tmp_path / "scene")
    path = pack(tmp_path / "scene", tmp_path / "scene.ssog", inside)
    assert same(read_scene(path).gaussians, read_scene(tmp_path / "scene").gaussians)


def test_a_level_that_lacks_a_file_gives_way_to_the_next(tmp_path) -> None:
    parts = streamed(tmp_path)
    shutil.rmtree(tmp_path / "0_1")
    found = read_scene(tmp_path)
    assert same(found.gaussians, parts["1_0"])
    assert (
        found.notes[0] == "level 1 of detail was read, for files of the 1 finer of its 2 levels are not there"
    )
    shutil.rmtree(tmp_path / "1_0")
    with pytest.raises(SceneFileError, match="lacks files in each of its 2 levels"):
        read_scene(tmp_path)


def test_runs_that_are_part_of_a_file(tmp_path) -> None:
    parts = streamed(tmp_path)
    meta = json.loads((tmp_path / "lod-meta.json").read_text())
    del meta["tree"]["children"][0]
    (tmp_path / "lod-meta.json").write_text(json.dumps(meta))
    assert same(read_scene(tmp_path).gaussians, concatenate([parts["0_1"], parts["0_0"][:25]]))


def test_render_modes(tmp_path) -> None:
    streamed(tmp_path)
    for name in ("0_0", "0_1"):
        write_scene(
            read_scene(tmp_path / name).gaussians,
            tmp_path / name / "meta.json",
            WriteOptions(render_mode="mip"),
        )
    assert read_scene(tmp_path).render_mode == "mip"
    write_scene(odd_scene(40), tmp_path / "0_0" / "meta.json")
    assert read_scene(tmp_path).render_mode == "default"


def test_sample_of_another_program(shared) -> None:
    folder = shared / "splats" / "playbot-lod"
    found = read_scene(folder)
    assert (len(found.gaussians), found.gaussians.sh_degree) == (31_000, 2)
    assert found.notes == (
        "level 3 of detail was read, for files of the 3 finer of its 7 levels are not there",
    )
    assert same(found.gaussians, read_scene(folder / "3_0").gaussians)
    low, high = found.gaussians.means.min(0).values, found.gaussians.means.max(0).values
    assert (low > torch.tensor([-1.04, -1.09, -1.04])).all()  # what its tree says
    assert (high < torch.tensor([1.04, 0.06, 1.05])).all()


def run(meta) -> dict:
    return meta["tree"]["children"][0]["lods"]["0"]


BROKEN = {
    "a later version": lambda meta: meta.update(version=2),
    "no files": lambda meta: meta.pop("filenames"),
    "files a word": lambda meta: meta.update(filenames="0_0/meta.json"),
    "a file that is a number": lambda meta: meta["filenames"].append(7),
    "a file that is no meta.json": lambda meta: meta["filenames"].append("0_0/quats.webp"),
    "a file above": lambda meta: meta["filenames"].__setitem__(2, "../meta.json"),
    "a file of the system": lambda meta: meta["filenames"].__setitem__(2, "/etc/meta.json"),
    "no tree": lambda meta: meta.pop("tree"),
    "a tree that is a list": lambda meta: meta.update(tree=[]),
    "children in words": lambda meta: meta["tree"].update(children="two"),
    "a child that is a number": lambda meta: meta["tree"].update(children=[1]),
    "a tree without levels": lambda meta: meta.update(tree={}),
    "levels a list": lambda meta: meta["tree"]["children"][0].update(lods=[1]),
    "a level in words": lambda meta: meta["tree"]["children"][0].update(lods={"fine": run(meta)}),
    "a negative level": lambda meta: meta["tree"]["children"][0].update(lods={"-1": run(meta)}),
    "a run that is a number": lambda meta: meta["tree"]["children"][0]["lods"].update({"0": 3}),
    "no file": lambda meta: run(meta).pop("file"),
    "a file beyond the list": lambda meta: run(meta).update(file=3),
    "a file that is no number": lambda meta: run(meta).update(file=math.nan),
    "a negative offset": lambda meta: run(meta).update(offset=-1),
    "a count beyond the file": lambda meta: run(meta).update(count=16),
    "a count beyond numbers": lambda meta: run(meta).update(count=10**30),
    "runs that overlap": lambda meta: run(meta).update(offset=24),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_tree_of_the_wrong_make_is_refused(tmp_path, what) -> None:
    streamed(tmp_path)
    meta = json.loads((tmp_path / "lod-meta.json").read_text())
    BROKEN[what](meta)
    (tmp_path / "lod-meta.json").write_text(json.dumps(meta))
    with pytest.raises(SceneFileError) as refusal:
        read_scene(tmp_path)
    assert str(tmp_path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("text", [b"", b"[]", b'{"tree":' * 100_000, b'{"filenames": [], "tree": {}}'])
def test_a_file_that_is_no_tree_is_refused(tmp_path, text) -> None:
    (tmp_path / "lod-meta.json").write_bytes(text)
    with pytest.raises(SceneFileError):
        read_scene(tmp_path)


def test_a_deep_tree_is_read_or_refused(tmp_path) -> None:
    streamed(tmp_path)
    meta = json.loads((tmp_path / "lod-meta.json").read_text())
    text = json.dumps(meta["tree"])
    for _ in range(3000):
        text = f'{{"children":[{text}]}}'
    raw = json.dumps(meta | {"tree": 0}).replace('"tree": 0', f'"tree": {text}')
    (tmp_path / "lod-meta.json").write_text(raw)
    with pytest.raises(BridgeError):
        read_scene(tmp_path)


def test_other_archives_are_refused(tmp_path) -> None:
    (tmp_path / "a.ssog").write_bytes(b"PK")
    with pytest.raises(SceneFileError, match="ZIP"):
        read_scene(tmp_path / "a.ssog")
    write_scene(odd_scene(10), tmp_path / "b.sog")
    with pytest.raises(SceneFileError, match=r"holds no lod-meta\.json"):
        read_scene((tmp_path / "b.sog").rename(tmp_path / "b.ssog"))
    with pytest.raises(SceneFileError, match="not written"):
        write_scene(odd_scene(10), tmp_path / "c.ssog")


def test_one_file_named_many_times_is_refused(tmp_path) -> None:
    streamed(tmp_path)
    meta = json.loads((tmp_path / "lod-meta.json").read_text())
    for names in (["0_0/meta.json", "./0_0/meta.json", "0_1/meta.json"], {"0/meta.json": 1}, [1, 2, 3]):
        (tmp_path / "lod-meta.json").write_text(json.dumps(meta | {"filenames": names}))
        with pytest.raises(SceneFileError, match="its tree of levels makes no sense"):
            read_scene(tmp_path)


def test_a_level_larger_than_its_files_could_be_is_refused_before_they_are_read(tmp_path) -> None:
    streamed(tmp_path)
    meta = json.loads((tmp_path / "lod-meta.json").read_text())
    meta["tree"]["children"][1]["children"][0]["lods"]["0"]["count"] = 50_000_000
    (tmp_path / "lod-meta.json").write_text(json.dumps(meta))
    with pytest.raises(SceneFileError, match="which no scene does"):
        read_scene(tmp_path)
