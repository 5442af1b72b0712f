"""Keys in Redis: a network that is not trusted, a server that is down, slow or new, and no secret in any message."""

from __future__ import annotations

import asyncio
import socket
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from oidcbridge.core.stored_keys import MAX_ENTRY_BYTES
from oidcbridge.errors import ConfigurationError, KeyStoreError
from oidcbridge.stores import RedisKeyStore
from oidcbridge.stores.seal import SEAL_BYTES
from tests.remote.test_tls import Authority
from tests.stores.conftest import Kind
from tests.stores.servers import ISSUER, SECRET, Redis, free_port, run, running_redis, said, started

OTHER = "https://other.example.com"
PASSWORD = "hunter2/%?#@"
QUOTED = "hunter2%2F%25%3F%23%40"


@pytest.fixture
def store(redis: Redis) -> RedisKeyStore:
    return RedisKeyStore(redis.url, secret=SECRET, timeout=5.0)


def name(issuer: str, what: str, prefix: str = "oidcbridge") -> str:
    return f"{prefix}:{{{sha256(issuer.encode()).hexdigest()}}}:{what}"


KEYS = name(ISSUER, "keys")


def save(store: RedisKeyStore, entry: bytes = b"entry", *, issuer: str = ISSUER, seconds: float = 60.0) -> None:
    asyncio.run(store.save(issuer, entry, seconds=seconds))


def refusal(store: RedisKeyStore) -> KeyStoreError:
    with pytest.raises(KeyStoreError) as caught:
        asyncio.run(store.load(ISSUER))
    return caught.value


Call = Callable[[RedisKeyStore], Coroutine[Any, Any, object]]
CALLS: list[Call] = [
    lambda store: store.load(ISSUER),
    lambda store: store.save(ISSUER, b"entry", seconds=60.0),
    lambda store: store.lead(ISSUER, seconds=60.0),
    lambda store: store.spend(ISSUER, burst=1, interval=60.0),
]


# The seal


def test_an_entry_that_was_changed_in_redis_is_not_used(store: RedisKeyStore, redis: Redis) -> None:
    save(store)
    sealed = redis.raw("GET", KEYS)
    for forged in (sealed[:-1] + b"Y", b"\x00" * SEAL_BYTES + b"entry", b"entry", sealed[:10], sealed + b"!"):
        redis.raw("SET", KEYS, forged)
        assert refusal(store).ignored
    redis.raw("SET", KEYS, sealed)
    assert asyncio.run(store.load(ISSUER)) == b"entry"


def test_an_entry_that_was_moved_under_another_issuer_is_not_used(store: RedisKeyStore, redis: Redis) -> None:
    save(store, issuer=OTHER)
    redis.raw("COPY", name(OTHER, "keys"), KEYS)
    assert "seal does not fit" in str(refusal(store))
    assert asyncio.run(store.load(OTHER)) == b"entry"


def test_a_worker_with_another_secret_neither_believes_nor_is_believed(store: RedisKeyStore, redis: Redis) -> None:
    stranger = RedisKeyStore(redis.url, secret=b"another secret of 32 bytes, or a few more", timeout=5.0)
    save(store)
    assert refusal(stranger).ignored
    save(stranger)
    assert refusal(store).ignored


def test_an_entry_that_is_too_big_is_not_read_whole(store: RedisKeyStore, redis: Redis) -> None:
    save(store, b"x" * MAX_ENTRY_BYTES)
    assert asyncio.run(store.load(ISSUER)) == b"x" * MAX_ENTRY_BYTES
    redis.raw("SETRANGE", KEYS, 50_000_000, "x")
    error = refusal(store)
    assert error.ignored
    assert "too big" in str(error)


def test_an_entry_is_gone_after_its_seconds(store: RedisKeyStore, redis: Redis) -> None:
    save(store, seconds=0.1)
    time.sleep(0.2)
    assert asyncio.run(store.load(ISSUER)) is None
    save(store, seconds=3600.0)
    assert 3_590_000 < redis.raw("PTTL", KEYS) <= 3_600_000


def test_nothing_stays_in_redis_for_ever_and_all_names_begin_with_the_prefix(redis: Redis) -> None:
    store = RedisKeyStore(redis.url, secret=SECRET, timeout=5.0, prefix="my-agents")
    for call in CALLS:
        asyncio.run(call(store))
    names = redis.raw("KEYS", "*")
    assert sorted(names) == [name(ISSUER, what, "my-agents").encode() for what in ("budget", "keys", "lead")]
    assert all(0 < redis.raw("PTTL", each) <= 120_000 for each in names)


# The lead and the budget


