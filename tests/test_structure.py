"""The house: who imports whom, what loads when, how long files are, what is pinned."""

from __future__ import annotations

import ast
import importlib
import re
import resource
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

import lemmata

ROOT = Path(__file__).parents[1]
ROOMS = ("lemmata", "numerics", "proofs_checks", "theory")
# Which rooms, and which distributions, each room may import.
ALLOWED = {
    "theory": {"flint", "sympy"},
    "numerics": {"cvxpy", "numba", "numpy", "scipy", "torch", "triton"},
    "proofs_checks": {
        "theory",
        "numerics",
        "dask",
        "distributed",
        "flint",
        "hypothesis",
        "matplotlib",
        "numpy",
        "pyarrow",
        "scipy",
        "sympy",
    },
    "lemmata": {"theory", "numerics", "proofs_checks", "pytest", "rich", "typer"},
}
HEAVY = {
    "cvxpy",
    "distributed",
    "hypothesis",
    "matplotlib",
    "numpy",
    "pyarrow",
    "scipy",
    "sympy",
    "torch",
}
MOST_LINES = 400
SOURCES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def imported_roots(tree: ast.AST, room: str) -> Iterator[tuple[str, int]]:
    """Top-level packages that a module imports anywhere, by statement or by a literal name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.split(".")[0], node.lineno
        elif isinstance(node, ast.ImportFrom):
            yield room if node.level else (node.module or "").split(".")[0], node.lineno
        elif isinstance(node, ast.Call) and node.args:
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else ""
            name = function.id if isinstance(function, ast.Name) else name
            first = node.args[0]
            if name in {"import_module", "__import__"} and isinstance(first, ast.Constant):
                yield str(first.value).split(".")[0], node.lineno


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_rooms_import_only_what_they_may(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    allowed = ALLOWED[room] | {room} | set(sys.stdlib_module_names)
    found = imported_roots(ast.parse(path.read_text(encoding="utf-8")), room)
    assert [(name, line) for name, line in found if name not in allowed] == []


def test_the_import_check_sees_every_form() -> None:
    forms = (
        "import numerics",
        "import numerics.flow as f",
        "from numerics.flow import integrate",
        "def f():\n    import numerics",
        "import importlib\nimportlib.import_module('numerics.flow')",
        "from importlib import import_module as g, import_module\nimport_module('numerics')",
        "__import__('numerics')",
    )
    for form in forms:
        assert "numerics" in {name for name, _ in imported_roots(ast.parse(form), "theory")}, form


def test_rooms_are_kept_apart() -> None:
    assert not ALLOWED["theory"] & set(ROOMS)
    assert not ALLOWED["numerics"] & set(ROOMS)
    assert "lemmata" not in ALLOWED["proofs_checks"]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_are_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_are_typed(room: str) -> None:
    assert (ROOT / room / "py.typed").is_file()


# -- what loads when


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after ``code``."""
    script = (
        f"import sys\ntry:\n    exec({code!r})\nexcept SystemExit:\n    pass\n"
        "sys.stderr.write('|'.join({m.split('.')[0] for m in sys.modules}))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(ran.stderr.split("|"))


COMMANDS = (
    "list",
    "show",
    "verify",
    "constants",
    "profile",
    "replay",
    "refute",
    "campaign",
    "laws",
    "solve",
    "audit",
)


@pytest.mark.parametrize(
    "code",
    [
        "import lemmata; dir(lemmata); lemmata.__version__",
        "import theory",
        "from lemmata.cli import main; main(['--help'])",
        *(f"from lemmata.cli import main; main(['{name}', '--help'])" for name in COMMANDS),
    ],
)
def test_nothing_heavy_loads(code: str) -> None:
    assert loaded_by(code) & HEAVY == set()


@pytest.mark.parametrize(
    "code",
    [
        "from lemmata.cli import main; main(['list'])",
        "import lemmata; lemmata.statement('early-alignment/norm-bound')",
    ],
)
def test_reading_statements_loads_no_solver_and_no_algebra(code: str) -> None:
    assert loaded_by(code) & {"cvxpy", "sympy", "torch"} == set()


def test_the_load_check_sees_a_load() -> None:
    assert "numpy" in loaded_by("import lemmata; lemmata.load_csv")


def test_help_answers_at_once() -> None:
    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-m", "lemmata", "--help"], cwd=ROOT, capture_output=True, check=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    # Of the processor, and the best of a few: a busy machine is no property of the code.
    assert min(seconds() for _ in range(4)) < 0.5


# -- the front door


@pytest.mark.parametrize("name", sorted(lemmata._EXPORTS))
def test_public_names_exist(name: str) -> None:
    target = lemmata._EXPORTS[name]
    module, _, attribute = target.partition(":")
    expected = importlib.import_module(module)
    assert getattr(lemmata, name) is (getattr(expected, attribute) if attribute else expected)
    assert name in dir(lemmata) and name in lemmata.__all__


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse((ROOT / "lemmata" / "__init__.py").read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        for alias in node.names:
            seen[alias.asname] = (node.module, alias.name)
    expected = {}
    for name, target in lemmata._EXPORTS.items():
        module, _, attribute = target.partition(":")
        expected[name] = (module, attribute) if attribute else tuple(module.rsplit(".", 1))
    assert seen == expected


def test_unknown_public_name() -> None:
    with pytest.raises(AttributeError, match="'lemmata' has no attribute 'chek'"):
        _ = lemmata.chek


# -- packaging


def requirement_name(requirement: str) -> str:
    """The normalised distribution name of a requirement or a pin."""
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match is not None
    return re.sub(r"[-_.]+", "-", match[0]).lower()


def test_every_direct_dependency_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    project = PYPROJECT["project"]
    wanted = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        wanted += extra
    assert {requirement_name(r) for r in wanted} <= {requirement_name(p) for p in pins}
    assert pins["torch"] == "2.13.0"


def test_extras_and_core_dependencies() -> None:
    project = PYPROJECT["project"]
    core = (
        "cvxpy hypothesis matplotlib numba numpy pyarrow python-flint rich scipy sympy torch typer"
    )
    assert {requirement_name(r) for r in project["dependencies"]} == set(core.split())
    assert set(project["optional-dependencies"]) == {
        "test",
        "notebooks",
        "bench",
        "cluster",
        "cuda",
    }


def test_the_version_is_written_once() -> None:
    assert PYPROJECT["project"]["dynamic"] == ["version"]
    assert f"## {lemmata.__version__}" in (ROOT / "CHANGELOG.md").read_text()
    try:
        installed = version("lemmata")
    except PackageNotFoundError:
        pytest.skip("lemmata runs from a source tree")
    assert installed == lemmata.__version__


def test_readme_commands_are_those_of_ci() -> None:
    readme = (ROOT / "README.md").read_text()
    main_job = "python -m pip install -c constraints.txt . && lemmata verify"
    test_job = "python -m pip install -c constraints.txt '.[test]' && python -m pytest"
    assert main_job in readme and test_job in readme
    assert test_job in (ROOT / ".ci" / "run").read_text()
