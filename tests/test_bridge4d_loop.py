"""The closed loop end to end, small: the report's promises, and that held-out photos touch nothing."""

import html
import json
import os
import re
import shutil
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bridge4d.augmenting import training
from bridge4d.augmenting.judge import best_round
from bridge4d.augmenting.loop import AugmentResult, augment, reconstruct_scene
from bridge4d.augmenting.options import AugmentOptions, ReconstructOptions
from bridge4d.runs import store
from bridge4d.runs.store import load_clip
from bridge4d.scenes import load_scene
from bridge4d.stages import choose, content, frames
from bridge4d.stages import splats as fitting
from bridge4d.stages.scores import Score
from bridge4d.stages.splats import FrameShare, image_frequencies
from eval.judging.content import ContentCheck
from eval.judging.gate import GateOptions
from eval.report.augment.summary import summary
from eval.results.augment import AugmentReport, Series, Sfm, Training
from eval.results.reading import from_json, to_json
from recon.clip import Clip
from recon.depth import DepthMaps
from recon.errors import BridgeError, ReconstructionError
from recon.points import PointCloud
from recon.splats.render import draw_views
from recon.videos.read import decode_frames

SMALL = AugmentOptions(
    model="warp", views=5, max_side=128, sfm_side=360, iterations=60, novel=3, rounds=1, max_gaussians=6000,
    baselines="none",
)  # fmt: skip
SHORT = replace(SMALL, rounds=0, iterations=5)


@pytest.fixture(scope="module")
def run(room_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> AugmentResult:
    return augment(room_photos, tmp_path_factory.mktemp("loop") / "run", SMALL)


def begin_as(run: AugmentResult, folder: Path, stages: tuple[str, ...] = ("capture", "sfm", "depth")) -> None:
    """Give a new run folder these stages of another run, so that they are not made again."""
    for stage in stages:
        shutil.copytree(run.run / stage, folder / stage)
    shutil.copy(run.run / ".lock", folder)


def posed_photos(room_photos: Path, folder: Path) -> Path:
    """Write the photos with their true cameras; gives the folder."""
    from recon.camera_files.formats.transforms_write import write_transforms
    from recon.capture.read import read_capture
    from worldgen.models.synthetic import SyntheticRoom

    clip = read_capture(room_photos).clip
    cameras = SyntheticRoom().cameras(10, width=clip.width, height=clip.height)
    write_transforms(folder / "transforms.json", replace(clip, cameras=cameras))
    return folder


def psnr_of(done: AugmentResult) -> Series:
    assert done.report.heldout.psnr is not None
    return done.report.heldout.psnr


def test_the_report_keeps_its_schema(run: AugmentResult) -> None:
    report = json.loads((run.run / "report.json").read_text())
    assert report["protocol"] == "from-scratch"
    assert report["photos"]["given"] == 10
    assert report["photos"]["registered"] == 5
    assert report["heldout"]["views"] == 2
    for metric in ("psnr", "ssim"):
        keys = {"photos_only", "augmented", "gain", "gain_interval95", "worst_view_gain"}
        assert keys <= report["heldout"][metric].keys()
    assert report["generated"]["requested"] == 3
    keys = {"requested", "recovered", "accepted", "rotation_deg_median", "position_share_median"}
    assert keys <= report["generated"].keys()
    assert report["kept"] in ("photos_only", "augmented")
    assert all({"name", "seconds", "peak_mb"} <= stage.keys() for stage in report["stages"])
    assert report["seed"] == 0
    assert "pycolmap" in report["versions"]
    assert to_json(run.report) == report
    assert from_json(AugmentReport, report) == run.report


def test_every_frame_has_evidence_verdict_and_picture(run: AugmentResult) -> None:
    frames = run.report.generated.frames
    assert len(frames) == 3
    for frame in frames:
        assert frame.reason
        assert frame.picture is not None
        assert (run.run / frame.picture).is_file()


def test_frames_are_compared_with_the_moved_photos_by_features(
    run: AugmentResult, room_photos: Path, tmp_path: Path
) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, mlp_ratio=2, image_size=56, patch_size=14
    )
    torch.manual_seed(0)
    transformers.Dinov2Model(config).save_pretrained(tmp_path / "encoder")
    shutil.copytree(run.run, tmp_path / "run")
    done = augment(room_photos, tmp_path / "run", replace(SMALL, latents=str(tmp_path / "encoder")))
    frames = done.report.generated.frames
    assert all(frame.latent_distance is not None for frame in frames), "warp shows what the photos show"
    assert all(frame.latent_distance_untrained != frame.latent_distance for frame in frames)
    assert [replace(frame, latent_distance=None, latent_distance_untrained=None) for frame in frames] == (
        run.report.generated.frames
    )
    assert "median distance from the moved photos: " in summary(done.report)
    assert "Untrained</th>" in done.report_html.read_text()


