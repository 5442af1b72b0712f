"""Whose session a run has: the token's where ``session_id_claim`` is written, wherever that is; else the client's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from oidcbridge import DynamicIssuers, Issuer, Verifier
from oidcbridge.agentos import JWTMiddleware, protect
from oidcbridge.testing import FakeIssuer, auth_header
from tests.agentos.control_plane import PEM, control_plane_token
from tests.agentos.kit import EVERYTHING, RUNS, Probe, bearer, make_os, run, secure, serving

Install = Callable[[Probe, Verifier], FastAPI]


def with_protect(probe: Probe, verifier: Verifier) -> FastAPI:
    return protect(probe.agent_os, verifier)


def with_middleware(probe: Probe, verifier: Verifier) -> FastAPI:
    app = probe.agent_os.get_app()
    app.add_middleware(JWTMiddleware, verifier=verifier, authorization=True)
    return app


def sessions(app: FastAPI, probe: Probe, issuer: FakeIssuer) -> list[str]:
    """The sessions that an agent's, a team's and a workflow's run had; each token names a chat and a login."""
    seen = []
    with serving(app) as client:
        for component in ("/agents/a1", "/teams/t1", "/workflows/w1"):
            headers = bearer(issuer, chat=f"chat{component}", sid=f"login{component}")
            assert run(client, component, headers, session_id=f"client{component}").status_code == 200
            seen.append(probe.last.session_id.partition("/")[0])
    return seen


@pytest.mark.parametrize("install", [with_protect, with_middleware])
@pytest.mark.parametrize(
    ("said", "whose"),
    [
        ({"session_id_claim": "chat"}, "chat"),
        ({"session_id_claim": ["missing", "chat"]}, "chat"),
        ({"session_id_claim": "sid"}, "login"),  # what is read anyway counts only where it is written
        ({}, "client"),
    ],
)
def test_a_ready_made_verifier_decides_as_the_same_words_do_on_the_line(
    tmp_path: Path, issuer: FakeIssuer, install: Install, said: dict[str, Any], whose: str
) -> None:
    probe = make_os(tmp_path)
    verifier = Verifier(issuer_url=issuer.issuer_url, audience=issuer.audience, **said)
    assert sessions(install(probe, verifier), probe, issuer) == [whose] * 3


@pytest.mark.parametrize("install", [with_protect, with_middleware])
@pytest.mark.parametrize(("said", "whose"), [({"session_id_claim": "chat"}, "chat"), ({}, "client")])
def test_one_of_several_issuers_may_say_it_and_so_may_a_rule(
    tmp_path: Path, issuer: FakeIssuer, install: Install, said: dict[str, Any], whose: str
) -> None:
    listed = Issuer(issuer_url=issuer.issuer_url, audience=issuer.audience, name="acme", **said)
    by_rule = DynamicIssuers(allow="https://{tenant}.idp.test", audience=issuer.audience, **said)
    for one in (listed, by_rule):
        folder = tmp_path / type(one).__name__
        folder.mkdir()
        probe = make_os(folder)
        assert sessions(install(probe, Verifier(issuers=[one])), probe, issuer) == [whose] * 3


@pytest.mark.parametrize("install", [with_protect, with_middleware])
def test_what_one_issuer_says_is_said_of_its_tokens_alone(
    tmp_path: Path, issuer: FakeIssuer, frail_issuer: FakeIssuer, install: Install
) -> None:
    probe = make_os(tmp_path)
    says = Issuer(issuer_url=issuer.issuer_url, audience=issuer.audience, name="says", session_id_claim="sid")
    silent = Issuer(issuer_url=frail_issuer.issuer_url, audience=frail_issuer.audience, name="silent")
    with serving(install(probe, Verifier(issuers=[says, silent]))) as client:
        for whose, session in ((issuer, "login"), (frail_issuer, "client")):
            headers = bearer(whose, scope=EVERYTHING, sid="login")
            assert run(client, "/workflows/w1", headers, session_id="client").status_code == 200
            assert probe.last.session_id == session
            with client.websocket_connect("/workflows/ws") as socket:
                socket.receive_json()
                socket.send_json({"action": "authenticate", "token": headers["Authorization"].partition(" ")[2]})
                assert socket.receive_json()["event"] == "authenticated"
                started = {"action": "start-workflow", "workflow_id": "w1", "message": "hi", "session_id": "client"}
                socket.send_json(started)
                while "WorkflowCompleted" not in socket.receive_text():
                    pass
            assert probe.last.session_id == session


@pytest.mark.parametrize(("claim", "whose"), [("chat", "chat"), (None, "client")])
def test_the_environment_may_say_it(
    tmp_path: Path, issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch, claim: str | None, whose: str
) -> None:
    monkeypatch.setenv("OIDCBRIDGE_ISSUER_URL", issuer.issuer_url)
    monkeypatch.setenv("OIDCBRIDGE_AUDIENCE", issuer.audience)
    if claim is not None:
        monkeypatch.setenv("OIDCBRIDGE_SESSION_ID_CLAIM", claim)
    for name in ("on-the-line", "ready-made"):
        folder = tmp_path / name
        folder.mkdir()
        probe = make_os(folder)
        app = protect(probe.agent_os) if name == "on-the-line" else protect(probe.agent_os, Verifier())
        assert sessions(app, probe, issuer) == [whose] * 3


@pytest.mark.parametrize(("said", "whose"), [({"session_id_claim": "chat"}, "chat"), ({}, "client")])
def test_a_token_without_the_claim_leaves_the_session_to_the_client(
    tmp_path: Path, issuer: FakeIssuer, said: dict[str, Any], whose: str
) -> None:
    probe = make_os(tmp_path)
    verifier = Verifier(issuer_url=issuer.issuer_url, audience=issuer.audience, **said)
    with serving(protect(probe.agent_os, verifier)) as client:
        assert run(client, "/agents/a1", bearer(issuer), session_id="client").status_code == 200
        assert probe.last.session_id == "client"
        assert run(client, "/agents/a1", bearer(issuer, chat="chat"), session_id="client").status_code == 200
        assert probe.last.session_id == whose


def test_what_an_issuer_says_is_not_said_of_the_control_plane(tmp_path: Path, issuer: FakeIssuer) -> None:
    probe = make_os(tmp_path)
    app = secure(probe, issuer, session_id_claim="sid", control_plane_key=PEM)
    with serving(app) as client:
        for token, session in (
            (issuer.mint("ada", scope=RUNS, claims={"sid": "login"}), "login"),
            (control_plane_token(issuer, sid="login"), "client"),
        ):
            assert run(client, "/agents/a1", auth_header(token), session_id="client").status_code == 200
            assert probe.last.session_id == session
