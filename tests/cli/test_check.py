"""``oidcbridge check`` as a command: the provider, the settings, where a token comes from, and how it ends."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from typer.testing import CliRunner

from oidcbridge.cli.app import app
from oidcbridge.testing import FakeIssuer, FakeKey
from tests.cli.check_kit import Ran, check, run
from tests.cli.test_command_line import Terminal

if TYPE_CHECKING:
    from tests.cli.provider import Provider

COMMAND = [sys.executable, "-m", "oidcbridge.cli", "check"]
AUDIENCE = ("--audience", "agent-api")


@pytest.fixture
def issuer(environment: pytest.MonkeyPatch) -> Iterator[FakeIssuer]:
    issuer = FakeIssuer(url=None)
    with issuer.serve():
        yield issuer


def _text(*arguments: str, token: str | None = None) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["check", *arguments], input=token, prog_name="oidcbridge")
    return result.exit_code, result.stdout


def test_a_good_provider_and_a_good_token_are_0_and_show_who_it_is(
    issuer: FakeIssuer, command_environment: dict[str, str]
) -> None:
    token = issuer.mint("ada", scope="agents:run")
    ran = subprocess.run(
        [*COMMAND, issuer.issuer_url, *AUDIENCE, "--token", "-"],
        env=command_environment,
        input=token,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "FAIL" not in ran.stdout
    for said in ("Good.", "user_id", "ada", "agents:run", "RSA, RS256", "EC P-256, ES256", f"{issuer.issuer_url}/jwks"):
        assert said in ran.stdout


def test_the_json_has_the_members_that_are_documented(issuer: FakeIssuer) -> None:
    ran = check(issuer.issuer_url, *AUDIENCE, token=issuer.mint("ada"))
    assert [*ran.report] == [
        "schema", "outcome", "settings", "issuer", "endpoints", "provider", "token", "keys", "tls", "principal",
    ]  # fmt: skip
    assert (ran.report["schema"], ran.report["outcome"], ran.report["issuer"]) == (1, "good", issuer.issuer_url)
    for finding in (*ran.report["provider"], *ran.report["token"]):
        assert [*finding] == ["check", "status", "said", "code", "advice"]
    assert [one["check"] for one in ran.report["provider"]] == [
        "provider", "discovery", "tls", "issuer", "endpoints", "jwks", "cache", "clock", "keys",
    ]  # fmt: skip
    assert [one["check"] for one in ran.report["token"]] == [
        "format", "algorithm", "header_type", "issuer", "times", "sender", "kind", "client", "audience",
        "required_claims", "key", "signature", "user",
    ]  # fmt: skip
    assert [[*key] for key in ran.report["keys"]] == [["kid", "type", "algorithms", "why_not"]] * 2
    assert ran.report["settings"]["issuer_url"] == issuer.issuer_url
    assert ran.report["settings"]["audience"] == ["agent-api"]
    assert ran.report["endpoints"]["token_endpoint"] == f"{issuer.issuer_url}/token"
    assert ran.report["principal"]["user_id"] == "ada"
    assert (ran.report["tls"], "plain http to 127.0.0.1" in ran.finding("tls")["said"]) == ([], True)


def test_every_document_is_fetched_once(issuer: FakeIssuer) -> None:
    check(issuer.issuer_url, *AUDIENCE, token=issuer.mint("ada"))
    assert dict(issuer.fetches) == {"discovery": 1, "jwks": 1, "token": 0}


def test_without_arguments_the_settings_are_those_of_the_environment(
    issuer: FakeIssuer, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("OIDCBRIDGE_ISSUER_URL", issuer.issuer_url)
    environment.setenv("OIDCBRIDGE_AUDIENCE", "other-api, agent-api")
    environment.setenv("OIDCBRIDGE_TOKEN_TYPE", "at+jwt")
    good = run("check", "--token", "-", token=issuer.mint("ada", header={"typ": "at+jwt"}))
    assert (good.exit_code, good.report["settings"]["audience"]) == (0, ["agent-api", "other-api"])
    bad = run("check", "--token", "-", token=issuer.mint("ada"))
    assert (bad.exit_code, bad.failed()) == (1, {"header_type": "at_jwt_required"})
    assert "token_type" in bad.finding("header_type")["advice"]["text"]


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("OIDCBRIDGE_AUDIENCE", "", "audience is missing"),
        ("OIDCBRIDGE_AUDIENC", "agent-api", "did you mean OIDCBRIDGE_AUDIENCE?"),
        ("OIDCBRIDGE_ISSUER_URL", "", "set OIDCBRIDGE_ISSUER_URL"),
        ("OIDCBRIDGE_ISSUER_URL", "id.example.com", 'write issuer_url="https://id.example.com"'),
    ],
)
def test_a_mistake_in_the_environment_is_usage(
    environment: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    environment.setenv("OIDCBRIDGE_ISSUER_URL", "https://id.example.com")
    environment.setenv("OIDCBRIDGE_AUDIENCE", "agent-api")
    environment.setenv(variable, value)
    ran = run("check")
    assert (ran.exit_code, ran.report) == (2, {})
    assert said in ran.stderr


def test_static_keys_ask_nobody(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    issuer = FakeIssuer("https://idp.invalid")
    file = tmp_path / "keys.json"
    file.write_text(json.dumps(issuer.jwks()))
    environment.setenv("OIDCBRIDGE_JWKS_FILE", str(file))
    environment.setenv("OIDCBRIDGE_ISSUER_URL", "https://idp.invalid")
    environment.setenv("OIDCBRIDGE_AUDIENCE", "agent-api")
    good = run("check", "--token", "-", token=issuer.mint("ada"))
    assert (good.exit_code, [one["check"] for one in good.report["provider"]]) == (0, ["provider", "keys"])
    forged = issuer.mint("ada", key=FakeKey.generate("RS256"), header={"kid": issuer.signing_key().kid})
    assert run("check", "--token", "-", token=forged).failed() == {"signature": "bad_signature"}


def test_an_audience_that_was_not_given_is_not_judged_and_the_tokens_own_is_shown(issuer: FakeIssuer) -> None:
    assert check(issuer.issuer_url).exit_code == 0
    ran = check(issuer.issuer_url, token=issuer.mint("ada"))
    finding = ran.finding("audience")
    assert (ran.exit_code, finding["status"], ran.report["principal"]) == (1, "not_judged", None)
    assert "agent-api" in finding["said"]
    assert "--audience" in finding["said"]
    assert check(issuer.issuer_url, "--client-id", "agent-ui", token=issuer.mint("ada")).exit_code == 0


def _closed_port() -> int:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        return int(closed.getsockname()[1])


def test_nobody_listening_is_3_and_speaks_of_containers(environment: pytest.MonkeyPatch) -> None:
    ran = check(f"http://127.0.0.1:{_closed_port()}/realms/acme", *AUDIENCE, token="a.b.c")
    assert (ran.exit_code, ran.report["outcome"]) == (3, "unreachable")
    assert ran.failed("provider") == {"discovery": "loopback"}
    assert "OIDCBRIDGE_DISCOVERY_URL" in ran.finding("discovery")["advice"]["text"]


@pytest.mark.parametrize(("status", "code"), [(503, 3), (429, 3), (404, 1), (403, 1), (302, 1)])
def test_an_outage_is_3_and_a_wrong_answer_is_1(issuer: FakeIssuer, status: int, code: int) -> None:
    issuer.status = status
    ran = check(issuer.issuer_url, *AUDIENCE)
    assert (ran.exit_code, [*ran.failed("provider")]) == (code, ["jwks"])
    issuer.status = None
    assert check(issuer.issuer_url, *AUDIENCE).exit_code == 0


def test_a_path_where_nothing_is_shows_what_issuers_look_like(issuer: FakeIssuer) -> None:
    ran = check(f"{issuer.issuer_url}/realms/none", *AUDIENCE)
    assert (ran.exit_code, ran.failed("provider")) == (1, {"discovery": "not_found"})
    assert "/realms/none/.well-known/openid-configuration answered 404" in ran.finding("discovery")["said"]
    assert "https://HOST/realms/REALM" in ran.finding("discovery")["advice"]["text"]


@pytest.mark.parametrize(
    ("document", "failed"),
    [
        (b"<h1>Sign in</h1>", {"discovery": None}),
        (b"{}", {"issuer": "no_issuer"}),
        (b'{"issuer": 7}', {"issuer": "no_issuer"}),
        (b'{"issuer": "ISSUER"}', {"endpoints": None}),
        (b'{"issuer": "ISSUER", "jwks_uri": "http://192.0.2.1/jwks"}', {"endpoints": None}),
    ],
)
def test_a_document_that_a_verifier_refuses_is_refused(
    issuer: FakeIssuer, document: bytes, failed: dict[str, str | None]
) -> None:
    issuer.discovery_override = document.replace(b"ISSUER", issuer.issuer_url.encode())
    ran = check(issuer.issuer_url, *AUDIENCE)
    assert (ran.exit_code, ran.failed("provider")) == (1, failed)


def test_the_keys_may_be_elsewhere_and_discovery_is_then_not_asked(issuer: FakeIssuer) -> None:
    issuer.discovery_override = b"broken"
    arguments = ("https://id.invalid/realms/acme", *AUDIENCE, "--jwks-uri", f"{issuer.issuer_url}/jwks")
    token = issuer.mint("ada", claims={"iss": "https://id.invalid/realms/acme", "typ": "Bearer"})
    ran = check(*arguments, token=token)
    assert (ran.exit_code, ran.finding("discovery")["status"]) == (0, "not_judged")
    assert issuer.fetches["discovery"] == 0


def test_discovery_may_be_at_another_host_than_the_issuer_names(issuer: FakeIssuer) -> None:
    public = "https://id.invalid/realms/acme"
    issuer.discovery_override = json.dumps({**issuer.discovery(), "issuer": public}).encode()
    url = f"{issuer.issuer_url}/.well-known/openid-configuration"
    good = check(public, *AUDIENCE, "--discovery-url", url)
    assert (good.exit_code, good.report["settings"]["discovery_url"]) == (0, url)
    bad = check(issuer.issuer_url, *AUDIENCE)
    assert (bad.exit_code, bad.failed("provider")) == (1, {"issuer": "issuer_host"})
    assert f'issuer_url="{public}"' in bad.finding("issuer")["advice"]["text"]


def test_each_key_is_shown_with_why_it_is_not_used(issuer: FakeIssuer) -> None:
    issuer.publish({**FakeKey.generate("RS256").public_jwk(), "kid": "enc-1", "use": "enc"})
    issuer.publish({"kty": "AKP", "kid": "odd-1"})
    ran = check(issuer.issuer_url, *AUDIENCE)
    assert ran.exit_code == 0
    why = {key["kid"]: key["why_not"] for key in ran.report["keys"]}
    assert (why["enc-1"], why["odd-1"]) == ("'use' is not 'sig'", "unknown 'kty'")
    assert [why[key.kid] for key in (issuer.signing_key("RS256"), issuer.signing_key("ES256"))] == [None, None]
    assert ran.finding("keys")["said"].startswith("2 of 4")
    assert "--   odd-1: not used: unknown 'kty'" in _text(issuer.issuer_url, *AUDIENCE)[1]


def test_a_private_key_that_is_published_is_a_fault_though_it_is_not_used(issuer: FakeIssuer) -> None:
    issuer.publish({**FakeKey.generate("RS256").public_jwk(), "kid": "lost", "d": "AQAB"})
    ran = check(issuer.issuer_url, *AUDIENCE)
    assert (ran.exit_code, ran.failed("provider")) == (1, {"keys": "private_key_published"})
    assert "deny_key" in ran.finding("keys")["advice"]["text"]


def test_keys_that_the_settings_do_not_allow_are_said(issuer: FakeIssuer, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("OIDCBRIDGE_ISSUER_URL", issuer.issuer_url)
    environment.setenv("OIDCBRIDGE_AUDIENCE", "agent-api")
    environment.setenv("OIDCBRIDGE_ALGORITHMS", "PS512")
    ran = run("check", "--token", "-", token=issuer.mint("ada"))
    assert ran.failed("provider") == {"keys": "algorithms"}
    assert ran.failed() == {"algorithm": "algorithm_not_listed"}
    assert "OIDCBRIDGE_ALGORITHMS" in ran.finding("algorithm")["advice"]["text"]
    environment.setenv("OIDCBRIDGE_ALGORITHMS", "RS256")
    ran = run("check", "--token", "-", token=issuer.mint("ada"))
    assert ran.exit_code == 0
    assert {key["type"]: key["why_not"] for key in ran.report["keys"]}[
        "EC P-256"
    ] == "algorithms= allows none of its own"


@pytest.mark.parametrize("keys", [b'{"keys": []}', b"{}", b"none"])
def test_a_set_without_a_usable_key_fails_and_leaves_the_signature_unjudged(issuer: FakeIssuer, keys: bytes) -> None:
    issuer.jwks_override = keys
    ran = check(issuer.issuer_url, *AUDIENCE, token=issuer.mint("ada"))
    assert (ran.exit_code, [*ran.failed("provider")], ran.failed()) == (1, ["keys"], {})
    assert {ran.finding(name)["status"] for name in ("key", "signature", "user")} == {"not_judged"}


@pytest.mark.parametrize(
    ("ahead", "status", "code"),
    [(0, "passed", 0), (30, "warning", 0), (-30, "warning", 0), (900, "failed", 1), (None, "not_judged", 0)],
)
def test_a_clock_that_is_off_is_said(
    environment: pytest.MonkeyPatch, ahead: int | None, status: str, code: int
) -> None:
    date = "soon" if ahead is None else formatdate(time.time() - ahead, usegmt=True)
    issuer = FakeIssuer("https://idp.test")
    issuer.jwks_headers = {"date": date, "cache-control": "public, max-age=120"}
    with issuer.impersonate():
        ran = check(issuer.issuer_url, *AUDIENCE)
    assert (ran.exit_code, ran.finding("clock")["status"]) == (code, status)
    assert ran.finding("cache")["said"] == "Cache-Control: public, max-age=120; asked for again after 120 s"


def test_a_private_authority_is_named_as_what_is_missing_and_trusted_by_its_file(
    secure_provider: Provider, certificate: Path, environment: pytest.MonkeyPatch
) -> None:
    bad = check(secure_provider.issuer_url, *AUDIENCE)
    assert (bad.exit_code, bad.failed("provider")) == (1, {"discovery": "certificate"})
    assert "--ca-file FILE" in bad.finding("discovery")["advice"]["text"]
    good = check(secure_provider.issuer_url, *AUDIENCE, "--ca-file", str(certificate))
    assert good.failed("provider") == {"jwks": "not_found"}  # this one has no keys to show
    assert good.finding("issuer")["status"] == "passed"
    (tls,) = good.report["tls"]
    authority = x509.load_pem_x509_certificate(certificate.read_bytes())
    assert tls.pop("protocol") in ("TLSv1.2", "TLSv1.3")
    assert tls == {
        "host": "127.0.0.1",
        "subject": "CN=a private authority",
        "issuer": "CN=a private authority",
        "not_after": authority.not_valid_after_utc.isoformat(sep=" "),
        "trusted_by": str(certificate),
    }
    assert f"trusted by the authorities in {certificate}" in good.finding("tls")["said"]
    missing = check(secure_provider.issuer_url, *AUDIENCE, "--ca-file", f"{certificate}.none")
    assert (missing.exit_code, missing.report) == (2, {})


def _with_token(issuer: FakeIssuer, said: str, stdin: str | None = None) -> Ran:
    return run("check", issuer.issuer_url, *AUDIENCE, "--token", said, token=stdin)


def test_a_token_comes_from_a_file_or_from_stdin_with_or_without_its_scheme(issuer: FakeIssuer, tmp_path: Path) -> None:
    token, file = issuer.mint("ada"), tmp_path / "token"
    for text in (token, f"{token}\n", f"Bearer {token}\r\n"):
        file.write_text(text)
        for ran in (_with_token(issuer, str(file)), _with_token(issuer, "-", text)):
            assert (ran.exit_code, ran.stderr, ran.report["principal"]["user_id"]) == (0, "", "ada")


def test_a_token_as_an_argument_warns_about_the_shells_history_and_is_not_repeated(issuer: FakeIssuer) -> None:
    token = issuer.mint("ada")
    ran = _with_token(issuer, token)
    assert ran.exit_code == 0
    assert "shell's history" in ran.stderr
    assert token not in f"{ran.stderr}{ran.report}"


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"a" * 70_000])
def test_what_holds_no_token_is_usage(issuer: FakeIssuer, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    ran = _with_token(issuer, str(file))
    assert (ran.exit_code, ran.report) == (2, {})
    assert "aaa" not in ran.stderr


def test_at_a_terminal_the_token_is_asked_for_and_not_shown(
    issuer: FakeIssuer, command_environment: dict[str, str]
) -> None:
    token = issuer.mint("ada")
    terminal = Terminal(["check", issuer.issuer_url, *AUDIENCE, "--token", "-"], command_environment)
    terminal.wait_for("Token (not shown): ")
    terminal.type(token)
    code, stdout = terminal.finish()
    assert (code, b"Good." in stdout) == (0, True)
    assert token[:20] not in terminal.shown


def test_neither_token_nor_signature_is_ever_printed(issuer: FakeIssuer) -> None:
    for token in (issuer.mint("ada"), issuer.mint("ada", expires_in=-900), issuer.mint("ada", kind="id")):
        for options in ((), ("--json",)):
            _, stdout = _text(issuer.issuer_url, *AUDIENCE, "--token", "-", *options, token=token)
            assert token not in stdout
            assert token.rpartition(".")[2] not in stdout


def test_a_hostile_provider_cannot_touch_the_terminal(issuer: FakeIssuer) -> None:
    document = {**issuer.discovery(), "x\x1b[2J_endpoint": "https://x\x1b]0;evil\x07/\u202e", "issuer": "\x9bevil"}
    issuer.discovery_override = json.dumps(document).encode()
    issuer.publish({**FakeKey.generate("RS256").public_jwk(), "kid": "\x1b[31mkid\u2028"})
    token = issuer.mint("\x1b[2Jada", claims={"azp": "\x1b[1m", "client_id": "\u202e"}, scope="\x1b[3m")
    _, stdout = _text(issuer.issuer_url, "--audience", "x", "--token", "-", token=token)
    assert [c for c in stdout if not c.isprintable() and c != "\n"] == []
    assert "evil" in stdout
