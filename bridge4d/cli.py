"""The command line: a thin shell over the public functions."""

import contextlib
import json
import logging
import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from bridge4d import __version__, console
from bridge4d.measure_options import MeasureOptions
from bridge4d.options import AugmentOptions
from recon.errors import BridgeError, explain_os_error
from recon.progress import reporting_to

BAD_INPUT, NO_RECONSTRUCTION, INTERRUPTED = 2, 3, 130
STOPPED = "stopped; start the same command again to continue where it stopped"
PATIENCE_S = 2.0


@dataclass(frozen=True)
class Augment:
    """Better splats from a few photos: generate novel views, check them with COLMAP, keep what helps.

    Typical calls:
      bridge4d augment photos/ --out runs/kitchen
      bridge4d augment video.mp4 --views 6 --rounds 1 --out runs/video
      bridge4d augment capture/ --protocol from-scratch --max-side 640 --iterations 3000 --out runs/fine

    PHOTOS is a folder of images, a video, a COLMAP model, or a folder with a transforms.json. Start the same
    command again to continue an interrupted run.
    """

    photos: Positional[Path]
    """Where the photos are."""
    out: Path
    """Run folder: scene, report and everything in between."""
    loop: tyro.conf.OmitArgPrefixes[AugmentOptions] = field(default_factory=AugmentOptions)
    json: bool = False
    """Print report.json to stdout instead of the summary."""

    def run(self) -> int:
        from bridge4d.loop import augment
        from eval.summary import summary

        console.heading(f"augment {self.photos} → {self.out}")
        done = augment(self.photos, self.out, self.loop, command=this_command())
        if self.json:
            console.result(json.dumps(done.report, indent=2))
        else:
            console.result(summary(done.report))
            if done.scene is not None:
                console.result(f"scene:  {done.scene}")
            console.result(f"report: {done.report_html}")
        if done.scene is None:
            console.fail(f"{done.report['kept_because']}; {done.report_html} says what was tried")
            return NO_RECONSTRUCTION
        return 0


@dataclass(frozen=True)
class Measure:
    """How well can cameras be recovered from generated clips, and how consistent are they?

    Typical calls:
      bridge4d measure generated/ --out runs/mine
      bridge4d measure generated/ --control real/ --metrics all --out runs/mine
      bridge4d measure clips.csv --control real --rules all --workers 8 --out runs/everything

    CLIPS is a folder of videos or of folders of frames, one such folder for each model, or a manifest (CSV or JSON
    with the columns clip, cameras, model, group, prompt). Clips of one group (a scene, a camera path) are compared in
    pairs. Start the same command again to continue an interrupted run.
    """

    clips: Positional[Path]
    """Where the clips are."""
    out: Path
    """Run folder: report.html, report.json, clips.csv, table.tex, and a folder for every clip."""
    measuring: tyro.conf.OmitArgPrefixes[MeasureOptions] = field(default_factory=MeasureOptions)
    json: bool = False
    """Print report.json to stdout instead of the summary."""

    def run(self) -> int:
        from bridge4d.survey import measure
        from eval.report.measure import summary_text

        console.heading(f"measure {self.clips} → {self.out}")
        done = measure(self.clips, self.out, self.measuring, command=this_command())
        if self.json:
            console.result(json.dumps(done.report, indent=2))
        else:
            console.result(summary_text(done.report))
            console.result(f"report: {done.report_html}")
        if not any(model["n"] for model in done.report["models"].values()):
            console.fail(
                f"none of {len(done.report['clips'])} clips could be measured; {done.report_html} says why"
            )
            return NO_RECONSTRUCTION
        return 0


@dataclass(frozen=True)
class View:
    """Look at a splat scene in the browser.

    Typical calls:
      bridge4d view runs/demo
      bridge4d view scene.ply --port 9000
    """

    scene: Positional[Path]
    """A splat .ply, or a run folder."""
    port: int = 8080
    """Where the page is served on this machine."""

    def run(self) -> int:
        from bridge4d.viewer import find_scene, serve, wait
        from recon.splats.ply import read_ply

        scene = find_scene(self.scene)
        gaussians = read_ply(scene)
        server = serve(gaussians, port=self.port)
        console.result(
            f"{len(gaussians):,} Gaussians of {scene}: http://localhost:{server.get_port()} (Ctrl-C ends)"
        )
        wait()
        server.stop()
        return 0


