"""A mistake in the arguments is said on the first use, with what to write instead and without a secret."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from oidcbridge import ConfigurationError, OIDCMiddleware, Verifier
from oidcbridge.testing import FakeIssuer
from tests.asgi.kit import Answer, Probe, ask, bearer

SECRET = "a shared secret of forty-two bytes, or more"


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({}, "OIDCBRIDGE_ISSUER_URL"),
    ({"issuer_url": "https://idp.test"}, 'audience="agent-api"'),
    ({"issuer_url": "http://idp.test", "audience": "a"}, "https"),
    ({"issuer_url": "https://idp.test", "audience": "a", "token_source": "both"}, "TokenSource.BOTH"),
    ({"issuer_url": "https://idp.test", "audience": "a", "token_header_key": "X Token"}, "token_header_key is a name"),
    ({"issuer_url": "https://idp.test", "audience": "a", "token_header_key": "Authorization:"}, "token_header_key"),
    ({"issuer_url": "https://idp.test", "audience": "a", "token_header_key": ""}, "token_header_key is a name"),
    ({"issuer_url": "https://idp.test", "audience": "a", "cookie_name": "a=b"}, "cookie_name is a name"),
    ({"issuer_url": "https://idp.test", "audience": "a", "cookie_name": None}, "cookie_name is a name"),
    ({"issuer_url": "https://idp.test", "audience": "a", "validate": None}, "validate is True or False"),
    ({"issuer_url": "https://idp.test", "audience": "a", "validate": 0}, "validate is True or False"),
    ({"issuer_url": "https://idp.test", "audience": "a", "validate": "false"}, "validate is True or False"),
    ({"issuer_url": "https://idp.test", "audience": "a", "require_authentication": None}, "require_authentication is"),
    ({"secret_key": "too short"}, "32"),
    ({"secret_key": SECRET, "algorithm": "RS256"}, "HS256"),
    ({"verifier": "https://idp.test"}, 'issuer_url="https://…"'),
]


@pytest.mark.parametrize(("arguments", "says"), MISTAKES)
def test_a_mistake_in_the_arguments_says_what_to_write_instead(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ask(OIDCMiddleware(Probe(), **arguments))
    assert says in str(caught.value)


def test_a_verifier_excludes_the_arguments_of_one(issuer: FakeIssuer) -> None:
    with issuer.verifier() as verifier:
        for more, says in (({"audience": "x"}, "audience="), ({"validate": False}, "validate=False")):
            arguments: Any = more
            with pytest.raises(ConfigurationError, match=says):
                ask(OIDCMiddleware(Probe(), verifier, **arguments))


@pytest.mark.parametrize("arguments", [{"issuer_url": "https://idp.test", "audience": "a"}, {"validate": False}])
def test_an_unknown_argument_is_a_type_error_at_once(arguments: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="'exclude_paths'"):
        OIDCMiddleware(Probe(), **(arguments | {"exclude_paths": ["/health"]}))


def test_validation_that_is_off_is_said_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    OIDCMiddleware(Probe(), validate=False)
    assert "validate=False" in caplog.text
    caplog.clear()
    OIDCMiddleware(Probe(), secret_key=SECRET)
    assert caplog.text == ""


def test_a_kept_mistake_holds_no_secret_and_does_not_grow(probe: Probe) -> None:
    app = OIDCMiddleware(probe, secret_key=SECRET, algorithm="RS256")

    def raised() -> ConfigurationError:
        with pytest.raises(ConfigurationError) as caught:
            ask(app, headers=bearer("a.b.c"))
        return caught.value

    def frames(error: BaseException) -> list[Any]:
        trace, found = error.__traceback__, []
        while trace is not None:
            found.append(trace.tb_frame)
            trace = trace.tb_next
        return found

    first = raised()
    assert SECRET not in repr([frame.f_locals for frame in frames(first) if "oidcbridge" in frame.f_code.co_filename])
    depth = len(frames(first))
    assert [len(frames(raised())) for _ in range(3)] == [depth] * 3
    assert probe.scopes == []


def test_verifiers_built_by_the_middleware_show_no_secret(issuer: FakeIssuer) -> None:
    verifier = Verifier(secret_key=SECRET)
    answer: Answer = ask(OIDCMiddleware(Probe(), verifier), headers=bearer("a.b.c"))
    assert SECRET not in repr(verifier) + repr(vars(verifier)) + str(answer)