def test_when_the_leader_is_killed_another_leads_after_its_time(store: RedisKeyStore, network: Kind) -> None:
    program = f"""
        async def main():
            lead = await {network.source}.lead(ISSUER, seconds=1.5)
            say(lead is not None)
            await asyncio.sleep(60)
        asyncio.run(main())
    """
    with started(program) as leader:
        assert said(leader) == ["True"]
        leader.kill()
        leader.wait()
    assert asyncio.run(store.lead(ISSUER, seconds=60.0)) is None
    deadline = time.monotonic() + 10
    while asyncio.run(store.lead(ISSUER, seconds=60.0)) is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_lead_whose_server_is_gone_ends_without_an_error(tmp_path: Path) -> None:
    async def main() -> None:
        with own_redis() as server:
            lead = await RedisKeyStore(server.url, secret=SECRET).lead(ISSUER, seconds=60.0)
            assert lead is not None
        await lead.end()

    asyncio.run(main())


@pytest.mark.parametrize(
    "bucket",
    [
        ("tokens", "nan", "second", "1"),
        ("tokens", "inf", "second", "1"),
        ("tokens", "2", "second", "nan"),
        ("tokens", "2"),
        ("tokens", "-1", "second", "1"),
        ("other", "2"),
    ],
)
def test_a_spoilt_budget_neither_gives_without_end_nor_blocks_for_ever(
    store: RedisKeyStore, redis: Redis, bucket: tuple[str, ...]
) -> None:
    redis.raw("HSET", name(ISSUER, "budget"), *bucket)

    async def main() -> None:
        assert await store.spend(ISSUER, burst=2, interval=0.5) is False
        await asyncio.sleep(0.6)
        assert await store.spend(ISSUER, burst=2, interval=0.5) is True

    asyncio.run(main())


def test_a_budget_dated_in_the_future_keeps_what_is_left_and_fills_from_now(store: RedisKeyStore, redis: Redis) -> None:
    redis.raw("HSET", name(ISSUER, "budget"), "tokens", "1", "second", "99999999999")

    async def main() -> None:
        assert [await store.spend(ISSUER, burst=2, interval=0.5) for _ in range(2)] == [True, False]
        await asyncio.sleep(0.6)
        assert await store.spend(ISSUER, burst=2, interval=0.5) is True

    asyncio.run(main())


def test_a_name_that_holds_something_else_is_a_fault_of_the_store(store: RedisKeyStore, redis: Redis) -> None:
    for what in ("keys", "budget"):
        redis.raw("LPUSH", name(ISSUER, what), "x")
    for call in (CALLS[0], CALLS[3]):
        with pytest.raises(KeyStoreError, match="ResponseError") as caught:
            asyncio.run(call(store))
        assert not caught.value.ignored


# A server that is not well


@contextmanager
def own_redis(*options: str, tls: bool = False) -> Iterator[Redis]:
    with (
        tempfile.TemporaryDirectory(prefix="oidcbridge-") as folder,
        running_redis(Path(folder), *options, tls=tls) as it,
    ):
        yield it


