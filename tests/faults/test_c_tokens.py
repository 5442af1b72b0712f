"""C: abuse by the single token. What no key could save is refused before anybody is asked, and before it is read."""

from __future__ import annotations

import gc
import logging
import tracemalloc
from typing import Any

import pytest

from oidcbridge import OIDCMiddleware, Verifier
from oidcbridge.core import token as token_module
from oidcbridge.errors import MalformedTokenError, UnknownIssuerError
from oidcbridge.testing import FakeIssuer, FakeKey
from tests.asgi.kit import Probe, ask, bearer
from tests.faults.forging import Forger
from tests.faults.network import watched
from tests.faults.table import Row, scenario
from tests.faults.watching import Watcher
from tests.remote.asking import refuse, settle
from tests.remote.hostile import HeldIssuer, HostileServer, answer

KB, MB = 2**10, 2**20


def status(app: OIDCMiddleware, token: str) -> int:
    return ask(app, headers=bearer(token)).status


@scenario("C28")
def test_c28_a_kid_that_is_no_short_text_is_refused_in_bounded_memory_and_writes_no_line_of_the_log(
    issuer: HeldIssuer, verifier: Verifier, caplog: pytest.LogCaptureFixture, watcher: Watcher, row: Row
) -> None:
    """The texts with odd characters are kids all the same: they are looked for, as far as the budget goes."""
    caplog.set_level(logging.DEBUG)
    app, forger = OIDCMiddleware(Probe(), verifier=verifier), Forger(issuer)
    for kid in (7, 1.5, True, None, ["k"], {"k": "k"}, "k" * 257, "\U0001f511" * 65):
        assert status(app, forger.forge(kid)) == 401
    huge = forger.forge("k" * MB)
    kept, peak = memory_of_refusing(verifier, huge)
    assert (kept < 64 * KB, peak < 64 * KB) == (True, True)
    assert status(app, huge) == 401
    assert issuer.fetches["jwks"] == 1
    for kid in ("a\x00b", "a\r\nINFO root: admin logged in", "\x1b[2J\u202e\u2028\U0001f511"):
        assert status(app, forger.forge(kid)) == 401
    assert issuer.fetches["jwks"] == 3
    said = [record.getMessage() for record in caplog.records if record.name.startswith("oidcbridge")]
    assert "admin logged in" in "".join(said)
    assert [told["kid"] for told in watcher.of("unknown_kid")] == ["a\x00b", "a\r\nINFO root: admin logged in"]
    assert [line for line in said if not (line.isascii() and line.isprintable() and len(line) < 1000)] == []
    assert status(app, issuer.mint("ada")) == 200
    row.saw("all 401, the log escaped, nothing kept of 1 MB", issuer.fetches)


def memory_of_refusing(verifier: Verifier, token: str) -> tuple[int, int]:
    """Bytes that a hundred refusals of ``token`` keep in use, and that they need meanwhile."""
    refuse(verifier, token, MalformedTokenError)
    gc.collect()
    tracemalloc.start()
    try:
        for _ in range(100):
            refuse(verifier, token, MalformedTokenError)
        gc.collect()
        return tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()


@scenario("C30")
def test_c30_a_token_of_an_unknown_issuer_makes_nobody_ask_and_looks_no_name_up(issuer: HeldIssuer, row: Row) -> None:
    port = issuer.issuer_url.rpartition(":")[2]
    with (
        HostileServer(answer()) as evil,
        issuer.verifier(jwks_uri=f"http://localhost:{port}/jwks") as verifier,
        watched({"localhost": ["127.0.0.1"]}) as tried,
    ):
        app = OIDCMiddleware(Probe(), verifier=verifier)
        for name in (evil.url, "https://evil.example", "//evil.example", f"{issuer.issuer_url}/", 7, ["evil"], None):
            token = issuer.mint(claims={"iss": name})
            for _ in range(10):
                assert status(app, token) == 401
            refuse(verifier, token, UnknownIssuerError)
        assert (tried.names, tried.addresses, evil.requests, issuer.fetches.total()) == ([], [], [], 0)
        assert status(app, issuer.mint("ada")) == 200
        assert (set(tried.names), issuer.fetches["jwks"]) == ({"localhost"}, 1)
    row.saw("all 401, no name looked up, nobody connected to", issuer.fetches)


