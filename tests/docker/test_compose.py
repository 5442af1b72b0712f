"""docker/compose.yml: on loopback only, and the agent service in it has what it needs and no more.

No engine runs here: the file is read as docker-compose reads it, and what the image would hold is run as it is.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from oidcbridge import ConfigurationError
from oidcbridge.testing import FakeIssuer, auth_header

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker" / "compose.yml"
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()
PUBLIC = "http://127.0.0.1:8080/realms/agents"
INSIDE = "http://keycloak:8080/realms/agents"

needs_compose = pytest.mark.skipif(
    shutil.which("docker-compose") is None, reason="needs docker-compose (apt install docker-compose)"
)


def config(**environ: str) -> str:
    """The file as docker-compose understands it."""
    command = [str(shutil.which("docker-compose")), "--file", str(COMPOSE), "config"]
    environ = {"PATH": "/usr/local/bin:/usr/bin:/bin", **environ}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_compose
@pytest.mark.parametrize("port", ["8080", "9191"])
def test_docker_compose_accepts_the_file_on_any_port(port: str) -> None:
    understood = config(KEYCLOAK_PORT=port)
    assert f"KC_HOSTNAME: http://127.0.0.1:{port}\n" in understood
    assert 'KC_HOSTNAME_BACKCHANNEL_DYNAMIC: "true"' in understood
    assert f"KEYCLOAK_ISSUER_URL: http://127.0.0.1:{port}/realms/agents\n" in understood
    assert f"KEYCLOAK_DISCOVERY_URL: {INSIDE}/.well-known/openid-configuration\n" in understood
    assert "condition: service_healthy" in understood


@needs_compose
def test_every_port_is_published_on_loopback_only() -> None:
    blocks = re.findall(r"ports:\n((?: +- .*\n)+)", config())
    published = [line.strip(" -") for block in blocks for line in block.splitlines()]
    assert sorted(published) == ["127.0.0.1:8000:8000/tcp", "127.0.0.1:8080:8080/tcp"]


def test_the_agents_port_is_one_that_a_login_may_return_to() -> None:
    realm = json.loads((ROOT / "docker" / "keycloak" / "agents-realm.json").read_text())
    (ui,) = (client for client in realm["clients"] if client["clientId"] == "agent-ui")
    assert "http://127.0.0.1:8000/docs/oauth2-redirect" in ui["redirectUris"]
    assert "http://127.0.0.1:8000" in ui["webOrigins"]


# The image.


def instructions(name: str) -> list[str]:
    return re.findall(rf"^{name} (.+)$", DOCKERFILE, re.MULTILINE)


def copied() -> list[str]:
    """What goes from the project's folder into the image."""
    return [source for line in instructions("COPY") for source in line.split()[:-1]]


def test_the_image_is_pinned_and_runs_as_a_number_that_is_not_root() -> None:
    assert [bool(re.fullmatch(r"python:3\.13\.\d+-slim-\w+", image)) for image in instructions("FROM")] == [True]
    assert [re.fullmatch(r"[1-9]\d*:[1-9]\d*", user) is not None for user in instructions("USER")] == [True]
    assert DOCKERFILE.index("\nUSER ") < DOCKERFILE.index("\nCMD ")


def test_nothing_of_a_developers_folder_gets_in_but_what_is_copied() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    everything, *rules = [line for line in lines if line and not line.startswith("#")]
    assert everything == "*"
    assert sorted(rule.removeprefix("!") for rule in rules if rule.startswith("!")) == sorted(copied())
    assert [rule for rule in rules if not rule.startswith("!")] == ["**/__pycache__"]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the image holds: the package built from the copied files alone and unpacked, and the example beside it."""
    context, image = tmp_path_factory.mktemp("context"), tmp_path_factory.mktemp("image")
    for source in copied():
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, context / source, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, context)
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(image), str(context)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = image.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(image)
    shutil.copy(context / "keycloak.py", image)
    return image


def test_what_is_copied_is_enough_to_build_the_package_and_to_load_the_service(image: Path) -> None:
    (command,) = instructions("CMD")
    program, app, *options = json.loads(command)
    assert (program, options) == ("uvicorn", ["--host", "0.0.0.0", "--port", "8000"])
    module, name = app.split(":")
    script = f"import {module}, oidcbridge; print(oidcbridge.__file__, {module}.{name}.title)"
    environ = {"PYTHONPATH": str(image), **compose_environment()}
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], capture_output=True, text=True, check=False, env=environ
    )
    assert (done.stderr, done.stdout) == ("", f"{image / 'oidcbridge' / '__init__.py'} Agents\n")


def test_the_example_needs_nothing_but_what_the_image_installs() -> None:
    (command,) = (line for line in instructions("RUN") if "pip install" in line)
    words = shlex.split(command)
    assert ".[cli]" in words
    assert words[words.index("--constraint") + 1] in copied()
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    assert any(fnmatch(pin, "uvicorn==*") for pin in pins)


# The service, with the environment that the file gives it; Keycloak's stand-in answers at the container's name alone.


def compose_environment() -> dict[str, str]:
    found = re.findall(r"^ +(KEYCLOAK_\w+): (\S+)$", COMPOSE.read_text(), re.MULTILINE)
    return {name: value.replace("${KEYCLOAK_PORT:-8080}", "8080") for name, value in found}


def load_service(monkeypatch: pytest.MonkeyPatch, **environ: str) -> Any:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    spec = importlib.util.spec_from_file_location("example_keycloak", ROOT / "examples" / "keycloak.py")
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.app


def test_the_service_asks_the_other_container_for_keys_of_the_public_issuer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert compose_environment() == {
        "KEYCLOAK_ISSUER_URL": PUBLIC,
        "KEYCLOAK_DISCOVERY_URL": f"{INSIDE}/.well-known/openid-configuration",
    }
    with FakeIssuer(INSIDE, algorithms=("ES256",)).impersonate() as inside:
        document = inside.discovery() | {"issuer": PUBLIC, "authorization_endpoint": f"{PUBLIC}/authorize"}
        inside.discovery_override = json.dumps(document).encode()
        token = inside.mint("ada", claims={"iss": PUBLIC, "typ": "Bearer"})
        foreign = inside.mint("ada", claims={"typ": "Bearer"})
        with TestClient(load_service(monkeypatch, **compose_environment())) as client:
            assert client.get("/whoami", headers=auth_header(token)).json()["user_id"] == "ada"
            assert client.get("/whoami", headers=auth_header(foreign)).status_code == 401
            schemes = client.get("/openapi.json").json()["components"]["securitySchemes"]
    login = schemes["oidcbridge"]["flows"]["authorizationCode"]
    assert (login["authorizationUrl"], login["tokenUrl"]) == (f"{PUBLIC}/authorize", f"{PUBLIC}/token")


def test_plain_http_to_any_other_name_stays_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("keycloak.example.com:8080", "keycloak:80", "idp.internal"):
        with pytest.raises(ConfigurationError, match="discovery_url is plain http"):
            load_service(monkeypatch, KEYCLOAK_DISCOVERY_URL=f"http://{name}/realms/agents")