@contextmanager
def listening(answer: bytes = b"") -> Iterator[str]:
    """The address of a server that takes connections and says nothing, or ``answer`` to the first."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            client, _ = server.accept()
            with client:
                client.recv(1)
                client.sendall(answer)

        if answer:
            threading.Thread(target=serve, daemon=True).start()
        yield f"redis://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("call", CALLS)
def test_a_redis_that_is_down_is_a_fault_of_the_store_that_says_where_and_why(call: Call) -> None:
    store = RedisKeyStore(f"redis://127.0.0.1:{free_port()}/3", secret=SECRET)
    with pytest.raises(KeyStoreError, match=r"at redis://127\.0\.0\.1:\d+/3 cannot be used: .*onnect") as caught:
        asyncio.run(call(store))
    assert not caught.value.ignored


@pytest.mark.parametrize("call", CALLS)
def test_a_redis_that_hangs_is_given_up_in_time(call: Call) -> None:
    with listening() as url:
        begun = time.monotonic()
        with pytest.raises(KeyStoreError, match=r"no answer within 0\.3 s"):
            asyncio.run(call(RedisKeyStore(url, secret=SECRET, timeout=0.3)))
        assert 0.25 < time.monotonic() - begun < 1.3


def test_many_calls_to_a_redis_that_hangs_are_all_given_up_in_time() -> None:
    async def main() -> None:
        store = RedisKeyStore(url, secret=SECRET, timeout=0.3)
        begun = time.monotonic()
        answers = await asyncio.gather(*[store.load(ISSUER) for _ in range(16)], return_exceptions=True)
        assert {type(answer) for answer in answers} == {KeyStoreError}
        assert time.monotonic() - begun < 1.3

    with listening() as url:
        asyncio.run(main())


def test_a_redis_that_was_frozen_or_restarted_is_used_again(redis: Redis) -> None:
    async def main() -> None:
        with own_redis() as server:
            store = RedisKeyStore(server.url, secret=SECRET, timeout=1.0)
            await store.save(ISSUER, b"one", seconds=60.0)
            with server.frozen(), pytest.raises(KeyStoreError, match="no answer"):
                await store.load(ISSUER)
            assert await store.load(ISSUER) == b"one"
            server.stop()
            with pytest.raises(KeyStoreError):
                await store.load(ISSUER)
            server.start()
            assert await store.load(ISSUER) is None
            await store.save(ISSUER, b"two", seconds=60.0)
            assert await store.load(ISSUER) == b"two"

    asyncio.run(main())


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\xff" * 50, b"$99999999\r\nx", b"\r\n"])
def test_a_server_that_is_no_redis_is_a_fault_of_the_store(answer: bytes) -> None:
    with listening(answer) as url, pytest.raises(KeyStoreError, match="cannot be used"):
        asyncio.run(RedisKeyStore(url, secret=SECRET, timeout=1.0).load(ISSUER))


def test_no_connection_stays_open_between_calls(store: RedisKeyStore, redis: Redis) -> None:
    async def main() -> None:
        for call in CALLS:
            await call(store)
        await asyncio.gather(*[store.load(ISSUER) for _ in range(8)])
        await asyncio.sleep(0.1)
        own = [line for line in redis.raw("CLIENT", "LIST").splitlines() if redis.socket_path.name.encode() not in line]
        assert own == []

    asyncio.run(main())


def test_a_process_that_forks_in_the_middle_of_a_call_has_a_child_that_makes_its_own(
    redis: Redis, network: Kind
) -> None:
    with redis.frozen():
        program = f"""
            store = {network.source}
            saved = threading.Event()
            def save():
                asyncio.run(store.save(ISSUER, b"entry", seconds=60.0))
                saved.set()
            threading.Thread(target=save).start()
            time.sleep(0.5)
            pid = os.fork()
            if pid == 0:
                say("forked")
                say((asyncio.run(store.load(ISSUER)) or b"nothing").decode())
                sys.exit(0)
            os.waitpid(pid, 0)
            say(saved.wait(10))
        """
        with started(program) as process:
            assert said(process) == ["forked"]
            redis.thaw()
            assert said(process)[0] in ("entry", "nothing")
            assert said(process) == ["True"]
            assert process.wait(timeout=20) == 0
            assert said(process) == []
    assert asyncio.run(network.new().load(ISSUER)) == b"entry"


# What is said and what is not


def test_a_password_is_sent_and_never_shown() -> None:
    with own_redis("--requirepass", PASSWORD) as server:
        good = RedisKeyStore(f"redis://:{QUOTED}@127.0.0.1:{server.port}/0", secret=SECRET, timeout=5.0)
        save(good)
        assert asyncio.run(good.load(ISSUER)) == b"entry"
        assert repr(good) == f"RedisKeyStore('redis://127.0.0.1:{server.port}/0')"
        for url in (f"redis://:hunter3@127.0.0.1:{server.port}/0", f"redis://agent:{QUOTED}@127.0.0.1:{server.port}/0"):
            error = refusal(RedisKeyStore(url, secret=SECRET, timeout=5.0))
            shown = "".join(traceback.format_exception(error)) + repr(RedisKeyStore(url, secret=SECRET))
            assert "AuthenticationError" in str(error)
            assert "hunter" not in shown
            assert "agent" not in str(error)


def test_a_server_that_repeats_what_it_was_sent_puts_no_password_into_the_error() -> None:
    with own_redis("--rename-command", "AUTH", "") as server:
        error = refusal(RedisKeyStore(f"redis://:hunter2@127.0.0.1:{server.port}", secret=SECRET, timeout=5.0))
    assert "hunter2" not in str(error)
    assert error.__cause__ is None
    assert error.__context__ is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:6379",
        "http://127.0.0.1:6379",
        "redis://hunter2@127.0.0.1:x/0",
        "redis://:hunter2@127.0.0.1:99999/0",
        "redis://127.0.0.1:6379?socket_timeout=hunter2",
        "redis://127.0.0.1:6379?hunter2=1",
        "rediss://127.0.0.1:6379?ssl_cert_reqs=hunter2",
        "redis://:12/hunter2@127.0.0.1",
        "redis://:12?hunter2@127.0.0.1",
        "redis://:12#hunter2@127.0.0.1",
        None,
        b"redis://127.0.0.1",
    ],
)
def test_what_is_no_address_of_a_redis_is_a_mistake_that_is_not_repeated(url: object) -> None:
    with pytest.raises(ConfigurationError, match="RedisKeyStore") as caught:
        RedisKeyStore(url, secret=SECRET)  # type: ignore[arg-type]
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost", "redis://localhost"),
        ("redis://user:p%2Fw@[::1]:7000/2?socket_keepalive=true", "redis://[::1]:7000/2"),
        ("rediss://:p%40w@redis.internal:6380/0?ssl_check_hostname=true", "rediss://redis.internal:6380/0"),
        ("redis://127.0.0.1?password=p@ss", "redis://127.0.0.1"),
        ("unix:///run/redis.sock?db=2&password=pw", "unix:///run/redis.sock"),
    ],
)
def test_addresses_are_shown_without_user_password_and_options(url: str, shown: str) -> None:
    assert repr(RedisKeyStore(url, secret=SECRET)) == f"RedisKeyStore({shown!r})"


@pytest.mark.parametrize("timeout", [0, -1, 61, float("nan"), float("inf"), True, "1", None])
def test_a_timeout_that_bounds_nothing_is_a_mistake(timeout: object) -> None:
    with pytest.raises(ConfigurationError, match="timeout"):
        RedisKeyStore("redis://127.0.0.1", secret=SECRET, timeout=timeout)  # type: ignore[arg-type]


@pytest.mark.parametrize("prefix", ["", None, b"x"])
def test_a_prefix_is_a_name(prefix: object) -> None:
    with pytest.raises(ConfigurationError, match="prefix"):
        RedisKeyStore("redis://127.0.0.1", secret=SECRET, prefix=prefix)  # type: ignore[arg-type]


def test_a_store_without_a_good_secret_is_not_made() -> None:
    with pytest.raises(TypeError, match="secret"):
        RedisKeyStore("redis://127.0.0.1")  # type: ignore[call-arg]
    with pytest.raises(ConfigurationError, match="needs 32"):
        RedisKeyStore("redis://127.0.0.1", secret="short")
    assert SECRET not in repr(RedisKeyStore("redis://127.0.0.1", secret=SECRET))


# Other ways to reach it


def test_an_option_of_the_address_changes_nothing_that_the_store_relies_on(redis: Redis) -> None:
    store = RedisKeyStore(
        f"{redis.url}?decode_responses=true&protocol=3&socket_timeout=100", secret=SECRET, timeout=5.0
    )
    save(store, b"\x00\xff")
    assert asyncio.run(store.load(ISSUER)) == b"\x00\xff"
    assert asyncio.run(store.lead(ISSUER, seconds=60.0))


def test_a_socket_of_this_host_is_an_address_too(redis: Redis, store: RedisKeyStore) -> None:
    save(RedisKeyStore(f"unix://{redis.socket_path}", secret=SECRET, timeout=5.0))
    assert asyncio.run(store.load(ISSUER)) == b"entry"


def test_a_server_of_the_named_authority_is_trusted_and_no_other(tmp_path: Path) -> None:
    for folder in ("acme", "other"):
        (tmp_path / folder).mkdir()
    authority, stranger = Authority(tmp_path / "acme", "acme"), Authority(tmp_path / "other", "other")
    authority.server_context()  # writes the files
    files = [
        "--tls-cert-file",
        str(tmp_path / "acme/idp-cert.pem"),
        "--tls-key-file",
        str(tmp_path / "acme/idp-key.pem"),
    ]
    with own_redis(*files, "--tls-auth-clients", "no", "--tls-ca-cert-file", str(authority.file), tls=True) as server:
        url = f"rediss://127.0.0.1:{server.port}/0?ssl_ca_certs="
        good = RedisKeyStore(f"{url}{authority.file}", secret=SECRET, timeout=10.0)
        save(good)
        assert asyncio.run(good.load(ISSUER)) == b"entry"
        error = refusal(RedisKeyStore(f"{url}{stranger.file}", secret=SECRET, timeout=10.0))
        assert "certificate verify failed" in str(error)


# The package


def test_the_redis_package_is_loaded_only_where_a_store_is_made() -> None:
    seen = run(
        """
        say("redis" in sys.modules)
        store = RedisKeyStore("redis://127.0.0.1", secret="x" * 32)
        say("redis" in sys.modules)
        """
    )
    assert seen == ["False", "True"]


def test_without_the_redis_package_one_is_told_how_to_install_it() -> None:
    seen = run(
        """
        from oidcbridge import ConfigurationError
        sys.modules["redis"] = None
        try:
            RedisKeyStore("redis://127.0.0.1", secret="x" * 32)
        except ConfigurationError as error:
            say(error)
        """
    )
    assert 'pip install "oidcbridge[redis]"' in " ".join(seen)
