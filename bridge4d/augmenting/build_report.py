"""The report of a run of the loop, out of what its stages left."""

import platform
from importlib.metadata import PackageNotFoundError, version

from bridge4d.augmenting.heldout_report import heldout_report
from bridge4d.augmenting.options import AugmentOptions
from bridge4d.augmenting.prepare import PreparedPhotos
from bridge4d.augmenting.report_pictures import add_pictures
from bridge4d.augmenting.rounds import PHOTOS_ONLY, RoundResult, summarise
from bridge4d.runs import store
from bridge4d.runs.fingerprints import options_to_json
from bridge4d.runs.run import Run
from bridge4d.runs.stages import StageRecord
from bridge4d.stages.scores import Score
from recon.cameras import Cameras
from worldgen.registry import describe

SCHEMA = "bridge4d/augment/1"
FEW_JUDGES = 6
"""Below so many held-out photos a bootstrap interval is known to be too narrow."""
PACKAGES = ("bridge4d", "torch", "pycolmap", "gsplat", "kornia", "numba", "numpy", "opencv-python-headless")


def build_report(
    run: Run,
    prepared: PreparedPhotos,
    rounds: list[RoundResult],
    scores: list[Score],
    options: AugmentOptions,
    *,
    best: int,
    shown: int | None,
    exports: StageRecord | None,
    generates: bool,
    command: str | None,
) -> dict:
    """What ``report.json`` holds; draws the pictures that it alone shows.

    Args:
        scores: of the photos alone and of every round; empty where no held-out photo could be registered.
        best: the index of the scene that is kept, 0 is that of the photos alone.
        shown: the round that is compared with the photos alone; None where no generated frame entered any.
        exports: the stage of that name; None where nothing could be reconstructed.
        generates: whether a world model was to be asked; False for `reconstruct_scene`.
        command: how to repeat the run; None for the call in Python.
    """
    report = _report(run, prepared, rounds, scores, best, shown, options, command)
    if not generates:
        name = f"bridge4d.reconstruct_scene({prepared.about['path']!r}, {str(run.folder)!r})"
        report |= {"task": "reconstruct", "world_model": None, "command": command or name}
        if scores:
            report["kept_because"] = ""
    if exports is not None:
        report["exports"] = {
            p.name: str(p.relative_to(run.folder))
            for p in sorted(exports.folder.iterdir())
            if p.name != "stage.json"
        }
        photos_only = run.records[f"splats/{PHOTOS_ONLY}"]
        add_pictures(report, run, exports, photos_only, augmented=best > 0, max_side=options.max_side)
        report["stages"] = _stages(run)
    return report


def _report(
    run: Run,
    prepared: PreparedPhotos,
    rounds: list[RoundResult],
    scores: list[Score],
    best: int,
    shown: int | None,
    options: AugmentOptions,
    command: str | None,
) -> dict:
    about = prepared.about
    frames = [row for played in rounds for row in played.frames]
    return {
        "schema": SCHEMA,
        "task": "augment",
        "status": "ok" if prepared.photos is not None else "no-reconstruction",
        "protocol": prepared.protocol.value,
        "capture": {key: about[key] for key in ("path", "kind", "pose_kind", "width", "height")},
        "photos": {
            "given": about["given"],
            "usable": about["usable"],
            "training": len(about["training"]),
            "registered": about["sfm"]["registered"],
            "skipped": about["skipped"],
            "training_names": about["training"],
        },
        "sfm": {
            key: about["sfm"][key]
            for key in ("status", "models", "points", "reprojection_error_px", "seconds")
        },
        "heldout": heldout_report(about["heldout"], scores, shown, options.seed),
        "generated": summarise(frames) | {"frames": frames},
        "rounds": [
            {"round": played.number}
            | {
                k: v
                for k, v in summarise(played.frames).items()
                if k in ("requested", "recovered", "accepted")
            }
            | {
                "psnr": round(mean, 4) if played.accepted is not None else None,
                "gain": round(mean - scores[0].mean_psnr, 4) if played.accepted is not None else None,
            }
            for played, mean in zip(rounds, [score.mean_psnr for score in scores[1:]], strict=True)
        ],
        "kept": "augmented" if best > 0 else "photos_only",
        "kept_round": best,
        "kept_because": _kept_because(prepared, rounds, scores, best),
        "world_model": describe(options.model),
        "cameras": _cameras_report(run, prepared, frames),
        "warnings": _warnings(about, scores, compared=shown is not None, from_points=options.start is None),
        "exports": {},
        "orbit": None,
        "stages": _stages(run),
        "command": command or f"bridge4d.augment({about['path']!r}, {str(run.folder)!r}, {options!r})",
        "options": options_to_json(options),
        "seed": options.seed,
        "versions": _versions(),
    }


