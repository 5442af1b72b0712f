"""mypy --strict in a user's code: what is right passes, and a misspelt argument does not."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

SAMPLE = Path(__file__).with_name("typing_sample.py")
#: Each line has one mistake that a user could make.
MISTAKES = """\
from fastapi import FastAPI
from oidcbridge import OIDCMiddleware, Principal, Verifier
from oidcbridge.fastapi import CurrentPrincipal, OptionalPrincipal, SessionId, protect, require_scopes
app = FastAPI()
protect(app, isuer_url="https://id.example.com", audience="a")
protect(app, issuer_url="https://id.example.com", audiance="a")
protect(app, issuer_url="https://id.example.com", audience=7)
protect(app, issuer_url="https://id.example.com", audience="a", token_source="both")
protect(app, "https://id.example.com", audience="a")
protect(app, issuer_url="https://id.example.com", audience="a", token_type="jwt")
protect(app, swagger_client="x", issuer_url="https://id.example.com", audience="a")
app.add_middleware(OIDCMiddleware, isuer_url="https://id.example.com", audience="a")
app.add_middleware(OIDCMiddleware, issuer_url="https://id.example.com", excluded_paths=["/x"])
app.add_middleware(OIDCMiddleware, verifier="https://id.example.com")
Verifier(issuer_url="https://id.example.com", audience="a", token_header_key="X")
require_scopes(["agents:run"])
def who(maybe: OptionalPrincipal) -> str: return maybe.user_id
def session(session_id: SessionId) -> str: return session_id
def change(principal: CurrentPrincipal) -> None: principal.user_id = "root"
Principal()
"""
FIRST_MISTAKE = 5


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> dict[str, set[int]]:
    """The lines mypy reports in the good sample and in the bad one; its cache outlives the run."""
    bad = tmp_path_factory.mktemp("typing") / "typing_mistakes.py"
    bad.write_text(MISTAKES)
    assert pytestconfig.cache is not None
    cache = pytestconfig.cache.mkdir("mypy-of-samples")
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file=",
        f"--cache-dir={cache}",
        str(SAMPLE),
        str(bad),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=bad.parent)
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    found: dict[str, set[int]] = {"good": set(), "bad": set()}
    for path, line in re.findall(r"^(.+?):(\d+): error:", done.stdout, re.MULTILINE):
        found["good" if Path(path).name == SAMPLE.name else "bad"].add(int(line))
    return found


def test_every_type_function_and_argument_used_right_passes(reported: dict[str, set[int]]) -> None:
    assert reported["good"] == set()


def test_every_mistake_is_reported_on_its_line_and_nothing_else(reported: dict[str, set[int]]) -> None:
    assert reported["bad"] == set(range(FIRST_MISTAKE, len(MISTAKES.splitlines()) + 1))
