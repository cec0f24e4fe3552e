"""How the house is built: lengths, names, docstrings, floors, and what loads when."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "steelyard"
SOURCES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py")) + sorted((ROOT / "scripts").rglob("*.py"))

LONGEST_FILE, LONGEST_FUNCTION = 400, 60
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "misc", "common"}
HEAVY = {
    "numpy",
    "scipy",
    "torch",
    "transformers",
    "lancedb",
    "pyarrow",
    "fastapi",
    "starlette",
    "uvicorn",
    "onnxruntime",
    "sklearn",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def test_files_and_functions_stay_short() -> None:
    too_long = []
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        if (lines := text.count("\n")) > LONGEST_FILE:
            too_long.append(f"{place(path)}: {lines} lines")
        too_long += [
            f"{place(path)}:{one.lineno} {one.name}: {lines} lines"
            for one in functions(ast.parse(text))
            if (lines := (one.end_lineno or one.lineno) - one.lineno + 1) > LONGEST_FUNCTION
        ]
    assert too_long == []


def test_test_files_stay_readable() -> None:
    too_long = [place(path) for path in TESTS if path.read_text(encoding="utf-8").count("\n") > LONGEST_FILE]
    assert too_long == []


def test_nothing_has_a_name_that_says_nothing() -> None:
    found = [
        place(path) for path in SOURCES if FORBIDDEN_NAMES & {path.stem.strip("_").lower(), path.parent.name.lower()}
    ]
    for path in SOURCES:
        found += [
            f"{place(path)}: {node.name}"
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.ClassDef) and re.search(r"(Manager|Helper|Util|Utils)$", node.name)
        ]
    assert found == []


def test_everything_public_says_what_it_does() -> None:
    silent = []
    for path in SOURCES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if tree.body and not ast.get_docstring(tree) and path.name != "__main__.py":
            silent.append(place(path))
        silent += [f"{place(path)}: {name}" for name, node in public(tree) if not ast.get_docstring(node)]
    assert silent == []


def public(tree: ast.Module | ast.ClassDef, inside: str = "") -> Iterator[tuple[str, Function | ast.ClassDef]]:
    """Public classes and functions of a module, and the public methods of its public classes."""
    for node in tree.body:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            yield inside + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from public(node, f"{inside}{node.name}.")


def test_only_the_command_line_prints() -> None:
    found = [
        f"{place(path)}:{node.lineno}"
        for path in SOURCES
        if "cli" not in path.relative_to(PACKAGE).parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert found == []


def test_nothing_is_unpickled() -> None:
    found = [
        f"{place(path)}:{node.lineno}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
        if name.split(".")[0] in {"pickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"}
    ]
    assert found == []


def test_the_public_surface_is_sorted_and_there() -> None:
    import steelyard

    assert steelyard.__all__ == sorted(steelyard.__all__)
    for name in steelyard.__all__:
        assert getattr(steelyard, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = steelyard.nothing


def test_the_version_is_one() -> None:
    import tomllib

    import steelyard

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert steelyard.__version__ == project["version"]


def test_texts_of_the_repository_name_no_machine() -> None:
    pattern = re.compile(r"(?<![\w.])/(?:home|root|Users|work|mnt)/[\w.-]+/")
    kinds = {".py", ".md", ".toml", ".html", ".j2", ".css", ".cfg", ".txt", ".yml", ".yaml"}
    # The example's documents are fiction and speak of machines of their own.
    named = [
        place(path)
        for folder in ("src", "scripts", "docs")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in kinds and "data" not in path.parts and pattern.search(path.read_text(encoding="utf-8"))
    ]
    assert named == []


def test_imports_point_down_the_floors(monkeypatch: pytest.MonkeyPatch) -> None:
    cli = pytest.importorskip("importlinter.cli", reason="import-linter is not installed")
    monkeypatch.chdir(ROOT)
    assert cli.lint_imports(no_cache=True) == 0


IMPORT = "import steelyard"
HELP = """
import contextlib, io
with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
    sys.argv = ["steelyard", "--help"]
    from steelyard.cli import main
    main()
assert "decide" in said.getvalue()
"""
VERSION = HELP.replace("--help", "--version").replace('"decide"', '"steelyard"')
DECIDE_HELP = HELP.replace('"--help"', '"weigh", "--help"').replace('"decide"', '"--json"')


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("import steelyard", IMPORT),
        ("steelyard --help", HELP),
        ("steelyard --version", VERSION),
        ("steelyard weigh --help", DECIDE_HELP),
    ],
)
def test_what_costs_nothing_loads_nothing_heavy(name: str, code: str) -> None:
    script = (
        f"import sys, json\n{code}\nsys.stdout.write(json.dumps(sorted({{m.partition('.')[0] for m in sys.modules}})))"
    )
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    took = time.perf_counter() - began
    assert done.returncode == 0, done.stderr
    sys.stdout.write(f"{name}: {took:.2f} s with the interpreter's own start\n")  # shown by `pytest -rP`
    assert HEAVY & set(json.loads(done.stdout)) == set()


def test_no_file_holds_the_marks_of_a_merge() -> None:
    marks = ("<<<<<<< ", ">>>>>>> ")
    texts = [path for folder in ("docs", "scripts", "src", "tests") for path in (ROOT / folder).rglob("*")]
    held = [
        str(path.relative_to(ROOT))
        for path in [*ROOT.glob("*.*"), *texts]
        if path.suffix in {".md", ".py", ".toml", ".j2", ".json", ".css", ".js", ".html"}
        and any(line.startswith(marks) for line in path.read_text(encoding="utf-8").splitlines())
    ]
    assert held == []


def test_no_two_test_files_have_one_name() -> None:
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(name for name in set(names) if names.count(name) > 1) == []
