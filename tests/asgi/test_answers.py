"""What a refusal looks like, what it gives away, and what a passed answer is given on its way out."""

from __future__ import annotations

import asyncio
import re

import pytest
from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send

from oidcbridge import OIDCMiddleware, Principal, TokenSource, Verifier
from oidcbridge.asgi.responses import answer_error, refusal_of
from oidcbridge.core.bearer import challenge
from oidcbridge.errors import AccessDeniedError, ConfigurationError, VerifierClosedError
from oidcbridge.testing import OMIT, FakeIssuer, FakeKey
from tests.asgi.kit import Answer, Headers, Probe, ask, ask_websocket, bearer, cookie, guarded, http_scope

#: RFC 6750 section 3: scheme, then attributes with quoted values of a narrow charset, each once.
CHALLENGE = re.compile(
    r'Bearer(?: error="[\x20-\x21\x23-\x5B\x5D-\x7E]+"(?:, error_description="[\x20-\x21\x23-\x5B\x5D-\x7E]+")?'
    r'(?:, scope="[\x21\x23-\x5B\x5D-\x7E]+(?: [\x21\x23-\x5B\x5D-\x7E]+)*")?)?'
)


def faulty_tokens(issuer: FakeIssuer) -> dict[str, str]:
    """One token for each way a token can be wrong, expiry apart."""
    key = issuer.signing_key()
    good = issuer.mint("ada")
    return {
        "bad signature": issuer.mint("ada", key=FakeKey.generate("ES256", kid=key.kid)),
        "unknown key": issuer.mint("ada", key=FakeKey.generate("ES256", kid="nobody's")),
        "unknown issuer": issuer.mint("ada", claims={"iss": "https://evil.example"}),
        "issuer with a slash": issuer.mint("ada", claims={"iss": issuer.issuer_url + "/"}),
        "wrong audience": issuer.mint("ada", audience="other-api"),
        "no audience": issuer.mint("ada", claims={"aud": OMIT}),
        "not yet valid": issuer.mint("ada", claims={"nbf": 9_999_999_999}),
        "no expiry": issuer.mint("ada", claims={"exp": OMIT}),
        "no subject": issuer.mint("ada", claims={"sub": OMIT}),
        "ID token": issuer.mint("ada", kind="id", audience="agent-api"),
        "logout token": issuer.mint("ada", kind="logout", audience="agent-api"),
        "refresh token": issuer.mint("ada", kind="refresh"),
        "bound to a key": issuer.mint("ada", claims={"cnf": {"jkt": "x"}}),
        "unsigned": issuer.sign({"alg": "none"}, {"sub": "ada"}, None) + "AA",
        "shared secret": issuer.mint("ada", key=FakeKey.generate("HS256")),
        "critical header": issuer.mint("ada", header={"crit": ["exp"]}),
        "encrypted": "a.b.c.d.e",
        "opaque": "2YotnFZFEjr1zCsicMWpAA",
        "no JSON": "AAAA.AAAA.AAAA",
        "cut short": good[:-1],
        "too long": good + "A" * 17_000,
    }


def test_all_token_faults_look_alike_to_the_client(issuer: FakeIssuer) -> None:
    app = guarded(issuer)
    answers = {name: ask(app, headers=bearer(token)) for name, token in faulty_tokens(issuer).items()}
    looks = {(answer.status, tuple(answer.headers), answer.body) for answer in answers.values()}
    assert len(looks) == 1, {name: answer.body for name, answer in answers.items()}
    answer = answers["bad signature"]
    assert answer.status == 401
    assert answer.json() == {"detail": "The token is not valid", "error": "invalid_token", "code": "invalid_token"}
    assert answer.header("www-authenticate") == (
        'Bearer error="invalid_token", error_description="The token is not valid"'
    )
    assert ask(app, headers=bearer(issuer.mint("ada"))).status == 200


