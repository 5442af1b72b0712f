"""The one door out: https, a wall-clock deadline, a size cap, no redirects, no cookies (RFC 8725 section 3.10).

The only module that imports the HTTP client at run time.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx2

from oidcbridge._version import __version__
from oidcbridge.core.policy import FetchOptions
from oidcbridge.core.urls import is_loopback
from oidcbridge.errors import ConfigurationError
from oidcbridge.remote.addresses import AddressRefusedError, checked_addresses
from oidcbridge.remote.fetch_error import FetchError, causes, describe
from oidcbridge.remote.tls import TLS, read_tls

#: What an HTTP client built on httpx2 (Authlib's) raises when the other side cannot be reached or speaks badly.
TRANSPORT_ERRORS = (httpx2.HTTPError, httpx2.InvalidURL)
MAX_URL_CHARS = 2048
_CERTIFICATE_FILES = ("ca_file", "client_cert_file", "client_key_file")
ACCEPT_JSON = "application/json, application/jwk-set+json"

# What the client imports at its first request. That happens in the background, and a process that forks in the middle
# of it would hand half a module to its children; so here, where this module itself is imported.
for _module in ("httpcore2", "h11", "truststore", "anyio._backends._asyncio"):
    with suppress(ImportError):
        import_module(_module)

_in_process: dict[str, httpx2.AsyncBaseTransport] = {}


class Answer(NamedTuple):
    """A good answer: 200 with a body, or 304 to a conditional request. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    tls: TLS | None = None
    """How it was secured on its way; None for plain http, and where the HTTP client does not tell."""


@contextmanager
def serve_in_process(origin: str, transport: httpx2.AsyncBaseTransport) -> Iterator[None]:
    """Answer every request to ``origin`` (``https://host[:port]``) from ``transport``: the test kit's seam.

    Raises `ConfigurationError` where the origin is served already.
    """
    if origin in _in_process:
        raise ConfigurationError(f"{origin} is served in process already")
    _in_process[origin] = transport
    try:
        yield
    finally:
        del _in_process[origin]


async def fetch(url: str, options: FetchOptions, *, etag: str | None = None) -> Answer:
    """GET ``url`` as JSON within ``options.deadline`` seconds and ``options.max_bytes`` bytes.

    A connection that breaks before the answer begins is tried once more while half of the deadline is left.
    Raises `FetchError` for anything but 200, or 304 where ``etag`` was sent.
    """
    if len(url) > MAX_URL_CHARS:
        raise FetchError(f"{url[:100]}… is too long, {len(url)} characters", kind="url")
    loop = asyncio.get_running_loop()
    half_time = loop.time() + options.deadline / 2
    try:
        async with asyncio.timeout(options.deadline):
            try:
                return await _fetch_once(url, options, etag)
            except (httpx2.ConnectError, httpx2.ReadError, httpx2.RemoteProtocolError) as error:
                if loop.time() > half_time or not _broke_before_the_answer(error):
                    raise
                return await _fetch_once(url, options, etag)
    except (TimeoutError, httpx2.TimeoutException):
        raise FetchError(f"{url} did not answer in {options.deadline} s", kind="timeout") from None
    except AddressRefusedError as error:
        raise FetchError(f"{url} is not asked: {error}", kind="address") from None
    except (*TRANSPORT_ERRORS, OSError) as error:
        raise FetchError(f"{url} cannot be reached: {describe(error)}", kind=_kind(error)) from error


async def _fetch_once(url: str, options: FetchOptions, etag: str | None) -> Answer:
    if options.addresses is None or _transport_in_process(url) is not None:
        return await _ask(url, options, etag, None)
    *others, last = await checked_addresses(urlsplit(url).hostname or "", options.addresses)
    for address in others:
        with suppress(httpx2.ConnectError, httpx2.ConnectTimeout):
            return await _ask(url, options, etag, address)
    return await _ask(url, options, etag, last)


