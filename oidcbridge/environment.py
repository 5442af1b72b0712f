"""``OIDCBRIDGE_*``: the arguments of the common case from the environment.

Read only where the code names neither an issuer nor keys. An unknown variable is an error with a suggestion; errors
name variables and never values. What weakens a check (``validate``, ``require_authentication``, plain http) is never
read from here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

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


#: Argument -> how its variable's text becomes a value. The variable is the argument's name in capitals.
VERIFIER_VARIABLES: Mapping[str, Callable[[str], Any]] = {
    "issuer_url": _text,
    "audience": _list,
    "client_ids": _list,
    "provider": _text,
    "algorithms": _list,
    "algorithm": _text,
    "discovery_url": _text,
    "jwks_uri": _text,
    "browser_url": _text,
    "jwks_file": _text,
    "verification_keys": _list,
    "user_id_claim": _list,
    "session_id_claim": _list,
    "scopes_claim": _list,
    "roles_claim": _list,
    "groups_claim": _list,
    "permissions_claim": _list,
    "tenant_claim": _list,
    "tenants": _list,
    "dependencies_claims": _list,
    "session_state_claims": _list,
    "leeway": float,
    "token_type": _text,
    "accept_id_tokens": _flag,
    "token_cache": int,
    "key_store": _text,
}
HTTP_VARIABLES: Mapping[str, Callable[[str], Any]] = {
    "token_source": _source,
    "token_header_key": _text,
    "cookie_name": _text,
    "excluded_route_paths": _list,
    "allowed_origins": _list,
}
_SHAPES = {
    "leeway": "a number of seconds",
    "token_cache": "a whole number",
    "token_source": "header, cookie or both",
    "accept_id_tokens": "true or false",
}
#: Empty, they would allow everybody: whoever sets the variable means somebody.
_ALLOW_LISTS = frozenset({"client_ids", "tenants"})
#: Read elsewhere (the command line), so known here.
OTHER_VARIABLES = frozenset({"client_secret", "password"})


def read_environment(variables: Mapping[str, Callable[[str], Any]], environ: Mapping[str, str]) -> dict[str, Any]:
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
                found[argument] = variables[argument](text)
            except (ValueError, KeyError):
                raise ConfigurationError(f"{variable} has a value that is not {_SHAPES[argument]}") from None
    return found


def _unknown(variable: str, argument: str, known: set[str]) -> str:
    close = get_close_matches(argument, known, n=1)
    hint = f"; did you mean {PREFIX}{close[0].upper()}?" if close else ""
    return f"the environment variable {variable} is unknown{hint}"
