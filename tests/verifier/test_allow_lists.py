"""Who may come in, and under which id: lists that never mean everybody by accident, ids that are nobody else's."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from oidcbridge import ConfigurationError, Issuer
from oidcbridge.settings import Settings, resolve, unverified_mapping

URL = "https://id.example.com/realms/acme"
GOOD: dict[str, Any] = {"issuer_url": URL, "audience": "agent-api"}


def build(**arguments: Any) -> Settings:
    return resolve(arguments, {})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["client_ids", "tenants"])
def test_a_list_that_is_none_is_refused_since_an_unset_variable_would_allow_everybody(name: str) -> None:
    words = f"{name}=None would allow everybody.*leave the argument out"
    with pytest.raises(ConfigurationError, match=words):
        build(**GOOD, **{name: None})
    nobody: Any = {name: None}
    no_rule: list[dict[str, Any]] = [{}, {name: ()}, {name: []}]
    rule: list[dict[str, Any]] = [{name: "a"}, {name: ["a"]}]
    with pytest.raises(ConfigurationError, match=words):
        build(issuers=[Issuer(**GOOD, name="acme", **nobody)])
    for said in no_rule:
        for [issuer] in (build(**GOOD, **said).issuers, build(issuers=[Issuer(**GOOD, name="acme", **said)]).issuers):
            assert (issuer.policy.client_ids, issuer.mapping.tenants) == (frozenset(), frozenset())
    for said in rule:
        for [issuer] in (build(**GOOD, **said).issuers, build(issuers=[Issuer(**GOOD, name="acme", **said)]).issuers):
            assert (issuer.policy.client_ids | issuer.mapping.tenants) == {"a"}


def test_tenants_that_are_none_are_refused_for_a_demo_too() -> None:
    nobody: Any = {"tenants": None}
    with pytest.raises(ConfigurationError, match="tenants=None"):
        unverified_mapping(nobody)
    assert unverified_mapping({}).tenants == frozenset()


@pytest.mark.parametrize("tenants", ["client", "acme:eu", ":", ["acme", "acme:eu"], ["acme", "client"]])
def test_a_tenant_whose_users_could_have_anothers_id_is_refused(tenants: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"tenants are names without a colon.*'client'.*machines"):
        build(**GOOD, tenants=tenants)
    [issuer] = build(**GOOD, tenants=["acme", "clients", "b.example"]).issuers
    assert issuer.mapping.tenants == {"acme", "clients", "b.example"}


@pytest.mark.parametrize("claim", ["email", "preferred_username", "username", "upn"])
def test_an_id_that_can_be_given_to_somebody_else_is_warned_of(claim: str, caplog: pytest.LogCaptureFixture) -> None:
    build(**GOOD, user_id_claim=claim)
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert claim in record.getMessage()
    assert "'sub'" in record.getMessage()
    caplog.clear()
    build(**GOOD, user_id_claim="sub")
    build(**GOOD)
    assert caplog.records == []


@pytest.mark.parametrize("claims", [["preferred_username", "sub"], ["sub", "email"], ["oid", "upn", "sub"]])
def test_an_id_from_one_of_several_claims_that_users_may_choose_is_warned_of(
    claims: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    build(**GOOD, user_id_claim=claims)
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert "another person's id" in record.getMessage()
    assert all(claim in record.getMessage() for claim in claims)
    caplog.clear()
    build(**GOOD, user_id_claim=["oid", "sub"])
    assert caplog.records == []
