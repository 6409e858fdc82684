"""`bridge4d models`: the world models."""

import json
from dataclasses import dataclass
from typing import Annotated

import tyro

from bridge4d import console


@dataclass(frozen=True)
class Models:
    """List the world models: what each does, and what it still needs here.

    Typical calls:
      bridge4d models
      bridge4d models bridge

    With a NAME, that model's options too: `bridge4d augment` and `bridge4d generate` take them as --model.OPTION.
    """

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="[NAME]")] = ""
    """One model alone, with its options."""
    json: bool = False
    """Machine-readable."""

    def run(self) -> int:
        """Run the command; its exit status."""
        from bridge4d.command_line.model_arguments import describe_options
        from worldgen.registry import available_models, describe

        models = [describe(self.name)] if self.name else available_models()
        options = describe_options(self.name) if self.name else []
        if self.json:
            console.result(json.dumps(models[0] | {"options": options} if self.name else models, indent=2))
            return 0
        for model in models:
            console.result(f"{model['name']:<10} {model['description']}")
            for label in ("needs", "missing"):
                if model.get(label):
                    console.result(f"{'':<10} {label}: {model[label]}")
        for option in options:
            default = f" (default {option['default']})" if option["default"] else ""
            console.result(f"  {option['option']}{default}\n      {option['meaning']}")
        return 0
