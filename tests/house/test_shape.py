"""What a file may look like."""

import ast
import re
from pathlib import Path

from tests.house import tree

FILE_LINES, FUNCTION_LINES = 400, 40
# Written with a bracket so that this file does not find itself.
REGISTRIES = re.compile(
    r"py[p]i\.org|python[h]osted|npm[j]s\.(org|com)|proxy\.go[l]ang|index-[u]rl|find-[l]inks"
)
LEFT_OPEN = re.compile(r"\b(TO[D]O|FIX[M]E|XX[X])\b|pytest\.(mark\.)?(ski[p]|xfai[l])")


def test_no_file_is_too_long_to_read() -> None:
    found = [
        f"{tree.name(path)}: {lines} lines"
        for path in tree.files(*tree.WRITTEN_BY_HAND)
        if (lines := len(path.read_text().splitlines())) > FILE_LINES and not _long_by_nature(path)
    ]
    assert not found, f"give one of its ideas a file: {found}"


def test_no_function_is_too_long_to_see() -> None:
    found = [
        f"{tree.name(path)}:{node.lineno} {node.name}: {lines} lines"
        for path in tree.files(".py")
        if "versions" not in path.parts  # a migration is a list of tables
        for node in ast.walk(tree.parsed(path))
        if isinstance(node, ast.FunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES
    ]
    assert not found, f"name its parts: {found}"


def test_every_module_says_what_it_is_for() -> None:
    found = [
        tree.name(path)
        for path in tree.files(".py")
        if path.read_text()
        and not (ast.get_docstring(tree.parsed(path)) or "").partition("\n")[0].endswith(".")
    ]
    assert not found, f"open with one sentence, on one line: {found}"


def test_nothing_is_left_open() -> None:
    assert not (found := _lines(LEFT_OPEN)), f"do it, or open an issue: {found}"


def test_no_registry_is_named() -> None:
    assert not (found := _lines(REGISTRIES)), f"pip's own settings say where from: {found}"


def _lines(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{tree.name(path)}:{number} {line.strip()}"
        for path in tree.files(*tree.WRITTEN_BY_HAND)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if pattern.search(line)
    ]


def _long_by_nature(path: Path) -> bool:
    """Locked requirements, catalogues, and what others wrote."""
    return path.match("requirements*.txt") or path.suffix == ".po" or "vendor" in path.parts
