"""Results of readers, options of writers, and reports of writers."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from jaxtyping import Float, Int
from torch import Tensor

from recon.gaussians import Gaussians
from recon.scenefiles.axes import Axes
from recon.sequence import GaussianFrames

RenderMode = Literal["default", "mip", "2dgs"]
"""How a scene was trained to be drawn: plainly, antialiased (Mip-Splatting), or as flat discs."""


@dataclass(frozen=True)
class SceneFile:
    """A splat scene as a file holds it, in the file's own axes."""

    gaussians: Gaussians
    """The scene; of a moving one the first frame."""
    axes: Axes
    axes_stated: bool = False
    """Whether the file states its axes itself; else those usual for the format are assumed."""
    render_mode: RenderMode = "default"
    axes_note: str = ""
    """What a person should know who does not say which axes the file has."""
    notes: tuple[str, ...] = ()
    """What a person should know: what was left out, repaired or assumed. Whole sentences without a full stop."""
    moving: GaussianFrames | None = None
    """All frames, where there are several; `read_scene` leaves out what is not a number, each time a frame is read."""
    stored: GaussianFrames | None = None
    """The same frames as the file has them, so that what is not a number in them can be counted (`clean_frames`)."""
    dropped: int = 0
    """Gaussians that were not numbers and are left out; `read_scene` counts them."""
    files: tuple[Path, ...] = ()
    """Files that it was read from, where that is not just the file that was named."""
    format: str = ""
    """Its name in `recon.scenefiles.registry.FORMATS`; `read_scene` fills it in."""


@dataclass(frozen=True)
class Viewpoint:
    """Where a viewer starts, in the axes of the file."""

    position: tuple[float, float, float]
    target: tuple[float, float, float]
    up: tuple[float, float, float]
    fov_y_deg: float
    """Field of view of the height of the picture."""

    @classmethod
    def of(
        cls,
        position: Float[Tensor, "3"],
        target: Float[Tensor, "3"],
        up: Float[Tensor, "3"],
        fov_y_deg: float,
    ) -> "Viewpoint":
        """From vectors."""
        (px, py, pz), (tx, ty, tz), (ux, uy, uz) = position.tolist(), target.tolist(), up.tolist()
        return cls((px, py, pz), (tx, ty, tz), (ux, uy, uz), fov_y_deg)


@dataclass(frozen=True)
class WriteOptions:
    """Options of all formats; each format takes those that it knows."""

    axes: Axes | None = None
    """None: those of the format."""
    render_mode: RenderMode = "default"
    spz_version: Literal[3, 4] = 3
    """3 packs all attributes in one gzip stream, 4 each in a zstd stream."""
    sh_bits: int | None = None
    """Bits for each SH byte of an SPZ beyond the first band; None: the reference library's 5 and 4."""
    metres_per_unit: float | None = None
    """None: nobody knows."""
    viewpoint: Viewpoint | None = None
    title: str = "scene"
    """Title of a page."""
    bounds: Float[Tensor, "2 3"] | None = None
    """Low and high corner of what a viewer should frame, in the axes of the file; None: the whole scene."""
    crs_wkt: str | None = None
    """Coordinate system of a georeferenced scene, whose numbers are metres from its origin."""
    origin_height_m: float = 0.0
    """Height of that origin."""
    seed: int = 0
    """Seed of codebooks, so that equal scenes give equal files."""


@dataclass(frozen=True)
class Written:
    """Report of a writer on the numbers that it changed."""

    clamped: dict[str, int] = field(default_factory=dict)
    """Attribute → how many of its values lay outside what the format can hold."""
    order: Int[Tensor, "g"] | tuple[Int[Tensor, "_"] | None, ...] | None = None
    """Row i of the file is row order[i] of the scene, of a moving scene frame by frame; None: rows were not moved."""
    files: tuple[Path, ...] = ()
    """What was written, where that is not just the file that was named."""
    dropped: int = 0
    """Gaussians that were no numbers and so were left out; `write_scene` counts them."""
    points: int | None = None
    """Number of points of a point cloud, which holds no Gaussians."""
    notes: tuple[str, ...] = ()
