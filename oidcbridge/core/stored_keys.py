"""StoredKeys: one provider's answer as a key store holds it, and what of a store's content may be used at all.

Whoever can write into a store can install signing keys. So what is read back is judged like a stranger's text: too
big, no such entry, another issuer's, another place's, too new or too old, and it is left where it lies.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from oidcbridge.core.strict_json import StrictJSONError, parse_json_object
from oidcbridge.errors import KeyStoreError

MAX_ENTRY_BYTES = 512 * 1024
MAX_ETAG_CHARS = 256
MAX_FUTURE = 60.0  # seconds: what two clocks of good will may be apart
_VERSION = 1
_NAMES = {"version", "issuer", "jwks_uri", "fetched", "as_of", "soft", "etag", "body"}


@dataclass(frozen=True, slots=True)
class StoredKeys:
    """A key set as it was fetched, once for all workers."""

    issuer: str
    jwks_uri: str
    fetched: float
    """Wall-clock second at which the fetch began."""
    as_of: float
    """Wall-clock second for which the provider vouched: ``fetched`` less the answer's age (RFC 9111 section 5.1)."""
    soft: float
    """Seconds for which the answer is fresh."""
    etag: str | None
    body: bytes = field(repr=False)
    """The key set as the provider sent it; `oidcbridge.core.keys.parse_key_set` judges it anew."""
    provider: str | None = None
    """What the discovery document told of the provider, where it was asked: all workers go by the same."""

    def to_bytes(self) -> bytes:
        """The entry for a store. Raises `KeyStoreError` for one that no store would give back, being too big."""
        entry = json.dumps(
            {
                "version": _VERSION,
                "issuer": self.issuer,
                "jwks_uri": self.jwks_uri,
                "fetched": self.fetched,
                "as_of": self.as_of,
                "soft": self.soft,
                "etag": self.etag,
                "body": b64encode(self.body).decode(),
                **({} if self.provider is None else {"provider": self.provider}),
            },
            allow_nan=False,
        ).encode()
        if len(entry) > MAX_ENTRY_BYTES:
            raise KeyStoreError(
                f"a key set of {len(self.body)} bytes is too big for a key store: an entry has at most"
                f" {MAX_ENTRY_BYTES}; each worker fetches it for itself"
            )
        return entry


def parse_stored_keys(data: bytes, *, issuer: str, jwks_uri: str | None, now: float, max_stale: float) -> StoredKeys:
    """The entry in ``data``, if it is one for ``issuer`` and young enough. ``jwks_uri`` None: not known yet.

    ``now`` is in wall-clock seconds, ``max_stale`` in seconds. Raises `KeyStoreError` with ``ignored=True``, whose
    message says why and quotes nothing of ``data``.
    """
    if len(data) > MAX_ENTRY_BYTES:
        raise _ignored(f"it has more than {MAX_ENTRY_BYTES} bytes")
    try:
        stored = _read(parse_json_object(data))
    except StrictJSONError as error:
        raise _ignored(str(error)) from None
    _check_origin(stored, issuer, jwks_uri)
    _check_times(stored, now, max_stale)
    return stored


def can_be_sent_back(etag: str) -> bool:
    """Whether an entity tag may go into a header, where other characters could say more (RFC 9110 section 8.8.3)."""
    return 0 < len(etag) <= MAX_ETAG_CHARS and etag.isascii() and etag.isprintable()


def _ignored(reason: str) -> KeyStoreError:
    return KeyStoreError(f"the stored keys are not used: {reason}", ignored=True)


def _read(entry: Mapping[str, Any]) -> StoredKeys:
    if type(entry.get("version")) is not int or entry["version"] != _VERSION:
        raise _ignored("another version of oidcbridge has written them, or another program")
    if entry.keys() - {"provider"} != _NAMES:
        raise _ignored("the entry lacks members, or has others")
    return StoredKeys(
        issuer=_text(entry, "issuer"),
        jwks_uri=_text(entry, "jwks_uri"),
        fetched=_seconds(entry, "fetched"),
        as_of=_seconds(entry, "as_of"),
        soft=_seconds(entry, "soft"),
        etag=None if entry["etag"] is None else _etag(entry),
        body=_body(entry),
        provider=_text(entry, "provider") if "provider" in entry else None,
    )


def _text(entry: Mapping[str, Any], name: str) -> str:
    if not isinstance(entry[name], str):
        raise _ignored(f"{name} is no string")
    return str(entry[name])


def _seconds(entry: Mapping[str, Any], name: str) -> float:
    value = entry[name]  # finite: strict JSON has no other numbers
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise _ignored(f"{name} is no number of seconds")
    return float(value)


def _etag(entry: Mapping[str, Any]) -> str:
    etag = _text(entry, "etag")
    if not can_be_sent_back(etag):
        raise _ignored("etag is no entity tag")
    return etag


def _body(entry: Mapping[str, Any]) -> bytes:
    try:
        return b64decode(_text(entry, "body"), validate=True)
    except ValueError:
        raise _ignored("body is no base64") from None


def _check_origin(stored: StoredKeys, issuer: str, jwks_uri: str | None) -> None:
    if stored.issuer != issuer:
        raise _ignored("they are those of another issuer")
    if jwks_uri is not None and stored.jwks_uri != jwks_uri:
        raise _ignored("they were fetched from another jwks_uri")


def _check_times(stored: StoredKeys, now: float, max_stale: float) -> None:
    if stored.fetched > now + MAX_FUTURE:
        raise _ignored("they are dated in the future; check the clocks of this host and of the one that wrote them")
    if stored.as_of > stored.fetched:
        raise _ignored("as_of is later than fetched")
    if now - stored.fetched > max_stale:
        raise _ignored(f"they are {now - stored.fetched:.0f} s old, and max_stale is {max_stale:.0f} s")
