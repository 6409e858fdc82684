"""Measure a world model: ask it for clips along camera paths, and measure these as any clips."""

from pathlib import Path

from bridge4d.asking.ask_clips import ask_clips
from bridge4d.asking.options import AskOptions
from bridge4d.measuring.measure_clips import MeasureResult, check_measuring, measure_clips
from bridge4d.measuring.measure_options import MeasureOptions
from bridge4d.runs.run import open_run
from bridge4d.runs.run_folder import MEASURE as MEASURE_RUN


def measure_model(
    out: Path | str, asking: AskOptions, options: MeasureOptions = MeasureOptions(), *, command: str = ""
) -> MeasureResult:
    """Ask a world model for a clip along each path, then measure all clips of the run folder.

    Clips of other models that were asked for in the same folder, along the same paths from the same photos, are in the report too.

    Args:
        out: The run folder. Start again with the same one to continue, or with another model to add it.
        asking: Which model, along which paths, from which photos.
        options: What is measured, and how.
        command: The command line, quoted in the report.

    Raises:
        BridgeError: as `bridge4d.asking.ask_clips.ask_clips` and `measure_clips`.

    Example:
        >>> asking = AskOptions(model="bridge", paths=("realestate10k",), photos=Path("photos"))
        >>> measure_model("runs/bench", asking).report.models["bridge"]
    """
    check_measuring(options)
    with open_run(Path(out), kind=MEASURE_RUN) as run:
        manifest, asked = ask_clips(
            run,
            asking,
            seed=options.seed,
            convention=options.convention,
            allow_outside=options.allow_outside,
        )
    return measure_clips(manifest, out, options, command=command, asked=asked)
