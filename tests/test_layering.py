"""The layers of docs/architecture.md and the size limits, read from the syntax tree."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "s3proxy"

# Low to high. A module imports only from lower rows, or from its own package.
ROWS = (
    ("_fast",),
    ("s3",),
    ("http", "kv"),
    ("catalog", "backends", "placement", "delivery"),
    ("ops",),
    ("views",),
    ("log", "metrics"),
    ("gateway", "workers", "control"),
    ("config_backends",),
    ("config",),
    ("config_rules",),
    ("config_loading", "bootstrap", "gauges", "event_targets"),
    ("attaching", "config_files", "resources", "restoring"),
    ("offline",),
    ("service",),
    ("cli",),
    ("__main__",),
)
ROW_OF = {name: row for row, names in enumerate(ROWS) for name in names}
NO_IO = ("_fast", "s3")
IO_MODULES = {"trio", "socket", "ssl", "asyncio", "selectors", "httpx", "lmdb"}

MODULE_LINES_MAX = 400
TEST_LINES_MAX = 600
FUNCTION_LINES_MAX = 70
LINE_COLUMNS_MAX = 100
POSITIONAL_MAX = 5
NESTING_MAX = 3
FORBIDDEN_NAMES = {"utils", "helpers", "common", "misc"}

# Named exceptions: these lists may only shrink.
LONG_MODULES: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {}

PYTHON_FILES = sorted(PACKAGE.rglob("*.py"))
TEST_FILES = sorted((ROOT / "tests").rglob("*.py"))
ALL_FILES = sorted(
    path
    for folder in ("s3proxy", "tests", "bench")
    for pattern in ("*.py", "*.pyx", "*.pxd", "*.pyi")
    for path in (ROOT / folder).rglob(pattern)
)


def test_id(path: Path) -> str:
    return str(path.relative_to(ROOT))


test_id.__test__ = False  # type: ignore[attr-defined]


def top(module: str) -> str | None:
    """`s3proxy.http.server` -> `http`; None for other packages and for s3proxy itself."""
    parts = module.split(".")
    return parts[1] if parts[0] == "s3proxy" and len(parts) > 1 else None


def imports(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            yield node.module, node.lineno
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


@pytest.mark.parametrize("path", PYTHON_FILES, ids=test_id)
def test_module_imports_only_lower_rows(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own == "__init__":
        return
    for module, line in imports(path):
        other = top(module)
        if other is None or other == own or other not in ROW_OF:
            continue
        assert ROW_OF[other] < ROW_OF[own], f"{path}:{line}: {own} must not import {other}"


@pytest.mark.parametrize("path", PYTHON_FILES, ids=test_id)
def test_module_without_io_imports_no_sockets(path: Path) -> None:
    if path.relative_to(PACKAGE).parts[0] in NO_IO:
        found = {module.split(".")[0] for module, _ in imports(path)} & IO_MODULES
        assert not found, f"{path} imports {found}"


@pytest.mark.parametrize("path", ALL_FILES, ids=test_id)
def test_file_is_within_its_size(path: Path) -> None:
    name = test_id(path)
    lines = path.read_text("utf-8").splitlines()
    limit = TEST_LINES_MAX if name.startswith("tests/") else MODULE_LINES_MAX
    assert len(lines) <= limit or name in LONG_MODULES, f"{name}: {len(lines)} lines"
    wide = [n for n, line in enumerate(lines, 1) if len(line) > LINE_COLUMNS_MAX]
    assert not wide, f"{name}: lines over {LINE_COLUMNS_MAX} columns: {wide}"
    assert path.stem not in FORBIDDEN_NAMES


def functions(path: Path) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{test_id(path)}:{node.name}", node


def code_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the function without its docstring."""
    length = (node.end_lineno or node.lineno) - node.lineno + 1
    if ast.get_docstring(node, clean=False) is not None:
        doc = node.body[0]
        length -= (doc.end_lineno or doc.lineno) - doc.lineno + 1
    return length


def nesting(node: ast.AST, depth: int = 0) -> int:
    """How deep if/for/while/try/with/match go; an elif is not deeper than its if."""
    deepest = depth
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            continue
        block = isinstance(
            child, ast.If | ast.For | ast.AsyncFor | ast.While | ast.Try | ast.With | ast.AsyncWith
        )
        elif_ = isinstance(child, ast.If) and isinstance(node, ast.If) and node.orelse == [child]
        deepest = max(deepest, nesting(child, depth + (block and not elif_)))
    return deepest


@pytest.mark.parametrize("path", PYTHON_FILES, ids=test_id)
def test_functions_are_within_their_sizes(path: Path) -> None:
    for name, node in functions(path):
        assert code_lines(node) <= FUNCTION_LINES_MAX or name in LONG_FUNCTIONS, name
        positional = [*node.args.posonlyargs, *node.args.args]
        own = [a for a in positional if a.arg not in ("self", "cls")]
        assert len(own) <= POSITIONAL_MAX, f"{name}: {len(own)} positional parameters"
        assert nesting(node) <= NESTING_MAX, f"{name}: nested {nesting(node)} deep"


def test_exceptions_are_still_needed() -> None:
    for name in LONG_MODULES:
        assert len((ROOT / name).read_text("utf-8").splitlines()) > MODULE_LINES_MAX, name
    long = {
        name for path in PYTHON_FILES for name, node in functions(path) if code_lines(node) > 70
    }
    assert set(LONG_FUNCTIONS) <= long


def test_every_module_has_its_row() -> None:
    names = {p.relative_to(PACKAGE).parts[0].removesuffix(".py") for p in PYTHON_FILES}
    assert names - {"__init__"} <= set(ROW_OF)


def test_package_inits_only_re_export() -> None:
    for path in PACKAGE.rglob("__init__.py"):
        body = ast.parse(path.read_text("utf-8")).body
        allowed = (ast.ImportFrom, ast.Import, ast.Expr, ast.Assign)
        assert all(isinstance(node, allowed) for node in body), path


@pytest.mark.parametrize("path", TEST_FILES, ids=test_id)
def test_tests_share_nothing_from_other_tests(path: Path) -> None:
    for module, line in imports(path):
        parts = module.split(".")
        assert parts[0] != "tests" or not any(part.startswith("test_") for part in parts), (
            f"{path}:{line}: what tests share has a module of its own"
        )
