"""What verifiers, threads and requests share cannot be changed by any of them."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError, fields
from types import MappingProxyType

import pytest

from oidcbridge.core.addresses import AddressRule
from oidcbridge.core.events import Event
from oidcbridge.core.freshness import Lifetime
from oidcbridge.core.issuer_patterns import IssuerPattern
from oidcbridge.core.mapping import ClaimMapping
from oidcbridge.core.metadata import IssuerMetadata
from oidcbridge.core.policy import FetchOptions, Policy, TokenRules
from oidcbridge.core.principal import Principal
from oidcbridge.core.stored_keys import StoredKeys

SHARED = [
    AddressRule(),
    ClaimMapping(),
    Event("dead", issuer="https://id.example.com", time=0.0, details=MappingProxyType({})),
    FetchOptions(),
    IssuerMetadata("https://id.example.com", None),
    IssuerPattern("https://{a}.id.example.com/", "https://tenant.id.example.com/", re.compile("a")),
    Lifetime(soft=1.0, hard=2.0, max_stale=3.0),
    Policy(issuer=None, audiences=None, algorithms=frozenset()),
    Principal(user_id="ada"),
    StoredKeys("https://id.example.com", "https://id.example.com/keys", 0.0, 0.0, 0.0, None, b""),
    TokenRules(),
]


@pytest.mark.parametrize("shared", SHARED, ids=lambda shared: type(shared).__name__)
def test_nothing_in_it_can_be_set_or_deleted(shared: object) -> None:
    for field in fields(shared):  # type: ignore[arg-type]
        before = getattr(shared, field.name)
        with pytest.raises(FrozenInstanceError):
            setattr(shared, field.name, None)
        with pytest.raises(FrozenInstanceError):
            delattr(shared, field.name)
        assert getattr(shared, field.name) is before
