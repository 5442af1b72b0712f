"""What `oidcbridge.agentos.protect` adds to an AgentOS in process, by what agno's own layer adds: GET, run, stream.

python -m benchmarks.agentos [--quick]

Needs agno, which the environment of `make agentos` has: .venv-agentos/bin/python. Nothing leaves the process.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from agno.agent import Agent
from agno.models.base import Model
from agno.models.response import ModelResponse
from agno.os import AgentOS
from agno.os.middleware.jwt import JWTMiddleware
from starlette.types import ASGIApp, Message, Scope

from benchmarks.compare import log_alike
from benchmarks.figures import FULL, QUICK, Bar, Effort, Figure, print_figures
from benchmarks.harness import AUDIENCE, ISSUER_URL, Timed, cpu_costs, keycloak_token
from oidcbridge.agentos import protect
from oidcbridge.testing import FakeIssuer

CHUNKS = 100
SCOPES = ["agents:read", "agents:run"]
CLAIMS = ["name", "email"]


@dataclass
class Talker(Model):  # type: ignore[misc, unused-ignore]
    """Says one word, or as a stream `CHUNKS` of them."""

    id: str = "talker"

    def invoke(self, *_: Any, **__: Any) -> ModelResponse:
        return ModelResponse(role="assistant", content="word")

    async def ainvoke(self, *_: Any, **__: Any) -> ModelResponse:
        return ModelResponse(role="assistant", content="word")

    def invoke_stream(self, *_: Any, **__: Any) -> Iterator[ModelResponse]:
        for _number in range(CHUNKS):
            yield ModelResponse(role="assistant", content="word ")

    async def ainvoke_stream(self, *_: Any, **__: Any) -> AsyncIterator[ModelResponse]:
        for _number in range(CHUNKS):
            yield ModelResponse(role="assistant", content="word ")

    def _parse_provider_response(self, response: ModelResponse, **_: Any) -> ModelResponse:
        return response

    def _parse_provider_response_delta(self, response: ModelResponse) -> ModelResponse:
        return response


class Request(NamedTuple):
    """What is sent again and again, and what its answer has to hold."""

    title: str
    method: str
    path: str
    form: Mapping[str, str]
    is_answered: Callable[[bytes], bool]
    bar: Bar | None = Bar(0.5)
    """How much of what agno's own layer adds."""


REQUESTS = {
    "get": Request("a GET", "GET", "/agents/talker", {}, lambda body: json.loads(body)["id"] == "talker"),
    "run": Request(
        "a run",
        "POST",
        "/agents/talker/runs",
        {"message": "hi", "stream": "false"},
        lambda body: json.loads(body)["content"] == "word",
    ),
    "stream": Request(
        f"an SSE run of {CHUNKS} chunks",
        "POST",
        "/agents/talker/runs",
        {"message": "hi", "stream": "true"},
        lambda body: body.count(b"event: RunContent\n") == CHUNKS,
    ),
    # Without a bar: most of it is agno's route, which goes through what the caller may see, whoever verified the token.
    "list": Request("a list", "GET", "/agents", {}, lambda body: json.loads(body)[0]["id"] == "talker", bar=None),
}


def agent_os() -> AgentOS:
    """One of its own for each that is measured: protection is installed for good."""
    return AgentOS(id="bench", agents=[Agent(id="talker", model=Talker(), telemetry=False)], telemetry=False)


def apps(issuer: FakeIssuer, folder: Path) -> dict[str, ASGIApp]:
    """The same AgentOS unprotected, behind agno's layer, and behind ours; both check the audience and the scopes."""
    key_set = folder / "jwks.json"
    key_set.write_text(json.dumps(issuer.jwks()), encoding="utf-8")
    native = agent_os().get_app()
    native.add_middleware(
        JWTMiddleware,
        jwks_file=str(key_set),
        algorithm="RS256",
        audience=AUDIENCE,
        verify_audience=True,
        issuer=ISSUER_URL,
        authorization=True,
        user_isolation=True,
        dependencies_claims=CLAIMS,
    )
    ours = protect(agent_os(), issuer_url=ISSUER_URL, audience=AUDIENCE, dependencies_claims=CLAIMS)
    return {"unprotected": agent_os().get_app(), "agno": native, "ours": ours}