def _kept_because(prepared: PreparedPhotos, rounds: list[RoundResult], scores: list[Score], best: int) -> str:
    if prepared.photos is None:
        return f"COLMAP could not reconstruct the training photos: {prepared.about['sfm']['status']}"
    if not scores:
        return (
            "no held-out photo could be registered, so there is no proof of a gain; the photos alone are kept"
        )
    if not rounds:
        return "no round was asked for"
    if rounds[0].nothing_because:
        return f"no novel view could be planned: {rounds[0].nothing_because}"
    if all(played.accepted is None for played in rounds):
        return "no generated frame passed the gate"
    gain = scores[best].mean_psnr - scores[0].mean_psnr
    if best > 0:
        return f"round {best} is {gain:.2f} dB better than the photos alone on the held-out photos"
    change = f"{scores[1].mean_psnr - scores[0].mean_psnr:+.2f}".replace("-", "\N{MINUS SIGN}")
    return f"the generated frames did not help: {change} dB on the held-out photos"


def _cameras_report(run: Run, prepared: PreparedPhotos, frames: list[dict]) -> dict:
    def rows(names: tuple[str, ...], cameras: Cameras) -> list[dict]:
        return [
            {"name": n, "world_from_cam": m.tolist()}
            for n, m in zip(names, cameras.world_from_cam, strict=True)
        ]

    out: dict[str, list[dict]] = {"training": [], "heldout": [], "generated": []}
    if prepared.photos is None:
        return out
    out["training"] = rows(prepared.photos.names, prepared.photos.require_cameras())
    folder = (
        run.folder / "heldout" / "photos" if "heldout" in run.records else run.folder / "capture" / "heldout"
    )
    if (folder / "clip.json").exists():
        held, cameras = store.read_clip_json(folder)
        if cameras is not None:
            out["heldout"] = rows(tuple(held["names"]), cameras)
    accepted = {row["name"]: row["accepted"] for row in frames}
    for number in sorted({row["round"] for row in frames}):
        about, cameras = store.read_clip_json(run.folder / "generated" / f"round-{number}")
        assert cameras is not None
        for row in rows(tuple(about["names"]), cameras):
            out["generated"].append(row | {"accepted": accepted[row["name"]]})
    return out


def _warnings(about: dict, scores: list[Score], *, compared: bool, from_points: bool) -> list[str]:
    """What a reader should know; `from_points` says that fits start from points rather than from a scene given."""
    warnings = [*about.get("notes", []), *(f"{item['name']}: {item['reason']}" for item in about["skipped"])]
    if about["sfm"]["registered"] >= 2 and about["sfm"]["points"] == 0:
        warnings.append(
            "no point could be triangulated from the training photos: no generated frame can be checked"
        )
    depth = about.get("depth")
    if depth is not None and depth["surface_points"] == 0 and from_points:
        reason = depth["failed"] or "they agree on no surface"
        warnings.append(
            f"no depth could be found from the training photos ({reason}): every scene, the photos-only one too, was "
            f"fitted from {depth['sfm_points']} triangulated points alone and may be blurred or empty between these"
        )
    missing = len(about["training"]) - about["sfm"]["registered"]
    if missing:
        warnings.append(f"{missing} of {len(about['training'])} training photos could not be registered")
    judged = len(scores[0].names) if scores else 0
    if judged < len(about["heldout"]):
        warnings.append(f"{judged} of {len(about['heldout'])} held-out photos could be registered and judged")
    if compared and 1 < judged < FEW_JUDGES:  # of a single one there is no interval
        warnings.append(
            f"only {judged} held-out photos: the interval spans no more than what these showed and is too narrow"
        )
    return warnings


def _stages(run: Run) -> list[dict]:
    return [{"name": r.name, "seconds": r.seconds, "peak_mb": r.peak_mb} for r in run.records.values()]


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
