"""Long requests, cut into calls that a model can answer."""

from dataclasses import replace

import torch

from recon.clip import Clip
from recon.errors import BridgeError
from worldgen.door import longest_call, padded_indices, size_door
from worldgen.model import Request, WorldModel


def rollout(model: WorldModel, request: Request, *, generator: torch.Generator, overlap: int = 2) -> Clip:
    """One picture per target, however many there are.

    Targets go to the model in order, `spec.frames_per_call` at a time and at `spec.resolution`, to which context and
    targets are scaled and cropped with square pixels; the answer comes back at the size of the targets, with confidence 0
    where the model did not look. Calls are padded to `spec.frame_rule`. From the second call on, the last `overlap`
    generated frames join the photos as context, so that the trajectory stays one world.

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
    door = size_door(spec, targets.width, targets.height)
    asked = door.cameras(targets)
    context = request.context
    if len(context):
        context = size_door(spec, context.width, context.height).pictures(context)
    step = longest_call(spec, len(targets))
    parts: list[Clip] = []
    for start in range(0, len(targets), step):
        stop = min(start + step, len(targets))
        rows = [start + i for i in padded_indices(spec, stop - start)]
        call = Request(
            context=_extended(context, parts, overlap if "images" in spec.conditions_on else 0),
            targets=asked[rows],
            times_s=None if request.times_s is None else request.times_s[rows],
            prompt=request.prompt,
        )
        answer = model.generate(call, generator=generator)
        if len(answer) != len(call.targets):
            raise BridgeError(f"expected {len(call.targets)} frames from {spec.name}, got {len(answer)}")
        if spec.resolution and (answer.width, answer.height) != spec.resolution:
            raise BridgeError(
                f"expected pictures of {spec.resolution[0]}x{spec.resolution[1]} from {spec.name}, got "
                f"{answer.width}x{answer.height}"
            )
        answer = answer[: stop - start]
        parts.append(replace(answer, names=tuple(f"{i:05d}" for i in range(start, stop))))
    whole = Clip.concatenate(parts)
    if spec.resolution:
        return door.answer(whole, targets)
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
