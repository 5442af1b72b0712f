"""Tokens of other kinds, and of other issuers, all of them well made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from oidcbridge.testing import OMIT
from tests.attacks.forge import CLIENT, JTI, Attack, Twin, World

CNFS: tuple[object, ...] = (None, {}, {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"},
{"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"},
                             {"jwk": {"kty": "oct"}}, {"kid": "x"}, {"jku": "https://evil.test"}, {"unknown": 1}, "x",
                             [], 0, False)  # fmt: skip
EVENT = "http://schemas.openid.net/event/backchannel-logout"
MARKS: tuple[object, ...] = (None, "", "x", 0, False, [], {}, {EVENT: {}})
NO_BEARER: tuple[object, ...] = (OMIT, None, "", "bearer", "BEARER", "Bearer ", "ID", "Refresh", "Offline", "Logout",
"Serialized-ID", "Registration", "JWT", "at+jwt",
                                 ["Bearer"], {"Bearer": 1}, True, 0, "B\u0435arer")  # fmt: skip
NO_ACCESS: tuple[object, ...] = (
    OMIT,
    None,
    "",
    "id",
    "refresh",
    "Access",
    "ACCESS",
    "access ",
    ["access"],
    {"access": 1},
    True,
    0,
    "\u0430ccess",
)


def attacks(world: World) -> Iterator[Attack]:
    why = "kinds exclude one another (RFC 8725 3.12)"
    for name, site in world.sites.items():
        if site.secret is None:
            for kind in ("id", "refresh", "logout"):
                token = site.issuer.mint("ada", kind=kind, claims={"jti": JTI})
                yield Attack(f"{name}: {kind} token", token, why, name)
                ours: dict[str, Any] = {"jti": JTI, "client_id": CLIENT}
                if kind != "refresh":  # for this API, and signed by its key: only the kind is wrong
                    aimed = site.issuer.mint("ada", kind=kind, audience=site.issuer.audience, claims=ours)
                    yield Attack(f"{name}: {kind} token for this API", aimed, why, name)
    for claim in ("nonce", "at_hash", "c_hash", "events"):
        for value in MARKS:
            yield Attack(
                f"{claim} {value!r}", world.main.sign({claim: value}), "an ID or a logout token (RFC 8725 3.12)"
            )
    for value in CNFS:
        yield Attack(
            f"cnf {value!r}", world.main.sign({"cnf": value}), "bound to a key, and sent as a bearer (RFC 9449 7.1)"
        )
    for name in ("keycloak", "strict", "clients", "secret", "cognito"):
        header = {"typ": OMIT} if name == "cognito" else {}
        token = world.sites[name].sign({"cnf": {"jkt": "x"}}, header)
        yield Attack(f"{name}: cnf", token, "bound to a key, and sent as a bearer (RFC 9449 7.1)", name)
    for value in NO_BEARER:
        yield Attack(f"keycloak: typ {value!r}", world.sites["keycloak"].sign({"typ": value}), why, "keycloak")
    for value in NO_ACCESS:
        yield Attack(f"cognito: token_use {value!r}", world.sites["cognito"].sign({"token_use": value}), why, "cognito")
    yield from _mix_ups(world)


def _mix_ups(world: World) -> Iterator[Attack]:
    """The key, the name or the token of one issuer in the place of another's."""
    why = "a key speaks for its own issuer (RFC 8725 3.8)"
    for name, other in world.sites.items():
        if name == "main" or other.secret is not None:
            continue
        theirs, ours = other.key(), world.main.key(other.key().alg)
        for case, kid in {"their kid": theirs.kid, "our kid": ours.kid, "no kid": OMIT}.items():
            token = world.main.sign(header={"alg": theirs.alg, "kid": kid}, key=theirs)
            yield Attack(f"{name}'s key in the name of main, {case}", token, why)
            token = other.sign(header={"alg": ours.alg, "kid": kid}, key=ours)
            yield Attack(f"main's key in the name of {name}, {case}", token, why, name)
        both = world.main.sign({"iss": [world.main.issuer.issuer_url, other.issuer.issuer_url]})
        yield Attack(f"in the name of main and {name}", both, "iss is one string (RFC 7519 4.1.1)")
    secret = world.sites["secret"].secret
    assert secret is not None
    hmac = world.main.sign(header={"alg": "HS256", "kid": secret.kid}, key=secret)
    yield Attack("another issuer's shared secret in the name of main", hmac, why)
    aimed = world.sites["secret"].sign(header={"alg": "ES256", "kid": world.main.key().kid}, key=world.main.key())
    yield Attack("main's key in the name of the one with a secret", aimed, why, "secret")


def twins(world: World) -> Iterator[Twin]:
    for name, site in world.sites.items():
        typ: Any = OMIT if name == "cognito" else "at+jwt"
        yield Twin(f"an access token of {name}", site.sign({"auth_time": world.now}, {"typ": typ}), name)
    # Older Keycloak writes a nonce into access tokens: where a provider marks the kind, the mark decides alone.
    marked = world.sites["keycloak"].sign({"nonce": "x", "at_hash": "y"}, {"typ": "JWT"})
    yield Twin("keycloak: a nonce beside the mark", marked, "keycloak")
