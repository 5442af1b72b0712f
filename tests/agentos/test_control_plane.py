"""Tokens of AgentOS's hosted control plane, beside the provider's: neither is ever taken for the other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from oidcbridge import ConfigurationError
from oidcbridge.agentos import protect
from oidcbridge.agentos.control_plane import control_plane_verifier
from oidcbridge.core.policy import Clock
from oidcbridge.errors import AudienceMismatchError, TokenTypeError
from oidcbridge.testing import OMIT, FakeIssuer, FakeKey, auth_header
from tests.agentos.control_plane import PEM, control_plane_token
from tests.agentos.kit import EVERYTHING, Probe, bearer, make_os, run, secure, serving


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Probe:
    return make_os(tmp_path_factory.mktemp("control-plane"))


@pytest.fixture(scope="module")
def client(probe: Probe, issuer: FakeIssuer) -> Iterator[TestClient]:
    app = secure(probe, issuer, control_plane_key=PEM, dependencies_claims=["email"])
    with serving(app) as client:
        yield client


def test_both_are_let_in_on_rest(client: TestClient, probe: Probe, issuer: FakeIssuer) -> None:
    assert run(client, "/agents/a1", auth_header(control_plane_token(issuer))).status_code == 200
    assert (probe.last.user_id, probe.last.dependencies) == ("operator", {"email": None})
    assert run(client, "/agents/a1", auth_header(control_plane_token(issuer, aud=OMIT))).status_code == 200
    assert run(client, "/agents/a1", bearer(issuer)).status_code == 200
    assert probe.last.user_id == "ada"


def test_both_are_let_in_on_the_socket(client: TestClient, issuer: FakeIssuer) -> None:
    for token in (control_plane_token(issuer), issuer.mint("ada", scope="workflows:run")):
        with client.websocket_connect("/workflows/ws") as socket:
            socket.receive_json()
            socket.send_json({"action": "authenticate", "token": token})
            assert socket.receive_json()["event"] == "authenticated"


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another-os"},
        {"aud": ["another-os", "agent-api"]},
        {"aud": None},
        {"aud": []},
        {"aud": ""},
        {"aud": 5},
        {"aud": True},
        {"aud": ["os1", 5]},
        {"aud": [["os1"]]},
        {"aud": {"os1": 1}},
        {"exp": OMIT},
        {"sub": "sa:robot"},
        {"iss": "https://control-plane.test"},
        {"iss": "https://agentos.idp.test", "aud": "agent-api"},
    ],
)
def test_a_control_plane_token_that_is_not_for_us_is_refused(
    client: TestClient, issuer: FakeIssuer, claims: dict[str, object]
) -> None:
    token = control_plane_token(issuer, claims=claims)
    for _ in range(2):  # what was refused is not remembered as good
        assert client.get("/agents", headers=auth_header(token)).status_code == 401
    with client.websocket_connect("/workflows/ws") as socket:
        socket.receive_json()
        socket.send_json({"action": "authenticate", "token": token})
        assert socket.receive_json()["event"] == "auth_error"


@pytest.mark.parametrize("audience", ["os1", ["os1"], ["another-os", "os1"], OMIT])
def test_a_control_plane_token_for_us_or_for_nobody_in_particular_is_let_in(
    client: TestClient, issuer: FakeIssuer, audience: object
) -> None:
    token = control_plane_token(issuer, aud=audience)
    for _ in range(2):
        assert client.get("/agents", headers=auth_header(token)).status_code == 200
    with client.websocket_connect("/workflows/ws") as socket:
        socket.receive_json()
        socket.send_json({"action": "authenticate", "token": token})
        assert socket.receive_json()["event"] == "authenticated"


def test_the_verifier_itself_refuses_what_names_an_issuer_or_another_os_and_says_so(issuer: FakeIssuer) -> None:
    verifier = control_plane_verifier(PEM, "os1", Clock())
    assert verifier.verify_now(control_plane_token(issuer)).user_id == "operator"
    for name in (issuer.issuer_url, "https://control-plane.test", "", None):
        with pytest.raises(TokenTypeError, match="'iss'"):
            verifier.verify_now(control_plane_token(issuer, iss=name))
    with pytest.raises(AudienceMismatchError, match=r"'another-os'.* does not name \['os1'\].*AgentOS\(id=…\)"):
        verifier.verify_now(control_plane_token(issuer, aud="another-os"))


def test_a_providers_key_signs_no_control_plane_token(client: TestClient, issuer: FakeIssuer) -> None:
    for key in (issuer.signing_key(), FakeKey.generate("RS256", kid="control-plane")):
        token = control_plane_token(issuer, key)
        assert client.get("/agents", headers=auth_header(token)).status_code == 401


def test_without_the_key_its_tokens_are_refused(
    tmp_path_factory: pytest.TempPathFactory, issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JWT_VERIFICATION_KEY", PEM)  # as agno would have it
    with serving(secure(make_os(tmp_path_factory.mktemp("no-key")), issuer)) as client:
        assert client.get("/agents", headers=auth_header(control_plane_token(issuer))).status_code == 401
        assert client.get("/agents", headers=bearer(issuer, scope=EVERYTHING)).status_code == 200


@pytest.mark.parametrize("key", ["", "not a key", 7])
def test_what_is_no_key_is_refused_on_the_line(
    tmp_path_factory: pytest.TempPathFactory, issuer: FakeIssuer, key: object
) -> None:
    with pytest.raises(ConfigurationError):
        secure(make_os(tmp_path_factory.mktemp("bad-key")), issuer, control_plane_key=key)


def test_beside_keys_of_no_issuer_nobody_could_tell_whose_a_token_is(
    tmp_path_factory: pytest.TempPathFactory, issuer: FakeIssuer
) -> None:
    agent_os = make_os(tmp_path_factory.mktemp("static")).agent_os
    with pytest.raises(ConfigurationError, match="issuer_url"):
        protect(agent_os, verification_keys=PEM, control_plane_key=PEM)
