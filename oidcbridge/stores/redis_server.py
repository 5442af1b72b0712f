"""RedisServer: one command at a time, each bounded in time, over a connection that lasts as long as the command.

Commands are few, a handful each time keys are fetched. So nothing is open between them: no connection can be shared by
a fork, belong to a loop that is gone, have died with a server that was restarted, or be complained of at exit.
"""

from __future__ import annotations

import asyncio
import os
import re
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from oidcbridge.errors import ConfigurationError, KeyStoreError

_HOW = 'write RedisKeyStore("redis://127.0.0.1:6379/0", secret=…), rediss:// for TLS, unix:///path for a socket'


class RedisServer:
    """The Redis at ``url``; ``timeout`` in seconds. Raises `ConfigurationError` for what is no such address."""

    def __init__(self, url: str, timeout: float) -> None:
        self._options = _options(url, timeout)
        self._place = _place(url)
        self._timeout = timeout
        self._session: _Session | None = None
        self._left_behind: list[_Session] = []

    def __str__(self) -> str:
        return self._place

    async def call(self, *command: str | bytes | float) -> object:
        """The answer to ``command``. Raises `KeyStoreError`, without a word of what was sent or answered."""
        try:
            async with asyncio.timeout(self._timeout):
                return await self._current_session().call(command)
        except TimeoutError:
            reason = f"no answer within {self._timeout:g} s"
        except (RedisError, OSError) as error:
            reason = _reason(error)
        raise KeyStoreError(f"the key store at {self._place} cannot be used: {reason}")

    def _current_session(self) -> _Session:
        session = self._session
        if session is None or not session.is_usable():
            if session is not None and session.process != os.getpid():
                # Kept, as what it had open is the parent's: to close it would end the parent's call too.
                self._left_behind.append(session)
            session = self._session = _Session(self._options)
        return session


class _Session:
    """The client for one event loop in one process. It keeps what is slow to make (TLS), and no connection."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.process = os.getpid()
        self._loop = asyncio.get_running_loop()
        self._lock = asyncio.Lock()
        self._pool = ConnectionPool(**options)
        self._client: Any = Redis(connection_pool=self._pool)  # its commands are not typed

    def is_usable(self) -> bool:
        return self.process == os.getpid() and self._loop is asyncio.get_running_loop()

    async def call(self, command: tuple[str | bytes | float, ...]) -> object:
        async with self._lock:
            try:
                return await self._client.execute_command(*command)
            finally:
                await self._pool.disconnect()


def _options(url: object, timeout: float) -> dict[str, Any]:
    """What redis-py makes connections from. Makes one, which connects nowhere: some faults show only there."""
    if not isinstance(url, str):
        raise ConfigurationError(f"RedisKeyStore: the address is {type(url).__name__}, no string; {_HOW}")
    if re.match(r"rediss?://[^/?#@]*[/?#][^=]*@", url):
        # Read as written, the beginning of the password would be a port, and shown as one.
        raise ConfigurationError("RedisKeyStore: write %2F, %3F and %23 for the /, ? and # of a user name or password")
    try:
        options: dict[str, Any] = {
            **parse_url(url),
            "socket_timeout": None,  # `RedisServer.call` bounds the whole
            "socket_connect_timeout": timeout,  # and that of closing
            # A second try would spend twice, or find the lead taken by the first.
            "retry": Retry(NoBackoff(), 0),
            "decode_responses": False,
            "protocol": 2,  # no greeting, and Redis before 6
        }
        pool: Any = ConnectionPool(**options)
        pool.make_connection()
    except (ValueError, TypeError, RedisError):
        raise ConfigurationError(f"RedisKeyStore: this is no address of a Redis that redis-py knows; {_HOW}") from None
    return options


def _place(url: str) -> str:
    """The address without user, password and options."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    is_known = parts.scheme == "unix" or parts.path[1:].isdecimal()  # else perhaps a piece of something else
    return f"{parts.scheme}://{host}{port}{parts.path if is_known else ''}"


def _reason(error: RedisError | OSError) -> str:
    """What went wrong, in words of the system or of redis-py's own: a server's may repeat what was sent."""
    cause = error.__context__
    if isinstance(cause, OSError) and cause.strerror:
        return f"{type(error).__name__}: {cause.strerror}"
    return type(error).__name__
