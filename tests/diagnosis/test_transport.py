"""What ``check`` says of a certificate, however little there is in it."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from oidcbridge.core.policy import FetchOptions
from oidcbridge.diagnosis.findings import Status
from oidcbridge.diagnosis.transport import judge_tls, read_certificate
from oidcbridge.remote.tls import TLS, read_tls

URL = "https://idp.test/keys"


def _certificate(subject: str | None, *names: str) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "An Authority")])
    attributes = [] if subject is None else [x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)]
    builder = (
        x509.CertificateBuilder(issuer, x509.Name(attributes), key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC))
    )
    if names:
        hosts = [x509.DNSName(name) for name in names]
        there = [*hosts, x509.IPAddress(ip_address("127.0.0.1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(there), critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def test_a_certificate_is_told_with_its_authority_and_its_end() -> None:
    tls = TLS("TLSv1.3", _certificate("idp.test"))
    found = read_certificate(URL, tls, FetchOptions())
    assert found is not None
    assert (found.host, found.protocol, found.trusted_by) == ("idp.test", "TLSv1.3", "system")
    assert (found.subject, found.issuer) == ("CN=idp.test", "CN=An Authority")
    assert found.not_after == "2027-01-02 03:04:05+00:00"
    said = judge_tls(URL, FetchOptions(), found).said
    for part in ("TLSv1.3", "CN=idp.test", "CN=An Authority", "the system's authorities", "2027-01-02 03:04:05+00:00"):
        assert part in said


@pytest.mark.parametrize(
    ("certificate", "subject"),
    [
        (_certificate(None, "idp.test", "login.idp.test"), "idp.test, login.idp.test"),
        (_certificate(None), ""),
        (_certificate("\x1b[2J\u202eidp"), "CN=\\x1b[2J\\u202eidp"),
    ],
)
def test_without_a_subject_the_names_stand_for_it_and_nothing_of_it_touches_a_terminal(
    certificate: bytes, subject: str
) -> None:
    found = read_certificate(URL, TLS("TLSv1.2", certificate), FetchOptions(ca_file="/etc/ca.pem"))
    assert found is not None
    assert (found.subject, found.trusted_by) == (subject, "/etc/ca.pem")


def test_a_certificate_that_cannot_be_read_here_was_trusted_all_the_same() -> None:
    assert read_certificate(URL, TLS("TLSv1.3", b"no DER"), FetchOptions()) is None
    finding = judge_tls(URL, FetchOptions(ca_file="/etc/ca.pem"), None)
    assert (finding.status, "the authorities in /etc/ca.pem" in finding.said) == (Status.PASSED, True)


def test_plain_http_is_said_to_be_that() -> None:
    said = judge_tls("http://127.0.0.1:8080/keys", FetchOptions(), None).said
    assert said == "none: plain http to 127.0.0.1, which is allowed on this machine alone"


@pytest.mark.parametrize("extensions", [{}, {"network_stream": None}])
def test_an_answer_that_came_over_no_connection_has_no_tls(extensions: dict[str, object]) -> None:
    assert read_tls(httpx2.Response(200, extensions=extensions).extensions) is None
