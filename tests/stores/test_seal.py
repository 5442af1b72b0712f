"""Whoever can write into a store and lacks its secret installs no key."""

from __future__ import annotations

import pytest

from oidcbridge.errors import ConfigurationError, KeyStoreError
from oidcbridge.stores.seal import SEAL_BYTES, Seal

SECRET = "correct horse battery staple, and more"
ISSUER = "https://id.example.com"
ENTRY = b'{"keys":[]}'


def test_a_sealed_entry_opens_with_the_same_secret_as_text_or_bytes() -> None:
    sealed = Seal(SECRET).put_on(ISSUER, ENTRY)
    assert Seal(SECRET.encode()).take_off(ISSUER, sealed) == ENTRY
    assert ENTRY in sealed


@pytest.mark.parametrize("place", [0, SEAL_BYTES - 1, SEAL_BYTES, -1])
def test_an_entry_with_one_bit_changed_is_refused(place: int) -> None:
    sealed = bytearray(Seal(SECRET).put_on(ISSUER, ENTRY))
    sealed[place] ^= 1
    with pytest.raises(KeyStoreError, match="seal") as caught:
        Seal(SECRET).take_off(ISSUER, bytes(sealed))
    assert caught.value.ignored


@pytest.mark.parametrize("length", [0, 1, SEAL_BYTES - 1, SEAL_BYTES, SEAL_BYTES + 1])
def test_an_entry_cut_short_or_without_a_seal_is_refused(length: int) -> None:
    for data in (Seal(SECRET).put_on(ISSUER, ENTRY)[:length], ENTRY[:length]):
        with pytest.raises(KeyStoreError, match="seal"):
            Seal(SECRET).take_off(ISSUER, data)


@pytest.mark.parametrize(
    ("issuer", "secret"),
    [("https://id.example.co", SECRET), ("https://id.example.com/", SECRET), ("", SECRET), (ISSUER, SECRET + "!")],
)
def test_the_seal_of_another_issuer_or_secret_does_not_fit(issuer: str, secret: str) -> None:
    with pytest.raises(KeyStoreError, match="seal"):
        Seal(SECRET).take_off(ISSUER, Seal(secret).put_on(issuer, ENTRY))


def test_no_part_of_the_issuer_passes_for_the_beginning_of_the_entry() -> None:
    sealed = Seal(SECRET).put_on("https://id.example", b".com" + ENTRY)
    with pytest.raises(KeyStoreError, match="seal"):
        Seal(SECRET).take_off("https://id.example.com", sealed[:SEAL_BYTES] + ENTRY)


def test_a_secret_has_32_bytes_or_more_however_many_characters_that_is() -> None:
    for good in ("x" * 32, b"x" * 32, "ä" * 16):
        assert Seal(good)
    for bad in ("x" * 31, b"x" * 31, "", b"", "ä" * 15):
        with pytest.raises(ConfigurationError, match="needs 32"):
            Seal(bad)


@pytest.mark.parametrize("secret", [None, 32, ["x" * 32], bytearray(32)])
def test_a_secret_of_another_kind_is_refused(secret: object) -> None:
    with pytest.raises(ConfigurationError, match=r"neither str nor bytes"):
        Seal(secret)  # type: ignore[arg-type]


def test_the_secret_is_never_shown() -> None:
    for secret in ("hidden", "hidden\udc00" + "x" * 32):
        with pytest.raises(ConfigurationError) as caught:
            Seal(secret)
        assert "hidden" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert SECRET not in repr(vars(Seal(SECRET)))
