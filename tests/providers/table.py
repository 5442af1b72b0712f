"""The providers' table: for each row what a real verification mapped, and the twins that were refused beside it.

    proof = prove("Okta user")                       # a fixture of conftest.py
    proof.accepts(verifier.verify_now(token))
    with proof.refuses("wrong audience", AudienceMismatchError):
        verifier.verify_now(other)

README shows it between two marks; ``make providers ARGS=--write-table`` writes it there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import pytest
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from oidcbridge import Principal
from oidcbridge.errors import OIDCBridgeError
from tests.providers.rows import ROWS, Row

README = Path(__file__).parents[2] / "README.md"
MARKS = ("<!-- make providers ARGS=--write-table writes what follows -->", "<!-- the providers' table ends here -->")
VALUES = ("user id", "session id", "name", "email", "roles", "groups", "permissions", "scopes", "client", "tenant")
MADE = ("signature", "shape", "refused")
COLUMNS = ("provider", "kind", *VALUES, *MADE)
NOTHING = "-"
_LONGEST = 14  # characters of a value that are shown
_SHOWN = 2  # members of a list that are shown

Cells = dict[str, str]


class Proof:
    """What the tests of this run have seen of one row."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.principal: Principal | None = None
        self.refused: list[str] = []

    def accepts(self, principal: Principal) -> Principal:
        """Take down who a good token speaks for; its name and email are those among the dependencies."""
        assert principal.kind == self.row.kind
        self.principal = principal
        return principal

    @contextmanager
    def refuses(self, twin: str, error: type[OIDCBridgeError], match: str | None = None) -> Iterator[None]:
        """Inside, ``twin`` has to be refused with ``error``; only then it is taken down."""
        assert twin in self.row.twins, f"{self.row.name} names no twin {twin!r}"
        with pytest.raises(error, match=match):
            yield
        self.refused.append(twin)

    @property
    def missing(self) -> list[str]:
        """What the row still needs to count."""
        unmapped = [] if self.principal else ["an accepted token"]
        return unmapped + [twin for twin in self.row.twins if twin not in self.refused]

    def cells(self) -> Cells:
        """The row as it is shown."""
        row = self.row
        refused = f"INCOMPLETE, without: {', '.join(self.missing)}" if self.missing else ", ".join(row.twins)
        made = {"signature": row.signature, "shape": row.shape, "refused": refused}
        return {"provider": row.provider, "kind": row.kind, **_values(self.principal), **made}


def _values(principal: Principal | None) -> Cells:
    if principal is None:
        return dict.fromkeys(VALUES, "?")
    found: dict[str, str | Sequence[str] | None] = {
        "user id": principal.user_id,
        "session id": principal.session_id,
        "name": principal.dependencies.get("name"),
        "email": principal.dependencies.get("email"),
        "roles": principal.roles,
        "groups": principal.groups,
        "permissions": principal.permissions,
        "scopes": principal.scopes,
        "client": principal.client_id,
        "tenant": principal.tenant,
    }
    return {name: _short(value) for name, value in found.items()}


def _short(value: str | Sequence[str] | None) -> str:
    if not value:
        return NOTHING
    if isinstance(value, str):
        return value if len(value) <= _LONGEST else f"{value[: _LONGEST - 1]}…"
    more = [f"+{len(value) - _SHOWN}"] if len(value) > _SHOWN else []
    return ", ".join([_short(one) for one in value[:_SHOWN]] + more)


def in_order(proofs: Sequence[Proof]) -> list[Proof]:
    """The proofs in the order of the rows."""
    return sorted(proofs, key=lambda proof: list(ROWS).index(proof.row.name))


def drawn(proofs: Sequence[Proof], width: int) -> str:
    """The table for a terminal, in two halves: what was mapped; who made it, and what was refused."""
    text = StringIO()
    console = Console(file=text, width=width, markup=False, highlight=False)
    for columns in (VALUES, MADE):
        table = Table("provider", "kind", *columns, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for proof in in_order(proofs):
            cells = proof.cells()
            table.add_row(*(cells[column] for column in ("provider", "kind", *columns)))
        console.print(table)
    return text.getvalue()


def as_markdown(proofs: Sequence[Proof]) -> str:
    """The table for README."""
    rows = ([proof.cells()[name] for name in COLUMNS] for proof in in_order(proofs))
    escaped = ([cell.replace("|", r"\|") for cell in row] for row in (COLUMNS, ["---"] * len(COLUMNS), *rows))
    return "\n".join(f"| {' | '.join(row)} |" for row in escaped)


def written_into(readme: str, table: str) -> str:
    """README with ``table`` between its marks. Raises ``ValueError`` where it has not both, once each."""
    before, after = MARKS
    head, found, rest = readme.partition(before)
    _old, closed, tail = rest.partition(after)
    if not found or not closed or before in rest or after in tail:
        raise ValueError(f"README needs the lines {before} and {after}, once each and in this order")
    return f"{head}{before}\n\n{table}\n\n{after}{tail}"


def rows_of(readme: str) -> Mapping[str, Cells]:
    """Row's name -> its cells, as README has them between its marks."""
    lines = [line for line in readme.partition(MARKS[0])[2].partition(MARKS[1])[0].splitlines() if line[:1] == "|"]
    cells = [dict(zip(COLUMNS, line.strip("| ").split(" | "), strict=True)) for line in lines[2:]]
    return {f"{one['provider']} {one['kind']}": one for one in cells}
