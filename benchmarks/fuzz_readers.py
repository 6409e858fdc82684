"""Damaged scene files, thousands for each reader: each must be read or refused in one sentence.

    python -m benchmarks.fuzz_readers --files 10000
    python -m benchmarks.fuzz_readers --files 500 --formats spz glb

Every file is a whole one with a few bytes changed, cut, doubled or exchanged (in JSON also whole values). It is read in a
child process that may take 2 GiB beyond what it starts with; one that dies or hangs is reported with the file that did it.
"""

import argparse
import base64
import json
import multiprocessing
import os
import random
import re
import resource
import shutil
import struct
import sys
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

MORE_MEMORY = 2 << 30
"""Bytes that a reader of these small files may take; the files have at most 100 kB."""
SLOW_S = 20.0
"""After which a file counts as one that hangs."""
STATEMENTS = (".json", ".txt", ".bin", ".csv")
"""Files of a folder that are damaged rather than its pictures."""
Reader = Callable[[Path], object]
INTERESTING = (0, 1, 0x7F, 0x80, 0xFF)
NUMBERS = (
    -1,
    0,
    1,
    2**31 - 1,
    2**32 - 1,
    2**63,
    1e308,
    -1e308,
    None,
    "",
    "x",
    [],
    {},
    True,
    "../../x",
    1e-320,
    float("inf"),
    10**400,
    "\0",
    "\ud800",
    "x" * 300,
    "9" * 5000,
)


BAD = ("died", "hung", "memory", "other error", "no sentence", "written")
"""Endings that are faults of a reader."""


def seeds(folder: Path, only: list[str] | None = None) -> dict[str, list[Path]]:
    """Small whole files of every format that is read; folders stand for themselves."""
    import torch

    from recon.gaussians import from_points
    from recon.scenefiles import FORMATS, WriteOptions, write_scene
    from recon.sequence import GaussianFrames

    generator = torch.Generator().manual_seed(0)

    def scene(count: int, degree: int):
        one = from_points(
            torch.randn(count, 3, generator=generator),
            torch.rand(count, 3, generator=generator),
            sh_degree=degree,
        )
        one.sh[:] = 0.2 * torch.randn(one.sh.shape, generator=generator)
        return one

    still = GaussianFrames(torch.tensor([0.0, 0.1]).double(), (scene(20, 1), scene(20, 1)))
    found: dict[str, list[Path]] = {}

    def write(name: str, file: str, what, **options) -> None:
        if only and name not in only:
            return
        path = folder / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        write_scene(what, path, WriteOptions(**options))
        if "#" in file:
            path = path.parent
        found.setdefault(name, []).append(path if path.name != "meta.json" else path.parent)

    for degree in (0, 3):
        for name, suffix in (
            ("ply", ".ply"), ("compressed-ply", ".compressed.ply"), ("splat", ".splat"), ("spz", ".spz"),
            ("sog", ".sog"), ("glb", ".glb"), ("usd", ".usdc"), ("usd", ".usda"), ("usd", ".usdz"),
        ):  # fmt: skip
            write(name, f"{degree}{suffix}", scene(40, degree))
    write("spz", "v4.spz", scene(40, 2), spz_version=4)
    write("sog", "folder/meta.json", scene(40, 2))
    write("4dgs", "moving.4dgs", still)
    write("spz-sequence", "frames/a_##.spz", still)
    write("usd", "moving.usdc", still)
    write("ply-sequence", "frames/a_##.ply", still)
    if "ply" in found:
        found["ply"] += [_ascii_twin(found["ply"][0]), *_unusual_plys(folder / "ply")]
    if "glb" in found:
        found["glb"].append(_text_twin(found["glb"][0]))
    if "4dgs" in found:
        found["4dgs"].append(_keyframes(folder / "4dgs" / "keyframes.4dgs"))
    shared = Path(__file__).resolve().parents[2] / "shared" / "splats"
    for name, files in {
        "ksplat": ["minimal.ksplat"], "spz": ["minimal-raw.spz", "minimal-v2.spz", "minimal-v3.spz", "minimal-v4.spz"],
        "splat": ["minimal.splat"], "compressed-ply": ["tiny64_sh.compressed.ply"],
    }.items():  # fmt: skip
        found.setdefault(name, []).extend(shared / file for file in files if (shared / file).is_file())
    if (shared / "playbot-lod").is_dir():
        copy = folder / "streamed-sog" / "lod"
        shutil.copytree(shared / "playbot-lod", copy, ignore=shutil.ignore_patterns("3_0", "4_0", "5_0"))
        for file in copy.rglob("*"):
            file.chmod(0o755 if file.is_dir() else 0o644)
        found["streamed-sog"] = [copy]
    return {name: paths for name, paths in found.items() if FORMATS[name].reads}


