"""`bridge4d models`: the world models."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from bridge4d import console
from recon.errors import BridgeError


@dataclass(frozen=True)
class Models:
    """List the world models: what each does, and what it still needs here.

    Typical calls:
      bridge4d models
      bridge4d models bridge
      bridge4d models --example answer.py

    With a NAME, that model's options too: `bridge4d augment` and `bridge4d generate` take them as --model.OPTION.
    """

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="[NAME]")] = ""
    """One model alone, with its options."""
    json: bool = False
    """Machine-readable."""
    example: Literal["answer.py", "serve.py"] | None = None
    """Write an example into this folder instead: of a program that answers requests for program:COMMAND, or of a server for
    http://HOST:PORT/, which needs answer.py beside it."""

    def run(self) -> int:
        """Run the command; its exit status."""
        if self.example is not None:
            return self._write_example(self.example)
        from bridge4d.command_line.model_arguments import describe_options
        from bridge4d.stages.options import PERMISSIVE
        from worldgen.registry import available_models, describe

        models = [describe(self.name)] if self.name else available_models()
        options = describe_options(self.name) if self.name else []
        if self.json:
            console.result(json.dumps(models[0] | {"options": options} if self.name else models, indent=2))
            return 0
        for model in models:
            console.result(f"{model['name']:<14} {model['description']}")
            for label in ("needs", "missing"):
                if model.get(label):
                    console.result(f"{'':<14} {label}: {model[label]}")
            if model["license"] not in ("", PERMISSIVE):
                console.result(f"{'':<14} licence: {model['license']}")
        for option in options:
            default = f" (default {option['default']})" if option["default"] else ""
            console.result(f"  {option['option']}{default}\n      {option['meaning']}")
        return 0

    def _write_example(self, name: str) -> int:
        from importlib.resources import files

        text = files("worldgen.outside").joinpath("examples", f"{name}.txt").read_text(encoding="utf-8")
        try:
            with Path(name).open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError as error:
            raise BridgeError(
                f"{name} is there already; move it away, or start this in another folder"
            ) from error
        console.result(f"wrote {name}; its first lines say how it is used")
        return 0
