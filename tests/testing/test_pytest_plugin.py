"""The pytest plugin in a user's project: its fixtures, and what it must not import."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def user_project(tmp_path: Path) -> Path:
    """A folder where oidcbridge's entry point is installed, whether or not this environment has it."""
    metadata = tmp_path / "site" / "oidcbridge_entry_point-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: oidcbridge-entry-point\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[pytest11]\noidcbridge = oidcbridge.testing.pytest_plugin\n")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    return tmp_path / "project"


def run_python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(PROJECT), str(folder.parent / "site")])
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    for name in ("PYTEST_ADDOPTS", "COVERAGE_PROCESS_START", "COVERAGE_FILE"):
        environment.pop(name, None)
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def run_pytest(folder: Path, test_code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_app.py").write_text(test_code)
    return run_python(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments)


def test_the_fixtures_give_an_issuer_its_tokens_and_its_time(user_project: Path) -> None:
    result = run_pytest(
        user_project,
        """
import asyncio, base64, json, time
import pytest
from oidcbridge.core.policy import FetchOptions
from oidcbridge.errors import ConfigurationError
from oidcbridge.remote import http
from oidcbridge.testing import FakeIssuer

def claims(token):
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))

def test_issuer_and_token(oidc_issuer, oidc_token):
    assert oidc_issuer.issuer_url == "https://idp.test"
    answer = asyncio.run(http.fetch("https://idp.test/jwks", FetchOptions()))
    assert json.loads(answer.body) == oidc_issuer.jwks()
    token = claims(oidc_token("ada", scope="agents:run"))
    assert (token["sub"], token["scope"], token["iss"]) == ("ada", "agents:run", "https://idp.test")
    assert abs(token["iat"] - time.time()) < 60

def test_the_clock_moves_the_tokens(oidc_clock, oidc_token):
    first = claims(oidc_token())["iat"]
    oidc_clock.advance(1000)
    assert claims(oidc_token())["iat"] == first + 1000

def test_each_test_has_its_own(oidc_issuer):
    assert sum(oidc_issuer.fetches.values()) == 0
    with pytest.raises(ConfigurationError, match="already"), FakeIssuer("https://idp.test").impersonate():
        pass

def test_afterwards_the_address_is_free():
    with FakeIssuer("https://idp.test").impersonate():
        pass
""",
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "4 passed" in result.stdout


def test_the_fixtures_explain_themselves(user_project: Path) -> None:
    result = run_pytest(user_project, "", "--fixtures")
    for name, text in [("oidc_issuer", "https://idp.test"), ("oidc_clock", "stands at"), ("oidc_token", "Make tokens")]:
        assert f"{name} -- " in result.stdout
        assert text in result.stdout


def test_loading_the_plugin_imports_nothing_that_a_coverage_run_would_miss(user_project: Path) -> None:
    code = "import json, sys, oidcbridge.testing.pytest_plugin; print(json.dumps(sorted(sys.modules)))"
    result = run_python(user_project, "-c", code)
    loaded = json.loads(result.stdout)
    ours = [name for name in loaded if name.partition(".")[0] == "oidcbridge"]
    assert ours == ["oidcbridge", "oidcbridge.testing", "oidcbridge.testing.pytest_plugin"]
    assert not {"joserfc", "cryptography", "httpx2", "fastapi", "starlette", "uvicorn", "authlib"} & set(loaded)


def test_coverage_of_oidcbridge_counts_module_lines_with_the_plugin_loaded_by_itself(user_project: Path) -> None:
    pytest.importorskip("pytest_cov", reason="the coverage plugin is not installed")
    result = run_pytest(
        user_project,
        "import oidcbridge.core.policy\ndef test_it(oidc_token):\n    assert oidc_token()\n",
        "--cov=oidcbridge",
        "--cov-report=json:cov.json",
        "-p",
        "no:randomly",
    )
    assert result.returncode == 0, result.stdout + result.stderr
    files = json.loads((user_project / "cov.json").read_text())["files"]
    seen = {Path(name).as_posix().rpartition("/oidcbridge/")[2]: lines for name, lines in files.items()}
    for module in ("core/policy.py", "testing/keys.py", "testing/minting.py", "testing/fake_issuer.py"):
        top_level = {
            number
            for number, line in enumerate((PROJECT / "oidcbridge" / module).read_text().splitlines(), start=1)
            if line.startswith(("from ", "import ", "class ", "def "))
        }
        missing = top_level & set(seen[module]["missing_lines"])
        assert top_level
        assert not missing, f"{module} lines {sorted(missing)} ran before coverage was measured"


def test_a_name_the_kit_does_not_have_is_an_ordinary_attribute_error() -> None:
    import oidcbridge.testing as kit

    with pytest.raises(AttributeError, match="has no attribute 'RealIssuer'"):
        kit.RealIssuer  # type: ignore[attr-defined]  # noqa: B018
    assert {"FakeIssuer", "Clock", "OMIT"} <= set(dir(kit))
    assert all(hasattr(kit, name) for name in kit.__all__)
