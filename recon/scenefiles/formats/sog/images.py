"""What the images of a SOG mean: the reader that single and streamed scenes share."""

import math

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from recon.errors import SceneFileError
from recon.gaussians import Gaussians, sh_bases
from recon.scenefiles.axes import Axes
from recon.scenefiles.bounded import check_growth
from recon.scenefiles.formats.sog.meta import META, Meta
from recon.scenefiles.formats.sog.webp import decode_webp
from recon.scenefiles.members import Members
from recon.scenefiles.quantize import opacity_logits, restore_largest
from recon.scenefiles.scene_file import SceneFile
from recon.splats.sh import MAX_DEGREE

PALETTE = 1 << 16
"""Entries; what two bytes can name."""
ENTRIES_IN_ROW = 64
"""Entries in a row of the palette's image."""
QUATERNION_TAG = 252
"""Alpha of a quaternion without w; without x, y and z it is one, two and three more."""
GRANTED = 128 << 20
"""Bytes that are always granted: half a million Gaussians that are all alike fit into a file of 3 kB."""
SPARE_PIXELS = 1 << 16
"""Images may have twice as many pixels as there are Gaussians, and so many more."""


def read_sog(members: Members) -> SceneFile:
    """The scene of a meta.json and its images.

    Raises:
        SceneFileError: a file is missing, damaged, or of another size than the count says.
    """
    meta = Meta(members)
    images = _Images(members, meta)
    color = images.of_gaussians("sh0")
    # in version 1 the fourth channel has a range of logits, in version 2 it is opacity
    ranges = meta.table("sh0", 3 if meta.version == 2 else 4)
    logits = opacity_logits(color[:, 3]) if meta.version == 2 else ranges[3, color[:, 3]]
    arrays = {
        "means": _means(meta, images),
        "quats_wxyz": _quats(images.of_gaussians("quats")),
        "log_scales": _look_up(meta.table("scales", 3), images.of_gaussians("scales")),
        "opacity_logits": logits,
        "sh": _sh(meta, images, _look_up(ranges[:3], color)),
    }
    gaussians = Gaussians(**{name: torch.from_numpy(array) for name, array in arrays.items()})
    mode, notes = meta.render_mode()
    files = () if members.archive is not None else tuple(members.path / name for name in (META, *images.data))
    return SceneFile(gaussians, Axes.RDF, render_mode=mode, notes=notes, files=files)


class _Images:
    """The images of one scene. All are read before the first is decoded, for their bytes bound what is believed."""

    def __init__(self, members: Members, meta: Meta) -> None:
        self.meta, self.path = meta, members.path
        numbers = {"means": 2, "quats": 1, "scales": 1, "sh0": 1} | ({"shN": 2} if meta.has_palette else {})
        self.names = {part: meta.files(part, number) for part, number in numbers.items()}
        self.data = {name: members.read(name) for names in self.names.values() for name in names}
        floats = 11 + 3 * sh_bases(MAX_DEGREE if meta.has_palette else 0)
        if (size := 4 * floats * meta.count) > GRANTED:
            check_growth(size, sum(map(len, self.data.values())), self.path)

    def of_gaussians(self, part: str, index: int = 0) -> UInt8[np.ndarray, "g 4"]:
        """Pixels of a part's image, one for each Gaussian."""
        count = self.meta.count
        pixels = self.decode(part, index, fewest=count, most=2 * count + SPARE_PIXELS)
        return pixels.reshape(-1, 4)[:count]

    def decode(self, part: str, index: int, *, fewest: int, most: int) -> UInt8[np.ndarray, "h w 4"]:
        """Decode an image of a part, with bounds on its pixels."""
        name = self.names[part][index]
        return decode_webp(self.data[name], self.path / name, fewest=fewest, most=most)


def _means(meta: Meta, images: _Images) -> Float32[np.ndarray, "g 3"]:
    low, high = (meta.numbers("means", key, 3) for key in ("mins", "maxs"))
    lower, upper = (images.of_gaussians("means", index) for index in (0, 1))
    means = np.empty((meta.count, 3), np.float32)
    share = np.arange(1 << 16) / 65535
    with np.errstate(over="ignore"):  # what is infinite is left out later
        for axis in range(3):
            logs = low[axis] * (1 - share) + high[axis] * share
            table = (np.sign(logs) * np.expm1(np.abs(logs))).astype(np.float32)
            means[:, axis] = table[lower[:, axis] | upper[:, axis].astype(np.uint16) << 8]
    return means


def _quats(levels: UInt8[np.ndarray, "g 4"]) -> Float32[np.ndarray, "g 4"]:
    dropped = levels[:, 3].astype(np.int64) - QUATERNION_TAG
    kept = (levels[:, :3] / 255 - 0.5) * math.sqrt(2)
    # other alphas say nothing of a rotation; other readers take them for none, too
    kept[dropped < 0] = 0
    return restore_largest(np.maximum(dropped, 0), kept)


def _sh(meta: Meta, images: _Images, constant: Float32[np.ndarray, "g 3"]) -> Float32[np.ndarray, "g k 3"]:
    if not meta.has_palette:
        return constant[:, None]
    widest = ENTRIES_IN_ROW * (sh_bases(MAX_DEGREE) - 1)
    pixels = images.decode("shN", 0, fewest=0, most=widest * PALETTE // ENTRIES_IN_ROW)
    degrees = {ENTRIES_IN_ROW * (sh_bases(d) - 1): d for d in range(1, MAX_DEGREE + 1)}
    degree = degrees.get(pixels.shape[1])
    if degree is None or meta.part("shN").get("bands", degree) != degree:
        raise SceneFileError(
            f"{meta.path} is damaged: the palette of its colours is {pixels.shape[1]} pixels wide, expected 192, 512 or "
            "960 for 1, 2 or 3 bands"
        )
    levels = pixels.reshape(len(pixels) * ENTRIES_IN_ROW, -1, 4)[..., :3]
    count = min(len(levels), meta.whole(meta.part("shN").get("count", len(levels)), "count of shN"))
    bytes_of_label = images.of_gaussians("shN", 1)
    labels = bytes_of_label[:, 0] | bytes_of_label[:, 1].astype(np.int64) << 8
    if len(labels) and labels.max() >= count:
        raise SceneFileError(
            f"{meta.path} is damaged: it names entry {labels.max():,} of a palette of {count:,}"
        )
    sh = np.empty((meta.count, sh_bases(degree), 3), np.float32)
    sh[:, 0] = constant
    sh[:, 1:] = meta.table("shN", 1)[0][levels[:count]][labels]
    return sh


def _look_up(
    table: Float32[np.ndarray, "3 256"], levels: UInt8[np.ndarray, "g c"]
) -> Float32[np.ndarray, "g 3"]:
    return np.stack([channel[levels[:, index]] for index, channel in enumerate(table)], 1)
