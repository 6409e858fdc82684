"""Held-out photos through lenses of their own, which come and go without touching the training photos."""

import shutil
from pathlib import Path

from PIL import Image

from bridge4d.augmenting.options import AugmentOptions
from bridge4d.augmenting.prepare import prepare_heldout, prepare_photos
from bridge4d.augmenting.report_sentences import list_warnings
from bridge4d.dataset.originals import find_originals
from bridge4d.runs.run import open_run


def test_a_heldout_photo_may_be_exchanged_for_one_of_another_camera(
    room_photos: Path, tmp_path: Path
) -> None:
    """Photos 0 and 8 judge. The cameras of the others were found before photo 8 had a lens of its own."""
    photos, options = tmp_path / "photos", AugmentOptions(views=4, features="opencv", max_side=64)
    shutil.copytree(room_photos, photos)
    files = sorted(photos.glob("*.png")) or sorted(photos.glob("*.jpg"))
    with open_run(tmp_path / "run") as run:
        before = prepare_photos(run, photos, options)
        assert len(prepare_heldout(run, before, options)) == 2
    with Image.open(files[8]) as image:
        smaller = image.convert("RGB").resize((180, 120))
    smaller.save(files[8])
    with open_run(tmp_path / "run") as run:
        after = prepare_photos(run, photos, options)
        heldout = prepare_heldout(run, after, options)
        assert set(run.redone) == {"capture", "heldout"}
    gone = after.about["heldout"][1]
    assert heldout.names == (after.about["heldout"][0],)
    said = list_warnings(
        after.about, [], compared=False, from_points=True, made_before=False, own_cameras=False
    )
    assert any("the same lens" in one and one.endswith(gone) for one in said)
    found = find_originals(tmp_path / "run")
    assert found[gone].photo.lens is None
    assert all(found[name].photo.lens is not None for name in (*after.about["training"], *heldout.names))
    with Image.open(files[0]) as image:
        image.convert("RGB").resize((180, 120)).save(files[0])
    with open_run(tmp_path / "run") as run:
        assert prepare_heldout(run, prepare_photos(run, photos, options), options) is None
