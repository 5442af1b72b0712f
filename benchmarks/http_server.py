"""A real uvicorn in a process of its own: one app on several ports, each with other protection before it."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections.abc import Callable, Mapping
from hashlib import sha256
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple, Self

import uvicorn
import uvloop
from starlette.types import ASGIApp

from benchmarks.harness import AUDIENCE, ISSUER_URL, bare_work, keycloak_token
from benchmarks.in_process import BareMiddleware, LeastMiddleware, agent_app
from oidcbridge import OIDCMiddleware, Verifier
from oidcbridge.testing import FakeIssuer

REMEMBERED = 500
NEW_TOKENS = 2 * REMEMBERED + 1  # in turn, so that each has been forgotten before it returns

Stack = Literal["plain", "fast"]
"""``plain`` is what ``pip install uvicorn`` runs (h11, asyncio); ``fast`` what ``uvicorn[standard]`` runs."""


class Started(NamedTuple):
    """What the process tells once it serves."""

    ports: Mapping[str, int]
    """By name of the protection."""
    tokens: list[str]


class HttpServer:
    """A context manager around that process. ``cpu`` is the core it is pinned to, or None."""

    def __init__(self, stack: Stack, cpu: int | None) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, its_end = context.Pipe()
        self._process = context.Process(target=_serve, args=(its_end, stack, cpu), daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        self.started: Started = self._pipe.recv()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._pipe.send(None)
        self._process.join(10)
        self._pipe.close()

    def cpu_seconds(self) -> float:
        """What the server's thread has used so far; nanoseconds exact, by Linux's scheduler."""
        nanoseconds = Path(f"/proc/{self._process.pid}/schedstat").read_text(encoding="ascii").split()[0]
        return int(nanoseconds) / 1e9

    def cache_hits(self) -> Mapping[str, int]:
        """How many requests each protection answered from its verified tokens."""
        self._pipe.send("hits")
        hits: Mapping[str, int] = self._pipe.recv()
        return hits


def _serve(pipe: Connection, stack: Stack, cpu: int | None) -> None:
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})
    with FakeIssuer(ISSUER_URL).impersonate() as issuer:
        verifiers = {
            "seen": Verifier(issuer_url=ISSUER_URL, audience=AUDIENCE),
            "new": Verifier(issuer_url=ISSUER_URL, audience=AUDIENCE, token_cache=REMEMBERED),
        }
        app = agent_app()
        protected: dict[str, ASGIApp] = {name: OIDCMiddleware(app, verifier=each) for name, each in verifiers.items()}
        bare = BareMiddleware(app, bare_work(issuer, "RS256"))
        tokens = [keycloak_token(issuer, "RS256") for _ in range(NEW_TOKENS)]
        first = tokens[0]
        least = LeastMiddleware(app, {sha256(first.encode()).digest(): verifiers["seen"].verify_now(first)})
        work = _run({"unprotected": app, "bare": bare, "least": least, **protected}, verifiers, tokens, pipe, stack)
        with asyncio.Runner(loop_factory=_event_loop(stack)) as runner:
            runner.run(work)


async def _run(
    apps: Mapping[str, ASGIApp], verifiers: Mapping[str, Verifier], tokens: list[str], pipe: Connection, stack: Stack
) -> None:
    servers = {name: uvicorn.Server(_config(app, stack)) for name, app in apps.items()}
    tasks = [asyncio.create_task(server.serve()) for server in servers.values()]
    while not all(server.started for server in servers.values()):  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    pipe.send(Started({name: _port_of(server) for name, server in servers.items()}, tokens))
    while await asyncio.to_thread(pipe.recv) is not None:
        pipe.send({name: verifier.metrics().token_cache_hits for name, verifier in verifiers.items()})
    for server in servers.values():
        server.should_exit = True
    await asyncio.gather(*tasks)


def _event_loop(stack: Stack) -> Callable[[], asyncio.AbstractEventLoop]:
    return asyncio.new_event_loop if stack == "plain" else uvloop.new_event_loop


def _port_of(server: uvicorn.Server) -> int:
    port: int = server.servers[0].sockets[0].getsockname()[1]
    return port


def _config(app: ASGIApp, stack: Stack) -> uvicorn.Config:
    http: Literal["h11", "httptools"] = "h11" if stack == "plain" else "httptools"
    return uvicorn.Config(app, port=0, http=http, access_log=False, log_level="warning", lifespan="off")
