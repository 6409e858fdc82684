"""The built-in world model (``bridge``): photos lifted by their own depth, blended, repaired, and honest about it."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from recon.cameras import Cameras
from recon.clip import Clip
from recon.compute.progress import track
from recon.depth import DepthMaps
from recon.errors import BridgeError
from worldgen.geometry.context_depth import ASSUMED_TRUST, ContextDepth
from worldgen.model import ModelSpec, Request, Views
from worldgen.models.bridge.conditioning import GENERATED_TRUST, INVERSE_RANGE, Cache, Conditioning, condition
from worldgen.models.bridge.mixing.evidence import Evidence, Frame, SceneView, collect_evidence
from worldgen.models.bridge.mixing.mixer import load_mixer
from worldgen.models.bridge.motion import previous_frame, warp_picture
from worldgen.models.bridge.net import STRIDE, Answer, Previous
from worldgen.models.bridge.texture import sample_detail
from worldgen.models.bridge.weights import Weights, confidence, load_weights, remoteness

STD_PER_MEAN_ERROR = 2**0.5
"""The network states the mean b of an absolute error that is distributed exponentially; the error itself is then
Laplacian, with the standard deviation √2 b."""
PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True)
class BridgeOptions:
    """How the model runs.

    Raises:
        BridgeError: a precision that there is not, or a whole number below 1.
    """

    weights: Path | str | None = None
    """A safetensors file of one's own training; the shipped one if not given."""
    device: str = "auto"
    """'auto' is CUDA where it is."""
    precision: str = "auto"
    """'float32', 'bfloat16', or 'auto': bfloat16 where the processor computes with it."""
    detail: bool = True
    """Sample fine structure into holes; without it they stay smooth."""
    detail_steps: int = 4
    """Steps of the flow that samples it, at least 1."""
    temporal: bool = True
    """Tell each frame what the one before looked like."""
    extend: bool = True
    """Generated frames of a long trajectory become part of the cache."""
    extend_every: int = 6
    """At most every so many frames, at least 1."""
    extend_holes: float = 0.02
    """A frame enters the cache if no photo or earlier frame sees at least this share of it."""
    mix: bool = True
    """In `augment`: mix each frame with what the scene shows as it is, and weigh each pixel by how likely it is nearer to the truth than
    the scene's rendering."""
    mixing_weights: Path | str | None = None
    """A file of one's own training of the mixing; the shipped one if not given."""
    cache_limit: int = 24
    """Generated frames kept in the cache, the latest, at least 1; without any: `extend=False`."""

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise BridgeError(
                f"expected the precision auto, float32 or bfloat16, got {self.precision!r}; pass one of these"
            )
        for name in ("detail_steps", "extend_every", "cache_limit"):
            if getattr(self, name) < 1:
                raise BridgeError(
                    f"expected {name} of at least 1, got {getattr(self, name)}; "
                    "to go without, pass detail=False or extend=False"
                )
        if self.mixing_weights is not None and not self.mix:
            raise BridgeError("expected mix with mixing_weights, got mix=False; leave one of them out")
        if not 0 <= self.extend_holes <= 1:
            raise BridgeError(f"expected extend_holes from 0 to 1, got {self.extend_holes}")


