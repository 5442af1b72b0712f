"""Settings with which no token could ever pass: refused where they are written, and told by ``check``."""

from __future__ import annotations

from typing import Any

import pytest

from oidcbridge import ConfigurationError, Profile, Verifier
from oidcbridge.core.mapping import ClaimMapping
from oidcbridge.testing import Clock
from tests.cli.check_kit import run, serving, token_of
from tests.cli.conftest import environment
from tests.providers.sample import Sample, load_sample, sign

__all__ = ["environment"]

COGNITO = load_sample("cognito", "access")
ENTRA = load_sample("entra", "v2-user")
_CLIENT = str(COGNITO.payload["client_id"])
_GRAPH = "00000003-0000-0000-c000-000000000000"


@pytest.mark.parametrize(
    "arguments",
    [
        {"issuer_url": COGNITO.issuer, "client_ids": [_CLIENT]},
        {"issuer_url": "https://login.acme.example", "provider": "cognito", "client_ids": [_CLIENT]},
        {"issuer_url": "https://accounts.google.com", "audience": "ui", "accept_id_tokens": True},
        {"issuer_url": "https://id.acme.example/dex", "audience": "ui", "accept_id_tokens": True},
    ],
)
def test_at_jwt_is_refused_where_the_providers_tokens_never_say_it(arguments: dict[str, Any]) -> None:
    with Verifier(**arguments):
        pass
    with pytest.raises(ConfigurationError, match=r"token_type='at\+jwt': .* leave token_type out"):
        Verifier(**arguments, token_type="at+jwt")


def test_at_jwt_is_taken_where_tokens_may_say_it() -> None:
    sample = load_sample("keycloak", "user-at-jwt")
    token, keys = sign(sample.but(client_id="agent-ui"))
    verifier = Verifier(
        issuer_url=sample.issuer, audience="agent-api", jwks=keys, token_type="at+jwt", clock=Clock(sample.now)
    )
    assert verifier.verify_now(token).user_id == sample.payload["sub"]


def test_a_row_of_ones_own_is_asked_like_ours() -> None:
    mine = Profile(name="mine", mapping=ClaimMapping())
    Verifier(issuer_url="https://id.acme.example", audience="x", provider=mine, token_type="at+jwt").close()


@pytest.mark.parametrize(
    ("sample", "variables", "failed", "says"),
    [
        (COGNITO, {"CLIENT_IDS": _CLIENT, "TOKEN_TYPE": "at+jwt"}, "unfit_token_type", "OIDCBRIDGE_TOKEN_TYPE"),
        (ENTRA, {"AUDIENCE": _GRAPH}, "unfit_audience", "Expose an API"),
    ],
)
def test_check_says_of_the_same_settings_why_an_app_would_not_start(
    environment: pytest.MonkeyPatch, sample: Sample, variables: dict[str, str], failed: str, says: str
) -> None:
    for name, value in {"ISSUER_URL": sample.issuer, **variables}.items():
        environment.setenv(f"OIDCBRIDGE_{name}", value)
    with pytest.raises(ConfigurationError):
        Verifier()
    with serving(sample):
        bad = run("check", "--token", "-", token=token_of(sample))
        environment.delenv("OIDCBRIDGE_TOKEN_TYPE", raising=False)
        environment.setenv("OIDCBRIDGE_AUDIENCE", str(sample.payload.get("aud", "agent-api")))
        good = run("check", "--token", "-", token=token_of(sample))
    assert (bad.exit_code, bad.failed("provider")) == (1, {"settings": failed})
    assert says in bad.finding("settings")["advice"]["text"]
    assert (good.exit_code, good.failed("provider")) == (0, {})
