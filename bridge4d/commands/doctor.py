"""`bridge4d doctor`: what this machine can do."""

import json
from dataclasses import dataclass

from bridge4d import console


@dataclass(frozen=True)
class Doctor:
    """Say what this machine can do: cores, memory, GPU, engines, versions."""

    json: bool = False
    """Machine-readable."""

    def run(self) -> int:
        """Run the command; its exit status."""
        from bridge4d.doctor import examine

        found = examine()
        if self.json:
            console.result(json.dumps(found, indent=2))
        else:
            for key, value in found.items():
                console.result(f"{key:<12} {value}")
        return 0
