"""The page shows what was measured, stays in one piece when things are missing, and needs nothing but itself."""

import base64
import copy
import html
import io
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chromium import chromium
from PIL import Image

from eval.report import write_augment_report
from eval.report.augment import sentences
from eval.report.augment.gain_plot import gain_plot
from eval.report.augment.summary import summary
from eval.report.numbers import duration, number, percent, plain
from eval.report.pictures import embed_pictures
from eval.results.augment import AugmentReport, PosedCamera
from eval.results.reading import from_json, read_report, to_json
from recon.errors import BridgeError
from recon.videos.write import write_video

POSE = [[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, -3.25], [0, 0, 0, 1]]
VOID = {"meta", "link", "img", "input", "br", "hr", "line", "rect", "circle"}


def series(before: list[float], after: list[float], interval95: list[float] | None) -> dict[str, Any]:
    gains = [b - a for a, b in zip(before, after, strict=True)]
    return {
        "photos_only": sum(before) / len(before),
        "augmented": sum(after) / len(after),
        "gain": sum(gains) / len(gains),
        "gain_interval95": interval95,
        "worst_view_gain": min(gains),
        "per_view": {"photos_only": before, "augmented": after},
    }


def frame(i: int, accepted: bool, **more: Any) -> dict[str, Any]:
    return {
        "name": f"frame-{i}",
        "round": 1,
        "accepted": accepted,
        "reason": "agrees with the photos" if accepted else "rotation off by 3.2° (limit 2.0°)",
        "registered": True,
        "rotation_deg": 0.3127 + 3 * (not accepted),
        "position_share": 0.00713,
        "inliers": 123 + i,
        "reprojection_error_px": 0.8123,
        "epipolar_error_px": 1.0456,
        "picture": f"generated/round-1/{i}.png",
        "confidence": f"generated/round-1/{i}.confidence.png",
        "confidence_mean": 0.8125,
        "scene_picture": f"eval/requested/{i}.png",
        **more,
    }


