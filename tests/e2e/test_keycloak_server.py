"""The development Keycloak keeps to loopback, keeps its keys over a stop, and starts afresh when told to."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from tests.e2e.conftest import start_or_skip
from tests.e2e.keycloak_server import KeycloakServer, keycloak_py

LISTEN = "0A"  # the state column of /proc/net/tcp


def test_it_listens_on_loopback_and_nowhere_else(keycloak: KeycloakServer) -> None:
    addresses = listening_addresses(keycloak)
    assert keycloak.base_url.removeprefix("http://") in addresses
    assert {address.rpartition(":")[0] for address in addresses} == {"127.0.0.1"}


def test_the_realm_files_are_imported_without_a_warning(keycloak: KeycloakServer) -> None:
    first_start, _, _ = keycloak.log.partition("Bootstrap completed")  # refused logins are warnings too, later
    assert "Realm 'agents' imported" in first_start
    assert "Realm 'other' imported" in first_start
    assert [line for line in first_start.splitlines() if re.search(r"\b(WARN|ERROR|FATAL)\b", line)] == []


def test_the_issuer_has_one_spelling_whatever_name_it_is_asked_through(keycloak: KeycloakServer) -> None:
    path = "/realms/agents/.well-known/openid-configuration"
    asked = [keycloak.base_url, keycloak.base_url.replace("127.0.0.1", "localhost")]
    assert {httpx2.get(base + path).json()["issuer"] for base in asked} == {keycloak.issuer_url}


def test_a_second_start_leaves_the_running_server_alone(keycloak: KeycloakServer) -> None:
    before = (keycloak.home / "server.json").read_text()
    done = keycloak_py("start", "--local", f"--home={keycloak.home}", env=os.environ)
    assert done.returncode == 0
    assert "already running" in done.stderr
    assert keycloak.issuer_url in done.stdout
    assert (keycloak.home / "server.json").read_text() == before


def test_status_tells_a_ready_server_from_none(keycloak: KeycloakServer, tmp_path: Path) -> None:
    ready = keycloak_py("status", f"--home={keycloak.home}", env=os.environ)
    assert (ready.returncode, ready.stdout) == (0, f"Keycloak 26.7.3 is ready: {keycloak.issuer_url}\n")
    none = keycloak_py("status", f"--home={tmp_path}", env=os.environ)
    assert (none.returncode, none.stdout) == (1, "Keycloak is not running.\n")


def test_a_stop_and_a_start_keep_issuer_and_keys(keycloak: KeycloakServer) -> None:
    issuer, keys = keycloak.issuer_url, keycloak.jwks()
    keycloak.stop()
    with pytest.raises(httpx2.ConnectError):
        keycloak.jwks()
    keycloak.start()
    assert keycloak.issuer_url == issuer
    assert keycloak.jwks() == keys


# A server of its own, since a reset changes its keys; its realm is empty, to be quick.


@pytest.fixture
def small_server(tmp_path: Path) -> Iterator[KeycloakServer]:
    realms = tmp_path / "realms of this test"
    realms.mkdir()
    (realms / "agents-realm.json").write_text(json.dumps({"realm": "agents", "enabled": True, "displayName": "Old"}))
    with closing(KeycloakServer(tmp_path / "a home with spaces", realms=realms)) as server:
        start_or_skip(server)
        yield server


def test_a_changed_realm_file_applies_after_a_reset(small_server: KeycloakServer, tmp_path: Path) -> None:
    issuer, old_keys = small_server.issuer_url, small_server.jwks()
    realm_file = tmp_path / "realms of this test" / "agents-realm.json"
    realm_file.write_text(realm_file.read_text().replace("Old", "New"))
    assert small_server.admin("GET", "").json()["displayName"] == "Old"
    small_server.reset()
    assert small_server.admin("GET", "").json()["displayName"] == "New"
    assert small_server.issuer_url == issuer
    assert small_server.jwks() != old_keys


def listening_addresses(server: KeycloakServer) -> set[str]:
    """Return `address:port` of every TCP socket that the server's processes listen on."""
    inodes = {
        found[1]
        for pid in process_ids(server)
        for link in Path(f"/proc/{pid}/fd").iterdir()
        if (found := re.fullmatch(r"socket:\[(\d+)\]", os.readlink(link)))
    }
    addresses = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            column = line.split()
            if column[3] == LISTEN and column[9] in inodes:
                address, port = column[1].split(":")
                addresses.add(f"{readable_address(address)}:{int(port, 16)}")
    return addresses


def process_ids(server: KeycloakServer) -> list[int]:
    """Return kc.sh and its children, found by the home that stands in their arguments."""
    home = f"-Dkc.home.dir={server.home}".encode()
    pids = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if home in (folder / "cmdline").read_bytes().split(b"\0"):
                pids.append(int(folder.name))
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
    return pids


def readable_address(text: str) -> str:
    """Read an address of /proc/net/tcp or tcp6: little-endian words of 32 bits, in hexadecimal."""
    words = [bytes.fromhex(text[start : start + 8])[::-1] for start in range(0, len(text), 8)]
    packed = b"".join(words)
    if len(packed) == 4:
        return socket.inet_ntop(socket.AF_INET, packed)
    return socket.inet_ntop(socket.AF_INET6, packed).removeprefix("::ffff:")
