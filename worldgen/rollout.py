"""Long requests, cut into calls that a model can answer."""

from dataclasses import replace

import torch

from recon.clip import Clip
from recon.errors import BridgeError
from worldgen.model import Request, WorldModel


def rollout(model: WorldModel, request: Request, *, generator: torch.Generator, overlap: int = 2) -> Clip:
    """One picture per target, however many there are.

    Targets go to the model in order, `spec.frames_per_call` at a time and at `spec.resolution`; the answer
    comes back at the size of the targets. From the second call on, the last `overlap` generated frames
    join the photos as context, so that the trajectory stays one world.

    Raises:
        BridgeError: no targets, fewer context photos than the model needs, or an answer of another length.
    """
    spec, targets = model.spec, request.targets
    if len(targets) == 0:
        raise BridgeError("expected at least one target camera, got none")
    if len(request.context) < spec.min_context:
        raise BridgeError(
            f"expected at least {spec.min_context} context photos for {spec.name}, got {len(request.context)}"
        )
    width, height = spec.resolution or (targets.width, targets.height)
    asked = targets.resized(width=width, height=height) if spec.resolution else targets
    step = spec.frames_per_call or len(targets)
    parts: list[Clip] = []
    for start in range(0, len(targets), step):
        stop = min(start + step, len(targets))
        call = Request(
            context=_extended(request.context, parts, overlap if "images" in spec.conditions_on else 0),
            targets=asked[start:stop],
            times_s=None if request.times_s is None else request.times_s[start:stop],
            prompt=request.prompt,
        )
        answer = model.generate(call, generator=generator)
        if len(answer) != stop - start:
            raise BridgeError(f"expected {stop - start} frames from {spec.name}, got {len(answer)}")
        parts.append(replace(answer, names=tuple(f"{i:05d}" for i in range(start, stop))))
    whole = Clip.concatenate(parts)
    return replace(whole.resized(width=targets.width, height=targets.height), cameras=targets)


def _extended(context: Clip, generated: list[Clip], overlap: int) -> Clip:
    """The photos, and behind them the last frames of the last call."""
    if not generated or overlap <= 0:
        return context
    last = generated[-1]
    tail = last[max(0, len(last) - overlap) :]
    if len(context):
        tail = tail.resized(width=context.width, height=context.height)
    named = replace(tail, names=tuple(f"generated-{name}" for name in tail.names))
    return Clip.concatenate([context, named]) if len(context) else named
