"""The frame that a scene is exported in: upright, in metres, on the map, or where the user wants it."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from bridge4d.dataset.originals import find_originals, find_photos
from bridge4d.exporting.options import LARGEST_SCALE, ExportOptions
from bridge4d.runs.run_json import CaptureSaid, SfmSaid
from bridge4d.runs.store import similarity_from_json
from bridge4d.runs.typed_json import read_typed, understood
from bridge4d.scenes import LoadedScene
from recon.bounded import read_json
from recon.camera_files.rigid import check_quaternion
from recon.errors import BridgeError, CaptureError, SceneFileError
from recon.scenefiles.axes import Axes, axes_from_rdf
from recon.sim3 import Sim3
from recon.world.georeference import Georeference, georeference_photos, georeference_points
from recon.world.upright import Up, estimate_up, turn_upright

NOT_ORTHOGONAL = 1e-4
"""How far a given rotation may be from one; more is a shear, which Gaussians could follow but cameras not."""
PARTS = frozenset({"scale", "rotation", "quaternion_wxyz", "translation"})
"""Of a similarity in JSON."""
METRIC_WORD = "metric"
"""A transforms.json says so in its `scale`."""


@dataclass(frozen=True)
class ExportFrame:
    """Where the exported scene lies relative to the scene as it is."""

    out_from_scene: Sim3
    """Both in the project's axes."""
    up: str
    """How the vertical is known, for people."""
    metres_per_unit: float | None = None
    """Of the exported scene: 1 where it is in metres, None where nobody knows."""
    scale_from: str = "unknown: the scene's own unit"
    """How the unit is known, in words."""
    georeference: Georeference | None = None
    """Where the exported scene lies on the map."""
    gps: Georeference | None = None
    """What told its scale, where it was not put on the map."""

    def as_json(self, axes: Axes) -> dict:
        """What the sidecar says of a file with these axes."""
        turn = replace(Sim3.identity(), rotation=axes_from_rdf(axes))
        file_from_scene = turn.compose(self.out_from_scene)
        said: dict = {
            "up": self.up,
            "metres_per_unit": self.metres_per_unit,
            "scale_from": self.scale_from,
            "scale": float(file_from_scene.scale),
            "file_from_scene": _matrix(file_from_scene),
        }
        if self.gps is not None:
            said["gps"] = self.gps.residuals_as_json()
        if self.georeference is not None:
            file_from_enu = file_from_scene.compose(self.georeference.enu_from_scene.inverse())
            said["georeference"] = self.georeference.as_json() | {"file_from_enu": _matrix(file_from_enu)}
        return said


def choose_frame(scene: LoadedScene, options: ExportOptions) -> ExportFrame:
    """Compose what was asked for: transform or gravity, map or metres, scale.

    Raises:
        BridgeError: metres or a place on the map that nothing tells, or an unusable transform file.
    """
    up = _up(scene)
    if options.georeference != "none":
        frame = _on_the_map(scene, options.georeference, up)
    elif options.transform is not None:
        given = _read_transform(options).compose(_capture_from_scene(scene))
        frame = ExportFrame(given, "as the given transform has it")
    elif options.axes == "raw":
        frame = ExportFrame(_capture_from_scene(scene), "the scene's own frame, as asked")
    elif up is None:
        frame = ExportFrame(Sim3.identity(), "as the file has it")
    else:
        unit = _capture_from_scene(scene).scale
        turn = replace(Sim3.identity(), scale=unit, rotation=turn_upright(up.direction))
        frame = ExportFrame(turn, up.source)
    if options.georeference == "none":
        frame = _convert_to_metres(scene, frame, up, required=options.metric)
    return frame if options.scale == 1 else _scale_frame(frame, options.scale)


def _up(scene: LoadedScene) -> Up | None:
    cameras = scene.cameras()
    return None if cameras is None else estimate_up(cameras, scene.points)