@dataclass(frozen=True)
class Sample:
    """Write the built-in sample capture: photos of a procedurally textured room.

    Typical call:
      bridge4d sample runs/sample-room
    """

    out: Positional[Path]
    """Folder for the photos."""
    photos: int = 24
    """How many."""

    def run(self) -> int:
        from bridge4d.sample import write_sample

        write_sample(self.out, photos=self.photos)
        console.result(f"{self.photos} photos in {self.out}")
        return 0


@dataclass(frozen=True)
class Models:
    """List the world models: what each does, and what it still needs here."""

    json: bool = False
    """Machine-readable."""

    def run(self) -> int:
        from worldgen.registry import available_models

        models = available_models()
        if self.json:
            console.result(json.dumps(models, indent=2))
            return 0
        for model in models:
            console.result(f"{model['name']:<10} {model['description']}")
            if model.get("needs"):
                console.result(f"{'':<10} needs: {model['needs']}")
        return 0


@dataclass(frozen=True)
class Doctor:
    """Say what this machine can do: cores, memory, GPU, engines, versions."""

    json: bool = False
    """Machine-readable."""

    def run(self) -> int:
        from bridge4d.doctor import examine

        found = examine()
        if self.json:
            console.result(json.dumps(found, indent=2))
        else:
            for key, value in found.items():
                console.result(f"{key:<12} {value}")
        return 0


Command = (
    Annotated[Augment, tyro.conf.subcommand("augment")]
    | Annotated[Measure, tyro.conf.subcommand("measure")]
    | Annotated[View, tyro.conf.subcommand("view")]
    | Annotated[Sample, tyro.conf.subcommand("sample")]
    | Annotated[Models, tyro.conf.subcommand("models")]
    | Annotated[Doctor, tyro.conf.subcommand("doctor")]
)


def this_command() -> str:
    """The command line of this process, as one would type it."""
    return shlex.join(["bridge4d", *sys.argv[1:]])


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """SIGTERM ends like Ctrl-C, so that what is half-written is cleaned away; and both end soon.

    Where the work does not let go in time (a compiler or COLMAP in another thread), the process leaves without it;
    the next start of the same command clears what was half-written.
    """

    def leave() -> None:
        console.fail(STOPPED)
        os._exit(INTERRUPTED)

    def stop(signum: int, frame: object) -> None:
        watchdog = threading.Timer(PATIENCE_S, leave)
        watchdog.daemon = True
        watchdog.start()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main() -> None:
    """The entry point of `bridge4d`."""
    if sys.argv[1:] == ["--version"]:
        console.result(__version__)
        return
    try:
        command = tyro.cli(
            Command,  # type: ignore[arg-type]
            prog="bridge4d",
            description="Closes the loop between generating 3D scenes and reconstructing them.",
        )
    except BridgeError as error:
        console.fail(str(error))
        sys.exit(BAD_INPUT)
    except BrokenPipeError:  # `bridge4d --help | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    logging.basicConfig(level=os.environ.get("BRIDGE4D_LOG", "ERROR").upper(), format="%(name)s: %(message)s")
    sys.exit(run(command))


def run(command: Augment | Measure | View | Sample | Models | Doctor) -> int:
    """Runs a parsed command; every expected trouble ends in one sentence and an exit status."""
    out = getattr(command, "out", Path.cwd())
    try:
        with stoppable(), reporting_to(console.TerminalReporter()):
            return command.run()
    except BridgeError as error:
        console.fail(str(error))
        return BAD_INPUT
    except BrokenPipeError:  # `bridge4d models | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        console.fail(str(explain_os_error(error, out)))
        return BAD_INPUT
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error).lower():
            raise
        console.fail("not enough memory; try a smaller --max-side, --sfm-side or --max-gaussians")
        return BAD_INPUT
    except KeyboardInterrupt:
        console.fail(STOPPED)
        console.err.file.flush()
        os._exit(INTERRUPTED)  # not waiting for threads that still work
