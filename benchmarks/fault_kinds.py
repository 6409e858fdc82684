"""Faults of a clip against its request, three strengths each: what is wrong with it, and what is right to say."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from benchmarks.fault_scenes import FRAMES, Pictures, Scene, zoomed
from eval.paths.fault import UNASKED, PathFault
from eval.poses import scene_extent
from eval.results.measure import ASTRAY, TORN
from recon.cameras import Cameras
from recon.pictures.eight_bit import to_eight_bit
from worldgen.models.corrupt import Corrupt, Corruption, bend_pictures, thin_plate_displacement
from worldgen.models.synthetic import SyntheticRoom


@dataclass(frozen=True)
class FaultyClip:
    """Pictures, and the cameras that are requested of them."""

    pictures: Pictures
    asked: Cameras
    crf: int | None = None
    """Written as H.264 of this quality; None: as PNG."""
    decimals: int = 9
    """Of the request's numbers; RealEstate10K's own files have nine."""


Strength = float | str
Make = Callable[[Scene, Strength, torch.Generator], FaultyClip]


@dataclass(frozen=True)
class Row:
    """One fault, or one change that is none."""

    name: str
    strengths: tuple[Strength, ...]
    make: Make
    wrong: bool = True
    unit: str = ""
    """Of the strengths."""
    says: tuple[str, ...] = ()
    """Causes, or parts of notes, that name the fault; any of them does."""
    undefined: bool = False
    """Whether pictures like these cannot tell, so that no verdict is right as well."""
    noted: bool = False
    """Whether the clip may follow its request, as long as the fault is named."""
    notes: tuple[str, ...] = ()
    """Parts of notes that are true of a clip that is not wrong."""


def _played(path: str, order: Callable[[int], list[int]]) -> Make:
    """A path's frames in another order than they were asked for; `path` '' is the strength."""

    def make(scene: Scene, strength: Strength, generator: torch.Generator) -> FaultyClip:
        asked = scene.path(path or str(strength))
        return FaultyClip(scene.draw(asked[order(len(asked))]), asked)

    return make


def _mirrored(scene: Scene, strength: Strength, generator: torch.Generator) -> FaultyClip:
    asked = scene.path(str(strength))
    return FaultyClip(scene.draw(asked).flip(2), asked)


def _inverse(scene: Scene, strength: Strength, generator: torch.Generator) -> FaultyClip:
    """World-from-camera matrices where camera-from-world ones are expected."""
    path, _, world = str(strength).partition(" of ")
    true = scene.path(path)
    asked = true if world == "world" else from_first(true)
    return FaultyClip(scene.draw(true), replace(asked, cam_from_world=asked.world_from_cam))


def from_first(cameras: Cameras) -> Cameras:
    """In the axes of the first camera."""
    return replace(cameras, cam_from_world=cameras.cam_from_world @ cameras.world_from_cam[:1])


def _other_path(scene: Scene, strength: Strength, generator: torch.Generator) -> FaultyClip:
    return FaultyClip(scene.draw(scene.path("curve")), scene.path(str(strength)))


def _turns_back(scene: Scene, strength: Strength, generator: torch.Generator) -> FaultyClip:
    """From a share of the frames on the camera goes back the way it came."""
    asked = scene.path("curve")
    last = round((FRAMES - 1) * float(strength))
    order = [i if i <= last else abs(2 * last - i) for i in range(FRAMES)]
    return FaultyClip(scene.draw(asked[order]), asked)


def _moves(scene: Scene, strength: Strength, generator: torch.Generator) -> FaultyClip:
    """A dolly of so large a share of the depth where the camera should stand."""
    true = scene.path("dolly", size=float(strength) / 0.35)
    return FaultyClip(scene.draw(true), true[[0] * len(true)])


def _dolly_as_zoom(scene: Scene, zoom: float) -> Cameras:
    """The dolly that makes what stands in the median depth so many times as large."""
    return scene.path("dolly", size=(1 - 1 / zoom) / 0.35)


