"""What a dataset says of itself: what is in it, how trainers read it, and what they would not notice."""

from collections import Counter

from bridge4d.dataset.arrange import USUAL_EVERY, ordinal
from bridge4d.dataset.views import DatasetPicture, RunViews
from bridge4d.scenes import GENERATED, HELDOUT, PHOTO

SCHEMA = "bridge4d/dataset/1"
"""Mark by which a later call knows that it may replace the folder."""
OFF_CENTRE = 0.01
"""Share of the picture's width by which a principal point may lie off its middle before it is worth a word."""


def describe_dataset(
    views: RunViews,
    pictures: list[DatasetPicture],
    in_model: int,
    every: int | None,
    points: dict,
    mask_from: float,
    notes: list[str],
) -> dict:
    """The content of ``dataset.json``, but for bytes and seconds."""
    model, beyond = pictures[:in_model], pictures[in_model:]
    counts = Counter(picture.view.role for picture in pictures)
    about = {
        "schema": SCHEMA,
        "run": str(views.run),
        "kept_round": views.kept_round,
        "photos": counts[PHOTO],
        "heldout": counts[HELDOUT],
        "generated": counts[GENERATED],
        "test_every": every,
        "points": points,
        "pictures": [
            {
                "file": f"images/{picture.file}",
                "name": picture.view.name,
                "role": picture.view.role,
                "round": picture.view.round,
                "width": picture.camera.width,
                "height": picture.camera.height,
                "made": picture.made,
            }
            for picture in pictures
        ],
        "left_out_of_colmap_model": [picture.file for picture in beyond],
        "commands": trainer_commands(every),
        "notes": [*notes, *_warnings(model, beyond, every, points)],
    }
    if counts[GENERATED] and not views.kept_round:
        about["notes"].append(
            f"the run kept the scene of the photos alone: its {counts[GENERATED]} generated frames passed the gate, but no "
            "scene with them was kept; leave them out with --no-generated"
        )
    if counts[GENERATED]:
        about["masks"] = {"used_from_confidence": mask_from}
        about["weights"] = "weights/: what a pixel weighs in the loss; 255 is the weight of a photo's pixel"
    return about


def trainer_commands(every: int | None) -> dict[str, str]:
    """How each trainer is started on the folder, called DATASET."""
    gsplat = "python examples/simple_trainer.py default --data_dir DATASET --data_factor 1"
    return {
        "gsplat": gsplat + (f" --test_every {every}" if every else ""),
        "3dgs": "python train.py -s DATASET" + (" --eval" if every == USUAL_EVERY else ""),
        "nerfstudio": "ns-train splatfacto --data DATASET",
        "nerfstudio from the COLMAP model": "ns-train splatfacto colmap --data DATASET --colmap-path sparse/0",
    }


def _warnings(
    model: list[DatasetPicture], beyond: list[DatasetPicture], every: int | None, points: dict
) -> list[str]:
    said = []
    held = [picture.file for picture in beyond if picture.view.role == HELDOUT]
    made = [picture.file for picture in beyond if picture.view.role == GENERATED]
    if held:
        said.append(
            f"{_count_pictures(held)} held out in transforms.json only, for no rule of every n-th picture would hold all of the "
            "held-out photos out of the COLMAP model"
        )
    if made:
        said.append(
            f"{_count_pictures(made)} in transforms.json only, so that every {ordinal(every or 0)} picture is held out"
        )
    if every is None:
        said.append("no photo is held out; gsplat holds every 8th picture out all the same")
    elif every != USUAL_EVERY:
        said.append(
            f"the held-out photos are every {ordinal(every)} picture: say so to gsplat; the 3DGS code's --eval takes every 8th "
            "and would train on them, and without --eval it trains on all"
        )
    else:
        said.append("the 3DGS code trains on the held-out photos as well, unless --eval is given")
    blind = [p.file for p in model if p.view.role != HELDOUT and p.file in points["pictures_that_see_none"]]
    if not points["observations"]:
        said.append(
            "the run holds no tracks: points3D.bin has points that no picture sees; start the run's command again "
            "to have them"
        )
    elif blind:
        said.append(f"{_count_pictures(blind)} without points, at which gsplat's --depth_loss stops")
    if not points["to_start_from"]:
        said.append("there are no points to start from")
    off = [picture.file for picture in model if _is_off_centre(picture)]
    if off:
        said.append(
            f"{_count_pictures(off)} with a principal point off the middle, which the 3DGS code passes over"
        )
    return said


def _count_pictures(files: list[str]) -> str:
    """How many pictures, and which is the first."""
    return f"{files[0]} is" if len(files) == 1 else f"{len(files)} pictures ({files[0]} …) are"


def _is_off_centre(picture: DatasetPicture) -> bool:
    camera = picture.camera
    x, y = camera.K[0, 0, 2] - camera.width / 2, camera.K[0, 1, 2] - camera.height / 2
    return max(abs(float(x)), abs(float(y))) > OFF_CENTRE * camera.width
