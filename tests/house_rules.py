"""The plan of the house as checks: each goes from a source tree to its complaints, and reads without running.

Imports run one way, down the table of `FLOORS`; a room's own modules may use each other.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Container, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

MAX_MODULE_LINES = 299
MAX_FUNCTION_LINES = 39

#: Room -> floor. A module imports from lower floors and from its own room; the longest prefix names the room.
FLOORS = {
    "oidcbridge._version": 0,
    "oidcbridge.errors": 0,
    "oidcbridge.core": 1,
    "oidcbridge.profiles": 2,
    "oidcbridge.arguments": 3,  # the arguments as types: what `settings` resolves
    "oidcbridge.environment": 3,  # OIDCBRIDGE_* -> arguments, for `settings` and the HTTP side
    "oidcbridge.remote": 3,
    "oidcbridge.stores": 3,
    "oidcbridge.claim_notices": 4,  # what is odd about an issuer's claims, in the log
    "oidcbridge.issuer_arguments": 4,  # what is said of one issuer, read for `settings`
    "oidcbridge.key_sources": 4,  # remote or fixed keys by one interface, for `verification`
    "oidcbridge.settings": 5,
    "oidcbridge.health": 5,  # how an issuer's keys stand
    "oidcbridge.metrics": 5,  # what has been done, in numbers
    "oidcbridge.verification": 6,  # the steps of one verification, without waiting
    "oidcbridge.diagnosis": 6,  # what is wrong and what to change, in words: for `check`, `inspect` and the log
    "oidcbridge.issuers": 7,  # the issuers of one verifier: written down, or let in by a rule
    "oidcbridge.token_cache": 7,  # what was verified, until its times or its key are gone
    "oidcbridge.verifier": 8,
    "oidcbridge.asgi": 9,
    "oidcbridge.mcp": 10,
    "oidcbridge.fastapi": 11,
    "oidcbridge.agentos": 12,  # a FastAPI app, whose MCP endpoint `mcp` serves
    "oidcbridge": 13,  # the front door: names and where they live, imported on first use
    "oidcbridge.testing": 14,
    "oidcbridge.cli": 15,
}
#: A room that stands on less than all that is below it.
STANDS_ON = {"oidcbridge.testing": ("oidcbridge.errors", "oidcbridge.core")}  # signing a token needs no verifier

#: What the test kit takes beside that is taken inside a function or as a type, never at import.
BY_NEED = {
    ("oidcbridge.testing.fake_issuer", "oidcbridge.remote.http"): "impersonate() is served by the one HTTP door",
    ("oidcbridge.testing.fake_issuer", "oidcbridge.remote.process_budget"): "a provider begins with a whole budget",
    ("oidcbridge.testing.fake_issuer", "oidcbridge"): "verifier() builds a Verifier",
    ("oidcbridge.testing.fake_issuer", "oidcbridge.arguments"): "the types of its arguments",
}

#: Foreign package -> where it may be imported: at run time in the first, inside functions also in the second.
FOREIGN = {
    "httpx2": (("oidcbridge.remote.http",), ("oidcbridge.testing.in_process",)),
    "authlib": (("oidcbridge.cli.token",), ()),  # a prefix: cli/token*.py
    "starlette": (
        ("oidcbridge.asgi", "oidcbridge.mcp", "oidcbridge.fastapi", "oidcbridge.agentos", "oidcbridge.cli"),
        (),
    ),
    "fastapi": (("oidcbridge.fastapi", "oidcbridge.agentos", "oidcbridge.cli"), ()),
    "agno": (("oidcbridge.agentos",), ()),
    "fastmcp": (("oidcbridge.mcp",), ()),
    "mcp": (("oidcbridge.mcp",), ()),
    "typer": (("oidcbridge.cli",), ()),
    "rich": (("oidcbridge.cli",), ()),
    "uvicorn": (("oidcbridge.cli",), ()),
    "redis": (("oidcbridge.stores",), ()),
    "pytest": (("oidcbridge.testing.pytest_plugin",), ()),
}

CORE_MAY_IMPORT = frozenset({"cryptography", "joserfc", "cachetools"})
#: Standard library that means a socket, a file, a process, a thread, randomness, the environment or a log.
CORE_MAY_NOT_IMPORT = frozenset(
    {"asyncio", "concurrent", "glob", "http", "io", "logging", "multiprocessing", "os", "pathlib", "random", "secrets"}
    | {"select", "selectors", "shutil", "signal", "socket", "socketserver", "sqlite3", "ssl", "subprocess", "tempfile"}
    | {"threading", "urllib.request", "warnings"}
)
CORE_MAY_NOT_CALL = frozenset({"open", "print", "input", "exec", "eval", "__import__"})
#: The one class in the core that names a clock: the default of the protocol that hands the time in from outside.
CLOCK_CLASS = ("oidcbridge.core.policy", "Clock")

Kind = Literal["at import", "in a function", "as a type"]
Check = Callable[[Path], list[str]]


class Import(NamedTuple):
    """One import statement's target."""

    importer: str
    imported: str
    kind: Kind
    line: int

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.imported} {self.kind}"


def modules(root: Path) -> dict[str, ast.Module]:
    """Every module below ``root``, by its dotted name."""
    found = {}
    for path in sorted(root.rglob("*.py")):
        parts = (root.name, *path.relative_to(root).with_suffix("").parts)
        found[".".join(parts).removesuffix(".__init__")] = ast.parse(path.read_text("utf-8"))
    return found


