"""The test kit: an identity provider of your own, for tests of an app that oidcbridge protects.

::

    from oidcbridge.testing import FakeIssuer, auth_header

    def test_a_run_needs_its_scope():
        with FakeIssuer("https://idp.test").impersonate() as issuer, TestClient(app) as client:
            answer = client.post("/runs", headers=auth_header(issuer.mint("ada", scope="agents:run")))
            assert answer.status_code == 200

``FakeIssuer``
    real keys, ``mint``, ``rotate``, ``retire``, an outage switch, fetch counters; in process or on loopback
``FakeKey``
    one signing key; ``FakeKey.generate`` makes the keys of forgers
``FakeClient``, ``FakeUser``
    who may ask the fake issuer's token endpoint for a token
``Clock``
    time that moves when a test says so
``OMIT``
    as a claim's or header's value: leave that member out
``auth_header``
    the ``Authorization`` header of a token

With pytest, the fixtures ``oidc_issuer``, ``oidc_clock`` and ``oidc_token`` are there once oidcbridge is installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oidcbridge.testing.clock import Clock
    from oidcbridge.testing.fake_issuer import FakeIssuer
    from oidcbridge.testing.keys import FakeKey
    from oidcbridge.testing.loopback import LoopbackServer
    from oidcbridge.testing.presets import Provider
    from oidcbridge.testing.responses import FakeResponse
    from oidcbridge.testing.token_endpoint import FakeClient, FakeUser
    from oidcbridge.testing.tokens import OMIT, TokenKind, auth_header
else:
    # pytest imports this package early, through the plugin's entry point. Were the names below imported here, a
    # coverage run started after that would never see their modules' top-level lines (PEP 562).
    _MODULES = {
        "Clock": "clock",
        "FakeClient": "token_endpoint",
        "FakeIssuer": "fake_issuer",
        "FakeKey": "keys",
        "FakeResponse": "responses",
        "FakeUser": "token_endpoint",
        "LoopbackServer": "loopback",
        "OMIT": "tokens",
        "Provider": "presets",
        "TokenKind": "tokens",
        "auth_header": "tokens",
    }

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted(__all__)


__all__ = [
    "OMIT",
    "Clock",
    "FakeClient",
    "FakeIssuer",
    "FakeKey",
    "FakeResponse",
    "FakeUser",
    "LoopbackServer",
    "Provider",
    "TokenKind",
    "auth_header",
]
