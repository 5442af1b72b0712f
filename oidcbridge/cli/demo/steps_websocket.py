"""The step of the WebSocket: refused before it opens, or open and the caller known."""

from __future__ import annotations

from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from oidcbridge.cli.demo.exchange import Answer
from oidcbridge.cli.demo.provider import ADA
from oidcbridge.cli.demo.story import Scene, Step
from oidcbridge.testing import auth_header

_CHAT = "/agents/writer/chat"


def _websocket(scene: Scene) -> None:
    try:
        _try_both(scene)
    except WebSocketException as error:
        raise ConnectionError(f"no WebSocket: {error}") from error


def _try_both(scene: Scene) -> None:
    refused = _open(scene, None)
    if isinstance(refused, ClientConnection):
        refused.close()
    refused_well = isinstance(refused, Answer) and (refused.status, refused.challenge) == (401, "Bearer")
    scene.expect("401 at the handshake", refused_well, refused)

    opened = _open(scene, scene.stage.token())
    if not isinstance(opened, ClientConnection):
        scene.expect("101 with a token", passed=False, seen=opened)
        return
    with opened:
        scene.teller.sent("hello")
        opened.send("hello")
        reply = str(opened.recv(timeout=5))
        scene.teller.received(reply)
    scene.expect("101 with a token, and the agent knows the caller", f'"{ADA.username}"' in reply, reply)


def _open(scene: Scene, token: str | None) -> Answer | ClientConnection:
    """Shake hands, and tell it as what it is: an HTTP request and its answer."""
    scene.sent(f"GET {_CHAT}   Upgrade: websocket", token)
    url = f"ws{scene.stage.agent_url.removeprefix('http')}{_CHAT}"
    try:
        connection = connect(url, additional_headers=auth_header(token) if token else None)
    except InvalidStatus as error:
        response = error.response
        headers = {name.lower(): value for name, value in response.headers.raw_items()}
        answer = Answer(response.status_code, response.reason_phrase, headers, bytes(response.body or b""))
        scene.teller.answered(answer)
        return answer
    scene.teller.answered(Answer(101, "Switching Protocols", {}, b""))
    return connection


STEP = Step(
    "WebSocket",
    "401 without a token, else 101",
    "The same guard at the handshake: without a token the connection never opens.",
    _websocket,
)
