"""Requests at several times, as models can answer them that see one moment or know no time at all."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from recon.compute.progress import note
from worldgen.model import ModelSpec, Request


def split_by_time(spec: ModelSpec, request: Request) -> list[tuple[list[int], Request]]:
    """The targets of each moment, and what to ask about them: one request where nothing need be kept apart.

    A context of several frames at each of several times is that of a rig: each target is asked for with the frames that were taken at
    the time nearest to its own, so that what moves stands in one place in all of them, and with the scene as it is at its own time.
    Without such a context a model that takes times answers all at once. Of one that takes none a note says what becomes of the times.

    Returns:
        (rows of the targets, request) pairs; every target is in one of them.
    """
    whole = [(list(range(len(request.targets))), request)]
    times, taken = request.times_s, request.context.times_s
    if times is None:
        return whole
    shows = "images" in spec.conditions_on and len(request.context) > 0
    moments = torch.zeros(0) if taken is None or not shows else _shared_moments(taken)
    if taken is None or len(moments) < 2:
        if not spec.takes_times:
            note(f"{spec.name} takes no times: all views show the same moment, whatever times were asked for")
        return whole
    nearest = (times.double()[:, None] - moments).abs().argmin(1)
    if not spec.takes_times:
        note(
            f"{spec.name} takes no times: each view is made of the frames that were taken nearest to its time, one of {len(moments)}"
        )
    parts = []
    # without times and a moving scene, targets of one moment of the context are asked for the same way
    each = times.double() if spec.takes_times or request.scene.moving is not None else moments[nearest]
    for time_s in each.unique():
        rows = (each == time_s).nonzero()[:, 0]
        frames = (taken.double() == moments[nearest[rows[0]]]).nonzero()[:, 0].tolist()
        scene = request.scene
        if scene.moving is not None:
            scene = replace(scene, gaussians=scene.moving.at(float(time_s)))
        targets = request.targets[rows]
        part = replace(request, context=request.context[frames], targets=targets, times_s=times[rows])
        parts.append((rows.tolist(), replace(part, scene=scene)))
    return parts


def _shared_moments(times_s: Float[Tensor, "n"]) -> Float[Tensor, "m"]:
    """Times, ascending, at which several frames were taken; of a rig nearly all are, of a carried camera none."""
    times, counts = times_s.double().unique(return_counts=True)
    return times[counts > 1]
