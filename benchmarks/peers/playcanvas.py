"""PlayCanvas's engine (npm, MIT), as a reader of GLB with KHR_gaussian_splatting: its own parser, run without a page.

npm installs it beside splat-transform, where it is looked for (`benchmarks.peers.splat_transform`).
"""

import json
import os
import subprocess
from pathlib import Path

import numpy as np

from benchmarks.peers import splat_transform
from recon.errors import MissingDependencyError
from recon.gaussians import Gaussians

ENGINE = Path("playcanvas/build/playcanvas/src")
PARSER = ENGINE / "framework/parsers/glb/extensions/khr-gaussian-splatting.js"
DATA = ENGINE / "scene/gsplat/gsplat-data.js"
# The parser makes numbers, then things of a GPU, which is not there: the numbers are caught in between.
SCRIPT = """
import fs from 'node:fs';
const [parser, data, source, target] = process.argv.slice(-4);
const { khrGaussianSplatting } = await import(parser);
const { GSplatData } = await import(data);
GSplatData.prototype.reorderData = function () {
    const properties = this.elements[0].properties;
    fs.writeFileSync(target, JSON.stringify(properties.map(p => p.name)) + '\\n');
    for (const p of properties) fs.appendFileSync(target, new Uint8Array(p.storage.buffer));
    process.exit(0);
};
const file = fs.readFileSync(source);
const size = file.readUInt32LE(12);
const gltf = JSON.parse(file.subarray(20, 20 + size));
const start = 28 + size;
const views = gltf.bufferViews.map(v => new Uint8Array(file.subarray(start + v.byteOffset, start + v.byteOffset + v.byteLength)));
khrGaussianSplatting.createResources(null, gltf, views);
process.exit(1);
"""


def missing() -> str | None:
    """Why the engine cannot be run here; None where it can."""
    return splat_transform.missing() or (
        None if (_modules() / PARSER).is_file() else "PlayCanvas is not beside it"
    )


def read_glb(path: Path) -> Gaussians:
    """The scene of a GLB in the axes of the file, in float32.

    Raises:
        MissingDependencyError: the engine is not here.
        RuntimeError: it does not read the file; with what it said.
    """
    if reason := missing():
        raise MissingDependencyError(reason)
    target = path.with_suffix(".columns")
    modules = [(_modules() / part).as_uri() for part in (PARSER, DATA)]
    command = [
        str(splat_transform.node()),
        "--input-type=module",
        "-e",
        SCRIPT,
        "--",
        *modules,
        str(path),
        str(target),
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"PlayCanvas does not read {path}: {done.stderr.strip()}")
    head, _, body = target.read_bytes().partition(b"\n")
    names = json.loads(head)
    columns = dict(
        zip(names, np.frombuffer(body, "<f4").reshape(len(names), -1).astype(np.float64), strict=True)
    )
    # linear in a GLB; the engine keeps them so
    columns |= {name: np.log(values) for name, values in columns.items() if name.startswith("scale_")}
    columns["opacity"] = np.log(columns["opacity"]) - np.log1p(-columns["opacity"])
    return splat_transform.from_columns(columns)


def _modules() -> Path:
    """The node_modules that splat-transform lies in."""
    cli = Path(os.environ[splat_transform.VARIABLE]).resolve()
    return next((folder for folder in cli.parents if folder.name == "node_modules"), cli.parent)
