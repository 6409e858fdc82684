"""Requests of any length, size and unit, as a model can answer them."""

from dataclasses import replace

import torch

from recon.cameras import Cameras
from recon.clip import Clip
from recon.compute.progress import note, track
from recon.errors import BridgeError
from worldgen.at_times import split_by_time
from worldgen.door import as_frames, longest_call, padded_indices, size_door
from worldgen.model import ModelSpec, Request, SizeRule, Views, WorldModel, check_answer
from worldgen.route import Route, choose_start, plan_route
from worldgen.units import scale_request, units_per_scene_unit, unscale_answer


def rollout(model: WorldModel, request: Request, *, generator: torch.Generator, overlap: int = 2) -> Views:
    """One picture per target, however many there are.

    Targets go to the model in order, or along the way that `plan_route` finds through them, as many at a time as `spec.frame_rule` allows, padded to that rule; in `spec.unit`;
    and at a size of `spec.size`, to which context and targets are scaled and cropped with square pixels. The answer comes
    back in the unit and at the size of the targets, with confidence 0 where the model did not look; so do the cameras that it says
    it drew. From the second call on, the last `overlap` generated frames join the photos as context, so that the trajectory stays
    one world. Of a rig's frames each target is shown those of its time (`worldgen.at_times`); a moment is then a trajectory of its own.

    Raises:
        BridgeError: no targets, fewer context photos than the model needs, an unknown scale for a model that works in
            metres, or an answer of another length or size.
    """
    parts = split_by_time(model.spec, request)
    if len(parts) == 1:
        return _roll(model, parts[0][1], generator=generator, overlap=overlap)
    answers = []
    for rows, part in track(parts, "moments"):
        answer = _roll(model, part, generator=generator, overlap=overlap)
        names = tuple(f"{row:05d}" for row in rows)
        answers.append(replace(answer, clip=replace(answer.clip, names=names)))
    place = torch.tensor([row for rows, _ in parts for row in rows]).argsort().tolist()
    return Views.concatenate(answers)[place]


def _roll(model: WorldModel, request: Request, *, generator: torch.Generator, overlap: int) -> Views:
    """One picture per target of one moment, or of a model that tells moments apart itself."""
    spec, targets = model.spec, request.targets
    least = max(spec.min_context, int(spec.first_frame_is_context))
    if len(targets) == 0:
        raise BridgeError("expected at least one target camera, got none")
    if len(request.context) < least:
        raise BridgeError(
            f"expected at least {least} context photos for {spec.name}, got {len(request.context)}"
        )
    scale = units_per_scene_unit(spec, request.scene)
    scaled = scale_request(request, scale)
    door = size_door(spec, targets.width, targets.height)
    fitted = door.cameras(scaled.targets)
    asked = replace(scaled, context=_at_model_size(spec, scaled.context, fitted), targets=fitted)
    route = plan_route(spec, asked)
    if (count := len(route.request.targets)) > len(targets):
        note(f"{spec.name} makes {count} frames for {len(targets)} views, to get from one to the next")
    whole = route.pick(_answer(model, route, generator=generator, overlap=overlap))
    if spec.size == SizeRule():
        resized = replace(whole.clip.resize(width=targets.width, height=targets.height), cameras=targets)
        drawn = whole.drawn and whole.drawn.resize(width=targets.width, height=targets.height)
        better = whole.better
        if better is not None:
            size = (targets.height, targets.width)
            better = torch.nn.functional.interpolate(better[:, None], size=size, mode="bilinear")[:, 0]
        whole = replace(whole, clip=resized, drawn=drawn, better=better)
    else:
        whole = door.answer(whole, targets)
    return unscale_answer(whole, targets, scale)


def _at_model_size(spec: ModelSpec, context: Clip, targets: Cameras) -> Clip:
    """In its own shape, or in that of the targets where one of the context is shown among them."""
    if not len(context):
        return context
    if spec.first_frame_is_context:
        return as_frames(context, targets)
    return size_door(spec, context.width, context.height).pictures(context)


def _answer(model: WorldModel, route: Route, *, generator: torch.Generator, overlap: int) -> Views:
    """All targets, call by call; size and unit are the model's already."""
    spec, request, targets = model.spec, route.request, route.request.targets
    step = longest_call(spec, len(targets))
    overlap = overlap if "images" in spec.conditions_on else 0
    parts: list[Views] = []
    for start in range(0, len(targets), step):
        stop = min(start + step, len(targets))
        rows = [start + i for i in padded_indices(spec, stop - start)]
        call = replace(
            request,
            context=_extend_context(request.context, parts, overlap),
            targets=targets[rows],
            times_s=None if request.times_s is None else request.times_s[rows],
        )
        first = 0
        if spec.first_frame_is_context:
            call, first = _started_at(call, _first_frame(call, route, parts, overlap)), 1
        answer = model.generate(call, generator=generator)
        check_answer(answer, call, spec)
        answer = answer[first : first + stop - start]
        times = None if request.times_s is None else request.times_s[start:stop]
        names = tuple(f"{i:05d}" for i in range(start, stop))
        cameras = targets[start:stop].resize(width=answer.clip.width, height=answer.clip.height)
        parts.append(replace(answer, clip=replace(answer.clip, cameras=cameras, names=names, times_s=times)))
    return Views.concatenate(parts)


def _first_frame(call: Request, route: Route, generated: list[Views], overlap: int) -> int:
    """Which view of the context a call begins with: the photo of the route, later the last generated frame where the model is shown it,
    else the photo most like the first target."""
    if not generated:
        assert route.start is not None
        return route.start
    return len(call.context) - 1 if overlap > 0 else choose_start(call)


def _started_at(call: Request, first: int) -> Request:
    """With this view of the context as the first target, which is also the first of the context."""
    cameras = call.context.require_cameras()
    order = [first, *(i for i in range(len(cameras)) if i != first)]
    times, taken = call.times_s, call.context.times_s
    start = times if taken is None else taken[[first]]
    return replace(
        call,
        context=call.context[order],
        targets=Cameras.concatenate([cameras[first], call.targets]),
        times_s=None if times is None or start is None else torch.cat([start[:1].to(times), times]),
    )


def _extend_context(context: Clip, generated: list[Views], overlap: int) -> Clip:
    """The photos, and behind them the last frames of the last call."""
    if not generated or overlap <= 0:
        return context
    last = generated[-1][max(0, len(generated[-1]) - overlap) :]
    tail = last.clip if last.drawn is None else replace(last.clip, cameras=last.drawn)
    if len(context):
        tail = tail.resize(width=context.width, height=context.height)
    named = replace(tail, names=tuple(f"generated-{name}" for name in tail.names))
    return Clip.concatenate([context, named]) if len(context) else named
