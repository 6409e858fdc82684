"""README and docs: links lead somewhere, commands are ones that bridge4d takes."""

import re
import shlex
from pathlib import Path

import pytest

from bridge4d.cli import COMMANDS, parse

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "benchmarks/README.md"]
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)")
FILE = re.compile(r"```python\n# (\w+\.py)\n(.*?)```", re.DOTALL)
BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)


def commands() -> list[str]:
    lines = [
        line for page in PAGES for block in BLOCK.findall(page.read_text()) for line in block.splitlines()
    ]
    said = [line.removeprefix("$ ") for line in lines]
    return sorted({line for line in said if line.startswith("bridge4d ") and "…" not in line})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    lost = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert lost == []


def write_files(folder: Path) -> list[Path]:
    """The files that the pages show in full, which begin with their name."""
    files = []
    for page in PAGES:
        for name, text in FILE.findall(page.read_text()):
            (folder / name).write_text(text)
            files.append(folder / name)
    return files


@pytest.mark.parametrize("line", commands())
def test_commands_parse(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    name, *given = shlex.split(line, comments=True)[1:]
    assert type(parse(name, given)) is COMMANDS[name]


def test_there_are_commands_of_every_job() -> None:
    """So that the test above cannot pass by finding nothing."""
    assert {line.split()[1] for line in commands()} >= {
        "augment",
        "reconstruct",
        "generate",
        "measure",
        "export",
    }
