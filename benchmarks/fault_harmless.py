"""Clips that do what was requested, with what users' clips have beside: none may be blamed."""

from dataclasses import replace

import numpy as np
import torch

from benchmarks.fault_kinds import FaultyClip, Row, Strength, zoom_of
from benchmarks.fault_scenes import FRAMES, Pictures, Scene
from recon.cameras import Cameras
from recon.pictures.eight_bit import to_eight_bit
from recon.sim3 import Sim3, nearest_rotation
from worldgen.models.corrupt import blur_pictures


def _clean(scene: Scene, strength: Strength, generator: torch.Generator) -> FaultyClip:
    asked = scene.path(str(strength))
    return FaultyClip(scene.draw(asked), asked)


def _pan(scene: Scene, strength: Strength, generator: torch.Generator) -> FaultyClip:
    asked = scene.path("pan", size=float(strength) / 20)
    return FaultyClip(scene.draw(asked), asked)


def _far_pan(scene: Scene, strength: Strength, generator: torch.Generator) -> FaultyClip:
    """Requested in a world whose origin lies so many depths away."""
    true = scene.path("pan")
    shift = torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64) * float(strength) * scene.distance
    return FaultyClip(scene.draw(true), true.place_at(true.centers - true.centers[:1] + shift))


def _stand(scene: Scene, strength: Strength, generator: torch.Generator) -> FaultyClip:
    asked = scene.path("curve")[[FRAMES // 2] * FRAMES]
    return FaultyClip(_add_noise(scene.draw(asked), float(strength), generator), asked)


def _zoom(scene: Scene, strength: Strength, generator: torch.Generator) -> FaultyClip:
    asked = zoom_of(scene, float(strength))
    return FaultyClip(scene.draw(asked), asked)


def _pause(scene: Scene, strength: Strength, generator: torch.Generator) -> FaultyClip:
    """The camera stands for a share of the frames in the middle, as it was asked to."""
    moving = FRAMES - round(FRAMES * float(strength))
    path = scene.path("curve", moving)
    order = [*range(moving // 2), *[moving // 2] * (FRAMES - moving), *range(moving // 2, moving)]
    return FaultyClip(scene.draw(path[order]), path[order])


def _add_noise(pictures: Pictures, deviation: float, generator: torch.Generator) -> Pictures:
    shown = pictures.float() / 255
    return to_eight_bit((shown + deviation * torch.randn(shown.shape, generator=generator)).clamp(0, 1))


def _degraded(scene: Scene, strength: Strength, generator: torch.Generator) -> FaultyClip:
    """White noise, a blur, or a random gain for each frame and channel."""
    asked = scene.path("curve")
    kind, size = str(strength).split()
    pictures = scene.draw(asked)
    if kind == "noise":
        return FaultyClip(_add_noise(pictures, float(size), generator), asked)
    if kind == "blur":
        return FaultyClip(to_eight_bit(blur_pictures(pictures.float() / 255, float(size))), asked)
    gains = 1 + float(size) * torch.randn(FRAMES, 1, 1, 3, generator=generator)
    return FaultyClip(to_eight_bit((pictures.float() / 255 * gains).clamp(0, 1)), asked)


def _compressed(scene: Scene, strength: Strength, generator: torch.Generator) -> FaultyClip:
    asked = scene.path("curve")
    return FaultyClip(scene.draw(asked), asked, crf=int(strength))


def _letterbox(scene: Scene, strength: Strength, generator: torch.Generator) -> FaultyClip:
    """Black bars of a share of the height above and below, over the picture."""
    asked = scene.path("curve")
    pictures, bar = scene.draw(asked), round(scene.height * float(strength))
    pictures[:, :bar] = pictures[:, -bar:] = 0
    return FaultyClip(pictures, asked)


def _overlay(scene: Scene, strength: Strength, generator: torch.Generator) -> FaultyClip:
    """Standing subtitles on a dark box, of a share of the picture."""
    import cv2

    asked = scene.path("curve")
    width = round(scene.width * 0.7)
    height = max(8, round(scene.width * scene.height * float(strength) / width))
    box = np.full((height, width, 3), 20, np.uint8)
    lines = max(1, height // 14)
    for k in range(lines):
        text = ("where shall we go from here?", "there is a door behind the wall")[k % 2]
        at = (4, round((k + 0.75) * height / lines))
        cv2.putText(box, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (235, 235, 235), 1, cv2.LINE_AA)
    pictures = scene.draw(asked)
    top, left = scene.height - height - 8, (scene.width - width) // 2
    pictures[:, top : top + height, left : left + width] = torch.from_numpy(box)
    return FaultyClip(pictures, asked)


def _dashboard(scene: Scene, strength: Strength, generator: torch.Generator) -> FaultyClip:
    """A dark, textured board with dials, standing before the lower share of the picture."""
    import cv2

    asked = scene.path("curve")
    height = round(scene.height * float(strength))
    coarse = torch.rand(1, 3, 12, 40, generator=generator)
    board = torch.nn.functional.interpolate(coarse, size=(height, scene.width), mode="bicubic")[0]
    pixels = np.ascontiguousarray((30 + 50 * board.permute(1, 2, 0).clamp(0, 1)).numpy().astype(np.uint8))
    for k in range(6):
        centre = (round((k + 0.5) * scene.width / 6), height // 2)
        cv2.circle(pixels, centre, max(6, height // 4), (190, 190, 180), 1, cv2.LINE_AA)
        cv2.line(
            pixels, centre, (centre[0] + 4 * k - 8, centre[1] - height // 5), (220, 90, 60), 1, cv2.LINE_AA
        )
        cv2.putText(
            pixels, str(20 * k), centre, cv2.FONT_HERSHEY_SIMPLEX, 0.3, (230, 230, 230), 1, cv2.LINE_AA
        )
    pictures = scene.draw(asked)
    pictures[:, -height:] = torch.from_numpy(pixels)
    return FaultyClip(pictures, asked)


def _other_world(scene: Scene, strength: Strength, generator: torch.Generator) -> FaultyClip:
    """A request so many times as large, turned at random and shifted by ten depths."""
    true = scene.path("curve")
    R = nearest_rotation(torch.randn(3, 3, generator=generator, dtype=torch.float64))
    shift = torch.randn(3, generator=generator, dtype=torch.float64)
    shift = 10 * scene.distance * shift / shift.norm()
    world = Sim3(torch.tensor(float(strength), dtype=torch.float64), R, shift)
    return FaultyClip(scene.draw(true), world.cameras(true))


def _rounded(scene: Scene, strength: Strength, generator: torch.Generator) -> FaultyClip:
    return replace(_clean(scene, "curve", generator), decimals=int(strength))


def _repeated(scene: Scene, strength: Strength, generator: torch.Generator) -> FaultyClip:
    """Fewer frames, each so many times, in the pictures and in the request."""
    times = int(strength)
    asked: Cameras = scene.path("curve", -(-FRAMES // times))[[i // times for i in range(FRAMES)]]
    return FaultyClip(scene.draw(asked), asked)


def _right(
    name: str, strengths: tuple[Strength, ...], make, unit: str = "", notes: tuple[str, ...] = ()
) -> Row:
    return Row(name, strengths, make, wrong=False, unit=unit, notes=notes)


OVERLAYS = ("an overlay covers",)
REPEATS = ("equal to the one before",)
HARMLESS = (
    _right("clean", ("curve", "dolly", "orbit"), _clean),
    _right("pan, as asked", (8.0, 16.0, 25.0), _pan, "°"),
    _right("pan far from the origin", (1.0, 10.0, 100.0), _far_pan, "depths"),
    _right("stands, as asked", (0.0, 0.005, 0.02), _stand, "noise", REPEATS),
    _right("zoom, as asked", (1.1, 1.3, 1.6), _zoom, "times"),
    _right("pause, as asked", (0.25, 0.5, 0.75), _pause, "of frames", REPEATS),
    _right("letterbox", (0.05, 0.12, 0.2), _letterbox, "of height, twice", OVERLAYS),
    _right("subtitles", (0.02, 0.05, 0.1), _overlay, "of picture", OVERLAYS),
    _right("dashboard", (0.15, 0.3, 0.4), _dashboard, "of height", OVERLAYS),
    _right("compression", (23.0, 33.0, 40.0), _compressed, "crf"),
    _right("noise, blur, flicker", ("noise 0.03", "blur 1", "flicker 0.05"), _degraded),
    _right("request in another world", (0.1, 1.0, 10.0), _other_world, "times"),
    _right("request rounded", (6.0, 5.0, 4.0), _rounded, "decimals"),
    _right("frames repeated, as asked", (2.0, 3.0, 4.0), _repeated, "times", REPEATS),
)
"""None is wrong."""