def test_the_report_shows_an_orbit_and_the_kept_scene_beside_every_frame(run: AugmentResult) -> None:
    orbit = run.report.orbit
    assert orbit is not None
    assert orbit.kept is not None
    assert orbit.width is not None
    assert orbit.height is not None
    shown = decode_frames(run.run / orbit.kept, [0])
    assert shown.total == orbit.frames == 120
    assert shown.pixels[0].shape[:2] == (orbit.height, orbit.width)
    assert max(orbit.height, orbit.width) <= SMALL.max_side, "no larger than what was fitted"
    assert (orbit.photos_only is None) == (run.report.kept == "photos_only")
    for frame in run.report.generated.frames:
        for file in (frame.picture, frame.scene_picture, frame.confidence):
            assert file is not None
            assert (run.run / file).is_file()
        assert frame.confidence_mean is not None
        assert 0 < frame.confidence_mean <= 1
    page = run.report_html.read_text()
    assert page.count("data:video/mp4") == (1 if orbit.photos_only is None else 2)
    assert not [part for part in page.split('src="')[1:] if not part.startswith("data:")]


def test_in_hindsight_the_photos_alone_win_ties() -> None:
    def score(*psnr: float) -> Score:
        return Score(tuple(map(str, psnr)), psnr, psnr, None, "")

    assert best_round([score(20, 22), score(20, 21.9)]) == 0
    assert best_round([score(20, 22), score(20, 22)]) == 0
    assert best_round([score(20, 22), score(21, 22), score(20, 22.5)]) == 1


def test_the_same_seed_gives_the_same_scene(run: AugmentResult, room_photos: Path, tmp_path: Path) -> None:
    again = augment(room_photos, tmp_path / "run", SMALL)
    assert run.scene is not None
    assert again.scene is not None
    assert run.scene.read_bytes() == again.scene.read_bytes()
    assert run.report.orbit is not None
    for file in (run.report.orbit.kept, run.report.generated.frames[0].scene_picture):
        assert file is not None
        assert (run.run / file).read_bytes() == (again.run / file).read_bytes()
    stamp = (again.run / "eval" / "orbit" / "stage.json").stat().st_mtime_ns
    resumed = augment(room_photos, tmp_path / "run", SMALL)
    assert resumed.report == again.report
    assert (again.run / "eval" / "orbit" / "stage.json").stat().st_mtime_ns == stamp


ALWAYS = ("capture", "sfm", "splats/photos_only")
GENERATED = ("generated/round-1", "recovery/round-1")
FITTED = "splats/round-1"


@pytest.mark.parametrize(
    ("change", "kept", "redone"),
    [
        ({"novel": 4}, ALWAYS, GENERATED),
        ({"support": 0.9}, ALWAYS, GENERATED),
        ({"generated_from": 0.5}, (*ALWAYS, *GENERATED), (FITTED,)),
        ({"generated_until": 0.5}, (*ALWAYS, *GENERATED), (FITTED,)),
        ({"weigh_by_confidence": False}, (*ALWAYS, *GENERATED), (FITTED,)),
        ({"check_content": True}, (*ALWAYS, GENERATED[0]), GENERATED[1:]),
    ],
)
def test_changed_options_redo_only_what_depends_on_them(
    change: dict,
    kept: tuple[str, ...],
    redone: tuple[str, ...],
    run: AugmentResult,
    room_photos: Path,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run.run, folder)

    def stamps(names: tuple[str, ...]) -> list[int]:
        return [(folder / name / "stage.json").stat().st_mtime_ns for name in names]

    before = stamps(kept), stamps(redone)
    augment(
        room_photos, folder, replace(SMALL, keep="photos", **change)
    )  # what is decided is tested elsewhere
    assert stamps(kept) == before[0], "something was redone for nothing"
    assert all(new != old for new, old in zip(stamps(redone), before[1], strict=True))


DAMAGED = (
    "capture/capture.json",
    "sfm/points.npz",
    "sfm/photos/clip.json",
    "capture/training/photo_01.png",
    "recovery/round-1/frames.json",
    "eval/photos_only/score.json",
    "eval/heldout/photo_00_truth.png",
    "exports/scene.ply",
)


def test_damaged_stages_are_made_again_to_the_same_result(
    run: AugmentResult, room_photos: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run.run, folder)
    for file in DAMAGED:
        os.truncate(folder / file, 7)
    again = augment(room_photos, folder, SMALL)
    for file in DAMAGED:
        assert (folder / file).stat().st_size > 7
    assert (folder / "exports/scene.ply").read_bytes() == (run.run / "exports/scene.ply").read_bytes()
    nothing = {"stages": [], "command": "", "sfm": Sfm()}
    assert replace(again.report, **nothing) == replace(run.report, **nothing)


