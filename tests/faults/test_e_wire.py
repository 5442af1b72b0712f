"""E, how the body arrives: too much of it, too slowly, under another name or length than its own."""

from __future__ import annotations

import asyncio
import gzip
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

import pytest

from oidcbridge import Verifier
from oidcbridge.errors import KeyNotFoundError
from oidcbridge.remote.fetch_error import FetchError
from oidcbridge.testing import Clock
from tests.faults.kit import LOAD, health
from tests.faults.table import Row, scenario
from tests.faults.turncoat import STALE, Turncoat, accepts, case, recovers, survives, turncoat
from tests.remote.asking import refuse, settle, unavailable
from tests.remote.hostile import Request, Script, answer

HUGE = 100_000_000  # bytes
CHUNK = b" " * 65_536
HINT = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
DEADLINE = 5.0  # seconds


@pytest.fixture
def provider(clock: Clock) -> Iterator[Turncoat]:
    with turncoat(clock) as provider:
        yield provider


class Flood:
    """A script: ``head``, then ``chunk`` until ``limit`` bytes are out or nobody reads; ``sent`` is how far it came."""

    def __init__(self, head: bytes, chunk: bytes, limit: float = float("inf")) -> None:
        self.head, self.chunk, self.limit = head, chunk, limit
        self.sent = 0

    def __call__(self, request: Request) -> None:
        open_ = request.send(self.head)
        while open_ and self.sent < self.limit:
            open_ = request.send(self.chunk)
            self.sent += len(self.chunk)