def _ascii_twin(ply: Path) -> Path:
    import numpy as np

    data = ply.read_bytes()
    end = data.index(b"end_header\n") + 11
    header = data[:end].decode().replace("binary_little_endian", "ascii")
    columns = header.count("property float")
    rows = np.frombuffer(data[end:], "<f4").reshape(-1, columns)
    twin = ply.with_name("ascii.ply")
    twin.write_text(header + "\n".join(" ".join(f"{v:.6g}" for v in row) for row in rows) + "\n")
    return twin


def _unusual_plys(folder: Path) -> list[Path]:
    """2D Gaussians, and SpacetimeGaussians."""
    import numpy as np

    flat = [
        "x",
        "y",
        "z",
        "f_dc_0",
        "f_dc_1",
        "f_dc_2",
        "opacity",
        "scale_0",
        "scale_1",
        *(f"rot_{i}" for i in range(4)),
    ]
    moving = [
        "trbf_center",
        "trbf_scale",
        *(f"motion_{i}" for i in range(9)),
        "scale_2",
        *(f"omega_{i}" for i in range(4)),
    ]
    paths = []
    for name, columns in (("flat.ply", flat), ("spacetime.ply", flat + moving)):
        table = np.random.default_rng(0).uniform(0.1, 0.9, (20, len(columns))).astype("<f4")
        header = "ply\nformat binary_little_endian 1.0\nelement vertex 20\n"
        header += "".join(f"property float {column}\n" for column in columns) + "end_header\n"
        (folder / name).write_bytes(header.encode() + table.tobytes())
        paths.append(folder / name)
    return paths


def _text_twin(glb: Path) -> Path:
    """The same scene as .gltf, its buffer as base64."""
    data = glb.read_bytes()
    size = struct.unpack_from("<I", data, 12)[0]
    said = json.loads(data[20 : 20 + size])
    said["buffers"][0]["uri"] = (
        "data:application/octet-stream;base64," + base64.b64encode(data[28 + size :]).decode()
    )
    twin = glb.with_suffix(".gltf")
    twin.write_text(json.dumps(said))
    return twin


def _keyframes(path: Path) -> Path:
    """A .4dgs of the other model, by the format's own library."""
    import fourdgs
    import numpy as np
    from fourdgs.keyframe_delta_file import Sample, write_sequence

    random = np.random.default_rng(0)

    def sample(time_s: float) -> Sample:
        f32 = {name: random.uniform(0.1, 0.9, (20, k)).astype(np.float32) for name, k in
               (("positions", 3), ("scales", 3), ("rotations", 4), ("colors", 4), ("motions", 3))}  # fmt: skip
        times = {"mu_t": np.full(20, time_s, np.float32), "sigma_t": np.full(20, 1e4, np.float32)}
        windows = {"win_lo": np.zeros(20), "win_hi": np.full(20, 0.3)}
        return Sample(time_s, np.arange(20), fourdgs.GaussianSet(**f32, **times, **windows))

    path.write_bytes(write_sequence([sample(i / 10) for i in range(3)], 0.3))
    return path


