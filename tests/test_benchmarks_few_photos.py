"""The table of few photos: what counts as gain and as regret, and that a benchmark goes on where it stopped."""

from pathlib import Path

from benchmarks.few_photos import OLD, RECIPES, Log, summarise_seed, table

ABOUT = {"capture": "attic", "photos": 3, "seed": 0}


def fitted(recipe: tuple[float, float], iterations: int, psnr: float) -> dict:
    kind = {"least_confidence": recipe[0], "dropout": recipe[1], "iterations": iterations}
    return ABOUT | kind | {"psnr": psnr, "cpu_seconds": 2.0}


def chose(recipe: str, iterations: int, dropout: float) -> dict:
    return ABOUT | {"choice": recipe, "iterations": iterations, "dropout": dropout, "cpu_seconds": 9.0}


NEW = RECIPES["new"]
ROWS = [
    fitted((OLD.least_confidence, OLD.dropout), OLD.iterations, 20.0),
    chose("new", 200, NEW[1]),
    fitted(NEW, 100, 21.0),
    fitted(NEW, 200, 22.0),
    fitted(NEW, 800, 22.5),
    chose("no dropout", 100, 0.0),
    fitted(RECIPES["no dropout"], 100, 20.5),
]


def test_gains_are_over_the_old_trainer_and_regret_is_to_the_best_length() -> None:
    line = summarise_seed(ROWS)
    assert (line["gain"], line["regret"], line["fixed"]) == (2.0, 0.5, 2.5)
    assert line["no dropout"] == 0.5
    assert line["start where three agree"] is None, "not measured"
    assert (line["steps"], line["s choice"]) == (200, 9.0)


def test_a_line_a_case_and_their_mean() -> None:
    other = [row | {"capture": "barn", "psnr": 30.0} for row in ROWS if "psnr" in row][:1]
    lines = str(table([*ROWS, *other])).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| attic", "| barn", "| **mean**"]
    assert "| 25.00 | 22.00 | +2.00 |" in lines[-1]


def test_what_is_measured_is_not_measured_again(tmp_path: Path) -> None:
    Log(tmp_path / "log.jsonl").add(ROWS[1])
    assert Log(tmp_path / "log.jsonl").has(ABOUT | {"choice": "new"})
    assert not Log(tmp_path / "log.jsonl").has(ABOUT | {"choice": "no dropout"})