class Bridge:
    """A learned, camera-pose-conditioned video model that runs on a laptop.

    The depth of the context is estimated once and kept while the context stays the same.
    """

    def __init__(self, options: BridgeOptions | None = None, weights: Weights | None = None) -> None:
        self.depth = ContextDepth()
        self.options = options = options or BridgeOptions()
        self.device = _device(options.device)
        self.weights = copy.deepcopy(weights) if weights else load_weights(options.weights)
        net = self.weights.net.to(self.device).eval()
        self.net = net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.mixer = load_mixer(options.mixing_weights) if options.mix else None
        self.texture = None if self.weights.texture is None else self.weights.texture.to(self.device).eval()

    @property
    def spec(self) -> ModelSpec:
        """What the model states of itself."""
        return ModelSpec(
            name="bridge", conditions_on=("cameras", "images", "time", *["scene"] * (self.mixer is not None)),
            min_context=1, gives_confidence=True,
            needs="nothing: its weights come with the package, and it runs on a CPU",
        )  # fmt: skip

    @torch.no_grad()
    def generate(self, request: Request, *, generator: torch.Generator) -> Views:
        """One picture per target, with depth, expected error and what was seen; the same generator state gives the same.

        Confidence is the probability that a pixel's mean absolute colour error is below 0.1.

        Raises:
            BridgeError: no context photos or no targets, NaN in photos or times, not one time a target.
            CameraError: NaN in cameras, or what is no camera.
            ReconstructionError: several photos, all from one place, which give no depth.
            CaptureError: a context without cameras.
        """
        beside = None if self.mixer is None else self._view_scene(request, generator)
        frames: list[tuple[Tensor, ...]] = []
        for i, frame in enumerate(
            self._frames(request, generator)
        ):  # what it was made of is large, and is not kept
            image, scale, better = frame.image, frame.scale, None
            if beside is not None and self.mixer is not None:
                mixed = self.mixer.mix(collect_evidence(beside, request.targets[i], frame))
                image, scale, better = mixed.image[0], mixed.scale[0], mixed.better[0]
            frames.append((image, scale, frame.depth, frame.seen, *([] if better is None else [better])))
        image, scale, depth, seen, *rest = (torch.stack(part) for part in zip(*frames, strict=True))
        clip = Clip(
            images=image, cameras=request.targets, times_s=request.times_s, confidence=confidence(scale)
        )
        better = rest[0] if rest else None
        return Views(clip, depth, colour_std=STD_PER_MEAN_ERROR * scale, seen=seen, better=better)

    @torch.no_grad()
    def collect_evidence(self, request: Request, *, generator: torch.Generator) -> Evidence:
        """What generated frames and the scene of the request, which must have Gaussians, show of its targets."""
        beside = self._view_scene(request, generator)
        assert beside is not None
        frames = enumerate(self._frames(request, generator))
        return Evidence.concatenate(
            [collect_evidence(beside, request.targets[i], frame) for i, frame in frames]
        )

    def _view_scene(self, request: Request, generator: torch.Generator) -> SceneView | None:
        """The scene of the request, if it has Gaussians; the generator is copied, so that frames are the same with and without."""
        if request.scene.gaussians is None:
            return None
        _check(request)
        copied = torch.Generator()
        copied.set_state(generator.get_state())
        return SceneView.of(request.scene.gaussians, self._context(request), copied)

    def _context(self, request: Request) -> Clip:
        return request.context.limit_size(max(request.targets.width, request.targets.height))

    def _frames(self, request: Request, generator: torch.Generator) -> Iterator[Frame]:
        """A frame for each target, from the photos alone."""
        _check(request)
        targets, context = request.targets, self._context(request)
        maps = self.depth.of(replace(request, context=context))
        roll = _Roll(self, Cache(context, maps, torch.zeros(len(context), dtype=torch.bool)), generator)
        guessed = _assumed_shares(maps, context, targets)
        for i in track(range(len(targets)), "generating views", len(targets)):
            time_s = None if request.times_s is None else float(request.times_s[i])
            yield roll.frame(targets[i], time_s, guessed[i])

    def answer(self, given: Conditioning, previous: Previous | None) -> Answer:
        """The network's answer; everything on its device."""
        low = self.options.precision == "bfloat16" or (
            self.options.precision == "auto" and _has_bfloat16(self.device)
        )
        with torch.autocast(self.device.type, torch.bfloat16, enabled=low):
            return self.net(given, previous)


