"""Captures of which a few photos train, and what is known of them."""

import shutil
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch

from eval.judging.protocols import split_photos
from recon.capture import read_capture
from recon.clip import Clip, PictureSet
from recon.depth import DepthMaps, multiview_depth
from recon.errors import BridgeError, ReconstructionError
from recon.points import PointCloud
from recon.sfm.anchor import build_anchor
from recon.sfm.ladder.climb import climb
from recon.sfm.ladder.rungs import choose_rungs
from recon.splats.fit import FitOptions
from recon.splats.fitting.start_cloud import StartCloud
from recon.tracks import Tracks

CAP_AT_480, SURFACE_AT_480 = 50_000, 25_000
"""Of `reconstruct` at its 480 px; fewer on smaller pictures, in proportion to their pixels."""


@dataclass(frozen=True)
class Case:
    """Training photos of a capture, what is known of them, and the photos that judge."""

    name: str
    training: Clip
    judging: Clip
    heldout: tuple[str, ...]
    """Names of the judging photos that are held out by name."""
    points: PointCloud
    tracks: Tracks
    maps: DepthMaps | None

    @cached_property
    def share(self) -> float:
        """Of the pixels of pictures of 480 px."""
        return (max(self.training.width, self.training.height) / 480) ** 2

    def start(self, least_confidence: float) -> StartCloud:
        return StartCloud(
            self.points, self.tracks, self.maps, round(SURFACE_AT_480 * self.share), least_confidence
        )

    def options(self, dropout: float, iterations: int) -> FitOptions:
        return FitOptions(iterations=iterations, dropout=dropout, cap=round(CAP_AT_480 * self.share))


def find_captures(folder: Path, only: Collection[str]) -> list[Path]:
    """The captures in a folder, or those with one of these names.

    Raises:
        BridgeError: there are none.
    """
    found = sorted(p for p in folder.iterdir() if p.is_dir() and (not only or p.name in only))
    if not found:
        raise BridgeError(f"expected captures below {folder}, found none of that name; see --only")
    return found


def load_case(capture: Path, photos: int, out: Path, *, max_side: int, judges: int) -> Case | None:
    """None where the capture has too few photos; kept below `out`."""
    kept = out / "cases" / f"{capture.name}-{photos}-{max_side}.pt"
    if kept.exists():
        return torch.load(kept, weights_only=False)
    kept.parent.mkdir(exist_ok=True)
    clip = load_posed(capture, out)
    split = split_photos(clip.names, views=photos)
    if len(split.training) < photos:
        return None
    training = sorted(map(clip.names.index, split.training))
    others = sorted(map(clip.names.index, split.unused))
    room = max(0, judges - len(split.heldout))
    if len(others) > room:
        others = [others[int((2 * i + 1) * len(others) / (2 * room))] for i in range(room)]
    judging = sorted([*map(clip.names.index, split.heldout), *others])
    anchor = build_anchor(clip[training], out / ".anchor")
    small = clip.limit_size(max_side)
    try:
        maps = multiview_depth(small[training], points=anchor.points)
    except ReconstructionError:
        maps = None
    case = Case(
        capture.name, small[training], small[judging], split.heldout, anchor.points, anchor.tracks, maps
    )
    torch.save(case, kept)
    return case


def load_posed(capture: Path, out: Path) -> Clip:
    """All photos with cameras: reference cameras, or those of COLMAP over all of them."""
    kept = out / "cases" / f"{capture.name}.pt"
    if kept.exists():
        return torch.load(kept, weights_only=False)
    read = read_capture(capture, max_side=1280)
    clip: PictureSet | None = read.clip
    if read.clip.cameras is None:
        focals = [focal for focal in read.focals_px if focal]
        prior = {0: float(torch.tensor(focals).median())} if focals else None
        rungs = choose_rungs("colmap", None)  # all photos overlap: features that are learned are not needed
        clip = climb(read.clip, out / ".sfm", focal_prior_px=prior, rungs=rungs).reconstruction.clip
        shutil.rmtree(out / ".sfm", ignore_errors=True)
    if clip is None:
        raise BridgeError(f"expected photos that COLMAP can register, got {capture}; leave it out by --only")
    order = sorted(range(len(clip)), key=clip.names.__getitem__)
    posed = replace(clip[order].load(), times_s=None, confidence=None)
    torch.save(posed, kept)
    return posed
