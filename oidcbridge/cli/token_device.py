"""The device grant (RFC 8628): the person signs in on any browser, and we ask now and then whether they have."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc8628 import DEVICE_CODE_GRANT_TYPE

from oidcbridge.cli.terminal import printable, say
from oidcbridge.cli.token_client import read_answer, told_apart
from oidcbridge.cli.token_discovery import find_endpoint, require_secure
from oidcbridge.cli.token_errors import GrantError, refusal
from oidcbridge.cli.token_request import TokenRequest
from oidcbridge.core.metadata import IssuerMetadata
from oidcbridge.errors import ProviderError

if TYPE_CHECKING:
    from authlib.integrations.httpx_client import OAuth2Client

DEFAULT_INTERVAL = 5  # seconds, RFC 8628 section 3.2
SLOW_DOWN = 5  # seconds more, RFC 8628 section 3.5
LONGEST_INTERVAL = 60


def device_grant(client: OAuth2Client, metadata: IssuerMetadata, request: TokenRequest) -> Mapping[str, Any]:
    """Return the token answer once the person has confirmed the code. Raises `GrantError`, ``ProviderError``."""
    token_endpoint = find_endpoint(metadata, "token_endpoint")
    device = _ask_for_codes(client, find_endpoint(metadata, "device_authorization_endpoint"), request)
    _show(device)
    lifetime = min(_seconds(device, "expires_in", request.patience), request.patience)
    return _poll(client, token_endpoint, device, deadline=time.monotonic() + lifetime)


def _ask_for_codes(client: OAuth2Client, endpoint: str, request: TokenRequest) -> Mapping[str, Any]:
    """The device authorization request (section 3.1), which Authlib has no call for."""
    form = {"scope": request.asked_scope, **request.targets}
    with told_apart(endpoint):
        response = client.post(
            endpoint,
            data={name: value for name, value in form.items() if value},
            headers={"Accept": "application/json"},
            auth=client.client_auth(client.token_endpoint_auth_method),
        )
    answer = read_answer(response)
    if "error" in answer:
        raise refusal(answer["error"], answer.get("error_description"))
    for name in ("device_code", "user_code", "verification_uri"):
        if not isinstance(answer.get(name), str):
            raise ProviderError(f"{endpoint} answered without a {name}")
    return answer


def _show(device: Mapping[str, Any]) -> None:
    code = printable(device["user_code"])
    if complete := device.get("verification_uri_complete"):
        say(f"To sign in, open\n\n    {require_secure(complete, 'verification_uri_complete')}\n")
        say(f"on any device and check that it shows the code {code}")
    else:
        say(f"To sign in, open\n\n    {require_secure(device['verification_uri'], 'verification_uri')}\n")
        say(f"on any device and enter the code {code}")


def _poll(client: OAuth2Client, endpoint: str, device: Mapping[str, Any], deadline: float) -> Mapping[str, Any]:
    """Ask until there is an answer or no time left (section 3.5)."""
    interval = _seconds(device, "interval", DEFAULT_INTERVAL)
    while (left := deadline - time.monotonic()) > 0:
        time.sleep(min(interval, left))
        try:
            return _fetch_token(client, endpoint, device["device_code"])
        except GrantError as refused:
            if refused.error == "slow_down":
                interval += SLOW_DOWN
            elif refused.error != "authorization_pending":
                raise
        except ProviderError as outage:
            interval = min(interval * 2, LONGEST_INTERVAL)
            say(f"{outage}; asking again in {interval:g} seconds")
    raise refusal("expired_token", None)


def _fetch_token(client: OAuth2Client, endpoint: str, device_code: str) -> Mapping[str, Any]:
    """The device access token request (section 3.4); without a scope, which the first request named."""
    with told_apart(endpoint):
        answer: Mapping[str, Any] = client.fetch_token(
            endpoint, grant_type=DEVICE_CODE_GRANT_TYPE, device_code=device_code, scope=""
        )
    return answer


def _seconds(device: Mapping[str, Any], name: str, default: float) -> float:
    """Read a positive number of seconds; what is none counts as left out."""
    value = device.get(name)
    return value if isinstance(value, int | float) and value > 0 else default
