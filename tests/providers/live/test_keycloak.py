"""Keycloak itself: organizations, roles of several clients, groups, lightweight tokens, shared secrets, two realms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from oidcbridge import Issuer, Verifier
from oidcbridge.errors import (
    AlgorithmNotAllowedError,
    AudienceMismatchError,
    KeyNotFoundError,
    MissingClaimError,
    TokenTypeError,
    UnknownIssuerError,
)
from tests.e2e.keycloak_browser import Browser
from tests.e2e.keycloak_server import KeycloakServer
from tests.providers.live.tokens import unverified_claims, unverified_header, with_claims
from tests.providers.sample import load_sample

ACCOUNT_ROLES = {"account:manage-account", "account:manage-account-links", "account:view-profile"}
REALM_ROLES = {"default-roles-acme", "offline_access", "uma_authorization"}


def verifier_for(server: KeycloakServer, **arguments: Any) -> Verifier:
    return Verifier(**{"issuer_url": server.issuer_url, "audience": "agent-api", **arguments})


def token_of(server: KeycloakServer, user: str = "alice", client: str = "agent-ui", scope: str = "openid") -> str:
    token: str = server.password_token(client, user, f"{user}-pw", scope=scope)["access_token"]
    return token


def machine_token(server: KeycloakServer, client: str = "svc") -> str:
    token: str = server.client_credentials_token(client, f"{client}-secret")["access_token"]
    return token


def test_a_user_is_known_by_sub_with_session_scopes_roles_and_groups(keycloak: KeycloakServer) -> None:
    token = token_of(keycloak)
    with verifier_for(keycloak, dependencies_claims=["name", "email"]) as verifier:
        principal = verifier.verify_now(token)
    claims = unverified_claims(token)
    assert (principal.user_id, principal.kind, principal.client_id) == (claims["sub"], "user", "agent-ui")
    assert principal.session_id == claims["sid"]
    assert sorted(principal.scopes) == ["email", "openid", "profile"]
    assert set(principal.roles) == {"analyst", "tool-runner", "billing:admin"} | REALM_ROLES | ACCOUNT_ROLES
    assert principal.groups == ("/engineering/platform",)
    assert principal.dependencies == {"name": "Alice Adams", "email": "alice@acme.example"}
    assert principal.tenant is None  # never the realm's name


def test_the_session_outlasts_a_refresh_and_not_a_second_login(keycloak: KeycloakServer) -> None:
    first = keycloak.password_token("agent-ui", "alice", "alice-pw")
    answers = [first, keycloak.refresh("agent-ui", first["refresh_token"])]
    with verifier_for(keycloak) as verifier:
        sessions = [verifier.verify_now(answer["access_token"]).session_id for answer in answers]
        second = verifier.verify_now(token_of(keycloak)).session_id
    assert sessions[0] == sessions[1]
    assert sessions[0] != second


def test_a_machine_keeps_its_service_account_s_subject(keycloak: KeycloakServer) -> None:
    token = machine_token(keycloak)
    with verifier_for(keycloak) as verifier:
        principal = verifier.verify_now(token)
    assert (principal.user_id, principal.kind) == (unverified_claims(token)["sub"], "machine")
    assert (principal.client_id, principal.session_id) == ("svc", None)


@pytest.mark.parametrize(
    ("user", "scope", "tenant"),
    [
        ("alice", "openid organization", "acme"),
        ("alice", "openid", None),
        ("bob", "openid organization", None),  # a member of two, who says neither
        ("bob", "openid organization:*", None),
        ("bob", "openid organization:globex", "globex"),
        ("carol", "openid organization", None),  # a member of none
    ],
)
def test_the_tenant_is_the_organization_where_there_is_exactly_one(
    keycloak: KeycloakServer, user: str, scope: str, tenant: str | None
) -> None:
    with verifier_for(keycloak) as verifier:
        assert verifier.verify_now(token_of(keycloak, user, scope=scope)).tenant == tenant


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        ({}, "organization-list"),
        ({"jsonType.label": "JSON"}, "user"),
        ({"jsonType.label": "JSON", "addOrganizationId": "true"}, "organization-id"),
        ({"multivalued": "false"}, "organization-string"),
    ],
)
def test_the_organization_is_read_in_each_shape_that_its_mapper_can_write(
    keycloak: KeycloakServer, config: Mapping[str, str], shape: str
) -> None:
    with organization_mapper(keycloak, config):
        token = token_of(keycloak, scope="openid organization")
    documented, written = (
        load_sample("keycloak", shape).payload["organization"],
        unverified_claims(token)["organization"],
    )
    assert type(written) is type(documented)
    assert _members(written) == _members(documented)
    with verifier_for(keycloak) as verifier:
        assert verifier.verify_now(token).tenant == "acme"


class TwoPages(Browser):
    """Where a realm has organizations, the password is asked for on a page of its own."""

    def log_in(self, username: str, password: str) -> str:
        self.submit(username=username)
        assert not self.sent_to
        return super().log_in(username, password)


def test_a_login_by_form_names_the_organization_too(keycloak: KeycloakServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.e2e.keycloak_server.Browser", TwoPages)
    token = keycloak.login_with_pkce("agent-ui", "alice", "alice-pw", scope="openid organization")["access_token"]
    assert _prefix(unverified_claims(token)["jti"]) == "onrtac"
    with verifier_for(keycloak) as verifier:
        principal = verifier.verify_now(token)
    assert (principal.kind, principal.tenant) == ("user", "acme")


def test_an_id_token_and_a_refresh_token_are_refused_also_where_their_audience_is_ours(
    keycloak: KeycloakServer,
) -> None:
    answer = keycloak.password_token("agent-ui", "alice", "alice-pw")
    with verifier_for(keycloak, audience=["agent-api", "agent-ui", keycloak.issuer_url]) as verifier:
        assert verifier.verify_now(answer["access_token"]).client_id == "agent-ui"
        with pytest.raises(TokenTypeError):
            verifier.verify_now(answer["id_token"])
        with pytest.raises(AlgorithmNotAllowedError):
            verifier.verify_now(answer["refresh_token"])


def test_a_token_without_our_audience_is_refused(keycloak: KeycloakServer) -> None:
    with verifier_for(keycloak) as verifier, pytest.raises(AudienceMismatchError, match="audience mapper"):
        verifier.verify_now(token_of(keycloak, client="agent-ui-no-audience"))


def test_a_token_of_a_client_that_is_not_on_the_list_is_refused(keycloak: KeycloakServer) -> None:
    with verifier_for(keycloak, client_ids=["svc"]) as verifier:
        assert verifier.verify_now(machine_token(keycloak)).client_id == "svc"
        with pytest.raises(AudienceMismatchError, match="client_ids"):
            verifier.verify_now(token_of(keycloak))


def test_a_token_without_the_basic_scope_names_nobody(keycloak: KeycloakServer) -> None:
    with verifier_for(keycloak) as verifier, pytest.raises(MissingClaimError, match="'basic' scope"):
        verifier.verify_now(token_of(keycloak, client="agent-ui-no-basic"))


@pytest.mark.parametrize(("kind", "prefix"), [("user", "onltro"), ("machine", "trltcc")])
def test_a_lightweight_token_is_refused_naming_the_mapper_setting_that_it_passes_with(
    keycloak: KeycloakServer, kind: str, prefix: str
) -> None:
    light, restored = (_lightweight(keycloak, kind, suffix) for suffix in ("", "-restored"))
    assert _prefix(unverified_claims(light)["jti"]) == _prefix(unverified_claims(restored)["jti"]) == prefix
    with verifier_for(keycloak) as verifier:
        with pytest.raises(AudienceMismatchError, match=r"lightweight access token.*\(lightweight\.claim\)"):
            verifier.verify_now(light)
        principal = verifier.verify_now(restored)
    assert (principal.user_id, principal.kind) == (unverified_claims(restored)["sub"], kind)


def test_a_lightweight_user_is_nobody_also_where_the_client_alone_is_asked_for(keycloak: KeycloakServer) -> None:
    clients = ["agent-ui-light", "agent-ui-light-restored"]
    with verifier_for(keycloak, audience=None, client_ids=clients) as verifier:
        with pytest.raises(MissingClaimError, match=r"\(lightweight\.claim\)"):
            verifier.verify_now(_lightweight(keycloak, "user"))
        assert verifier.verify_now(_lightweight(keycloak, "user", "-restored")).kind == "user"


def test_a_token_signed_with_a_shared_secret_is_refused(keycloak: KeycloakServer) -> None:
    token = token_of(keycloak, client="agent-ui-hs256")
    assert unverified_header(token)["alg"] == "HS256"
    with verifier_for(keycloak) as verifier, pytest.raises(AlgorithmNotAllowedError, match="shared secret"):
        verifier.verify_now(token)


def test_the_rfc_9068_header_type_can_be_insisted_on_only_where_keycloak_writes_the_claims_too(
    keycloak: KeycloakServer,
) -> None:
    token = token_of(keycloak, client="agent-ui-at-jwt")
    with verifier_for(keycloak) as verifier:
        assert verifier.verify_now(token).client_id == "agent-ui-at-jwt"
    with verifier_for(keycloak, token_type="at+jwt") as verifier:
        with pytest.raises(TokenTypeError):
            verifier.verify_now(token_of(keycloak))  # its header says JWT
        with pytest.raises(MissingClaimError, match="client_id"):
            verifier.verify_now(token)


def test_a_token_of_another_realm_is_refused(keycloak: KeycloakServer) -> None:
    token = keycloak.password_token("agent-ui", "ada", "ada-pw", realm="agents")["access_token"]
    with verifier_for(keycloak) as verifier:
        with pytest.raises(UnknownIssuerError):
            verifier.verify_now(token)
        with pytest.raises(KeyNotFoundError):
            verifier.verify_now(with_claims(token, iss=keycloak.issuer_url))


def test_two_realms_are_two_issuers_whose_users_keep_apart(keycloak: KeycloakServer) -> None:
    realms = ("acme", "agents")
    ada = keycloak.password_token("agent-ui", "ada", "ada-pw", realm="agents")["access_token"]
    issuers = [Issuer(issuer_url=keycloak.issuer_url_of(realm), audience="agent-api", name=realm) for realm in realms]
    with Verifier(issuers=issuers) as verifier:
        principals = [verifier.verify_now(token) for token in (token_of(keycloak), ada)]
    assert [principal.user_id.partition(":")[0] for principal in principals] == list(realms)
    assert [principal.issuer for principal in principals] == [keycloak.issuer_url_of(realm) for realm in realms]


@pytest.mark.parametrize(
    ("name", "client", "may_lack"),
    [
        # auth_time and the code grant's nonce come with a login by browser alone; the organization with its scope.
        ("user", "agent-ui", {"auth_time", "organization"}),
        ("user-at-jwt", "agent-ui-at-jwt", {"auth_time", "organization"}),
        ("lightweight", "agent-ui-light", set()),
        ("no-basic-scope", "agent-ui-no-basic", {"acr", "allowed-origins", "organization"}),
        ("id", "agent-ui", {"auth_time", "nonce", "organization"}),
        ("refresh", "agent-ui", set()),
    ],
)
def test_real_tokens_have_the_documented_claims(
    keycloak: KeycloakServer, name: str, client: str, may_lack: set[str]
) -> None:
    sample = load_sample("keycloak", name)
    answer = keycloak.password_token(client, "alice", "alice-pw")
    token: str = answer[f"{sample.token}_token"]
    claims = unverified_claims(token)
    assert sample.payload.keys() - claims.keys() == may_lack
    assert unverified_header(token).keys() == sample.header.keys()
    assert unverified_header(token)["typ"] == sample.header["typ"]
    if sample.token != "refresh":
        assert _prefix(claims["jti"])[:4] == _prefix(sample.payload["jti"])[:4]
    shared = claims.keys() & sample.payload.keys()
    assert {name: type(claims[name]) for name in shared} == {name: type(sample.payload[name]) for name in shared}


def test_a_real_machine_s_token_has_the_documented_claims(keycloak: KeycloakServer) -> None:
    sample, claims = load_sample("keycloak", "machine").payload, unverified_claims(machine_token(keycloak))
    assert sample.keys() <= claims.keys()
    assert "sid" not in claims
    assert _prefix(claims["jti"]) == _prefix(sample["jti"]) == "trrtcc"


@contextmanager
def organization_mapper(server: KeycloakServer, config: Mapping[str, str]) -> Iterator[None]:
    """The mapper of the scope `organization`, with other settings for a while."""
    (scope,) = [one for one in server.admin("GET", "/client-scopes").json() if one["name"] == "organization"]
    (mapper,) = scope["protocolMappers"]
    path = f"/client-scopes/{scope['id']}/protocol-mappers/models/{mapper['id']}"
    server.admin("PUT", path, {**mapper, "config": {**mapper["config"], **config}})
    try:
        yield
    finally:
        server.admin("PUT", path, mapper)


def _lightweight(server: KeycloakServer, kind: str, suffix: str = "") -> str:
    if kind == "user":
        return token_of(server, client=f"agent-ui-light{suffix}")
    return machine_token(server, f"svc-light{suffix}")


def _members(organization: object) -> object:
    """How an organization stands in the claim: as text, or as an object with these members."""
    if isinstance(organization, dict):
        return [sorted(about) for about in organization.values()]
    return type(organization)


def _prefix(jti: str) -> str:
    """Of an access token's ``jti``: session type, token type and grant, two letters each."""
    return jti.partition(":")[0] if ":" in jti else ""
