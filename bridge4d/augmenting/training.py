"""How the scenes of a run are trained: for how long, on what, and as the trainer before would have."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from bridge4d.augmenting.options import TWENTIETHS, AugmentOptions
from bridge4d.augmenting.prepare import PreparedPhotos
from bridge4d.runs.fingerprints import fingerprint_scenes, options_to_json, pick_options
from bridge4d.runs.run import Run
from bridge4d.runs.stages import StageRecord
from bridge4d.stages import choose, depth, splats
from eval.results.augment import BASELINE
from recon.clip import Clip
from recon.compute.progress import note
from recon.compute.seeds import make_generator
from recon.depth.surfaces import LEAST_CONFIDENCE
from recon.points import PointCloud
from recon.splats.fit import FitOptions

FIT, CHOOSE, SEEDS, MERGE = 1, 4, 7, 8
"""Numbers of the streams of random numbers; never reused for another piece of work, here or in `rounds`."""
DROPOUT = 0.3
"""Share that is left out at the end where nothing else is asked for; other shares were not tried in full."""
BASELINE_ITERATIONS, BASELINE_CONFIDENCE = 800, 0.8
"""Of the trainer before: a fixed length, and a start on surfaces that three photos agree on; it dropped nothing out."""


def settle_training(run: Run, prepared: PreparedPhotos, options: AugmentOptions) -> AugmentOptions:
    """The options with the iterations and dropout that were asked for, else with those that are chosen."""
    if options.iterations is not None:
        return replace(options, dropout=options.dropout or 0.0)
    if options.start is not None:  # it may have been made from the photos that would be left out
        return replace(options, iterations=options.longest, dropout=options.dropout or 0.0)
    surfaces = prepared.surfaces
    assert surfaces is not None
    dropout = DROPOUT if options.dropout is None else options.dropout
    asked = fit_options(replace(options, iterations=options.longest, dropout=dropout))
    done = run.stage(
        "choose",
        lambda folder: choose.choose_training(
            prepared.cameras.folder,
            surfaces.folder,
            folder,
            options=asked,
            max_side=options.max_side,
            max_points=options.max_surface_points,
            try_without_dropout=options.dropout is None,
            generator=make_generator(options.seed, CHOOSE),
        ),
        version=choose.VERSION,
        depends_on={**pick_options(options, "max_side", "seed"), **options_to_json(asked)}
        | {"try without dropout": options.dropout is None},
        earlier={"depth": surfaces.fingerprint},
    )
    said = choose.load_record(done.folder)
    note(f"training for {said['iterations']} iterations with dropout {said['dropout']:g}: {said['why']}")
    return replace(options, iterations=said["iterations"], dropout=said["dropout"])


def fit_scene(
    run: Run,
    name: str,
    prepared: PreparedPhotos,
    options: AugmentOptions,
    *,
    extra: Sequence[Clip] = (),
    depends_on: Mapping[str, Any] | None = None,
    earlier: Mapping[str, str] | None = None,
) -> StageRecord:
    """Splats from the photos and the accepted frames; the same steps and seeds whatever enters.

    `options` state their iterations; `depends_on` and `earlier` say what decides the frames in `extra`.
    """
    if options.seeds > 1:
        return _fit_several(run, name, prepared, options, extra, depends_on or {}, earlier or {})
    return _fit(
        run,
        f"splats/{name}",
        prepared,
        options,
        fit_options(options),
        start=lambda: options.start,
        frames=extra,
        depends_on=depends_on or {},
        earlier=earlier or {},
    )


def _fit_several(
    run: Run,
    name: str,
    prepared: PreparedPhotos,
    options: AugmentOptions,
    frames: Sequence[Clip],
    depends_on: Mapping[str, Any],
    earlier: Mapping[str, str],
) -> StageRecord:
    """Scenes of several seeds, each a stage, merged into the stage ``splats/name``."""
    fitting = fit_options(options)
    scenes = [
        fit_seed(run, name, number, prepared, options, frames=frames, depends_on=depends_on, earlier=earlier)
        for number in range(1, options.seeds + 1)
    ]
    return run.stage(
        f"splats/{name}",
        lambda folder: splats.merge_splats(
            prepared.cameras.folder,
            [scene.folder for scene in scenes],
            folder,
            options=fitting,
            max_side=options.max_side,
            generator=make_generator(options.seed, MERGE),
            frames=frames,
            frame_share=choose_frame_share(options),
        ),
        version=splats.VERSION,
        depends_on={
            **pick_options(options, "max_side", "seed"),
            **options_to_json(fitting),
            **depends_on,
        },
        earlier={scene.name: scene.fingerprint for scene in scenes} | dict(earlier),
    )


def fit_seed(
    run: Run,
    name: str,
    number: int,
    prepared: PreparedPhotos,
    options: AugmentOptions,
    *,
    frames: Sequence[Clip] = (),
    depends_on: Mapping[str, Any] | None = None,
    earlier: Mapping[str, str] | None = None,
) -> StageRecord:
    """The scene `name` from another seed, as the stage ``seeds/name/number``; `number` counts from 1.

    It starts from other points of the same photos, unless a scene to start from was given.
    """
    return _fit(
        run,
        f"seeds/{name}/{number}",
        prepared,
        options,
        fit_options(options),
        start=lambda: (
            options.start or _draw_start(prepared, options, make_generator(options.seed, SEEDS, number, 0))
        ),
        frames=frames,
        depends_on={**(depends_on or {}), "number": number},
        earlier=earlier or {},
        stream=(SEEDS, number, 1),
    )


def _draw_start(
    prepared: PreparedPhotos,
    options: AugmentOptions,
    generator: torch.Generator,
    least_confidence: float = LEAST_CONFIDENCE,
) -> PointCloud:
    """Points of all photos to start from."""
    surfaces, photos = prepared.surfaces, prepared.photos
    assert surfaces is not None
    assert photos is not None
    cloud = depth.load_start_cloud(
        prepared.cameras.folder, surfaces.folder, options.max_surface_points, least_confidence
    )
    return cloud.draw(photos, range(len(photos)), generator)


def fit_baseline(
    run: Run, prepared: PreparedPhotos, options: AugmentOptions, iterations: int | None
) -> StageRecord:
    """Splats of the photos alone as the trainer before made them, to be compared with; nothing else is made from them.

    `iterations` are those that were asked for, None for the length that it had.
    """
    earlier = replace(fit_options(options), iterations=iterations or BASELINE_ITERATIONS, dropout=0.0)

    def start() -> Path | PointCloud:
        if options.start is not None:
            return options.start
        generator = torch.Generator().manual_seed(options.seed)
        return _draw_start(prepared, options, generator, BASELINE_CONFIDENCE)

    return _fit(
        run,
        f"splats/{BASELINE}",
        prepared,
        options,
        earlier,
        start=start,
        frames=(),
        depends_on={},
        earlier={},
    )


def _fit(
    run: Run,
    name: str,
    prepared: PreparedPhotos,
    options: AugmentOptions,
    fitting: FitOptions,
    *,
    start: Callable[[], Path | PointCloud | None],
    frames: Sequence[Clip],
    depends_on: Mapping[str, Any],
    earlier: Mapping[str, str],
    stream: tuple[int, ...] = (FIT,),
) -> StageRecord:
    """A scene as the stage `name`; `start` is asked for its start where the stage is not done yet.

    `stream` are the numbers of its stream of random numbers.
    """
    surfaces = prepared.surfaces
    assert surfaces is not None
    return run.stage(
        name,
        lambda folder: splats.fit_splats(
            prepared.cameras.folder,
            surfaces.folder,
            folder,
            options=fitting,
            max_side=options.max_side,
            generator=make_generator(options.seed, *stream),
            start=start(),
            frames=frames,
            frame_share=choose_frame_share(options),
        ),
        version=splats.VERSION,
        depends_on={
            **pick_options(options, "max_side", "seed"),
            **options_to_json(fitting),
            **depends_on,
        },
        earlier={"depth": surfaces.fingerprint, **earlier},
        reads=lambda: fingerprint_scenes(options.scene_files),
    )


def choose_frame_share(options: AugmentOptions) -> splats.FrameShare:
    """How often and when a training looks at generated frames."""
    return splats.FrameShare(options.generated_share, TWENTIETHS, options.generated_twentieths)


def fit_options(options: AugmentOptions) -> FitOptions:
    """How a scene is trained; `options` state their iterations."""
    assert options.iterations is not None
    return FitOptions(
        iterations=options.iterations,
        sh_degree=options.sh_degree,
        cap=options.max_gaussians,
        dropout=options.dropout or 0.0,
    )
