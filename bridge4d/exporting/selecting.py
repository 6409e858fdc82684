"""What of a scene is exported: which Gaussians, which moments; carried into the frame of the export."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from bridge4d.exporting.frame import ExportFrame
from bridge4d.exporting.options import ExportOptions
from bridge4d.scenes import LoadedScene
from recon.errors import BridgeError
from recon.gaussians import Gaussians
from recon.scenefiles.clean import clean, clean_frames, numeric_rows
from recon.sequence import GaussianFrames
from recon.splats.select import Selection, importance, select
from recon.splats.similarity import transform_gaussians

NO_BACKDROP_KNOWN = (
    "--no-backdrop needs to know which Gaussians are the background shell, which only run folders note; give the run folder "
    "rather than a file of it, or cut with --sphere or --box"
)


@dataclass(frozen=True)
class PreparedScene:
    """A scene as it will be written, in the project's axes."""

    source: LoadedScene
    frame: ExportFrame
    scene: Gaussians | GaussianFrames
    first: Gaussians
    """The scene, or its first frame."""
    in_backdrop: Bool[Tensor, "g"] | None
    """Rows of `first`; None where nobody knows."""
    left_out: dict[str, int]
    """Reason → Gaussians."""

    def foreground_means(self) -> Float[Tensor, "near 3"]:
        """Centres of all but the backdrop."""
        return self.first.means if self.in_backdrop is None else self.first.means[~self.in_backdrop]


def prepare_scene(source: LoadedScene, frame: ExportFrame, options: ExportOptions) -> PreparedScene:
    """Choose moments and Gaussians in the scene's own frame, then carry them into that of the export.

    Raises:
        BridgeError: nothing is left, moments that are not there, or options that mean nothing for this scene.
    """
    left_out = {"not numbers": source.dropped} if source.dropped else {}
    source.check_moment(options.at)
    if source.moving is None:
        if options.frames is not None or options.fps is not None:
            raise BridgeError(
                f"{source.source} does not move, so that --frames and --fps mean nothing; leave them out"
            )
    elif options.at is None:
        return _prepare_moving(source, source.stored or source.moving, frame, options)
    whole = source.gaussians if options.at is None or source.moving is None else source.moving.at(options.at)
    first, backdrop = clean(whole)[0], source.in_backdrop if options.at is None else None
    if len(first) < len(whole):
        left_out["not numbers"] = left_out.get("not numbers", 0) + len(whole) - len(first)
        backdrop = None if backdrop is None else backdrop[numeric_rows(whole)]
    if not options.backdrop:
        if backdrop is None:
            raise BridgeError(NO_BACKDROP_KNOWN)
        left_out["backdrop"] = int(backdrop.sum())
        first, backdrop = first[~backdrop], backdrop[~backdrop]
    cameras = source.cameras() if options.keep.max_gaussians is not None else None
    part, rows, counts = select(first, options.keep, backdrop=backdrop, cameras=cameras)
    left_out |= counts
    if len(part) == 0:
        _refuse_empty(len(first), left_out)
    moved = transform_gaussians(part, frame.out_from_scene)
    return PreparedScene(source, frame, moved, moved, None if backdrop is None else backdrop[rows], left_out)


def _refuse_empty(count: int, left_out: dict[str, int]) -> None:
    reasons = ", ".join(f"{n:,} {why}" for why, n in left_out.items() if n)
    raise BridgeError(
        f"nothing is left of {count:,} Gaussians ({reasons or 'the scene is empty'}); leave out less"
    )


def _prepare_moving(
    source: LoadedScene,
    moving: GaussianFrames,
    frame: ExportFrame,
    options: ExportOptions,
) -> PreparedScene:
    if not options.backdrop:
        raise BridgeError(NO_BACKDROP_KNOWN)
    moving, found = clean_frames(_pick_frames(moving, options))
    left_out = {"not numbers": found["dropped"]} if found["dropped"] else {}
    moving, counts = select_moving(moving, options.keep)
    left_out |= counts
    moving = moving.map_frames(lambda one: transform_gaussians(one, frame.out_from_scene))
    first = clean(moving.frames[0])[0]
    if counts and all(len(one) == 0 for one in moving.frames):
        _refuse_empty(sum(counts.values()), left_out)
    return PreparedScene(source, frame, moving, first, None, left_out)


def _pick_frames(moving: GaussianFrames, options: ExportOptions) -> GaussianFrames:
    """The frames of `--frames`, at the pace of `--fps`."""
    if options.frames is not None:
        first, last = map(int, options.frames.split("-"))
        if first > last or last >= len(moving):
            raise BridgeError(f"expected --frames between 0 and {len(moving) - 1}, got {options.frames}")
        times = moving.times_s[first : last + 1]
        moving = replace(moving, times_s=times - times[0], frames=moving.frames[first : last + 1])
    if options.fps is not None:
        moving = replace(moving, times_s=torch.arange(len(moving), dtype=torch.float64) / options.fps)
    return moving


def select_moving(moving: GaussianFrames, keep: Selection) -> tuple[GaussianFrames, dict[str, int]]:
    """The frames with what a selection keeps, and how many Gaussians each reason left out, summed over the frames.

    Where a row is the same Gaussian in every frame it stays in all frames if one keeps it, so that rows stay the same.
    """
    if keep == Selection():
        return moving, {}
    if keep.sh_degree is not None and replace(keep, sh_degree=None) == Selection():
        return moving.map_frames(lambda one: select(one, keep)[0]), {}
    if moving.identity:
        return _select_rows(moving, keep)
    sums: dict[str, int] = {}
    for one in moving.frames:
        for reason, count in select(one, keep)[2].items():
            sums[reason] = sums.get(reason, 0) + count
    return moving.map_frames(lambda one: select(one, keep)[0]), sums


def _select_rows(moving: GaussianFrames, keep: Selection) -> tuple[GaussianFrames, dict[str, int]]:
    first = moving.frames[0]
    rows = torch.zeros(len(first), dtype=torch.bool)
    worth = torch.zeros(len(first), dtype=torch.float64)
    for one in moving.frames:
        rows |= select(one, replace(keep, max_gaussians=None))[1]
        worth = torch.maximum(worth, importance(one))
    counts = {"left out of every frame": int((~rows).sum())}
    if keep.max_gaussians is not None and int(rows.sum()) > keep.max_gaussians:
        chosen = torch.argsort(worth.masked_fill(~rows, -1), descending=True, stable=True)[
            : keep.max_gaussians
        ]
        counts["beyond the number asked for"] = int(rows.sum()) - len(chosen)
        rows = torch.zeros_like(rows)
        rows[chosen] = True
    cut = Selection(sh_degree=keep.sh_degree)
    return moving.map_frames(lambda one: select(one[rows], cut)[0]), counts
