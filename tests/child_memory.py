"""How much memory a piece of work takes, in a fresh interpreter."""

import subprocess
import sys
from pathlib import Path


def memory_taken(imports: str, work: str, path: Path) -> int:
    """Bytes by which the largest resident set grows while `work` runs; `path` is there as `Path(sys.argv[1])`."""
    code = "\n".join(
        [
            "import resource, sys; from pathlib import Path",
            imports,
            "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss",
            work,
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)",
        ]
    )
    run = subprocess.run([sys.executable, "-c", code, str(path)], check=True, capture_output=True)
    return int(run.stdout) * (1024 if sys.platform == "linux" else 1)