class _Roll:
    """One trajectory under way: the growing cache, the last answer, and the noise that moves with the scene."""

    def __init__(self, model: Bridge, cache: Cache, generator: torch.Generator) -> None:
        self.model, self.cache, self.generator = model, cache, generator
        self.photos = len(cache.clip)
        self.last: tuple[Cameras, Conditioning, Answer, Tensor | None] | None = None
        self.since = 0
        self.added = 0

    def frame(self, target: Cameras, time_s: float | None, guessed: float) -> Frame:
        """The next frame, on the CPU. From 0 to 1, `guessed` says how far nothing that it shows is known."""
        model, h, w = self.model, target.height, target.width
        given = _pad_to_stride(condition(self.cache, target, time_s=time_s))
        answer = model.answer(given.to(model.device), self._previous(given, target))
        colour, noise = answer.colour, None
        if model.texture is not None and model.options.detail:
            noise, seen = self._noise(given, target), given.seen.to(model.device)
            steps = model.options.detail_steps
            colour = colour + sample_detail(model.texture, answer, seen, noise.to(model.device), steps=steps)
        colour = colour.clamp(0, 1)
        self.last = (target, given, answer, noise)  # without detail, as in training: it is sampled anew
        remote = remoteness(given.seen_by_photo[0, 0]).clamp(min=guessed)[None, None].to(model.device)
        scale = model.weights.calibration.scale(answer.log_scale, remote)
        depth = self.cache.scale / (answer.inverse_depth * INVERSE_RANGE).clamp_min(1e-6)
        image, scale, depth = (x[0, :, :h, :w].cpu().float() for x in (colour, scale, depth))
        seen = given.seen[0, 0, :h, :w]
        self._extend(image, scale[0], depth[0], seen, target, time_s)
        return Frame(image.permute(1, 2, 0).contiguous(), scale[0], depth[0], seen, given.crop(h, w))

    def _previous(self, given: Conditioning, target: Cameras) -> Previous | None:
        if self.last is None or not self.model.options.temporal:
            return None
        before, given_before, answer, _ = self.last
        scale = torch.tensor([self.cache.scale])
        previous = previous_frame(
            answer, given_before.inverse_depth, before, given.inverse_depth, target, scale
        )
        return Previous(previous.colour.to(self.model.device), previous.cues.to(self.model.device))

    def _noise(self, given: Conditioning, target: Cameras) -> Float[Tensor, "1 3 h w"]:
        """Fresh noise, but where the frame before saw the surface, its noise, moved along pixel for pixel."""
        fresh = torch.randn(1, 3, *given.base.shape[2:], generator=self.generator)
        if self.last is None or not self.model.options.temporal:
            return fresh
        before, given_before, _, noise = self.last
        if noise is None:
            return fresh
        scale = torch.tensor([self.cache.scale])
        out, valid = warp_picture(
            noise, given_before.inverse_depth, before, given.inverse_depth, target, scale, mode="nearest"
        )
        return torch.where(valid > 0, out, fresh)

    def _extend(
        self, image: Tensor, scale: Tensor, depth: Tensor, seen: Tensor, target: Cameras, time_s: float | None
    ) -> None:
        """A frame that shows something new enters the cache; the photos stay as they are."""
        options = self.model.options
        self.since += 1
        if (
            not options.extend
            or self.since < options.extend_every
            or float(1 - seen.mean()) < options.extend_holes
        ):
            return
        self.since = 0
        self.added += 1
        cache = self.cache
        generated = len(cache.clip) - self.photos
        if generated >= options.cache_limit:
            keep = [*range(self.photos), *range(len(cache.clip) - options.cache_limit + 1, len(cache.clip))]
            cache = cache.select(keep)
        times = None if cache.clip.times_s is None else torch.tensor([time_s or 0.0]).to(cache.clip.times_s)
        frame = Clip(
            images=image.permute(1, 2, 0)[None],
            cameras=target,
            times_s=times,
            names=(f"generated-{self.added:05d}",),
        )
        self.cache = cache.add_frames(frame, depth[None], GENERATED_TRUST * confidence(scale)[None])


def _assumed_shares(maps: DepthMaps, context: Clip, targets: Cameras) -> list[float]:
    """How far each target rests on a depth that was only assumed: of a single photo without points, from 0 where it was
    taken to 1 at the farthest target."""
    if len(context) > 1 or float(maps.confidence.max()) > ASSUMED_TRUST + 1e-6:
        return [0.0] * len(targets)
    apart = (targets.centers - context.require_cameras().centers).norm(dim=1)
    return (apart / apart.max().clamp_min(1e-9)).tolist()


def _pad_to_stride(given: Conditioning) -> Conditioning:
    """To a multiple of the network's stride, by repeating the border."""
    h, w = given.base.shape[2:]
    below, right = -h % STRIDE, -w % STRIDE
    if not (below or right):
        return given

    def grow(x: Tensor) -> Tensor:
        """Pad the last two dimensions."""
        return pad(x.flatten(0, -4), (0, right, 0, below), mode="replicate").unflatten(0, x.shape[:-3])

    return Conditioning(grow(given.views), grow(given.cues), grow(given.base), grow(given.frame))


def _check(request: Request) -> None:
    context, targets, times = request.context, request.targets, request.times_s
    if len(context) == 0 or len(targets) == 0:
        raise BridgeError(
            "expected at least one posed photo and one target camera for bridge, "
            f"got {len(context)} and {len(targets)}"
        )
    context.require_cameras().validate(context.names)
    targets.validate()
    if not bool(torch.isfinite(context.images).all()):
        raise BridgeError(
            "expected photos of finite colours for bridge, got NaN or infinite ones; remove that photo"
        )
    for name, given, count in (("photos", context.times_s, len(context)), ("targets", times, len(targets))):
        if given is not None and (len(given) != count or not bool(torch.isfinite(given).all())):
            raise BridgeError(f"expected a finite time for each of the {count} {name}, got {given.tolist()}")


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name != "cpu" and not (name.startswith("cuda") and torch.cuda.is_available()):
        raise BridgeError(f"expected the device auto, cpu, or cuda where there is one, got {name!r}")
    return torch.device(name)


def _has_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is worth it: on a CPU, oneDNN with the instructions it can use it by."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
