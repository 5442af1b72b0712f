"""README's table shows what this run has seen. Comes last: the rows are proven by then."""

from __future__ import annotations

import pytest

from tests.providers.table import NOTHING, README, VALUES, Proof, rows_of


def test_readme_shows_a_value_where_this_run_mapped_one_and_a_dash_where_not(
    proofs: list[Proof], pytestconfig: pytest.Config
) -> None:
    if pytestconfig.getoption("--write-table"):
        pytest.skip("README is written at the end of this run")
    if not proofs:
        pytest.skip("no row was proven in this run")
    shown = rows_of(README.read_text("utf-8"))
    for proof in proofs:
        cells = proof.cells()
        filled = {name for name in VALUES if cells[name] != NOTHING}
        assert filled == {name for name in VALUES if shown[proof.row.name][name] != NOTHING}, proof.row.name
