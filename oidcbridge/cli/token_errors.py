"""What a provider answers instead of a token, in words that say what to do next."""

from __future__ import annotations

from oidcbridge.cli.terminal import printable
from oidcbridge.errors import OIDCBridgeError

_NEXT_STEPS = {
    # RFC 6749 sections 4.1.2.1 and 5.2
    "invalid_client": "check --client-id, and OIDCBRIDGE_CLIENT_SECRET or --client-secret-file if it has a secret",
    "unauthorized_client": "check the client's secret, and that the provider allows the client this --grant",
    "unsupported_grant_type": "this provider does not offer that --grant",
    "unsupported_response_type": "enable the authorization code flow for the client at the provider",
    "invalid_scope": "check --scope",
    # RFC 8707 section 2
    "invalid_target": "check --resource and --audience",
    # RFC 8628 section 3.5
    "expired_token": "the code was not confirmed in time; run the command again",
}


class GrantError(OIDCBridgeError):
    """The provider, or the person signing in, gave no token: exit code 1. The message is safe for a terminal.

    ``error`` is the provider's OAuth error code, empty where the fault was found on our side.
    """

    code = public_code = "grant_refused"

    def __init__(self, message: str, *, error: str = "") -> None:
        super().__init__(message)
        self.error = error


def refusal(error: object, description: object) -> GrantError:
    """Build the `GrantError` for an OAuth error answer (RFC 6749 sections 4.1.2.1 and 5.2)."""
    code = printable(error)
    text = f"{code}: {printable(description)}" if description else code
    step = _NEXT_STEPS.get(code)
    return GrantError(f"{text} ({step})" if step else text, error=code)
