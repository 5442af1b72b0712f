"""Slack, Telegram and WhatsApp have no token of ours: agno's interfaces prove their callers, and open nothing else."""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import pytest
from agno.agent import Agent
from agno.os.interfaces.base import BaseInterface
from agno.os.interfaces.slack import Slack
from agno.os.interfaces.telegram import Telegram
from agno.os.interfaces.whatsapp import Whatsapp

from oidcbridge.testing import FakeIssuer
from tests.agentos.kit import StubModel, bearer, make_os, run, secure, serving

SECRET = "of the messenger and this service"
BODY = json.dumps({"type": "url_verification", "challenge": "c", "object": "other", "update_id": 1}).encode()


class Messenger(NamedTuple):
    """One of them: how it is made, where it calls, and how it proves that it is the caller."""

    make: Callable[[Agent], BaseInterface]
    path: str
    proof: Callable[[str, bytes], dict[str, str]]


def signature(secret: str, body: bytes) -> str:
    return hmac.new(secret.encode(), body, sha256).hexdigest()


def slack_proof(secret: str, body: bytes) -> dict[str, str]:
    now = str(int(time.time()))
    return {
        "X-Slack-Request-Timestamp": now,
        "X-Slack-Signature": f"v0={signature(secret, b'v0:' + now.encode() + b':' + body)}",
    }


MESSENGERS = {
    "slack": Messenger(
        lambda agent: Slack(agent=agent, token="xoxb-1", signing_secret=SECRET),
        "/slack/events",
        slack_proof,
    ),
    "telegram": Messenger(
        lambda agent: Telegram(agent=agent, token="1:a", register_commands=False),
        "/telegram/webhook",
        lambda secret, _body: {"X-Telegram-Bot-Api-Secret-Token": secret},
    ),
    "whatsapp": Messenger(
        lambda agent: Whatsapp(agent=agent),
        "/whatsapp/webhook",
        lambda secret, body: {"X-Hub-Signature-256": f"sha256={signature(secret, body)}"},
    ),
}


@pytest.fixture(autouse=True)
def _their_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """What they have told this service; Slack is not asked who the bot is."""
    for name, value in {
        "TELEGRAM_WEBHOOK_SECRET_TOKEN": SECRET,
        "WHATSAPP_APP_SECRET": SECRET,
        "WHATSAPP_ACCESS_TOKEN": "a",
        "WHATSAPP_PHONE_NUMBER_ID": "1",
        "WHATSAPP_VERIFY_TOKEN": "v",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("slack_sdk.WebClient.auth_test", lambda _client: {})


@pytest.mark.parametrize("name", MESSENGERS)
def test_a_messenger_comes_in_by_its_own_proof_alone_and_opens_nothing_else(
    tmp_path: Path, issuer: FakeIssuer, name: str
) -> None:
    messenger = MESSENGERS[name]
    probe = make_os(tmp_path, interfaces=[messenger.make(Agent(id="m1", model=StubModel()))])
    with serving(secure(probe, issuer)) as client:
        proof = messenger.proof(SECRET, BODY)
        assert client.post(messenger.path, content=BODY, headers=proof).status_code == 200
        for refused in ({}, messenger.proof("another secret", BODY), bearer(issuer)):
            assert client.post(messenger.path, content=BODY, headers=refused).status_code in (400, 403)
        assert client.get("/agents", headers=proof).status_code == 401
        assert run(client, "/agents/a1", proof).status_code == 401
        assert client.post(f"{messenger.path}/../../agents/a1/runs", headers=proof).status_code == 401
        assert run(client, "/agents/a1", bearer(issuer, scope="agents:run")).status_code == 200
    assert [seen.user_id for seen in probe.seen] == ["ada"]
