"""SOG (PlayCanvas): a scene as WebP images of bytes, in a ZIP archive (.sog) or beside a meta.json.

Positions are 16 bits of their logarithm, quaternions lack their largest component, scales and colours are entries of
codebooks, view dependence is an entry of a palette. Written: version 2. Read: 1 (ranges instead of codebooks) and 2.
"""

import json
import math
import zipfile
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Integer, UInt8

from recon.compute.files import atomic_write
from recon.errors import SceneFileError
from recon.gaussians import Gaussians, morton_order
from recon.scenefiles.formats.sog.codebook import find_codebook, nearest_entries
from recon.scenefiles.formats.sog.images import ENTRIES_IN_ROW, PALETTE, QUATERNION_TAG, read_sog
from recon.scenefiles.formats.sog.meta import META, MODELS
from recon.scenefiles.formats.sog.palette import find_palette
from recon.scenefiles.formats.sog.webp import LARGEST_SIDE, encode_webp
from recon.scenefiles.members import open_members
from recon.scenefiles.quantize import drop_largest, opacity_bytes, to_levels
from recon.scenefiles.scene_file import SceneFile, WriteOptions, Written


def read(path: Path) -> SceneFile:
    """A .sog archive, or the scene of a meta.json and the images beside it.

    Raises:
        SceneFileError: no such file, no SOG, an image missing, damaged or of another size than the count says.
    """
    return read_sog(open_members(path, META))


def write(scene: Gaussians, path: Path, options: WriteOptions) -> Written:
    """Write in Morton order; 65,536 Gaussians or fewer are their own palette, so that only its codebook errs.

    Raises:
        SceneFileError: more Gaussians than an image has pixels.
    """
    means = scene.means.double()
    logs = means.sign() * means.abs().log1p()
    order = morton_order(logs, bits=21)
    files = _Encoder(len(scene)).encode(scene[order], logs[order].numpy(), options)
    if path.name.lower() != META:
        with atomic_write(path) as beside, zipfile.ZipFile(beside, "w") as archive:
            for name, data in files.items():
                # all of one date, so that the same scene gives the same bytes
                archive.writestr(zipfile.ZipInfo(name), data)
        return Written(order=order)
    paths = {name: path if name == META else path.with_name(name) for name in files}
    with ExitStack() as stack:
        # they take their places together at the end, meta.json as the last
        beside = {name: stack.enter_context(atomic_write(file)) for name, file in paths.items()}
        for name, data in files.items():
            beside[name].write_bytes(data)
    return Written(order=order, files=tuple(paths.values()))


