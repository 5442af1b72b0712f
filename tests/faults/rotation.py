"""What the stories of families B and H tell over and over: traffic that passes, is refused, and waits for nobody."""

from __future__ import annotations

from oidcbridge import Verifier
from oidcbridge.errors import TokenError
from tests.faults.kit import eventually, health


def passes(verifier: Verifier, *tokens: str) -> None:
    """Every token is accepted; a refusal or an unavailable provider goes through as the error it is."""
    for token in tokens:
        assert verifier.verify_now(token).user_id


def is_refused(verifier: Verifier, token: str, error: type[TokenError]) -> bool:
    """Whether the token is refused for this reason (401); any other error goes through, a 503 above all."""
    try:
        verifier.verify_now(token)
    except error:
        return True
    return False


def landed(verifier: Verifier) -> None:
    """Wait for the refresh that a request has begun. It begins none itself, unlike `warm`."""
    eventually(lambda: health(verifier).state == "fresh")


def failed(verifier: Verifier, times: int) -> None:
    """Wait for the refresh that a request has begun, which is to be at least the ``times``-th failure in a row."""
    eventually(lambda: health(verifier).failures >= times)
