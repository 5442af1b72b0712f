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
        ({"days": -1}, True, "certificate_times", "renew it"),
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
    ("said", "name"),
    [
        ("certificate is not yet valid", "certificate_times"),
        # What OpenSSL says where it is told to be strict, as Python 3.13 and newer tell it.
        ("Missing Authority Key Identifier", "certificate_form"),
        ("Missing Subject Key Identifier", "certificate_form"),
        ("CA cert does not include key usage extension", "certificate_form"),
        ("Basic Constraints of CA cert not marked critical", "certificate_form"),
        ("unable to get local issuer certificate", "certificate"),
    ],
)
def test_a_fault_is_known_by_what_openssl_says_and_not_by_the_name_of_the_host(said: str, name: str) -> None:
    url = "https://mismatch.acme.test/key-usage/expired"
    text = f"{url} cannot be reached: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {said} (_ssl.c:1020)"
    advice = advise_fetch(FetchError(text, kind="tls"), url)
    assert advice is not None
    assert advice.name == name
    assert "mismatch.acme.test" in advice.text
    assert ("--ca-file" in advice.text) == (name == "certificate")
