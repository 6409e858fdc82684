"""The house keeps its arrows, and its door opens fast."""

import ast
import builtins
import dis
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from types import CodeType

import pytest

from benchmarks.house import cycles, read_modules

ROOT = Path(__file__).resolve().parents[1]

MAY_IMPORT = {
    "recon": {"recon"},
    "worldgen": {"worldgen", "recon"},
    "eval": {"eval", "recon"},
    "bridge4d": {"bridge4d", "worldgen", "eval", "recon"},
}
HEAVY = ("open3d", "pycolmap", "gsplat", "numba", "cv2", "matplotlib", "kornia", "viser", "diffusers", "av")


def sources(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def modules_imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            yield node.module or ""


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_arrows_have_one_direction(package: str) -> None:
    files = sources(package)
    assert files
    for path in files:
        ours = {name.split(".")[0] for name in modules_imported(ast.parse(path.read_text()))} & set(
            MAY_IMPORT
        )
        assert ours <= MAY_IMPORT[package], f"{path.relative_to(ROOT)} imports {ours - MAY_IMPORT[package]}"


def test_json_comes_through_one_door() -> None:
    """`recon.bounded.decode_json`; the arguments of our own processes, and what was JSON already, need none."""
    besides = ("json.loads(sys.argv[1])", "json.loads(json.dumps(")
    for path in sources(*MAY_IMPORT):
        text = path.read_text()
        for known in besides:
            text = text.replace(known, "")
        if path != ROOT / "recon" / "bounded" / "parsed.py":
            assert not re.search(r"json\.loads?\(|from json import|JSONDecoder", text), path


def test_no_module_imports_itself_through_others() -> None:
    """Imports inside functions count: what needs them to be late is in the wrong room."""
    modules = list(read_modules(ROOT))
    assert len(modules) > 100
    assert not cycles(modules)


def test_git_ignores_no_module_and_no_package_lacks_its_init() -> None:
    """What .gitignore names, the linter skips and a wheel lacks."""
    files = [str(path.relative_to(ROOT)) for path in sources(*MAY_IMPORT)]
    asked = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin"],
        input="\n".join(files), cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert asked.stdout == ""
    folders = {path.parent for path in sources(*MAY_IMPORT)}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_nobody_rebinds_the_builtin_eval_or_hides_annotations_from_the_checker() -> None:
    for path in sources(*MAY_IMPORT, "tests", "benchmarks", "notebooks"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                bare = [a.name for a in node.names if a.name.split(".")[0] == "eval" and a.asname is None]
                assert not bare, f"{path.relative_to(ROOT)}:{node.lineno}: write 'from eval import …'"
            if isinstance(node, ast.ImportFrom) and node.module == "__future__":
                assert "annotations" not in [a.name for a in node.names], path.relative_to(ROOT)


def test_colmap_has_one_door() -> None:
    """Whoever imports pycolmap elsewhere gives SIGTERM away; see `recon.colmap.library`."""
    for path in sources(*MAY_IMPORT):
        if path != ROOT / "recon" / "colmap" / "library.py":
            imported = {name.split(".")[0] for name in modules_imported(ast.parse(path.read_text()))}
            assert "pycolmap" not in imported, path.relative_to(ROOT)


def globals_of(code: CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield instruction.argval
    for inside in code.co_consts:
        if isinstance(inside, CodeType):
            yield from globals_of(inside)


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    core = {distribution_name(line) for line in project["dependencies"]}
    optional = {distribution_name(line) for lines in extras.values() for line in lines}
    known = {"skimage": ["scikit-image"], **packages_distributions()}  # of an extra that tests do without
    imported: set[str] = set()
    for path in sources(*MAY_IMPORT):
        for module in modules_imported(ast.parse(path.read_text())):
            top = module.split(".")[0]
            if top not in sys.stdlib_module_names and top not in MAY_IMPORT:
                names = {distribution_name(name) for name in known.get(top, [top])}
                assert names & (core | optional), (
                    f"{path.relative_to(ROOT)} imports {top}, which is not declared"
                )
                imported |= names
    assert core - imported == set()


def distribution_name(requirement: str) -> str:
    return re.split(r"[\[<>=!~; ]", requirement)[0].lower().replace("_", "-")


def test_every_name_that_code_uses_is_defined() -> None:
    """Linters cannot tell: to them, dimensions in the shapes of annotations are undefined names too."""
    for path in sources(*MAY_IMPORT, "benchmarks"):
        tree = ast.parse(path.read_text())
        known = {name for node in ast.walk(tree) for name in bound_by(node)}
        unknown = (
            set(globals_of(compile(tree, str(path), "exec"))) - known - set(dir(builtins)) - MODULE_NAMES
        )
        assert not unknown, f"{path.relative_to(ROOT)} uses {', '.join(sorted(unknown))} without defining it"


MODULE_NAMES = {"__name__", "__file__", "__doc__", "__module__", "__qualname__", "__annotations__"}


def bound_by(node: ast.AST) -> Iterator[str]:
    """Names that an import, a definition or an assignment anywhere in a module binds."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield from ((a.asname or a.name).split(".")[0] for a in node.names)
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.ExceptHandler) and node.name:
        yield node.name


def run(code: str, *arguments: str) -> str:
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stderr}"
    return done.stdout


def test_importing_bridge4d_loads_nothing_heavy() -> None:
    loaded = run("import sys, bridge4d; print('\\n'.join(sys.modules))").split("\n")
    assert not {name.split(".")[0] for name in loaded} & set(HEAVY)


def test_importing_bridge4d_is_quick() -> None:
    code = "import time; t = time.perf_counter(); import bridge4d; print(time.perf_counter() - t)"
    assert min(float(run(code)) for _ in range(2)) < 1.0


def test_pictures_can_be_written_after_recon_and_pycolmap(tmp_path: Path) -> None:
    """pycolmap corrupts the heap where it is the first to load zlib; recon loads it before."""
    code = (
        "import sys, recon, pycolmap, numpy as np\n"
        "from PIL import Image\n"
        "noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3), dtype=np.uint8)\n"
        "Image.fromarray(noise).save(sys.argv[1])\n"
        "assert (np.asarray(Image.open(sys.argv[1])) == noise).all()\n"
    )
    run(code, str(tmp_path / "noise.png"))
