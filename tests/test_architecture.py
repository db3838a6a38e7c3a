"""The house rules that a machine can hold: who may import whom, how long, what never, nothing dead.

Each rule is a table at the top; to allow an exception is to edit a table, in sight of a reviewer.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("proxy", "memory_core", "embedders", "config")
PYTHON = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in (*PACKAGES, "tests", "benchmarks", "examples")
    for path in (ROOT / folder).rglob("*.py")
)
SHIPPED = [path for path in PYTHON if path.startswith(tuple(f"{package}/" for package in PACKAGES))]

# What may be imported where, by the shipped files: module, or a name in it -> prefixes of paths. The longest that fits
# an import rules it; what is not named is free.
ALLOWED = {
    # ours: config, embedders and memory_core do not know one another; only the composition root reads settings
    "config": ("config/", "proxy/app", "proxy/cli"),
    "config.prices": ("config/", "proxy/"),  # a row of the table is plain data, as a planner needs it
    "config.prices.load_prices": ("config/", "proxy/app", "proxy/cli"),  # to read the table is not
    "embedders": ("embedders/", "proxy/"),
    "memory_core": ("memory_core/", "proxy/"),
    "proxy": ("proxy/",),
    # a library each in its place, so that it can be replaced there
    "starlette": ("proxy/",),
    "uvicorn": ("proxy/",),
    "httpx": ("proxy/", "embedders/remote.py"),
    "websockets": ("proxy/websocket_",),
    "redis": ("memory_core/stores/redis",),
    "sqlite3": ("memory_core/stores/sqlite",),
    "onnxruntime": ("embedders/",),
    "tokenizers": ("embedders/",),
    "onnx": ("embedders/",),
    "tiktoken": ("proxy/tokens.py",),
    "pydantic": ("config/",),
    "pydantic_settings": ("config/",),
    "aiohttp": (),  # installed for benchmarks only
    "tests": (),
    "benchmarks": (),
}

# memory_core outside stores/ is numbers only: same input, same output, on any machine at any hour.
IMPURE = {"asyncio", "time", "os", "random", "socket", "threading", "subprocess", "logging"}

LINES_PER_FILE = 300  # the goal is 150
LINES_PER_FUNCTION = 60

# pattern -> what to do instead, and the paths that may
BANS = {
    r"mock\.patch|MagicMock|AsyncMock|unittest\.mock|monkeypatch\.setattr": ("a fake behind a real seam", ()),
    r"\.(?:utc)?now\(|\.today\(": ("an argument: dates are arithmetic, what day it is is a clock's affair", ()),
    r"BaseHTTPMiddleware": ("pure ASGI: it buffers streams and loses cancellation", ()),
    r"\b(FIXME|TODO|XXX)\b": ("an issue, or the work itself", ()),
    r"(?<![\w.])print\(": (
        "logging, or the command line's console",
        ("proxy/cli", "proxy/demo", "tests/", "benchmarks/", "examples/"),
    ),
    r"\btime\.sleep\(": (
        "an event; where nothing can be awaited, a poll with a deadline, in these places",
        ("memory_core/stores/", "tests/support/", "examples/"),
    ),
    r"sys\._called_from_test|PYTEST_CURRENT_TEST": ("an argument: shipped code does not know of tests", ()),
}
VAGUE_NAMES = {"utils", "util", "base", "manager", "factory", "helpers", "helper", "common", "misc"}

# Where everything may be caught and kept, since a failure must not spread. To tidy up or translate and then raise
# is free everywhere.
CATCH_ALL = {
    "proxy/compose.py",  # memory never breaks an answer
    "proxy/row_writer.py",  # rows that cannot be written do not stop the next ones
    "proxy/learn.py",  # one exchange that cannot be learned does not stop the learner
    "embedders/worker.py",  # what is raised in a thread is told to whoever asked, who raises it
}

# Modules that nothing shipped imports, and why they stay.
ENTRY_POINTS = {
    "proxy/cli.py": "the command `isocost`",
    "config/example.py": "python -m config.example",
    "memory_core/reference.py": "the oracle: tests compare the fast paths with it",
    # a library's ways in, used by programs that import memory_core; the proxy takes them up with its own API
    "memory_core/routing.py": "search in logs that one scan should not touch",
    "memory_core/snapshot.py": "a memory to take away whole",
}


@cache
def tree(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), path)


def imports(path: str) -> Iterator[str]:
    """Dotted names that a file imports; for `from a import b` both `a` and `a.b`, as b may be a module."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{path}:{node.lineno}: import by full name"
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def top_imports(path: str) -> set[str]:
    return {name.partition(".")[0] for name in imports(path)}