class _Encoder:
    """Images of one scene, encoded on all cores while the palette is sought."""

    def __init__(self, count: int) -> None:
        # an image has at least one pixel, and sides that four divides as those of other writers
        self.width = max(4, math.ceil(math.sqrt(count) / 4) * 4)
        self.height = max(4, math.ceil(count / self.width / 4) * 4)
        if max(self.width, self.height) > LARGEST_SIDE:
            raise SceneFileError(
                f"a SOG holds up to {(LARGEST_SIDE // 4 * 4) ** 2:,} Gaussians and the scene has {count:,}; "
                "leave some out (--max-gaussians) or write .spz or .ply"
            )
        self.images: dict[str, Future[bytes]] = {}

    def encode(
        self, scene: Gaussians, logs: Float[np.ndarray, "g 3"], options: WriteOptions
    ) -> dict[str, bytes]:
        """meta.json and the images by their names."""
        meta: dict[str, Any] = {"version": 2, "asset": {"generator": "bridge4d"}, "count": len(scene)}
        if options.render_mode in MODELS:
            meta["model"] = MODELS[options.render_mode]
        with ThreadPoolExecutor() as self.pool:
            meta["means"] = self._means(logs)
            meta["quats"] = self._quats(scene.quats_wxyz.numpy())
            meta["scales"] = self._encode("scales.webp", scene.log_scales.numpy())
            opacity = opacity_bytes(scene.opacity_logits.numpy())
            meta["sh0"] = self._encode("sh0.webp", scene.sh[:, 0].numpy(), opacity)
            if scene.sh_degree:
                meta["shN"] = self._palette(scene, options.seed)
            files = {META: json.dumps(meta, separators=(",", ":"), allow_nan=False).encode("ascii")}
            return files | {name: image.result() for name, image in self.images.items()}

    def _means(self, logs: Float[np.ndarray, "g 3"]) -> dict[str, Any]:
        low, high = (logs.min(0), logs.max(0)) if len(logs) else (np.zeros(3), np.zeros(3))
        # in float64, whose 16 bits are exact; where all are alike every level means the same
        levels = np.rint((logs - low) * (65535 / np.where(high > low, high - low, 1))).astype(np.uint16)
        files = [self._image("means_l.webp", levels & 255), self._image("means_u.webp", levels >> 8)]
        return {"mins": low.tolist(), "maxs": high.tolist(), "files": files}

    def _quats(self, quats: Float[np.ndarray, "g 4"]) -> dict[str, Any]:
        largest, kept = drop_largest(quats)
        levels, _ = to_levels(kept, 255 / math.sqrt(2), 127.5)
        return {"files": [self._image("quats.webp", levels, QUATERNION_TAG + largest)]}

    def _encode(
        self, name: str, values: Float[np.ndarray, "g 3"], alpha: UInt8[np.ndarray, "g"] | None = None
    ) -> dict[str, Any]:
        codebook = find_codebook(values.ravel())
        return {
            "codebook": _shortest(codebook),
            "files": [self._image(name, nearest_entries(codebook, values), alpha)],
        }

    def _palette(self, scene: Gaussians, seed: int) -> dict[str, Any]:
        rest = scene.sh[:, 1:]
        entries, labels = (each.numpy() for each in find_palette(rest.flatten(1), PALETTE, seed=seed))
        # numbered as Gaussians name them first, which takes a third off the image of small scenes
        used, first = np.unique(labels, return_index=True)
        used = used[np.argsort(first)]
        numbers = np.empty(len(entries), np.int64)
        numbers[used] = np.arange(len(used))
        entries, numbers = entries[used], numbers[labels]
        self._image("shN_labels.webp", np.stack([numbers & 255, numbers >> 8, numbers * 0], 1))
        codebook = find_codebook(entries.ravel())
        rows = math.ceil(max(1, len(entries)) / ENTRIES_IN_ROW)
        pixels = np.full((rows * ENTRIES_IN_ROW, rest.shape[1], 4), 255, np.uint8)
        coded = nearest_entries(codebook, entries)
        pixels[: len(entries), :, :3] = coded.reshape(-1, rest.shape[1], 3)
        self._submit("shN_centroids.webp", pixels.reshape(rows, -1, 4))
        return {
            "count": len(entries),
            "bands": scene.sh_degree,
            "codebook": _shortest(codebook),
            "files": ["shN_centroids.webp", "shN_labels.webp"],
        }

    def _image(
        self, name: str, values: Integer[np.ndarray, "g 3"], alpha: Integer[np.ndarray, "g"] | None = None
    ) -> str:
        """One pixel a Gaussian, row by row; what is left over stays 0, opaque where no alpha is given."""
        pixels = np.zeros((self.height * self.width, 4), np.uint8)
        pixels[: len(values), :3] = values
        if alpha is None:
            pixels[:, 3] = 255
        else:
            pixels[: len(values), 3] = alpha
        self._submit(name, pixels.reshape(self.height, self.width, 4))
        return name

    def _submit(self, name: str, pixels: UInt8[np.ndarray, "h w 4"]) -> None:
        self.images[name] = self.pool.submit(encode_webp, pixels)


def _shortest(values: Float[np.ndarray, "n"]) -> list[float]:
    """Numbers of as few digits as tell their float32 from others."""
    return [float(str(value)) for value in values]
