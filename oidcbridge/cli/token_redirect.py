"""The loopback redirect of the authorization code grant (RFC 8252 section 7.3): listen, take one answer, close.

The server answers on 127.0.0.1 alone. Whoever finds the port can only end the attempt: without the ``state`` of this
very attempt no code is taken.
"""

from __future__ import annotations

import html
import os
import queue
import secrets
import socketserver
import sys
import threading
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from oidcbridge.cli.terminal import printable
from oidcbridge.cli.token_errors import GrantError, refusal
from oidcbridge.errors import ConfigurationError

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:20vh auto;padding:0 1rem}}</style>
<h1>{title}</h1><p>{text}</p></html>
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpectedAnswer:
    """What the redirect must carry to be the answer to our request."""

    issuer_url: str
    issuer_required: bool
    """The provider says that it always names itself (RFC 9207 section 3)."""
    state: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)

    def read_code(self, query: str) -> str:
        """Return the authorization code of a redirect's query; raises `GrantError` when there is none to trust."""
        pairs = parse_qsl(query, keep_blank_values=True)
        answer = dict(pairs)
        if len(answer) != len(pairs):  # RFC 6749 section 3.1: no parameter more than once
            raise GrantError("the redirect repeats a parameter; its answer was not used")
        # RFC 6749 section 10.12: before anything else is believed, an error text included.
        if not secrets.compare_digest(answer.get("state", "").encode(), self.state.encode()):
            raise GrantError(
                "the redirect does not carry the 'state' of this attempt, so its answer was not used; "
                "close older sign-in pages and try again"
            )
        self._check_issuer(answer.get("iss"))
        if "error" in answer:  # RFC 6749 section 4.1.2.1
            raise refusal(answer["error"], answer.get("error_description"))
        if not answer.get("code"):
            raise GrantError("the redirect carries neither a code nor an error")
        return answer["code"]

    def _check_issuer(self, named: str | None) -> None:
        """RFC 9207 section 2.4: an answer of another issuer, or an unnamed one where names are promised, is refused."""
        if named is None and not self.issuer_required:
            return
        if named != self.issuer_url:
            other = f"names the issuer {printable(named)!r}" if named is not None else "names no issuer"
            raise GrantError(f"the redirect {other}, not {self.issuer_url!r}; its answer was not used")


class LoopbackRedirect:
    """Listens at a redirect URI for the one answer `expected`; a context manager.

    Raises ``ConfigurationError`` for a redirect URI that is no loopback address with a port, or a port that is taken.
    """

    def __init__(self, redirect_uri: str, expected: ExpectedAnswer) -> None:
        port, path = _parse_redirect_uri(redirect_uri)
        self._answers: queue.SimpleQueue[str | GrantError] = queue.SimpleQueue()
        try:
            self._server = _Server(("127.0.0.1", port), _handler(path, expected, self._answers))
        except OSError as error:
            raise ConfigurationError(
                f"cannot listen on 127.0.0.1:{port} for the redirect ({error.strerror}): stop what uses that port, "
                "or register another loopback address at the provider and give it with --redirect-uri"
            ) from None
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait(self, timeout: float) -> str:
        """Return the code, waiting at most `timeout` seconds; raises `GrantError`."""
        try:
            answer = self._answers.get(timeout=timeout)
        except queue.Empty:
            raise GrantError(
                f"nobody signed in within {timeout:g} seconds; try again, or give a longer --timeout"
            ) from None
        if isinstance(answer, GrantError):
            raise answer
        return answer


class _Server(socketserver.ThreadingTCPServer):
    """Threads, since browsers open spare connections; not ``HTTPServer``, which asks the name service who it is."""

    daemon_threads = True
    # A restart within the TIME_WAIT of the last one; on Windows the flag would let others share the port.
    allow_reuse_address = os.name == "posix"

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that hangs up early is no news; anything else is a bug to be seen."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def _parse_redirect_uri(redirect_uri: str) -> tuple[int, str]:
    """Return port and path of a loopback redirect URI; both host spellings are served on 127.0.0.1."""
    try:
        parts = urlsplit(redirect_uri)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    loopback = parts.scheme == "http" and parts.hostname in {"127.0.0.1", "localhost"}
    if not loopback or not port or parts.query or parts.fragment or parts.username is not None:
        raise ConfigurationError(
            f"--redirect-uri {printable(redirect_uri)!r} is no loopback address; "
            "write http://127.0.0.1:PORT/PATH (or http://localhost:PORT/PATH) as registered at the provider"
        )
    return port, parts.path or "/"


def _handler(
    path: str, expected: ExpectedAnswer, answers: queue.SimpleQueue[str | GrantError]
) -> type[BaseHTTPRequestHandler]:
    class Redirect(BaseHTTPRequestHandler):
        timeout = 10  # seconds for a connection that sends nothing

        def do_GET(self) -> None:
            asked, _, query = self.path.partition("?")
            if asked != path:  # a favicon
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            answer: str | GrantError
            try:
                answer = expected.read_code(query)
                title, text = "Signed in", "You can close this window and go back to the terminal."
            except GrantError as error:
                answer = error
                title, text = "Not signed in", f"{error}. You can close this window; the terminal says the same."
            try:
                self._show(title, text)
            finally:
                answers.put(answer)  # after the page is written, since the server stops then

        def _show(self, title: str, text: str) -> None:
            body = _PAGE.format(title=html.escape(title), text=html.escape(text)).encode()
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("Referrer-Policy", "no-referrer")  # the address holds the code
            self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: the request line holds the code."""

    return Redirect