async def _ask(url: str, options: FetchOptions, etag: str | None, address: str | None) -> Answer:
    async with _client(url, options) as client:
        request = client.build_request("GET", url, headers=_request_headers(options, etag))
        request.headers.pop("cookie", None)
        if address is not None:  # the Host header stands already, and the certificate is checked for the name
            request.extensions["sni_hostname"] = urlsplit(url).hostname  # as written, not decoded from "xn--"
            request.url = request.url.copy_with(host=address)
        response = await client.send(request, stream=True, auth=None, follow_redirects=False)
        try:
            headers = {name.lower(): value for name, value in response.headers.items()}
            tls = read_tls(response.extensions)
            if response.status_code == 304 and etag is not None:
                return Answer(304, headers, b"", tls)
            if response.status_code != 200:
                raise FetchError(
                    f"{url} answered {response.status_code}{_redirect_hint(response.status_code)}",
                    kind="status",
                    status=response.status_code,
                    retry_after_header=headers.get("retry-after"),
                )
            return Answer(200, headers, await _read_body(response, url, options.max_bytes), tls)
        finally:
            await response.aclose()


def _transport_in_process(url: str) -> httpx2.AsyncBaseTransport | None:
    parts = urlsplit(url)
    return _in_process.get(f"{parts.scheme}://{parts.netloc}")


def _client(url: str, options: FetchOptions) -> httpx2.AsyncClient:
    transport = _transport_in_process(url)
    if transport is None and options.http_client is not None:
        return _client_of_the_user(options.http_client)
    try:
        # A client for each fetch: minutes lie between two, and a connection kept that long is a stale one.
        return httpx2.AsyncClient(
            transport=transport,
            verify=_ssl_context(options),
            proxy=options.proxy,
            # No proxy of the environment leads to this machine itself, nor where names must be looked up by us.
            trust_env=options.addresses is None and not is_loopback(urlsplit(url).hostname),
            timeout=httpx2.Timeout(options.deadline, connect=options.connect_timeout),
            limits=httpx2.Limits(max_keepalive_connections=0),
        )
    except (ValueError, ImportError, httpx2.InvalidURL) as error:  # its words may hold the proxy's password
        raise FetchError(
            f"the HTTP client cannot be built ({type(error).__name__}): see FetchOptions(proxy=) and the environment's"
            " proxy variables",
            kind="client",
        ) from None


def _client_of_the_user(build: Callable[[], httpx2.AsyncClient]) -> httpx2.AsyncClient:
    try:
        client = build()
    except Exception as error:  # noqa: BLE001 - a boundary: their code may raise anything, and say anything with it
        raise FetchError(f"FetchOptions(http_client=) raised {type(error).__name__}", kind="client") from None
    if not isinstance(client, httpx2.AsyncClient) or client.is_closed:
        raise FetchError(
            "FetchOptions(http_client=) must return an AsyncClient of httpx2, a new one each time", kind="client"
        )
    return client


def check_options(options: FetchOptions) -> None:
    """Read certificates and look for SOCKS once now: a mistake shows on the user's line, not at the first fetch.

    OpenSSL holds a lock meanwhile, and a process that forks while the background thread has it would leave its children
    waiting for ever. So all are read here, in the user's thread, and kept.

    Raises `ConfigurationError`.
    """
    _system_ssl_context()
    for name in _CERTIFICATE_FILES:
        path = getattr(options, name)
        try:
            if path is not None:
                Path(path).read_bytes()
        except OSError as error:
            raise ConfigurationError(f"FetchOptions({name}=) {path} cannot be read: {error.strerror}") from None
    try:
        if options.ca_file is not None:
            ssl.create_default_context(cafile=options.ca_file)
    except ssl.SSLError:
        raise ConfigurationError(f"FetchOptions(ca_file=) {options.ca_file} holds no PEM certificate") from None
    try:
        _ssl_context(options)
    except ssl.SSLError as error:
        raise ConfigurationError(
            "FetchOptions(client_cert_file=, client_key_file=) hold no PEM certificate and the unencrypted private key"
            f" that belongs to it ({error.reason or 'not PEM'})"
        ) from None
    if options.proxy is not None and options.proxy.lower().startswith("socks") and find_spec("socksio") is None:
        raise ConfigurationError("FetchOptions(proxy=) by SOCKS needs a package that is missing: pip install socksio")