def never_worth_a_fetch(issuer: FakeIssuer) -> dict[str, str]:
    """Tokens whose header alone refuses them, each under the kid of a good key."""
    key = issuer.signing_key()
    algorithms = ("none", "None", "nOnE", "")
    unsigned = {f"alg {alg!r}": issuer.mint(header={"alg": alg}).rpartition(".")[0] + "." for alg in algorithms}
    secrets = {"PEM": key.public_pem().encode(), "PEM, stripped": key.public_pem().strip().encode()}
    shared = {
        f"HS256 with {name}": issuer.mint(key=FakeKey.from_secret(secret, kid=key.kid))
        for name, secret in secrets.items()
    }
    critical = {f"crit {crit}": issuer.mint(header={"crit": crit}) for crit in (["exp"], ["b64"], [], None)}
    foreign = issuer.mint(key=FakeKey.generate("ES384", kid=key.kid))
    return {**unsigned, **shared, **critical, "ES384 where ES256 is allowed": foreign}


def keys_of_their_own(issuer: FakeIssuer, evil: HostileServer) -> dict[str, str]:
    """Tokens that bring the key that verifies them, or say where it is, under the kid of a good one."""
    forger = FakeKey.generate("ES256", kid=issuer.signing_key().kid)
    evil.otherwise = answer(b"{}")
    brought: dict[str, object] = {
        "jwk": forger.public_jwk(),
        "jku": f"{evil.url}/jwks",
        "x5u": f"{evil.url}/chain.pem",
        "x5c": [forger.public_pem().replace("\n", "")],
    }
    return {name: issuer.mint(key=forger, header={name: value}) for name, value in brought.items()}


@scenario("C31")
def test_c31_a_header_can_choose_neither_an_algorithm_that_is_not_allowed_nor_a_key(
    issuer: HeldIssuer, row: Row
) -> None:
    with HostileServer(answer()) as evil, issuer.verifier(algorithms=["ES256"]) as verifier:
        app = OIDCMiddleware(Probe(), verifier=verifier)
        for name, token in never_worth_a_fetch(issuer).items():
            assert status(app, token) == 401, name
        assert issuer.fetches.total() == 0
        settle(verifier)
        brought = keys_of_their_own(issuer, evil)
        for name, token in (never_worth_a_fetch(issuer) | brought).items():
            assert status(app, token) == 401, name
        assert issuer.fetches["jwks"] == 1
        good = issuer.mint("ada", header={"jku": f"{evil.url}/jwks", "x5u": evil.url, "jwk": {"kty": "oct"}})
        assert status(app, good) == 200  # where a good signature is beneath them, they are not even looked at
        assert (evil.requests, issuer.fetches["jwks"]) == ([], 1)
    row.saw("all 401, none asked for, the attacker's address never visited", issuer.fetches)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of what has been decoded of any token, from base64 or from JSON."""
    sizes: list[int] = []

    def watch(name: str) -> None:
        decode: Any = getattr(token_module, name)

        def watched(data: bytes, **options: object) -> object:
            sizes.append(len(data))
            return decode(data, **options)

        monkeypatch.setattr(token_module, name, watched)

    watch("a2b_base64")
    watch("parse_json")
    return sizes


@scenario("C32")
def test_c32_a_token_of_500_kb_is_refused_before_any_of_it_is_decoded(
    issuer: HeldIssuer, verifier: Verifier, decoded: list[int], row: Row
) -> None:
    app = OIDCMiddleware(Probe(), verifier=verifier)
    for size in (500_000, 16 * KB + 1):
        refused = issuer.mint(claims={"padding": "x" * size})
        assert len(refused) > size
        assert status(app, refused) == 401
        refuse(verifier, refused, MalformedTokenError)
        assert decoded == []
    assert status(app, issuer.mint("ada", claims={"padding": "x" * 11_000})) == 200
    assert max(decoded) > 11_000
    assert issuer.fetches["jwks"] == 1
    row.saw("401, not a byte decoded", issuer.fetches)
