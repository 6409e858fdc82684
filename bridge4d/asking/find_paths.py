"""Find the camera paths along which a model is asked, and read them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bridge4d.rendering.paths import PATH_KINDS, CameraPath
from eval.poses import scene_extent
from recon.camera_files import holds_cameras, read_path
from recon.camera_files.formats.colmap import find_model
from recon.cameras import Cameras
from recon.clips.source import CAMERA_SUFFIXES, find_cameras_beside, safe_name
from recon.errors import BridgeError, CameraError
from recon.pictures.frame_files import natural_key
from recon.videos.read import SUFFIXES as VIDEOS
from worldgen import trajectories

MAX_NAMED = 3
"""Paths that an error names."""


@dataclass(frozen=True)
class AskedPath:
    """One camera path."""

    name: str
    """Unique among the paths, and part of a file name."""
    file: Path | None
    """Where its cameras are stated; None for orbit and the like, which `name` then is."""


def find_paths(given: Sequence[str]) -> list[AskedPath]:
    """The paths behind names, files and folders, in their order and by their names.

    Raises:
        BridgeError: none there, or two of one name.
    """
    found: list[AskedPath] = []
    for one in given:
        place = Path(one)
        if one in PATH_KINDS:
            found.append(AskedPath(one, None))
        elif not place.exists():
            raise BridgeError(
                f"expected --paths {', '.join(PATH_KINDS)}, a file of cameras or a folder of such files, but there is no {one}"
            )
        elif place.is_file() or _holds_cameras(place):
            found.append(_path_of(place))
        else:
            inside = sorted(place.iterdir(), key=lambda path: natural_key(path.name))
            paths = [_path_of(path) for path in inside if _states_path(path)]
            if not paths:
                raise BridgeError(
                    f"expected files of cameras in {place}, or clips with cameras, found neither; files end in "
                    f"{', '.join(CAMERA_SUFFIXES)}"
                )
            found += paths
    names = [path.name.casefold() for path in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise BridgeError(
            f"expected paths of different names, got several called {', '.join(twice[:MAX_NAMED])}"
        )
    return found


def read_asked(
    path: AskedPath,
    *,
    width: int,
    height: int,
    convention: str | None = None,
    frames: int | None = None,
    needs_lens: bool = False,
) -> CameraPath:
    """The cameras of a file, for pictures of this size where it states none, `frames` of them.

    Raises:
        CaptureError, CameraError: as `recon.camera_files.read_path`; with `needs_lens` a file that states no lens.
    """
    assert path.file is not None
    found = read_path(path.file, width=width, height=height, convention=convention)
    if needs_lens and not found.intrinsics_known:
        raise CameraError(
            f"{path.file} states no lens, and photos of their own have none either; give paths with intrinsics (RealEstate10K, "
            "transforms.json, COLMAP), or one capture as --photos"
        )
    cameras = found.cameras
    if frames is not None and frames != len(cameras) and len(cameras) > 1:
        cameras = trajectories.interpolate(cameras, count=frames, smooth=True)
    return CameraPath(cameras, f"{len(cameras)} cameras of {path.file.name}", False, found.notes)


def lay_path(path: Cameras, start: Cameras, *, extent: float | None) -> Cameras:
    """Move a path so that its first camera is `start`.

    The lens is that of `start`, and zooms where the path does. A path that stands keeps its size.

    Args:
        start: one camera.
        extent: largest distance between two cameras, in the unit of `start`; None leaves it.
    """
    relative = path.cam_from_world.double() @ path.cam_from_world[:1].double().inverse()
    length = scene_extent(path)  # None of one that stands: its rounding is no path
    if extent is not None and length is not None:
        relative[:, :3, 3] *= extent / length
    K = start.K.double().repeat(len(path), 1, 1)
    zoom = path.K[:, 0, 0].double() / path.K[0, 0, 0].double()
    K[:, 0, 0] *= zoom
    K[:, 1, 1] *= zoom
    return Cameras(relative @ start.cam_from_world.double(), K, start.width, start.height).validate()


def _path_of(place: Path) -> AskedPath:
    name = place.stem if place.is_file() else place.name
    if name == "transforms":  # every one is called so
        name = place.absolute().parent.name
    cameras = place
    if place.is_dir() or place.suffix.lower() in VIDEOS:
        beside, _ = find_cameras_beside(place)
        assert beside is not None
        cameras = beside
    return AskedPath(safe_name(name).replace("/", "_"), cameras)


def _holds_cameras(folder: Path) -> bool:
    return (folder / "transforms.json").is_file() or find_model(folder) is not None


def _states_path(place: Path) -> bool:
    """Whether a file states cameras, or a folder or video has some inside or beside it."""
    if place.name.startswith("."):
        return False
    if place.is_dir():
        return find_cameras_beside(place)[0] is not None
    if place.suffix.lower() not in CAMERA_SUFFIXES:
        return False
    return holds_cameras(place)