def mutated(data: bytes, chance: random.Random) -> bytes:
    """A few changes of a kind that damaged and hostile files have."""
    out = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        if not out:
            return b""
        at = chance.randrange(len(out))
        match chance.randrange(8):
            case 0 | 1:
                out[at] = chance.randrange(256)
            case 2:
                out[at] = chance.choice(INTERESTING)
            case 3:
                del out[at:]
            case 4:
                length = chance.randint(1, 64)
                out[at:at] = out[at : at + length]
            case 5:
                del out[at : at + chance.randint(1, 64)]
            case 6:  # a size field
                at = chance.randrange(min(len(out), 128))
                value = chance.choice((0, 1, 2**31 - 1, 2**32 - 1, 2**31, chance.randrange(2**32)))
                out[at : at + 4] = struct.pack("<I", value)
            case 7:  # a number in text
                numbers = list(re.finditer(rb"-?\d+(\.\d+)?", out[:4000]))
                if numbers:
                    span = chance.choice(numbers).span()
                    out[span[0] : span[1]] = str(
                        chance.choice((-1, 0, 2**31, 2**64, "nan", "1e999", "", "9" * 400, "\0"))
                    ).encode()
    return bytes(out)


def mutated_json(text: bytes, chance: random.Random) -> bytes:
    """JSON in which one value was exchanged, or left out."""
    said = json.loads(text)
    spots = list(_spots(said))
    if spots:
        holder, key = chance.choice(spots)
        if chance.random() < 0.2:
            del holder[key]
        else:
            holder[key] = chance.choice(NUMBERS)
    return json.dumps(said).encode()


def _spots(value):
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inside in list(pairs):
        yield value, key
        yield from _spots(inside)


def damage(seed: Path, place: Path, chance: random.Random) -> Path:
    """A damaged copy of a file or folder."""
    if seed.is_dir():
        target = place / "folder"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(seed, target)
        inside = [p for p in sorted(target.rglob("*")) if p.is_file()]
        file = chance.choice(inside)
        stated = [p for p in inside if p.suffix in STATEMENTS]
        if stated and chance.random() < 0.6:
            file = chance.choice(stated)
        data = file.read_bytes()
        as_json = file.suffix == ".json" and chance.random() < 0.7
        file.write_bytes(mutated_json(data, chance) if as_json else mutated(data, chance))
        return target
    target = place / seed.name
    data = seed.read_bytes()
    if zipfile.is_zipfile(seed) and chance.random() < 0.6:
        target.write_bytes(_mutated_zip(seed, chance))
    elif seed.suffix == ".glb" and chance.random() < 0.6:
        target.write_bytes(_mutated_glb(data, chance))
    elif seed.suffix == ".json" and chance.random() < 0.6:
        target.write_bytes(mutated_json(data, chance))
    else:
        target.write_bytes(mutated(data, chance))
    return target


def _mutated_zip(seed: Path, chance: random.Random) -> bytes:
    from io import BytesIO

    out = BytesIO()
    with zipfile.ZipFile(seed) as source, zipfile.ZipFile(out, "w") as target:
        victim = chance.choice(source.namelist())
        if "meta.json" in source.namelist() and chance.random() < 0.6:
            victim = "meta.json"
        for name in source.namelist():
            data = source.read(name)
            if name == victim:
                as_json = name.endswith(".json") and chance.random() < 0.7
                data = mutated_json(data, chance) if as_json else mutated(data, chance)
                stays = chance.random() < 0.95
                target.writestr(name if stays else chance.choice(("../x", "/x", ".", "a" * 300)), data)
            else:
                target.writestr(name, data)
    return out.getvalue()


def _mutated_glb(data: bytes, chance: random.Random) -> bytes:
    size = struct.unpack_from("<I", data, 12)[0]
    text = mutated_json(data[20 : 20 + size], chance)
    text += b" " * (-len(text) % 4)
    rest = data[20 + size :]
    return (
        b"glTF"
        + struct.pack("<II", 2, 20 + len(text) + len(rest))
        + struct.pack("<I", len(text))
        + b"JSON"
        + text
        + rest
    )


