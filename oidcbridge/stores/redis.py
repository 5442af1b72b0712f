"""RedisKeyStore: keys shared by workers on several hosts, over a network that is not trusted with signing keys.

For each issuer, named by the SHA-256 of its URL::

    <prefix>:{<name>}:keys     the entry behind its seal, gone after its time
    <prefix>:{<name>}:lead     who fetches, gone after its time
    <prefix>:{<name>}:budget   how many fetches for unknown keys are left to all of them together, by Redis' clock

Who can write there and lacks the secret can make workers fetch more or less often, or each for itself; keys of his own
they never take.
"""

from __future__ import annotations

import math
import os
import secrets
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING

from oidcbridge.core.stored_keys import MAX_ENTRY_BYTES
from oidcbridge.errors import ConfigurationError, KeyStoreError
from oidcbridge.stores.seal import SEAL_BYTES, Seal

if TYPE_CHECKING:
    from oidcbridge.stores.redis_server import RedisServer

# Ends a lead that is still ours: after its time, somebody else's may have the same name.
_END_LEAD = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
"""

# The same rules as `oidcbridge.stores.budget`, where Redis keeps both the bucket and the clock.
_TAKE_FETCH = """
local function number(text, low, high)
  local value = tonumber(text)
  if value and value >= low and value <= high then  -- no comparison holds for "nan"
    return value
  end
end

local burst, interval = tonumber(ARGV[1]), tonumber(ARGV[2])
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local tokens, second = burst, now
if redis.call('EXISTS', KEYS[1]) == 1 then
  local bucket = redis.call('HMGET', KEYS[1], 'tokens', 'second')
  tokens, second = number(bucket[1], 0, 1000), number(bucket[2], 0, 1e12)
  if not tokens or not second then
    tokens, second = 0, now
  end
end
tokens = math.min(burst, tokens + math.max(0, now - second) / interval)
local granted = 0
if tokens >= 1 then
  granted, tokens = 1, tokens - 1
end
if granted == 1 or second >= now then
  redis.call('HSET', KEYS[1], 'tokens', string.format('%.9f', tokens), 'second', string.format('%.6f', now))
end
redis.call('PEXPIRE', KEYS[1], math.ceil((burst + 1) * interval * 1000))  -- it is full again by then
return granted
"""


class RedisKeyStore:
    """A `oidcbridge.core.key_store.KeyStore` in the Redis (5 or newer) at ``url``.

    ``url`` is ``redis://``, ``rediss://`` (TLS) or ``unix://``, with user, password and database as redis-py reads
    them. ``secret`` (at least 32 bytes) is the same in every worker and nowhere else. ``timeout`` bounds each call, in
    seconds. ``prefix`` begins every name in Redis.

    Raises `ConfigurationError`; neither it nor a `KeyStoreError` nor the ``repr`` shows the secret or a password.
    """

    def __init__(self, url: str, *, secret: str | bytes, timeout: float = 1.0, prefix: str = "oidcbridge") -> None:
        self._seal = Seal(secret)
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout <= 60:
            raise ConfigurationError("RedisKeyStore(timeout=) is a number of seconds above 0, up to 60")
        if not isinstance(prefix, str) or not prefix:
            raise ConfigurationError('RedisKeyStore(prefix=) is a name of your own, say prefix="my-agents"')
        self._prefix = prefix
        self._server = _connect_to(url, float(timeout))

    def __repr__(self) -> str:
        return f"RedisKeyStore({str(self._server)!r})"

    async def load(self, issuer: str) -> bytes | None:
        """The issuer's entry, or None. Raises `KeyStoreError`: for one whose seal does not fit, ignored."""
        most = SEAL_BYTES + MAX_ENTRY_BYTES
        sealed = await self._server.call("GETRANGE", self._name(issuer, "keys"), 0, most)
        if not isinstance(sealed, bytes) or not sealed:
            return None
        if len(sealed) > most:
            raise KeyStoreError("the stored keys are not used: they are too big to be ours", ignored=True)
        return self._seal.take_off(issuer, sealed)

    async def save(self, issuer: str, entry: bytes, *, seconds: float) -> None:
        """Replace the issuer's entry for ``seconds``."""
        sealed = self._seal.put_on(issuer, entry)
        await self._server.call("SET", self._name(issuer, "keys"), sealed, "PX", _milliseconds(seconds))

    async def lead(self, issuer: str, *, seconds: float) -> RedisLead | None:
        """Become the one that fetches, for at most ``seconds``; None while another is."""
        name, token = self._name(issuer, "lead"), secrets.token_hex(16)
        taken = await self._server.call("SET", name, token, "NX", "PX", _milliseconds(seconds))
        return RedisLead(self._server, name, token) if taken else None

    async def spend(self, issuer: str, *, burst: int, interval: float) -> bool:
        """Take one fetch, if one is left of ``burst`` and of one more each ``interval`` seconds."""
        name = self._name(issuer, "budget")
        return bool(await self._server.call("EVAL", _TAKE_FETCH, 1, name, burst, interval))

    async def close(self) -> None:
        """No connection outlives the call it was made for."""

    def _name(self, issuer: str, what: str) -> str:
        # The braces keep an issuer's names on one node of a cluster.
        return f"{self._prefix}:{{{sha256(issuer.encode()).hexdigest()}}}:{what}"


class RedisLead:
    """The right to fetch, as long as a name in Redis holds our token."""

    def __init__(self, server: RedisServer, name: str, token: str) -> None:
        self._server = server
        self._name = name
        self._token: str | None = token
        self._process = os.getpid()

    async def end(self) -> None:
        """Let the next one lead; in a forked child, nothing: the lead is the parent's."""
        token, self._token = self._token, None
        if token is not None and os.getpid() == self._process:
            with suppress(KeyStoreError):  # it ends by itself after its time
                await self._server.call("EVAL", _END_LEAD, 1, self._name, token)


def _milliseconds(seconds: float) -> int:
    return max(1, math.ceil(seconds * 1000))


def _connect_to(url: str, timeout: float) -> RedisServer:
    try:
        # Here, not later: a process that forks in the middle of an import would hand half a module to its children.
        from oidcbridge.stores.redis_server import RedisServer  # noqa: PLC0415 - needs the extra
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "redis":
            raise
        raise ConfigurationError(
            'RedisKeyStore needs the redis package: pip install "oidcbridge[redis]", or use FileKeyStore for the'
            " workers of one host"
        ) from None
    return RedisServer(url, timeout)
