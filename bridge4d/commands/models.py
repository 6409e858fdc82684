"""`bridge4d models`: the world models."""

import json
from dataclasses import dataclass

from bridge4d import console


@dataclass(frozen=True)
class Models:
    """List the world models: what each does, and what it still needs here."""

    json: bool = False
    """Machine-readable."""

    def run(self) -> int:
        from worldgen.registry import available_models

        models = available_models()
        if self.json:
            console.result(json.dumps(models, indent=2))
            return 0
        for model in models:
            console.result(f"{model['name']:<10} {model['description']}")
            for label in ("needs", "missing"):
                if model.get(label):
                    console.result(f"{'':<10} {label}: {model[label]}")
        return 0
