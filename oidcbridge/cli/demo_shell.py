"""Lines to copy into a shell: a token from a development provider, and what to do with it."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

_NAME = "oidcbridge"
# The endpoint's JSON is our own, so this needs no jq.
_PICK_IT = r"""sed 's/.*"access_token": "\([^"]*\)".*/\1/'"""


def curl_token(issuer_url: str, form: Mapping[str, str], *options: str) -> str:
    """Put a token into ``$TOKEN`` by curl; ``options`` are more of curl's, quoted for the shell already."""
    fields = [f"-d {shlex.quote(f'{name}={value}')}" for name, value in form.items()]
    return f"TOKEN=$(curl -s {issuer_url}/token \\\n  {' '.join([*fields, *options])} \\\n  | {_PICK_IT})"


def own_token(issuer_url: str, options: Mapping[str, str], environment: Mapping[str, str]) -> str:
    """The same by ``oidcbridge token``."""
    variables = "".join(f"{name}={shlex.quote(value)} " for name, value in environment.items())
    said = " ".join(f"--{name} {shlex.quote(value)}" for name, value in options.items())
    return f"TOKEN=$({variables}{_own_command()} token \\\n  --issuer {issuer_url} \\\n  {said})"


def curl_call(method: str, url: str) -> str:
    """Call ``url`` with that token."""
    how = "" if method == "GET" else f" -X {method}"
    return f'curl -i{how} {url} -H "Authorization: Bearer $TOKEN"'


def _own_command() -> str:
    """How this command line is called in another shell of the same folder."""
    if shutil.which(_NAME):
        return _NAME
    if Path(sys.argv[0]).stem == _NAME:
        return shlex.quote(sys.argv[0])
    return f"{shlex.quote(sys.executable)} -m oidcbridge.cli"
