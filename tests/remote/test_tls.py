"""https for real: a certificate is checked, and against the authorities that were named."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from oidcbridge.core.policy import FetchOptions
from oidcbridge.remote.http import FetchError, fetch
from tests.remote.hostile import HostileServer, answer


class Authority:
    """A certificate authority that signs one server certificate after another, into a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._sign(self._name, self._key.public_key(), x509.BasicConstraints(ca=True, path_length=None))
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, extension: x509.ExtensionType, *, days: int = 1
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(issuer_name=self._name, subject_name=subject, public_key=key)
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(days=10)).not_valid_after(now + timedelta(days=days))
        return builder.add_extension(extension, critical=True).sign(self._key, hashes.SHA256())

    def server_context(self, *, address: str = "127.0.0.1", days: int = 1) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "idp")])
        file = self._folder / "server.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + self._sign(subject, key.public_key(), names, days=days).public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "acme")


def refusal(url: str, options: FetchOptions) -> FetchError:
    with pytest.raises(FetchError) as caught:
        asyncio.run(fetch(url, options))
    return caught.value


def test_a_server_of_the_named_authority_is_trusted(authority: Authority) -> None:
    with HostileServer(answer(b'{"keys": []}'), tls=authority.server_context()) as server:
        got = asyncio.run(fetch(server.url, FetchOptions(ca_file=str(authority.file))))
    assert got.body == b'{"keys": []}'


def test_a_server_of_another_authority_hears_no_request(authority: Authority, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "stranger")
    with HostileServer(answer(), tls=authority.server_context()) as server:
        for options in (FetchOptions(ca_file=str(stranger.file)), FetchOptions()):
            assert refusal(server.url, options).kind == "tls"
        assert server.requests == []


@pytest.mark.parametrize("flaw", [{"address": "127.0.0.2"}, {"days": -1}])
def test_a_certificate_of_another_host_or_time_is_refused(authority: Authority, flaw: dict[str, object]) -> None:
    with HostileServer(answer(), tls=authority.server_context(**flaw)) as server:  # type: ignore[arg-type]
        assert refusal(server.url, FetchOptions(ca_file=str(authority.file))).kind == "tls"
        assert server.requests == []