@pytest.fixture
def report() -> dict[str, Any]:
    return {
        "schema": "bridge4d/augment/1",
        "status": "ok",
        "protocol": "known-poses",
        "capture": {"path": "photos/<garden>", "kind": "photos", "pose_kind": "structure from motion"},
        "photos": {
            "given": 12,
            "usable": 11,
            "training": 6,
            "registered": 10,
            "skipped": [{"name": "b.jpg", "reason": "cannot be read & was skipped"}],
            "training_names": ["c.jpg", "d.jpg"],
        },
        "heldout": {
            "views": 2,
            "expected": 3,
            "names": ["a.jpg", "i.jpg"],
            "psnr": series([21.3123, 19.9456], [23.0234, 19.7345], [-0.2111, 1.7111]),
            "ssim": series([0.61234, 0.58234], [0.69234, 0.57234], [-0.01, 0.08]),
            "perceptual": {
                **series([0.31, 0.35], [0.22, 0.36], None),
                "gain": 0.04,
                "gain_interval95": [-0.01, 0.09],
                "worst_view_gain": -0.01,
                "network": "LPIPS (AlexNet, v0.1)",
            },
            "perceptual_note": "",
            "baseline": {
                "psnr": 20.1234,
                "ssim": 0.58,
                "gain": 0.5056,
                "worst_view_gain": -0.3012,
                "psnr_per_view": [20.0, 20.2468],
            },
            "own_renderings": {
                "psnr": {
                    "mean": 20.8111,
                    "gain": 0.1822,
                    "gain_interval95": [-0.1011, 0.4655],
                    "worst_view_gain": -0.1033,
                    "generated_gain": 0.5678,
                    "generated_gain_interval95": [0.1144, 1.0212],
                    "generated_worst_view_gain": 0.1055,
                    "per_view": [21.0, 20.6222],
                },
                "ssim": {"mean": 0.6021},
                "perceptual": {"mean": 0.3123},
            },
            "best_round": 0,
            "regret": 0.1234,
        },
        "training": {
            "iterations": 400,
            "dropout": 0.3,
            "why": "mean PSNR of 6 photos left out in turn",
            "lengths": [200, 400],
            "dropouts": [0.3, 0.3],
            "left_out": ["c.jpg"],
            "psnr": [[20.1, 20.4]],
        },
        "generated": {
            "requested": 3,
            "recovered": 2,
            "accepted": 1,
            "rotation_deg_median": 0.5123,
            "position_share_median": 0.01234,
            "frames": [
                frame(0, True),
                frame(1, False),
                frame(
                    2,
                    False,
                    registered=False,
                    rotation_deg=None,
                    position_share=None,
                    inliers=0,
                    reprojection_error_px=float("nan"),
                    epipolar_error_px=None,
                    picture=None,
                    confidence=None,
                    confidence_mean=None,
                    scene_picture=None,
                ),
            ],
        },
        "orbit": {
            "kept": "eval/orbit/kept.mp4",
            "photos_only": "eval/orbit/photos_only.mp4",
            "path": "orbit: to and fro along 66°, of which the photos span 60°",
            "frames": 120,
            "fps": 20.0,
            "seconds": 6.0,
            "width": 96,
            "height": 64,
        },
        "rounds": [{"round": 1, "requested": 3, "recovered": 2, "accepted": 1, "psnr": 21.379, "gain": 0.75}],
        "kept": "augmented",
        "kept_because": "its mean PSNR is higher",
        "decisions": [
            {
                "round": 1,
                "keep": True,
                "why": "generated views raised PSNR from 18.25 to 18.75 dB",
                "left_out": ["c.jpg", "d.jpg"],
                "groups": [1, 2],
                "photos_only": [18.5, 18.0],
                "before": [18.5, 18.0],
                "augmented": [18.75, 18.625],
                "gain": 0.4375,
                "requested": [8, 8],
                "accepted": [7, 8],
            }
        ],
        "stages": [
            {"name": "fit", "seconds": 71.25, "peak_mb": 812.5},
            {"name": "read", "seconds": 1.5, "peak_mb": None},
        ],
        "command": 'bridge4d augment "photos/<garden>" --seed 7',
        "seed": 7,
        "versions": {"torch": "2.13.0"},
        "world_model": {"name": "geometry", "license": "Apache-2.0", "note": "warps"},
        "cameras": {
            "training": [{"name": "c.jpg", "world_from_cam": POSE}],
            "heldout": [],
            "generated": [{"name": "</script><b>", "world_from_cam": POSE, "accepted": True}],
        },
        "exports": {"ply": "exports/scene.ply"},
        "warnings": ["one <warning>"],
    }


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with pictures of one of the two held-out photos, and of one of the frames."""
    rng = np.random.default_rng(0)
    files = [f"eval/heldout/a_{role}.png" for role in ("truth", "photos_only", "augmented")]
    for file in [*files, "generated/round-1/0.png"]:
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (60, 90, 3), dtype=np.uint8)).save(path)
    return tmp_path


class Page(HTMLParser):
    """What the tests look at, and whether every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.figures: list[tuple[float, str]] = []
        self.images: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self._value: float | None = None
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in VOID:
            self._open.append(tag)
        if tag == "data":
            self._value = float(given["value"] or "nan")
        if tag == "img" and given.get("src"):
            self.images.append(given["src"] or "")
        self.links += [given[key] or "" for key in ("href", "src") if given.get(key)]

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag
        if tag == "data":
            self._value = None

    def handle_data(self, data: str) -> None:
        if self._value is not None:
            self.figures.append((self._value, data))
        if not {"script", "style"} & set(self._open):
            self.text += data


def page_of(report: dict[str, Any], run: Path) -> Page:
    write_augment_report(report, run, run / "report.html")
    return Page((run / "report.html").read_text(encoding="utf-8"))


def complete(report: dict[str, Any]) -> AugmentReport:
    return read_report(AugmentReport, report)


def headline(report: dict[str, Any]) -> str:
    return sentences.headline(complete(report))


def certainty(report: dict[str, Any]) -> str:
    return sentences.certainty(complete(report))


