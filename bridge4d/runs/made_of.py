"""Of what a stage was made: the program's version of it, options, files, earlier stages, libraries."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypedDict

from bridge4d.runs.fingerprints import fingerprint

MAX_NAMED_OPTIONS = 6
"""Most changed options that a message names; a run with other settings may change them all."""


class MadeOfSaid(TypedDict):
    """`MadeOf` in a ``stage.json``."""

    version: int
    options: dict[str, str]
    files: str
    earlier: dict[str, str]
    libraries: dict[str, str]


@dataclass(frozen=True)
class MadeOf:
    """Stages of equal ones hold equal files."""

    version: int
    """The program's, of this stage."""
    options: Mapping[str, str]
    """A fingerprint of each, by its name."""
    files: str
    """A fingerprint of the files outside the run that it reads; '' where there are none."""
    earlier: Mapping[str, str]
    """Fingerprints of the stages that it reads, by their names."""
    libraries: Mapping[str, str]
    """Versions of what decides the numbers."""

    @classmethod
    def of(
        cls, version: int, options: Any, files: str, earlier: Mapping[str, str], libraries: Mapping[str, str]
    ) -> "MadeOf":
        """Options are a mapping by names, anything else that JSON can say, which then has no name, or None."""
        named = {} if options is None else options if isinstance(options, Mapping) else {"": options}
        prints = {str(name): fingerprint(value) for name, value in named.items()}
        return cls(version, prints, files, dict(earlier), dict(libraries))

    def fingerprint(self, stage: str) -> str:
        """Fingerprint of a stage of this name that is made of this."""
        return fingerprint(stage, asdict(self))

    def changes(self, before: MadeOfSaid | None) -> str:
        """In words, what is no longer as it was; `before` is None of stages of which nobody wrote it down."""
        if before is None:
            return "it was made by an earlier version of bridge4d"
        said = []
        if before["version"] != self.version:
            said.append(
                f"the program's version of this stage changed ({before['version']}, now {self.version})"
            )
        libraries = _changed_keys(before["libraries"], self.libraries)
        if libraries:
            moved = (
                f"{name} {before['libraries'].get(name, 'none')}, now {self.libraries.get(name, 'none')}"
                for name in libraries
            )
            said.append(f"libraries changed ({'; '.join(moved)})")
        if before["files"] != self.files:
            said.append("the files that it reads changed")
        if earlier := _changed_keys(before["earlier"], self.earlier):
            said.append(f"an earlier stage changed ({', '.join(earlier)})")
        if options := _changed_keys(before["options"], self.options):
            named = [name.replace("_", " ") for name in options if name]
            more = [f"{len(named) - MAX_NAMED_OPTIONS} more"] if len(named) > MAX_NAMED_OPTIONS else []
            said.append(
                "its options changed"
                + (f" ({', '.join([*named[:MAX_NAMED_OPTIONS], *more])})" if named else "")
            )
        return " and ".join(said)


def _changed_keys(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The names of what differs, came or went."""
    return [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
