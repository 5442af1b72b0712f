"""The one error tree: everything oidcbridge raises on purpose.

::

    OIDCBridgeError
    ├─ ConfigurationError           at construction only
    ├─ VerifierClosedError          used after an explicit close()
    ├─ KeyStoreError                a key store cannot be used; it is worked around, and never fails a request
    ├─ CredentialError              what the request carries is no usable credential
    │   ├─ MissingCredentialError   401, bare challenge (RFC 6750 3.1)
    │   └─ MalformedRequestError    400 invalid_request
    ├─ TokenError                   401 invalid_token
    │   ├─ MalformedTokenError
    │   ├─ UnknownIssuerError
    │   ├─ AlgorithmNotAllowedError
    │   ├─ KeyNotFoundError
    │   ├─ BadSignatureError
    │   ├─ ClaimError               .claim names the claim
    │   │   ├─ ExpiredTokenError
    │   │   ├─ NotYetValidError
    │   │   ├─ IssuerMismatchError
    │   │   ├─ AudienceMismatchError
    │   │   ├─ TokenTypeError
    │   │   └─ MissingClaimError
    │   └─ RevokedTokenError
    ├─ AccessDeniedError            403 insufficient_scope
    ├─ CrossSiteRequestError        403, no challenge
    └─ ProviderError                503 + Retry-After
        ├─ DiscoveryError
        └─ KeysUnavailableError

``code`` is a stable snake_case word for logs and metrics; ``public_code`` is what the client may see. No message
holds a token, a cookie, a key or a secret. Messages may hold claim values (an issuer, an audience): they are for
the operator's log, and the HTTP answer never shows them.
"""

from __future__ import annotations

from collections.abc import Iterable


class OIDCBridgeError(Exception):
    """Root of the tree; never raised itself."""

    code = "error"
    public_code = "error"


class ConfigurationError(OIDCBridgeError):
    """The arguments contradict each other or the rules; the message says what to write instead."""

    code = public_code = "configuration_error"


class VerifierClosedError(OIDCBridgeError):
    """A verifier was used after an explicit ``close()``."""

    code = public_code = "verifier_closed"


class KeyStoreError(OIDCBridgeError):
    """A key store cannot be reached, or holds what cannot be trusted: raised by stores, and worked around.

    ``ignored``: an entry is there and is not used (the event ``store_ignored``, else ``store_failed``).
    """

    code = public_code = "key_store"

    def __init__(self, message: str, *, ignored: bool = False) -> None:
        super().__init__(message)
        self.ignored = ignored


class CredentialError(OIDCBridgeError):
    """The request carries no credential that could be judged."""

    code = public_code = "invalid_request"


class MissingCredentialError(CredentialError):
    """No credential at all: 401 with a bare challenge and no error code (RFC 6750 section 3.1)."""

    code = public_code = "missing_credential"


class MalformedRequestError(CredentialError):
    """A repeated or malformed credential: 400 ``invalid_request`` (RFC 6750 section 3.1)."""

    code = public_code = "invalid_request"


class TokenError(OIDCBridgeError):
    """The token is refused: 401 ``invalid_token`` (RFC 6750 section 3.1)."""

    code = "invalid_token"
    public_code = "invalid_token"


class MalformedTokenError(TokenError):
    """Not a strict compact JWS with JSON objects inside (RFC 7515 section 7.1, RFC 8725 section 3.14)."""

    code = "malformed_token"


class UnknownIssuerError(TokenError):
    """``iss`` names an issuer that is not configured; nothing was fetched for it."""

    code = "unknown_issuer"


class AlgorithmNotAllowedError(TokenError):
    """``alg`` is not in the allow-list (RFC 8725 section 3.1)."""

    code = "algorithm_not_allowed"


class KeyNotFoundError(TokenError):
    """No key of the issuer's key set fits the token's ``kid`` and ``alg``."""

    code = "key_not_found"


class BadSignatureError(TokenError):
    """The signature does not verify with the issuer's key."""

    code = "bad_signature"


class ClaimError(TokenError):
    """A claim is wrong; ``claim`` is its name."""

    code = "invalid_claim"

    def __init__(self, message: str, *, claim: str) -> None:
        super().__init__(message)
        self.claim = claim


class ExpiredTokenError(ClaimError):
    """``exp`` has passed, leeway included (RFC 7519 section 4.1.4). The one fault a client is told apart."""

    code = public_code = "token_expired"


class NotYetValidError(ClaimError):
    """``nbf`` or ``iat`` lies in the future beyond the leeway (RFC 7519 section 4.1.5)."""

    code = "token_not_yet_valid"


class IssuerMismatchError(ClaimError):
    """``iss`` differs from the configured issuer, compared as plain strings (RFC 9068 section 4)."""

    code = "issuer_mismatch"


class AudienceMismatchError(ClaimError):
    """``aud`` (or the client allow-list) does not name this API (RFC 9068 section 4)."""

    code = "audience_mismatch"


class TokenTypeError(ClaimError):
    """A token of another kind: ID, refresh, logout or sender-constrained (RFC 8725 section 3.12)."""

    code = "token_type_not_accepted"


class MissingClaimError(ClaimError):
    """A required claim is absent or of a wrong type."""

    code = "missing_claim"


class RevokedTokenError(TokenError):
    """The token's key was denied by ``deny_key``."""

    code = "token_revoked"


class AccessDeniedError(OIDCBridgeError):
    """The caller is known and lacks a right: 403 ``insufficient_scope`` (RFC 6750 section 3.1).

    ``scopes`` are the scopes that were needed, for the challenge; empty where roles or permissions were.
    """

    code = public_code = "insufficient_scope"

    def __init__(self, message: str, *, scopes: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.scopes = tuple(scopes)


class CrossSiteRequestError(OIDCBridgeError):
    """A cookie credential came with an unsafe request from an origin that is not allowed: 403, no challenge."""

    code = public_code = "cross_site_request"


class ProviderError(OIDCBridgeError):
    """The identity provider cannot be asked: 503, never a 401. ``retry_after`` is in whole seconds."""

    code = public_code = "provider_unavailable"

    def __init__(self, message: str, *, retry_after: int = 5) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class DiscoveryError(ProviderError):
    """The discovery document cannot be had, or names another issuer (OpenID Connect Discovery section 4.3)."""

    code = "discovery_failed"


class KeysUnavailableError(ProviderError):
    """No usable key set right now."""

    code = "keys_unavailable"
