"""The report of an augmentation: what was kept, and what photos held out say about it."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.judging.protocols import Protocol
from eval.report.augment.gain_plot import gain_plot
from eval.report.augment.schema import complete
from eval.report.augment.sentences import (
    because,
    certainty,
    has_no_augmented_scene,
    headline,
    is_reconstruction,
    photos_words,
)
from eval.report.page import render, write_text
from eval.report.pictures import embed, embed_video, read_confidence

HELDOUT_BYTES = 6_500_000
FRAMES_BYTES = 5_000_000
CONFIDENCE_BYTES = 1_000_000
ORBIT_BYTES = 1_000_000
"""Most bytes of each of two videos. With all four limits the page stays below 15 MB, which mail servers let through."""
CONFIDENCE_SIDE = 360
"""Long side in pixels; maps are smooth."""

ROLES = {"truth": "Photo", "photos_only": "Photos only", "augmented": "Augmented"}
"""Captions of the pictures of a held-out view, the photo first; the last needs a second scene."""


def write_augment_report(report: Mapping[str, Any], run: Path, out: Path) -> None:
    """Writes one self-contained HTML page to `out`.

    Args:
        report: as in ``report.json``, schema ``bridge4d/augment/1``; any value may be null.
        run: the folder that pictures are found in: ``eval/heldout/<stem>_{truth,photos_only,augmented}.png``
            and what the orbit and the generated frames name. Missing ones leave a note in their place.
        out: where the page goes; it appears whole or not at all.

    Raises:
        BridgeError: a report of another schema.
    """
    r = complete(report)
    heldout = r["heldout"]
    frames = _with_pictures(r["generated"]["frames"], run)
    roles = {
        role: words for role, words in ROLES.items() if role != "augmented" or not has_no_augmented_scene(r)
    }
    if is_reconstruction(r):
        roles["photos_only"] = "Scene"
    page = {
        "r": r,
        "headline": headline(r),
        "because": because(r),
        "certainty": certainty(r),
        "photos": photos_words(r),
        "protocol_explained": _explain_protocol(r["protocol"]),
        "series": _series(heldout),
        "roles": roles,
        "views": _views(heldout, run, roles),
        "plot": gain_plot(
            heldout["names"],
            _gains(heldout["psnr"], len(heldout["names"])),
            mean=heldout["psnr"]["gain"],
            interval95=heldout["psnr"]["gain_interval95"],
        ),
        "orbit": _orbit(r, run),
        "frames": frames,
        "beside": {kind: _has_pictures(frames, kind) for kind in ("scene", "sure")},
        "has_confidence": any(frame.get("confidence_mean") is not None for frame in frames),
        "weighs": bool((report.get("options") or {}).get("weigh_by_confidence")),
        "limits": _gate_limits(report),
        "several_rounds": len({frame.get("round") for frame in frames}) > 1,
        "slowest_s": max((s.get("seconds") or 0.0 for s in r["stages"]), default=0.0),
        "total_s": sum(s.get("seconds") or 0.0 for s in r["stages"]) if r["stages"] else None,
        "exports": [(name, path, _link(path, out)) for name, path in r["exports"].items() if path],
    }
    write_text(out, render("augment.html", page))


def _series(heldout: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The metrics that were measured, in the order they are shown."""
    known = [
        {"name": "PSNR", "unit": " dB", "digits": 2, "better": "higher", **heldout["psnr"]},
        {"name": "SSIM", "unit": "", "digits": 4, "better": "higher", **heldout["ssim"]},
    ]
    if heldout["perceptual"] is not None:
        name = heldout["perceptual"].get("network") or "LPIPS"
        known.append({"unit": "", "digits": 4, "better": "lower", **heldout["perceptual"], "name": name})
    return [s for s in known if s["photos_only"] is not None or s["augmented"] is not None]


def _views(heldout: Mapping[str, Any], run: Path, roles: Iterable[str]) -> list[dict[str, Any]]:
    """One per held-out photo: its pictures and the figures under them."""
    names = heldout["names"]
    pictures = embed(
        {
            f"{name}/{role}": run / "eval" / "heldout" / f"{Path(name).stem}_{role}.png"
            for name in names
            for role in roles
        },
        max_bytes=HELDOUT_BYTES,
    )
    psnr, ssim, perceptual = (heldout[key] for key in ("psnr", "ssim", "perceptual"))
    gains = _gains(psnr, len(names))
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
        for i, name in enumerate(names)
    ]


def _gains(series: Mapping[str, Any], n: int) -> list[float | None]:
    """Per view; None where one of the two was not measured."""
    return [
        None if before is None or after is None else after - before
        for before, after in ((_at(series, "photos_only", i), _at(series, "augmented", i)) for i in range(n))
    ]


def _at(series: Mapping[str, Any] | None, role: str, index: int) -> float | None:
    values = ((series or {}).get("per_view") or {}).get(role) or []
    return values[index] if index < len(values) else None


def _orbit(r: Mapping[str, Any], run: Path) -> list[dict[str, str]]:
    """The videos with what each shows, photos only first."""
    alone = "Scene" if is_reconstruction(r) else ROLES["photos_only"]
    names = {"photos_only": alone, "kept": ROLES["augmented"] if r["kept"] == "augmented" else alone}
    found = []
    for key, label in names.items():
        file = r["orbit"][key]
        uri = embed_video(run / file, max_bytes=ORBIT_BYTES) if file else None
        if uri is not None:
            found.append({"label": label, "uri": uri, "kept": key == "kept"})
    return found


def _with_pictures(frames: Sequence[Mapping[str, Any]], run: Path) -> list[dict[str, Any]]:
    """The rows of the table, each with its pictures at full size: the frame, the scene there, the confidence."""

    def files(*keys: str) -> dict[str, Path]:
        return {
            f"{i}/{key}": run / frame[key] for key in keys for i, frame in enumerate(frames) if frame.get(key)
        }

    # frames first: what does not fit is left out from the end
    pictures = embed(files("picture", "scene_picture"), max_bytes=FRAMES_BYTES)
    pictures |= embed(
        files("confidence"), max_bytes=CONFIDENCE_BYTES, max_side=CONFIDENCE_SIDE, read=read_confidence
    )
    return [
        {
            **frame,
            "pictures": [
                {"kind": kind, "uri": pictures.get(f"{i}/{key}")}
                for kind, key in (("frame", "picture"), ("scene", "scene_picture"), ("sure", "confidence"))
                if key == "picture" or f"{i}/{key}" in pictures
            ],
        }
        for i, frame in enumerate(frames)
    ]


def _has_pictures(frames: Sequence[Mapping[str, Any]], kind: str) -> bool:
    return any(picture["kind"] == kind for frame in frames for picture in frame["pictures"])


def _explain_protocol(protocol: str | None) -> str:
    return next((p.explanation for p in Protocol if p.value == protocol), "")


def _gate_limits(report: Mapping[str, Any]) -> str:
    """The gate's limits in words; '' where the report does not have them."""
    gate = (report.get("options") or {}).get("gate") or {}
    try:
        return (
            f"rotation off by at most {gate['max_rotation_deg']:g}°, position by {gate['max_position_share']:.1%} of the "
            f"extent, at least {gate['min_inliers']:d} inliers, reprojection error up to "
            f"{gate['max_reprojection_error_px']:g} px and epipolar error up to {gate['max_epipolar_error_px']:g} px, "
            "both for pictures 1000 px long and less for smaller ones (not below 1 px)"
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
