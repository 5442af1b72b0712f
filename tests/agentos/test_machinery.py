"""What AgentOS has beside runs goes on working on verified callers: its directory, its audit, its other interfaces."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from agno.os.authz import Authorization
from agno.os.authz.audit import AuditEvent, AuditSink
from agno.os.interfaces.base import BaseInterface
from fastapi import APIRouter

from oidcbridge.testing import FakeIssuer
from tests.agentos.databases import Database
from tests.agentos.kit import EVERYTHING, bearer, make_os, run, secure, serving


def test_a_user_whom_the_directory_has_switched_off_is_out(
    tmp_path: Path, new_database: Callable[[], Database], issuer: FakeIssuer
) -> None:
    probe = make_os(tmp_path, database=new_database(), user_directory=True)
    admin = bearer(issuer, "root", EVERYTHING)
    ada = bearer(issuer, "ada", EVERYTHING, email="ada@example.com")
    with serving(secure(probe, issuer)) as client:
        assert client.get("/agents", headers=ada).status_code == 200
        known = client.get("/users", headers=admin)
        assert {user["email"] for user in known.json()["data"] if user["id"] == "ada"} == {"ada@example.com"}
        assert client.patch("/users/ada", json={"disabled": True}, headers=admin).status_code == 200
        refused = client.get("/agents", headers=ada)
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
        with client.websocket_connect("/workflows/ws") as socket:
            socket.receive_json()
            socket.send_json({"action": "authenticate", "token": ada["Authorization"].removeprefix("Bearer ")})
            assert socket.receive_json()["error"] == "User is disabled"


def test_decisions_are_written_down_with_who_and_why(tmp_path: Path, issuer: FakeIssuer) -> None:
    seen: list[AuditEvent] = []

    class Trail(AuditSink):
        """Keeps what it is told."""

        def record(self, event: AuditEvent) -> None:
            seen.append(event)

    probe = make_os(tmp_path, authorization=Authorization(audit=Trail()))
    with serving(secure(probe, issuer)) as client:
        assert run(client, "/agents/a1", bearer(issuer, "ada", "agents:run")).status_code == 200
        assert run(client, "/agents/a1", bearer(issuer, "bob", "openid")).status_code == 403
    assert [(event.actor, event.action) for event in seen] == [("ada", "access.allowed"), ("bob", "access.denied")]
    assert "eyJ" not in repr(seen)  # never a token


def test_what_speaks_a2a_needs_a_token(tmp_path: Path, issuer: FakeIssuer) -> None:
    pytest.importorskip("a2a", reason="a2a-sdk is not installed")
    probe = make_os(tmp_path, a2a_interface=True)
    message = {
        "message": {"messageId": "1", "role": "user", "parts": [{"kind": "text", "text": "hi"}], "agentId": "a1"}
    }
    body = {"jsonrpc": "2.0", "id": "1", "method": "message/send", "params": message}
    with serving(secure(probe, issuer)) as client:
        paths = [route for route in client.app.openapi()["paths"] if "a2a" in route and "message:send" in route]  # type: ignore[attr-defined]
        path = next(path for path in paths if "agents" in path).replace("{id}", "a1")
        assert client.post(path, json=body).status_code == 401
        assert probe.seen == []
        assert client.post(path, json=body, headers=bearer(issuer)).status_code == 200
    assert probe.last.user_id == "ada"


class Hook(BaseInterface):
    """An interface whose caller proves itself otherwise, as Slack does by a signature."""

    type = "hook"
    prefix = "/hook"
    authenticates_own_requests = True

    def get_router(self, *_: Any, **__: Any) -> APIRouter:
        router = APIRouter(prefix=self.prefix)

        @router.post("/events")
        async def events() -> str:
            return "its own check"

        self.router = router
        return router


def test_an_interface_that_checks_its_callers_itself_is_left_to_do_so(tmp_path: Path, issuer: FakeIssuer) -> None:
    with serving(secure(make_os(tmp_path, interfaces=[Hook()]), issuer)) as client:
        assert client.post("/hook/events").json() == "its own check"
        assert client.post("/hooks/events").status_code == 401
