"""Six worker processes that share a Redis: how often they ask the provider together, and what they never believe."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from oidcbridge.core.stored_keys import StoredKeys
from oidcbridge.stores import RedisKeyStore
from oidcbridge.testing import Clock, FakeKey
from tests.faults.programs import Program, program
from tests.remote.hostile import HeldIssuer
from tests.stores.servers import SECRET, Redis, running_redis

WORKERS = 6
LIFETIME = 310.0  # seconds after which keys are no longer fresh

#: A worker on a clock of its own. It is told what to do, line by line, and says what came of it.
WORKER = """
import logging
from oidcbridge.errors import OIDCBridgeError
from oidcbridge.remote.refresher import refresher
from oidcbridge.stores import RedisKeyStore
from oidcbridge.testing import Clock
logging.getLogger().addHandler(logging.NullHandler())
def begin(issuer_url, redis_url, secret, start):
    global clock, told, verifier
    clock, told = Clock(float(start)), []
    verifier = Verifier(
        issuer_url=issuer_url, audience="agent-api", clock=clock, token_cache=0, observer=told.append,
        key_store=RedisKeyStore(redis_url, secret=secret, timeout=5.0),
    )
def verify(token):
    try:
        return verifier.verify_now(token).user_id
    except OIDCBridgeError as error:
        return error.code
def events():
    for thread in threading.enumerate():
        if thread.name == "oidcbridge-observer":
            thread.join()
    return " ".join(event.name for event in told)
for line in sys.stdin:
    match line.rstrip("\\n").split("\\t"):
        case ["begin", *arguments]:
            begin(*arguments)
            say("begun", arguments[0])
        case ["advance", seconds]:
            say(clock.advance(float(seconds)))
        case ["verify", token]:
            say(verify(token))
        case ["settle"]:
            asyncio.run(verifier.warm(strict=True))
            while refresher()._tasks:  # what is saved for the others
                time.sleep(0.01)
            say("settled")
        case ["events"]:
            say(events())
        case ["end"]:
            say(verifier.close())
"""


class Fleet:
    """Workers that do everything at once, on clocks that go with the issuer's."""

    def __init__(self, workers: list[Program], issuer: HeldIssuer, clock: Clock) -> None:
        self._workers = workers
        self._issuer = issuer
        self._clock = clock

    def tell(self, command: str, *arguments: object) -> None:
        """The same to all."""
        for worker in self._workers:
            worker.tell("\t".join([command, *map(str, arguments)]))

    def hear(self) -> list[str]:
        return [worker.hear() for worker in self._workers]

    def do(self, command: str, *arguments: object) -> list[str]:
        self.tell(command, *arguments)
        return self.hear()

    def verify(self, tokens: list[str]) -> list[str]:
        """A token for each, at once: whose it is, or why it is refused."""
        for worker, token in zip(self._workers, tokens, strict=True):
            worker.tell(f"verify\t{token}")
        return self.hear()

    def all_accept(self) -> None:
        assert self.do("verify", self._issuer.mint("ada")) == ["ada"] * WORKERS

    def advance(self, seconds: float) -> None:
        self._clock.advance(seconds)
        self.do("advance", seconds)

    def renew(self) -> None:
        """A lifetime passes; known keys go on at once, and all have newer ones after that."""
        self.advance(LIFETIME)
        self.all_accept()
        self.do("settle")
        self.all_accept()


Begin = Callable[[Redis], AbstractContextManager[Fleet]]


@pytest.fixture(scope="module")
def processes() -> Iterator[list[Program]]:
    """They serve all tests here, one after another: to start them takes longer than any of those."""
    with ExitStack() as running:
        yield [running.enter_context(program(WORKER)) for _ in range(WORKERS)]


@pytest.fixture
def fleet(processes: list[Program], issuer: HeldIssuer, clock: Clock) -> Begin:
    """Makes the workers begin, with a verifier each that has not asked for anything yet."""

    @contextmanager
    def begin(redis: Redis) -> Iterator[Fleet]:
        workers = Fleet(processes, issuer, clock)
        workers.tell("begin", issuer.issuer_url, redis.url, SECRET, clock.time())
        for process in processes:
            while process.hear() != f"begun {issuer.issuer_url}":
                pass  # what a test that failed has not heard
        yield workers
        workers.do("end")

    return begin


@pytest.fixture
def mortal_redis() -> Iterator[Redis]:
    """A Redis of this test alone, which it may kill."""
    with tempfile.TemporaryDirectory(prefix="oidcbridge-") as folder, running_redis(Path(folder)) as server:
        yield server


def test_six_workers_ask_once_when_they_start_once_a_lifetime_and_once_for_a_rotation(
    fleet: Begin, issuer: HeldIssuer, redis: Redis
) -> None:
    with fleet(redis) as workers:
        workers.all_accept()
        assert issuer.fetches["jwks"] == 1
        for lifetime in (1, 2, 3):
            workers.renew()
            assert issuer.fetches["jwks"] == 1 + lifetime
        for rotation in (1, 2):
            workers.advance(1)
            issuer.rotate()
            workers.all_accept()
            assert issuer.fetches["jwks"] == 1 + 3 + rotation


