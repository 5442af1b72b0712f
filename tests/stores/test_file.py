"""Keys in files: only ours are read, a half-written one never is, and the dead hold no lock."""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path

import pytest

from oidcbridge.core.stored_keys import MAX_ENTRY_BYTES
from oidcbridge.errors import ConfigurationError, KeyStoreError
from oidcbridge.stores import FileKeyStore
from oidcbridge.testing import Clock
from tests.stores.conftest import Kind
from tests.stores.servers import ISSUER, run, said, started

STRANGER = 54321
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "keys"


@pytest.fixture
def store(directory: Path) -> FileKeyStore:
    return FileKeyStore(directory)


@pytest.fixture
def entry(store: FileKeyStore, directory: Path) -> Path:
    """The file of an entry that is there."""
    asyncio.run(store.save(ISSUER, b"entry", seconds=60.0))
    return directory / sha256(ISSUER.encode()).hexdigest()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def ignored(store: FileKeyStore) -> str:
    with pytest.raises(KeyStoreError) as caught:
        asyncio.run(store.load(ISSUER))
    assert caught.value.ignored
    return str(caught.value)


# The directory


def test_the_directory_and_the_files_are_made_for_this_user_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = FileKeyStore(tmp_path / "a" / "b")

        async def use() -> None:
            await store.save(ISSUER, b"entry", seconds=60.0)
            await store.lead(ISSUER, seconds=60.0)
            await store.spend(ISSUER, burst=1, interval=60.0)

        asyncio.run(use())
    finally:
        os.umask(before)
    assert mode(tmp_path / "a" / "b") == 0o700
    files = sorted((tmp_path / "a" / "b").iterdir())
    assert [mode(file) for file in files] == [0o600] * 3
    assert [file.suffix for file in files] == ["", ".budget", ".lock"]


@pytest.mark.parametrize("bits", [0o777, 0o722, 0o720, 0o702, 0o1777])
def test_a_directory_that_others_may_write_to_is_refused(directory: Path, bits: int) -> None:
    directory.mkdir()
    directory.chmod(bits)
    with pytest.raises(ConfigurationError, match=f"chmod go-w {directory}"):
        FileKeyStore(directory)
    assert FileKeyStore(directory / "oidcbridge")  # as the message says


@pytest.mark.parametrize("bits", [0o700, 0o755])
def test_a_directory_is_good_where_others_cannot_replace_what_is_ours(directory: Path, bits: int) -> None:
    directory.mkdir()
    directory.chmod(bits)
    store = FileKeyStore(directory)
    asyncio.run(store.save(ISSUER, b"entry", seconds=60.0))
    assert asyncio.run(store.load(ISSUER)) == b"entry"
    assert mode(directory) == bits


@as_root
def test_a_directory_of_another_user_is_refused(directory: Path) -> None:
    directory.mkdir(mode=0o700)
    os.chown(directory, STRANGER, STRANGER)
    with pytest.raises(ConfigurationError, match=f"belongs to user {STRANGER}"):
        FileKeyStore(directory)


def test_a_file_in_the_place_of_the_directory_or_above_it_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="no directory"):
        FileKeyStore(tmp_path / "file")
    with pytest.raises(ConfigurationError, match="Not a directory"):
        FileKeyStore(tmp_path / "file" / "keys")


@as_root
def test_a_directory_that_this_user_may_not_write_into_is_refused() -> None:
    with tempfile.TemporaryDirectory() as directory:  # no other user gets as far as tmp_path
        os.chmod(directory, 0o755)
        seen = run(
            """
            from oidcbridge import ConfigurationError
            FileKeyStore(sys.argv[1])
            os.setgid(int(sys.argv[2]))
            os.setuid(int(sys.argv[2]))
            try:
                FileKeyStore(sys.argv[1])
            except ConfigurationError as error:
                say(error)
            """,
            directory,
            str(STRANGER),
        )
    assert f"this user may not write into {directory}" in " ".join(seen)


