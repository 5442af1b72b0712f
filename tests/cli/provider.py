"""A small authorization server on loopback that checks what it is sent, and that tests bend."""

from __future__ import annotations

import hashlib
import json
import socketserver
import ssl
import sys
import threading
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlencode

TOKEN = "aaa.bbb.ccc"
DEVICE_CODE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
Answer = tuple[int, dict[str, Any] | bytes]


def _refused(error: str, description: str | None = None, status: int = 400) -> Answer:
    return status, {"error": error, **({"error_description": description} if description else {})}


class Provider:
    """An authorization server with one public client, one confidential client and one user; tests bend it."""

    def __init__(self, url: str) -> None:
        self.secrets = {"svc": "s+cr%t:é &=~"}
        self.users = {"ada": "ada's +%& wörd"}
        self.issuer_url = url
        self.metadata: dict[str, Any] = {
            "issuer": url,
            "authorization_endpoint": f"{url}/authorize?theme=dark",
            "token_endpoint": f"{url}/token",
            "device_authorization_endpoint": f"{url}/device",
            "jwks_uri": f"{url}/jwks",
        }
        self.metadata_status = 200
        self.forms: list[dict[str, str]] = []
        self.authorization_headers: list[str | None] = []
        self.bend_redirect: Callable[[dict[str, str]], dict[str, str] | str] = lambda answer: answer
        self.token_answer: dict[str, Any] = {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 300}
        self.token_override: Answer | None = None
        self.device_answer: dict[str, Any] = {
            "device_code": "device-code-1",
            "user_code": "WDJB-MJHT",
            "verification_uri": f"{url}/activate",
            "verification_uri_complete": f"{url}/activate?user_code=WDJB-MJHT",
            "expires_in": 600,
            "interval": 2,
        }
        self.device_override: Answer | None = None
        self.device_script: list[Answer | None] = []
        """What the token endpoint says to each poll before it gives the token; None hangs up."""
        self._asked: dict[str, str] = {}

    def authorize(self, query: str) -> str:
        """Where the browser is sent back to, as after a sign-in."""
        self._asked = dict(parse_qsl(query))
        self.forms.append(self._asked)
        bent = self.bend_redirect({"code": "code-1", "state": self._asked["state"], "iss": self.issuer_url})
        text = bent if isinstance(bent, str) else urlencode(bent)
        return f"{self._asked['redirect_uri']}?{text}"

    def token(self, form: dict[str, str], authorization: str | None) -> Answer | None:
        self.forms.append(form)
        self.authorization_headers.append(authorization)
        if self.token_override is not None:
            return self.token_override
        if self._client_of(form, authorization) is None:
            return _refused("invalid_client", "Wrong secret", 401)
        grants: dict[str, Callable[[dict[str, str]], Answer | None]] = {
            "authorization_code": self._code,
            DEVICE_CODE_GRANT: self._device_code,
            "client_credentials": lambda _: (200, self.token_answer),
            "password": self._password,
        }
        return grants[form["grant_type"]](form)

    def _client_of(self, form: dict[str, str], authorization: str | None) -> str | None:
        if authorization is None:
            client, secret = form["client_id"], form.get("client_secret")
        else:  # RFC 6749 section 2.3.1
            pair = b64decode(authorization.removeprefix("Basic ")).decode("ascii").split(":")
            client, secret = (unquote_plus(part) for part in pair)
        return client if self.secrets.get(client) == secret else None

    def _code(self, form: dict[str, str]) -> Answer:
        challenge = urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        asked = self._asked
        if (asked["code_challenge"], asked["code_challenge_method"]) != (challenge, "S256"):
            return _refused("invalid_grant", "PKCE verification failed")
        if (form["code"], form["redirect_uri"]) != ("code-1", asked["redirect_uri"]):
            return _refused("invalid_grant", "Code not valid")
        return 200, self.token_answer

    def _device_code(self, form: dict[str, str]) -> Answer | None:
        if form["device_code"] != "device-code-1":
            return _refused("invalid_grant", "Unknown device code")
        return self.device_script.pop(0) if self.device_script else (200, self.token_answer)

    def _password(self, form: dict[str, str]) -> Answer:
        if self.users.get(form["username"]) != form["password"]:
            return _refused("invalid_grant", "Invalid user credentials", 401)
        return 200, self.token_answer


def _handler_for(provider: Provider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            if path.endswith("/.well-known/openid-configuration") and provider.metadata_status == 200:
                self._answer(200, provider.metadata)
            elif path == "/authorize":
                self.send_response(302)
                self.send_header("Location", provider.authorize(query))
                self.send_header("Content-Length", "0")
                self.end_headers()
            else:
                self._answer(provider.metadata_status if provider.metadata_status != 200 else 404, b"nothing here")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = dict(parse_qsl(body, strict_parsing=True))
            if self.path == "/device":
                provider.forms.append(form)
                answer: Answer | None = provider.device_override or (200, provider.device_answer)
            else:
                answer = provider.token(form, self.headers["Authorization"])
            if answer is not None:
                self._answer(*answer)

        def _answer(self, status: int, body: dict[str, Any] | bytes) -> None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json" if isinstance(body, dict) else "text/html")
            self.send_header("Content-Length", str(len(data)))
            if status == 307:  # the status that would carry a form, secrets and all, to another address
                self.send_header("Location", f"{provider.issuer_url}/elsewhere")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), OSError):  # a client that does not trust us hangs up
            super().handle_error(request, client_address)  # type: ignore[arg-type]


@contextmanager
def serve(tls: ssl.SSLContext | None = None) -> Iterator[Provider]:
    with _Server(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        provider = Provider(f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}")
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.RequestHandlerClass = _handler_for(provider)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield provider
        server.shutdown()
        thread.join()
