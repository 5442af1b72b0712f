"""The providers' table: what counts as proof, what a run shows of it, and that README has its rows."""

from __future__ import annotations

import pytest

from oidcbridge import Principal
from oidcbridge.errors import AudienceMismatchError, TokenTypeError
from tests.providers.live import test_rows_of_samples, test_rows_of_servers, test_rows_of_shapes
from tests.providers.rows import AUDIENCE, CLIENT, ID_TOKEN, ISSUER, ROWS
from tests.providers.table import MADE, MARKS, NOTHING, README, Proof, as_markdown, drawn, rows_of, written_into

ADA = Principal(user_id="ada|1", roles=("a", "b", "c"), dependencies={"email": "a-very-long-name@acme.example"})


def proven(name: str = "Okta user", principal: Principal = ADA) -> Proof:
    proof = Proof(ROWS[name])
    proof.accepts(principal)
    for twin in proof.row.twins:
        with proof.refuses(twin, TokenTypeError):
            raise TokenTypeError("refused", claim="typ")
    return proof


def test_every_row_names_its_four_twins_and_the_last_is_the_provider_s_own() -> None:
    for row in ROWS.values():
        assert len(set(row.twins)) == 4
        assert row.twins[:3] in ((ID_TOKEN, AUDIENCE, ISSUER), (ID_TOKEN, CLIENT, ISSUER))


def test_every_row_is_proven_somewhere() -> None:
    by_servers = {"Keycloak user", "Keycloak machine", "Cognito user", "Auth0 simulated user"}
    assert len([name for name in vars(test_rows_of_servers) if name.startswith("test_")]) == len(by_servers)
    assert by_servers | test_rows_of_shapes.CASES.keys() | test_rows_of_samples.CASES.keys() == ROWS.keys()


def test_readme_has_the_rows_with_who_made_them_and_what_is_refused() -> None:
    shown = rows_of(README.read_text("utf-8"))
    assert list(shown) == list(ROWS)
    for name, row in ROWS.items():
        made = (row.signature, row.shape, ", ".join(row.twins))
        assert tuple(shown[name][column] for column in MADE) == made


def test_a_twin_that_is_accepted_or_refused_for_another_reason_is_no_proof() -> None:
    proof = Proof(ROWS["Okta user"])
    with pytest.raises(pytest.fail.Exception), proof.refuses(ID_TOKEN, TokenTypeError):
        pass
    with pytest.raises(AudienceMismatchError), proof.refuses(ID_TOKEN, TokenTypeError):
        raise AudienceMismatchError("not ours", claim="aud")
    assert proof.refused == []
    assert proof.missing == ["an accepted token", ID_TOKEN, AUDIENCE, ISSUER, "org server's token"]


def test_a_twin_that_the_row_does_not_name_is_a_mistake_of_the_test() -> None:
    with pytest.raises(AssertionError, match="names no twin"), Proof(ROWS["Okta user"]).refuses(CLIENT, TokenTypeError):
        raise TokenTypeError("refused", claim="typ")


def test_a_machine_is_no_proof_of_a_user_s_row() -> None:
    with pytest.raises(AssertionError):
        Proof(ROWS["Okta user"]).accepts(Principal(user_id="client:svc", kind="machine"))


def test_a_row_without_a_twin_is_shown_as_incomplete() -> None:
    whole, partial = proven(), Proof(ROWS["Okta machine"])
    text = drawn([partial, whole], 200)
    assert "INCOMPLETE, without: an accepted token, ID token" in text
    assert text.count("INCOMPLETE") == 1
    assert text.index("user") < text.index("machine")


def test_values_are_shortened_and_what_is_not_there_is_a_dash() -> None:
    cells = proven().cells()
    assert (cells["user id"], cells["roles"], cells["email"]) == ("ada|1", "a, b, +1", "a-very-long-n…")
    assert (cells["groups"], cells["tenant"]) == (NOTHING, NOTHING)


def test_the_table_is_written_between_its_marks_and_read_again() -> None:
    readme = f"# Title\n\n{MARKS[0]}\n\nold\n\n{MARKS[1]}\n\nmore\n"
    written = written_into(readme, as_markdown([proven()]))
    assert written.startswith("# Title\n")
    assert written.endswith("\n\nmore\n")
    assert "old" not in written
    assert rows_of(written)["Okta user"] == {**proven().cells(), "user id": r"ada\|1"}
    assert written_into(written, as_markdown([proven()])) == written


@pytest.mark.parametrize("marks", [(), (MARKS[0],), (MARKS[1], MARKS[0]), (*MARKS, *MARKS)])
def test_a_readme_without_its_marks_is_not_written_to(marks: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="README needs the lines"):
        written_into("\n".join(marks), "table")
