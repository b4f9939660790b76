"""The tree as the house tests read it: files, parsed modules, functions."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOUSE = ("core", "ussd", "sms", "mpesa", "admin", "migrations")
AROUND = ("simulator", "demo", "bench", "tests")
WRITTEN_BY_HAND = {
    ".py",
    ".sql",
    ".toml",
    ".ini",
    ".in",
    ".md",
    ".html",
    ".css",
    ".js",
    ".po",
    ".txt",
}


@cache
def files(*suffixes: str) -> tuple[Path, ...]:
    """Every file of the repository with one of these endings; all of them when none is named."""
    folders = [ROOT / name for name in (*HOUSE, *AROUND, "docs", ".ci")]
    found = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    found += [path for path in ROOT.iterdir() if path.is_file()]
    hidden = {"__pycache__", "node_modules", "peers"}
    return tuple(
        sorted(
            path
            for path in found
            if not hidden & set(path.parts) and (not suffixes or path.suffix in suffixes)
        )
    )


def house() -> tuple[Path, ...]:
    """The modules that run in production."""
    return tuple(
        path for path in files(".py") if path.relative_to(ROOT).parts[0] in (*HOUSE, "wsgi.py")
    )


@cache
def parsed(path: Path) -> ast.Module:
    """The module's syntax."""
    return ast.parse(path.read_text(), str(path))


def name(path: Path) -> str:
    """How a message names a file."""
    return str(path.relative_to(ROOT))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything the module imports."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


def attributes(path: Path) -> Iterator[tuple[int, str]]:
    """Line and text of every dotted expression, such as `tx.commit`."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Attribute):
            yield node.lineno, ast.unparse(node)
