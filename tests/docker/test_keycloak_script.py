"""docker/keycloak.py says in one line what a machine lacks, harms no stranger's process or file, and drives Docker.

No test here needs Java or an engine: their commands are stand-ins.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

from tests.e2e.keycloak_server import SCRIPT, keycloak_py

DOCKER = SCRIPT.parent


def program(folder: Path, name: str, script: str) -> Path:
    """Make an executable, and return the folder to put on PATH."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return folder


def java(folder: Path, version: str) -> Path:
    return program(folder, "java", f"echo 'openjdk version \"{version}\" 2024-01-16' >&2")


def test_a_machine_with_neither_docker_nor_java_gets_one_line(tmp_path: Path) -> None:
    done = keycloak_py("start", f"--home={tmp_path / 'home'}", env={"PATH": str(tmp_path)})
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.count("\n") == 1
    assert "Docker" in done.stderr
    assert "Java 17" in done.stderr
    assert "apt install" in done.stderr
    assert not (tmp_path / "home").exists()


def test_an_old_java_is_named_in_one_line(tmp_path: Path) -> None:
    done = keycloak_py("start", f"--home={tmp_path / 'home'}", env={"PATH": str(java(tmp_path / "bin", "11.0.22"))})
    assert done.returncode == 3
    assert done.stderr.startswith("Java 11 is too old for Keycloak 26.7.3")
    assert done.stderr.count("\n") == 1


def test_without_maven_it_asks_for_maven_or_the_tarball(tmp_path: Path) -> None:
    path = java(tmp_path / "bin", "17.0.15")
    options = [f"--home={tmp_path / 'home'}", f"--cache={tmp_path / 'cache'}", "--port=0"]
    done = keycloak_py("start", *options, env={"PATH": str(path), "HOME": str(tmp_path)})
    assert done.returncode == 3
    assert "apt install maven" in done.stderr
    assert "--dist" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_fetch_that_fails_shows_the_reason_maven_gave(tmp_path: Path) -> None:
    path = java(tmp_path / "bin", "17.0.15")
    program(tmp_path / "bin", "mvn", "echo '[ERROR] Connection refused'; echo '[ERROR] try -X'; exit 1")
    options = [f"--home={tmp_path / 'home'}", f"--cache={tmp_path / 'cache'}", "--port=0"]
    done = keycloak_py("start", *options, env={"PATH": str(path), "HOME": str(tmp_path)})
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "Maven could not fetch org.keycloak:keycloak-quarkus-dist:26.7.3:tar.gz: Connection refused"
    )


def test_a_tarball_that_was_tampered_with_is_refused(tmp_path: Path) -> None:
    tarball = tmp_path / "keycloak-quarkus-dist-26.7.3.tar.gz"
    tarball.write_bytes(b"not what was published")
    path = java(tmp_path / "bin", "17.0.15")
    options = [f"--home={tmp_path / 'home'}", f"--cache={tmp_path / 'cache'}", "--port=0", f"--dist={tarball}"]
    done = keycloak_py("start", *options, env={"PATH": str(path), "HOME": str(tmp_path)})
    assert done.returncode == 1
    assert "is not Keycloak 26.7.3 as it was published" in done.stderr
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_port_in_use_is_said_in_one_line(tmp_path: Path) -> None:
    path = java(tmp_path / "bin", "17.0.15")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = keycloak_py("start", f"--home={tmp_path / 'home'}", f"--port={port}", env={"PATH": str(path)})
    assert done.returncode == 1
    assert done.stderr.startswith(f"Port {port} of 127.0.0.1 cannot be used (Address already in use)")
    assert done.stderr.count("\n") == 1


def test_a_folder_with_other_files_is_no_home(tmp_path: Path) -> None:
    path = java(tmp_path / "bin", "17.0.15")
    home = tmp_path / "home"
    (home / "data").mkdir(parents=True)
    (home / "data" / "precious").touch()
    for command in ("start", "reset"):
        done = keycloak_py(command, f"--home={home}", "--port=0", env={"PATH": str(path)})
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert f"{home} holds other files" in done.stderr
    assert [file.name for file in home.rglob("*")] == ["data", "precious"]


def test_stop_signals_no_process_but_the_one_that_start_started(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        record = {"engine": "local", "port": 8080, "management_port": 9000, "pid": stranger.pid}
        (tmp_path / "server.json").write_text(json.dumps(record))
        done = keycloak_py("stop", f"--home={tmp_path}", env={})
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
    started = keycloak_py("start", *options, f"--port={port}", env={"PATH": path})
    assert (started.returncode, started.stdout.splitlines()[0].split()) == (
        0,
        ["Issuer:", f"http://127.0.0.1:{port}/realms/agents"],
    )
    assert keycloak_py("reset", *options, env={"PATH": path}).returncode == 0
    assert keycloak_py("status", *options, env={"PATH": path}).returncode == 0
    assert keycloak_py("stop", *options, env={"PATH": path}).returncode == 0
    assert keycloak_py("status", *options, env={"PATH": path}).returncode == 1
    calls = (tmp_path / "calls").read_text().splitlines()
    compose = f"compose --project-name oidcbridge-keycloak-{port} --file {DOCKER / 'compose.yml'}"
    changes = [call.removeprefix(compose).strip() for call in calls if call.startswith(compose)]
    assert [change for change in changes if not change.startswith("ps")] == [
        "up --detach keycloak",
        "stop",
        "down --volumes",
        "up --detach keycloak",
        "stop",
    ]


def test_compose_pins_the_version_of_the_distribution() -> None:
    compose = (DOCKER / "compose.yml").read_text()
    distribution = (DOCKER / "devserver" / "distribution.py").read_text()
    version = re.findall(r'^VERSION = "(.+?)"', distribution, re.MULTILINE)
    assert re.findall(r"image: quay\.io/keycloak/keycloak:(\S+)", compose) == version


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
