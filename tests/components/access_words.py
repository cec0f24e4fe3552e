"""Finds the functions of the package that decide who may see or do what, so that none is added without being broken by the tests."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import steelyard

WORDS = frozenset(
    {
        *("access", "allow", "deny", "denied", "narrowed", "permits", "principal", "principals"),
        *("erased", "erasures", "is_erased", "withheld", "epoch", "anonymous", "asker", "scope"),
        *("csrf", "expires", "may", "revoked", "role", "roles"),
    }
)
"""Names of what an access check looks at; a decision over one of them is taken for a check until somebody says why it is none."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def deciding() -> Iterator[tuple[str, frozenset[str]]]:
    """(module:Class.function, the words) of every function with a condition, comparison or set operation over WORDS."""
    root = Path(steelyard.__file__).parent
    for path in sorted(root.rglob("*.py")):
        module = ".".join(path.relative_to(root).with_suffix("").parts)
        for name, function in _functions(ast.parse(path.read_text(encoding="utf-8")), ()):
            if words := frozenset(_decided_over(function)):
                yield f"{module}:{name}", words


def _functions(node: ast.AST, inside: tuple[str, ...]) -> Iterator[tuple[str, Function]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield from _functions(child, (*inside, child.name))
        elif isinstance(child, Function):
            yield ".".join((*inside, child.name)), child


def _decided_over(function: Function) -> Iterator[str]:
    for node in ast.walk(function):
        for test in _tests(node):
            for part in ast.walk(test):
                name = part.id if isinstance(part, ast.Name) else part.attr if isinstance(part, ast.Attribute) else ""
                if name in WORDS:
                    yield name


def _tests(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Compare | ast.BoolOp):
        yield node
    elif isinstance(node, ast.If | ast.IfExp | ast.While):
        yield node.test
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node.operand
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd | ast.BitOr | ast.Sub):
        yield node
    elif isinstance(node, ast.comprehension):
        yield from node.ifs