def test_expiry_alone_is_told_apart_so_a_client_knows_to_renew(issuer: FakeIssuer) -> None:
    answer = ask(guarded(issuer), headers=bearer(issuer.mint("ada", expires_in=-100)))
    assert answer.status == 401
    assert answer.json() == {"detail": "The token has expired", "error": "invalid_token", "code": "token_expired"}
    assert answer.header("www-authenticate") == (
        'Bearer error="invalid_token", error_description="The token has expired"'
    )


def test_a_forged_token_that_has_expired_does_not_tell_more_than_a_good_one(issuer: FakeIssuer) -> None:
    app = guarded(issuer)
    key = FakeKey.generate("ES256", kid=issuer.signing_key().kid)
    forged = ask(app, headers=bearer(issuer.mint("ada", expires_in=-100, key=key)))
    own = ask(app, headers=bearer(issuer.mint("ada", expires_in=-100)))
    assert (forged.status, forged.headers, forged.body) == (own.status, own.headers, own.body)


def test_no_credential_is_answered_with_a_bare_challenge(issuer: FakeIssuer) -> None:
    answer = ask(guarded(issuer))
    assert (answer.status, answer.header("www-authenticate")) == (401, "Bearer")
    assert answer.json() == {
        "detail": "Not authenticated",
        "error": "missing_credential",
        "code": "missing_credential",
    }


def test_a_malformed_request_is_a_400_with_a_challenge(issuer: FakeIssuer) -> None:
    answer = ask(guarded(issuer), headers=[("Authorization", "Bearer a b")])
    assert (answer.status, answer.header("www-authenticate")) == (400, 'Bearer error="invalid_request"')
    assert answer.json()["error"] == answer.json()["code"] == "invalid_request"


def refusals(issuer: FakeIssuer) -> list[Answer]:
    """One answer of each kind of refusal, HTTP and WebSocket."""
    app = guarded(issuer, token_source=TokenSource.BOTH)
    good = issuer.mint("ada")
    sent: list[Headers] = [
        (),
        bearer("a b"),
        bearer("abc"),
        bearer(issuer.mint(expires_in=-100)),
        [*cookie(good), ("Origin", "https://evil.example")],
    ]
    answers = [ask(app, method="POST", headers=headers) for headers in sent]
    return answers + [ask_websocket(app, headers=headers) for headers in sent]


def test_no_refusal_may_be_stored_and_each_says_what_it_varies_by(issuer: FakeIssuer) -> None:
    answers = refusals(issuer)
    assert [answer.status for answer in answers] == [401, 400, 401, 401, 403] * 2
    for answer in answers:
        assert answer.header("cache-control") == "no-store"
        assert answer.header("vary") == "Authorization, Cookie"
        assert answer.header("content-type") == "application/json"
        assert answer.header("content-length") == str(len(answer.body))
        assert answer.json().keys() == {"detail", "error", "code"}
        assert len({name for name, _ in answer.headers}) == len(answer.headers), "each header once"


def test_challenges_keep_to_the_charset_of_rfc_6750(issuer: FakeIssuer) -> None:
    for answer in refusals(issuer):
        sent = answer.header("www-authenticate")
        assert sent is None if answer.status == 403 else CHALLENGE.fullmatch(sent or "")


def test_no_scope_or_text_breaks_out_of_a_challenge() -> None:
    hostile = ['a"b', "c\r\nSet-Cookie: x=1", "d\\", "é", "f g", "", "\x00", "agents:run"]
    refusal = refusal_of(AccessDeniedError("no", scopes=hostile))
    assert refusal.status == 403
    sent = refusal.headers["WWW-Authenticate"]
    assert CHALLENGE.fullmatch(sent)
    assert sent.endswith(' agents:run"')
    described = challenge("invalid_token", description='say "x"\r\n\x1b[31m\\ ü')
    assert CHALLENGE.fullmatch(described)


