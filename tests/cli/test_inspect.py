"""``oidcbridge inspect``: what a token says, without a network and without a promise."""

from __future__ import annotations

import json
import socket
from typing import NoReturn

import pytest
from typer.testing import CliRunner

from oidcbridge.cli.app import app
from oidcbridge.testing import FakeIssuer
from tests.cli.check_kit import run, token_of
from tests.cli.test_command_line import Terminal
from tests.providers.sample import Sample, all_samples, load_sample

ISSUER = FakeIssuer("https://id.example.com/realms/acme")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NoReturn:
        raise AssertionError("inspect asked somebody")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def _text(token: str, *options: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["inspect", *options], input=token, prog_name="oidcbridge")
    return result.exit_code, result.stdout


def test_it_says_first_that_nothing_is_verified() -> None:
    code, stdout = _text(ISSUER.mint("ada"))
    assert code == 0
    assert stdout.startswith("UNVERIFIED: nobody has vouched for this token")
    assert run("inspect", token=ISSUER.mint("ada")).report["verified"] is False


def test_the_json_has_the_members_that_are_documented() -> None:
    ran = run("inspect", token=ISSUER.mint("ada", scope="agents:run"))
    assert [*ran.report] == ["schema", "verified", "kind", "provider", "header", "claims", "refusals", "principal"]
    assert ran.report["kind"] == {"name": "access token", "why": "its typ says Bearer"}
    assert ran.report["provider"] == {"name": "keycloak", "why": "by its issuer URL"}
    assert ran.report["header"]["alg"] == "RS256"
    assert (ran.report["claims"]["sub"], ran.report["principal"]["user_id"]) == ("ada", "ada")
    assert (ran.report["principal"]["scopes"], ran.report["refusals"]) == (["agents:run"], [])


@pytest.mark.parametrize("sample", all_samples(), ids=lambda one: f"{one.provider}-{one.name}")
def test_every_sample_is_known_for_what_it_is(sample: Sample) -> None:
    ran = run("inspect", token=token_of(sample))
    assert ran.exit_code == 0
    kinds = {"access": ["access token", "token of unknown kind"], "id": ["ID token"], "refresh": ["refresh token"]}
    # Their access tokens look like ID tokens; nothing in some ID tokens tells.
    alike = ["ID token"] if sample.provider in ("authentik", "dex") else []
    unsaid = ["token of unknown kind"] if sample.token == "id" else []
    assert ran.report["kind"]["name"] in kinds[sample.token] + alike + unsaid
    known = ran.report["provider"]["name"]
    assert known == sample.provider or (
        known == "generic" and sample.provider in ("dex", "hydra", "zitadel", "pingone")
    )


def test_a_token_of_a_provider_at_its_own_host_is_known_by_its_claims() -> None:
    for provider, name in (("keycloak", "user"), ("cognito", "access"), ("okta", "user"), ("entra", "v2-user")):
        sample = load_sample(provider, name).but(iss="https://login.acme.example")
        report = run("inspect", token=token_of(sample)).report
        assert (report["provider"]["name"], "by its claims" in report["provider"]["why"]) == (provider, True)


def test_roles_of_this_api_stand_alone_once_it_is_named() -> None:
    token = token_of(load_sample("keycloak", "user"))
    assert "agent-api:tool-runner" in run("inspect", token=token).report["principal"]["roles"]
    assert "tool-runner" in run("inspect", "--audience", "agent-api", token=token).report["principal"]["roles"]


@pytest.mark.parametrize(
    ("token", "check", "advice"),
    [
        (ISSUER.mint("ada", expires_in=-900), "times", "expired"),
        (ISSUER.mint("ada", kind="id"), "kind", "id_token"),
        (ISSUER.mint("ada", kind="refresh"), "algorithm", "refresh_token"),
        (token_of(load_sample("okta", "org-server")), "header_type", "okta_org_server"),
        (token_of(load_sample("keycloak", "lightweight")), "user", "keycloak_lightweight"),
        (token_of(load_sample("cognito", "id")), "kind", "cognito_id_token"),
    ],
)
def test_what_a_verifier_would_refuse_whatever_the_signature_is_said(token: str, check: str, advice: str) -> None:
    ran = run("inspect", token=token)
    assert ran.exit_code == 0
    assert {one["check"]: one["advice"]["name"] for one in ran.report["refusals"]}[check] == advice
    code, stdout = _text(token)
    assert (code, "A verifier would refuse it" in stdout) == (0, True)


@pytest.mark.parametrize(
    ("token", "kind"),
    [
        ("opaque", "opaque token"),
        ("e30.k.i.c.t", "encrypted token"),
        ("%.%.%", "opaque token"),
        ("e30.W10.x", "opaque token"),
    ],
)
def test_what_only_its_provider_can_read_is_1_and_maps_to_nobody(token: str, kind: str) -> None:
    ran = run("inspect", token=token)
    assert (ran.exit_code, ran.report["kind"]["name"], ran.report["principal"]) == (1, kind, None)
    assert [one["check"] for one in ran.report["refusals"]] == ["format"]


def test_the_signature_is_never_printed() -> None:
    for token in (ISSUER.mint("ada"), ISSUER.mint("ada", alg="ES256"), "a.b.c.d.signature-of-five", "opaque-token"):
        for options in ((), ("--json",)):
            _, stdout = _text(token, *options)
            assert token not in stdout
            assert token.rpartition(".")[2] not in stdout


def test_hostile_claims_cannot_touch_the_terminal() -> None:
    token = ISSUER.mint(
        "\x1b[2Jada", claims={"\x9b1m": "\u202e", "azp": "\x1b]0;x\x07", "realm_access": {"roles": ["\x1b"]}}
    )
    code, stdout = _text(token)
    assert code == 0
    assert [c for c in stdout if not c.isprintable() and c != "\n"] == []


def test_times_are_shown_as_dates_and_odd_ones_are_left_to_the_claims() -> None:
    _, stdout = _text(ISSUER.mint("ada", claims={"exp": 1795290000, "iat": 1e300, "nbf": "soon"}))
    times = stdout.partition("\nTimes\n")[2].partition("\n\n")[0]
    assert times == "  exp  2026-11-21 19:40:00+00:00"


def test_usage_is_2(tmp_path: object) -> None:
    assert run("inspect", token="").exit_code == 2
    ran = run("inspect", "--provider", "keyclock", token=ISSUER.mint("ada"))
    assert (ran.exit_code, ran.report) == (2, {})
    assert "write one of auto" in ran.stderr


def test_at_a_terminal_it_asks_for_the_token_and_does_not_show_it(
    command_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    token = ISSUER.mint("ada")
    terminal = Terminal(["inspect", "--json"], command_environment)
    terminal.wait_for("Token (not shown): ")
    terminal.type(token)
    code, stdout = terminal.finish()
    assert (code, json.loads(stdout)["claims"]["sub"]) == (0, "ada")
    assert token[:20] not in terminal.shown
