"""The event loops that everything must work on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import trio
import uvloop

Runner = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]


def on_asyncio(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(main())


def on_uvloop(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


def on_trio(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    trio.run(main)


#: Runs a test once on each loop, as its argument ``run``.
LOOPS = pytest.mark.parametrize("run", [on_asyncio, on_uvloop, on_trio])
