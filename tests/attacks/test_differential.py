"""What we accept, joserfc and PyJWT accept too, and read the same claims in it: the good twins, and mutations of them.

The other way round does not hold, and is what `test_attacks` is about.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc.jws import JWSRegistry
from joserfc.jwt import JWTClaimsRegistry
from joserfc.jwt import decode as joserfc_decode
from jwt.algorithms import OKPAlgorithm

from oidcbridge import Principal, Verifier
from oidcbridge.core.strict_json import thaw
from oidcbridge.core.token import parse_unverified
from oidcbridge.errors import TokenError
from oidcbridge.testing import FakeKey
from tests.attacks.families import Family
from tests.attacks.forge import LEEWAY, Site, Twin, World, as_json, encode

# joserfc warns of EdDSA by its older name, and so do we not (RFC 8725bis 3.2 accepts both).
pytestmark = pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
# Few examples: a new set of them in every run. Raise max_examples to search in earnest.
calm = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
ALGORITHMS = ("ES256", "RS256", "PS256", "Ed25519", "ES512")
TEXTS = st.sampled_from('ABCXYZabcxyz0189-_.=+/ \n\0\u0661\uff21~%{"')
NAMES = st.sampled_from(
    ["iss", "aud", "sub", "exp", "nbf", "iat", "jti", "azp", "client_id", "scope", "cnf", "nonce", "typ", "x"]
)
HEADER_NAMES = st.sampled_from(["alg", "kid", "typ", "cty", "crit", "b64", "zip", "jwk", "jku", "x5c", "enc", "x"])
LEAVES = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=8)
WORDS = st.sampled_from(["agent-api", "ada", "agent-ui", "JWT", "at+jwt", "none", "ES256", "https://main.idp.test", ""])
VALUES = st.recursive(
    LEAVES | WORDS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=2), max_leaves=4
)
JSON_PIECES = st.sampled_from(
    [
        '"',
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        " ",
        "\n",
        "\t",
        "0",
        "-",
        "e9",
        "\\u0000",
        "\\ud800",
        "1.0",
        "null",
        '"x":1,',
        "NaN",
        "\ufeff",
        "\0",
        "\u00e9",
    ]
)


@pytest.fixture(scope="module", autouse=True)
def _ed25519_in_pyjwt() -> Iterator[None]:
    """PyJWT knows the algorithm by its older name alone."""
    jwt.register_algorithm("Ed25519", OKPAlgorithm())
    yield
    jwt.unregister_algorithm("Ed25519")


class Registry(JWSRegistry):
    """joserfc also checks the types of members that decide nothing, such as ``jku``; RFC 7515 section 4 does not."""

    def check_header(self, header: dict[str, Any]) -> None:
        decisive = ("alg", "kid", "typ", "crit", "b64")
        super().check_header({name: value for name, value in header.items() if name in decisive})


class Judge(NamedTuple):
    """A verifier of ours, and the two others at the same site and moment."""

    site: Site
    verifier: Verifier
    now: int

    def __repr__(self) -> str:
        return f"Judge({self.site.issuer.issuer_url})"

    def accepts(self, token: str) -> bool:
        """Whether we do; where we do, the others agree."""
        try:
            principal = self.verifier.verify_now(token)
        except TokenError:
            return False
        self.must_agree(token, principal)
        return True

    def must_agree(self, token: str, principal: Principal) -> None:
        header = parse_unverified(token).header
        key = self._key(header.kid, header.alg)
        claims = thaw(principal.claims)
        registry = Registry(algorithms=[header.alg], strict_check_header=False)
        # Of jti both ask that it be a string; here it decides nothing, but in the strict profile (RFC 9068 2.2).
        theirs = joserfc_decode(token, key.private_key, registry=registry).claims
        assert theirs == claims
        JWTClaimsRegistry(
            now=self.now, leeway=LEEWAY, iss={"essential": True, "value": claims["iss"]}, exp={"essential": True}
        ).validate({name: value for name, value in theirs.items() if name != "jti"})
        public: Any = key.private_key.get_op_key("verify")
        # It reads the real clock, and the world stands still.
        options: Any = {"require": ["exp"], "verify_jti": False}
        assert claims == jwt.decode(
            token,
            public,
            algorithms=[header.alg],
            audience=self.site.issuer.audience if "aud" in claims else None,
            issuer=self.site.issuer.issuer_url,
            leeway=LEEWAY + 3600,
            options=options,
        )

    def _key(self, kid: str | None, alg: str) -> FakeKey:
        if self.site.secret is not None:
            return self.site.secret
        keys = [key for key in self.site.issuer.keys if not isinstance(key, Mapping)]
        if kid is None:
            return next(key for key in keys if key.alg == alg)
        return next(key for key in keys if key.kid == kid)


@pytest.fixture(scope="module")
def judges(world: World) -> Iterator[dict[str, Judge]]:
    judges = {
        name: Judge(site, Verifier(**site.arguments, clock=world.clock, token_cache=0), world.now)
        for name, site in world.sites.items()
    }
    yield judges
    for judge in judges.values():
        judge.verifier.close()


@pytest.fixture(scope="module")
def twins(families: dict[str, Family]) -> list[Twin]:
    return [twin for family in families.values() for twin in family.twins]


def test_both_others_accept_every_good_twin_and_read_the_same_in_it(
    judges: dict[str, Judge], twins: list[Twin]
) -> None:
    assert len(twins) >= 50
    for twin in twins:
        assert judges[twin.site].accepts(twin.token), twin.name


@calm
@given(st.data())
def test_a_twin_with_characters_changed_is_accepted_by_all_or_not_by_us(
    judges: dict[str, Judge], twins: list[Twin], data: st.DataObject
) -> None:
    twin = data.draw(st.sampled_from(twins))
    text = list(twin.token)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text) - 1))
        piece = data.draw(TEXTS)
        text[at : at + data.draw(st.integers(0, 1))] = [piece] if data.draw(st.booleans()) else []
    changed = "".join(text)
    # A signature has one text, and only ECDSA has two of them for one message: nobody finds the other by chance.
    assert judges[twin.site].accepts(changed) == (changed == twin.token)


@calm
@given(st.data())
def test_parts_of_several_twins_are_accepted_together_only_where_one_had_them_all(
    judges: dict[str, Judge], twins: list[Twin], data: st.DataObject
) -> None:
    pool = st.sampled_from(twins)
    chosen = [data.draw(pool) for _ in range(3)]
    token = ".".join(twin.token.split(".")[part] for part, twin in enumerate(chosen))
    genuine = {(twin.site, twin.token) for twin in twins}
    for site in {twin.site for twin in chosen}:
        assert judges[site].accepts(token) == ((site, token) in genuine)


@calm
@given(
    st.dictionaries(NAMES, VALUES, max_size=3),
    st.dictionaries(HEADER_NAMES, VALUES | st.sampled_from(ALGORITHMS), max_size=2),
    st.sampled_from(ALGORITHMS),
)
def test_whatever_claims_and_headers_an_issuer_signs_are_accepted_by_all_or_not_by_us(
    judges: dict[str, Judge], claims: dict[str, object], header: dict[str, object], alg: str
) -> None:
    site = judges["main"].site
    accepted = judges["main"].accepts(site.sign(claims, header, alg=alg))
    assert not (accepted and {"crit", "b64", "zip", "enc"} & header.keys())
    assert not (accepted and {"cnf", "nonce"} & claims.keys())


@calm
@given(st.data(), st.sampled_from(["header", "payload"]))
def test_json_changed_before_it_is_signed_is_accepted_by_all_or_not_by_us(
    judges: dict[str, Judge], data: st.DataObject, part: str
) -> None:
    site = judges["main"].site
    texts = {"header": as_json(site.header()).decode(), "payload": as_json(site.claims()).decode()}
    for _ in range(data.draw(st.integers(1, 2))):
        at = data.draw(st.integers(0, len(texts[part])))
        cut = data.draw(st.integers(0, 2))
        texts[part] = texts[part][:at] + data.draw(JSON_PIECES | st.just("")) + texts[part][at + cut :]
    token = site.text(encode(texts["header"]), encode(texts["payload"]))
    if judges["main"].accepts(token):
        assert all(isinstance(json.loads(text), dict) for text in texts.values())


def refused_by(call: Callable[[], object]) -> bool:
    try:
        call()
    except jwt.PyJWTError:
        return True
    return False


def test_the_others_are_asked_in_earnest(judges: dict[str, Judge], world: World) -> None:
    """The comparison can fail: told that a forged or changed token was accepted, it says so."""
    judge, good = judges["main"], world.main.sign()
    principal = judge.verifier.verify_now(good)
    judge.must_agree(good, principal)
    forged = world.main.sign(key=world.forger)
    with pytest.raises(Exception, match=r"bad_signature|Signature"):
        judge.must_agree(forged, principal)
    with pytest.raises(AssertionError):
        judge.must_agree(world.main.sign({"sub": "eve"}), principal)
    assert refused_by(lambda: jwt.decode(forged, world.main.key().public_pem(), algorithms=["ES256"]))
