"""What the rules of verification and mapping say at their edges, where the usual token never comes."""

from __future__ import annotations

import json
from decimal import Decimal
from math import prod

import pytest

from oidcbridge.core.keys import parse_key_set, why_weak
from oidcbridge.core.mapping import ClaimMapping, principal_from
from oidcbridge.core.strict_json import freeze, thaw
from oidcbridge.core.verify import VerifiedToken
from oidcbridge.testing import FakeKey

SMALL_PRIMES = [number for number in range(2, 168) if all(number % divisor for divisor in range(2, number))]


def test_a_modulus_of_the_broken_generator_is_known_by_its_small_primes() -> None:
    product = prod(SMALL_PRIMES)
    power = pow(65537, 123_456_789, product)
    broken = (1 << 2047) // product * product + product + power
    assert broken % 2
    assert "CVE-2017-15361" in (why_weak(broken, 65537) or "")
    assert why_weak(broken + 2, 65537) is None


@pytest.mark.parametrize("change", [freeze, thaw])
def test_what_is_no_json_passes_as_it_is(change: object) -> None:
    assert callable(change)
    value = Decimal("1.5")
    assert change({"amount": [value]})["amount"][0] is value


@pytest.mark.parametrize(("machine", "user_id"), [(True, "client:agent"), (False, "agent")])
def test_a_user_with_the_name_of_its_client_is_a_machine_only_where_the_rule_says_so(
    machine: bool, user_id: str
) -> None:
    mapping = ClaimMapping(is_machine=lambda _claims: machine)
    key = FakeKey.generate("ES256")
    signer = parse_key_set(json.dumps({"keys": [key.public_jwk()]}).encode()).keys[0]
    principal = principal_from(VerifiedToken({"sub": "agent", "azp": "agent"}, 5.0, 0.0, signer), mapping)
    assert (principal.user_id, principal.kind) == (user_id, "machine" if machine else "user")