def zoom_of(scene: Scene, zoom: float) -> Cameras:
    """A standing camera whose focal length grows so many times."""
    still = scene.path("dolly")[[0] * FRAMES]
    return zoomed(still, torch.linspace(0, 1, FRAMES, dtype=torch.float64) * (zoom - 1) + 1)


def _zoom_for_dolly(scene: Scene, strength: Strength, generator: torch.Generator) -> FaultyClip:
    return FaultyClip(scene.draw(zoom_of(scene, float(strength))), _dolly_as_zoom(scene, float(strength)))


def _dolly_for_zoom(scene: Scene, strength: Strength, generator: torch.Generator) -> FaultyClip:
    return FaultyClip(scene.draw(_dolly_as_zoom(scene, float(strength))), zoom_of(scene, float(strength)))


def turn_and_truck(scene: Scene, angle_deg: float) -> tuple[Cameras, Cameras]:
    """A turn, and the move to the right that shifts what stands in the median depth as much."""
    turn = scene.path("pan", size=angle_deg / 20)
    return turn, scene.path("truck", size=float(torch.tan(torch.deg2rad(torch.tensor(angle_deg)))) / 0.44)


def _turn_for_truck(scene: Scene, strength: Strength, generator: torch.Generator) -> FaultyClip:
    turn, truck = turn_and_truck(scene, float(strength))
    return FaultyClip(scene.draw(turn), truck)


def _truck_for_turn(scene: Scene, strength: Strength, generator: torch.Generator) -> FaultyClip:
    turn, truck = turn_and_truck(scene, float(strength))
    return FaultyClip(scene.draw(truck), turn)


