"""How is the code built: lengths, folders, import cycles, what is annotated, documented and explained?

    python -m benchmarks.house [--at REVISION …]

Each revision of the repository is a column, the working tree the last one. Counted are the modules of recon, worldgen, eval
and bridge4d. A function is every def, methods and inner ones included; its length is from its first decorator to its last
line. Comment lines are those with a # and the lines of docstrings below constants and fields, which say why a number is
what it is. Names are counted as participles where their first word ends in -ed, or is one of a list of irregular ones.
"""

import ast
import io
import subprocess
import tarfile
import tempfile
import tokenize
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

from benchmarks.output import Table, command

PACKAGES = ("recon", "worldgen", "eval", "bridge4d")
SCREEN = 50
"""Lines of a function that fit on a screen."""
DOZEN = 13
"""Modules of one idea in a folder, `__init__` included."""
IRREGULAR = frozenset(["begun", "bent", "built", "cut", "drawn", "found", "given", "held", "kept", "known", "laid", "left", "made", "said", "seen", "shown", "split", "swept", "taken", "told", "written", "chosen", "sent", "spread", "thrown", "worn"])  # fmt: skip


@dataclass(frozen=True)
class Arguments:
    at: tuple[str, ...] = ()
    """Revisions that git knows, oldest first."""


@dataclass(frozen=True)
class Module:
    name: str
    folder: str
    lines: int
    comments: int
    tree: ast.Module


def main(arguments: Arguments) -> None:
    root = Path(__file__).resolve().parents[1]
    columns = {}
    for revision in arguments.at:
        with tempfile.TemporaryDirectory() as folder:
            extract(root, revision, Path(folder))
            columns[revision] = count(Path(folder))
    columns["now"] = count(root)
    table = Table(("", *columns))
    for row in columns["now"]:
        table.add(row, *(str(column[row]) for column in columns.values()))
    print(table)


def extract(root: Path, revision: str, folder: Path) -> None:
    """The packages of a revision, written to a folder."""
    packed = subprocess.run(
        ["git", "archive", revision, *PACKAGES], cwd=root, check=True, capture_output=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")


def count(root: Path) -> dict[str, object]:
    """The figures of a tree, by the names of their rows."""
    modules = list(read_modules(root))
    lengths = [module.lines for module in modules]
    functions = [(module, node) for module in modules for node in functions_of(module.tree)]
    spans = [span(node) for _, node in functions]
    public = [node for _, node in functions if not node.name.startswith("_")]
    folders = Counter(module.folder for module in modules)
    fullest, files = folders.most_common(1)[0]
    code = sum(lengths)
    return {
        "modules": len(modules),
        "lines": f"{code:,}",
        "lines of a module, median (most)": f"{median(lengths):.0f} ({max(lengths)})",
        "modules above 300 lines": sum(n > 300 for n in lengths),
        "lines of a function, median (most)": f"{median(spans):.0f} ({max(spans)})",
        f"functions above {SCREEN} lines": sum(n > SCREEN for n in spans),
        "most modules in a folder": f"{files} ({fullest})",
        "folders above a dozen modules": sum(n > DOZEN for n in folders.values()),
        "import cycles": len(cycles(modules)),
        "functions annotated": share(is_annotated(node) for _, node in functions),
        "public functions documented": share(ast.get_docstring(node) is not None for node in public),
        "comment lines per 100": f"{100 * sum(module.comments for module in modules) / code:.1f}",
        "functions named by a participle": sum(is_participle(node.name) for _, node in functions),
    }


def read_modules(root: Path) -> Iterator[Module]:
    for package in PACKAGES:
        for file in sorted((root / package).rglob("*.py")):
            text = file.read_text(encoding="utf-8")
            name = ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
            tree = ast.parse(text)
            yield Module(
                name, str(file.parent.relative_to(root)), text.count("\n"), comment_lines(text, tree), tree
            )


def comment_lines(text: str, tree: ast.Module) -> int:
    """Lines with a comment, and lines of the strings below constants and fields."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    marked = {token.start[0] for token in tokens if token.type == tokenize.COMMENT}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef):
            continue
        for before, after in pairwise(node.body):
            below = isinstance(before, ast.Assign | ast.AnnAssign) and isinstance(after, ast.Expr)
            if below and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str):
                marked |= set(range(after.lineno, (after.end_lineno or after.lineno) + 1))
    return len(marked)


def functions_of(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def span(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return (node.end_lineno or node.lineno) - first + 1


def is_annotated(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return node.returns is not None and all(a.annotation or a.arg in ("self", "cls") for a in given)


def is_participle(name: str) -> bool:
    first, *rest = name.strip("_").split("_")
    return not rest and (
        first in IRREGULAR or (first.endswith("ed") and first not in ("seed", "speed", "need"))
    )


def share(flags: Iterator[bool]) -> str:
    values = list(flags)
    return f"{sum(values) / len(values):.0%}"


def cycles(modules: list[Module]) -> list[list[str]]:
    """Groups of modules that import each other, lazy imports included."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    names = {module.name: i for i, module in enumerate(modules)}
    edges = {(names[module.name], names[other]) for module in modules for other in imports(module, names)}
    rows, columns = zip(*edges, strict=True)
    graph = csr_matrix(([1] * len(edges), (rows, columns)), shape=(len(names), len(names)))
    _, labels = connected_components(graph, connection="strong")
    groups = Counter(labels.tolist())
    return [[n for n, i in names.items() if labels[i] == label] for label, size in groups.items() if size > 1]


def imports(module: Module, known: dict[str, int]) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (
                one if one in known else node.module for one in inside if one in known or node.module in known
            )
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)


if __name__ == "__main__":
    command(main, Arguments, __doc__)
