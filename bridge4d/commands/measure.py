"""`bridge4d measure`: how well cameras are recovered from clips."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from bridge4d import console
from bridge4d.asking.options import AskOptions
from bridge4d.command_line.exit_status import DIFFERS, NO_RECONSTRUCTION
from bridge4d.measuring.measure_options import MeasureOptions
from bridge4d.planning.plan_options import PlanOptions
from recon.errors import BridgeError


@dataclass(frozen=True)
class Measure:
    """How well can cameras be recovered from generated clips, and how consistent are they?

    Typical calls:
      bridge4d measure generated/ --out runs/mine
      bridge4d measure generated/ --control real/ --metrics all --out runs/mine
      bridge4d measure clips.csv --control real --rules all --workers 8 --out runs/everything
      bridge4d measure --model bridge --paths realestate10k/ --photos photos/ --out runs/bench
      bridge4d measure --plan --difference 0.1 --base-rate 0.6
      bridge4d measure --check runs/mine

    CLIPS is a folder of videos or of folders of frames, one such folder for each model, or a manifest (CSV or JSON
    with the columns clip, cameras, model, group, prompt). Which clips are taken for which model is printed first. Clips of one group (a scene, a camera path) are compared in
    pairs. Start the same command again to continue an interrupted run. --plan says how many clips a comparison needs,
    before any is made. Instead of CLIPS, --model asks a world model for a clip along each of --paths, and measures those.
    """

    clips: Annotated[Positional[Path | None], tyro.conf.arg(metavar="[CLIPS]")] = None
    """Where the clips are."""
    out: Path | None = None
    """Run folder: report.html, report.json, clips.csv, table.tex, and a folder for every clip."""
    measuring: tyro.conf.OmitArgPrefixes[MeasureOptions] = field(default_factory=MeasureOptions)
    asking: tyro.conf.OmitArgPrefixes[AskOptions] = field(default_factory=AskOptions)
    planning: tyro.conf.OmitArgPrefixes[PlanOptions] = field(default_factory=PlanOptions)
    check: Path | None = None
    """A run folder or its report.json: recompute its tables from the stored results of its clips, say what differs, and measure
    nothing. The exit status is 0 where all agrees, else 1."""
    json: bool = False
    """Print report.json, the plan or the check as JSON to stdout instead of words."""

    def run(self) -> int:
        """Run the command; its exit status.

        Raises:
            BridgeError: CLIPS or --out is missing, or not wanted.
        """
        self.planning.check()
        if self.planning.plan:
            return self._plan()
        if self.check is not None:
            return self._check(self.check)
        asked = self.asking.model is not None
        if asked and self.clips is not None:
            raise BridgeError(f"expected CLIPS or --model, got both: {self.clips} and {self.asking.model}")
        self.asking.check()
        if (self.clips is None and not asked) or self.out is None:
            missing = "--out" if self.clips is not None or asked else "CLIPS"
            raise BridgeError(
                f"bridge4d measure needs {missing}; bridge4d measure --help shows how it is called"
            )
        return self._measure(self.clips, self.out)

    def _plan(self) -> int:
        """Print how many clips are needed."""
        from bridge4d.planning.plan import make_plan, plan_text
        from eval.results.reading import to_json

        self._refuse_clips("--plan")
        plan = make_plan(self.planning)
        console.result(json.dumps(to_json(plan), indent=2) if self.json else plan_text(plan))
        return 0

    def _check(self, report: Path) -> int:
        """Print what of a report agrees with its run."""
        from bridge4d.measuring.checking.check_report import check_report, check_text
        from eval.results.reading import to_json

        self._refuse_clips("--check")
        found = check_report(report)
        as_json = {"agrees": found.agrees, **to_json(found)}
        console.result(json.dumps(as_json, indent=2) if self.json else check_text(found))
        return 0 if found.agrees else DIFFERS

    def _refuse_clips(self, flag: str) -> None:
        asked = self.asking.model is not None
        if (
            asked
            or self.clips is not None
            or self.out is not None
            or (self.planning.plan and self.check is not None)
        ):
            raise BridgeError(
                f"{flag} measures nothing: expected neither CLIPS nor --model nor --out nor another such option beside it"
            )

    def _measure(self, clips: Path | None, out: Path) -> int:
        """Measure clips, or those that a world model is asked for, and print the summary."""
        from bridge4d.asking.measure_model import measure_model
        from bridge4d.measuring.measure_clips import measure_clips
        from eval.report.measure.page import summary_text
        from eval.results.reading import to_json

        console.heading(f"measure {self.asking.model if clips is None else clips} → {out}")
        command = console.typed_command()
        if clips is None:
            done = measure_model(out, self.asking, self.measuring, command=command)
        else:
            done = measure_clips(clips, out, self.measuring, command=command)
        if self.json:
            console.result(json.dumps(to_json(done.report), indent=2))
        else:
            # its remarks on how clips were grouped were printed before the work
            console.result(summary_text(replace(done.report, grouping=[])))
            console.result(f"report: {done.report_html}")
        if not any(model.n for model in done.report.models.values()):
            console.fail(
                f"none of {len(done.report.clips)} clips could be measured; {done.report_html} says why"
            )
            return NO_RECONSTRUCTION
        return 0
