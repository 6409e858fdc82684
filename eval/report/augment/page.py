"""The report of an augmentation: what was kept, and what photos held out say about it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from eval.judging.protocols import Protocol
from eval.report.augment.gain_plot import gain_plot
from eval.report.augment.metrics import measured_metrics
from eval.report.augment.sentences import (
    because,
    certainty,
    delivery_words,
    has_no_augmented_scene,
    headline,
    is_reconstruction,
    latent_words,
    null_words,
    photos_words,
)
from eval.report.page import render, write_text
from eval.report.pictures import embed_pictures, embed_video, read_confidence
from eval.results.augment import (
    AUGMENTED,
    PHOTOS_ONLY,
    AugmentReport,
    Decision,
    GeneratedFrame,
    HeldOut,
    NullSeries,
    Orbit,
    OwnRenderings,
    PerView,
    Series,
)
from eval.results.reading import clean, read_report, to_json

HELDOUT_BYTES = 6_500_000
FRAMES_BYTES = 5_000_000
CONFIDENCE_BYTES = 1_000_000
ORBIT_BYTES = 1_000_000
"""Most bytes of each of two videos. With all four limits the page stays below 15 MB, which mail servers let through."""
CONFIDENCE_SIDE = 360
"""Long side in pixels; maps are smooth."""

ROLES = {"truth": "Photo", PHOTOS_ONLY: "Photos only", AUGMENTED: "Augmented"}
"""Captions of the pictures of a held-out view, the photo first; the last needs a second scene."""


@dataclass(frozen=True)
class ShownFrame:
    """A row of the table of generated frames."""

    said: GeneratedFrame
    pictures: list[dict[str, str | None]]
    """Those at full size, each with its kind: the frame, the scene there, the confidence."""


def write_augment_report(report: AugmentReport | Mapping[str, Any], run: Path, out: Path) -> None:
    """Writes one self-contained HTML page to `out`.

    Args:
        report: as in ``report.json``, schema ``bridge4d/augment/1``; any value may be null.
        run: the folder that pictures are found in: ``eval/heldout/<stem>_{truth,photos_only,augmented}.png``
            and what the orbit and the generated frames name. Missing ones leave a note in their place.
        out: where the page goes; it appears whole or not at all.

    Raises:
        BridgeError: a report of another schema.
    """
    r = read_report(AugmentReport, report)
    heldout, psnr = r.heldout, r.heldout.psnr or Series()
    frames = _with_pictures(r.generated.frames, run)
    seconds = [stage.seconds or 0.0 for stage in r.stages]
    decided = [decision for decision in r.decisions if decision.left_out]
    roles = {
        role: words for role, words in ROLES.items() if role != AUGMENTED or not has_no_augmented_scene(r)
    }
    if is_reconstruction(r):
        roles[PHOTOS_ONLY] = "Scene"
    page = {
        "r": r,
        "headline": headline(r),
        "null_words": null_words(r),
        "because": " ".join(filter(None, [because(r), delivery_words(r)])),
        "certainty": certainty(r),
        "photos": photos_words(r),
        "protocol_explained": _explain_protocol(r.protocol),
        "psnr": psnr,
        "ssim": heldout.ssim or Series(),
        "distance": heldout.perceptual or Series(),
        "own_distance": (heldout.own_renderings or OwnRenderings()).perceptual or NullSeries(),
        "metrics": measured_metrics(heldout),
        "roles": roles,
        "views": _views(heldout, run, roles),
        "plot": gain_plot(
            heldout.names,
            _gains(psnr.per_view, len(heldout.names)),
            mean=psnr.gain,
            interval95=psnr.gain_interval95,
        ),
        "orbit": _orbit(r, run),
        "frames": frames,
        "beside": {kind: _has_pictures(frames, kind) for kind in ("scene", "sure")},
        "has_content": any(frame.said.contradicted is not None for frame in frames),
        "has_latents": any(frame.said.latent_distance is not None for frame in frames),
        "latent_words": latent_words(r),
        "has_confidence": any(frame.said.confidence_mean is not None for frame in frames),
        "weighs": bool(r.options.get("weigh_by_confidence")),
        "limits": _gate_limits(r.options),
        "several_rounds": len({frame.said.round for frame in frames}) > 1,
        "cameras": to_json(r.cameras),
        "decided": decided,
        "decided_rows": _list_decided(decided),
        "slowest_s": max(seconds, default=0.0),
        "total_s": sum(seconds) if seconds else None,
        "exports": [(name, path, _link(path, out)) for name, path in r.exports.items() if path],
    }
    write_text(out, render("augment.html", page))


def _list_decided(decided: Sequence[Decision]) -> list[dict[str, Any]]:
    """One row per left-out photo: with which others it was left out, and its figures without and with the frames of each round."""
    if not decided:
        return []
    columns = [decided[0].photos_only, *(decision.augmented for decision in decided)]
    rows = zip_longest(decided[0].left_out, decided[0].groups, *columns)
    return [{"name": name, "group": group, "psnr": psnr} for name, group, *psnr in rows]


def _views(heldout: HeldOut, run: Path, roles: Iterable[str]) -> list[dict[str, Any]]:
    """One per held-out photo: its pictures and the figures under them."""
    pictures = embed_pictures(_heldout_files(heldout.names, run, roles), max_bytes=HELDOUT_BYTES)
    psnr, ssim, perceptual = (
        (series or Series()).per_view for series in (heldout.psnr, heldout.ssim, heldout.perceptual)
    )
    gains = _gains(psnr, len(heldout.names))
    return [
        {
            "name": name,
            "gain": gains[i],
            "pictures": [
                {
                    "role": role,
                    "uri": pictures.get(f"{name}/{role}"),
                    "psnr": _at(psnr, role, i),
                    "ssim": _at(ssim, role, i),
                    "perceptual": _at(perceptual, role, i),
                }
                for role in roles
            ],
        }
        for i, name in enumerate(heldout.names)
    ]


def _heldout_files(names: Iterable[str], run: Path, roles: Iterable[str]) -> dict[str, Path]:
    """By name and role the pictures that are there; names of files may hold characters that a report does not print."""
    there = {clean(file.name): file for file in (run / "eval" / "heldout").glob("*.png")}
    wanted = {f"{name}/{role}": f"{Path(name).stem}_{role}.png" for name in names for role in roles}
    return {key: there[file] for key, file in wanted.items() if file in there}


def _gains(per_view: PerView, n: int) -> list[float | None]:
    """None where one of the two was not measured."""
    pairs = ((_at(per_view, PHOTOS_ONLY, i), _at(per_view, AUGMENTED, i)) for i in range(n))
    return [None if before is None or after is None else after - before for before, after in pairs]


def _at(per_view: PerView, role: str, index: int) -> float | None:
    values = {PHOTOS_ONLY: per_view.photos_only, AUGMENTED: per_view.augmented}.get(role, [])
    return values[index] if index < len(values) else None


def _orbit(r: AugmentReport, run: Path) -> list[dict[str, Any]]:
    """The videos with what each shows, photos only first."""
    orbit = r.orbit or Orbit()
    alone = "Scene" if is_reconstruction(r) else ROLES[PHOTOS_ONLY]
    kept = ROLES[AUGMENTED] if r.kept == AUGMENTED else alone
    found = []
    for file, label in ((orbit.photos_only, alone), (orbit.kept, kept)):
        uri = embed_video(run / file, max_bytes=ORBIT_BYTES) if file else None
        if uri is not None:
            found.append({"label": label, "uri": uri, "kept": file == orbit.kept})
    return found


def _with_pictures(frames: Sequence[GeneratedFrame], run: Path) -> list[ShownFrame]:
    def files(*keys: str) -> dict[str, Path]:
        named = ((f"{i}/{key}", getattr(frame, key)) for key in keys for i, frame in enumerate(frames))
        return {name: run / file for name, file in named if file}

    # frames first: what does not fit is left out from the end
    pictures = embed_pictures(files("picture", "scene_picture"), max_bytes=FRAMES_BYTES)
    pictures |= embed_pictures(
        files("confidence"), max_bytes=CONFIDENCE_BYTES, max_side=CONFIDENCE_SIDE, read=read_confidence
    )
    kinds = (("frame", "picture"), ("scene", "scene_picture"), ("sure", "confidence"))
    return [
        ShownFrame(
            frame,
            [
                {"kind": kind, "uri": pictures.get(f"{i}/{key}")}
                for kind, key in kinds
                if key == "picture" or f"{i}/{key}" in pictures
            ],
        )
        for i, frame in enumerate(frames)
    ]


def _has_pictures(frames: Sequence[ShownFrame], kind: str) -> bool:
    return any(picture["kind"] == kind for frame in frames for picture in frame.pictures)


def _explain_protocol(protocol: str | None) -> str:
    return next((p.explanation for p in Protocol if p.value == protocol), "")


def _gate_limits(options: Mapping[str, Any]) -> str:
    """The gate's limits in words; '' where the report does not have them."""
    gate = options.get("gate") or {}
    try:
        content = (
            f", at most {gate['max_contradicted']:.0%} contradicted" if options.get("check_content") else ""
        )
        return (
            f"rotation off by at most {gate['max_rotation_deg']:g}°, position by {gate['max_position_share']:.1%} of the "
            f"extent, at least {gate['min_inliers']:d} inliers, reprojection error up to "
            f"{gate['max_reprojection_error_px']:g} px and epipolar error up to {gate['max_epipolar_error_px']:g} px, "
            f"both for pictures 1000 px long and less for smaller ones (not below 1 px){content}"
        )
    except (KeyError, TypeError, ValueError):
        return ""


def _link(path: str, out: Path) -> str | None:
    """A link that works from the page, where the file lies beside or below it."""
    target = Path(path)
    if not target.is_absolute():
        return target.as_posix()
    folder = out.resolve().parent
    return target.relative_to(folder).as_posix() if target.is_relative_to(folder) else None
