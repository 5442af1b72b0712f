"""What ``check`` advises where a server's certificate is refused: each fault by its own name."""

from __future__ import annotations

from pathlib import Path

import pytest

from oidcbridge import FetchOptions
from oidcbridge.diagnosis.advice_for_issuers import advise_fetch
from oidcbridge.remote.fetch_error import FetchError
from tests.remote.hostile import HostileServer, answer
from tests.remote.test_tls import Authority, refusal


@pytest.mark.parametrize(
    ("served", "trusts_it", "name", "says"),
    [
        ({"days": -1}, True, "certificate_expired", "renew it"),
        ({"address": "127.0.0.2"}, True, "certificate_name", "another name"),
        ({}, False, "certificate", "--ca-file FILE"),
    ],
)
def test_a_refused_certificate_is_told_by_its_fault(
    tmp_path: Path, served: dict[str, object], trusts_it: bool, name: str, says: str
) -> None:
    authority = Authority(tmp_path, "acme")
    options = FetchOptions(ca_file=str(authority.file)) if trusts_it else FetchOptions()
    with HostileServer(answer(), tls=authority.server_context(**served)) as server:  # type: ignore[arg-type]
        advice = advise_fetch(refusal(server.url, options), server.url)
    assert advice is not None
    assert advice.name == name
    assert says in advice.text
    assert "127.0.0.1" in advice.text


@pytest.mark.parametrize(
    "said",
    [  # as Python 3.13 says it, where alone such certificates are refused
        "Missing Authority Key Identifier",
        "Missing Subject Key Identifier",
        "CA cert does not include key usage extension",
        "Basic Constraints of CA cert not marked critical",
    ],
)
def test_a_certificate_of_the_wrong_form_is_not_said_to_be_unknown(said: str) -> None:
    error = FetchError(f"[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {said} (_ssl.c:1020)", kind="tls")
    advice = advise_fetch(error, "https://id.acme.test/realms/acme")
    assert advice is not None
    assert advice.name == "certificate_form"
    assert "id.acme.test" in advice.text
    assert "--ca-file" not in advice.text
