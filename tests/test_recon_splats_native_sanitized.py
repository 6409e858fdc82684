"""The compiled engine under AddressSanitizer and UndefinedBehaviorSanitizer, with lists so short that it needs bands."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from recon.splats.native import build, loading

RUN = Path(__file__).parent / "sanitized_run.py"


def _runtime(compiler: build.Compiler, name: str) -> str | None:
    """A sanitizer's library, which has to be there before Python is."""
    found = subprocess.run(
        [*compiler.command, f"-print-file-name={name}"], capture_output=True, text=True, check=False
    ).stdout.strip()
    return found if os.path.isabs(found) and Path(found).exists() else None


@pytest.mark.slow
def test_nothing_is_read_or_written_where_it_must_not_be(tmp_path):
    compiler = build.find_compiler()
    runtime = compiler and "zig" not in compiler.description and _runtime(compiler, "libasan.so")
    if not runtime:
        pytest.skip("there is no compiler with sanitizers here")
    build.build(tmp_path, sanitize=True)
    best = loading.load().splats_cpu_level().decode()
    for instruction_set in loading._up_to(best):
        environment = os.environ | {
            loading.FOLDER: str(tmp_path),
            loading.INSTRUCTION_SET: instruction_set,
            "LD_PRELOAD": runtime,
            "ASAN_OPTIONS": "detect_leaks=0",  # Python leaves much to the end of the process
            "UBSAN_OPTIONS": "print_stacktrace=1",
            "PYTHONPATH": str(RUN.parents[1]),
        }
        ended = subprocess.run(
            [sys.executable, str(RUN)], env=environment, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr[-4000:]
        assert "ERROR" not in ended.stderr
        assert "runtime error" not in ended.stderr
        assert float(ended.stdout) < 1e-3
