"""``oidcbridge token --grant device`` (RFC 8628): what the person is shown, and how the provider is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from oidcbridge.cli import token_device

if TYPE_CHECKING:
    from tests.cli.conftest import Run
    from tests.cli.provider import Provider

PENDING = (400, {"error": "authorization_pending"})
SLOW_DOWN = (400, {"error": "slow_down"})


class Waiting:
    """Time that passes only by waiting."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.sleeps: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds

    def monotonic(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def waiting(monkeypatch: pytest.MonkeyPatch) -> Waiting:
    waiting = Waiting()
    monkeypatch.setattr(token_device, "time", waiting)
    return waiting


def test_address_and_code_go_to_stderr_and_the_token_to_stdout(run: Run, provider: Provider) -> None:
    provider.device_script = [PENDING, PENDING]
    result = run("--grant", "device")
    assert (result.exit_code, result.stdout) == (0, "aaa.bbb.ccc\n")
    assert f"    {provider.issuer_url}/activate?user_code=WDJB-MJHT\n" in result.stderr
    assert "WDJB-MJHT" in result.stderr.splitlines()[-1]
    assert "device-code-1" not in result.stderr


def test_without_a_complete_address_the_person_enters_the_code(run: Run, provider: Provider) -> None:
    del provider.device_answer["verification_uri_complete"]
    result = run("--grant", "device")
    assert f"    {provider.issuer_url}/activate\n" in result.stderr
    assert "enter the code WDJB-MJHT" in result.stderr


def test_the_request_names_client_scope_and_target_once(run: Run, provider: Provider) -> None:
    assert run("--grant", "device", "--scope", "agents:run", "--audience", "agent-api").exit_code == 0
    asked, polled = provider.forms
    assert asked == {"client_id": "ui", "scope": "agents:run", "audience": "agent-api"}
    assert polled == {
        "client_id": "ui",
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "device_code": "device-code-1",
    }


def test_a_confidential_client_authenticates_at_both_endpoints(
    run: Run, provider: Provider, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("OIDCBRIDGE_CLIENT_SECRET", provider.secrets["svc"])
    assert run("--grant", "device", client_id="svc").exit_code == 0
    assert "client_secret" not in provider.forms[0]
    assert provider.authorization_headers[0] is not None


def test_the_interval_is_kept_and_slow_down_adds_five_seconds(run: Run, provider: Provider, waiting: Waiting) -> None:
    provider.device_script = [PENDING, SLOW_DOWN, PENDING, SLOW_DOWN]
    assert run("--grant", "device").exit_code == 0
    assert waiting.sleeps == [2, 2, 7, 7, 12]


@pytest.mark.parametrize("interval", [None, 0, -1, "soon"])
def test_without_a_usable_interval_five_seconds_lie_between_two_questions(
    run: Run, provider: Provider, waiting: Waiting, interval: object
) -> None:
    provider.device_answer["interval"] = interval
    provider.device_script = [PENDING]
    assert run("--grant", "device").exit_code == 0
    assert waiting.sleeps == [5, 5]


def test_an_outage_while_waiting_is_told_and_asked_through_less_often(
    run: Run, provider: Provider, waiting: Waiting
) -> None:
    provider.device_script = [None, (503, b"<h1>down</h1>"), PENDING]
    result = run("--grant", "device")
    assert (result.exit_code, result.stdout) == (0, "aaa.bbb.ccc\n")
    assert waiting.sleeps == [2, 4, 8, 8]  # RFC 8628 section 3.5: exponential back-off
    assert "answered HTTP 503" in result.stderr
    assert "asking again in 8 seconds" in result.stderr


@pytest.mark.parametrize(("expires_in", "timeout", "end"), [(7, "300", 7), (600, "7", 7), (7, "5", 5), (None, "9", 9)])
def test_nobody_confirming_ends_with_the_code_or_the_patience(
    run: Run, provider: Provider, waiting: Waiting, expires_in: object, timeout: str, end: float
) -> None:
    provider.device_answer["expires_in"] = expires_in
    provider.device_script = [PENDING] * 400
    result = run("--grant", "device", "--timeout", timeout)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "was not confirmed in time" in result.stderr
    assert waiting.now == 1000 + end


@pytest.mark.parametrize(
    ("error", "description", "said"),
    [
        ("access_denied", "The end user denied the request", "access_denied: The end user denied the request"),
        ("expired_token", None, "expired_token (the code was not confirmed in time; run the command again)"),
        ("invalid_grant", "Code already used", "invalid_grant: Code already used"),
    ],
)
def test_a_refusal_ends_the_waiting_with_the_providers_words(
    run: Run, provider: Provider, error: str, description: str | None, said: str
) -> None:
    provider.device_script = [PENDING, (400, {"error": error, "error_description": description})]
    result = run("--grant", "device")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith(f"oidcbridge token: {said}\n")


def test_a_client_that_may_not_use_the_grant_is_told_what_to_enable(run: Run, provider: Provider) -> None:
    provider.device_override = (400, {"error": "unauthorized_client", "error_description": "Not for this client"})
    result = run("--grant", "device")
    assert result.exit_code == 1
    assert "unauthorized_client: Not for this client (check the client's secret, and that the provider" in result.stderr


def test_a_provider_without_the_grant_is_told_apart(run: Run, provider: Provider) -> None:
    del provider.metadata["device_authorization_endpoint"]
    result = run("--grant", "device")
    assert result.exit_code == 1
    assert "publishes no device_authorization_endpoint" in result.stderr


@pytest.mark.parametrize("name", ["device_code", "user_code", "verification_uri"])
def test_an_answer_that_lacks_a_part_is_no_answer(run: Run, provider: Provider, name: str) -> None:
    del provider.device_answer[name]
    result = run("--grant", "device")
    assert result.exit_code == 3
    assert f"answered without a {name}" in result.stderr


@pytest.mark.parametrize("address", ["javascript:alert(1)", "http://192.0.2.7/activate", "https://x\x1b[2J/", 7])
def test_an_address_nobody_should_open_is_not_shown_as_one(run: Run, provider: Provider, address: object) -> None:
    provider.device_answer["verification_uri_complete"] = address
    result = run("--grant", "device")
    assert result.exit_code == 1
    assert "To sign in" not in result.stderr
    assert "\x1b" not in result.stderr
