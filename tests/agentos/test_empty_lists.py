"""agno's lists show a caller what its scopes allow; where that is nothing, its refusal has our challenge."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from starlette.types import Message

from oidcbridge.agentos.refusals import with_challenge
from oidcbridge.testing import FakeIssuer
from tests.agentos.kit import bearer, make_os, secure, serving


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, issuer: FakeIssuer) -> Iterator[TestClient]:
    with serving(secure(make_os(tmp_path_factory.mktemp("lists")), issuer)) as client:
        yield client


@pytest.mark.parametrize("kind", ["agents", "teams", "workflows"])
def test_a_list_that_would_be_empty_is_refused_with_the_challenge_of_any_other_refusal(
    client: TestClient, issuer: FakeIssuer, kind: str
) -> None:
    page = {"Origin": "https://os.agno.com"}
    refused = client.get(f"/{kind}", headers={**page, **bearer(issuer, scope="openid profile")})
    assert refused.status_code == 403
    assert refused.json()["detail"] == f"Insufficient permissions. Required scope(s): {kind}:read"
    assert refused.headers["www-authenticate"] == f'Bearer error="insufficient_scope", scope="{kind}:read"'
    assert refused.headers["cache-control"] == "no-store"
    assert refused.headers["access-control-allow-origin"] == "https://os.agno.com"
    shown = client.get(f"/{kind}", headers=bearer(issuer, scope=f"{kind}:read"))
    assert (shown.status_code, "www-authenticate" in shown.headers) == (200, False)


def test_a_list_that_is_empty_for_another_reason_is_no_refusal(client: TestClient, issuer: FakeIssuer) -> None:
    answer = client.get("/agents", headers=bearer(issuer, scope="agents:of-another-os:read"))
    assert (answer.status_code, answer.json(), "www-authenticate" in answer.headers) == (200, [], False)


@pytest.mark.parametrize(
    ("status", "own", "challenges"),
    [
        (403, [], [b'Bearer error="insufficient_scope", scope="agents:read"']),
        (403, [(b"WWW-Authenticate", b"Bearer")], [b"Bearer"]),
        (200, [], []),
    ],
)
def test_a_challenge_is_added_to_a_403_that_has_none(
    status: int, own: list[tuple[bytes, bytes]], challenges: list[bytes]
) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def answer() -> None:
        challenging = with_challenge(send, ["agents:read"])
        await challenging({"type": "http.response.start", "status": status, "headers": own})
        await challenging({"type": "http.response.body"})

    asyncio.run(answer())
    assert [value for name, value in sent[0]["headers"] if name.lower() == b"www-authenticate"] == challenges
    assert sent[1:] == [{"type": "http.response.body"}]
