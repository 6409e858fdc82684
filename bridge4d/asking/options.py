"""What a world model is asked for before its clips are measured; every field is a flag of `bridge4d measure`."""

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import tyro

from bridge4d.stages.options import ModelChoice, check_least
from recon.errors import BridgeError

DEFAULT_EXTENT = 0.3
"""Largest distance between two cameras of a laid path, as a share of the median depth of the photos: the path shows parallax of
several per cent of the picture, and at its end the photos still show most of what is seen. Twice as much leads through furniture."""


@dataclass(frozen=True)
class AskOptions(ModelChoice):
    model: Annotated[str | Any | None, tyro.conf.arg(constructor=str)] = None
    """Instead of CLIPS: ask this world model for clips, and measure those; `bridge4d models` lists them. Ask another one into the same
    --out, and its clips join the report."""
    paths: tuple[str, ...] = ()
    """Along these camera paths: files (RealEstate10K, transforms.json, COLMAP, TUM, KITTI …), folders of such files or of clips with
    cameras, or orbit, spiral, dolly, interpolate."""
    photos: Path | None = None
    """From these photos. Either one capture, at whose photos the paths begin, or a folder with a picture or clip for each path, of its
    name, which the first camera of the path (or of a clip, each camera) took."""
    context: int = 1
    """Of a clip for each path: how many frames the model is shown, from the first on, spread over the clip. 1: the first alone."""
    starts: int = 1
    """Of one capture: at how many photos each path is begun; each is a clip."""
    in_place: bool = False
    """Files of cameras are in the frame of the capture, and are not laid at its photos."""
    extent: float = DEFAULT_EXTENT
    """Length of a laid path: the largest distance between two of its cameras, over the median depth of the photos."""
    path_frames: int | None = None
    """Cameras of each path, spread evenly; by default those of its file, and 24 of orbit and the like."""
    picture_side: int = 480
    """Long side in pixels of the photos, and of the clips that are asked for."""
    prompt: str | None = None
    """In words what is to be seen, for models that take words."""
    label: str | None = None
    """Name of the model in the report, and of the folder of its clips; by default its own."""

    def __post_init__(self) -> None:
        if self.model is None:
            self._refuse_without_model()
            return
        super().__post_init__()
        check_least(self, {"context": 1, "starts": 1, "path_frames": 3, "picture_side": 32})
        if not 0 < self.extent < math.inf:
            raise BridgeError(f"expected --extent above 0, got {self.extent:g}")

    def check(self) -> None:
        """Refuse a model without what it is to be asked.

        Raises:
            BridgeError: which says what is missing.
        """
        if self.model is not None and not (self.paths and self.photos):
            missing = "--paths" if self.photos else "--photos"
            raise BridgeError(
                f"asking a world model for clips needs {missing} too, as in: bridge4d measure --model {self.model} --paths paths/ "
                "--photos photos/ --out runs/asked"
            )

    def _refuse_without_model(self) -> None:
        given = [
            one.name
            for one in fields(self)
            if one.name not in ("model", "model_options") and getattr(self, one.name) != one.default
        ]
        if given:
            raise BridgeError(
                f"--{given[0].replace('_', '-')} needs --model: it says how a world model is asked"
            )
