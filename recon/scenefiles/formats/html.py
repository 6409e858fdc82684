"""One HTML page that opens from disk: a viewer, and the scene inside it.

The viewers are built beforehand (`recon/scenefiles/pages`); a page asks for nothing beyond itself. A scene that stands
still is shown by the SuperSplat viewer from a compressed PLY, one that moves by Spark from an SPZ for each frame.
"""

import base64
import gzip
import html
import json
import math
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from recon.compute.files import atomic_write
from recon.errors import SceneFileError
from recon.gaussians import Gaussians
from recon.scenefiles.axes import Axes, axes_from_rdf
from recon.scenefiles.formats import compressed_ply
from recon.scenefiles.formats.spz import scene as spz
from recon.scenefiles.scene_file import Viewpoint, WriteOptions, Written
from recon.sequence import GaussianFrames
from recon.sim3 import Sim3
from recon.splats.similarity import transform_gaussians
from recon.world.upright import turn_upright

PAGES = Path(__file__).parent.parent / "pages"
"""Folder of the compressed viewers, which are built from the sources beside them."""
TITLE, TOLD, FILES = b"<!--title-->", b"<!--page-->", b"<!--files-->"
"""Where a template takes the title, what the viewer is told, and the embedded files, in this order."""
LARGEST_PAGE = 100_000_000
"""Bytes that browsers open without trouble: they hold the text and what is decoded from it at the same time."""
BACKGROUND = (0.086, 0.094, 0.11)
"""sRGB behind the scene: dark and neutral, as around pictures in an editor."""
FOV_Y_DEG = 50.0
"""Vertical field of view where no viewpoint is given; that of a phone's photo."""
FROM_ABOVE_DEG = 12.0
"""From how far above the scene is then seen."""
MIDDLE = (0.02, 0.98)
"""Quantiles along each axis between which the framed part lies; the far shell of a trained scene is 1% of it."""
MOST_MEASURED = 1_000_000
"""Gaussians whose quantiles are taken; of larger scenes every n-th."""
USUAL_SIZES, USUAL_SIZE = (1.0, 100.0), 10.0
"""Diagonals that viewers are made for, who fly at 4 units a second; other scenes are scaled to the last number."""
SH_BITS = 6
"""Bits of view-dependent colour in frames: a quarter more bytes than with SPZ's usual 5 and 4, and 4 dB nearer to the scene."""
GZIP_LEVEL = 6
"""Level 9 takes three times as long for 1% less."""

File = tuple[bytes, Written]
"""An embedded file, and what its writer did to the numbers."""


@dataclass(frozen=True)
class _Viewer:
    template: str
    axes: Axes
    """Axes of the files that it is given."""


_STATIC = _Viewer("static.html.gz", Axes.RDF)
_MOVING = _Viewer("moving.html.gz", Axes.RUB)
"""Its frames are SPZ files, whose axes are right, up, back."""


def write(scene: Gaussians | GaussianFrames, path: Path, options: WriteOptions) -> Written:
    """Write the page; it opens at `options.viewpoint`, else in front of the scene.

    Raises:
        SceneFileError: there is nothing to show.
    """
    if isinstance(scene, Gaussians):
        scene = GaussianFrames(torch.zeros(1, dtype=torch.float64), (scene,))
    sample = next((frame for frame in scene.frames if len(frame)), None)
    if sample is None:
        raise SceneFileError(f"{path.name} would be an empty page: the scene has no Gaussians to look at")
    axes = cast(Axes, options.axes)
    bounds = _bounds(sample, options.bounds)
    view = options.viewpoint or _in_front(bounds, axes)
    still = _still_rows(scene)
    viewer = _STATIC if still is not None and bool(still.all()) else _MOVING
    page_from_scene = _place(bounds, view, axes, viewer.axes)

    def place(frame: Gaussians) -> Gaussians:
        """Transform a frame to the axes of the page."""
        return transform_gaussians(frame, page_from_scene)

    inner = replace(
        options, axes=viewer.axes, sh_bits=options.sh_bits or SH_BITS, spz_version=3
    )  # Spark reads no 4
    told = _viewer_settings(page_from_scene, bounds, view) | {"antialiased": options.render_mode == "mip"}
    if viewer is _STATIC:
        told["files"] = ["scene.compressed.ply"]
        files = _static_file(place(sample), inner)
    else:
        told["times"] = (scene.times_s - scene.times_s[0]).tolist()
        told["files"] = [f"{i}.spz" for i in range(len(scene) + int(still is not None))]
        files = _moving_files(scene, still, place, inner)
    written = _fill(path, viewer, options.title, told, files)
    return replace(written, notes=(*written.notes, *_size_note(path, viewer)))


