"""What providers' tokens look like: ``samples/<provider>/<name>.json``, each with where it was taken from, and when.

    sample = load_sample("auth0", "machine")
    token, jwks = sign(sample)                       # by a key of ours, under the sample's own header
    Verifier(issuer_url=sample.issuer, jwks=jwks, clock=Clock(sample.now), ...)

Shapes come from the providers' documentation, their source or real tokens, and never from our own reader of them: a
claim that the source does not give is not there. Where it elides a value, or only describes it, ``completed`` says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from oidcbridge.testing import FakeKey
from oidcbridge.testing.tokens import sign as sign_token

FOLDER = Path(__file__).parent / "samples"

TokenUse = Literal["access", "id", "refresh"]
Subject = Literal["user", "machine"]
Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One token: header and payload as the provider writes them."""

    provider: str
    name: str
    token: TokenUse
    subject: Subject
    source: str
    """The documentation, source or real token that has this shape."""
    date: date
    """The day on which it was taken from there."""
    completed: frozenset[str]
    """Names in header or payload whose values the source elides or describes; here they are made up accordingly."""
    header: Mapping[str, Any]
    payload: Mapping[str, Any]
    note: str = ""

    @property
    def issuer(self) -> str:
        return str(self.payload["iss"])

    @property
    def now(self) -> float:
        """A moment at which the token is valid, in seconds since the epoch."""
        return float(self.payload["iat"]) + 1

    def but(self, *without: str, **claims: object) -> Sample:
        """The same token without some claims and with others, to make what has to be refused."""
        kept = {name: value for name, value in self.payload.items() if name not in without}
        return replace(self, payload={**kept, **claims})


def parse_sample(text: str, *, provider: str, name: str) -> Sample:
    """A sample from its file's text. Raises ``ValueError``, which says what is wrong with it."""
    document: Json = json.loads(text)
    unknown = document.keys() - {*Sample.__dataclass_fields__}
    if unknown:
        raise ValueError(f"{provider}/{name} has unknown members {sorted(unknown)}")
    for member, allowed in {"provider": (provider,), "token": get_args(TokenUse), "subject": get_args(Subject)}.items():
        if document.get(member) not in allowed:
            raise ValueError(f"{provider}/{name}: {member!r} is not one of {allowed}")
    if not str(document.get("source", "")).strip():
        raise ValueError(f"{provider}/{name} does not name its source")
    if not all(isinstance(document.get(part), dict) and document[part] for part in ("header", "payload")):
        raise ValueError(f"{provider}/{name} needs 'header' and 'payload', both objects")
    completed = frozenset(document.get("completed", ()))
    if not completed <= document["header"].keys() | document["payload"].keys():
        raise ValueError(f"{provider}/{name}: 'completed' names claims that are not there")
    day = date.fromisoformat(document["date"])
    return Sample(**{**document, "name": name, "date": day, "completed": completed})


@cache
def load_sample(provider: str, name: str) -> Sample:
    """The sample in ``samples/<provider>/<name>.json``. Raises ``FileNotFoundError``, ``ValueError``."""
    text = (FOLDER / provider / f"{name}.json").read_text("utf-8")
    return parse_sample(text, provider=provider, name=name)


@cache
def all_samples() -> tuple[Sample, ...]:
    """Every sample, in the order of provider and name."""
    return tuple(load_sample(path.parent.name, path.stem) for path in sorted(FOLDER.glob("*/*.json")))


@cache
def _key(algorithm: str) -> FakeKey:
    return FakeKey.generate(algorithm)


def sign(sample: Sample) -> tuple[str, Json]:
    """The sample as a token of exactly its header and payload, and the key set that verifies it.

    A token under a shared secret (Keycloak's refresh token) meets an RSA key of the same ``kid`` in the key set.
    """
    algorithm, kid = sample.header["alg"], sample.header["kid"]
    published = replace(_key("RS256" if algorithm.startswith("HS") else algorithm), kid=kid)
    return sign_token(sample.header, sample.payload, _key(algorithm)), {"keys": [published.public_jwk()]}


def claim_types(claims: Mapping[str, Any], *, without: Iterable[str] = ()) -> dict[str, object]:
    """Name -> type of every claim, of a list also of its members: what two tokens of one shape have in common."""
    left_out = set(without)
    return {
        name: (list, {type(member) for member in value}) if isinstance(value, list) else type(value)
        for name, value in claims.items()
        if name not in left_out
    }
