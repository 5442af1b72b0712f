"""The login that OpenAPI shows is the browser's, also where the provider is asked by an internal name."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI

from oidcbridge.fastapi import protect
from oidcbridge.testing import FakeIssuer
from tests.fastapi.kit import get

PUBLIC = "https://id.example.com/realms/acme"
INSIDE = "https://openapi.inside.test"


@pytest.fixture
def inside() -> Iterator[FakeIssuer]:
    """A provider that names its public issuer and login page, and its internal token endpoint."""
    with FakeIssuer(INSIDE, algorithms=("ES256",)).impersonate() as issuer:
        document = issuer.discovery() | {"issuer": PUBLIC, "authorization_endpoint": f"{PUBLIC}/authorize"}
        issuer.discovery_override = json.dumps(document).encode()
        yield issuer


def shown_login(app: FastAPI) -> Any:
    """The login in ``/openapi.json``, once discovery has been read on its own thread."""
    give_up = time.monotonic() + 5
    while "flows" not in (scheme := get(app, "/openapi.json").json()["components"]["securitySchemes"]["oidcbridge"]):
        assert time.monotonic() < give_up, scheme
        time.sleep(0.01)
    return scheme["flows"]["authorizationCode"]


@pytest.mark.parametrize(
    ("browser_url", "authorization_url", "token_url"),
    [
        (None, f"{PUBLIC}/authorize", "https://id.example.com/token"),
        ("https://sso.example.com", "https://sso.example.com/realms/acme/authorize", "https://sso.example.com/token"),
    ],
)
def test_the_shown_login_has_no_internal_name(
    inside: FakeIssuer, browser_url: str | None, authorization_url: str, token_url: str
) -> None:
    app = protect(
        FastAPI(),
        issuer_url=PUBLIC,
        audience="agent-api",
        discovery_url=f"{INSIDE}/.well-known/openid-configuration",
        browser_url=browser_url,
    )
    login = shown_login(app)
    assert (login["authorizationUrl"], login["tokenUrl"]) == (authorization_url, token_url)
    assert INSIDE not in get(app, "/openapi.json").text
    assert inside.fetches["discovery"] == 1