def read_scene_file(path: Path) -> None:
    """As `bridge4d view` opens it, with three frames of one that moves."""
    from recon.scenefiles import read_scene

    found = read_scene(path)
    for frame in list(found.moving.frames)[:3] if found.moving else []:
        len(frame)


def ending(reader: Reader, target: Path) -> tuple[str, str]:
    """How the reading of one file ended, and with which words."""
    from recon.errors import BridgeError

    try:
        reader(target)
    except BridgeError as error:
        text = str(error)
        return ("refused" if text and "\n" not in text.strip() else "no sentence"), text
    except MemoryError:
        return "memory", ""
    except BaseException:
        return "other error", traceback.format_exc(limit=-3)
    return "read", ""


def read_damaged(
    name: str, paths: list[str], start: int, files: int, answers, reader: Reader, memory: int
) -> None:
    """In a child: make and read damaged files, and say of each how it ended."""
    import torch

    torch.set_num_threads(1)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + memory, size + memory))
    with tempfile.TemporaryDirectory() as place, tempfile.TemporaryDirectory() as empty:
        os.chdir(empty)
        for number in range(start, files):
            chance = random.Random(f"{name}/{number}")
            seed = Path(chance.choice(paths))
            target = damage(seed, Path(place), chance)
            answers.send(("begin", number))
            began = time.perf_counter()
            kind, text = ending(reader, target)
            if os.listdir(empty) or os.listdir(place) != [target.name]:
                kind, text = "written", f"{os.listdir(empty)} {os.listdir(place)}"
            answers.send((kind, number, text, time.perf_counter() - began))
            shutil.rmtree(target) if target.is_dir() else target.unlink()
    answers.send(("done", files))


def fuzz(
    name: str,
    paths: list[Path],
    files: int,
    keep: Path,
    *,
    reader: Reader = read_scene_file,
    memory: int = MORE_MEMORY,
) -> dict:
    """All damaged files of one format; the child is started anew where one killed it.

    `reader` is a function of a module, for it runs in the child; `memory` the bytes that it may take.
    """
    context = multiprocessing.get_context("spawn")
    counts: Counter[str] = Counter()
    slowest, number, shown = 0.0, 0, 0
    while number < files:
        ours, theirs = context.Pipe(duplex=False)
        child = context.Process(
            target=read_damaged,
            args=(name, [str(p) for p in paths], number, files, theirs, reader, memory),
        )
        child.start()
        theirs.close()
        current, fate = number, "died"
        try:
            while True:
                if not ours.poll(120 if current == number else SLOW_S):
                    fate = "hung"
                    break
                answer = ours.recv()
                if answer[0] == "done":
                    number, fate = files, ""
                    break
                if answer[0] == "begin":
                    current = answer[1]
                    continue
                kind, current, text, seconds = answer
                counts[kind] += 1
                slowest = max(slowest, seconds)
                if kind not in ("read", "refused") and shown < 5:
                    shown += 1
                    print(f"  {name} #{current}: {kind}\n{text}", file=sys.stderr)
        except EOFError:
            pass
        if fate:
            counts[fate] += 1
            print(f"  {name} #{current}: the reader {fate}", file=sys.stderr)
            chance = random.Random(f"{name}/{current}")
            keep.mkdir(parents=True, exist_ok=True)
            damage(Path(chance.choice([str(p) for p in paths])), keep, chance)
            number = current + 1
        child.kill()
        child.join()
    return {"format": name, **counts, "slowest_s": round(slowest, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=10_000, help="damaged files for each format")
    parser.add_argument("--formats", nargs="*", help="only these")
    parser.add_argument(
        "--keep", type=Path, default=Path("runs/fuzz"), help="where files that kill a reader are kept"
    )
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = seeds(Path(folder), asked.formats)
        failed = False
        for name, paths in found.items():
            if asked.formats and name not in asked.formats:
                continue
            began = time.perf_counter()
            row = fuzz(name, paths, asked.files, asked.keep)
            bad = sum(v for k, v in row.items() if k in BAD)
            failed |= bad > 0
            print(f"{row}  {time.perf_counter() - began:.0f} s", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
