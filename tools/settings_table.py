"""docs/settings.md, from the tables that the library itself reads: `python tools/settings_table.py` writes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from oidcbridge.environment import HTTP_VARIABLES, PREFIX, VERIFIER_VARIABLES, Variable

FILE = Path(__file__).parent.parent / "docs" / "settings.md"
_HEAD = """# Settings from the environment

<!-- python tools/settings_table.py writes this page -->

Read only where the code names neither an issuer nor keys; an argument in the code stands over its variable. An unknown
`OIDCBRIDGE_…` variable is an error, and so is an allow-list (`OIDCBRIDGE_CLIENT_IDS`, `OIDCBRIDGE_TENANTS`) that is set
and empty. `validate`, `require_authentication` and plain http are never read from here.
"""


def page() -> str:
    """The page as it should be."""
    parts = [
        _HEAD,
        "## Which tokens are accepted, and what is read from them\n",
        _table(VERIFIER_VARIABLES),
        "## Where a request's token is\n",
        _table(HTTP_VARIABLES),
    ]
    return "\n".join(parts)


def _table(variables: Mapping[str, Variable]) -> str:
    rows = [
        f"| `{PREFIX}{name.upper()}` | {one.kind.shape} | {one.default} | {one.meaning} |"
        for name, one in variables.items()
    ]
    return "\n".join(["| variable | type | default | meaning |", "|---|---|---|---|", *rows, ""])


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(page(), "utf-8")