def _capture_from_scene(scene: LoadedScene) -> Sim3:
    """A run works near the origin, in a unit of its own, where its capture is far away or very large or small."""
    about = scene.source / "capture" / "capture.json"
    if not scene.is_run or not about.is_file():
        return Sim3.identity()
    with understood(about, "capture_from_scene is no similarity"):
        said: CaptureSaid = read_typed(about, CaptureSaid)
        return similarity_from_json(said.get("capture_from_scene"))


def _read_transform(options: ExportOptions) -> Sim3:
    return Sim3.identity() if options.transform is None else read_similarity(options.transform)


def _on_the_map(scene: LoadedScene, source: str, up: Up | None) -> ExportFrame:
    """East, north and up in metres; memory has right, down and front: east is right, north is front."""
    found = _georeference(scene, source, up)
    rdf_from_enu = replace(Sim3.identity(), rotation=axes_from_rdf(Axes.Z_UP).T.contiguous())
    return ExportFrame(
        rdf_from_enu.compose(found.enu_from_scene),
        f"{found.source}: east, north and up of the median place",
        metres_per_unit=1.0,
        scale_from=found.source,
        georeference=found,
    )


def _georeference(scene: LoadedScene, source: str, up: Up | None) -> Georeference:
    centers = {v.name: v.camera.centers[0] for v in scene.views if v.role != "generated"}
    vertical = None if up is None else up.direction
    if source != "gps":
        return georeference_points(Path(source), centers, up=vertical)
    if not centers:
        raise CaptureError(
            f"{scene.source} has no photos with cameras, so that their GPS is not known; give a run folder, or control points "
            "(--georeference points.csv)"
        )
    photos = {
        n: original.photo.file
        for n, original in find_originals(scene.source).items()
        if original.frame is None
    }
    return georeference_photos(photos, centers, up=vertical)


def _convert_to_metres(
    scene: LoadedScene, frame: ExportFrame, up: Up | None, *, required: bool
) -> ExportFrame:
    """The frame in metres where they were asked for; else with what the capture says of its unit."""
    known = _explain_known_metres(scene)
    if not required and known is None:
        return frame
    if known is not None:
        # of the capture's unit; the scene may have one of its own
        metres, source, found = float(_capture_from_scene(scene).scale), known, None
    else:
        try:
            found = _georeference(scene, "gps", up)
        except BridgeError as error:
            raise BridgeError(
                f"--metric needs to know how long a unit is, and nothing tells: {error}; or give the factor with --scale"
            ) from error
        metres, source = float(found.enu_from_scene.scale), found.source
    # a transform that was given may have changed the unit already
    unit = metres / float(frame.out_from_scene.scale)
    frame = replace(frame, metres_per_unit=unit, scale_from=source, gps=found)
    return _scale_frame(frame, unit) if required else frame


def _scale_frame(frame: ExportFrame, factor: float) -> ExportFrame:
    scaled = replace(Sim3.identity(), scale=torch.tensor(factor, dtype=torch.float64))
    unit = None if frame.metres_per_unit is None else frame.metres_per_unit / factor
    return replace(frame, out_from_scene=scaled.compose(frame.out_from_scene), metres_per_unit=unit)


def _explain_known_metres(scene: LoadedScene) -> str | None:
    """What says that the unit of a run's capture is the metre; None where nothing does."""
    if _is_capture_metric(scene):
        return "the capture, which says that it is metric"
    about = scene.source / "sfm" / "sfm.json"
    if not scene.is_run or not about.is_file():
        return None
    said: SfmSaid = read_typed(about, SfmSaid)
    found = said.get("georeference")
    return (
        None
        if found is None
        else f"the run, which was put in metres by the {found.get('source', 'GPS of its photos')}"
    )


def _is_capture_metric(scene: LoadedScene) -> bool:
    """Whether the capture of a run says that its cameras are in metres."""
    about = scene.source / "capture" / "capture.json"
    if not scene.is_run or not about.is_file():
        return False
    said: CaptureSaid = read_typed(about, CaptureSaid)
    try:
        place = find_photos(scene.source, Path(said["path"]))
    except BridgeError:  # they were moved
        return False
    file = place if place.suffix == ".json" else place / "transforms.json"
    if said.get("protocol") != "known-poses" or not file.is_file():
        return False
    try:
        return str(read_json(file, nan=True).get("scale", "")).lower().startswith(METRIC_WORD)
    except (BridgeError, AttributeError):
        return False


