"""What is neither HTTP nor a WebSocket, and what is no plain token: nothing of it reaches the app or breaks it."""

from __future__ import annotations

import asyncio
import json

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from oidcbridge import ConfigurationError, OIDCMiddleware
from oidcbridge.fastapi import protect
from oidcbridge.testing import FakeIssuer, auth_header


def test_connections_of_an_unknown_type_never_pass_unverified() -> None:
    ran = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        ran.append(scope["type"])

    with FakeIssuer().impersonate() as issuer:
        protected = OIDCMiddleware(app, verifier=issuer.verifier())
        with pytest.raises(ConfigurationError, match="webtransport"):
            asyncio.run(protected({"type": "webtransport"}, None, None))  # type: ignore[arg-type]
    assert ran == []


@pytest.mark.parametrize("middleware", [True, False])
@pytest.mark.parametrize("claim", ["iss", "typ", "aud", "sub", "email"])
def test_a_strangers_deeply_nested_claim_is_a_401_like_any_other(middleware: bool, claim: str) -> None:
    with FakeIssuer().impersonate() as issuer:
        app = protect(
            FastAPI(),
            issuer_url=issuer.issuer_url,
            audience=issuer.audience,
            middleware=middleware,
            dependencies_claims=["email"],
        )
        good = json.loads(issuer_payload(issuer))
        for depth in (31, 200, 500):
            deep: object = 0
            for _ in range(depth):
                deep = [deep]
            payload = json.dumps({**good, claim: deep}).encode()
            key = issuer.signing_key("RS256")
            token = issuer.sign({"alg": "RS256", "kid": key.kid}, payload, key if claim == "email" else None)
            with TestClient(app, raise_server_exceptions=False) as client:
                status = client.get("/openapi.json" if not middleware else "/x", headers=auth_header(token)).status_code
            assert status != 500
            if middleware:
                assert status == (404 if claim == "email" and depth == 31 else 401)


def issuer_payload(issuer: FakeIssuer) -> bytes:
    return json.dumps({"iss": issuer.issuer_url, "aud": issuer.audience, "sub": "ada", "exp": 4_000_000_000}).encode()
