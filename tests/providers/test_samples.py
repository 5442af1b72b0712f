"""The samples themselves: each is well formed, names its source, and is the kind of token that it says."""

from __future__ import annotations

import base64
import json
from collections import Counter
from datetime import date

import pytest

from tests.providers.sample import FOLDER, Json, Sample, all_samples, claim_types, load_sample, parse_sample, sign

EVERY = pytest.mark.parametrize("sample", all_samples(), ids=lambda sample: f"{sample.provider}-{sample.name}")

#: Provider -> token and subject of every sample that must be there.
WANTED = {
    "keycloak": {"access user", "access machine", "id user", "refresh user"},
    "auth0": {"access user", "access machine", "id user"},
    "cognito": {"access user", "access machine", "id user"},
    "okta": {"access user", "access machine", "id user"},
    "entra": {"access user", "access machine", "id user"},
    "google": {"id user", "id machine"},  # its access tokens are opaque
    "zitadel": {"access user", "id user"},
    "authentik": {"access user", "id user"},
    "dex": {"access user", "id user"},
    "hydra": {"access user", "access machine", "id user"},
    "pingone": {"access user", "access machine", "id user"},
}


def document(**changes: object) -> str:
    """The text of a good sample file, but for ``changes``; None takes a member out."""
    good: Json = {
        "provider": "keycloak",
        "token": "access",
        "subject": "user",
        "source": "Keycloak 26's own token sources",
        "date": "2026-11-22",
        "completed": ["sub"],
        "header": {"alg": "RS256", "kid": "k"},
        "payload": {"iss": "https://id.example.com", "iat": 1, "sub": "u"},
    }
    return json.dumps({name: value for name, value in {**good, **changes}.items() if value is not None})


def test_every_provider_has_its_kinds_of_token() -> None:
    found: dict[str, set[str]] = {}
    for sample in all_samples():
        found.setdefault(sample.provider, set()).add(f"{sample.token} {sample.subject}")
    assert found == WANTED


def test_every_file_below_the_folder_is_a_sample() -> None:
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert len(files) == len(all_samples())


@EVERY
def test_a_sample_is_a_token_of_its_time_and_says_where_it_comes_from(sample: Sample) -> None:
    assert len(sample.source) > 20
    assert date(2026, 11, 1) <= sample.date <= date.today()
    assert {"alg", "kid"} <= sample.header.keys()
    assert sample.payload["iat"] < sample.payload["exp"]
    assert sample.issuer.startswith("https://") or sample.issuer == "accounts.google.com"
    assert "…" not in json.dumps([dict(sample.header), dict(sample.payload)], ensure_ascii=False)


@EVERY
def test_signing_adds_nothing_to_a_sample_and_takes_nothing_away(sample: Sample) -> None:
    token, jwks = sign(sample)
    header, payload, _signature = token.split(".")
    decoded = [json.loads(base64.urlsafe_b64decode(part + "==")) for part in (header, payload)]
    assert decoded == [sample.header, sample.payload]
    assert [key["kid"] for key in jwks["keys"]] == [sample.header["kid"]]


def test_no_two_samples_of_a_provider_are_the_same_token() -> None:
    seen = Counter(json.dumps([s.token, s.header, s.payload], sort_keys=True) for s in all_samples())
    assert {text: count for text, count in seen.items() if count > 1} == {}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"source": ""}, "does not name its source"),
        ({"source": None}, "does not name its source"),
        ({"token": "bearer"}, "'token' is not one of"),
        ({"subject": "client"}, "'subject' is not one of"),
        ({"provider": "auth0"}, "'provider' is not one of"),
        ({"payload": None}, "needs 'header' and 'payload'"),
        ({"header": []}, "needs 'header' and 'payload'"),
        ({"completed": ["email"]}, "'completed' names claims that are not there"),
        ({"date": "last week"}, "Invalid isoformat string"),
        ({"author": "me"}, r"unknown members \['author'\]"),
    ],
)
def test_a_sample_that_says_too_little_is_refused(changes: Json, said: str) -> None:
    good = parse_sample(document(), provider="keycloak", name="user")
    assert good.issuer == "https://id.example.com"
    assert good.completed == {"sub"}
    with pytest.raises(ValueError, match=said):
        parse_sample(document(**changes), provider="keycloak", name="user")


def test_a_sample_can_be_changed_into_what_has_to_be_refused() -> None:
    sample = load_sample("keycloak", "user")
    changed = sample.but("sid", aud="other-api")
    assert changed.payload == {**{k: v for k, v in sample.payload.items() if k != "sid"}, "aud": "other-api"}
    assert "sid" in sample.payload


def test_claims_are_compared_by_name_and_type_and_lists_by_what_is_in_them() -> None:
    claims = {"aud": ["a", "b"], "exp": 1, "email_verified": True, "act": {}, "sub": "u"}
    same = {"aud": ["c"], "exp": 2, "email_verified": False, "act": {"sub": "x"}, "sub": "v"}
    assert claim_types(claims) == claim_types(same)
    assert claim_types(claims) == claim_types({**same, "nonce": "n"}, without={"nonce"})
    for other in ({"aud": "a"}, {"aud": [1]}, {"exp": "1"}, {"email_verified": "true"}, {"exp": True}, {"nonce": "n"}):
        assert claim_types(claims) != claim_types({**claims, **other})