def imports(root: Path) -> list[Import]:
    trees = modules(root)
    return [
        Import(name, target, kind, node.lineno)
        for name, tree in trees.items()
        for node, kind in _import_nodes(tree, "at import")
        for target in _targets(node, name, trees.keys(), is_package=(root.parent / name.replace(".", "/")).is_dir())
    ]


def _import_nodes(node: ast.AST, kind: Kind) -> Iterator[tuple[ast.Import | ast.ImportFrom, Kind]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, kind
        elif isinstance(child, ast.If) and ast.unparse(child.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for statement in child.body:
                yield from _import_nodes(ast.Module([statement], []), "as a type")
            for statement in child.orelse:
                yield from _import_nodes(ast.Module([statement], []), kind)
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _import_nodes(child, "in a function")
        else:
            yield from _import_nodes(child, kind)


def _targets(node: ast.Import | ast.ImportFrom, name: str, known: Container[str], *, is_package: bool) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    base = node.module or ""
    if node.level:
        parts = name.split(".")[: len(name.split(".")) - node.level + is_package]
        base = ".".join([*parts, *filter(None, [base])])
    for alias in node.names:
        submodule = f"{base}.{alias.name}"
        yield submodule if submodule in known else base


def room(module: str) -> str:
    """The room a module lies in; a module of no room is its own complaint."""
    fitting = [name for name in FLOORS if name != "oidcbridge" and f"{module}.".startswith(f"{name}.")]
    return max(fitting, key=len) if fitting else ("oidcbridge" if module == "oidcbridge" else "")


def _is_below(name: str, other: str) -> bool:
    return FLOORS[name] < FLOORS[other]


def upward_imports(root: Path) -> list[str]:
    """Imports that do not run down the table, and modules that the table does not know."""
    complaints = [f"{name} lies in no room of the table" for name in modules(root) if not room(name)]
    for one in imports(root):
        if not one.imported.startswith("oidcbridge") or not room(one.importer):
            continue
        above, below = room(one.importer), room(one.imported)
        if (one.importer, one.imported) in BY_NEED:
            if one.kind == "at import":
                complaints.append(f"{one}; that is for functions and types")
        elif one.importer == "oidcbridge":
            if one.kind == "at import":
                complaints.append(f"{one}; the front door imports on first use")
        elif above != below and below not in STANDS_ON.get(above, [name for name in FLOORS if _is_below(name, above)]):
            complaints.append(f"{one}; imports run down the table")
    return complaints


def foreign_imports(root: Path) -> list[str]:
    """Foreign packages outside the rooms that may know them."""
    complaints = []
    for one in imports(root):
        package = one.imported.partition(".")[0]
        if package not in FOREIGN or one.kind == "as a type":
            continue
        at_import, in_functions = FOREIGN[package]
        allowed = at_import if one.kind == "at import" else at_import + in_functions
        if not one.importer.startswith(allowed):
            complaints.append(f"{one}; that is for {', '.join(allowed)}")
    return complaints


def impure_core(root: Path) -> list[str]:
    """What in the core would touch the world: imports, clocks, calls."""
    complaints = []
    for one in imports(root):
        top = one.imported.partition(".")[0]
        if not one.importer.startswith("oidcbridge.core") or one.kind == "as a type" or top == "oidcbridge":
            continue
        if {one.imported, top} & CORE_MAY_NOT_IMPORT:
            complaints.append(f"{one}; the core touches no IO")
        elif top not in sys.stdlib_module_names and top not in CORE_MAY_IMPORT:
            complaints.append(f"{one}; the core knows {', '.join(sorted(CORE_MAY_IMPORT))} and the standard library")
    for name, tree in modules(root).items():
        if name.startswith("oidcbridge.core"):
            complaints += [f"{name}:{node.lineno} {said}" for node, said in _worldly_calls(name, tree)]
    return complaints


def _worldly_calls(name: str, tree: ast.Module) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    clock = {id(inside) for node in ast.walk(tree) if _is_clock(name, node) for inside in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            yield node, "takes names from time"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            called = f"{node.value.id}.{node.attr}"
            if node.value.id == "time" and id(node) not in clock:
                yield node, f"reads {called}; the time is an argument"
            if node.attr in ("now", "utcnow", "today") and node.value.id in ("datetime", "date"):
                yield node, f"reads {called}; the time is an argument"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CORE_MAY_NOT_CALL:
            yield node, f"calls {node.func.id}()"


def _is_clock(name: str, node: ast.AST) -> bool:
    return isinstance(node, ast.ClassDef) and (name, node.name) == CLOCK_CLASS


def long_modules(root: Path) -> list[str]:
    lines = {path: len(path.read_text("utf-8").splitlines()) for path in root.rglob("*.py")}
    return [f"{path.name} has {count} lines" for path, count in lines.items() if count > MAX_MODULE_LINES]


def long_functions(root: Path) -> list[str]:
    return [
        f"{name}.{node.name} has {(node.end_lineno or 0) - node.lineno + 1} lines"
        for name, tree in modules(root).items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > MAX_FUNCTION_LINES
    ]


CHECKS: list[Check] = [upward_imports, foreign_imports, impure_core, long_modules, long_functions]