def numbers_in(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        for part in value.values():
            yield from numbers_in(part)
    elif isinstance(value, list):
        for part in value:
            yield from numbers_in(part)
    elif isinstance(value, int | float):
        yield float(value)


def test_every_figure_on_the_page_is_in_the_report(report: dict[str, Any], run: Path) -> None:
    page = page_of(report, run)
    known = set(numbers_in(report))
    for part in ("psnr", "ssim", "perceptual"):
        views = report["heldout"][part]["per_view"]
        known |= {b - a for a, b in zip(views["photos_only"], views["augmented"], strict=True)}
    assert len(page.figures) > 60
    for value, text in page.figures:
        assert value in known, f"{text} ({value}) was never measured"
        if "min" in text or " s" in text:
            continue
        shown = text.replace("−", "-")
        exact = 100 * value if shown.endswith("%") else value
        digits = len(shown.rstrip("%").partition(".")[2])
        assert float(shown.rstrip("%")) == pytest.approx(exact, abs=0.5001 * 10**-digits)


def test_every_measured_figure_is_on_the_page(report: dict[str, Any], run: Path) -> None:
    shown = {value for value, _ in page_of(report, run).figures}
    for part in ("psnr", "ssim", "perceptual"):
        assert set(numbers_in(report["heldout"][part])) <= shown
    for row in report["generated"]["frames"][:2]:
        assert {row["rotation_deg"], row["position_share"], row["inliers"], row["epipolar_error_px"]} <= shown
    assert {0.75, 21.379, 71.25, 812.5, 7} <= shown
    assert {20.1234, 0.5056, -0.3012} <= shown, "the earlier trainer beside"
    own = {20.8111, 0.1822, -0.1011, 0.4655, -0.1033, 0.5678, 0.1144, 1.0212, 0.1055, 0.6021, 0.3123}
    assert own <= shown, "own renderings beside"
    assert {400, 0.3} <= shown, "how long was trained"
    assert {18.5, 18.0, 18.75, 18.625} <= shown, "what decided"


def test_the_page_needs_nothing_but_itself(report: dict[str, Any], run: Path) -> None:
    page = page_of(report, run)
    assert len(page.images) == 4
    assert all(image.startswith("data:image/webp;base64,") for image in page.images)
    assert all(link.startswith("data:") or link == "exports/scene.ply" for link in page.links)
    text = (run / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"""(url\(|@import|fetch\(|src=["']?http)""", text)
    assert not list(run.glob("*.part"))


def add_pictures_of_the_scene(run: Path) -> bytes:
    """The orbit, and what stands beside generated frames; returns the video."""
    for folder in ("eval/orbit", "eval/requested"):
        (run / folder).mkdir(parents=True)
    video = b"\0\0\0\x18ftypmp42" + bytes(range(200))
    for name in ("kept", "photos_only"):
        (run / "eval" / "orbit" / f"{name}.mp4").write_bytes(video)
    grey = np.full((40, 60), 65535, np.uint16)
    grey[:, :30] = 0
    Image.fromarray(grey).save(run / "generated" / "round-1" / "0.confidence.png")
    Image.new("RGB", (90, 60), "teal").save(run / "eval" / "requested" / "0.png")
    return video


def test_orbits_and_what_stands_beside_frames_are_inside_the_page(report: dict[str, Any], run: Path) -> None:
    video = add_pictures_of_the_scene(run)
    report["options"] = {"weigh_by_confidence": True}
    page = page_of(report, run)
    films = [link for link in page.links if link.startswith("data:video/mp4;base64,")]
    assert [base64.b64decode(film.partition(",")[2]) for film in films] == [video, video]
    assert "Orbit: to and fro along 66°, of which the photos span 60°." in page.text
    assert "Photos only" in page.text
    assert "the scene that is kept" in page.text
    assert len(page.images) == 3 + 3, (
        "a held-out photo in three roles; a frame, the scene there, its confidence"
    )
    assert len(set(page.images)) == 6, "nothing is embedded twice"
    sure = Image.open(io.BytesIO(base64.b64decode(page.images[-1].partition(",")[2]))).convert("RGB")
    violet, yellow = sure.getpixel((5, 20)), sure.getpixel((55, 20))
    assert np.allclose(violet, (68, 1, 84), atol=20)
    assert np.allclose(yellow, (253, 231, 37), atol=20)
    assert "a pixel of an accepted frame weighs in the fit by it" in page.text
    assert "In the run folder; the links work where this page lies in it." in page.text


def test_a_mailed_page_plays_and_enlarges_in_a_browser(
    report: dict[str, Any], run: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    add_pictures_of_the_scene(run)
    for name in ("kept", "photos_only"):
        with write_video(run / "eval" / "orbit" / f"{name}.mp4", width=96, height=64, fps=20) as add:
            for grey in range(40):
                add(np.full((64, 96, 3), 5 * grey, np.uint8))
    write_augment_report(report, run, run / "report.html")
    alone = tmp_path_factory.mktemp("mail") / "report.html"
    alone.write_bytes((run / "report.html").read_bytes())
    with chromium() as browser, browser.open(alone, width=1280, height=900) as page:
        films = "[...document.querySelectorAll('.films video')]"
        page.wait_for(f"{films}.length == 2 && {films}.every((film) => film.currentTime > 0.1)", 60)
        page.wait_for(f"Math.abs({films}[0].currentTime - {films}[1].currentTime) < 0.15", 60)
        page.run("document.querySelector('.thumb').click()")
        labels = "[...document.querySelectorAll('#zoom figure')].map((figure) => figure.textContent)"
        assert page.run(labels) == ["Generated frame", "Kept scene at the requested pose", "Confidence"]
        page.run("document.querySelectorAll('#zoom img')[2].click()")
        shown = "[...document.querySelectorAll('#zoom figure')].filter((f) => f.offsetWidth).length"
        assert page.run(shown) == 1
        page.press("ArrowRight", "ArrowRight", 39)
        assert page.run("document.querySelector('#zoom p').textContent").startswith(
            "frame-0, accepted: agrees"
        )
        assert not [line for line in page.console if line.startswith("error")]
        assert page.requests == [alone.resolve().as_uri()], "everything is inside"


def test_a_report_whose_orbit_is_gone_or_too_large_has_none(report: dict[str, Any], run: Path) -> None:
    assert "new viewpoints" not in page_of(report, run).text
    add_pictures_of_the_scene(run)
    (run / "eval" / "orbit" / "photos_only.mp4").write_bytes(bytes(3_000_000))
    report["kept"] = "photos_only"
    page = page_of(report, run)
    assert sum(link.startswith("data:video/mp4") for link in page.links) == 1
    assert (run / "report.html").stat().st_size < 1_000_000


def test_the_page_says_what_the_gate_asked_for(report: dict[str, Any], run: Path, tmp_path: Path) -> None:
    gate = {
        "max_rotation_deg": 1.5, "max_position_share": 0.03, "min_inliers": 17,
        "max_reprojection_error_px": 2.5, "max_epipolar_error_px": 3.5,
    }  # fmt: skip
    for told, shown in ((gate, True), (gate | {"min_inliers": None}, False), ({}, False), (None, False)):
        write_augment_report(report | {"options": {"gate": told}}, run, tmp_path / "page.html")
        page = (tmp_path / "page.html").read_text()
        assert ("at most 1.5°, position by 3.0% of the extent" in page) == shown
        assert ("at least 17 inliers" in page) == shown


def test_names_from_outside_are_escaped(report: dict[str, Any], run: Path) -> None:
    page = page_of(report, run)
    text = (run / "report.html").read_text(encoding="utf-8")
    assert "photos/<garden>" in page.text
    assert "one <warning>" in page.text
    assert "</script><b>" not in text
    embedded = re.search(r'id="camera-data">(.*?)</script>', text, re.DOTALL)
    assert embedded is not None
    assert json.loads(embedded[1])["generated"][0]["name"] == "</script><b>"


def test_what_matters_is_said(report: dict[str, Any], run: Path) -> None:
    text = page_of(report, run).text
    for words in (
        "The augmented scene is kept",
        "Its mean PSNR is higher.",
        "These photos had no say in the decision, and disagree: in that of the photos alone they are shown 0.12 dB better",
        "the gate accepted 15 of 16 views made for these turns",
        "known-poses",
        "never used for triangulation",
        "The interval includes zero",
        "2 of 3 held-out photos could be measured",
        "rotation off by 3.2° (limit 2.0°)",
        "no picture",
        "cannot be read & was skipped",
        "Mean PSNR of 6 photos left out in turn.",
        'bridge4d augment "photos/<garden>" --seed 7',
    ):
        assert words in text, words


def paths_in(value: Any, prefix: tuple = ()) -> Iterator[tuple]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield (*prefix, key)
            yield from paths_in(part, (*prefix, key))


def test_any_value_may_be_null_or_absent(report: dict[str, Any], tmp_path: Path) -> None:
    paths = [p for p in paths_in(report) if p != ("schema",)]
    assert len(paths) > 60
    for *folder, key in paths:
        holed = copy.deepcopy(report)
        inner = holed
        for step in folder:
            inner = inner[step]
        inner[key] = None
        page_of(holed, tmp_path)
        assert summary(holed)
    page_of({"schema": "bridge4d/augment/1"}, tmp_path)


def test_values_of_a_frame_may_be_missing(report: dict[str, Any], run: Path) -> None:
    report["generated"]["frames"] = [{"name": "bare", "accepted": False}]
    assert "bare" in page_of(report, run).text


def test_nothing_reconstructed_is_said_in_words(run: Path) -> None:
    report = {
        "schema": "bridge4d/augment/1",
        "status": "no-reconstruction",
        "kept_because": "COLMAP found no initial pair.",
    }
    text = page_of(report, run).text
    assert "Nothing was reconstructed" in text
    assert "COLMAP found no initial pair." in text
    assert "dB" not in text
    assert summary(report).startswith("Nothing was reconstructed from these photos.\nCOLMAP found")


def test_another_schema_is_refused(run: Path) -> None:
    with pytest.raises(BridgeError, match="expected a report of schema bridge4d/augment/1, got 'x'"):
        write_augment_report({"schema": "x"}, run, run / "report.html")


def test_headline_for_each_outcome(report: dict[str, Any]) -> None:
    assert headline(report) == (
        "The augmented scene is kept: generated views raised PSNR by 0.75 dB "
        "(95% interval −0.21 to +1.71 dB) on 2 held-out photos."
    )
    report["kept"] = "photos_only"
    report["heldout"]["psnr"].update(gain=-0.417, gain_interval95=None)
    report["heldout"].update(views=1, expected=1, regret=0.0)
    assert headline(report) == (
        "The photos-only scene is kept: generated views lowered PSNR by 0.42 dB on 1 held-out photo."
    )
    agree = "These photos had no say in the decision, and agree with it."
    assert certainty(report) == f"Too few held-out photos for an interval. {agree}"
    report["heldout"]["psnr"]["gain"] = 0.001
    assert "left PSNR as it was" in headline(report)
    report["heldout"]["psnr"]["gain"] = None
    assert "could not be measured" in headline(report)
    report["generated"]["accepted"] = 0
    assert headline(report) == "The photos-only scene is kept: no generated frame entered it."
    assert certainty(report) == ""


@pytest.mark.parametrize(
    ("photos", "heldout", "said"),
    [
        (
            {"given": 24, "usable": 23, "training": 9, "registered": 3},
            3,
            "24 given, 9 to train on (3 registered), 3 held out, 11 unused (--views None takes all), 1 left out",
        ),
        (
            {"given": 12, "usable": 12, "training": 9, "registered": 9},
            3,
            "12 given, 9 to train on, 3 held out",
        ),
        ({}, None, "– given, – to train on, – held out"),
    ],
)
def test_what_became_of_the_photos_is_said(
    photos: dict[str, int], heldout: int | None, said: str, report: dict[str, Any], run: Path
) -> None:
    report["photos"] = photos
    report["heldout"]["expected"] = heldout
    assert sentences.photos_words(complete(report)) == said
    assert f"  photos     {said}" in summary(report).splitlines()
    write_augment_report(report, run, run / "report.html")
    page = " ".join(html.unescape((run / "report.html").read_text()).split())
    assert (said in page) == bool(photos)


@pytest.mark.parametrize(
    ("gain", "interval", "said", "figures"),
    [
        (0.5678, [0.1144, 1.0212], " beat ", ": +0.57 dB (95% interval +0.11 to +1.02 dB) over a scene"),
        (
            0.25,
            [-0.5, 1.0],
            " did not clearly beat ",
            ": +0.25 dB (95% interval −0.50 to +1.00 dB) over a scene",
        ),
        (-0.5, [-0.75, -0.25], " did not beat ", ": −0.50 dB (95% interval −0.75 to −0.25 dB) over a scene"),
        (0.001, [0.0005, 0.0015], " did not beat ", ": 0.00 dB (95% interval 0.00 to 0.00 dB) over a scene"),
        (0.25, None, " did not clearly beat ", ": +0.25 dB over a scene"),
    ],
)
def test_whether_frames_beat_own_renderings_is_said_either_way(
    gain: float,
    interval: list[float] | None,
    said: str,
    figures: str,
    report: dict[str, Any],
    run: Path,
) -> None:
    report["heldout"]["own_renderings"]["psnr"] |= {
        "generated_gain": gain,
        "generated_gain_interval95": interval,
    }
    sentence = sentences.null_words(complete(report))
    assert sentence.startswith(f"The generated frames{said}the scene's own renderings{figures}")
    assert ("includes zero" in sentence) == ("clearly" in said and interval is not None)
    assert ("gives no interval" in sentence) == (interval is None)
    assert summary(report).splitlines()[1] == sentence, "under the headline"
    write_augment_report(report, run, run / "report.html")
    assert sentence in html.unescape((run / "report.html").read_text())


def test_a_report_without_own_renderings_says_how_to_get_them(report: dict[str, Any], run: Path) -> None:
    """Earlier reports do not know them."""
    del report["heldout"]["own_renderings"]
    assert "the same command with --baselines own-renderings does it." in summary(report)
    page = page_of(report, run)
    assert "Over own renderings" not in page.text
    assert "by the earlier trainer" in page.text
    del report["heldout"]["baseline"]
    assert "Baselines" not in page_of(report, run).text
    report["heldout"]["psnr"] = None
    assert sentences.null_words(complete(report)) == "", "no photo judged any scene"


def test_with_a_scene_to_start_from_no_baseline_is_advised_that_does_nothing(report: dict[str, Any]) -> None:
    del report["heldout"]["own_renderings"]
    report.setdefault("options", {})["start"] = "scene.ply"
    sentence = sentences.null_words(complete(report))
    assert "was not measured" in sentence
    assert "--start" in sentence
    assert "--baselines" not in sentence


def test_summary_is_a_few_lines_with_the_figures(report: dict[str, Any]) -> None:
    lines = summary(report).split("\n")
    assert len(lines) < 16
    text = "\n".join(lines)
    assert "20.63 → 21.38 dB  (gain +0.75 dB, worst view −0.21 dB)" in text
    assert "20.81 dB with own renderings for frames (gain +0.18 dB, worst view −0.10 dB)" in text
    assert "3 requested, 2 recovered by COLMAP, 1 accepted" in text
    assert "warning: one <warning>" in text


def test_where_nothing_entered_there_is_no_comparison(
    report: dict[str, Any], run: Path, tmp_path: Path
) -> None:
    """A scene that was never made has neither a gain of 0.00 nor a picture."""
    report["kept"], report["kept_because"] = "photos_only", "no generated frame passed the gate"
    report["generated"]["accepted"] = 0
    report["rounds"] = [
        {"round": 1, "requested": 3, "recovered": 2, "accepted": 0, "psnr": None, "gain": None}
    ]
    del report["heldout"]["own_renderings"]
    for name in ("psnr", "ssim", "perceptual"):
        series = report["heldout"][name]
        series |= dict.fromkeys(("augmented", "gain", "gain_interval95", "worst_view_gain"))
        series["per_view"]["augmented"] = []
    text = summary(report)
    assert "PSNR       20.63 dB of the photos alone" in text
    assert "gain" not in text
    assert "No generated frame passed the gate." in text
    write_augment_report(report, run, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "no generated frame entered the scene" in page
    assert 'data-role="augmented"' not in page
    assert '<option value="augmented"' not in page
    assert '<option value="photos_only" selected>' in page


def test_numbers() -> None:
    assert plain(-1.005, 1) == "−1.0"
    assert plain(-0.001, 2, sign=True) == "0.00"
    assert plain(None) == "–"
    assert number(1.239, 2, True, " dB") == '<data value="1.239">+1.24</data> dB'
    assert percent(0.0123) == '<data value="0.0123">1.2%</data>'
    texts = [re.sub("<.*?>", "", duration(s)) for s in (0.04, 59.96, 61.0, 3599.7, 7512.0)]
    assert texts == ["0.0 s", "1 min 00 s", "1 min 01 s", "1 h 00 min", "2 h 05 min"]


def test_schema_fills_holes_and_drops_what_json_cannot_say(report: dict[str, Any]) -> None:
    filled = complete(
        {"schema": "bridge4d/augment/1", "heldout": {"psnr": {"gain": float("inf")}}, "photos": None}
    )
    assert filled.heldout.psnr is not None
    assert filled.heldout.psnr.gain is None
    assert to_json(filled.heldout.psnr.per_view) == {"photos_only": [], "augmented": []}
    assert filled.photos.skipped == []
    assert complete(report).generated.frames[2].reprojection_error_px is None


def test_values_of_another_type_leave_a_hole_and_the_rest_stands(report: dict[str, Any], run: Path) -> None:
    report["heldout"]["psnr"]["per_view"]["augmented"] = [23.0, "good"]
    report["photos"] = "many"
    report["stages"] = [3, {"name": "fit", "seconds": "long"}]
    report["cameras"]["training"] = [{"name": "c.jpg", "world_from_cam": POSE[:3]}]
    report["generated"]["frames"][0]["inliers"] = "plenty"
    filled = complete(report)
    assert filled.heldout.psnr is not None
    assert filled.heldout.psnr.per_view.augmented == [23.0, None]
    assert filled.photos.given is None
    assert [(stage.name, stage.seconds) for stage in filled.stages] == [("fit", None)]
    assert filled.cameras.training == [PosedCamera("c.jpg", None)]
    assert filled.generated.frames[0].inliers is None
    assert "The augmented scene is kept" in page_of(report, run).text


def test_a_report_becomes_json_as_it_was(report: dict[str, Any]) -> None:
    """Scripts read what earlier versions wrote, and what this one writes, by the same keys."""
    report["generated"]["frames"][2]["reprojection_error_px"] = None  # NaN is not JSON
    written = to_json(from_json(AugmentReport, report))

    def check(given: Any, found: Any, where: str) -> None:
        if isinstance(given, dict):
            for key in given:
                check(given[key], found[key], f"{where}.{key}")
        elif isinstance(given, list):
            assert len(given) == len(found), where
            for one, other in zip(given, found, strict=True):
                check(one, other, where)
        else:
            assert found == given, where

    check(report, written, "report")
    assert json.loads(json.dumps(written)) == written
    assert from_json(AugmentReport, written) == complete(report)


def test_pictures_of_names_that_cannot_be_printed_are_found(report: dict[str, Any], run: Path) -> None:
    for file in sorted((run / "eval" / "heldout").iterdir()):
        file.rename(file.with_name(file.name.replace("a_", "a\u202e_", 1)))
    report["heldout"]["names"][0] = "a\u202e.jpg"
    page = page_of(report, run)
    assert len(page.images) == 4
    assert "a\ufffd.jpg" in page.text


def test_gain_plot_keeps_order_and_scale() -> None:
    plot = gain_plot(["a", "b", "c"], [0.5, None, -1.0], mean=-0.25, interval95=[-1.0, 0.5])
    assert plot is not None
    assert [dot.name for dot in plot.dots] == ["a", "c", "b"]
    a, c, _ = plot.dots
    per_db = (a.x - c.x) / 1.5
    assert plot.mean_x == pytest.approx(plot.zero_x - 0.25 * per_db, abs=0.02)
    assert plot.band == pytest.approx((c.x, a.x))
    assert plot.left <= min(x for _, x in plot.ticks)
    assert "0.0" in dict(plot.ticks)
    assert gain_plot(["a"], [None], mean=None, interval95=None) is None
    assert gain_plot(["a"], [0.0], mean=0.0, interval95=None) is not None


def test_pictures_fit_their_budget(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    files = {}
    for i in range(6):
        files[str(i)] = tmp_path / f"{i}.png"
        Image.fromarray(rng.integers(0, 255, (200, 300, 3), dtype=np.uint8)).save(files[str(i)])
    (tmp_path / "broken.png").write_bytes(b"no picture")
    files |= {"broken": tmp_path / "broken.png", "absent": tmp_path / "absent.png"}
    for budget in (2_000_000, 75_000, 20_000):
        uris = embed_pictures(files, max_bytes=budget)
        assert 0 < sum(map(len, uris.values())) <= budget + 30 * len(uris)
        assert list(uris) == [str(i) for i in range(len(uris))]
    assert len(embed_pictures(files, max_bytes=75_000)) == 6
    assert 0 < len(embed_pictures(files, max_bytes=20_000)) < 6
