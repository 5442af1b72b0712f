"""Tools that declare ``dependencies`` or ``session_state`` as an argument: since agno 2.5 the model fills those.

What a tool is to believe comes with ``run_context: RunContext``.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

logger = logging.getLogger("oidcbridge.agentos")

_TRUSTED = ("dependencies", "session_state")
_MEMBERS = ("members", "steps", "agent", "team", "executor", "choices")


def warn_of_fillable_arguments(components: Iterable[Any]) -> None:
    """Name each tool below ``components`` that takes from the model what it should take from the token."""
    for owner, function in _tools(components, set()):
        for name in _parameters(function):
            if name in _TRUSTED:
                logger.warning(
                    "the tool %r of %r declares %r: the model fills it, whatever the token says. Declare"
                    " run_context: RunContext, and read run_context.%s",
                    getattr(function, "__name__", str(function)),
                    owner,
                    name,
                    name,
                )


def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # a callable of C, which has no such arguments
        return ()


def _tools(components: Iterable[Any], seen: set[int]) -> Iterator[tuple[str, Callable[..., Any]]]:
    for component in components:
        if id(component) in seen:
            continue
        seen.add(id(component))
        owner = getattr(component, "id", None) or getattr(component, "name", None) or type(component).__name__
        tools = getattr(component, "tools", None)
        for tool in tools if isinstance(tools, list | tuple) else ():
            for function in _functions(tool):
                yield str(owner), function
        yield from _tools(_below(component), seen)


def _below(component: Any) -> Iterator[Any]:
    """The members of a team, the steps of a workflow and whoever runs them."""
    for name in _MEMBERS:
        value = getattr(component, name, None)
        if isinstance(value, list | tuple):
            yield from value
        elif value is not None and not callable(value):
            yield value


def _functions(tool: Any) -> Iterator[Callable[..., Any]]:
    """What a tool runs: itself, the entrypoint of a ``Function``, or every function of a ``Toolkit``."""
    if inspect.isroutine(tool):
        yield tool
        return
    entrypoint = getattr(tool, "entrypoint", None)
    if callable(entrypoint):
        yield inspect.unwrap(entrypoint)
    for name in ("functions", "async_functions"):
        functions = getattr(tool, name, None)
        for function in functions.values() if isinstance(functions, dict) else ():
            yield from _functions(function)
