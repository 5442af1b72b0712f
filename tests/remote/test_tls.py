"""https for real: a certificate is checked, and against the authorities that were named."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from oidcbridge import ConfigurationError, Verifier
from oidcbridge.core.policy import FetchOptions
from oidcbridge.remote.fetch_error import FetchError
from oidcbridge.remote.http import fetch
from tests.remote.hostile import HostileServer, answer


class Pair(NamedTuple):
    """The PEM files of a certificate and its key, and one that holds both."""

    certificate: str
    key: str
    together: str


class Authority:
    """A certificate authority that signs one certificate after another, into a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        is_authority, usage = x509.BasicConstraints(ca=True, path_length=None), _usage_of_an_authority()
        certificate = self._sign(self._name, self._key.public_key(), is_authority, usage)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, *extensions: x509.ExtensionType, days: int = 1
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(issuer_name=self._name, subject_name=subject, public_key=key)
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(days=10)).not_valid_after(now + timedelta(days=days))
        for extension in extensions:
            builder = builder.add_extension(extension, critical=True)
        ours = self._key.public_key()
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ours), critical=False)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def server_context(self, *, address: str = "127.0.0.1", days: int = 1) -> ssl.SSLContext:
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._pair("idp", names, days=days).together)
        return context

    def client_pair(self, name: str = "agent", *, password: bytes | None = None) -> Pair:
        """A certificate by which a client shows who it is."""
        return self._pair(name, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), password=password)

    def _pair(self, name: str, extension: x509.ExtensionType, *, days: int = 1, password: bytes | None = None) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._sign(subject, key.public_key(), extension, days=days)
        algorithm = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        pair = Pair(*(str(self._folder / f"{name}-{part}.pem") for part in ("cert", "key", "both")))
        texts = (
            certificate.public_bytes(serialization.Encoding.PEM),
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, algorithm),
        )
        for path, text in zip(pair, (*texts, b"".join(texts)), strict=True):
            Path(path).write_bytes(text)
        return pair


def _usage_of_an_authority() -> x509.KeyUsage:
    others = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    return x509.KeyUsage(
        **dict.fromkeys(others, False), key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False
    )


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


# Mutual TLS: the provider asks for a certificate of ours (RFC 8446 section 4.3.2).


@pytest.fixture
def members_only(authority: Authority) -> Iterator[HostileServer]:
    """A server that talks to holders of the authority's certificates alone."""
    context = authority.server_context()
    context.load_verify_locations(authority.file)
    context.verify_mode = ssl.CERT_REQUIRED
    with HostileServer(answer(b'{"keys": []}'), tls=context) as server:
        yield server


@pytest.mark.parametrize("files", ["a certificate and its key", "both in one file"])
def test_a_server_that_asks_for_a_certificate_is_shown_ours(
    authority: Authority, members_only: HostileServer, files: str
) -> None:
    pair = authority.client_pair()
    shown = (
        {"client_cert_file": pair.together}
        if "one file" in files
        else {"client_cert_file": pair.certificate, "client_key_file": pair.key}
    )
    options = FetchOptions(ca_file=str(authority.file), **shown)  # type: ignore[arg-type]
    assert asyncio.run(fetch(members_only.url, options)).body == b'{"keys": []}'


def test_a_server_that_asks_for_a_certificate_hears_no_request_without_one_of_its_own(
    authority: Authority, members_only: HostileServer, tmp_path: Path
) -> None:
    foreign = Authority(tmp_path, "stranger").client_pair("intruder")
    for shown in (None, foreign.together):
        options = FetchOptions(ca_file=str(authority.file), client_cert_file=shown)
        # TLS 1.3: the server refuses after our side of the handshake, so that it may look like a broken connection.
        assert refusal(members_only.url, options).kind in ("tls", "reset", "protocol", "connection")
    assert members_only.requests == []


def test_a_certificate_renewed_in_place_is_shown_at_the_next_fetch(
    authority: Authority, members_only: HostileServer, tmp_path: Path
) -> None:
    ours = Path(Authority(tmp_path, "stranger").client_pair("intruder").together)
    options = FetchOptions(ca_file=str(authority.file), client_cert_file=str(ours))
    refusal(members_only.url, options)
    ours.write_bytes(Path(authority.client_pair().together).read_bytes())
    assert asyncio.run(fetch(members_only.url, options)).status == 200


def test_a_certificate_of_ours_does_not_widen_whom_we_trust(authority: Authority) -> None:
    with HostileServer(answer(), tls=authority.server_context()) as server:
        assert refusal(server.url, FetchOptions(client_cert_file=authority.client_pair().together)).kind == "tls"
        assert server.requests == []


def test_certificate_files_that_do_not_serve_are_refused_where_the_verifier_is_made(
    authority: Authority, tmp_path: Path
) -> None:
    pair, other = authority.client_pair(), authority.client_pair("other")
    locked = authority.client_pair("locked", password=b"s3cret")
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    refused: list[tuple[dict[str, Any], str]] = [
        ({"ca_file": str(text)}, "ca_file=. .*text.pem holds no PEM certificate"),
        ({"client_cert_file": str(tmp_path / "none.pem")}, "client_cert_file.*none.pem cannot be read"),
        ({"client_cert_file": pair.certificate, "client_key_file": str(tmp_path / "no")}, "client_key_file.*no cannot"),
        ({"client_cert_file": str(text)}, "no PEM certificate"),
        ({"client_cert_file": pair.certificate}, "private key"),
        ({"client_cert_file": pair.certificate, "client_key_file": other.key}, "KEY_VALUES_MISMATCH"),
        ({"client_cert_file": locked.certificate, "client_key_file": locked.key}, "unencrypted private key"),
    ]
    good = {"issuer_url": "https://id.example.com", "audience": "agent-api"}
    for options, reason in refused:
        with pytest.raises(ConfigurationError, match=reason):
            Verifier(**good, fetch=FetchOptions(**options))  # type: ignore[arg-type]
    Verifier(**good, fetch=FetchOptions(client_cert_file=pair.certificate, client_key_file=pair.key))  # type: ignore[arg-type]


def test_certificates_are_read_where_the_verifier_is_made_and_not_again_until_they_change(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = FetchOptions(ca_file=str(authority.file))
    with HostileServer(answer(), tls=authority.server_context()) as server:
        Verifier(issuer_url=server.url, audience="agent-api", fetch=options)

        def never(*_arguments: object, **_options: object) -> ssl.SSLContext:
            raise AssertionError("read once more: a process that forks meanwhile has children that hang")

        monkeypatch.setattr(ssl, "create_default_context", never)
        assert asyncio.run(fetch(server.url, options)).status == 200


def test_a_key_without_a_certificate_and_a_certificate_for_a_client_of_ones_own_are_mistakes() -> None:
    with pytest.raises(ConfigurationError, match="client_cert_file"):
        FetchOptions(client_key_file="agent.key")
    with pytest.raises(ConfigurationError, match="verify=<SSLContext>"):
        FetchOptions(client_cert_file="agent.pem", http_client=httpx2.AsyncClient)
