"""Compiles the splatting engine while bridge4d is installed or its wheel is built."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import platform_tags

BUILD = Path("recon", "splats", "native", "build.py")


def _build_module(root: str) -> ModuleType:
    """By its path: what `recon` needs is not installed yet."""
    spec = importlib.util.spec_from_file_location("splats_build", Path(root) / BUILD)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look it up
    spec.loader.exec_module(module)
    return module


class SplatsBuildHook(BuildHookInterface):
    """An installation succeeds without the engine, too: its report says what is missing, and so does the loader."""

    def dependencies(self) -> list[str]:
        """A C++ compiler from PyPI where the machine has none."""
        if self.target_name != "wheel" or _build_module(self.root).find_compiler() is not None:
            return []
        return ["ziglang>=0.17"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Before the wheel: of the package, or of what an editable installation links to."""
        if self.target_name != "wheel":
            return
        module = _build_module(self.root)
        report = module.build()
        (self.app.display_info if report.built else self.app.display_warning)(report.sentence)
        # by what is packed: an old library stays where the folder is read-only
        if version != "editable" and module.libraries():
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{_platform()}"


def _platform() -> str:
    """That of this machine; nobody has checked the libraries against a manylinux profile."""
    return next(tag for tag in platform_tags() if "manylinux" not in tag and "musllinux" not in tag)