def _bounds(scene: Gaussians, given: Float[Tensor, "2 3"] | None) -> Float[Tensor, "2 3"]:
    """A box around most of the scene, without a far shell or strays; never flat. Within what is given, if they meet."""
    means = scene.means[:: max(1, len(scene) // MOST_MEASURED)].double()
    low, high = torch.quantile(means, torch.tensor(MIDDLE, dtype=torch.float64), dim=0)
    reach = 2 * float(scene.log_scales.max(1).values.median().exp())
    box = torch.stack([low - reach, high + reach])
    if given is None:
        return box
    given = given.double()
    shared = torch.stack([torch.maximum(box[0], given[0]), torch.minimum(box[1], given[1])])
    return shared if bool((shared[0] < shared[1]).all()) else given


def _in_front(bounds: Float[Tensor, "2 3"], axes: Axes) -> Viewpoint:
    """A view of the whole box from its front, a little from above."""
    turn, angle = axes_from_rdf(axes), math.radians(FROM_ABOVE_DEG)
    outwards = torch.tensor([0.0, -math.sin(angle), -math.cos(angle)], dtype=torch.float64)
    up = torch.tensor([0.0, -1.0, 0.0], dtype=torch.float64)
    middle, radius = bounds.mean(0), float((bounds[1] - bounds[0]).norm()) / 2
    position = middle + turn @ outwards * (radius / math.sin(math.radians(FOV_Y_DEG / 2)))
    return Viewpoint.of(position, middle, turn @ up, FOV_Y_DEG)


def _place(bounds: Float[Tensor, "2 3"], view: Viewpoint, axes: Axes, page_axes: Axes) -> Sim3:
    """Into the page: the viewpoint's up is up, the box lies about the origin and has a usual size."""
    rdf_from_scene = axes_from_rdf(axes).T
    upright = turn_upright(rdf_from_scene @ torch.tensor(view.up, dtype=torch.float64))
    rotation = axes_from_rdf(page_axes) @ upright @ rdf_from_scene
    size = float((bounds[1] - bounds[0]).norm())
    scale = 1.0 if USUAL_SIZES[0] <= size <= USUAL_SIZES[1] or size == 0 else USUAL_SIZE / size
    return Sim3(torch.tensor(scale, dtype=torch.float64), rotation, -scale * (rotation @ bounds.mean(0)))


def _viewer_settings(page_from_scene: Sim3, bounds: Float[Tensor, "2 3"], view: Viewpoint) -> dict:
    """Settings of both viewers, in the axes of the page's files."""
    points = torch.tensor([view.position, view.target], dtype=torch.float64)
    position, target = page_from_scene.points(points).tolist()
    corners = page_from_scene.points(torch.cartesian_prod(*bounds.T))
    return {
        "camera": {"position": position, "target": target, "fovYDeg": view.fov_y_deg},
        "bounds": [corners.min(0).values.tolist(), corners.max(0).values.tolist()],
        "background": BACKGROUND,
    }


def _still_rows(scene: GaussianFrames) -> Bool[Tensor, "g"] | None:
    """Masks rows that are the same in all frames; None where there are none, or frames differ in size."""
    first = scene.frames[0]
    still = torch.ones(len(first), dtype=torch.bool)
    for i in range(1, len(scene)):
        frame = scene.frames[i]
        if len(frame) != len(first) or frame.sh.shape != first.sh.shape:
            return None
        for name, value in frame.tensors().items():
            still &= (value == first.tensors()[name]).reshape(len(first), -1).all(1)
    return still if still.any() else None


def _static_file(scene: Gaussians, options: WriteOptions) -> Iterator[File]:
    data, written = _bytes_of(compressed_ply.write, scene, options)
    yield (
        gzip.compress(data, GZIP_LEVEL, mtime=0),
        written,
    )  # without the time, the same scene gives the same page


def _moving_files(
    scene: GaussianFrames,
    still: Bool[Tensor, "g"] | None,
    place: Callable[[Gaussians], Gaussians],
    options: WriteOptions,
) -> Iterator[File]:
    """What moves, frame by frame, then what stands still."""
    for i in range(len(scene)):
        frame = scene.frames[i]
        yield _bytes_of(spz.write, place(frame if still is None else frame[~still]), options)
    if still is not None:
        yield _bytes_of(spz.write, place(scene.frames[0][still]), options)


def _bytes_of(
    write_format: Callable[[Gaussians, Path, WriteOptions], Written], scene: Gaussians, options: WriteOptions
) -> File:
    """A file of another format; none of a moment without Gaussians."""
    if len(scene) == 0:
        return b"", Written()
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "scene"
        written = write_format(scene, target, options)
        return target.read_bytes(), written


def _fill(path: Path, viewer: _Viewer, title: str, told: dict, files: Iterable[File]) -> Written:
    """Write the template with everything in its place; adds up what the writers of the files did."""
    head, rest = gzip.decompress((PAGES / viewer.template).read_bytes()).split(TITLE)
    middle, rest = rest.split(TOLD)
    before, after = rest.split(FILES)
    # the characters "</script>" in it would end the element that holds it
    settings = json.dumps(told).replace("<", "\\u003c").encode()
    clamped: Counter[str] = Counter()
    notes: dict[str, None] = {}
    with atomic_write(path) as beside, beside.open("wb") as page:
        page.writelines([head, html.escape(title).encode(), middle, settings, before])
        for i, (data, written) in enumerate(files):
            page.writelines(
                [b'<script type="application/octet-stream" id="file-%d">' % i, base64.b64encode(data)]
            )
            page.write(b"</script>\n")
            clamped.update(written.clamped)
            notes |= dict.fromkeys(written.notes)
        page.write(after)
    return Written(clamped=dict(clamped), notes=tuple(notes))


def _size_note(path: Path, viewer: _Viewer) -> tuple[str, ...]:
    size = path.stat().st_size
    if size <= LARGEST_PAGE:
        return ()
    frames = " or fewer frames (--fps, --frames)" if viewer is _MOVING else ""
    return (
        f"the page has {size / 1e6:,.0f} MB, and browsers open pages beyond {LARGEST_PAGE / 1e6:,.0f} MB slowly or not "
        f"at all; leave out Gaussians (--max-gaussians) or view-dependent colour (--sh-degree){frames}",
    )
