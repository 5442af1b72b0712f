"""Logs say which fault it was, hold no credential, and let nobody outside write lines of their own."""

from __future__ import annotations

import asyncio
import logging
import traceback

import pytest

from oidcbridge import OIDCBridgeError, OIDCMiddleware, TokenSource
from oidcbridge.asgi.gate import Gate
from oidcbridge.asgi.token_source import read_credential, resolve_http
from oidcbridge.testing import OMIT, FakeIssuer, FakeKey
from tests.asgi.kit import Headers, Probe, ask, ask_websocket, bearer, cookie, guarded, http_scope

HOSTILE = "x\r\nINFO root: admin logged in\x1b[2J\x00\x85\u2028\u202e\ud7ff😀\tend"


def refusal_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "oidcbridge.asgi"]


def test_the_log_tells_apart_what_the_client_cannot(issuer: FakeIssuer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    key = issuer.signing_key()
    faults = {
        "bad_signature": issuer.mint(key=FakeKey.generate("ES256", kid=key.kid)),
        "key_not_found": issuer.mint(key=FakeKey.generate("ES256", kid="nobody's")),
        "unknown_issuer": issuer.mint(claims={"iss": "https://evil.example"}),
        "audience_mismatch": issuer.mint(audience="other"),
        "token_expired": issuer.mint(expires_in=-100),
        "token_not_yet_valid": issuer.mint(claims={"nbf": 9_999_999_999}),
        "token_type_not_accepted": issuer.mint(kind="id", audience="agent-api"),
        "missing_claim": issuer.mint(claims={"sub": OMIT}),
        "algorithm_not_allowed": issuer.mint(key=FakeKey.generate("HS256")),
        "malformed_token": "abc",
        "invalid_request": "a b",
    }
    app = guarded(issuer)
    for code, token in faults.items():
        caplog.clear()
        ask(app, "/agents/a1/runs", headers=bearer(token))
        (line,) = refusal_lines(caplog)
        assert line.startswith(f"refused http '/agents/a1/runs': {code}: "), line
    caplog.clear()
    ask_websocket(app, headers=bearer("abc"))
    assert refusal_lines(caplog)[0].startswith("refused websocket '/x': malformed_token: ")


def test_a_request_without_a_credential_is_no_news(issuer: FakeIssuer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    app = guarded(issuer)
    caplog.clear()
    ask(app)
    assert caplog.records == []
    caplog.set_level(logging.DEBUG)
    ask(app)
    assert refusal_lines(caplog) == ["refused http '/x': missing_credential: no credential"]


def test_an_outage_is_a_warning(frail_issuer: FakeIssuer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with frail_issuer.outage():
        ask(guarded(frail_issuer), headers=bearer(frail_issuer.mint()))
    assert [record.levelname for record in caplog.records if record.name == "oidcbridge.asgi"] == ["WARNING"]


def test_no_client_can_write_lines_into_the_log(issuer: FakeIssuer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    app = guarded(issuer, token_source=TokenSource.BOTH)
    tokens = [
        issuer.mint(header={"kid": HOSTILE}),
        issuer.mint(header={"typ": HOSTILE}),
        issuer.mint(header={"alg": HOSTILE}),
        issuer.mint(claims={"iss": HOSTILE}),
        issuer.mint(claims={"iss": [HOSTILE]}),
        issuer.mint(audience=HOSTILE),
        issuer.mint(audience=[HOSTILE] * 50),
        issuer.mint(claims={"sub": {HOSTILE: HOSTILE}}),
        issuer.mint(claims={"exp": HOSTILE}),
        issuer.mint(claims={HOSTILE: 1, "cnf": HOSTILE}),
        issuer.mint(f"client:{HOSTILE}"),
    ]
    for token in tokens:
        assert ask(app, f"/{HOSTILE}", headers=bearer(token)).status == 401
        assert ask_websocket(app, f"/{HOSTILE}" * 100, headers=bearer(token)).status == 401
    latin = HOSTILE.encode("utf-8").decode("latin-1")
    assert ask(app, headers=bearer(latin)).status == 400
    assert ask(app, headers=cookie(latin)).status == 400
    assert ask(app, method="POST", headers=[*cookie("a.b.c"), ("Origin", latin), ("Host", latin)]).status == 403
    client_ids = guarded(issuer, client_ids=["agent-ui"], tenants=["blue"])
    assert ask(client_ids, headers=bearer(issuer.mint(client_id=HOSTILE))).status == 401
    assert ask(client_ids, headers=bearer(issuer.mint(claims={"tid": HOSTILE}))).status == 401
    lines = refusal_lines(caplog)
    assert len(lines) == 2 * len(tokens) + 5
    for line in lines:
        assert line.isascii(), line
        assert line.isprintable(), line
        assert len(line) < 2_000, "no client fills the disk"


def everything_that_can_be_sent(issuer: FakeIssuer) -> tuple[list[Headers], list[str]]:
    """Requests of all kinds, and the credentials in them."""
    key = issuer.signing_key()
    tokens = [
        issuer.mint("ada"),
        issuer.mint("ada", expires_in=-100),
        issuer.mint("ada", audience="x"),
        issuer.mint("ada", key=FakeKey.generate("ES256", kid=key.kid)),
        issuer.mint("ada", key=FakeKey.generate("ES256", kid="nobody's")),
        issuer.mint("ada", claims={"iss": "https://evil.example"}),
        issuer.mint("ada", kind="refresh"),
        "opaque-2YotnFZFEjr1zCsicMWpAA",
        "part1-secret.part2-secret.part3-secret",
        "five-secret.b-secret.c-secret.d-secret.e-secret",
    ]
    sent: list[Headers] = []
    for token in tokens:
        sent += [bearer(token), [("Authorization", f"Basic {token}")], [("Authorization", f"Bearer {token} {token}")]]
        sent += [[*bearer(token), *bearer(token)], cookie(token), [("Cookie", f"access_token={token} {token}")]]
        sent += [[("Cookie", f"access_token={token}; access_token={token}")]]
        sent += [[*cookie(token), ("Origin", "https://evil.example")]]
    return sent, [part for token in tokens for part in {token, *token.split(".")} if len(part) > 8]


def test_no_token_or_cookie_is_in_any_log_at_debug(issuer: FakeIssuer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    sent, secrets = everything_that_can_be_sent(issuer)
    for source in TokenSource:
        app = guarded(issuer, token_source=source, token_cache=10)
        for headers in sent:
            answers = [ask(app, method="POST", headers=headers), ask_websocket(app, headers=headers)]
            for answer in answers:
                if answer.status not in {200, 101}:
                    shown = answer.body.decode() + repr(answer.headers)
                    assert not [secret for secret in secrets if secret in shown]
    demo = OIDCMiddleware(Probe(), validate=False, token_source=TokenSource.BOTH)
    for headers in sent:
        ask(demo, headers=headers)
    everything = "\n".join(
        f"{record.getMessage()} {record.args!r} {record.exc_text} {record.__dict__!r}" for record in caplog.records
    )
    assert "refused http" in everything
    assert [secret for secret in secrets if secret in everything] == []


def test_no_token_is_in_an_error_its_chain_or_a_repr(issuer: FakeIssuer, probe: Probe) -> None:
    sent, secrets = everything_that_can_be_sent(issuer)
    gate = Gate(issuer.verifier(), resolve_http({"token_source": TokenSource.BOTH}))
    shown = [repr(gate), repr(gate.settings), repr(gate.verifier)]
    for headers in sent:
        scope = http_scope(method="POST", headers=headers)
        try:
            shown.append(repr(read_credential(scope, gate.settings)))
            asyncio.run(gate.admit(scope))
        except OIDCBridgeError as error:
            shown.append("".join(traceback.format_exception(error)) + repr(error.args))
    ask(guarded(issuer, probe), headers=bearer(issuer.mint("ada")))
    shown += [repr(probe.state["principal"]), repr(probe.scopes[-1]["user"]), repr(probe.scopes[-1]["auth"])]
    assert len(shown) > len(sent)
    assert [secret for secret in secrets if secret in "\n".join(shown)] == []
