"""Breaks one access check at a time: negates comparisons, drops conditions and calls, turns SQL conditions around.

A mutant is the function as the package has it with one node changed; its code object takes the place of the original's while the
tests run, so nothing is copied and nothing else changes.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from types import CodeType, FunctionType
from typing import Any

NEGATED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}

SQL = (
    ("epoch > ?", "epoch < ?"),
    ("max(epoch)", "min(epoch)"),
    ("version <> ''", "version = ''"),
    ("version = ''", "version <> ''"),
    ("document = ?", "document <> ?"),
    ("origin = ?", "origin <> ?"),
    ("pattern = ?", "pattern <> ?"),
    ("principal = ?", "principal <> ?"),
    ("OR deny <> :deny", ""),
    ("allow <> :allow OR", ""),
    ("(?, ''), ", ""),
    ("(?, ?), ", ""),
    (", ('', ?)", ", (?, 'none')"),
    ("NOT array_has_any(deny", "array_has_any(deny"),
    ("AND array_has_any(allow", "AND NOT array_has_any(allow"),
    ("added <=", "added >"),
    ("retired >", "retired <="),
)
"""Conditions in SQL and what stands there instead."""

Change = Callable[[ast.AST], None]


@dataclass(frozen=True)
class Mutant:
    """One changed check: where it stands, what was changed, and the code with it."""

    place: str
    what: str
    line: str
    function: FunctionType
    code: CodeType

    @contextmanager
    def alive(self) -> Iterator[None]:
        """The package with the check broken."""
        original = self.function.__code__
        self.function.__code__ = self.code
        try:
            yield
        finally:
            self.function.__code__ = original


def function_at(place: str) -> FunctionType:
    """The plain function behind `module:Class.name`, whatever decorates it."""
    module, _, path = place.partition(":")
    found: Any = import_module(f"steelyard.{module}")
    for part in path.split("."):
        found = inspect.getattr_static(found, part)
    if isinstance(found, property):
        found = found.fget
    elif isinstance(found, cached_property):
        found = found.func
    elif isinstance(found, staticmethod | classmethod):
        found = found.__func__
    found = inspect.unwrap(found)
    assert isinstance(found, FunctionType), place
    return found


def mutants_of(place: str) -> Iterator[Mutant]:
    """Every mutant of one function."""
    function = function_at(place)
    source = textwrap.dedent(inspect.getsource(function))
    count = len(list(_changes(ast.parse(source))))
    for number in range(count):
        tree = ast.parse(source)
        what, node, change = list(_changes(tree))[number]
        line = source.splitlines()[node.lineno - 1].strip()
        change(node)
        ast.fix_missing_locations(tree)
        code = _code(_compiled(tree, function), function.__name__)
        assert code.co_freevars == function.__code__.co_freevars, place
        yield Mutant(place, what, line, function, code)


def _compiled(tree: ast.Module, function: FunctionType) -> CodeType:
    # `from __future__ import annotations` holds in the package: annotations may name what is only imported for type checkers.
    flags = function.__code__.co_flags & 0x1000000
    definition = tree.body[0]
    assert isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef)
    definition.decorator_list = []
    if function.__code__.co_freevars:
        names = ", ".join(function.__code__.co_freevars)
        wrapper = ast.parse(f"def _free({names}):\n    pass").body[0]
        assert isinstance(wrapper, ast.FunctionDef)
        wrapper.body = [definition]
        tree = ast.Module(body=[wrapper], type_ignores=[])
        ast.fix_missing_locations(tree)
    return compile(tree, function.__code__.co_filename, "exec", flags=flags)


def _code(module: CodeType, name: str) -> CodeType:
    for constant in module.co_consts:
        if isinstance(constant, CodeType):
            if constant.co_name == name:
                return constant
            inner = [one for one in constant.co_consts if isinstance(one, CodeType) and one.co_name == name]
            if inner:
                return inner[0]
    raise LookupError(name)


def _changes(tree: ast.Module) -> Iterator[tuple[str, Any, Change]]:
    definition = tree.body[0]
    assert isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef)
    text = definition.body[0]
    documented = isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
    for statement in definition.body[1 if documented else 0 :]:
        for node in ast.walk(statement):
            if not isinstance(node, ast.Assert):
                yield from _of_node(node)


def _of_node(node: ast.AST) -> Iterator[tuple[str, Any, Change]]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        yield f"negate {ast.unparse(node)}", node, _negate_compare
    elif isinstance(node, ast.BoolOp):
        for place, value in enumerate(node.values):
            yield f"drop {ast.unparse(value)}", node, _drop(place)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield f"turn {ast.unparse(node)}", node, _double_not
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd | ast.BitOr):
        yield f"swap {ast.unparse(node)}", node, _swap_set
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield f"leave out {ast.unparse(node)[:60]}", node, _leave_out
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute):
        yield f"leave out {ast.unparse(node)[:60]}", node, _leave_unset
    elif isinstance(node, ast.If | ast.While | ast.IfExp) and isinstance(
        node.test, ast.Name | ast.Call | ast.Attribute
    ):
        yield f"negate if {ast.unparse(node.test)}", node, _negate_test
    elif isinstance(node, ast.comprehension):
        for place, test in enumerate(node.ifs):
            if isinstance(test, ast.Name | ast.Call | ast.Attribute):
                yield f"negate if {ast.unparse(test)}", test, _negate_test_in(node, place)
    elif isinstance(node, ast.Name) and node.id == "asker" and isinstance(node.ctx, ast.Load):
        yield "take the asker as they say they are", node, _unresolved
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        for old, new in SQL:
            if old in node.value:
                yield f"turn {old} into {new or 'nothing'}", node, _sql(old, new)


def _negate_compare(node: Any) -> None:
    node.ops[0] = NEGATED[type(node.ops[0])]()


def _drop(place: int) -> Change:
    def change(node: Any) -> None:
        kept = node.values[1 if place == 0 else place - 1]
        node.values[place] = kept

    return change


def _double_not(node: Any) -> None:
    node.operand = ast.UnaryOp(op=ast.Not(), operand=node.operand)


def _swap_set(node: Any) -> None:
    node.op = ast.BitOr() if isinstance(node.op, ast.BitAnd) else ast.BitAnd()


def _leave_out(node: Any) -> None:
    node.value = ast.Constant(value=None)


def _leave_unset(node: Any) -> None:
    node.targets = [ast.Name(id="_unused", ctx=ast.Store())]


def _negate_test(node: Any) -> None:
    node.test = ast.UnaryOp(op=ast.Not(), operand=node.test)


def _negate_test_in(comprehension: ast.comprehension, place: int) -> Change:
    def change(node: Any) -> None:
        comprehension.ifs[place] = ast.UnaryOp(op=ast.Not(), operand=node)

    return change


def _unresolved(node: Any) -> None:
    node.id = "scope"


def _sql(old: str, new: str) -> Change:
    def change(node: Any) -> None:
        node.value = node.value.replace(old, new)

    return change