def _matrix(similarity: Sim3) -> list[list[float]]:
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, :3] = similarity.scale * similarity.rotation
    matrix[:3, 3] = similarity.translation
    return [[round(v, 12) for v in row] for row in matrix.tolist()]


def read_similarity(file: Path) -> Sim3:
    """A similarity from JSON.

    `{"scale", "rotation" 3x3 or "quaternion_wxyz", "translation"}`, at least one of them; a 4x4 matrix, or that under
    "matrix"; or
    nerfstudio's `dataparser_transforms.json` (`transform` and `scale`), whose inverse is returned.

    Raises:
        SceneFileError: not such a file, or no similarity: sheared, mirrored, not finite.
    """
    if not file.is_file():
        raise SceneFileError(f"expected a similarity in {file}, found no file")
    try:
        said = read_json(file, error=SceneFileError)
        if isinstance(said, list):
            return _similarity(said, 1.0, file)
        scale = float(said.get("scale", 1))
        if not 1 / LARGEST_SCALE <= scale <= LARGEST_SCALE:
            raise SceneFileError(f"{file} has a scale of {scale:g}, expected a positive one of usual size")
        if "transform" in said:
            return _similarity(said["transform"], scale, file).inverse()
        unknown = set(said) - ({"matrix"} if "matrix" in said else PARTS)
        if unknown or not said:
            raise SceneFileError(
                f"{file} holds {', '.join(sorted(map(str, unknown))) or 'nothing'}, expected matrix alone, or some of "
                f"{', '.join(sorted(PARTS))}"
            )
        if "matrix" in said:
            return _similarity(said["matrix"], 1.0, file)
        rotation = said.get("rotation", torch.eye(3).tolist())
        if "quaternion_wxyz" in said:
            from scipy.spatial.transform import Rotation

            w, x, y, z = map(float, said["quaternion_wxyz"])
            check_quaternion((w, x, y, z), "quaternion_wxyz", str(file), error=SceneFileError)
            rotation = Rotation.from_quat([x, y, z, w]).as_matrix().tolist()
        shift = said.get("translation", [0, 0, 0])
        rows = [[*row, t] for row, t in zip(rotation, shift, strict=True)]
        found = _similarity(rows, 1.0, file)
        return replace(found, scale=scale * found.scale)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise SceneFileError(
            f"{file} cannot be read as a similarity ({error}); see bridge4d export --help"
        ) from error


def _similarity(rows: list, after: float, file: Path) -> Sim3:
    """Of the upper three rows of a matrix, followed by a scale."""
    matrix = torch.tensor(rows, dtype=torch.float64)
    if matrix.shape not in ((3, 4), (4, 4)) or not bool(matrix.isfinite().all()):
        raise SceneFileError(
            f"{file} has a matrix of shape {tuple(matrix.shape)}, expected 4x4 finite numbers"
        )
    if len(matrix) == 4 and matrix[3].tolist() != [0, 0, 0, 1]:
        raise SceneFileError(f"{file} has a matrix whose last row is {matrix[3].tolist()}, expected 0 0 0 1")
    linear = matrix[:3, :3]
    determinant = float(torch.det(linear))
    if determinant <= 0:
        raise SceneFileError(
            f"{file} mirrors the scene (determinant {determinant:.3g}), which a splat cannot follow"
        )
    scale = determinant ** (1 / 3)
    rotation = linear / scale
    if float((rotation @ rotation.T - torch.eye(3, dtype=torch.float64)).abs().max()) > NOT_ORTHOGONAL:
        raise SceneFileError(f"{file} shears the scene or scales its axes differently, expected a similarity")
    return Sim3(torch.tensor(scale * after, dtype=torch.float64), rotation, after * matrix[:3, 3])