def test_a_photo_that_changes_while_it_is_read_stops_the_run(
    room_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bridge4d.stages import capture as reading

    photos = tmp_path / "photos"
    shutil.copytree(room_photos, photos)
    read = reading.read_capture

    def overtaken(*arguments, **options):
        capture = read(*arguments, **options)
        shutil.copy(photos / "photo_01.jpg", photos / "photo_02.jpg")
        return capture

    monkeypatch.setattr(reading, "read_capture", overtaken)
    with pytest.raises(BridgeError, match="changed while they were read"):
        augment(photos, tmp_path / "run", SMALL)
    assert not (tmp_path / "run").exists()


def test_photos_beside_a_colmap_model_count_and_what_nobody_reads_does_not(
    room_photos: Path, tmp_path: Path
) -> None:
    from bridge4d.stages.capture import fingerprint_capture
    from recon.colmap.write import write_colmap
    from worldgen.models.synthetic import SyntheticRoom

    shutil.copytree(room_photos, tmp_path / "images")
    names = sorted(photo.name for photo in room_photos.glob("*.jpg"))
    cameras = SyntheticRoom().cameras(len(names), width=360, height=240)
    model = tmp_path / "sparse" / "0"
    write_colmap(model, cameras, names)
    before = fingerprint_capture(model, SMALL)
    (tmp_path / "images" / "notes.txt").write_text("not read")
    (tmp_path / "images" / ".hidden.jpg").write_text("not read")
    assert fingerprint_capture(model, SMALL) == before
    shutil.copy(room_photos / names[1], tmp_path / "images" / names[2])
    assert fingerprint_capture(model, SMALL) != before


def test_generated_frames_get_their_share_while_they_take_part() -> None:
    always = image_frequencies(4, 2, FrameShare(0.3, 20, range(20)))
    torch.testing.assert_close(always, torch.tensor([[0.175] * 4 + [0.15] * 2]))
    options = replace(SMALL, generated_from=0.1, generated_until=0.6)
    early = image_frequencies(4, 2, FrameShare(0.3, 20, options.generated_twentieths))
    torch.testing.assert_close(early.sum(1), torch.ones(20))
    taking_part = early[:, 4:].sum(1)
    torch.testing.assert_close(taking_part[2:12], torch.full((10,), 0.3))
    assert taking_part[:2].max() == 0
    assert taking_part[12:].max() == 0
    assert image_frequencies(3, 0, FrameShare(0.3, 20, range(20))).shape == (1, 3)


@pytest.mark.parametrize(
    "when", [(0.5, 0.5), (0.5, 0.52), (0.98, 1.0), (0.0, 0.02), (0.6, 0.4), (-0.1, 1), (0, 1.1)]
)
def test_frames_never_taking_part_is_refused(when: tuple[float, float]) -> None:
    with pytest.raises(BridgeError, match="--generated-from at least a twentieth below --generated-until"):
        replace(SMALL, generated_from=when[0], generated_until=when[1])


def test_confidence_weighs_pixels_only_where_it_is_asked_to(run: AugmentResult, tmp_path: Path) -> None:
    rows = [to_json(replace(frame, accepted=True)) for frame in run.report.generated.frames]
    (tmp_path / "frames.json").write_text(json.dumps(rows))
    generated = run.run / "generated" / "round-1"
    clip = load_clip(generated)
    weighed, alike = (
        frames.accepted_frames(
            generated, tmp_path, frame_poses="requested", weight=0.5, weigh_by_confidence=by_confidence
        )
        for by_confidence in (True, False)
    )
    assert weighed is not None
    assert alike is not None
    assert weighed.confidence is not None
    assert clip.confidence is not None
    assert weighed.confidence.std() > 0
    torch.testing.assert_close(weighed.confidence, 0.5 * clip.confidence)
    torch.testing.assert_close(alike.confidence, torch.full_like(weighed.confidence, 0.5))


def test_contradicted_pixels_of_accepted_frames_weigh_nothing(run: AugmentResult, tmp_path: Path) -> None:
    rows = [to_json(replace(frame, accepted=True)) for frame in run.report.generated.frames]
    (tmp_path / "frames.json").write_text(json.dumps(rows))
    generated = run.run / "generated" / "round-1"
    clip = load_clip(generated)
    (tmp_path / frames.CONTRADICTED).mkdir()
    white = torch.zeros(clip.height, clip.width, 3)
    white[:20] = 1
    store.save_picture(white, tmp_path / frames.CONTRADICTED / f"{clip.names[1]}.png")
    entering = frames.accepted_frames(
        generated, tmp_path, frame_poses="requested", weight=0.5, weigh_by_confidence=False
    )
    assert entering is not None
    assert entering.confidence is not None
    assert (entering.confidence[1, :20] == 0).all()
    assert (entering.confidence[1, 20:] == 0.5).all()
    assert (entering.confidence[0] == 0.5).all()


def test_what_photos_contradict_is_told_and_too_much_of_it_refused(
    run: AugmentResult, room_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def contradict(clip: Clip, photos: Clip, maps: DepthMaps) -> list[ContentCheck]:
        """An eighth of every frame but the first, of which half."""
        masks = torch.zeros(len(clip), 8, 8, dtype=torch.bool)
        masks[:, :1] = True
        masks[0, :4] = True
        return [ContentCheck(torch.ones_like(mask), mask) for mask in masks]

    assert all(frame.contradicted is None for frame in run.report.generated.frames)
    before = [frame for frame in run.report.generated.frames if frame.registered]
    assert all(frame.accepted for frame in before[:2])
    shutil.copytree(run.run, tmp_path / "run")
    monkeypatch.setattr(content, "check_clip", contradict)
    options = replace(SMALL, keep="photos", check_content=True, gate=GateOptions(max_contradicted=0.2))
    asked = augment(room_photos, tmp_path / "run", options)
    first, second, *_ = [frame for frame in asked.report.generated.frames if frame.registered]
    assert (first.contradicted, second.contradicted) == (0.5, 0.125)
    assert first.reason == "photos contradict 50.0% of what they show of it (limit 20.0%)"
    assert not first.accepted
    assert second.accepted
    white = store.load_picture(
        tmp_path / "run" / "recovery" / "round-1" / frames.CONTRADICTED / f"{second.name}.png"
    )
    assert white.mean() == pytest.approx(1 / 8, abs=0.01)
    assert "Contradicted is the share" in asked.report_html.read_text()


def poison(image: Image.Image, seed: int, *, registrable: bool) -> Image.Image:
    if registrable:
        red, green, blue = image.convert("RGB").point(lambda value: int(value * 0.5)).split()
        return Image.merge("RGB", (blue, red, green))
    noise = torch.rand(image.height, image.width, 3, generator=torch.Generator().manual_seed(seed))
    return Image.fromarray((noise * 255).to(torch.uint8).numpy())


def write_poisoned(room_photos: Path, folder: Path, *, registrable: bool) -> Path:
    """The photos with every held-out one made another picture, and the EXIF of the first a lie."""
    folder.mkdir()
    for i, photo in enumerate(sorted(room_photos.glob("*.jpg"))):
        if i % 8:
            shutil.copy(photo, folder)
            continue
        image = Image.open(photo)
        exif = image.getexif()
        if i == 0:
            # a focal length seven times as long: a lens that no training photo has
            exif.get_ifd(0x8769)[0xA405] = 200
        poison(image, i, registrable=registrable).save(folder / f"{photo.stem}.png", exif=exif)
    return folder


@pytest.mark.parametrize("protocol", ["from-scratch", pytest.param("known-poses", marks=pytest.mark.slow)])
def test_poisoned_heldout_photos_change_the_score_and_nothing_else(
    protocol: str, run: AugmentResult, room_photos: Path, tmp_path: Path
) -> None:
    """Every held-out photo becomes another picture, and the first one's EXIF lies; all that makes a scene, and the choice of the kept
    one, must stay to the bit.

    From scratch the other must still be registrable, or there is no score to change.
    """
    options = replace(SMALL, protocol=protocol)
    poisoned = write_poisoned(room_photos, tmp_path / "poisoned", registrable=protocol == "from-scratch")
    clean = run
    if protocol == "known-poses":
        clean = augment(posed_photos(room_photos, tmp_path / "posed"), tmp_path / "run-clean", options)
        poisoned = posed_photos(poisoned, tmp_path / "posed-poisoned")
    runs = [clean, augment(poisoned, tmp_path / "run", options)]
    for scene in ("photos_only", "round-1"):
        files = [r.run / "splats" / scene / "scene.ply" for r in runs]
        assert files[0].exists(), f"the clean run has no {scene}"
        assert files[0].read_bytes() == files[1].read_bytes(), f"{scene} depends on held-out photos"
    for said in ("generated", "decisions", "kept_round", "kept_because"):
        assert getattr(runs[0].report, said) == getattr(runs[1].report, said), (
            f"{said} depends on held-out photos"
        )
    assert runs[0].report.decisions
    kept = [r.scene.read_bytes() for r in runs if r.scene is not None]
    assert len(kept) == 2
    assert kept[0] == kept[1], "the kept scene depends on held-out photos"
    if protocol == "from-scratch":
        unjudged = "held out, and not judged, because no registered training photo was taken through the same lens: photo_00.png"
        assert unjudged in runs[1].report.warnings
        assert runs[1].report.heldout.names == ["photo_08.png"]
    scores = [psnr_of(r).photos_only or 0.0 for r in runs]
    assert scores[0] is not None
    assert scores[1] is not None
    assert scores[1] < scores[0] - 3


@pytest.fixture(scope="module")
def posed(room_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> AugmentResult:
    """A short run of the photos with their true cameras."""
    folder = tmp_path_factory.mktemp("posed")
    return augment(posed_photos(room_photos, folder / "photos"), folder / "run", SHORT)


@pytest.mark.parametrize("poisoned", ["copy", "size"])
def test_heldout_photos_of_another_kind_change_no_scene(
    poisoned: str, posed: AugmentResult, room_photos: Path, tmp_path: Path
) -> None:
    """One held-out photo becomes a copy of a training photo, or smaller than the others."""
    folder = posed_photos(room_photos, tmp_path / "photos")
    heldout, training = folder / "images" / "photo_08.png", folder / "images" / "photo_01.png"
    if poisoned == "copy":
        heldout.write_bytes(training.read_bytes())
    else:
        Image.open(heldout).resize((300, 200)).save(heldout)
    runs = [posed, augment(folder, tmp_path / "run", SHORT)]
    assert runs[0].report.heldout.names == ["photo_00.png", "photo_08.png"]
    judges = ["photo_00.png", *(["photo_08.png"] if poisoned == "size" else [])]
    assert runs[1].report.heldout.names == judges
    assert runs[0].report.photos.training_names == runs[1].report.photos.training_names
    scenes = [r.run / "splats" / "photos_only" / "scene.ply" for r in runs]
    assert scenes[0].read_bytes() == scenes[1].read_bytes()


def test_a_capture_on_the_map_is_worked_on_near_the_origin_and_brought_back(
    room_photos: Path, tmp_path: Path
) -> None:
    from recon.camera_files.formats.transforms_write import write_transforms
    from recon.capture.read import read_capture
    from recon.sim3 import Sim3
    from worldgen.models.synthetic import SyntheticRoom

    clip = read_capture(room_photos).clip
    cameras = SyntheticRoom().cameras(10, width=clip.width, height=clip.height)
    shift = torch.tensor([412345.678, 5123456.789, 87.5], dtype=torch.float64)
    there = replace(Sim3.identity(), translation=shift).cameras(cameras)
    write_transforms(tmp_path / "map" / "transforms.json", replace(clip, cameras=there))
    done = augment(tmp_path / "map", tmp_path / "run", replace(SMALL, rounds=0, iterations=60))
    assert (psnr_of(done).photos_only or 0.0) > 15
    assert any("412344" in w or "412345" in w or "412346" in w for w in done.report.warnings)
    exports = done.run / "exports"
    back = read_capture(exports / "transforms.json").clip
    rows = [int(name[6:8]) for name in back.names]
    assert float((back.require_cameras().centers - there.centers[rows]).abs().max()) < 1e-6
    assert (exports / "capture_from_scene.json").is_file()


def test_a_run_folder_inside_the_photos_is_no_input_of_itself(
    run: AugmentResult, room_photos: Path, tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    shutil.copytree(room_photos, photos)
    begin_as(run, photos / "run")
    stamp = (photos / "run" / "capture" / "stage.json").stat().st_mtime_ns
    for _ in range(2):
        augment(str(photos), str(photos / "run"), SHORT)
        assert (photos / "run" / "capture" / "stage.json").stat().st_mtime_ns == stamp


def test_from_scratch_reads_the_photos_as_they_were_taken(
    run: AugmentResult, room_photos: Path, tmp_path: Path
) -> None:
    """Reference cameras beside the photos, with a lens that they were not taken with, must not be looked at."""
    photos = tmp_path / "photos"
    shutil.copytree(room_photos, photos)
    frames = [
        {"file_path": p.name, "transform_matrix": torch.eye(4).tolist()} for p in sorted(photos.glob("*.jpg"))
    ]
    lens = {"fl_x": 300, "fl_y": 300, "cx": 180, "cy": 120, "w": 360, "h": 240, "k1": -0.3}
    (photos / "transforms.json").write_text(json.dumps(lens | {"frames": frames}))
    posed = augment(photos, tmp_path / "run", replace(SHORT, iterations=60, protocol="from-scratch"))
    scenes = [one.run / "splats" / "photos_only" / "scene.ply" for one in (run, posed)]
    assert scenes[0].read_bytes() == scenes[1].read_bytes()


def test_pictures_of_another_run_in_the_folder_do_not_get_into_the_report(
    run: AugmentResult, room_photos: Path, tmp_path: Path
) -> None:
    stale = tmp_path / "run" / "eval" / "round-1"
    stale.mkdir(parents=True)
    begin_as(run, tmp_path / "run")
    Image.new("RGB", (128, 85), "red").save(stale / "photo_00.png")
    options = replace(SHORT, rounds=1, gate=GateOptions(min_inliers=10**6))
    done = augment(room_photos, tmp_path / "run", options)
    assert sorted(path.name for path in (done.run / "eval/heldout").glob("photo_00*")) == [
        "photo_00_photos_only.png",
        "photo_00_truth.png",
    ]
    psnr = psnr_of(done)
    assert (psnr.photos_only or 0.0) > 10
    assert (psnr.augmented, psnr.gain, psnr.gain_interval95, psnr.worst_view_gain) == (None,) * 4
    assert [(played.psnr, played.gain) for played in done.report.rounds] == [(None, None)]
    assert not [said for said in done.report.warnings if "interval" in said]


def test_photos_between_which_nothing_can_be_planned_still_end_in_a_report(
    run: AugmentResult, room_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bridge4d.stages import views

    def nothing(*_: object, **__: object) -> None:
        raise ReconstructionError("expected photos that see parts of the scene in common, got none")

    monkeypatch.setattr(views, "plan_cameras", nothing)
    begin_as(run, tmp_path / "run")
    done = augment(room_photos, tmp_path / "run", replace(SHORT, rounds=1))
    report = done.report
    assert report.kept == "photos_only"
    assert "in common" in report.kept_because
    assert report.generated.requested == 0
    assert psnr_of(done).gain is None
    assert (tmp_path / "run" / "report.html").is_file()


@pytest.mark.parametrize("how", ["failed", "empty"])
def test_depth_that_failed_is_a_warning_of_the_report(
    how: str, run: AugmentResult, room_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bridge4d.stages import depth

    def fail(*_: object, **__: object) -> None:
        raise ReconstructionError("expected photos from different places for depth, got 5 from one")

    if how == "failed":
        monkeypatch.setattr(depth, "multiview_depth", fail)
    else:
        monkeypatch.setattr(depth, "surface_points", lambda *_, **__: PointCloud.empty())
    begin_as(run, tmp_path / "run", ("capture", "sfm"))
    report = augment(room_photos, tmp_path / "run", SHORT).report
    reason = {"failed": "got 5 from one", "empty": "they agree on no surface"}[how]
    (said,) = [warning for warning in report.warnings if "depth" in warning]
    assert reason in said
    assert f"fitted from {report.sfm.points} triangulated points alone" in said
    assert json.loads((tmp_path / "run" / "report.json").read_text())["warnings"] == report.warnings
    assert said in " ".join(html.unescape((tmp_path / "run" / "report.html").read_text()).split())
    assert f"warning: {said}" in summary(report).splitlines()
    monkeypatch.undo()
    work = tmp_path / "run" / ".work"
    assert not work.exists()
    (work / "anchor").mkdir(parents=True)
    (work / "thesis.txt").write_text("precious")
    resumed = augment(room_photos, tmp_path / "run", SHORT).report
    assert resumed.warnings == report.warnings, "a finished stage is told as it was"
    assert [path.name for path in work.iterdir()] == ["thesis.txt"], "what is not the run's stays"


def test_a_reconstruction_is_judged_and_compared_with_nothing(room_photos: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for photo in sorted(room_photos.glob("*.jpg"))[:7]:
        shutil.copy(photo, tmp_path / "photos")
    options = ReconstructOptions(max_side=128, sfm_side=360, iterations=5, max_gaussians=6000)
    done = reconstruct_scene(tmp_path / "photos", tmp_path / "run", options)
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert (report["task"], report["world_model"], report["rounds"]) == ("reconstruct", None, [])
    assert (report["photos"]["training"], report["heldout"]["views"]) == (6, 1), "all but the held-out one"
    assert report["delivered_photos"] == 7, "the held-out one is delivered with them"
    cameras = json.loads((done.run / "exports" / "transforms.json").read_text())
    assert len(cameras["frames"]) == 7
    assert (done.run / "exports" / "scene.ply").read_bytes() == (
        done.run / "splats" / "all_photos" / "scene.ply"
    ).read_bytes()
    assert not (tmp_path / "run" / "generated").exists()
    said = summary(report)
    assert said.startswith("The scene was made from 6 photos: ")
    for word in ("gain", "generated", "augmented", "kept", "photos alone"):
        assert word not in said
    page = " ".join(html.unescape(done.report_html.read_text()).split())
    assert "bridge4d · reconstruct" in page
    assert 'id="heldout"' in page
    for part in ('id="gain"', 'id="generated"', "Gain", "Augmented", "Photos only"):
        assert part not in page
    assert load_scene(tmp_path / "run").cameras() is not None


def test_the_length_is_chosen_once_and_the_earlier_trainer_stands_beside(
    run: AugmentResult, room_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for what was chosen, the run makes the same scene."""
    monkeypatch.setattr(training, "BASELINE_ITERATIONS", 50)
    monkeypatch.setattr(fitting, "ANNOUNCED_FROM", 60)
    notes: list[str] = []
    monkeypatch.setattr(fitting, "note", notes.append)
    shutil.copytree(run.run, tmp_path / "run")  # cameras and depth are made
    options = replace(SMALL, rounds=0, iterations=None, longest=70, baselines="trainer")
    done = augment(room_photos, tmp_path / "run", options)
    chosen = choose.load_record(tmp_path / "run" / "choose")
    assert (chosen["lengths"], chosen["dropouts"]) == ([70, 70], [0.3, 0.0])
    assert len(chosen["left_out"]) == len(chosen["psnr"]) == 5
    said = done.report.training
    assert said is not None
    assert (said.iterations, said.dropout, said.why) == tuple(
        chosen[k] for k in ("iterations", "dropout", "why")
    )
    for scene, length in (("photos_only", 70), ("baseline", 50)):
        fitted = json.loads((tmp_path / "run" / "splats" / scene / "fit.json").read_text())
        assert fitted["iterations"] == length
    assert len(notes) == 1, "the baseline is shorter"
    assert re.fullmatch(r"training 70 iterations at 128x\d+ px: about 0 min", notes[0])
    baseline = done.report.heldout.baseline
    assert baseline is not None
    assert baseline.gain == pytest.approx(psnr_of(done).photos_only - baseline.psnr, abs=1e-3)
    assert f"baseline   {baseline.psnr:.2f} dB" in summary(done.report)
    assert "Over the earlier trainer" in done.report_html.read_text()
    assert "baseline" not in dict(load_scene(tmp_path / "run").versions)

    scene = (tmp_path / "run" / "splats" / "photos_only" / "scene.ply").read_bytes()
    stated = replace(options, iterations=chosen["iterations"], dropout=chosen["dropout"], baselines="none")
    again = augment(room_photos, tmp_path / "run", stated)
    assert (tmp_path / "run" / "splats" / "photos_only" / "scene.ply").read_bytes() == scene
    assert again.report.heldout.baseline is None
    assert again.report.training == Training(chosen["iterations"], chosen["dropout"])


OWN_STAGES = (
    "seeds/photos_only/1",
    "seeds/photos_only/2",
    "own_renderings/round-1",
    "splats/own_renderings",
    "eval/own_renderings",
)


def test_own_renderings_enter_in_the_place_of_accepted_frames(
    run: AugmentResult, room_photos: Path, tmp_path: Path
) -> None:
    """At their cameras, by stages that change no other and are kept by a second run."""
    shutil.copytree(run.run, tmp_path / "run")
    options = replace(SMALL, baselines="own-renderings")
    done = augment(room_photos, tmp_path / "run", options)
    made = [name for name in run_stages(done) if name not in run_stages(run)]
    assert set(made) == set(OWN_STAGES)
    own = done.report.heldout.own_renderings
    assert own is not None
    assert own.psnr.generated_gain == pytest.approx(psnr_of(done).augmented - own.psnr.mean, abs=1e-3)
    assert f"renderings {own.psnr.mean:.2f} dB with own renderings for frames" in summary(done.report)
    assert "Over own renderings" in done.report_html.read_text()
    same = replace(done.report, heldout=run.report.heldout, stages=[], options={}, command="")
    assert same == replace(run.report, stages=[], options={}, command=""), "nothing is decided by it"
    versions, before = (dict(load_scene(one.run).versions).keys() for one in (done, run))
    assert versions == before, "nothing is delivered of it"

    accepted = [row.name for row in done.report.generated.frames if row.accepted]
    pictures = load_clip(done.run / "own_renderings" / "round-1")
    assert list(pictures.names) == accepted
    recovered = frames.recovered_cameras(
        load_clip(done.run / "generated" / "round-1")[
            [int(name[-3:]) for name in accepted]
        ].require_cameras(),
        pictures.names,
        done.run / "recovery" / "round-1",
    )
    assert torch.equal(pictures.require_cameras().cam_from_world, recovered.cam_from_world)
    scenes = ["splats/photos_only", "seeds/photos_only/1", "seeds/photos_only/2"]
    shown = [
        draw_views(load_scene(done.run / scene / "scene.ply").gaussians, recovered).images.clamp(0, 1)
        for scene in scenes
    ]
    assert not torch.equal(shown[0], shown[1])
    assert torch.allclose(pictures.images, torch.stack(shown).mean(0), atol=0.003), "to 8 bits"
    fits = {
        scene: json.loads((done.run / "splats" / scene / "fit.json").read_text())
        for scene in ("round-1", "own_renderings")
    }
    for key in ("iterations", "photos", "generated"):
        assert fits["round-1"][key] == fits["own_renderings"][key]

    stages = [done.run / name / "stage.json" for name in OWN_STAGES]
    made_at = [stage.stat().st_mtime_ns for stage in stages]
    again = augment(room_photos, done.run, options)
    assert [stage.stat().st_mtime_ns for stage in stages] == made_at
    assert again.report == done.report
    reweighed = augment(room_photos, done.run, replace(options, generated_weight=0.25))
    changed = [stage.stat().st_mtime_ns != was for stage, was in zip(stages, made_at, strict=True)]
    assert changed == [False, False, False, True, True], "the weight is of the fit"
    assert reweighed.report.heldout.own_renderings != own


def run_stages(done: AugmentResult) -> list[str]:
    return [stage.name for stage in done.report.stages]


def test_a_model_that_knows_the_truth_beats_own_renderings(room_photos: Path, tmp_path: Path) -> None:
    """And one that shows nothing but the scene of the photos alone does not."""
    posed = posed_photos(room_photos, tmp_path / "posed")
    options = replace(
        SMALL, views=3, novel=12, iterations=200, keep="augmented", baselines="own-renderings", frame_poses="requested",
        generated_share=0.5, generated_weight=1.0, gate=GateOptions(
            # of pictures as small as these poses are recovered badly
            max_rotation_deg=5, max_position_share=0.1, max_epipolar_error_px=20, max_reprojection_error_px=20, min_inliers=8
        ),
    )  # fmt: skip
    known = augment(posed, tmp_path / "known", replace(options, model="synthetic"))
    alone = known.run / "splats" / "photos_only" / "scene.ply"
    repeated = augment(posed, tmp_path / "repeated", replace(options, model=f"splat:{alone}"))
    for done in (known, repeated):
        assert done.report.generated.accepted >= 4
    assert "The generated frames beat the scene's own renderings: +" in summary(known.report)
    assert "The generated frames did not beat the scene's own renderings: −" in summary(repeated.report)


def test_a_reconstruction_has_no_frames_to_hold_against_renderings(room_photos: Path, tmp_path: Path) -> None:
    with pytest.raises(BridgeError, match="expected --baselines trainer, all or none of a reconstruction"):
        reconstruct_scene(room_photos, tmp_path / "run", ReconstructOptions(baselines="own-renderings"))
    assert not (tmp_path / "run").exists()


def test_scenes_of_several_seeds_are_stages_and_become_one(
    run: AugmentResult, room_photos: Path, tmp_path: Path
) -> None:
    """With and without generated frames; what a killed merge leaves is not trained again."""
    options = replace(SMALL, iterations=12, seeds=2)
    begin_as(run, tmp_path / "run")
    done = augment(room_photos, tmp_path / "run", options)
    assert done.report.training == Training(12, 0.0, 2)
    assert "Merged from" in done.report_html.read_text()
    for scene, generated in (("photos_only", 0), ("round-1", done.report.rounds[0].accepted)):
        merged = json.loads((done.run / "splats" / scene / "fit.json").read_text())
        each = [json.loads((done.run / "seeds" / scene / str(i) / "fit.json").read_text()) for i in (1, 2)]
        assert merged["gaussians"] == sum(fit["gaussians"] for fit in each)
        assert (merged["scenes"], merged["iterations_each"], merged["generated"]) == (2, 12, generated)
        assert merged["backdrop"] == each[0]["backdrop"]
        assert each[0]["loss"] != each[1]["loss"]
    assert generated > 0
    scene, seeds = done.run / "splats" / "photos_only", done.run / "seeds" / "photos_only"
    before, made = (scene / "scene.ply").read_bytes(), (seeds / "2" / "stage.json").stat().st_mtime_ns
    shutil.rmtree(scene)
    augment(room_photos, done.run, options)
    assert (scene / "scene.ply").read_bytes() == before
    assert (seeds / "2" / "stage.json").stat().st_mtime_ns == made
    with pytest.raises(BridgeError, match="expected --seeds 1 with --start, got 2"):
        replace(options, start=scene / "scene.ply")


def test_a_reconstruction_is_what_an_augmentation_begins_with(
    run: AugmentResult, room_photos: Path, tmp_path: Path
) -> None:
    shutil.copytree(run.run, tmp_path / "run")
    stage = tmp_path / "run" / "splats" / "photos_only" / "stage.json"
    before = stage.stat().st_mtime_ns
    asked = {field.name: getattr(SMALL, field.name) for field in fields(ReconstructOptions)}
    with pytest.raises(BridgeError, match="holds what bridge4d augment made"):
        reconstruct_scene(room_photos, tmp_path / "run", ReconstructOptions(**asked))
    (tmp_path / "run" / "report.json").unlink()  # as before an augmentation ended
    reconstruct_scene(room_photos, tmp_path / "run", ReconstructOptions(**asked))
    assert stage.stat().st_mtime_ns == before


def test_depth_that_was_found_is_no_warning(run: AugmentResult) -> None:
    assert not [warning for warning in run.report.warnings if "depth" in warning]


def test_the_exported_colmap_model_reads_back(run: AugmentResult) -> None:
    from recon.camera_files.formats.colmap import find_model

    assert run.scene is not None
    exports = run.scene.parent
    assert find_model(exports / "colmap") is not None
    import pycolmap

    model = pycolmap.Reconstruction(exports / "colmap")
    names = {image.name for image in model.images.values()}
    written = {p.name for p in exports.rglob("*.png")}
    assert len(names) == 5
    assert names <= written
    assert seen_within_px(model) < 1.5


def test_a_run_becomes_a_dataset_whose_tracks_fit(run: AugmentResult, tmp_path: Path) -> None:
    import pycolmap

    from bridge4d.dataset import write_dataset

    about = write_dataset(run.run, tmp_path / "dataset")
    assert (about["photos"], about["heldout"]) == (5, 2)
    model = pycolmap.Reconstruction(tmp_path / "dataset" / "sparse" / "0")
    assert seen_within_px(model) < 1.5
    held = [image for image in model.images.values() if "heldout" in image.name]
    assert all(image.num_points3D >= 12 for image in held), "they were registered by what they see"


def seen_within_px(model) -> float:
    """Mean distance in pixels between features and projections of their points in a `pycolmap.Reconstruction`."""
    errors = []
    for point in model.points3D.values():
        for element in point.track.elements:
            image = model.image(element.image_id)
            errors.append(image.points2D[element.point2D_idx].xy - image.project_point(point.xyz))
    assert len(errors) >= 2 * len(model.points3D) > 0
    return float(np.linalg.norm(errors, axis=1).mean())


def test_a_model_that_needs_a_scene_is_refused_before_the_work(room_photos: Path, tmp_path: Path) -> None:
    with pytest.raises(BridgeError, match="splat scene"):
        augment(room_photos, tmp_path / "run", replace(SMALL, model="splat"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("seed", [-1, 2**31, 2**70])
def test_seeds_that_some_library_would_refuse_are_refused_first(seed: int) -> None:
    with pytest.raises(BridgeError, match="--seed"):
        AugmentOptions(seed=seed)


def test_a_corrupt_photo_among_good_ones_is_named_and_skipped(room_photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for photo in room_photos.glob("*.jpg"):
        (folder / photo.name).write_bytes(photo.read_bytes())
    (folder / "photo_03.jpg").write_bytes((folder / "photo_03.jpg").read_bytes()[:500])
    report = augment(folder, tmp_path / "run", SHORT).report
    assert [item.name for item in report.photos.skipped] == ["photo_03.jpg"]
    assert report.photos.given == 10
    assert any("photo_03.jpg" in warning for warning in report.warnings)


def test_known_poses_without_cameras_is_refused(room_photos: Path, tmp_path: Path) -> None:
    with pytest.raises(BridgeError, match=r"transforms\.json"):
        augment(room_photos, tmp_path / "run", replace(SMALL, protocol="known-poses"))
