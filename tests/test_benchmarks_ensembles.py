"""The table of ensembles: what each way gains, at which seed, and what is left out."""

from benchmarks.ensembles import WAYS, summarise, summarise_seed, table

ABOUT = {"capture": "attic", "photos": 3, "seed": 0}


def made(way: str, psnr: float, **about) -> dict:
    return ABOUT | about | {"way": way, "psnr": psnr, "cpu_seconds": 4.0}


ROWS = [
    ABOUT | {"choice": "new", "iterations": 200, "dropout": 0.3, "cpu_seconds": 9.0},
    made("one", 20.0),
    made("longer", 19.5),
    made("merged, settled", 21.0),
]


def test_gains_are_over_one_scene_of_the_same_seed() -> None:
    line = summarise_seed(ROWS)
    assert (line["steps"], line["one"], line["longer"], line["merged, settled"]) == (200, 20.0, -0.5, 1.0)
    assert (line["s longer"], line["mean"]) == (4.0, None)
    other = [made("one", 30.0, seed=1), made("longer", 31.5, seed=1)]
    both = summarise([*ROWS, *other])
    assert (both["one"], both["longer"], both["merged, settled"]) == (25.0, 0.5, 1.0)


def test_a_line_a_case_that_was_measured_and_their_mean() -> None:
    other = [row | {"capture": "barn"} for row in ROWS[:2]]
    chosen_alone = ROWS[0] | {"capture": "cellar"}
    lines = str(table([*ROWS, *other, chosen_alone])).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| attic", "| barn", "| **mean**"]
    assert set(WAYS) <= set(lines[0].split(" | "))