def test_a_right_that_is_no_scope_is_challenged_without_scope() -> None:
    refusal = refusal_of(AccessDeniedError("the token lacks ['admin']"))
    assert refusal.headers["WWW-Authenticate"] == 'Bearer error="insufficient_scope"'
    assert "admin" not in str(refusal.body)


def test_a_refused_head_request_has_the_headers_of_get_and_no_body(issuer: FakeIssuer) -> None:
    app = guarded(issuer)
    for headers in ((), bearer("abc")):
        got, head = ask(app, headers=headers), ask(app, method="HEAD", headers=headers)
        assert (head.status, head.headers, head.body) == (got.status, got.headers, b"")
        assert got.body


def test_an_outage_is_a_503_that_says_when_to_try_again_and_never_a_401(frail_issuer: FakeIssuer) -> None:
    app = guarded(frail_issuer)
    token = frail_issuer.mint("ada")
    with frail_issuer.outage():
        answer = ask(app, headers=bearer(token))
        socket, closed = (ask_websocket(app, headers=bearer(token), denial=denial) for denial in (True, False))
        assert ask(app).status == 401, "without a credential there is nothing to ask the provider"
        assert ask(app, headers=bearer("abc")).status == 401, "and for one that no key could save"
    assert answer.status == 503
    assert int(answer.header("retry-after") or "") >= 1
    assert answer.header("www-authenticate") is None
    assert answer.header("cache-control") == "no-store"
    assert answer.json()["error"] == "temporarily_unavailable"
    assert answer.json()["code"] == "provider_unavailable"
    assert (socket.status, socket.body) == (503, answer.body)
    assert closed.close_code == 1013


def test_known_keys_go_on_through_an_outage(frail_issuer: FakeIssuer) -> None:
    app = guarded(frail_issuer)
    assert ask(app, headers=bearer(frail_issuer.mint("ada"))).status == 200
    with frail_issuer.outage():
        assert ask(app, headers=bearer(frail_issuer.mint("bob"))).json()["user_id"] == "bob"
        frail_issuer.rotate()
        assert ask(app, headers=bearer(frail_issuer.mint("eve"))).status == 503, "a key nobody has seen yet"


class BrokenVerifier(Verifier):
    """A verifier with a bug."""

    async def verify(self, token: str) -> Principal:
        raise RuntimeError("a bug")


def test_an_unforeseen_error_stays_an_error_and_never_becomes_a_401(issuer: FakeIssuer, probe: Probe) -> None:
    broken = OIDCMiddleware(probe, BrokenVerifier(issuer_url=issuer.issuer_url, audience="a"))
    for send in (ask, ask_websocket):
        with pytest.raises(RuntimeError, match="a bug"):
            send(broken, headers=bearer(issuer.mint("ada")))
    assert probe.scopes == []


def test_a_closed_verifier_is_a_bug_in_the_app_and_no_answer(issuer: FakeIssuer, probe: Probe) -> None:
    verifier = issuer.verifier()
    verifier.close()
    with pytest.raises(VerifierClosedError):
        ask(OIDCMiddleware(probe, verifier), headers=bearer(issuer.mint("ada")))
    assert probe.scopes == []


def test_an_error_outside_the_table_has_no_answer() -> None:
    with pytest.raises(ConfigurationError, match="mistake"):
        refusal_of(ConfigurationError("mistake"))


def test_the_exception_handler_answers_our_errors_and_hands_others_on() -> None:
    connection = HTTPConnection(http_scope())
    answered = asyncio.run(answer_error(connection, AccessDeniedError("no")))
    assert answered.status_code == 403
    for other in (LookupError("the app's own"), VerifierClosedError("closed")):
        with pytest.raises(type(other)):
            asyncio.run(answer_error(connection, other))


def test_an_error_of_the_app_itself_passes_through(issuer: FakeIssuer) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError("the app's own")

    with pytest.raises(LookupError):
        ask(guarded(issuer, app), headers=bearer(issuer.mint("ada")))
