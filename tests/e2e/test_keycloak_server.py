"""The development Keycloak keeps to loopback, keeps its keys over a stop, and says plainly what it lacks."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from tests.e2e.conftest import start_or_skip
from tests.e2e.keycloak_server import SCRIPT, KeycloakServer

DOCKER = SCRIPT.parent
LISTEN = "0A"  # the state column of /proc/net/tcp


def keycloak_py(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script with nothing of our environment but what is given here."""
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def program(folder: Path, name: str, script: str) -> Path:
    """Make an executable, and return the folder to put on PATH."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return folder


def java(folder: Path, version: str) -> Path:
    return program(folder, "java", f"echo 'openjdk version \"{version}\" 2024-01-16' >&2")


# A running server.


def test_it_listens_on_loopback_and_nowhere_else(keycloak: KeycloakServer) -> None:
    addresses = listening_addresses(keycloak)
    assert keycloak.base_url.removeprefix("http://") in addresses
    assert {address.rpartition(":")[0] for address in addresses} == {"127.0.0.1"}


def test_the_realm_files_are_imported_without_a_warning(keycloak: KeycloakServer) -> None:
    assert "Realm 'agents' imported" in keycloak.log
    assert "Realm 'other' imported" in keycloak.log
    assert [line for line in keycloak.log.splitlines() if re.search(r"\b(WARN|ERROR|FATAL)\b", line)] == []


def test_the_issuer_has_one_spelling_whatever_name_it_is_asked_through(keycloak: KeycloakServer) -> None:
    path = "/realms/agents/.well-known/openid-configuration"
    asked = [keycloak.base_url, keycloak.base_url.replace("127.0.0.1", "localhost")]
    assert {httpx2.get(base + path).json()["issuer"] for base in asked} == {keycloak.issuer_url}


def test_a_second_start_leaves_the_running_server_alone(keycloak: KeycloakServer) -> None:
    before = (keycloak.home / "server.json").read_text()
    done = keycloak_py("start", "--local", f"--home={keycloak.home}", PATH=os.environ["PATH"])
    assert done.returncode == 0
    assert "already running" in done.stderr
    assert keycloak.issuer_url in done.stdout
    assert (keycloak.home / "server.json").read_text() == before


def test_status_tells_a_ready_server_from_none(keycloak: KeycloakServer, tmp_path: Path) -> None:
    ready = keycloak_py("status", f"--home={keycloak.home}")
    assert (ready.returncode, ready.stdout) == (0, f"Keycloak 26.7.3 is ready: {keycloak.issuer_url}\n")
    none = keycloak_py("status", f"--home={tmp_path}")
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


# What it says when it cannot start. None of these needs Java.


def test_a_machine_with_neither_docker_nor_java_gets_one_line(tmp_path: Path) -> None:
    done = keycloak_py("start", f"--home={tmp_path / 'home'}", PATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.count("\n") == 1
    assert "Docker" in done.stderr
    assert "Java 17" in done.stderr
    assert "apt install" in done.stderr
    assert not (tmp_path / "home").exists()


def test_an_old_java_is_named_in_one_line(tmp_path: Path) -> None:
    done = keycloak_py("start", f"--home={tmp_path / 'home'}", PATH=str(java(tmp_path / "bin", "11.0.22")))
    assert done.returncode == 3
    assert done.stderr.startswith("Java 11 is too old for Keycloak 26.7.3")
    assert done.stderr.count("\n") == 1


def test_without_maven_it_asks_for_maven_or_the_tarball(tmp_path: Path) -> None:
    path = java(tmp_path / "bin", "17.0.15")
    options = [f"--home={tmp_path / 'home'}", f"--cache={tmp_path / 'cache'}", "--port=0"]
    done = keycloak_py("start", *options, PATH=str(path), HOME=str(tmp_path))
    assert done.returncode == 3
    assert "apt install maven" in done.stderr
    assert "--dist" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_tarball_that_was_tampered_with_is_refused(tmp_path: Path) -> None:
    tarball = tmp_path / "keycloak-quarkus-dist-26.7.3.tar.gz"
    tarball.write_bytes(b"not what was published")
    path = java(tmp_path / "bin", "17.0.15")
    options = [f"--home={tmp_path / 'home'}", f"--cache={tmp_path / 'cache'}", "--port=0", f"--dist={tarball}"]
    done = keycloak_py("start", *options, PATH=str(path), HOME=str(tmp_path))
    assert done.returncode == 1
    assert "is not Keycloak 26.7.3 as it was published" in done.stderr
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_port_in_use_is_said_in_one_line(tmp_path: Path) -> None:
    path = java(tmp_path / "bin", "17.0.15")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = keycloak_py("start", f"--home={tmp_path / 'home'}", f"--port={port}", PATH=str(path))
    assert done.returncode == 1
    assert done.stderr.startswith(f"Port {port} of 127.0.0.1 cannot be used (Address already in use)")
    assert done.stderr.count("\n") == 1


def test_a_folder_with_other_files_is_no_home(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "precious").touch()
    for command in ("start", "reset"):
        done = keycloak_py(command, "--local", f"--home={tmp_path}", "--port=0", PATH=os.environ["PATH"])
        assert done.returncode in (1, 3)
    assert (tmp_path / "data" / "precious").exists()


def test_stop_signals_no_process_but_the_one_that_start_started(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        record = {"engine": "local", "port": 8080, "management_port": 9000, "pid": stranger.pid}
        (tmp_path / "server.json").write_text(json.dumps(record))
        done = keycloak_py("stop", f"--home={tmp_path}")
        assert (done.returncode, done.stderr) == (0, "Keycloak is not running.\n")
        assert stranger.poll() is None
        stranger.communicate(b"\n")
    assert stranger.returncode == 0


# With Docker. No engine runs here, so the docker command is a stand-in, which serves a discovery document.


def test_where_docker_runs_it_is_used_for_start_stop_and_reset(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    path = docker_stand_in(tmp_path, port)
    options = [f"--home={tmp_path / 'home'}"]
    started = keycloak_py("start", *options, f"--port={port}", PATH=path)
    assert (started.returncode, started.stdout.splitlines()[0].split()) == (
        0,
        ["Issuer:", f"http://127.0.0.1:{port}/realms/agents"],
    )
    assert keycloak_py("reset", *options, PATH=path).returncode == 0
    assert keycloak_py("status", *options, PATH=path).returncode == 0
    assert keycloak_py("stop", *options, PATH=path).returncode == 0
    assert keycloak_py("status", *options, PATH=path).returncode == 1
    calls = (tmp_path / "calls").read_text().splitlines()
    compose = f"compose --project-name oidcbridge-keycloak-{port} --file {DOCKER / 'compose.yml'}"
    changes = [call.removeprefix(compose).strip() for call in calls if call.startswith(compose)]
    assert [change for change in changes if not change.startswith("ps")] == [
        "up --detach",
        "stop",
        "down --volumes",
        "up --detach",
        "stop",
    ]


def test_compose_pins_the_same_version_and_publishes_on_loopback_only() -> None:
    compose = (DOCKER / "compose.yml").read_text()
    distribution = (DOCKER / "devserver" / "distribution.py").read_text()
    version = re.findall(r'^VERSION = "(.+?)"', distribution, re.MULTILINE)
    assert re.findall(r"image: quay\.io/keycloak/keycloak:(\S+)", compose) == version
    ports = re.search(r"ports:\n((?: +- .*\n)+)", compose)
    assert ports is not None
    assert all('- "127.0.0.1:' in line for line in ports[1].splitlines())


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="needs docker-compose (apt install docker-compose)")
def test_docker_compose_accepts_the_file() -> None:
    command = ["docker-compose", "--file", str(DOCKER / "compose.yml"), "config"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "127.0.0.1:8080:8080" in done.stdout
    assert "KC_HOSTNAME: http://127.0.0.1:8080" in done.stdout


def docker_stand_in(folder: Path, port: int) -> str:
    """Return a PATH whose `docker` notes its arguments, and serves discovery between `up` and `stop`."""
    document = folder / "site" / "realms" / "agents" / ".well-known" / "openid-configuration"
    document.parent.mkdir(parents=True)
    document.write_text(json.dumps({"issuer": f"http://127.0.0.1:{port}/realms/agents"}))
    serve = f"{sys.executable} -m http.server --bind 127.0.0.1 --directory {folder}/site {port}"
    script = f"""
echo "$@" >> {folder}/calls
case " $* " in
  *" up "*) {serve} > /dev/null 2>&1 & echo $! > {folder}/pid ;;
  *" stop "*) kill "$(cat {folder}/pid)"; rm {folder}/pid ;;
  *" ps "*) if [ -f {folder}/pid ]; then cat {folder}/pid; fi ;;
esac"""
    return f"{program(folder / 'bin', 'docker', script)}:/usr/bin:/bin"


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