def _jump(scene: Scene, strength: Strength, generator: torch.Generator) -> FaultyClip:
    """The second half stands further along, by a share of the path's extent."""
    asked = scene.path("curve")
    centers = asked.centers.clone()
    along = torch.nn.functional.normalize(centers[-1] - centers[0], dim=0)
    centers[FRAMES // 2 :] += float(strength) * (scene_extent(asked) or 0.0) * along
    return FaultyClip(scene.draw(asked.place_at(centers)), asked)


def _scale_drift(scene: Scene, strength: Strength, generator: torch.Generator) -> FaultyClip:
    """Steps grow steadily against the requested ones, so many times from the first to the last."""
    asked = scene.path("curve")
    steps = asked.centers.diff(dim=0)
    grown = steps * float(strength) ** torch.linspace(0, 1, len(steps), dtype=torch.float64)[:, None]
    grown = grown * (steps.norm(dim=1).sum() / grown.norm(dim=1).sum())
    centers = torch.cat([asked.centers[:1], asked.centers[:1] + grown.cumsum(0)])
    return FaultyClip(scene.draw(asked.place_at(centers)), asked)


def _rotation_drift(scene: Scene, strength: Strength, generator: torch.Generator) -> FaultyClip:
    asked = scene.path("curve")
    corrupt = Corrupt(SyntheticRoom(), Corruption(rotation_drift_deg=float(strength)))
    return FaultyClip(scene.draw(corrupt.true_cameras(asked, generator=generator)), asked)


def _shuffled(scene: Scene, strength: Strength, generator: torch.Generator) -> FaultyClip:
    asked = scene.path("curve")
    damage = Corrupt(SyntheticRoom(), Corruption(swapped=float(strength))).damage(asked, generator=generator)
    return FaultyClip(scene.draw(asked[list(damage.source)]), asked)


def _bent(scene: Scene, strength: Strength, generator: torch.Generator) -> FaultyClip:
    asked = scene.path("curve")
    field = thin_plate_displacement(FRAMES, scene.width, scene.height, float(strength), generator=generator)
    pictures = bend_pictures(scene.draw(asked).float() / 255, field)
    return FaultyClip(to_eight_bit(pictures), asked)


def _cut(scene: Scene, strength: Strength, generator: torch.Generator) -> FaultyClip:
    """The last share of the frames shows another place: the built-in room, of another seed where it is one already."""
    asked = scene.path("curve")
    other = replace(scene, name="room-1" if scene.name == "room-0" else "room-0")
    pictures, late = scene.draw(asked), round(FRAMES * float(strength))
    pictures[-late:] = other.draw(other.path("curve")[range(FRAMES - late, FRAMES)])
    return FaultyClip(pictures, asked)


def _frozen(scene: Scene, strength: Strength, generator: torch.Generator) -> FaultyClip:
    asked = scene.path("curve")
    pictures, late = scene.draw(asked), round(FRAMES * float(strength))
    pictures[-late:] = pictures[-late - 1]
    return FaultyClip(pictures, asked)


def _black(scene: Scene, strength: Strength, generator: torch.Generator) -> FaultyClip:
    asked = scene.path("curve")
    pictures = scene.draw(asked)
    pictures[: round(FRAMES * float(strength))] = 0
    return FaultyClip(pictures, asked)


def reverse(n: int) -> list[int]:
    return list(range(n))[::-1]


OPPOSITE, NO_MOVE = PathFault.OPPOSITE.value, PathFault.NO_MOVE.value
OTHERWISE = PathFault.OTHERWISE.value
UNASKED_WORDS = tuple(sorted(fault.value for fault in UNASKED))
STRAYS: tuple[str, ...] = (ASTRAY,)
FAULTS = (
    Row("backwards", ("curve", "orbit", "dolly"), _played("", reverse), says=(OPPOSITE,)),
    Row(
        "mirrored pictures", ("curve", "orbit", "truck"), _mirrored, says=(PathFault.MIRRORED.value, OPPOSITE),
    ),
    Row(
        "inverse poses", ("curve", "orbit", "curve of world"), _inverse,
        says=(PathFault.INVERSE.value, OPPOSITE),
    ),
    Row("another path", ("dolly", "rise", "diagonal"), _other_path, says=STRAYS),
    Row("turns back after", (0.8, 0.5, 0.25), _turns_back, says=STRAYS),
    Row("dolly, asked to stand", (0.05, 0.15, 0.3), _moves, unit="of depth", says=UNASKED_WORDS),
    Row("dolly, asked to zoom", (1.1, 1.3, 1.6), _dolly_for_zoom, unit="times", says=UNASKED_WORDS),
    Row("truck, asked to turn", (5.0, 12.0, 25.0), _truck_for_turn, unit="°", says=UNASKED_WORDS),
    Row(
        "zoom, asked for a dolly", (1.1, 1.3, 1.6), _zoom_for_dolly, unit="times", says=(NO_MOVE, OTHERWISE),
        undefined=True,
    ),
    Row(
        "turn, asked for a truck", (5.0, 12.0, 25.0), _turn_for_truck, unit="°", says=(NO_MOVE, OTHERWISE),
        undefined=True,
    ),
    Row("jump", (0.25, 0.5, 1.0), _jump, unit="of extent", says=(PathFault.JUMP.value,)),
    Row("scale drift", (2.0, 3.0, 5.0), _scale_drift, unit="times", says=(PathFault.SCALE_DRIFT.value,)),
    Row("rotation drift", (1.0, 1.5, 2.5), _rotation_drift, unit="° a frame", says=("drift",), noted=True),
    Row("frames swapped", (0.25, 0.5, 1.0), _shuffled, says=(*STRAYS, PathFault.MISPLACED.value)),
    Row("bent pictures", (2.0, 4.0, 8.0), _bent, unit="px", says=(*STRAYS, TORN), noted=True),
    Row("cut to another place", (0.15, 0.3, 0.5), _cut, unit="of frames", says=("cut",), noted=True),
    Row(
        "frozen tail", (0.1, 0.25, 0.5), _frozen, unit="of frames",
        says=("repeated frames", "equal to the one before"), noted=True,
    ),
    Row(
        "black lead-in", (0.05, 0.15, 0.3), _black, unit="of frames",
        says=("blank frames", "without a picture"), noted=True,
    ),
)  # fmt: skip
"""Each is wrong."""