def bomb(text: bytes) -> bytes:
    """``text`` and 100 MB of blanks behind it, in about 100 KB of gzip."""
    packer = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    blanks = b"".join(packer.compress(CHUNK) for _ in range(HUGE // len(CHUNK)))
    return packer.compress(text) + blanks + packer.flush()


def peak_of(work: Callable[[], object]) -> int:
    """Bytes that Python had allocated at most while ``work`` went on, more than before."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@scenario("E50")
def test_e50_an_endless_or_swollen_body_is_left_at_256_kib_and_takes_no_memory(provider: Turncoat, row: Row) -> None:
    """The memory is compared with what an honest body of almost 256 KiB takes, which has to be read whole."""
    lie, json_head = provider.lie(), b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    honest = answer(provider.truth() + b" " * (256 * 1024 - 4096))
    plain = Flood(json_head + b"Content-Length: %d\r\n\r\n" % (len(lie) + HUGE) + lie, CHUNK, HUGE)
    chunked = Flood(
        json_head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(lie), lie),
        b"%x\r\n%b\r\n" % (len(CHUNK), CHUNK),
    )
    packed = bomb(lie)
    assert len(packed) < 256 * 1024
    lies: dict[str, Script] = {
        "100 MB": plain,
        "endless chunks": chunked,
        "a gzip bomb": answer(packed, headers={"Content-Encoding": "gzip"}),
    }
    with provider.issuer.verifier() as verifier:
        settle(verifier)
        usual = peak_of(lambda: recovers(provider, verifier, after=STALE, script=honest))
        for name, script in lies.items():
            with case(name):
                assert peak_of(partial(survives, provider, verifier, script)) < usual + 1_000_000
                assert health(verifier).last_error is None
    assert max(plain.sent, chunked.sent) < HUGE / 10  # what the sockets' buffers took before we hung up
    row.saw("left at 256 KiB with less than 1 MB of memory, the old keys survived", provider.fetches)


def dripping(head: bytes, drop: bytes) -> Script:
    """``head``, and then ``drop`` once a second for ever."""

    def script(request: Request) -> None:
        request.send(head)
        while request.pause(1.0) and request.send(drop):
            pass

    return script


async def seconds_to_give_up(verifier: Verifier) -> float:
    started = time.monotonic()
    with pytest.raises(FetchError, match="did not answer in 5") as caught:
        await verifier.refresh(force=True)
    seconds = time.monotonic() - started
    verifier.pause()  # or the timer would ask again a moment later
    assert caught.value.kind == "timeout"
    return seconds


async def known_keys_go_on(verifiers: list[Verifier], providers: list[Turncoat]) -> None:
    """After two seconds, in the middle of all their fetches."""
    await asyncio.sleep(2)
    for verifier, provider in zip(verifiers, providers, strict=True):
        assert (await verifier.verify(provider.issuer.mint("ada"))).user_id == "ada"
        assert health(verifier).failures == 0


@scenario("E51")
def test_e51_a_provider_that_drips_or_is_silent_is_left_after_five_seconds(clock: Clock, row: Row) -> None:
    ok = b"HTTP/1.1 200 OK\r\n"
    scripts = {
        "a byte of the body a second": dripping(ok + b"Content-Length: 1000\r\n\r\n", b" "),
        "a byte of a header a second": dripping(ok + b"X-Long: ", b"a"),
        "a header a second": dripping(ok, b"X-More: 1\r\n"),
        "a byte of the first line a second": dripping(b"HTTP/1.1 ", b"2"),
        "silence": dripping(b"", b""),
    }
    with ExitStack() as stack:
        providers = [stack.enter_context(turncoat(clock)) for _ in scripts]
        verifiers = [stack.enter_context(provider.issuer.verifier()) for provider in providers]

        async def all_at_once() -> list[float]:
            waiting = (seconds_to_give_up(verifier) for verifier in verifiers)
            seconds, _ = await asyncio.gather(asyncio.gather(*waiting), known_keys_go_on(verifiers, providers))
            return list(seconds)

        for provider, verifier, script in zip(providers, verifiers, scripts.values(), strict=True):
            settle(verifier)
            provider.say(script)
        clock.advance(STALE)
        for name, seconds in zip(scripts, asyncio.run(all_at_once()), strict=True):
            with case(name):
                assert DEADLINE - 0.2 <= seconds <= DEADLINE + 0.2 + LOAD
        for provider, verifier in zip(providers, verifiers, strict=True):
            accepts(verifier, provider.issuer)
            assert provider.fetches == {"discovery": 1, "jwks": 2}
        recovers(provider, verifier)
        row.saw("left after 5.0 s, known keys went on, the old set survived", provider.fetches)


@scenario("E53")
def test_e53_entity_tags_renew_what_they_name_and_nothing_else(provider: Turncoat, row: Row) -> None:
    not_modified = answer(b"", status=304)
    provider.say(not_modified)
    with provider.issuer.verifier() as cold:  # it has nothing that could be "not modified"
        assert "304" in str(unavailable(cold, provider.issuer.mint("ada")))
    provider.be_honest()
    with provider.issuer.verifier() as verifier:
        settle(verifier)
        survives(provider, verifier, not_modified)
        for tag in ('"v1"', 'W/"v1"'):
            with case(tag):
                renewed_by(tag, provider, verifier)
        replaced_after_304(provider, verifier)
        long_tag = answer(provider.truth(), headers={"ETag": f'"{"x" * 60_000}"'})
        recovers(provider, verifier, after=STALE, script=long_tag)
        huge_tag = answer(provider.lie(), headers={"ETag": f'"{"x" * 1_000_000}"'})
        survives(provider, verifier, huge_tag)  # not tried once more: an answer had begun
        assert provider.server.requests[-1].headers.get("if-none-match") is None
    row.saw("304 renewed only what had been asked for by its tag; 1 MB of ETag survived", provider.fetches)


def renewed_by(tag: str, provider: Turncoat, verifier: Verifier) -> None:
    """The tag goes back as it came, and 304 makes the keys fresh again."""
    recovers(provider, verifier, after=STALE, script=answer(provider.truth(), headers={"ETag": tag}))
    recovers(provider, verifier, after=STALE, script=answer(b"", status=304))
    assert provider.server.requests[-1].headers["if-none-match"] == tag


def replaced_after_304(provider: Turncoat, verifier: Verifier) -> None:
    """The tag of the old body does not outlive it: a changed body is taken, and so is its own tag."""
    old = provider.replace_keys()
    recovers(provider, verifier, after=STALE, script=answer(provider.truth(), headers={"ETag": '"v2"'}))
    refuse(verifier, provider.issuer.mint("ada", key=old, issued_ago=1000), KeyNotFoundError)
    recovers(provider, verifier, after=STALE, script=answer(b"", status=304))
    assert provider.server.requests[-1].headers["if-none-match"] == '"v2"'


def liars(lie: bytes) -> dict[str, Script]:
    """Answers whose head is not true of their body, or that are no whole answer; the forged keys are in them."""
    packed, length = gzip.compress(lie), len(lie)

    def gzipped(body: bytes, encoding: str) -> Script:
        return answer(body, headers={"Content-Encoding": encoding})

    return {
        "plain that says gzip": gzipped(lie, "gzip"),
        "gzip that says plain": answer(packed),
        "gzip that says br": gzipped(packed, "br"),
        "gzip in gzip": gzipped(gzip.compress(packed), "gzip, gzip"),
        "half of a gzip": gzipped(packed[:-9], "gzip"),
        "gzip of the wrong checksum": gzipped(packed[:-8] + bytes(8), "gzip"),
        "deflate": gzipped(zlib.compress(lie), "deflate"),
        "too long a length": answer(lie, length=length + 1),
        "too short a length": answer(lie, length=length - 1),
        "a chunk that is cut off": chunked(b"%x\r\n" % (length + 10) + lie),
        "chunks without an end": chunked(b"%x\r\n%b\r\n" % (length, lie)),
        **{f"status {status}": answer(lie, status=status) for status in (201, 202, 203, 206, 299)},
        **{
            f"Content-Length: {text}": answer(lie, headers={"Content-Length": text})
            for text in ("many", "-1", f"{length}, 7")
        },
        "204": answer(b"", status=204),
        "205": answer(b"", status=205),
    }


def after_a_hint(script: Script) -> Script:
    """One 103 (RFC 8297) goes before the answer, as it may."""
    return lambda request: request.send(HINT) and script(request)


def chunked(body: bytes) -> Script:
    return lambda request: request.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)


@scenario("E54")
def test_e54_an_answer_that_lies_about_itself_or_never_begins_is_a_failure(provider: Turncoat, row: Row) -> None:
    lies = liars(provider.lie())
    early_hints = Flood(b"", HINT)
    with provider.issuer.verifier() as verifier:
        settle(verifier)
        for name, script in lies.items():
            with case(name):
                survives(provider, verifier, script)
        with case("a flood of 1xx"):
            started = time.monotonic()
            survives(provider, verifier, early_hints)
            assert time.monotonic() - started < DEADLINE + 0.2 + LOAD
        with case("one hint, then the answer"):
            recovers(provider, verifier, after=STALE, script=after_a_hint(answer(provider.truth())))
    row.saw(f"{len(lies) + 1} lies were failures, the old keys survived", provider.fetches)
