"""Ways to run the command line against the small provider of `tests.cli.provider`."""

from __future__ import annotations

import os
import socket
import ssl
import sys
import threading
import urllib.request
import webbrowser
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from typer.testing import CliRunner, Result

from oidcbridge.cli.app import app
from tests.cli.provider import Provider, serve


@pytest.fixture
def provider() -> Iterator[Provider]:
    with serve() as provider:
        yield provider


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 that no system trusts, with its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a private authority")])
    now = datetime.now(UTC)
    usage = ("digital_signature", "key_cert_sign", "crl_sign")
    no_usage = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(
                **dict.fromkeys(usage, True), **dict.fromkeys(no_usage, False), encipher_only=False, decipher_only=False
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "certificate.pem"
    file.write_bytes(
        certificate.public_bytes(Encoding.PEM) + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return file


@pytest.fixture
def secure_provider(certificate: Path) -> Iterator[Provider]:
    """The provider behind https, with that certificate."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    with serve(tls) as provider:
        yield provider


@pytest.fixture
def redirect_uri() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/callback"


class Browser:
    """Stands in for the person's browser: follows the provider's redirect to the command's page."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.pages: list[str] = []
        self.headers: list[dict[str, str]] = []
        self._threads: list[threading.Thread] = []

    def open(self, url: str) -> bool:
        self.opened.append(url)
        self._threads.append(threading.Thread(target=self.follow, args=(url,)))
        self._threads[-1].start()
        return True

    def follow(self, url: str) -> None:
        with urllib.request.urlopen(url, timeout=10) as answer:
            self.pages.append(answer.read().decode())
            self.headers.append(dict(answer.headers.items()))

    def close(self) -> None:
        for thread in self._threads:
            thread.join()


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    browser = Browser()
    monkeypatch.setattr(webbrowser, "open", browser.open)
    yield browser
    browser.close()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment without any variable of ours; tests set what they need."""
    for name in [name for name in os.environ if name.startswith("OIDCBRIDGE_")]:
        monkeypatch.delenv(name)
    return monkeypatch


Run = Callable[..., Result]


@pytest.fixture
def run(provider: Provider, redirect_uri: str, environment: pytest.MonkeyPatch) -> Run:
    """Run ``oidcbridge token`` in process against the provider, as the public client unless told otherwise."""

    def run_token(*arguments: str, client_id: str = "ui") -> Result:
        options = ("--issuer", provider.issuer_url, "--client-id", client_id, "--redirect-uri", redirect_uri)
        return CliRunner().invoke(app, ["token", *options, *arguments], prog_name="oidcbridge")

    return run_token


@pytest.fixture
def command_environment(environment: pytest.MonkeyPatch) -> dict[str, str]:
    """For ``[*COMMAND, …]`` in a process of its own, which imports what we import."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
