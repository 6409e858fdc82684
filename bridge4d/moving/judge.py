"""How well a moving scene shows what the camera that judges saw."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from bridge4d.moving.stages import SCENE, STATIC, load_frames, load_masks, split_rows
from bridge4d.moving.trails import draw_trails
from bridge4d.runs import store
from bridge4d.runs.stored_json import write_json
from bridge4d.runs.typed_json import read_typed
from eval.pictures.images import psnr
from eval.pictures.strip import tint
from recon.clip import Clip
from recon.pictures.eight_bit import to_eight_bit
from recon.scenefiles import read_scene
from recon.scenefiles.formats.motion_tensors import load_sequence
from recon.splats.moving.draw import draw_at_times
from recon.splats.render import draw_views
from recon.videos.write import write_video

VERSION = 2
FILM_FPS = 12.0
"""Frames a second of the film in the report: slow enough to look at a clip of a second or two."""


class ScoresSaid(TypedDict):
    """``scores.json``."""

    names: list[str]
    times_s: list[float]
    moving_share: list[float]
    """Part of each picture that moves."""
    psnr: dict[str, dict[str, list[float | None]]]
    """By scene (moving, static; or those that were given) and part of the picture (whole, moving, still), dB a frame; None where nothing of it moves."""


def judge_scene(captured: Path, cameras: Path, masks: Path, scene: Path, out: Path) -> None:
    """Compare the frames of the camera that judges with both scenes, all of the picture and what moves alone."""
    clip, moving = _load_heldout(captured, cameras, masks)
    static = draw_views(read_scene(scene / STATIC).gaussians, clip.require_cameras()).images.clamp(0, 1)
    drawn = _draw(scene, clip)
    _score(clip, moving, {"moving": drawn, "static": static}, out)
    sequence, cameras_of = load_sequence(scene / SCENE), clip.require_cameras()
    assert clip.times_s is not None
    for i, time_s in enumerate(clip.times_s.tolist()):
        store.save_picture(
            draw_trails(sequence, cameras_of[[i]], drawn[i], time_s), out / f"{i:03d}_trails.png"
        )


def judge_moving(captured: Path, cameras: Path, masks: Path, scenes: Mapping[str, Path], out: Path) -> None:
    """Compare the frames of the camera that judges with several moving scenes.

    Args:
        scenes: folders with what `stages.write_fit` wrote, by the names that the scores get.
    """
    clip, moving = _load_heldout(captured, cameras, masks)
    _score(clip, moving, {name: _draw(scene, clip) for name, scene in scenes.items()}, out)


def _load_heldout(captured: Path, cameras: Path, masks: Path) -> tuple[Clip, Bool[Tensor, "n h w"]]:
    _, rows = split_rows(captured)
    return load_frames(cameras)[rows], load_masks(masks)[rows]


def _draw(scene: Path, clip: Clip) -> Float[Tensor, "n h w 3"]:
    assert clip.times_s is not None
    sequence = load_sequence(scene / SCENE)
    return draw_at_times(sequence, clip.require_cameras(), clip.times_s).images.clamp(0, 1)


def _score(
    clip: Clip, moving: Bool[Tensor, "n h w"], drawn: Mapping[str, Float[Tensor, "n h w 3"]], out: Path
) -> None:
    """Write the scores of what scenes show of a clip, with pictures and a film."""
    assert clip.times_s is not None
    out.mkdir(parents=True, exist_ok=True)
    scores: dict[str, dict[str, list[float | None]]] = {}
    for name, images in drawn.items():
        parts = {"whole": None, "moving": moving, "still": ~moving}
        scores[name] = {part: _plain(psnr(images, clip.images, mask)) for part, mask in parts.items()}
        for i, picture in enumerate(images):
            store.save_picture(picture, out / f"{i:03d}_{name}.png")
    for i, picture in enumerate(clip.images):
        store.save_picture(picture, out / f"{i:03d}_truth.png")
        store.save_picture(tint(picture, moving[i]), out / f"{i:03d}_mask.png")
    _write_film(out / "film.mp4", list(zip(clip.images, *drawn.values(), strict=True)))
    shares = moving.float().mean((1, 2)).tolist()
    said: ScoresSaid = {
        "names": list(clip.names),
        "times_s": clip.times_s.tolist(),
        "moving_share": shares,
        "psnr": scores,
    }
    write_json(out / "scores.json", said)


def load_scores(folder: Path) -> ScoresSaid:
    """What `judge_scene` measured."""
    return read_typed(folder / "scores.json", ScoresSaid)


def _write_film(path: Path, rows: Sequence[Sequence[Tensor]]) -> None:
    """Pictures of each time side by side, cut to even sizes."""
    first = torch.cat(list(rows[0]), 1)
    height, width = first.shape[0] // 2 * 2, first.shape[1] // 2 * 2
    with write_video(path, width=width, height=height, fps=FILM_FPS) as add:
        for row in rows:
            add(to_eight_bit(torch.cat(list(row), 1)[:height, :width]).numpy())


def mean(values: Sequence[float | None]) -> float | None:
    """Mean of what is known; None of nothing."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _plain(values: Float[Tensor, "n"]) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values.tolist()]
