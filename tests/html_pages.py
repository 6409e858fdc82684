"""What lies inside a one-file page."""

import base64
import gzip
import json
import re
from pathlib import Path

from recon.gaussians import Gaussians
from recon.scenefiles import read_scene


def parts(page: Path) -> tuple[dict, list[bytes]]:
    """What a page tells its viewer, and the files in it."""
    text = page.read_text()
    told = re.search(r'<script type="application/json" id="page">(.*?)</script>', text)
    files = re.findall(
        r'<script type="application/octet-stream" id="file-(\d+)">([A-Za-z0-9+/=]*)</script>', text
    )
    assert told
    assert [int(number) for number, _ in files] == list(range(len(files)))
    return json.loads(told[1]), [base64.b64decode(data) for _, data in files]


def still_scene(page: Path) -> tuple[dict, Gaussians]:
    """What is told, and the scene inside a page that stands still."""
    told, (data,) = parts(page)
    inside = page.with_name(told["files"][0])
    inside.write_bytes(gzip.decompress(data))
    return told, read_scene(inside).gaussians