def _ssl_context(options: FetchOptions) -> ssl.SSLContext:
    paths = [getattr(options, name) for name in _CERTIFICATE_FILES]
    if not any(paths):
        return _system_ssl_context()
    versions = [(found.st_ino, found.st_mtime_ns, found.st_size) for found in map(os.stat, filter(None, paths))]
    return _context_of(*paths, tuple(versions))


@lru_cache(maxsize=32)
def _context_of(
    ca_file: str | None, cert_file: str | None, key_file: str | None, _versions: tuple[tuple[int, int, int], ...]
) -> ssl.SSLContext:
    """Built once for each version of the files, which may be renewed in place."""
    context = httpx2.create_ssl_context() if ca_file is None else ssl.create_default_context(cafile=ca_file)
    if cert_file is not None:
        # With a password given, a key that was encrypted meanwhile is an error instead of a prompt on the terminal.
        context.load_cert_chain(cert_file, key_file, password="")
    return context


@lru_cache(maxsize=1)
def _system_ssl_context() -> ssl.SSLContext:
    return httpx2.create_ssl_context()


def _request_headers(options: FetchOptions, etag: str | None) -> dict[str, str]:
    headers = {
        "User-Agent": options.user_agent or f"oidcbridge/{__version__}",
        "Accept": ACCEPT_JSON,
        "Accept-Encoding": "gzip",
    }
    if etag is not None:
        headers["If-None-Match"] = etag
    return headers


async def _read_body(response: httpx2.Response, url: str, max_bytes: int) -> bytes:
    """The body, decoded by ourselves: a client that inflates chunk by chunk has the bomb in memory before we count."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise FetchError(f"{url} answered in the encoding {encoding[:32]!a}", kind="encoding")
    raw = bytearray()
    try:
        async for chunk in response.aiter_raw():
            raw += chunk
            if len(raw) > max_bytes:
                raise FetchError(f"{url} answered more than {max_bytes} bytes", kind="too_large")
    except (httpx2.ReadError, httpx2.RemoteProtocolError) as error:  # the answer had begun: not tried once more
        raise FetchError(f"{url} broke off its answer: {describe(error)}", kind=_kind(error)) from error
    return bytes(raw) if encoding == "identity" else _gunzip(bytes(raw), url, max_bytes)


def _gunzip(data: bytes, url: str, max_bytes: int) -> bytes:
    decompressor = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        body = decompressor.decompress(data, max_bytes + 1)
    except zlib.error:
        raise FetchError(f"{url} answered broken gzip", kind="encoding") from None
    if len(body) > max_bytes:
        raise FetchError(f"{url} answered more than {max_bytes} bytes", kind="too_large")
    if not decompressor.eof:
        raise FetchError(f"{url} answered truncated gzip", kind="encoding")
    return body


def _broke_before_the_answer(error: httpx2.HTTPError) -> bool:
    """Whether nothing was answered; an answer that is no HTTP would be none the second time either."""
    return not isinstance(error, httpx2.RemoteProtocolError) or "without sending" in str(error)


def _redirect_hint(status: int) -> str:
    if status == 304 or not 300 <= status < 400:
        return ""
    return ", and redirects are not followed: write the address it points to"


def _kind(error: BaseException) -> str:
    """A stable word for logs and health: dns, refused, tls, reset, url, protocol or connection."""
    text = " ".join(str(cause) for cause in causes(error)).lower()
    if any(isinstance(cause, ssl.SSLError) for cause in causes(error)) or "ssl" in text or "certificate" in text:
        return "tls"
    if "name or service" in text or "getaddrinfo" in text or "name resolution" in text:
        return "dns"
    if "refused" in text or "all connection attempts failed" in text:
        return "refused"
    if isinstance(error, httpx2.InvalidURL):
        return "url"
    if isinstance(error, httpx2.ReadError):
        return "reset"
    return "protocol" if isinstance(error, httpx2.ProtocolError) else "connection"