def rules(path: str) -> Iterator[str]:
    """The keys of ALLOWED that rule what a file imports: the longest that fits, and for a whole module all within."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{name.name}" for name in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            whole = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
            yield from [key for key in whole if key in ALLOWED][:1]
            yield from (key for key in ALLOWED if key.startswith(f"{name}."))


def test_the_rules_see_the_code():
    assert len(SHIPPED) > 20
    assert {path.partition("/")[0] for path in SHIPPED} == set(PACKAGES)
    assert "config.prices" in set(rules("proxy/plan.py"))
    assert {"config", "config.prices.load_prices"} <= set(rules("proxy/app_upstreams.py"))


@pytest.mark.parametrize("path", SHIPPED)
def test_imports_follow_the_dependency_rule(path: str):
    for name in sorted(set(rules(path))):
        assert path.startswith(ALLOWED[name]), f"{path} imports {name}; allowed: {ALLOWED[name] or 'nowhere'}"


@pytest.mark.parametrize("path", [p for p in SHIPPED if p.startswith("memory_core/") and "/stores/" not in p])
def test_the_core_is_pure(path: str):
    assert not top_imports(path) & IMPURE, f"{path}: pass the value as an argument instead"
    asynchronous = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    assert not any(isinstance(node, asynchronous) for node in ast.walk(tree(path))), f"{path} waits for something"


@pytest.mark.parametrize("path", PYTHON)
def test_files_and_functions_stay_small(path: str):
    lines = len((ROOT / path).read_text(encoding="utf-8").splitlines())
    assert lines <= LINES_PER_FILE, f"{path} has {lines} lines"
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= LINES_PER_FUNCTION, f"{path}:{node.lineno}: {node.name} has {length} lines"


@pytest.mark.parametrize("path", [path for path in PYTHON if path != "tests/test_architecture.py"])
def test_nothing_banned(path: str):
    text = (ROOT / path).read_text(encoding="utf-8")
    for pattern, (instead, allowed) in BANS.items():
        if not path.startswith(tuple(allowed)):
            found = re.search(pattern, text)
            assert not found, f"{path}: {found[0] if found else ''}; rather {instead}"


@pytest.mark.parametrize("path", PYTHON)
def test_names_say_what_is_inside(path: str):
    assert not set(Path(path).with_suffix("").parts) & VAGUE_NAMES, f"{path}: name what it does"


def swallows_all(handler: ast.ExceptHandler) -> bool:
    if isinstance(handler.body[-1], ast.Raise):
        return False
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or getattr(kind, "id", "") in ("Exception", "BaseException") for kind in kinds)


@pytest.mark.parametrize("path", SHIPPED)
def test_what_is_caught_is_named_and_answered(path: str):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ExceptHandler):
            where = f"{path}:{node.lineno}"
            assert path in CATCH_ALL or not swallows_all(node), f"{where}: name the exception"
            assert not all(isinstance(line, ast.Pass) for line in node.body), f"{where}: except: pass hides a failure"


def test_every_place_in_the_tables_exists():
    named = CATCH_ALL | ENTRY_POINTS.keys() | {place for places in ALLOWED.values() for place in places}
    missing = [place for place in named if place.endswith(".py") and not (ROOT / place).exists()]
    assert not missing, f"strike from the tables: {missing}"


@cache
def shipped_imports() -> frozenset[str]:
    return frozenset(name for path in SHIPPED for name in imports(path))


@pytest.mark.parametrize("path", [path for path in SHIPPED if path not in ENTRY_POINTS])
def test_no_module_is_dead(path: str):
    if not path.endswith(("/__init__.py", "/__main__.py")):
        module = path.removesuffix(".py").replace("/", ".")
        assert module in shipped_imports(), f"{path} is imported by nothing that is shipped"


@pytest.mark.parametrize("path", SHIPPED)
def test_a_file_says_first_what_it_is_for(path: str):
    assert ast.get_docstring(tree(path)), f"{path} has no docstring"
