"""The examples of RFC 7515, RFC 7520 and RFC 8037, and the same with one thing changed."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from typing import NamedTuple

import pytest

from oidcbridge.core.keys import KeySet, parse_key_set
from oidcbridge.core.policy import Policy
from oidcbridge.core.token import parse_unverified
from oidcbridge.core.verify import verify
from oidcbridge.errors import AlgorithmNotAllowedError, BadSignatureError, MalformedTokenError

JOE = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
FRODO = (
    "SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5k"
    "IGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4"
)
BILBO = "bilbo.baggins@hobbiton.example"
BILBO_RSA = {
    "kty": "RSA",
    "kid": BILBO,
    "use": "sig",
    "n": "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMa"
    "JMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6c"
    "S6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwd"
    "q_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw",
    "e": "AQAB",
}


class Vector(NamedTuple):
    """One example: the public key, the algorithm, and the three parts of the token."""

    jwk: dict[str, str]
    alg: str
    header: str
    payload: str
    signature: str

    def key_set(self) -> KeySet:
        return parse_key_set(json.dumps({"keys": [self.jwk]}).encode())

    def verifies(self, message: bytes | None = None, signature: bytes | None = None) -> bool:
        (key,) = self.key_set().keys
        own_message = f"{self.header}.{self.payload}".encode()
        return key.verifies(self.alg, own_message if message is None else message, signature or self.raw_signature())

    def raw_signature(self) -> bytes:
        return urlsafe_b64decode(self.signature + "==")


VECTORS = {
    "RFC 7515 A.2": Vector(
        {
            "kty": "RSA",
            "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4Ql"
            "L-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUs"
            "LA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoud"
            "F8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
            "e": "AQAB",
        },
        "RS256",
        "eyJhbGciOiJSUzI1NiJ9",
        JOE,
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t"
        "1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12j"
        "zDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQ"
        "Ge77Rw",
    ),
    "RFC 7515 A.3": Vector(
        {
            "kty": "EC",
            "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        },
        "ES256",
        "eyJhbGciOiJFUzI1NiJ9",
        JOE,
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    ),
    "RFC 7515 A.4": Vector(
        {
            "kty": "EC",
            "crv": "P-521",
            "x": "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
            "y": "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2",
        },
        "ES512",
        "eyJhbGciOiJFUzUxMiJ9",
        "UGF5bG9hZA",
        "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZC"
        "PEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn",
    ),
    "RFC 7520 4.1": Vector(
        BILBO_RSA,
        "RS256",
        "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9",
        FRODO,
        "MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BDkoBwA"
        "78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQ"
        "dLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18"
        "kDquDg",
    ),
    "RFC 7520 4.2": Vector(
        BILBO_RSA,
        "PS384",
        "eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9",
        FRODO,
        "cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo6_1OLPpcb"
        "UrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8I"
        "mUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-"
        "X72Eaw",
    ),
    "RFC 7520 4.3": Vector(
        {
            "kty": "EC",
            "kid": BILBO,
            "use": "sig",
            "crv": "P-521",
            "x": "AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt",
            "y": "AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1",
        },
        "ES512",
        "eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9",
        FRODO,
        "AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2cmL1eJAQy3mtPBu_u_sDDyYjnAMDxX"
        "Pn7XrT0lw-kvAD890jl8e2puQens_IEKBpHABlsbEPX6sFY8OcGDqoRuBomu9xQ2",
    ),
    "RFC 8037 A.4": Vector(
        {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        "EdDSA",
        "eyJhbGciOiJFZERTQSJ9",
        "RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    ),
}
every_vector = pytest.mark.parametrize("vector", [pytest.param(vector, id=name) for name, vector in VECTORS.items()])


@every_vector
def test_the_published_signature_verifies_with_the_published_key(vector: Vector) -> None:
    assert vector.verifies()


@every_vector
def test_a_changed_header_or_payload_does_not_verify(vector: Vector) -> None:
    for changed in (f"{vector.header}.{vector.payload}A", f"A{vector.header}.{vector.payload}", f"{vector.header}."):
        assert not vector.verifies(message=changed.encode())


@every_vector
def test_a_signature_with_any_byte_changed_does_not_verify(vector: Vector) -> None:
    signature = bytearray(vector.raw_signature())
    for index in range(0, len(signature), 7):
        signature[index] ^= 0x40
        assert not vector.verifies(signature=bytes(signature))
        signature[index] ^= 0x40
    assert vector.verifies(signature=bytes(signature))


@every_vector
def test_the_key_of_one_example_does_not_verify_another(vector: Vector) -> None:
    others = [other for other in VECTORS.values() if other.jwk != vector.jwk]
    assert len(others) >= 5
    for other in others:
        assert not vector._replace(jwk=other.jwk).verifies()


@pytest.mark.parametrize("name", ["RFC 7515 A.2", "RFC 7515 A.3"])
def test_the_example_tokens_of_joe_verify_whole_and_not_with_each_others_signature(name: str) -> None:
    vector = VECTORS[name]
    policy = Policy(issuer="joe", audiences=None, algorithms=frozenset({vector.alg}))
    token = parse_unverified(f"{vector.header}.{vector.payload}.{vector.signature}")
    verified = verify(token, vector.key_set(), policy, now=1300819379.0)
    assert verified.claims == {"iss": "joe", "exp": 1300819380, "http://example.com/is_root": True}
    forged = parse_unverified(f"{vector.header}.{vector.payload}.{VECTORS['RFC 7520 4.1'].signature}")
    with pytest.raises(BadSignatureError):
        verify(forged, vector.key_set(), policy, now=1300819379.0)


def test_the_unsecured_example_of_rfc_7515_a_5_is_refused_under_every_spelling_of_none() -> None:
    token = parse_unverified(f"eyJhbGciOiJub25lIn0.{JOE}.")
    assert token.claims["iss"] == "joe"
    for algorithms in ({"RS256"}, {"HS256"}):
        policy = Policy(issuer="joe", audiences=None, algorithms=frozenset(algorithms))
        with pytest.raises(AlgorithmNotAllowedError):
            verify(token, VECTORS["RFC 7515 A.2"].key_set(), policy, now=1300819379.0)


@pytest.mark.parametrize("name", ["RFC 7515 A.4", "RFC 7520 4.1", "RFC 8037 A.4"])
def test_an_example_whose_payload_is_no_json_is_no_token_here(name: str) -> None:
    vector = VECTORS[name]
    with pytest.raises(MalformedTokenError, match="payload"):
        parse_unverified(f"{vector.header}.{vector.payload}.{vector.signature}")