def test_strangers_have_one_budget_at_all_six_together(fleet: Begin, issuer: HeldIssuer, redis: Redis) -> None:
    with fleet(redis) as workers:
        workers.all_accept()
        started = time.monotonic()
        for _ in range(5):
            workers.advance(1)
            strangers = [issuer.mint("eve", key=FakeKey.generate("ES256")) for _ in range(WORKERS)]
            assert workers.verify(strangers) == ["key_not_found"] * WORKERS
        spent = issuer.fetches["jwks"] - 1
        assert 2 <= spent <= 2 + (time.monotonic() - started) / 10  # Redis refills by its own clock
        workers.all_accept()


def test_a_redis_that_is_killed_while_one_fetches_for_all_refuses_nobody_and_each_goes_on_alone(
    fleet: Begin, issuer: HeldIssuer, mortal_redis: Redis
) -> None:
    with fleet(mortal_redis) as workers:
        with issuer.hold():
            workers.tell("verify", issuer.mint("ada"))
            issuer.wait_until_held()
            time.sleep(0.2)
            assert issuer.fetches["jwks"] == 1  # the others wait for what that one brings
            mortal_redis.stop()
            issuer.wait_until_held(WORKERS)
        assert workers.hear() == ["ada"] * WORKERS
        assert issuer.fetches["jwks"] == WORKERS
        issuer.rotate()
        workers.all_accept()
        workers.renew()
        told = [one.split().count("store_failed") for one in workers.do("events")]
        assert set(told) <= {1, 2}  # it broke off, and was gone when they asked again
        workers.renew()
        assert [one.split().count("store_failed") for one in workers.do("events")] == told
        assert issuer.fetches["jwks"] == 4 * WORKERS
        mortal_redis.start()
        workers.renew()  # one that looks late cannot tell what it finds there from what lay there before, and asks too
        before = issuer.fetches["jwks"]
        assert 4 * WORKERS + 1 <= before <= 5 * WORKERS
        workers.renew()
        assert issuer.fetches["jwks"] == before + 1


def planted(issuer: HeldIssuer, clock: Clock, key: FakeKey) -> bytes:
    """An entry as a worker would save it now, with an attacker's key instead of the issuer's."""
    now, url = clock.time(), issuer.issuer_url
    body = json.dumps({"keys": [key.public_jwk()]}).encode()
    return StoredKeys(url, f"{url}/jwks", fetched=now, as_of=now, soft=300.0, etag=None, body=body).to_bytes()


def plant(issuer: HeldIssuer, redis: Redis, entry: bytes, *, secret: str | None) -> None:
    """Put the entry where the workers look, sealed with ``secret``, or by somebody who knows of no seal."""
    if secret is None:
        name = f"oidcbridge:{{{sha256(issuer.issuer_url.encode()).hexdigest()}}}:keys"
        assert redis.raw("SET", name, entry)
    else:
        store = RedisKeyStore(redis.url, secret=secret)
        asyncio.run(store.save(issuer.issuer_url, entry, seconds=3600))


def test_keys_that_an_attacker_puts_into_redis_are_never_used(
    fleet: Begin, issuer: HeldIssuer, clock: Clock, redis: Redis
) -> None:
    """When the workers start, and when they have keys that are to be renewed; sealed with our secret they would be."""
    attacker = FakeKey.generate("ES256", kid=issuer.signing_key().kid)

    def forged_ones() -> list[str]:
        return workers.do("verify", issuer.mint("eve", key=attacker))

    with fleet(redis) as workers:
        plant(issuer, redis, planted(issuer, clock, attacker), secret=None)
        assert forged_ones() == ["bad_signature"] * WORKERS
        workers.all_accept()
        assert issuer.fetches["jwks"] == 1
        workers.do("settle")
        assert any("store_ignored" in told for told in workers.do("events"))
        for lifetime, secret in enumerate((None, "another secret, of 32 bytes or more too"), start=1):
            clock.advance(LIFETIME)
            plant(issuer, redis, planted(issuer, clock, attacker), secret=secret)
            workers.do("advance", LIFETIME)
            workers.all_accept()
            workers.do("settle")
            workers.all_accept()
            assert forged_ones() == ["bad_signature"] * WORKERS
            assert issuer.fetches["jwks"] == 1 + lifetime
        clock.advance(LIFETIME)
        plant(issuer, redis, planted(issuer, clock, attacker), secret=SECRET)
        workers.do("advance", LIFETIME)
        workers.do("settle")
        assert forged_ones() == ["eve"] * WORKERS
        assert issuer.fetches["jwks"] == 1 + 2
