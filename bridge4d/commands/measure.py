"""`bridge4d measure`: how well cameras are recovered from clips."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import tyro
from tyro.conf import Positional

from bridge4d import console
from bridge4d.command_line.exit_status import NO_RECONSTRUCTION
from bridge4d.measuring.measure_options import MeasureOptions


@dataclass(frozen=True)
class Measure:
    """How well can cameras be recovered from generated clips, and how consistent are they?

    Typical calls:
      bridge4d measure generated/ --out runs/mine
      bridge4d measure generated/ --control real/ --metrics all --out runs/mine
      bridge4d measure clips.csv --control real --rules all --workers 8 --out runs/everything

    CLIPS is a folder of videos or of folders of frames, one such folder for each model, or a manifest (CSV or JSON
    with the columns clip, cameras, model, group, prompt). Which clips are taken for which model is printed first. Clips of one group (a scene, a camera path) are compared in
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
        """Run the command; its exit status."""
        from bridge4d.measuring.measure_clips import measure_clips
        from eval.report.measure.page import summary_text
        from eval.results.reading import to_json

        console.heading(f"measure {self.clips} → {self.out}")
        done = measure_clips(self.clips, self.out, self.measuring, command=console.typed_command())
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