class Caller:
    """Calls apps on one event loop, as a server does; what a server would hand to them is made for every request."""

    def __init__(self, runner: asyncio.Runner, token: str) -> None:
        self._runner = runner
        self._token = token

    def answer(self, app: ASGIApp, request: Request, *, token: bool = True) -> tuple[int, bytes]:
        """Status and body of one request."""
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def main() -> None:
            await app(self._scope(request, token=token), _client(request), send)

        self._runner.run(main())
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])

    def timed(self, app: ASGIApp, request: Request) -> Timed:
        """``request`` so many times. Raises `RuntimeError` where it is refused."""

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] != 200:
                raise RuntimeError(f"{request.title} was answered {message['status']}")

        async def main(calls: int) -> float:
            prepared = [(self._scope(request), _client(request)) for _ in range(calls)]
            begin = time.process_time()
            for scope, receive in prepared:
                await app(scope, receive, send)
            return time.process_time() - begin

        return lambda calls: self._runner.run(main(calls))

    def _scope(self, request: Request, *, token: bool = True) -> Scope:
        headers = [(b"host", b"127.0.0.1:8000"), (b"content-type", b"application/x-www-form-urlencoded")]
        if token:
            headers.append((b"authorization", f"Bearer {self._token}".encode()))
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": "http",
            "path": request.path,
            "raw_path": request.path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": headers,
            "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", 8000),
            "state": {},
        }


def _client(request: Request) -> Callable[[], Any]:
    """Sends the whole form and stays connected."""
    messages: list[Message] = [{"type": "http.request", "body": urlencode(request.form).encode(), "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else await asyncio.Future()

    return receive


def check(caller: Caller, subjects: Mapping[str, ASGIApp]) -> None:
    """Raises `RuntimeError` where a figure would not mean what it says."""
    for name, app in subjects.items():
        for request in REQUESTS.values():
            status, body = caller.answer(app, request)
            if status != 200 or not request.is_answered(body):
                raise RuntimeError(f"{name}: {request.title} was answered {status}: {body[:500]!r}")
            refused, _ = caller.answer(app, request, token=False)
            if (refused == 401) is (name == "unprotected"):
                raise RuntimeError(f"{name}: {request.title} without a token was answered {refused}")


@contextmanager
def measuring() -> Iterator[tuple[Caller, dict[str, ASGIApp]]]:
    """The subjects, checked, and who calls them."""
    with (
        FakeIssuer(ISSUER_URL).impersonate() as issuer,
        tempfile.TemporaryDirectory() as folder,
        asyncio.Runner() as runner,
    ):
        token = keycloak_token(issuer, "RS256", claims={"scope": " ".join(SCOPES), "scopes": SCOPES})
        caller, subjects = Caller(runner, token), apps(issuer, Path(folder))
        check(caller, subjects)
        yield caller, subjects


def added(effort: Effort) -> list[Figure]:
    """All figures."""
    figures = []
    with measuring() as (caller, subjects):
        for key, request in REQUESTS.items():
            calls = effort.calls // (3 if key == "stream" else 1)  # what is slow is done less often
            timed = {name: caller.timed(app, request) for name, app in subjects.items()}
            figures.append(_figure(key, request, cpu_costs(timed, rounds=effort.rounds, calls=calls)))
    return figures


def _figure(key: str, request: Request, costs: Mapping[str, float]) -> Figure:
    base = costs["unprotected"]
    ours, agno = costs["ours"] - base, costs["agno"] - base
    return Figure(
        f"agentos_{key}",
        f"added to {request.title} by protect() ÷ by agno's JWTMiddleware",
        ours / agno,
        request.bar,
        detail=f"{ours:.1f} µs against {agno:.1f} µs, on {base:.1f} µs",
    )


def main() -> None:
    log_alike()
    figures = added(QUICK if "--quick" in sys.argv else FULL)
    print_figures("AgentOS, in process, a token seen before", figures)


if __name__ == "__main__":
    main()
