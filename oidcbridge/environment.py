"""``OIDCBRIDGE_*``: the arguments of the common case from the environment.

Read only where the code names neither an issuer nor keys. An unknown variable is an error with a suggestion; errors
name variables and never values. What weakens a check (``validate``, ``require_authentication``, plain http) is never
read from here; ``accept_id_tokens`` is, since two providers cannot be used without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

from oidcbridge.core.bearer import TokenSource
from oidcbridge.errors import ConfigurationError

PREFIX = "OIDCBRIDGE_"


def _text(value: str) -> str:
    return value.strip()


def _list(value: str) -> list[str]:
    return [item.strip() for item in value.split(",") if item.strip()]


def _flag(value: str) -> bool:
    return {"true": True, "1": True, "false": False, "0": False}[value.strip().lower()]


def _source(value: str) -> TokenSource:
    return TokenSource(value.strip().lower())


class Kind(NamedTuple):
    """What a variable's text is, and how it becomes a value."""

    read: Callable[[str], Any]
    shape: str


class Variable(NamedTuple):
    """One setting: its kind, what it means, and what stands where it is not set; docs/settings.md is made of these."""

    kind: Kind
    meaning: str
    default: str = ""


_TEXT = Kind(_text, "text")
_LIST = Kind(_list, "list, by comma")
_SECONDS = Kind(float, "a number of seconds")
_NUMBER = Kind(int, "a whole number")
_FLAG = Kind(_flag, "true or false")
_SOURCE = Kind(_source, "header, cookie or both")
_CLAIMS = "the provider's"

#: Argument -> its variable, which is the argument's name in capitals.
VERIFIER_VARIABLES: Mapping[str, Variable] = {
    "issuer_url": Variable(_TEXT, "the provider, exactly as `iss` in its tokens says"),
    "audience": Variable(_LIST, "the name of this API in `aud`; needed, but for Cognito", "needed"),
    "client_ids": Variable(_LIST, "clients whose tokens are accepted; Cognito needs it", "any client"),
    "provider": Variable(_TEXT, "whose tokens they are, where the issuer URL does not tell", "`auto`"),
    "algorithms": Variable(_LIST, "signature algorithms that are accepted", "the asymmetric ones"),
    "algorithm": Variable(_TEXT, "the same, for one"),
    "discovery_url": Variable(_TEXT, "the discovery document, where it is not below the issuer", "from the issuer"),
    "jwks_uri": Variable(_TEXT, "the keys; discovery is not asked then", "from discovery"),
    "browser_url": Variable(_TEXT, "the provider's origin as browsers reach it", "the issuer's origin"),
    "jwks_file": Variable(_TEXT, "a file with the keys: no network"),
    "verification_keys": Variable(_LIST, "shared secrets, with `algorithm` HS256; PEM keys have line breaks"),
    "user_id_claim": Variable(_LIST, "claim paths of the user id, the first that is there counts", _CLAIMS),
    "session_id_claim": Variable(_LIST, "the same for the session id", _CLAIMS),
    "scopes_claim": Variable(_LIST, "the same for scopes", _CLAIMS),
    "roles_claim": Variable(_LIST, "the same for roles", _CLAIMS),
    "groups_claim": Variable(_LIST, "the same for groups", _CLAIMS),
    "permissions_claim": Variable(_LIST, "the same for permissions", _CLAIMS),
    "tenant_claim": Variable(_LIST, "the same for the tenant", _CLAIMS),
    "tenants": Variable(_LIST, "tenants that are let in; user ids are then `tenant:id`", "any tenant"),
    "dependencies_claims": Variable(_LIST, "claims copied into `dependencies`", "none"),
    "session_state_claims": Variable(_LIST, "claims copied into `session_state`", "none"),
    "leeway": Variable(_SECONDS, "clock skew that is forgiven, 0 to 300", "60"),
    "token_type": Variable(_TEXT, "`at+jwt` insists on RFC 9068"),
    "accept_id_tokens": Variable(_FLAG, "ID tokens are accepted as access tokens; Google and Dex need it", "`false`"),
    "token_cache": Variable(_NUMBER, "verified tokens that are remembered; 0: none", "10000"),
    "key_store": Variable(_TEXT, "a directory where the workers of this host share their keys"),
}
HTTP_VARIABLES: Mapping[str, Variable] = {
    "token_source": Variable(_SOURCE, "where a request's token is read", "`header`"),
    "token_header_key": Variable(_TEXT, "the header that holds it", "`Authorization`"),
    "cookie_name": Variable(_TEXT, "the cookie that holds it", "`access_token`"),
    "excluded_route_paths": Variable(_LIST, "public paths, exact or shell patterns", "none"),
    "allowed_origins": Variable(_LIST, "other origins whose pages may use the cookie", "none"),
}
#: Empty, they would allow everybody: whoever sets the variable means somebody.
_ALLOW_LISTS = frozenset({"client_ids", "tenants"})
#: Read elsewhere (the command line), so known here.
OTHER_VARIABLES = frozenset({"client_secret", "password"})


def read_environment(variables: Mapping[str, Variable], environ: Mapping[str, str]) -> dict[str, Any]:
    """The arguments named by ``variables`` that ``environ`` holds. Raises `ConfigurationError`."""
    known = VERIFIER_VARIABLES.keys() | HTTP_VARIABLES.keys() | OTHER_VARIABLES
    found = {}
    for variable, text in environ.items():
        if not variable.startswith(PREFIX):
            continue
        argument = variable.removeprefix(PREFIX).lower()
        if argument not in known:
            raise ConfigurationError(_unknown(variable, argument, known))
        if argument in variables and argument in _ALLOW_LISTS and not _list(text):
            raise ConfigurationError(
                f"{variable} is set and names nobody, which would allow everybody: write the names, or unset it"
            )
        if argument in variables and text.strip():
            try:
                found[argument] = variables[argument].kind.read(text)
            except (ValueError, KeyError):
                raise ConfigurationError(
                    f"{variable} has a value that is not {variables[argument].kind.shape}"
                ) from None
    return found


def _unknown(variable: str, argument: str, known: set[str]) -> str:
    close = get_close_matches(argument, known, n=1)
    hint = f"; did you mean {PREFIX}{close[0].upper()}?" if close else ""
    return f"the environment variable {variable} is unknown{hint}"