@pytest.mark.parametrize("directory", ["", None, 7, b"keys"])
def test_what_names_no_directory_is_a_mistake(directory: object) -> None:
    with pytest.raises(ConfigurationError, match="name a directory"):
        FileKeyStore(directory)  # type: ignore[arg-type]


def test_a_store_stays_where_it_was_made_when_the_process_goes_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = FileKeyStore("keys")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    asyncio.run(store.save(ISSUER, b"entry", seconds=60.0))
    assert repr(store) == f"FileKeyStore({str(tmp_path / 'keys')!r})"
    assert len(list((tmp_path / "keys").iterdir())) == 1


def test_windows_is_told_what_to_use_instead(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(ConfigurationError, match="use RedisKeyStore"):
        FileKeyStore(directory)
    assert not directory.exists()


# The entry


@pytest.mark.parametrize("bits", [0o666, 0o620, 0o602, 0o777])
def test_an_entry_that_others_may_write_to_is_not_used(store: FileKeyStore, entry: Path, bits: int) -> None:
    entry.chmod(bits)
    assert "others may write" in ignored(store)
    entry.chmod(0o644)
    assert asyncio.run(store.load(ISSUER)) == b"entry"


@as_root
def test_an_entry_of_another_user_is_not_used(store: FileKeyStore, entry: Path) -> None:
    os.chown(entry, STRANGER, STRANGER)
    assert f"belongs to user {STRANGER}" in ignored(store)
    os.chown(entry, 0, 0)
    assert asyncio.run(store.load(ISSUER)) == b"entry"


def test_a_symbolic_link_is_not_followed_and_the_next_entry_replaces_it(store: FileKeyStore, entry: Path) -> None:
    target = entry.with_name("target")
    entry.rename(target)
    entry.symlink_to(target)
    assert "symbolic link" in ignored(store)
    asyncio.run(store.save(ISSUER, b"new", seconds=60.0))
    assert asyncio.run(store.load(ISSUER)) == b"new"
    assert target.read_bytes() == b"entry"


def test_a_pipe_or_a_directory_in_the_place_of_an_entry_holds_nobody_up(store: FileKeyStore, entry: Path) -> None:
    entry.unlink()
    os.mkfifo(entry, 0o600)
    assert "no regular file" in ignored(store)
    entry.unlink()
    entry.mkdir(mode=0o700)
    assert "no regular file" in ignored(store)


def test_an_entry_that_is_too_big_is_not_used(store: FileKeyStore, entry: Path) -> None:
    entry.write_bytes(b"x" * (MAX_ENTRY_BYTES + 1))
    assert f"more than {MAX_ENTRY_BYTES} bytes" in ignored(store)
    entry.write_bytes(b"x" * MAX_ENTRY_BYTES)
    assert asyncio.run(store.load(ISSUER)) == b"x" * MAX_ENTRY_BYTES


def test_a_file_with_a_second_name_is_not_used(store: FileKeyStore, entry: Path, tmp_path: Path) -> None:
    """Whoever may make links, and chose what stands in a file of ours, could lay it here as an entry."""
    os.link(entry, tmp_path / "upload")
    assert "hard link" in ignored(store)
    (tmp_path / "upload").unlink()
    assert asyncio.run(store.load(ISSUER)) == b"entry"


def test_files_of_others_in_the_directory_are_left_alone(directory: Path) -> None:
    directory.mkdir(mode=0o700)
    theirs = directory / "thesis.tmp"
    theirs.write_text("years of work")
    os.utime(theirs, (time.time() - 4000, time.time() - 4000))
    FileKeyStore(directory)
    assert theirs.read_text() == "years of work"


def test_a_writer_that_is_killed_in_the_middle_leaves_the_entry_as_it_was(
    store: FileKeyStore, directory: Path, entry: Path, files: Kind
) -> None:
    program = f"""
        def hang(descriptor):
            say("written")
            time.sleep(60)
        os.fsync = hang
        asyncio.run({files.source}.save(ISSUER, b"half", seconds=60.0))
    """
    with started(program) as writer:
        assert said(writer) == ["written"]
        writer.kill()
        writer.wait()
    [left] = directory.glob("*.tmp")
    assert left.read_bytes() == b"half"
    assert asyncio.run(store.load(ISSUER)) == b"entry"

    FileKeyStore(directory)
    assert left.exists()  # somebody may be writing it
    os.utime(left, (time.time() - 4000, time.time() - 4000))
    FileKeyStore(directory)
    assert sorted(directory.iterdir()) == [entry]


def test_a_reader_never_sees_a_part_of_an_entry(store: FileKeyStore, files: Kind) -> None:
    program = f"""
        async def main():
            store = {files.source}
            for number in range(60):
                await store.save(ISSUER, (b"a", b"b")[number % 2] * 300_000, seconds=60.0)
                if number == 0:
                    say("ready")
            say("done")
        asyncio.run(main())
    """
    seen = set()
    with started(program) as writer:
        assert said(writer) == ["ready"]
        while writer.poll() is None:
            seen.add(asyncio.run(store.load(ISSUER)))
    assert seen <= {b"a" * 300_000, b"b" * 300_000}
    assert seen


def test_the_systems_errors_name_the_file_and_the_reason(store: FileKeyStore, entry: Path, directory: Path) -> None:
    directory.rename(directory.with_name("gone"))
    assert asyncio.run(store.load(ISSUER)) is None
    calls = [
        store.save(ISSUER, b"entry", seconds=60.0),
        store.lead(ISSUER, seconds=60.0),
        store.spend(ISSUER, burst=1, interval=60.0),
    ]
    for call in calls:
        with pytest.raises(KeyStoreError, match=rf"{entry}.* cannot be used: No such file or directory") as caught:
            asyncio.run(call)
        assert not caught.value.ignored
    directory.with_name("gone").rename(directory)
    assert asyncio.run(store.load(ISSUER)) == b"entry"


def test_saving_without_a_thread_to_do_it_in_is_a_fault_of_the_store(store: FileKeyStore) -> None:
    async def main() -> None:
        await asyncio.to_thread(time.monotonic)
        await asyncio.get_running_loop().shutdown_default_executor()
        with pytest.raises(KeyStoreError, match="no thread"):
            await store.save(ISSUER, b"entry", seconds=60.0)

    asyncio.run(main())


def test_refused_files_leave_no_descriptor_open(store: FileKeyStore, entry: Path, directory: Path) -> None:
    async def use() -> None:
        lead = await store.lead(ISSUER, seconds=60.0)
        assert lead is not None
        assert await store.lead(ISSUER, seconds=60.0) is None
        await lead.end()
        await store.spend(ISSUER, burst=1, interval=60.0)

    asyncio.run(use())
    entry.chmod(0o666)
    files = Path("/proc/self/fd") if Path("/proc/self/fd").exists() else Path("/dev/fd")
    before = len(list(files.iterdir()))
    for _ in range(20):
        ignored(store)
        asyncio.run(use())
    assert len(list(files.iterdir())) == before


# The lead


def test_when_the_leader_is_killed_another_leads_at_once(store: FileKeyStore, files: Kind) -> None:
    program = f"""
        async def main():
            lead = await {files.source}.lead(ISSUER, seconds=600.0)
            say(lead is not None)
            await asyncio.sleep(60)
        asyncio.run(main())
    """
    with started(program) as leader:
        assert said(leader) == ["True"]
        assert asyncio.run(store.lead(ISSUER, seconds=60.0)) is None
        leader.kill()
        leader.wait()
        assert asyncio.run(store.lead(ISSUER, seconds=60.0)) is not None


def test_a_child_that_outlives_a_killed_leader_does_not_keep_the_lead(store: FileKeyStore, files: Kind) -> None:
    program = f"""
        async def main():
            lead = await {files.source}.lead(ISSUER, seconds=600.0)
            child = os.fork()
            if child == 0:
                say("child", os.getpid())
                time.sleep(60)
            await asyncio.sleep(60)
        asyncio.run(main())
    """
    with started(program) as leader:
        child = int(said(leader)[1])
        try:
            assert asyncio.run(store.lead(ISSUER, seconds=60.0)) is None
            leader.kill()
            leader.wait()
            os.kill(child, 0)  # it lives
            assert asyncio.run(store.lead(ISSUER, seconds=60.0)) is not None
        finally:
            os.kill(child, 9)


def test_a_lead_whose_owner_and_loop_are_gone_is_free(store: FileKeyStore) -> None:
    async def take() -> None:
        assert await store.lead(ISSUER, seconds=600.0) is not None

    asyncio.run(take())
    asyncio.run(take())


# Lock and budget, which are files too


def test_a_lock_and_a_budget_that_are_not_ours_alone_make_the_store_unusable(
    store: FileKeyStore, directory: Path
) -> None:
    name = sha256(ISSUER.encode()).hexdigest()
    for suffix in (".lock", ".budget"):
        file = directory / (name + suffix)
        file.touch(mode=0o600)
        file.chmod(0o666)

        async def use(suffix: str = suffix) -> object:
            if suffix == ".lock":
                return await store.lead(ISSUER, seconds=60.0)
            return await store.spend(ISSUER, burst=1, interval=60.0)

        with pytest.raises(KeyStoreError, match="others may write") as caught:
            asyncio.run(use())
        assert not caught.value.ignored
        file.chmod(0o600)
        assert asyncio.run(use())


def test_a_spoilt_budget_neither_gives_without_end_nor_blocks_for_ever(directory: Path) -> None:
    clock = Clock()
    store = FileKeyStore(directory, clock=clock)
    file = directory / (sha256(ISSUER.encode()).hexdigest() + ".budget")

    def spend() -> bool:
        return asyncio.run(store.spend(ISSUER, burst=2, interval=10.0))

    assert [spend(), spend(), spend()] == [True, True, False]
    sound = file.read_bytes()
    for spoilt in (sound[:20], b"garbage", sound * 100, b"\x00" * 10):
        file.write_bytes(spoilt)
        assert spend() is False
        assert len(file.read_bytes()) == len(sound)
        clock.advance(10.001)
        assert [spend(), spend()] == [True, False]
    clock.set_time(clock.time() - 1e7)
    assert spend() is False
    clock.advance(10.001)
    assert spend() is True


def test_a_budget_that_somebody_keeps_locked_is_given_up_soon(store: FileKeyStore, directory: Path) -> None:
    file = directory / (sha256(ISSUER.encode()).hexdigest() + ".budget")
    with file.open("w") as held:
        file.chmod(0o600)
        fcntl.flock(held, fcntl.LOCK_EX)
        begun = time.monotonic()
        with pytest.raises(KeyStoreError, match="stays locked"):
            asyncio.run(store.spend(ISSUER, burst=1, interval=60.0))
        assert time.monotonic() - begun < 2.4
    assert asyncio.run(store.spend(ISSUER, burst=1, interval=60.0)) is True


def test_a_budget_that_is_locked_for_a_moment_is_waited_for(store: FileKeyStore, directory: Path) -> None:
    async def main() -> None:
        file = directory / (sha256(ISSUER.encode()).hexdigest() + ".budget")
        with file.open("w") as held:
            file.chmod(0o600)
            fcntl.flock(held, fcntl.LOCK_EX)
            asyncio.get_running_loop().call_later(0.05, fcntl.flock, held, fcntl.LOCK_UN)
            assert await store.spend(ISSUER, burst=1, interval=60.0) is True

    asyncio.run(main())
