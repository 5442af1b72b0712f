"""Mutants of one module: its source with one small mistake in each. `tools/mutation.py` has the tests find them.

The mistakes are mutmut's (numbers, strings, names, operators, arguments, assignments, branches of ``match`` and of
conditional expressions), and four more: a condition that always or never holds, a check that is not called, an
exception that is not caught, a number that is one less. mutmut's own runner is not used: it leaves out decorated
functions and everything outside functions, and there stand the parser of the token's header and every table.

Left out, since nothing but a text or a memory footprint would change:

* annotations, type aliases, imports for types, and docstrings;
* the message of an error (the first argument of what is raised), and strings of several words, which are for people;
* the names of codecs, which have no case; the sizes of `lru_cache`, and ``__slots__``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators

_Nodes = tuple[cst.CSTNode, ...]
_CODECS = ("ascii", "latin-1", "utf-8")
_PROSE = re.compile(r"\w,? \w")
_TYPE_ALIAS = re.compile(r"_?[A-Z][a-z]\w*")


class Mutant(NamedTuple):
    """A module's source with one mistake."""

    line: int
    before: str
    after: str
    source: str

    def __str__(self) -> str:
        return f"{self.line}: {self.before}  ->  {self.after}"


def mutants_of(source: str) -> Iterator[Mutant]:
    """Every mutant of a module, once; none that means the same to the compiler."""
    wrapper = MetadataWrapper(cst.parse_module(source))
    positions = wrapper.resolve(PositionProvider)
    seen = {ast.dump(ast.parse(source))}
    for node, kept in _mutable(wrapper.module):
        for changed in _changes(node):
            if any(part not in changed.children for part in kept):
                continue
            text = wrapper.module.deep_replace(node, changed).code
            try:
                tree = ast.dump(ast.parse(text))
            except SyntaxError:
                continue
            if tree not in seen:
                seen.add(tree)
                yield Mutant(positions[node].start.line, *_difference(source, text), text)


def _difference(before: str, after: str) -> tuple[str, str]:
    pairs = zip(before.splitlines(), after.splitlines(), strict=False)
    return next(((old.strip(), new.strip()) for old, new in pairs if old != new), ("the end", "less"))


def _mutable(node: cst.CSTNode, kept: _Nodes = ()) -> Iterator[tuple[cst.CSTNode, _Nodes]]:
    """The nodes in which a mistake matters, each with those of its children that have to stay as they are."""
    if _is_of_no_matter(node):
        return
    raised = node.exc if isinstance(node, cst.Raise) else None
    if isinstance(node, cst.Call):
        kept += tuple(arg for arg in node.args if arg.keyword and arg.keyword.value == "slots")
    yield node, kept
    for child in node.children:
        if child not in kept:
            message = raised.args[:1] if child is raised and isinstance(raised, cst.Call) else ()
            yield from _mutable(child, tuple(arg for arg in message if arg.keyword is None))


def _is_of_no_matter(node: cst.CSTNode) -> bool:
    match node:
        case cst.Annotation() | cst.Expr(value=cst.SimpleString() | cst.ConcatenatedString()):
            return True
        case cst.If(test=cst.Name(value="TYPE_CHECKING")):
            return True
        case cst.SimpleString(evaluated_value=str(text)):
            return text in _CODECS or bool(_PROSE.search(text))
        case cst.Call(func=cst.Name(value="lru_cache")):
            return True
        case cst.Assign(targets=[cst.AssignTarget(target=cst.Name(value=name))]):
            return name == "__slots__" or bool(_TYPE_ALIAS.fullmatch(name))
    return False


def _changes(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    if isinstance(node, cst.Call) and isinstance(node.func, cst.Name) and node.func.value in ("len", "isinstance"):
        return  # without a fitting argument they only raise TypeError
    for kind, operator in mutation_operators:
        if isinstance(node, kind):
            yield from operator(node)
    yield from _more_changes(node)


def _more_changes(node: cst.CSTNode) -> Iterable[cst.CSTNode]:
    match node:
        case cst.If() | cst.While() | cst.CompIf():
            test = node.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
            for operator, right in ((cst.And(), "False"), (cst.Or(), "True")):
                yield node.with_changes(test=cst.BooleanOperation(test, operator, cst.Name(right)))
        case cst.Expr(value=cst.Call()):
            yield cst.Pass()
        case cst.ExceptHandler(type=cst.Tuple(elements=caught)):
            for one in caught:
                others = [other.with_changes(comma=cst.MaybeSentinel.DEFAULT) for other in caught if other is not one]
                yield node.with_changes(type=cst.Tuple(others))
        case cst.Integer() | cst.Float() if node.evaluated_value >= 1:
            yield node.with_changes(value=repr(node.evaluated_value - 1))
