"""Every argument of the middleware does what the table says, and a mistake is said where it was made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from oidcbridge import ConfigurationError, Issuer, OIDCMiddleware, TokenSource
from oidcbridge.testing import OMIT, FakeIssuer, FakeKey
from tests.asgi.kit import Probe, ask, bearer, cookie, guarded

SECRET = "a shared secret of forty-two bytes, or more"


@pytest.mark.parametrize("written", ["tenant.user", ["nothing", "tenant.user"], "https://acme.example/uid"])
def test_user_id_claim_is_a_path_or_several(issuer: FakeIssuer, written: Any) -> None:
    app = guarded(issuer, user_id_claim=written)
    claims = {"tenant": {"user": "ada-7"}, "https://acme.example/uid": "ada-7"}
    assert ask(app, headers=bearer(issuer.mint("ada", claims=claims))).json()["user_id"] == "ada-7"
    assert ask(app, headers=bearer(issuer.mint("ada"))).status == 401, "never the subject instead"


def test_an_email_as_user_id_has_to_be_verified(issuer: FakeIssuer, caplog: pytest.LogCaptureFixture) -> None:
    app = guarded(issuer, user_id_claim="email")
    assert "user_id_claim='email'" in caplog.text, "an address can be given to somebody else later"
    for verified, status in {True: 200, False: 401, "true": 401, None: 401}.items():
        claims = {"email": "ada@example.com", "email_verified": verified}
        assert ask(app, headers=bearer(issuer.mint("ada", claims=claims))).status == status, verified


def test_session_id_scopes_roles_and_the_others_follow_their_claims(issuer: FakeIssuer, probe: Probe) -> None:
    app = guarded(
        issuer,
        probe,
        session_id_claim="login.id",
        scopes_claim=["https://acme.example/scopes"],
        roles_claim="acme.roles",
        groups_claim="acme.groups",
        permissions_claim="acme.permissions",
        tenant_claim="acme.tenant",
    )
    acme = {"roles": ["admin"], "groups": ["/ops"], "permissions": "p1 p2", "tenant": "blue"}
    claims = {"login": {"id": "s-1"}, "https://acme.example/scopes": ["a", "b"], "acme": acme, "sid": "no"}
    ask(app, headers=bearer(issuer.mint("ada", scope="not:these", claims=claims)))
    principal = probe.state["principal"]
    assert (probe.state["session_id"], probe.state["scopes"]) == ("s-1", ["a", "b"])
    assert (principal.roles, principal.groups, principal.tenant) == (("admin",), ("/ops",), "blue")
    assert principal.permissions == ("p1", "p2")


def test_tenants_are_an_allow_list(issuer: FakeIssuer) -> None:
    app = guarded(issuer, tenants=["blue"], tenant_claim="tenant")
    assert ask(app, headers=bearer(issuer.mint("ada", claims={"tenant": "blue"}))).json()["user_id"] == "blue:ada"
    assert ask(app, headers=bearer(issuer.mint("ada", claims={"tenant": "red"}))).status == 401
    assert ask(app, headers=bearer(issuer.mint("ada"))).status == 401


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (["email", "profile.team"], {"email": "e", "profile.team": "ops"}),
        ({"mail": "email", "team": "profile.team", "absent": "nothing"}, {"mail": "e", "team": "ops"}),
        (["roles"], {"roles": ["admin"]}),
        ([], {}),
    ],
)
def test_dependencies_and_session_state_take_a_list_or_a_renaming_dict(
    issuer: FakeIssuer, written: Any, expected: dict[str, str]
) -> None:
    app = guarded(issuer, dependencies_claims=written, session_state_claims=written)
    claims = {"email": "e", "profile": {"team": "ops"}, "roles": ["admin"]}
    found = ask(app, headers=bearer(issuer.mint("ada", claims=claims))).json()
    assert found["dependencies"] == found["session_state"] == expected


def test_audience_and_client_ids_are_enforced(issuer: FakeIssuer) -> None:
    app = guarded(issuer, audience=["agent-api", "other-api"], client_ids=["agent-ui"])
    assert ask(app, headers=bearer(issuer.mint(audience="other-api"))).status == 200
    assert ask(app, headers=bearer(issuer.mint(audience="third-api"))).status == 401
    assert ask(app, headers=bearer(issuer.mint(client_id="stranger"))).status == 401


def test_algorithm_leeway_and_token_type_are_enforced(issuer: FakeIssuer) -> None:
    assert ask(guarded(issuer, algorithm="RS256"), headers=bearer(issuer.mint())).status == 401
    assert ask(guarded(issuer, algorithm="ES256"), headers=bearer(issuer.mint())).status == 200
    late = issuer.mint(expires_in=-30)
    assert ask(guarded(issuer), headers=bearer(late)).status == 200
    assert ask(guarded(issuer, leeway=0), headers=bearer(late)).status == 401
    strict = guarded(issuer, token_type="at+jwt")
    assert ask(strict, headers=bearer(issuer.mint())).status == 401
    assert ask(strict, headers=bearer(issuer.mint(header={"typ": "at+jwt"}))).status == 200


def test_static_keys_need_no_issuer(issuer: FakeIssuer) -> None:
    key = issuer.signing_key("ES256")
    forged = bearer(issuer.mint("ada", key=FakeKey.generate("ES256", kid=key.kid)))
    for app in (
        OIDCMiddleware(Probe(), verification_keys=[key.public_pem()], algorithm="ES256"),
        OIDCMiddleware(Probe(), verification_keys=key.public_pem().encode(), algorithm="ES256"),
        OIDCMiddleware(Probe(), jwks=issuer.jwks()),
    ):
        assert ask(app, headers=bearer(issuer.mint("ada", audience="anyone"))).json()["user_id"] == "ada"
        assert ask(app, headers=forged).status == 401
        assert ask(app, headers=bearer(issuer.mint("ada", expires_in=-100))).json()["code"] == "token_expired"


@pytest.mark.parametrize("argument", ["secret_key", "verification_keys"])
def test_a_shared_secret_opens_only_for_its_own_algorithm(issuer: FakeIssuer, argument: str) -> None:
    arguments: Any = {argument: SECRET, "algorithm": "HS256", "audience": "agent-api"}
    app = OIDCMiddleware(Probe(), **arguments)
    good = issuer.mint("ada", key=FakeKey.from_secret(SECRET.encode()))
    assert ask(app, headers=bearer(good)).json()["user_id"] == "ada"
    assert ask(app, headers=bearer(issuer.mint("ada"))).status == 401
    assert ask(app, headers=bearer(issuer.mint("ada", key=FakeKey.from_secret(b"x" * 32)))).status == 401
    assert ask(app, headers=bearer(issuer.mint(key=FakeKey.from_secret(SECRET.encode()), audience="x"))).status == 401


def test_a_key_set_from_a_file_is_never_fetched(issuer: FakeIssuer, tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(issuer.jwks()))
    before = issuer.fetches.copy()
    for keys in (str(path), path):
        app = guarded(issuer, jwks_file=keys)
        assert ask(app, headers=bearer(issuer.mint("ada"))).status == 200
        assert ask(app, headers=bearer(issuer.mint("ada", key=FakeKey.generate("ES256")))).status == 401
    assert issuer.fetches == before


def test_a_ready_verifier_is_used_as_it_is(issuer: FakeIssuer) -> None:
    with issuer.verifier() as verifier:
        app = OIDCMiddleware(Probe(), verifier=verifier, token_source=TokenSource.COOKIE)
        positional = OIDCMiddleware(Probe(), verifier)
        token = issuer.mint("ada")
        assert ask(app, headers=cookie(token)).status == 200
        assert ask(positional, headers=bearer(token)).status == 200
        assert ask(app, headers=bearer(token)).status == 401


def test_several_issuers_keep_equal_subjects_apart(issuer: FakeIssuer) -> None:
    with FakeIssuer("https://second.idp.test", algorithms=("ES256",)).impersonate() as second:
        both = [
            Issuer(issuer_url=issuer.issuer_url, name="one", audience="agent-api"),
            Issuer(issuer_url=second.issuer_url, name="two", audience="agent-api"),
        ]
        app = OIDCMiddleware(Probe(), issuers=both)
        assert ask(app, headers=bearer(issuer.mint("ada"))).json()["user_id"] == "one:ada"
        assert ask(app, headers=bearer(second.mint("ada"))).json()["user_id"] == "two:ada"
        stranger = FakeIssuer("https://third.idp.test", algorithms=("ES256",))
        assert ask(app, headers=bearer(stranger.mint("ada"))).status == 401
        crossed = second.mint("ada", key=issuer.signing_key())
        assert ask(app, headers=bearer(crossed)).status == 401, "the first one's key does not sign for the second"


def environment(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"OIDCBRIDGE_{name}", value)


def test_the_environment_stands_in_for_what_the_code_does_not_say(
    issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment(
        monkeypatch,
        ISSUER_URL=issuer.issuer_url,
        AUDIENCE="other-api, agent-api",
        TOKEN_SOURCE="Both",
        TOKEN_HEADER_KEY="X-Token",
        COOKIE_NAME="agent",
        EXCLUDED_ROUTE_PATHS="/health, /public/*",
        ALLOWED_ORIGINS="https://ui.example.com",
        DEPENDENCIES_CLAIMS="email,name",
    )
    app = OIDCMiddleware(Probe(), cookie_name="mine")
    token = issuer.mint("ada", claims={"email": "e", "name": "n"})
    found = ask(app, headers=[("X-Token", token)]).json()
    assert (found["user_id"], found["dependencies"]) == ("ada", {"email": "e", "name": "n"})
    for path in ("/health", "/public/a"):
        assert ask(app, path).status == 200
    posted = [*cookie(token, "mine"), ("Origin", "https://ui.example.com")]
    assert ask(app, method="POST", headers=posted).status == 200, "the code's cookie name, the environment's origin"
    assert ask(app, headers=cookie(token, "agent")).status == 401


def test_the_environment_is_not_read_where_the_code_names_an_issuer_or_keys(
    issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment(monkeypatch, EXCLUDED_ROUTE_PATHS="*", TOKEN_SOURCE="cookie", NONSENSE="1", AUDIENCE="other")
    key = issuer.signing_key().public_pem()
    apps = [guarded(issuer), OIDCMiddleware(Probe(), verification_keys=key), OIDCMiddleware(Probe(), issuer.verifier())]
    for app in apps:
        assert ask(app).status == 401
        assert ask(app, headers=bearer(issuer.mint("ada"))).status == 200


@pytest.mark.parametrize("name", ["VALIDATE", "REQUIRE_AUTHENTICATION", "INSECURE_ALLOW_HTTP"])
def test_what_weakens_a_check_cannot_come_from_the_environment(
    issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    environment(monkeypatch, ISSUER_URL=issuer.issuer_url, AUDIENCE="agent-api", **{name: "s3cret-false"})
    with pytest.raises(ConfigurationError, match=f"OIDCBRIDGE_{name} is unknown") as caught:
        ask(OIDCMiddleware(Probe()))
    assert "s3cret" not in str(caught.value)


def test_a_demo_without_validation_reads_claim_names_from_the_environment(
    issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment(monkeypatch, USER_ID_CLAIM="email", TOKEN_HEADER_KEY="X-Token")
    app = OIDCMiddleware(Probe(), validate=False)
    token = issuer.mint("ada", claims={"email": "ada@example.com"})
    assert ask(app, headers=[("X-Token", token)]).json()["user_id"] == "ada@example.com"


def test_a_demo_that_names_its_issuer_reads_no_environment_and_maps_like_that_provider(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    environment(monkeypatch, USER_ID_CLAIM="email", NONSENSE="1")
    keycloak = FakeIssuer("https://kc.idp.test/realms/demo", algorithms=("ES256",))
    app = OIDCMiddleware(Probe(), validate=False, issuer_url=keycloak.issuer_url, dependencies_claims=["sid"])
    token = keycloak.mint("ada", claims={"email": "ada@example.com", "session_state": "s-1", "sid": OMIT})
    found = ask(app, headers=bearer(token)).json()
    assert (found["user_id"], found["session_id"], found["authenticated"]) == ("ada", "s-1", False)
