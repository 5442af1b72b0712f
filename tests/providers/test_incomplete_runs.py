"""What a run of the table's tests comes to where a row was not proven whole: it fails, and README is left alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.providers.table import README

ROOT = README.parent
_BEGINNING = """
from oidcbridge import Principal
from oidcbridge.errors import TokenTypeError

def test_okta(prove):
    proof = prove("Okta user")
    proof.accepts(Principal(user_id="ada"))
    for twin in proof.row.twins{selected}:
        with proof.refuses(twin, TokenTypeError):
            raise TokenTypeError("refused", claim="typ")
"""


def run(folder: Path, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a test file of this text, under the hooks of this folder."""
    (folder / "conftest.py").write_text("from tests.providers.conftest import *\n")
    (folder / "test_one.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--rootdir={folder}", *options, str(folder)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize(
    ("selected", "code", "said"),
    [
        ("", 0, "Not proven in this run: Keycloak user, "),
        ("[1:]", 1, "the row Okta user does not count without: ID token"),
        ("[:3]", 1, "the row Okta user does not count without: org server's token"),
    ],
)
def test_a_run_fails_where_a_row_lacks_a_twin(tmp_path: Path, selected: str, code: int, said: str) -> None:
    done = run(tmp_path, _BEGINNING.format(selected=selected))
    assert (done.returncode, said in done.stdout) == (code, True), done.stdout
    assert ("INCOMPLETE" in done.stdout) is (code == 1)
    assert ("Okta user" in done.stdout.partition("Not proven in this run:")[2]) is (code == 1)


def test_a_part_of_the_table_is_not_written_into_readme(tmp_path: Path) -> None:
    before = README.read_bytes()
    done = run(tmp_path, _BEGINNING.format(selected=""), "--write-table")
    assert "README.md was left as it is" in done.stdout
    assert README.read_bytes() == before
